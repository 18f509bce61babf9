"""Measures one row on a card: compares what the frameworks compute, and times them in turn."""

from __future__ import annotations

import math
import time
import traceback
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from benchmarks.agreement import disagreement
from benchmarks.card.peers import CardPeer, Place, precision
from benchmarks.card.rows import Row
from benchmarks.measure import Effort, Timing, measure
from benchmarks.peers import Run
from benchmarks.workload import LeftOutError

# One sample is many calls, and a wait for the last of them: so the host may be ahead of the card.
QUICK = Effort(sample_seconds=0.02, row_seconds=0.8, fewest_samples=5)
FULL = Effort(sample_seconds=0.05, row_seconds=4.0, fewest_samples=11)

_MOST_CALLS = 2000
_COMPARED_STEPS = 3
_COMPARED_ELEMENTS = 1 << 22


@dataclass(slots=True)
class Result:
    """What was found: seconds of a call by framework, or a reason by framework or for all."""

    name: str
    times: dict[str, Timing] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)
    nbytes: int = 0
    reason: str | None = None


def measure_row(row: Row, peers: Sequence[CardPeer], place: Place, effort: Effort) -> Result:
    """Prepare, compare and time the frameworks."""
    result = Result(row.name)
    with precision(row.precision), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ready = _agreeing(row, peers, place, result)
        if ready:
            samplers = {p.name: _sampler(run, p, place) for p, run in ready.items()}
            try:
                if row.aims[0].against == "copy":
                    samplers |= _copies(result.nbytes, place, "torch" in samplers)
                result.times = _timed(samplers, effort)
            except Exception as error:
                result.reason = _said(error)
    return result


def _said(error: Exception) -> str:
    return traceback.format_exception_only(error)[-1].strip()[:300]


def _agreeing(
    row: Row, peers: Sequence[CardPeer], place: Place, result: Result
) -> dict[CardPeer, Run]:
    """The runs of those whose results are those of the first peer that has some.

    fnad is compared with a peer, not the other way round.
    """
    ready: dict[CardPeer, Run] = {}
    reference: tuple[str, list[np.ndarray]] | None = None
    for peer in sorted(peers, key=lambda p: p.name == "fnad"):
        try:
            prepared = _first_results(row, peer, place, result)
        except LeftOutError as reason:
            result.reasons[peer.name] = str(reason)
            continue
        except Exception as error:
            result.reasons[peer.name] = _said(error)
            continue
        if prepared is None:
            continue
        run, found = prepared
        if reference is None:
            reference = peer.name, found
        elif different := disagreement(found, reference[1], row.workload.tolerance):
            result.reasons[peer.name] = f"disagrees with {reference[0]}: {different}"
            continue
        ready[peer] = run
    return ready


def _first_results(
    row: Row, peer: CardPeer, place: Place, result: Result
) -> tuple[Run, list[np.ndarray]] | None:
    """Compile; and the results of the first run, or the first losses of a training step."""
    if peer.name == "cupy" and not row.cupy:
        return None
    run = peer.prepare(row.workload, place)
    if run is None:
        return None
    runs = _COMPARED_STEPS if row.group.endswith("steps") else 1
    leaves = [leaf for _ in range(runs) for leaf in peer.leaves(run(), place)]
    if not result.nbytes:
        result.nbytes = sum(x.nbytes for x in (*_arguments(row), *leaves))
    return run, [_sample(leaf) for leaf in leaves]


def _arguments(row: Row) -> list[np.ndarray]:
    """What a run that moves its arguments once has to read."""
    from fnad import tree

    return [] if row.aims[0].against != "copy" else tree.leaves(row.workload.fnad().arguments)


def _sample(leaf: np.ndarray) -> np.ndarray:
    """Elements of a large array, an odd distance apart: some of every part and column."""
    step = math.ceil(leaf.size / _COMPARED_ELEMENTS)
    return leaf if step == 1 or leaf.size == 0 else leaf.reshape(-1)[:: step | 1].copy()


# -- timing -------------------------------------------------------------------------------------

Sampler = Callable[[int], None]


def _sampler(run: Run, peer: CardPeer, place: Place) -> Sampler:
    """So many calls, and a wait for the last one's results."""

    def sample(calls: int) -> None:
        results: Any = None
        for _ in range(calls):
            results = run()
        peer.wait(results, place)

    return sample


def _copies(nbytes: int, place: Place, with_torch: bool) -> dict[str, Sampler]:
    """Copies that read and write ``nbytes`` in all, as CuPy and as PyTorch make them."""
    source = place.arrays.ones(nbytes // 2, np.uint8)
    target = place.arrays.empty_like(source)
    runs: dict[str, Run] = {"copy (cupy)": lambda: place.arrays.copyto(target, source)}
    if with_torch:
        import torch

        given = torch.ones(nbytes // 2, dtype=torch.uint8, device=place.torch)
        taken = torch.empty_like(given)
        runs["copy (torch)"] = lambda: taken.copy_(given)

    def sampler(run: Run) -> Sampler:
        def sample(calls: int) -> None:
            for _ in range(calls):
                run()
            place.wait()

        return sample

    return {name: sampler(run) for name, run in runs.items()}


def _timed(samplers: dict[str, Sampler], effort: Effort) -> dict[str, Timing]:
    """Seconds of one call of each, in samples taken in turn."""
    calls = {name: _calls(sample, effort.sample_seconds) for name, sample in samplers.items()}
    runs = {
        name: lambda sample=sample, count=calls[name]: sample(count)
        for name, sample in samplers.items()
    }
    once = Effort(0.0, effort.row_seconds, effort.fewest_samples)
    return {name: _divided(t, calls[name]) for name, t in measure(runs, once).items()}


def _calls(sample: Sampler, seconds: float) -> int:
    """How many calls take so long."""
    sample(2)
    calls = 1
    for _ in range(3):
        start = time.perf_counter()
        sample(calls)
        each = (time.perf_counter() - start) / calls
        calls = min(max(math.ceil(seconds / each), 1), _MOST_CALLS)
    return calls


def _divided(timing: Timing, calls: int) -> Timing:
    best, median, lower, upper = (
        t / calls for t in (timing.best, timing.median, timing.lower, timing.upper)
    )
    return Timing(best, median, lower, upper, timing.samples)
