"""Functions that compute each result once, whichever threads ask for it."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Hashable
from typing import TypeVar

from fnad.core.forks import forks_deferred

T = TypeVar("T")


def once(function: Callable[..., T]) -> Callable[..., T]:
    """`functools.cache`, but threads that ask for the same at the same time wait for the first.

    What ``function`` does must not depend on the thread; it may call itself for other arguments.
    """
    results: dict[Hashable, T] = {}
    locks: dict[Hashable, threading.RLock] = {}  # setdefault is atomic

    @functools.wraps(function)
    def cached(*args: Hashable) -> T:
        try:
            return results[args]
        except KeyError:
            pass
        with forks_deferred(), locks.setdefault(args, threading.RLock()):
            if args not in results:
                results[args] = function(*args)
            return results[args]

    return cached
