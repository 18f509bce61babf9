"""Python's cyclic garbage collector, out of the way while programs are rewritten and compiled."""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_lock = threading.Lock()
_depth = 0
_was_enabled = False
_MANY = 3_000


@contextmanager
def collection_paused() -> Iterator[None]:
    """Collect no cycles within the block, in which all that is made stays in use anyway.

    Rewriting makes objects by the million; the collector would walk over all of them again and
    again (a third of the time of planning 10,000 equations) and find nothing.
    """
    global _depth, _was_enabled
    with _lock:
        if _depth == 0:
            _was_enabled = gc.isenabled()
            gc.disable()
        _depth += 1
    try:
        yield
    finally:
        with _lock:
            _depth -= 1
            if _depth == 0 and _was_enabled:
                _let_be()
                gc.enable()


def _let_be() -> None:
    """Count a great many new objects as old ones, rather than walk over them right now.

    What is frozen and thawed belongs to the oldest generation. After small blocks the collector
    goes on as usual, lest blocks in a loop keep it from ever running.
    """
    if gc.get_count()[0] > _MANY and gc.get_freeze_count() == 0:
        gc.freeze()
        gc.unfreeze()
