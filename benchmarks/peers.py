"""The frameworks that take part, and how each compiles and runs a program.

A `Peer` turns a workload into a `Run`: a function without arguments that runs the program once,
waits for its results and returns them.
"""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.workload import Program, Workload

Run = Callable[[], Any]


@dataclass(frozen=True, slots=True)
class Peer:
    """A framework.

    ``prepare`` gives the run of a workload, or None if the workload has no version for it;
    ``leaves`` turns results into a list of NumPy arrays; ``missing`` says why it cannot run.
    """

    name: str
    prepare: Callable[[Workload], Run | None]
    leaves: Callable[[Any], list[np.ndarray]]
    missing: Callable[[], str | None]


def runner(program: Program, function: Callable[..., Any], wait: Callable[[Any], Any]) -> Run:
    """Run ``function`` on the program's arguments, or on what the last run handed on."""
    if not program.carried:
        arguments = program.arguments
        return lambda: wait(function(*arguments))
    carried = program.arguments[: program.carried]
    rest = program.arguments[program.carried :]

    def step() -> Any:
        nonlocal carried
        results = wait(function(*carried, *rest))
        carried = results[: program.carried]
        return results[program.carried :]

    return step


def _prepare_fnad(workload: Workload) -> Run:
    import fnad

    program = workload.fnad()
    donated = range(program.carried)
    # Donated arrays are the run's own.
    arguments = fnad.tree.map(np.array, program.arguments[: program.carried])
    program = Program(
        program.function, (*arguments, *program.arguments[program.carried :]), program.carried
    )
    return runner(program, fnad.jit(program.function, donate_argnums=donated), lambda x: x)


def _prepare_jax(workload: Workload) -> Run:
    import jax

    program = workload.jax()
    arguments = jax.tree.map(jax.numpy.array, program.arguments)
    program = Program(program.function, arguments, program.carried)
    function = jax.jit(program.function, donate_argnums=range(program.carried))
    return runner(program, function, jax.block_until_ready)


def _prepare_torch(workload: Workload, compiler: Callable[..., Any]) -> Run | None:
    if workload.torch is None:
        return None
    program = workload.torch(compiler)
    return runner(program, program.function, lambda x: x)


def _eager(workload: Workload) -> Run | None:
    return _prepare_torch(workload, lambda function: function)


def _compiled(workload: Workload) -> Run | None:
    import torch

    torch._dynamo.reset()  # programs of earlier workloads count against its limit
    return _prepare_torch(workload, torch.compile)


def fnad_leaves(results: Any) -> list[np.ndarray]:
    """Results as arrays of NumPy, wherever they lie."""
    import fnad

    return [np.asarray(leaf) for leaf in fnad.tree.leaves(fnad.device_get(results))]


def jax_leaves(results: Any) -> list[np.ndarray]:
    """Results as arrays of NumPy."""
    import jax

    return [np.asarray(leaf) for leaf in jax.tree.leaves(results)]


def torch_leaves(results: Any) -> list[np.ndarray]:
    """Results as arrays of NumPy, bfloat16 as float32."""
    import torch
    from torch.utils import _pytree

    leaves = (leaf.detach().cpu() for leaf in _pytree.tree_leaves(results))
    return [(x.float() if x.dtype == torch.bfloat16 else x).numpy() for x in leaves]


def not_installed(*modules: str) -> Callable[[], str | None]:
    """A function that says which of the modules are absent."""

    def missing() -> str | None:
        absent = [m for m in modules if importlib.util.find_spec(m) is None]
        return f"not installed: {', '.join(absent)}" if absent else None

    return missing


def _no_compiler() -> str | None:
    """torch.compile writes C++ and needs a compiler for it."""
    if reason := not_installed("torch")():
        return reason
    if not any(map(shutil.which, ("g++", "clang++", "c++"))):
        return "torch.compile needs a C++ compiler, and there is none here"
    return None


PEERS = {
    peer.name: peer
    for peer in (
        Peer("fnad", _prepare_fnad, fnad_leaves, lambda: None),
        Peer("jax", _prepare_jax, jax_leaves, not_installed("jax", "optax")),
        Peer("torch", _eager, torch_leaves, not_installed("torch")),
        Peer("torch.compile", _compiled, torch_leaves, _no_compiler),
    )
}
