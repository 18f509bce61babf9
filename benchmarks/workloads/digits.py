"""The training step of examples/digits.py: convolutions of 8x8 images, dropout, AdamW."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.training import STEP_REASON, STEP_TOLERANCE
from benchmarks.workload import Program, Vocabulary, Workload
from benchmarks.workloads import cnn

_BATCH, _KEEP = 64, 0.5


def _parameters() -> dict[str, dict[str, np.ndarray]]:
    params = cnn.parameters()
    kernel = params["dense1"]["kernel"][: 2 * 2 * 64] * np.float32(12.25**0.5)
    return {**params, "dense1": {**params["dense1"], "kernel": kernel}}


def _step(v: Vocabulary) -> Program:
    features, head = cnn.features(v), cnn.head(v)
    optimizer = v.optim.adamw(3e-3, weight_decay=1e-3)

    def dropout(key: Any, x: Any) -> Any:
        return v.numpy.where(v.random.bernoulli(key, _KEEP, x.shape), x / _KEEP, 0.0)

    def loss(params: Any, images: Any, labels: Any, key: Any) -> Any:
        first, second = v.random.split(key)
        hidden = dropout(first, features(params, images))
        logits = head(params, hidden, lambda x: dropout(second, x))
        return v.cross_entropy(logits, labels).mean()

    def step(params: Any, state: Any, *batch: Any) -> tuple[Any, Any, Any]:
        value, grads = v.top.value_and_grad(loss)(params, *batch)
        updates, state = optimizer.update(grads, state, params)
        return v.optim.apply_updates(params, updates), state, value

    rng = np.random.default_rng(2)
    images = rng.random((_BATCH, 8, 8, 1), np.float32)
    labels = rng.integers(0, 10, _BATCH, np.int32)
    params = _parameters()
    arguments = (params, optimizer.init(params), images, labels, v.random.key(0))
    return Program(step, arguments, carried=2)


# PyTorch's random numbers are others, so that its losses could not be compared.
WORKLOADS = [Workload("digits step", _step, None, STEP_TOLERANCE, STEP_REASON)]
