"""First calls: tracing, transforming and compiling, each in a fresh process.

fnad runs twice, with an empty and with a warm disk cache.
"""

from __future__ import annotations

import statistics
import tempfile
import time
import warnings
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from benchmarks import workloads
from benchmarks.child import ChildError, call_in_child
from benchmarks.formatting import seconds_text, table
from benchmarks.options import Options, Report
from benchmarks.peers import PEERS
from benchmarks.workload import Program, Workload
from benchmarks.workloads.unrolled import unrolled

_DEFAULT = (
    "MLP 784-512-512-10 step",
    "CNN step",
    "transformer step",
    "chain of 1000 ops",
    "chain of 1000 ops gradient",
)
_UNROLLS = (250, 500, 1000)
_SHOWN_UNROLL = 500
# A compiler that needs longer than this for one program is not waited for.
_PATIENCE = 600.0


def run(options: Options) -> Report:
    """Measure first calls, and how they grow with an unrolled loop."""
    names = [w.name for w in workloads.find(options.only)] if options.only else [*_DEFAULT]
    if not options.only:
        names.append(unrolled(_SHOWN_UNROLL).name)
    peers = [p.name for p in options.peers]
    rows = [_measure(name, peers, options.quick) for name in names]
    data: dict[str, Any] = {"first_call_seconds": {row.name: row.seconds for row in rows}}
    parts = [_text(rows, peers)]
    if not options.only:
        growth = _growth(1 if options.quick else 3)
        data["unrolled_seconds"] = growth
        parts.append(_growth_text(growth))
        large = _large_array(_ALTERNATIONS)
        data["large_array_seconds"] = large
        parts.append(_large_array_text(large))
    return Report("\n\n".join(parts), data, ok=all("fnad" in row.seconds for row in rows))


@dataclass(slots=True)
class Row:
    """Medians by framework; "fnad, cached" is a second process with a warm disk cache."""

    name: str
    seconds: dict[str, float] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)

    def ratio(self, peer: str, ours: str) -> float | None:
        """Times that fnad is faster."""
        if peer not in self.seconds or ours not in self.seconds:
            return None
        return self.seconds[peer] / self.seconds[ours]


_CACHED = "fnad, cached"


def _measure(name: str, peers: list[str], quick: bool) -> Row:
    """Fresh processes of the frameworks in turn."""
    row = Row(name)
    samples: dict[str, list[float]] = {}
    for _ in range(1 if quick else 3):
        for peer in peers:
            if peer in row.failures:
                continue
            try:
                for column, seconds in zip((peer, _CACHED), _cold_and_warm(peer, name)):
                    samples.setdefault(column, []).append(seconds)
            except ChildError as error:
                row.failures[peer] = str(error)
    row.seconds = {column: statistics.median(many) for column, many in samples.items()}
    shown = "  ".join(f"{k} {seconds_text(t)}" for k, t in row.seconds.items())
    print(f"{name:32} {shown}  {row.failures or ''}".rstrip(), flush=True)
    return row


def _cold_and_warm(peer: str, name: str) -> list[float]:
    """The first call with empty caches on disk; and for fnad one more, in a second process."""
    with tempfile.TemporaryDirectory() as cache:
        places = {
            "FNAD_CACHE_DIR": cache,
            "TORCHINDUCTOR_CACHE_DIR": cache,
            "TF_CPP_MIN_LOG_LEVEL": "2",
        }
        return [
            call_in_child(__name__, "first_call", peer, name, environment=places, timeout=_PATIENCE)
            for _ in range(2 if peer == "fnad" else 1)
        ]


def first_call(peer: str, name: str) -> float:
    """Seconds of a workload's first run, less those of a later one; called in a child."""
    steps = name.removesuffix(" unrolled steps gradient")
    workload = unrolled(int(steps)) if steps != name else workloads.find(name)[0]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for part in (_TRIVIAL, workload):  # the first starts up what every process starts once
            prepared = PEERS[peer].prepare(part)
            if prepared is None:
                raise SystemExit(f"{peer} has no version of {name}")
            run = prepared
            start = time.perf_counter()
            run()
            first = time.perf_counter() - start
    again = []
    for _ in range(3):
        start = time.perf_counter()
        run()
        again.append(time.perf_counter() - start)
    return first - min(again)


def _increment(x: Any) -> Any:
    return x * 3 + 2


