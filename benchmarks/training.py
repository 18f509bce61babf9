"""What the training steps share: a step of Adam, in the idiom of each framework."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from benchmarks.workload import Program, Vocabulary

LEARNING_RATE = 1e-3
# After three steps of Adam, which divides gradients by their own magnitude.
STEP_TOLERANCE = 1e-3
STEP_REASON = "losses of three steps; Adam makes unit steps of gradients that round differently"


def adam_step(v: Vocabulary, loss: Callable[..., Any], params: Any, *batch: Any) -> Program:
    """One step of Adam on ``loss(params, *batch)``: (params, state, *batch) -> (.., .., loss)."""
    optimizer = v.optim.adam(LEARNING_RATE)

    def step(params: Any, state: Any, *batch: Any) -> tuple[Any, Any, Any]:
        value, grads = v.top.value_and_grad(loss)(params, *batch)
        updates, state = optimizer.update(grads, state, params)
        return v.optim.apply_updates(params, updates), state, value

    return Program(step, (params, optimizer.init(params), *batch), carried=2)


def torch_adam_step(module: Any, loss: Callable[..., Any], *batch: Any) -> Program:
    """The same on a ``torch.nn.Module``; ``loss`` calls the module, compiled or not."""
    import torch

    trained = [p for p in module.parameters() if p.requires_grad]
    optimizer = torch.optim.Adam(trained, LEARNING_RATE, fused=True)

    def step() -> Any:
        optimizer.zero_grad()
        value = loss(*batch)
        value.backward()
        optimizer.step()
        return value.detach()

    return Program(step)


def load(module: Any, arrays: Iterable[np.ndarray]) -> Any:
    """Set the parameters of a ``torch.nn.Module``, in their order, to copies of the arrays."""
    import torch

    parameters, arrays = list(module.parameters()), list(arrays)
    assert len(parameters) == len(arrays), (len(parameters), len(arrays))
    with torch.no_grad():
        for parameter, array in zip(parameters, arrays):
            parameter.copy_(torch.as_tensor(np.array(array)))
    return module
