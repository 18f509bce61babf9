"""What the command line asked for, as the suites see it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.peers import Peer


@dataclass(frozen=True, slots=True)
class Options:
    """Settings of a run; ``peers`` are those that can run here, fnad first;
    ``best`` compares the best samples in place of the medians."""

    peers: tuple[Peer, ...]
    quick: bool
    best: bool
    only: str
    out: Path


@dataclass(frozen=True, slots=True)
class Report:
    """What a suite found: a table to read, the figures, and whether what must hold did."""

    text: str
    data: dict[str, Any]
    ok: bool = True
    pictures: list[Path] = field(default_factory=list)
