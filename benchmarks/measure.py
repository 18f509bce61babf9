"""Timing several functions in turn, so that all see the same machine."""

from __future__ import annotations

import gc
import math
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

# Pools of threads spin for a while after their work (OpenMP's some milliseconds); the next peer
# should not run beside that.
_PAUSE = 0.01

# After the pause threads and processors sleep. A host that shares its processors takes up to some
# milliseconds to run one again; who waits for it has it in his next call, who goes on alone only
# some calls later.
_WARMING = 0.01

# How many rounds of a comparison may leave garbage before it is collected between two of them.
_ROUNDS_OF_GARBAGE = 20


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds of one call: the median of the samples, their quartiles, and the best of them."""

    best: float
    median: float
    lower: float
    upper: float
    samples: int

    def typical(self, best: bool) -> float:
        """The median; or the best, which other work on the machine disturbs less."""
        return self.best if best else self.median

    @property
    def spread(self) -> float:
        """Half the distance of the quartiles, relative to the median."""
        return (self.upper - self.lower) / (2 * self.median)


@dataclass(frozen=True, slots=True)
class Effort:
    """How long to measure: the shortest sample, and what all samples of a row may take."""

    sample_seconds: float
    row_seconds: float
    fewest_samples: int


QUICK = Effort(sample_seconds=0.001, row_seconds=0.6, fewest_samples=5)
FULL = Effort(sample_seconds=0.002, row_seconds=4.0, fewest_samples=11)


def seconds(run: Callable[[], Any], calls: int) -> float:
    """The time of one call, averaged over ``calls``."""
    repeat = range(calls)
    start = time.perf_counter()
    for _ in repeat:
        run()
    return (time.perf_counter() - start) / calls


@dataclass(frozen=True, slots=True)
class Comparison:
    """Times of two functions, and quartiles of the ratios of neighbouring samples."""

    ours: Timing
    other: Timing
    ratio: float
    lower: float
    upper: float


def compare(ours: Callable[[], Any], other: Callable[[], Any], effort: Effort) -> Comparison:
    """Time two functions that take nearly the same, and how much longer ``ours`` takes.

    Short samples follow each other at once, one of the first, two of the second and one of the
    first, so that a machine that becomes slower or faster does so for both; the next four begin
    with the other function. Each four give a ratio, and these tell differences apart that are
    smaller than what the times themselves vary by.
    """
    once = max(min(seconds(run, 1) for _ in range(3)) for run in (ours, other))
    calls = max(1, math.ceil(effort.sample_seconds / (4 * once)))
    rounds = int(effort.row_seconds / (4 * calls * once))
    rounds = max(3 * effort.fewest_samples, min(400, rounds))
    times: tuple[list[float], list[float]] = ([], [])
    gc.disable()
    try:
        for i in range(rounds):
            if i % _ROUNDS_OF_GARBAGE == 0:
                gc.collect()
            order = (0, 1) if i % 2 == 0 else (1, 0)
            four = [seconds((ours, other)[k], calls) for k in (*order, *order[::-1])]
            times[order[0]].append((four[0] + four[3]) / 2)
            times[order[1]].append((four[1] + four[2]) / 2)
    finally:
        gc.enable()
    ratio = summary([a / b for a, b in zip(*times, strict=True)])
    return Comparison(summary(times[0]), summary(times[1]), ratio.median, ratio.lower, ratio.upper)


def measure(runs: Mapping[str, Callable[[], Any]], effort: Effort) -> dict[str, Timing]:
    """Time the functions, which have run before, one sample of each in turn."""
    once = {name: min(seconds(run, 1) for _ in range(3)) for name, run in runs.items()}
    calls = {name: max(1, math.ceil(effort.sample_seconds / t)) for name, t in once.items()}
    # Each sample is preceded by untimed calls, which fetch the peer's own data into caches and wake
    # its threads.
    warming = {name: max(calls[name], math.ceil(_WARMING / t)) for name, t in once.items()}
    one_round = sum(once[name] * (calls[name] + warming[name]) + _PAUSE for name in runs)
    rounds = max(effort.fewest_samples, min(200, int(effort.row_seconds / one_round)))
    samples: dict[str, list[float]] = {name: [] for name in runs}
    names = list(runs)
    gc.collect()
    gc.disable()
    try:
        for i in range(rounds):
            first = i % len(names)
            for name in (*names[first:], *names[:first]):
                time.sleep(_PAUSE)
                seconds(runs[name], warming[name])
                samples[name].append(seconds(runs[name], calls[name]))
    finally:
        gc.enable()
    return {name: summary(times) for name, times in samples.items()}


def summary(times: list[float]) -> Timing:
    """Median, quartiles and minimum."""
    lower, median, upper = statistics.quantiles(times, n=4, method="inclusive")
    return Timing(min(times), median, lower, upper, len(times))
