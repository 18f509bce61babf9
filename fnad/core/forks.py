"""Forks of the process, which wait until no other thread compiles.

A child has only the thread that forked. What the others had locked would stay locked in it, and
what they were changing half changed: fnad's own state and the compiler's.
"""

from __future__ import annotations

import concurrent.futures.thread  # noqa: F401 (it registers for forks before this module does)
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_changed = threading.Condition()
_count = 0  # blocks in which threads are now
_forker = 0  # the thread that forks, if one does


class _Thread(threading.local):
    depth = 0  # blocks in which this thread is


_thread = _Thread()


@contextmanager
def forks_deferred() -> Iterator[None]:
    """Let no other thread fork within the block."""
    global _count
    with _changed:
        # A fork has its turn once nobody compiles; what compiles now may need more threads.
        _changed.wait_for(_may_begin)
        _count += 1
        _thread.depth += 1
    try:
        yield
    finally:
        with _changed:
            _count -= 1
            _thread.depth -= 1
            if _count == 0:
                _changed.notify_all()


# Functions, since making one may start the collector, whose finalizers take LLVM's lock.
def _may_begin() -> bool:
    return _count > 0 or _forker in (0, threading.get_ident())


def _nobody_is_busy() -> bool:
    return _count == 0


def _before() -> None:
    """Wait for the others, and let nobody begin until the fork is done."""
    global _forker
    _changed.acquire()
    _forker = threading.get_ident()
    if not _thread.depth:  # others may wait for what this thread has locked
        _changed.wait_for(_nobody_is_busy)


def _in_parent() -> None:
    global _forker
    _forker = 0
    _changed.notify_all()
    _changed.release()


def _in_child() -> None:
    """Start with a condition for which nobody waits."""
    global _changed, _count, _forker
    _changed = threading.Condition()
    _forker = 0
    _count = _thread.depth


if hasattr(os, "register_at_fork"):
    # Who registers last is called first, and who waits for compilations must not have locked the
    # pools of threads that they start.
    os.register_at_fork(before=_before, after_in_parent=_in_parent, after_in_child=_in_child)
