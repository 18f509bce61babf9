"""The running time on a card of fnad and the peers, against what is to be reached there.

Rows are measured in another process, and written to ``OUT/cuda-CARD.json`` and ``.txt`` one by one;
rows that are there from earlier runs stay until they are measured again.
"""

from __future__ import annotations

import dataclasses
import json
import re
import shlex
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import environment
from benchmarks.card import process
from benchmarks.card.report import CACHED, ratio, seconds_of, text_of
from benchmarks.card.rows import Row, rows
from benchmarks.card.worker import first_calls
from benchmarks.child import ChildError, call_in_child
from benchmarks.formatting import seconds_text
from benchmarks.measure import Timing

RESULTS = Path(__file__).parents[1] / "results"
_QUICK_SECONDS = 450.0
# What a row, and a first call, may take; and in a quick run.
_ROW_SECONDS, _QUICK_ROW_SECONDS = 240.0, 90.0


@dataclass(frozen=True, slots=True)
class Choice:
    """What the command line asked for; ``seconds`` bounds the run, ``missing`` leaves out rows that
    have been measured."""

    peers: tuple[str, ...]
    quick: bool
    only: str
    out: Path
    seconds: float | None
    missing: bool


def card() -> dict[str, Any] | str:
    """The card and its driver, or why there is none."""
    try:
        return call_in_child("benchmarks.card.worker", "describe", timeout=120.0)
    except ChildError as reason:
        return str(reason)


def run(choice: Choice, card: dict[str, Any]) -> int:
    """Measure; the exit status is 1 if fnad, or the measurement of a row, failed."""
    record = Record(choice, card)
    start = time.monotonic()
    limit = choice.seconds or (_QUICK_SECONDS if choice.quick else None)

    def left() -> float:
        return float("inf") if limit is None else start + limit - time.monotonic()

    failed = False
    for result in _results(_chosen(choice, record.found), choice, left):
        record.add(result)
        failed = failed or bool(result.get("reason") or "fnad" in result.get("reasons", {}))
        print(_progress(result), flush=True)
    print(f"\n{record.text()}\n\n{time.monotonic() - start:.0f} s; wrote {record.path}.txt, .json")
    record.draw()
    return int(failed)


def _chosen(choice: Choice, found: dict[str, Any]) -> list[Row]:
    """Rows whose names contain the pattern; one that is a whole name stands alone."""
    everything = rows()
    named = [r for r in everything if r.name == choice.only]
    named = named or [r for r in everything if choice.only.lower() in r.name.lower()]
    if choice.quick and not choice.only:
        named = [row for row in named if row.quick]
    return [r for r in named if not (choice.missing and found.get(r.name, {}).get("times"))]


def _results(
    chosen: list[Row], choice: Choice, left: Callable[[], float]
) -> Iterator[dict[str, Any]]:
    names = [row.name for row in chosen if not row.first]

    def limit() -> float:
        return min(left(), _QUICK_ROW_SECONDS if choice.quick else _ROW_SECONDS)

    yield from process.measured_rows(names, choice.peers, choice.quick, limit)
    for row in chosen:
        if row.first and left() > 0:
            yield _first_calls(row, choice, limit)


def _first_calls(row: Row, choice: Choice, limit: Callable[[], float]) -> dict[str, Any]:
    """Each framework in a fresh process; fnad in two."""
    times: dict[str, Timing] = {}
    reasons: dict[str, str] = {}
    for peer in choice.peers:
        if peer == "cupy":
            continue
        try:
            if (limited := limit()) <= 0:
                raise ChildError("the time of the run was over")
            seconds = first_calls(peer, row.name, process.ENVIRONMENT, limited)
        except ChildError as error:
            reasons[peer] = str(error)
            continue
        for name, t in zip((peer, CACHED), seconds):
            times[name] = Timing(t, t, t, t, 1)
    kept = {name: dataclasses.asdict(t) for name, t in times.items()}
    return {"name": row.name, "times": kept, "reasons": reasons, "nbytes": 0, "reason": None}


def _progress(result: dict[str, Any]) -> str:
    found = result.get("times", {})
    times = "  ".join(f"{name} {seconds_text(t['median'])}" for name, t in found.items())
    reasons = "  ".join(f"{name}: {why}" for name, why in result.get("reasons", {}).items())
    return f"{result['name']:40} {times}  {reasons} {result.get('reason') or ''}".rstrip()


class Record:
    """The results of a card, on disk after every row."""

    def __init__(self, choice: Choice, card: dict[str, Any]) -> None:
        self._peers = choice.peers
        slug = re.sub(r"[^a-z0-9]+", "-", card["card"].lower()).strip("-")
        self.path = choice.out / f"cuda-{slug}"
        arguments = ["python", "-m", "benchmarks", *sys.argv[1:]]
        self._origin = {
            **card,
            **environment.describe(),
            "command": shlex.join(arguments),
        }
        try:
            self.found: dict[str, Any] = json.loads(self._file("json").read_text())["rows"]
        except FileNotFoundError:
            self.found = {}

    def _file(self, kind: str) -> Path:
        return self.path.with_name(f"{self.path.name}.{kind}")

    def add(self, result: dict[str, Any]) -> None:
        """Take a row over; one without figures does not take the place of one with them."""
        name = result["name"]
        if result.get("times") or not self.found.get(name, {}).get("times"):
            self.found[name] = {**result, "origin": self._origin}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._file("json").write_text(json.dumps({"rows": self.found}, indent=1) + "\n")
        self._file("txt").write_text(self.text() + "\n")

    def text(self) -> str:
        """The card, what the figures of each run belong to, and the table."""
        origins = [one["origin"] for one in self.found.values()] or [self._origin]
        lines = {
            "; ".join(f"{key} {value}" for key, value in origin.items() if value is not None): None
            for origin in origins
        }
        return "\n".join(lines) + "\n\n" + text_of(rows(), self.found, self._peers)

    def draw(self) -> None:
        """A picture of the ratios."""
        try:
            from benchmarks.picture import ratios_picture
        except ImportError:
            print("no picture: matplotlib is not installed")
            return
        ratios = {
            name: {p: r for p in self._peers[1:] if (r := ratio(one, p)) is not None}
            for name, one in self.found.items()
            if seconds_of(one, "fnad") is not None
        }
        if ratios:
            ratios_picture(ratios, self._file("png"))
