"""The process that measures rows on a card: ``python -m benchmarks.card.worker ARGUMENTS``.

A kernel that fails takes the process's card away, and one that hangs its time: so rows are measured
in a process that can be ended, and begun again behind the row that failed. The arguments are
written in JSON; what it finds is printed as a line of JSON for each row, behind ``MARK``.
"""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from typing import Any

from benchmarks.card.measuring import FULL, QUICK, measure_row
from benchmarks.card.peers import CARD_PEERS, CardPeer, Place, precision, the_card
from benchmarks.card.rows import Row, rows
from benchmarks.child import call_in_child
from benchmarks.workloads import large

MARK = "@row "
# With less of the card's memory free than this, the next row begins in a process of its own: JAX
# keeps what it once had.
_ENOUGH_FREE = 0.7
# Starts what every process starts once.
_TRIVIAL = large.unary("trivial", "7", large.chain, large.torch_chain, (7,), 1e-5)


def describe() -> dict[str, Any]:
    """The card and its driver; fails where there is none."""
    import cupy

    runtime = cupy.cuda.runtime
    properties = runtime.getDeviceProperties(cupy.cuda.Device().id)
    command = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        driver = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        driver = ""
    return {
        "card": properties["name"].decode(),
        "compute_capability": f"{properties['major']}.{properties['minor']}",
        "memory_bytes": int(properties["totalGlobalMem"]),
        "driver": driver or None,
        "cupy": cupy.__version__,
        "driver_cuda": runtime.driverGetVersion(),
        "runtime_cuda": runtime.runtimeGetVersion(),
    }


def measured(
    chosen: list[Row], peers: list[CardPeer], place: Place, quick: bool
) -> Iterator[dict[str, Any]]:
    """What is found of each row, until the process is used up."""
    for row in chosen:
        result = measure_row(row, peers, place, QUICK if quick else FULL)
        yield dataclasses.asdict(result)
        try:
            free, total = place.free_bytes()
        except Exception:  # a kernel has failed, and with it all that comes after
            return
        if free < _ENOUGH_FREE * total:
            return


def first_calls(peer: str, name: str, environment: dict[str, str], limit: float) -> list[float]:
    """Seconds of first calls in fresh processes: with empty caches, and for fnad with warm ones."""
    with tempfile.TemporaryDirectory() as cache:
        places = {
            variable: f"{cache}/{variable}"
            for variable in (
                "FNAD_CACHE_DIR",
                "CUPY_CACHE_DIR",
                "CUDA_CACHE_PATH",
                "TRITON_CACHE_DIR",
                "TORCHINDUCTOR_CACHE_DIR",
            )
        }
        return [
            call_in_child(
                __name__, "first_call", peer, name, environment=environment | places, timeout=limit
            )
            for _ in range(2 if peer == "fnad" else 1)
        ]


def first_call(peer: str, name: str) -> float:
    """Seconds of a row's first run, less those of a later one; called in a child."""
    row = next(row for row in rows() if row.name == name)
    return seconds_of_first(CARD_PEERS[peer], row, the_card())


def seconds_of_first(peer: CardPeer, row: Row, place: Place) -> float:
    """The same, of a row at a place."""
    with precision(row.precision), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        times: list[float] = []
        for workload in (_TRIVIAL, row.workload):
            run = peer.prepare(workload, place)
            if run is None:
                raise SystemExit(f"{peer.name} has no version of {row.workload.name}")
            place.wait()
            times = []
            for _ in range(4):
                start = time.perf_counter()
                peer.wait(run(), place)
                times.append(time.perf_counter() - start)
    return times[0] - min(times[1:])


def _main(names: list[str], peers: list[str], quick: bool) -> None:
    by_name = {row.name: row for row in rows()}
    chosen = [by_name[name] for name in names]
    for found in measured(chosen, [CARD_PEERS[p] for p in peers], the_card(), quick):
        print(MARK + json.dumps(found), flush=True)


if __name__ == "__main__":
    _main(*json.loads(sys.argv[1]))
    os._exit(0)  # what frees memory on a card that failed fails too
