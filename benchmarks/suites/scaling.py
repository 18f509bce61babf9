"""How the cost of a program's way to machine code grows with its equations, up to 100,000.

Costs are seconds of CPU time, which other work on the machine disturbs least.
"""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.child import ChildError, call_in_child
from benchmarks.formatting import seconds_text, table
from benchmarks.options import Options, Report

_SIZES = (1_000, 3_000, 10_000, 30_000, 100_000)
_QUICK_SIZES = (1_000, 3_000, 10_000)
_PATIENCE = 600.0
_SCANS = (10, 1_000, 100_000)


def _elementwise(equations: int) -> tuple[Callable[[Any], Any], np.ndarray]:
    def function(x: Any) -> Any:
        for _ in range(equations // 4):
            x = (x + 0.01 * np.sin(x)) * 0.999
        return x.sum()

    return function, np.linspace(-1, 1, 100, dtype=np.float32)


def _layers(equations: int) -> tuple[Callable[[Any], Any], np.ndarray]:
    weights = np.eye(16, dtype=np.float32)

    def function(x: Any) -> Any:
        for _ in range(equations // 3):
            x = np.tanh(x @ weights + 0.1)
        return x.sum()

    return function, np.linspace(-1, 1, 128, dtype=np.float32).reshape(8, 16)


_PROGRAMS = {"elementwise chain": _elementwise, "chain of dense layers": _layers}
_PHASES = ("trace", "transform", "compile")


def run(options: Options) -> Report:
    """Measure the phases in fresh processes; and `scan`, whose length must not matter."""
    sizes = _QUICK_SIZES if options.quick else _SIZES
    found: dict[str, dict[int, dict[str, float]]] = {}
    failures = []
    for name in _PROGRAMS:
        found[name] = {}
        for size in sizes:
            try:
                found[name][size] = _in_child("phases", name, size)
            except ChildError as error:
                failures.append(f"{name}, {size} equations: {error}")
                break
            shown = "  ".join(f"{k} {seconds_text(t)}" for k, t in found[name][size].items())
            print(f"{name}, {size} equations: {shown}", flush=True)
    scans = {length: _in_child("scan_seconds", length) for length in _SCANS}
    text = "\n\n".join([*(_text(name, by) for name, by in found.items()), _scan_text(scans)])
    data = {"seconds": found, "scan_seconds": scans}
    ok = not failures
    return Report("\n".join([text, *failures]), data, ok, _pictures(found, options.out))


def _in_child(function: str, *arguments: Any) -> Any:
    with tempfile.TemporaryDirectory() as cache:
        places = {"FNAD_CACHE_DIR": cache}
        return call_in_child(__name__, function, *arguments, environment=places, timeout=_PATIENCE)


def phases(name: str, size: int) -> dict[str, float]:
    """CPU seconds to trace a function, to trace its gradient, and to compile it."""
    import fnad

    for equations in (8, size):  # the first starts up what every process starts once
        function, x = _PROGRAMS[name](equations)
        start = time.process_time()
        lowered = fnad.jit(function).lower(x)
        traced = time.process_time()
        fnad.make_jaxpr(fnad.grad(function))(x)
        transformed = time.process_time()
        lowered.compile()
        compiled = time.process_time()
    times = (traced - start, transformed - traced, compiled - transformed)
    return dict(zip(_PHASES, times))


def scan_seconds(length: int) -> float:
    """CPU seconds to trace and compile the gradient of a scan of that length; called in a child."""
    import fnad

    def function(x: Any, steps: int) -> Any:
        carry, _ = fnad.lax.scan(lambda c, _: (np.tanh(c) * 0.9, None), x, None, length=steps)
        return carry.sum()

    x = np.ones(8, np.float32)
    for steps in (5, length):
        start = time.process_time()
        fnad.jit(fnad.grad(lambda x, steps=steps: function(x, steps))).lower(x).compile()
    return time.process_time() - start


def _exponent(by_size: dict[int, float]) -> float:
    """The slope of seconds over equations, both in logarithms: 1 is linear growth."""
    sizes = [math.log(size) for size in by_size]
    return float(np.polyfit(sizes, [math.log(t) for t in by_size.values()], 1)[0])


def _text(name: str, by_size: dict[int, dict[str, float]]) -> str:
    rows = [[str(n), *(seconds_text(t[p]) for p in _PHASES)] for n, t in by_size.items()]
    if len(by_size) > 1:
        exponents = [_exponent({n: t[p] for n, t in by_size.items()}) for p in _PHASES]
        rows.append(["exponent", *(f"{e:.2f}" for e in exponents)])
    return table([f"{name}: equations", *_PHASES], rows)


def _scan_text(scans: dict[int, float]) -> str:
    rows = [[str(length), seconds_text(t)] for length, t in scans.items()]
    return table(["scan, gradient: length", "trace and compile"], rows)


def _pictures(found: dict[str, dict[int, dict[str, float]]], out: Path) -> list[Path]:
    try:
        from benchmarks.picture import curves_picture
    except ImportError:
        return []
    curves = {
        f"{name}, {phase}": {n: t[phase] for n, t in by_size.items()}
        for name, by_size in found.items()
        for phase in _PHASES
    }
    path = out / "scaling.png"
    curves_picture(curves, "equations", "seconds of CPU time", path)
    return [path]
