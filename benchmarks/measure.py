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


def measure(runs: Mapping[str, Callable[[], Any]], effort: Effort) -> dict[str, Timing]:
    """Time the functions, which have run before, one sample of each in turn."""
    once = {name: min(seconds(run, 1) for _ in range(3)) for name, run in runs.items()}
    calls = {name: max(1, math.ceil(effort.sample_seconds / t)) for name, t in once.items()}
    # Each sample is preceded by an untimed one, which fetches the peer's own data into caches and
    # wakes its threads.
    one_round = sum(2 * once[name] * calls[name] + _PAUSE for name in runs)
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
                seconds(runs[name], calls[name])
                samples[name].append(seconds(runs[name], calls[name]))
    finally:
        gc.enable()
    return {name: summary(times) for name, times in samples.items()}


def summary(times: list[float]) -> Timing:
    """Median, quartiles and minimum."""
    lower, median, upper = statistics.quantiles(times, n=4, method="inclusive")
    return Timing(min(times), median, lower, upper, len(times))
