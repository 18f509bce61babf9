"""Where the time of one workload goes: per kernel time, bytes, operations, shares of the machine.

The machine's bandwidth and peak are measured with fnad's own programs and with NumPy's, whichever
is faster.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

import fnad
from benchmarks import workloads
from benchmarks.formatting import seconds_text, table
from benchmarks.measure import seconds
from benchmarks.options import Options, Report

_STREAM = 1 << 25  # elements: larger than caches
_MATRIX = 2048
_ROWS = 40


def run(options: Options) -> Report:
    """Profile the one workload whose name `options.only` gives."""
    found = workloads.find(options.only)
    if len(found) != 1:
        names = "\n  ".join(w.name for w in workloads.WORKLOADS)
        raise SystemExit(f"--profile takes one workload, not {options.only!r}; of\n  {names}")
    program = found[0].fnad()
    compiled = fnad.jit(program.function).lower(*program.arguments).compile()
    nodes = compiled.profile(*program.arguments, repeats=10 if options.quick else 50)
    bandwidth, peak = _bandwidth(), _peak()
    data = {
        "bandwidth_bytes_per_second": bandwidth,
        "peak_operations_per_second": peak,
        "nodes": [dataclasses.asdict(node) for node in nodes],
    }
    return Report(_text(found[0].name, nodes, bandwidth, peak), data)


def _text(name: str, nodes: list[Any], bandwidth: float, peak: float) -> str:
    total = sum(node.seconds for node in nodes)
    rows = []
    for node in sorted(nodes, key=lambda node: -node.seconds)[:_ROWS]:
        took = max(node.seconds, 1e-9)
        rows.append(
            [
                f"{node.description[:70]}",
                seconds_text(took),
                f"{100 * took / total:.1f}%",
                f"{node.num_bytes / 1e6:.3g}",
                f"{100 * node.num_bytes / took / bandwidth:.0f}%",
                f"{node.operations / 1e6:.3g}",
                f"{100 * node.operations / took / peak:.0f}%",
                node.origin,
            ]
        )
    header = ["kernel", "time", "share", "MB", "of bandwidth", "MFLOP", "of peak", "from"]
    title = (
        f"{name}: {seconds_text(total)} in {len(nodes)} kernels;"
        f" bandwidth {bandwidth / 1e9:.0f} GB/s, peak {peak / 1e9:.0f} GFLOP/s (float32 products)"
    )
    left_out = f"\n{len(nodes) - _ROWS} shorter ones left out" if len(nodes) > _ROWS else ""
    return f"{title}\n{table(header, rows)}{left_out}"


def _shortest(*runs: Callable[[], Any]) -> float:
    return min(seconds(run, 1) for run in runs for _ in range(8))


def _bandwidth() -> float:
    """Bytes per second, read and written, of an array that no cache holds."""
    x = np.ones(_STREAM, np.float32)
    out = np.empty_like(x)
    add = fnad.jit(lambda x: x + 1)
    return 2 * x.nbytes / _shortest(lambda: add(x), lambda: np.add(x, 1, out=out))


def _peak() -> float:
    """Operations per second of a large product of float32 matrices."""
    a, b = np.random.default_rng(0).standard_normal((2, _MATRIX, _MATRIX), np.float32)
    product = fnad.jit(lambda a, b: a @ b)
    return float(2 * _MATRIX**3 / _shortest(lambda: product(a, b), lambda: a @ b))
