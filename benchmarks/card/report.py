"""The table of a card: every row, measured or not, and what was to be reached."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.card.rows import Aim, Row
from benchmarks.formatting import seconds_text, table

UNMEASURED = "not measured"
CACHED = "fnad, cached"
_GROUP_AIMS = {"training steps": Aim("jax", 1.2), "first calls": Aim("jax", 3.0)}

Found = Mapping[str, Any]  # a `Result` as JSON has it


def seconds_of(found: Found, name: str) -> float | None:
    """The time of a framework; of "copy" and "fastest" the least of several."""
    times = {k: t["median"] for k, t in found.get("times", {}).items()}
    if name == "copy":
        return min((t for k, t in times.items() if k.startswith("copy")), default=None)
    if name == "fastest":
        ours = ("fnad", CACHED)
        others = (t for k, t in times.items() if k not in ours and not k.startswith("copy"))
        return min(others, default=None)
    return times.get(name)


def ratio(found: Found, against: str) -> float | None:
    """How many times the time of fnad that of something else is."""
    ours, theirs = seconds_of(found, "fnad"), seconds_of(found, against)
    return None if ours is None or theirs is None else theirs / ours


def text_of(rows: Sequence[Row], found: Mapping[str, Found], peers: Sequence[str]) -> str:
    """The table, averages of groups, and reasons."""
    columns = ["fnad", CACHED, *peers[1:], "copy"]
    header = ["on the card", *columns, "fnad does", "fnad against (aim)", "reached"]
    lines, reasons = [], []
    for row in rows:
        one = found.get(row.name, {})
        lines.append(_line(row, one, columns))
        if one.get("reason"):
            reasons.append(f"{row.name}: {UNMEASURED}: {one['reason']}")
        reasons += [f"{row.name}, {p}: {why}" for p, why in one.get("reasons", {}).items()]
    if any(row.name not in found for row in rows):
        reasons.append(f"all others without figures: {UNMEASURED}: not chosen, or out of time")
    parts = [table(header, lines), *_averages(rows, found)]
    return "\n\n".join([*parts, "\n".join(reasons)]).rstrip()


def _line(row: Row, found: Found, columns: Sequence[str]) -> list[str]:
    if not found.get("times"):
        return [row.name, UNMEASURED, *[""] * (len(columns) + 2)]
    missing = {"fnad", *found.get("reasons", {})}
    seconds = {column: seconds_of(found, column) for column in columns}
    cells = [
        seconds_text(t) if t is not None else UNMEASURED if column in missing else "-"
        for column, t in seconds.items()
    ]
    ratios = [(aim, ratio(found, aim.against)) for aim in row.aims]
    shown = [f"{a.against} {r:.2f} ({a.at_least:g})" for a, r in ratios if r is not None]
    known = [r >= aim.at_least for aim, r in ratios if r is not None]
    reached = "-" if len(known) < len(ratios) else "yes" if all(known) else "no"
    return [row.name, *cells, _rate(row, found), ", ".join(shown) or "-", reached]


def _rate(row: Row, found: Found) -> str:
    seconds = seconds_of(found, "fnad")
    if seconds is None or row.first:
        return "-"
    if row.flops:
        return f"{row.flops / seconds / 1e12:.3g} TFLOP/s"
    return f"{found['nbytes'] / seconds / 1e9:.3g} GB/s" if row.aims[0].against == "copy" else "-"


def _averages(rows: Sequence[Row], found: Mapping[str, Found]) -> list[str]:
    lines = []
    for group in dict.fromkeys(row.group for row in rows):
        names = [row.name for row in rows if row.group == group and row.name in found]
        for against in ("copy", "jax", "torch", "fastest"):
            ratios = [r for n in names if (r := ratio(found[n], against)) is not None]
            if ratios:
                aim = _GROUP_AIMS.get(group)
                wanted = f"{aim.at_least:g}" if aim and aim.against == against else "-"
                mean = f"{statistics.geometric_mean(ratios):.2f}"
                lines.append([f"{group}, {against}/fnad", f"{len(ratios)}", mean, wanted])
    return [table(["geometric mean", "rows", "ratio", "aim"], lines)] if lines else []
