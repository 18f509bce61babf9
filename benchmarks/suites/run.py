"""The running time of every workload, fnad and the peers in turn."""

from __future__ import annotations

import dataclasses
import math
import statistics
import traceback
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks import workloads
from benchmarks.agreement import disagreement
from benchmarks.formatting import seconds_text, table
from benchmarks.measure import FULL, QUICK, Timing, measure
from benchmarks.options import Options, Report
from benchmarks.peers import Peer, Run
from benchmarks.workload import LeftOutError, Workload

_COMPARED_STEPS = 3


@dataclass(slots=True)
class Row:
    """What was measured of one workload; a peer without a time has a reason instead."""

    name: str
    best: bool
    times: dict[str, Timing] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)

    def seconds(self, peer: str) -> float:
        """The time of one call."""
        return self.times[peer].typical(self.best)

    def ratio(self, peer: str) -> float | None:
        """Times that fnad is faster than the peer."""
        if peer not in self.times or "fnad" not in self.times:
            return None
        return self.seconds(peer) / self.seconds("fnad")

    def against_fastest(self) -> float | None:
        """Times that fnad is faster than the fastest peer."""
        ratios = [r for p in self.times if p != "fnad" and (r := self.ratio(p)) is not None]
        return min(ratios, default=None)


def run(options: Options) -> Report:
    """Measure all chosen workloads."""
    rows = []
    for workload in workloads.find(options.only):
        rows.append(measure_row(workload, options))
        print(_progress(rows[-1]), flush=True)
    peers = [p.name for p in options.peers]
    ok = not any(row.failures for row in rows)
    data = {"rows": [dataclasses.asdict(row) for row in rows], "means": _means(rows, peers)}
    return Report(_text(rows, peers), data, ok, _pictures(rows, options.out))


def measure_row(workload: Workload, options: Options) -> Row:
    """Prepare, compare and time one workload."""
    row = Row(workload.name, options.best)
    runs: dict[str, Run] = {}
    reference = None
    for peer in options.peers:
        prepared = _guarded(row, peer.name, partial(_first, peer, workload))
        if prepared is None:
            continue
        run, results = prepared
        if reference is not None:
            different = disagreement(reference, results, workload.tolerance)
            if different:
                row.failures[peer.name] = f"disagrees with {next(iter(runs))}: {different}"
                continue
        else:
            reference = results
        runs[peer.name] = run
    if runs:
        row.times.update(measure(runs, QUICK if options.quick else FULL))
    return row


def _first(peer: Peer, workload: Workload) -> tuple[Run, list[Any]] | None:
    """Compile; and the results of the first runs (of a training step: its first losses)."""
    run = peer.prepare(workload)
    if run is None:
        return None
    return run, [leaf for _ in range(_COMPARED_STEPS) for leaf in peer.leaves(run())]


def _guarded(row: Row, name: str, action: Callable[[], Any]) -> Any:
    """One framework's failure is a line of the report, not the end of the run."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return action()
    except LeftOutError as reason:
        row.skipped[name] = str(reason)
        return None
    except Exception as error:
        row.failures[name] = traceback.format_exception_only(error)[-1].strip()[:300]
        return None


def _progress(row: Row) -> str:
    times = "  ".join(f"{p} {seconds_text(row.seconds(p))}" for p in row.times)
    failures = "  ".join(f"{p}: {reason}" for p, reason in row.failures.items())
    return f"{row.name:32} {times}  {failures}".rstrip()


def _means(rows: list[Row], peers: list[str]) -> dict[str, float]:
    """Geometric means of the ratios over the rows that have them."""
    ratios = {p: [r for row in rows if (r := row.ratio(p)) is not None] for p in peers[1:]}
    ratios["fastest"] = [r for row in rows if (r := row.against_fastest()) is not None]
    return {p: statistics.geometric_mean(many) for p, many in ratios.items() if many}


def _text(rows: list[Row], peers: list[str]) -> str:
    """Rows that fall short first, worst first."""
    rows = sorted(rows, key=lambda row: row.against_fastest() or math.inf)
    header = ["workload", *peers, *(f"{p}/fnad" for p in peers[1:]), "fastest/fnad"]
    lines = []
    for row in rows:
        times = [
            f"{seconds_text(row.seconds(p))} ±{100 * t.spread:.0f}%"
            if (t := row.times.get(p))
            else "-"
            for p in peers
        ]
        ratios = [row.ratio(p) for p in peers[1:]] + [row.against_fastest()]
        lines.append([row.name, *times, *("-" if r is None else f"{r:.2f}" for r in ratios)])
    means = _means(rows, peers)
    shown = [f"{means[p]:.2f}" if p in means else "-" for p in (*peers[1:], "fastest")]
    lines.append(["geometric mean", *[""] * len(peers), *shown])
    reasons = [
        f"{row.name}, {p}: {why}" for row in rows for p, why in (row.failures | row.skipped).items()
    ]
    return "\n".join([table(header, lines), *reasons])


def _time_text(row: Row, peer: str) -> str:
    if peer not in row.times:
        return "-"
    return f"{seconds_text(row.seconds(peer))} ±{100 * row.times[peer].spread:.0f}%"


def _pictures(rows: list[Row], out: Path) -> list[Path]:
    try:
        from benchmarks.picture import ratios_picture
    except ImportError:
        print("no picture: matplotlib is not installed")
        return []
    path = out / "run.png"
    ratios = {
        row.name: {p: r for p in row.times if p != "fnad" and (r := row.ratio(p)) is not None}
        for row in rows
    }
    ratios_picture(ratios, path)
    return [path]
