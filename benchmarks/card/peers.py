"""The frameworks on a card: each prepares the run of a workload, which does not wait for it."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.peers import (
    PEERS,
    Run,
    fnad_leaves,
    jax_leaves,
    not_installed,
    runner,
    torch_leaves,
)
from benchmarks.workload import LeftOutError, Program, Vocabulary, Workload


@dataclass(frozen=True, slots=True)
class Place:
    """Where programs run: a card; or the host, to try the benchmarks out.

    ``torch`` is PyTorch's name of it, ``arrays`` CuPy, or NumPy in its place.
    """

    torch: str
    arrays: Any

    def wait(self, _: Any = None) -> None:
        """Wait for all that was started."""
        if self.torch == "cuda":
            self.arrays.cuda.runtime.deviceSynchronize()

    def put(self, arrays: tuple[Any, ...]) -> tuple[Any, ...]:
        """Arrays of NumPy, there."""
        return tuple(map(self.arrays.asarray, arrays))

    def get(self, array: Any) -> np.ndarray:
        """An array there as one of NumPy."""
        return np.asarray(array.get() if hasattr(array, "get") else array)

    def free_bytes(self) -> tuple[int, int]:
        """Memory that nobody holds, and all there is, when the frameworks' pools are emptied."""
        gc.collect()
        if self.torch != "cuda":
            return 1, 1
        import torch

        torch.cuda.empty_cache()
        self.arrays.get_default_memory_pool().free_all_blocks()
        free, total = self.arrays.cuda.runtime.memGetInfo()
        return int(free), int(total)


def the_card() -> Place:
    """CuPy's current card."""
    import cupy

    return Place("cuda", cupy)


@dataclass(frozen=True, slots=True)
class CardPeer:
    """A framework; ``wait`` waits until the results of a run are there."""

    name: str
    prepare: Callable[[Workload, Place], Run | None]
    leaves: Callable[[Any, Place], list[np.ndarray]]
    wait: Callable[[Any, Place], Any]
    missing: Callable[[], str | None]


def _prepare_fnad(workload: Workload, place: Place) -> Run:
    import fnad

    program = workload.fnad()
    arguments = fnad.device_put(program.arguments)
    donated = range(program.carried)
    function = fnad.jit(program.function, donate_argnums=donated)
    return runner(Program(function, arguments, program.carried), function, lambda x: x)


def _prepare_jax(workload: Workload, place: Place) -> Run:
    import jax

    if place.torch == "cuda" and jax.default_backend() != "gpu":
        raise LeftOutError("JAX finds no card")
    program = workload.jax()
    arguments = jax.tree.map(jax.numpy.array, program.arguments)
    function = jax.jit(program.function, donate_argnums=range(program.carried))
    return runner(Program(function, arguments, program.carried), function, lambda x: x)


def _prepare_torch(
    workload: Workload, place: Place, compiler: Callable[..., Any] = lambda function: function
) -> Run | None:
    import torch

    if workload.torch is None:
        return None
    with torch.device(place.torch):
        program = workload.torch(compiler)
    return runner(program, program.function, lambda x: x)


def _prepare_compiled(workload: Workload, place: Place) -> Run | None:
    import torch

    torch._dynamo.reset()  # programs of earlier workloads count against its limit
    return _prepare_torch(workload, place, torch.compile)


def _prepare_arrays(workload: Workload, place: Place) -> Run:
    """A program that uses no more than functions of arrays, run as it stands."""
    module = place.arrays
    program = workload.array(Vocabulary(None, module, None, None, None, None, _no_cross_entropy))
    arguments = place.put(program.arguments)

    def run() -> Any:
        result = program.function(*arguments)
        return result if result.flags.c_contiguous else module.ascontiguousarray(result)

    return run


def _no_cross_entropy(logits: Any, labels: Any) -> Any:
    raise LeftOutError("has no cross entropy")


def _wait_for_jax(results: Any, _: Place) -> None:
    import jax

    jax.block_until_ready(results)


def _wait_for_all(_: Any, place: Place) -> None:
    place.wait()


CARD_PEERS = {
    peer.name: peer
    for peer in (
        CardPeer("fnad", _prepare_fnad, lambda x, _: fnad_leaves(x), _wait_for_all, lambda: None),
        CardPeer(
            "jax", _prepare_jax, lambda x, _: jax_leaves(x), _wait_for_jax, not_installed("jax")
        ),
        CardPeer(
            "torch",
            _prepare_torch,
            lambda x, _: torch_leaves(x),
            _wait_for_all,
            PEERS["torch"].missing,
        ),
        CardPeer(
            "torch.compile",
            _prepare_compiled,
            lambda x, _: torch_leaves(x),
            _wait_for_all,
            PEERS["torch.compile"].missing,
        ),
        CardPeer(
            "cupy",
            _prepare_arrays,
            lambda x, place: [place.get(x)],
            _wait_for_all,
            not_installed("cupy"),
        ),
    )
}


@contextmanager
def precision(name: str) -> Iterator[None]:
    """Have all frameworks multiply matrices of float32 as "float32" or as "tf32".

    With "bfloat16" they are left as they are: the operands say it.
    """
    from fnad import config

    before = config.matmul_precision
    config.matmul_precision = "tensorfloat32" if name == "tf32" else "float32"
    with ExitStack() as stack:
        stack.callback(setattr, config, "matmul_precision", before)
        if not_installed("jax")() is None:
            import jax

            words = {"float32": "highest", "tf32": "tensorfloat32"}
            stack.enter_context(jax.default_matmul_precision(words.get(name, "default")))
        if not_installed("torch")() is None:
            import torch

            torch.backends.cuda.matmul.allow_tf32 = name == "tf32"
            torch.backends.cudnn.allow_tf32 = name == "tf32"
        yield
