"""Keeps SciPy's BLAS on one thread while programs of small matrix products run.

OpenBLAS splits even products of a millisecond over all cores and waits for the slowest by
spinning. With any other load on the machine each such wait costs a time slice of the scheduler,
many times the product itself; so threads are left to products that last long enough to gain.
"""

from __future__ import annotations

import ctypes
import functools
import threading
from collections.abc import Callable, Iterator
from typing import Any

from scipy.linalg import cython_blas

from fnad.lowering.plan import Branch, Contraction, For, Node, Plan, While

# Multiplications of one product (about 5 ms on one core) from which on threads are worth it.
_WORTH_THREADS = 2**28

Entry = Callable[[Any, Any], None]


class _Limit:
    """The process-wide number of BLAS threads, 1 while any program has asked for that."""

    def __init__(self, get: Callable[[], int], set_: Callable[[int], None]) -> None:
        self._get, self._set = get, set_
        self._lock = threading.Lock()
        self._active = 0
        self._saved = get()

    def enter(self) -> None:
        with self._lock:
            if self._active == 0:
                self._saved = self._get()
                self._set(1)
            self._active += 1

    def leave(self) -> None:
        with self._lock:
            self._active -= 1
            if self._active == 0:
                self._set(self._saved)


@functools.cache
def _limit() -> _Limit | None:
    """The control of the BLAS that SciPy brings, or None if it brings another than OpenBLAS."""
    # Looking a symbol up in SciPy's module finds those of the libraries it is linked to.
    library = ctypes.CDLL(cython_blas.__file__)
    for prefix in ("scipy_", ""):
        for suffix in ("", "64_", "_64"):
            try:
                get = getattr(library, f"{prefix}openblas_get_num_threads{suffix}")
                set_ = getattr(library, f"{prefix}openblas_set_num_threads{suffix}")
            except AttributeError:
                continue
            get.restype, set_.restype, set_.argtypes = ctypes.c_int, None, [ctypes.c_int]
            return _Limit(get, set_)
    return None


def _contractions(body: tuple[Node, ...]) -> Iterator[Contraction]:
    for node in body:
        if isinstance(node, Contraction):
            yield node
        elif isinstance(node, For):
            yield from _contractions(node.body)
        elif isinstance(node, While):
            yield from _contractions((*node.condition, *node.body))
        elif isinstance(node, Branch):
            for branch in node.branches:
                yield from _contractions(branch)


def with_few_threads(plan: Plan, entry: Entry) -> Entry:
    """``entry``, run with BLAS on one thread if no matrix product of the plan is large."""
    products = [c.m * c.n * c.k for c in _contractions(plan.body)]
    if not products or max(products) >= _WORTH_THREADS:
        return entry
    limit = _limit()
    if limit is None:
        return entry

    def run(table: Any, arena: Any) -> None:
        limit.enter()
        try:
            entry(table, arena)
        finally:
            limit.leave()

    return run
