"""Peak memory of the steps, each framework in a process of its own.

Programs are compiled ahead of time, and another one, of three numbers, is called before them, so
that the compilers' own memory and what a process sets up once do not count: what counts is how far
the resident memory rises above that of the process that holds the compiled program and its
arguments.
"""

from __future__ import annotations

import ctypes
import gc
import re
import statistics
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import workloads
from benchmarks.child import ChildError, call_in_child
from benchmarks.formatting import table
from benchmarks.options import Options, Report

_DEFAULT = (
    "gelu 10M",
    "layer norm 4096x768 gradient",
    "MLP 784-512-512-10 step",
    "MLP per-example gradients",
    "CNN step",
    "LSTM step",
    "transformer step",
    "n-body 1000",
)
_RUNS = 5


def run(options: Options) -> Report:
    """Measure fnad and JAX; PyTorch has no ahead-of-time compilation of whole steps."""
    names = [w.name for w in workloads.find(options.only)] if options.only else [*_DEFAULT]
    peers = [p.name for p in options.peers if p.name in ("fnad", "jax")]
    found: dict[str, dict[str, float]] = {}
    failures = []
    for name in names:
        found[name] = {}
        for peer in peers:
            try:
                many = [
                    call_in_child(__name__, f"{peer}_peak", name)
                    for _ in range(1 if options.quick else 3)
                ]
                found[name][peer] = statistics.median(many)
            except ChildError as error:
                failures.append(f"{name}, {peer}: {error}")
    rows = [_row(name, peaks, peers) for name, peaks in found.items()]
    text = table(["peak memory, MB", *peers, "fnad/jax"], rows)
    return Report("\n".join([text, *failures]), {"peak_bytes": found}, ok=not failures)


def _row(name: str, peaks: dict[str, float], peers: list[str]) -> list[str]:
    shown = [f"{peaks[p] / 1e6:.1f}" if p in peaks else "-" for p in peers]
    both = "fnad" in peaks and "jax" in peaks
    return [name, *shown, f"{peaks['fnad'] / max(peaks['jax'], 1):.2f}" if both else "-"]


def fnad_peak(name: str) -> int:
    """Bytes above the compiled program and its arguments; called in a child."""
    import fnad

    program = workloads.find(name)[0].fnad()
    arguments = fnad.tree.map(np.array, program.arguments)
    donated = range(program.carried)
    _call(fnad.jit(_increment), lambda results: results)
    compiled = fnad.jit(program.function, donate_argnums=donated).lower(*arguments).compile()
    return _peak(compiled, arguments, program.carried, lambda results: results)


def jax_peak(name: str) -> int:
    """The same for JAX."""
    import jax

    program = workloads.find(name)[0].jax()
    arguments = jax.tree.map(jax.numpy.array, program.arguments)
    donated = range(program.carried)
    _call(jax.jit(_increment), jax.block_until_ready)
    compiled = jax.jit(program.function, donate_argnums=donated).lower(*arguments).compile()
    return _peak(compiled, arguments, program.carried, jax.block_until_ready)


def _increment(x: Any) -> Any:
    return x + 1


def _call(function: Any, wait: Any) -> None:
    """Compile a small program, and what a process compiles at the second call of its first."""
    for _ in range(2):
        wait(function(np.ones(3, np.float32)))


def _peak(function: Any, arguments: tuple[Any, ...], carried: int, wait: Any) -> int:
    gc.collect()
    _return_free_memory()
    before = _resident("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # forgets the peak so far
    for _ in range(_RUNS):
        results = wait(function(*arguments))
        if carried:
            arguments = (*results[:carried], *arguments[carried:])
        del results
    return _resident("VmHWM") - before


def _return_free_memory() -> None:
    ctypes.CDLL(None).malloc_trim(0)


def _resident(field: str) -> int:
    found = re.search(rf"{field}:\s*(\d+) kB", Path("/proc/self/status").read_text())
    assert found is not None
    return 1024 * int(found.group(1))
