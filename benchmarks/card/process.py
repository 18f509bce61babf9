"""Runs the worker: rows one after the other, each within its time, whatever befalls one."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any

from benchmarks.card.worker import MARK

_ROOT = Path(__file__).parents[2]
# Of every process on the card. JAX else takes three quarters of the card's memory.
ENVIRONMENT = {"XLA_PYTHON_CLIENT_PREALLOCATE": "false", "TF_CPP_MIN_LOG_LEVEL": "2"}
WORKER = (sys.executable, "-m", "benchmarks.card.worker")


def measured_rows(
    names: Sequence[str],
    peers: Sequence[str],
    quick: bool,
    limit: Callable[[], float],
    command: Sequence[str] = WORKER,
) -> Iterator[dict[str, Any]]:
    """What is found of each row; a row that fails or outlasts ``limit()`` seconds says so.

    ``limit`` is asked before each row; the rows end when it is not positive.
    """
    left = list(names)
    while left and limit() > 0:
        before = len(left)
        for found in _one_worker([*command, json.dumps([left, list(peers), quick])], limit):
            yield found if "name" in found else {"name": left[0], **found}
            left.pop(0)
        if len(left) == before:
            yield {"name": left.pop(0), "reason": "the process that measures rows ended at once"}


def _one_worker(command: list[str], limit: Callable[[], float]) -> Iterator[dict[str, Any]]:
    """What one process finds; at its end, if it failed, why the row that it was at has no figures.

    A process that ends well before it has come to all rows is no failure.
    """
    process = subprocess.Popen(
        command,
        cwd=_ROOT,
        env={**os.environ, **ENVIRONMENT},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None and process.stderr is not None
    lines: queue.Queue[str | None] = queue.Queue()
    errors: list[str] = []
    readers = [
        threading.Thread(target=_read, args=(process.stdout, lines.put), daemon=True),
        threading.Thread(target=_read, args=(process.stderr, errors.append), daemon=True),
    ]
    for reader in readers:
        reader.start()
    try:
        while (seconds := limit()) > 0:
            try:
                line = _next_row(lines, seconds)
            except queue.Empty:
                yield {"reason": f"over {seconds:.0f} s"}
                return
            if line is None:
                if process.wait():
                    readers[1].join()
                    told = [e for e in errors if e and e.strip()]
                    said = [told[-1].strip()[:300]] if told else []
                    yield {"reason": ": ".join([f"exit status {process.returncode}", *said])}
                return
            yield json.loads(line)
    finally:
        process.kill()
        process.wait()


def _read(stream: IO[str], take: Callable[[Any], None]) -> None:
    for line in stream:
        take(line)
    take(None)


def _next_row(lines: queue.Queue[str | None], seconds: float) -> str | None:
    """The next line about a row, or None at the end; raises ``queue.Empty`` after the seconds."""
    end = time.monotonic() + seconds
    while True:
        line = lines.get(timeout=max(end - time.monotonic(), 0.001))
        if line is None or line.startswith(MARK):
            return None if line is None else line.removeprefix(MARK)