_ARGUMENT = np.arange(7.0)
_TRIVIAL = Workload(
    "trivial",
    lambda v: Program(_increment, (_ARGUMENT,)),
    lambda compiler: Program(compiler(_increment), (_ARGUMENT,)),
    0.0,
    "exact",
)


def _growth(repeats: int) -> dict[int, float]:
    """fnad's first call of the unrolled loop, by the number of steps."""
    found = {}
    for steps in _UNROLLS:
        name = unrolled(steps).name
        try:
            times = [_cold_and_warm("fnad", name)[0] for _ in range(repeats)]
        except ChildError as error:
            print(f"{name}: {error}")
            break
        found[steps] = statistics.median(times)
    return found


_CLOSED_OVER = ("as an argument", "closed over")
_ALTERNATIONS = 9  # the goal is a tenth, and single processes differ by a third


def _large_array(alternations: int) -> dict[str, float]:
    """fnad's first call of a program with an array of 80 MB, given to it in two ways."""
    samples: dict[str, list[float]] = {way: [] for way in _CLOSED_OVER}
    for _ in range(alternations):
        for way in _CLOSED_OVER:
            with tempfile.TemporaryDirectory() as cache:
                samples[way].append(
                    call_in_child(
                        __name__, "with_large_array", way, environment={"FNAD_CACHE_DIR": cache}
                    )
                )
    return {way: statistics.median(many) for way, many in samples.items()}


def with_large_array(way: str) -> float:
    """Seconds to trace and compile a perceptron on rows of a table; called in a child."""
    import fnad

    table = np.ones((156_250, 128), np.float32)
    weights = [np.eye(128, dtype=np.float32)] * 4
    indices = np.arange(64)

    def loss(weights: Any, indices: Any, table: Any) -> Any:
        x = fnad.numpy.take(table, indices, axis=0)
        for kernel in weights:
            x = np.tanh(x @ kernel)
        return x.sum()

    def closed(weights: Any, indices: Any) -> Any:
        return loss(weights, indices, table)

    fnad.jit(_increment)(_ARGUMENT)
    # A virtual machine gets memory from its host at the first touch, which is not fnad's time.
    # One copy would not do: an array in huge pages takes up to two more than it fills.
    copies = table.copy(), table.copy()
    del copies
    start = time.perf_counter()
    if way == _CLOSED_OVER[0]:
        fnad.jit(fnad.grad(loss)).lower(weights, indices, table).compile()
    else:
        fnad.jit(fnad.grad(closed)).lower(weights, indices).compile()
    return time.perf_counter() - start


def _large_array_text(seconds: dict[str, float]) -> str:
    times = [seconds_text(seconds[way]) for way in _CLOSED_OVER]
    ratio = seconds[_CLOSED_OVER[1]] / seconds[_CLOSED_OVER[0]]
    header = ["trace and compile", *_CLOSED_OVER, "ratio"]
    return table(header, [["gradient with a table of 80 MB", *times, f"{ratio:.2f}"]])


def _text(rows: list[Row], peers: list[str]) -> str:
    columns = ["fnad", _CACHED, *peers[1:]]
    pairs = [(p, ours) for ours in ("fnad", _CACHED) for p in peers[1:2]]
    header = ["first call", *columns, *(f"{p}/{ours}" for p, ours in pairs)]
    lines = []
    for row in rows:
        times = [seconds_text(row.seconds[c]) if c in row.seconds else "-" for c in columns]
        ratios = [row.ratio(*pair) for pair in pairs]
        lines.append([row.name, *times, *("-" if r is None else f"{r:.1f}" for r in ratios)])
    means = []
    for pair in pairs:
        many = [r for row in rows if (r := row.ratio(*pair)) is not None]
        means.append(f"{statistics.geometric_mean(many):.1f}" if many else "-")
    lines.append(["geometric mean", *[""] * len(columns), *means])
    failures = [f"{row.name}, {p}: {why}" for row in rows for p, why in row.failures.items()]
    return "\n".join([table(header, lines), *failures])


def _growth_text(growth: dict[int, float]) -> str:
    lines = []
    for steps, seconds in growth.items():
        half = growth.get(steps // 2)
        lines.append([str(steps), seconds_text(seconds), f"{seconds / half:.2f}" if half else "-"])
    header = ["unrolled steps, gradient", "fnad, first call", "times that of half"]
    return table(header, lines)
