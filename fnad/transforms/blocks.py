"""Functions of elements that are compiled also where they are called outside of all traces.

NumPy takes milliseconds for what loops over arrays of a few numbers compute in microseconds. One
program for each shape would be compiled over and over, and one of dynamic sizes is traced, planned
and printed, twice, by every process. So there are programs for blocks of a few fixed sizes, which
are kept on disk as those of `jit` are, and arrays of any size are divided into such blocks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import wraps
from typing import Any

import numpy as np

from fnad.core import tree
from fnad.core.checks import jit_is_disabled
from fnad.core.flat_function import function_name
from fnad.core.garbage import collection_paused
from fnad.core.tracer import current_trace, trace_to_jaxpr
from fnad.core.types import ShapedArray
from fnad.lowering import compile_jaxpr
from fnad.primitives.shape import transpose

# A few numbers; as many as make the price of a call small; enough to be divided among threads.
_FEW, _SOME, _MANY = 16, 512, 131072


def compiled_elementwise(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile an elementwise function of arrays where nothing is being traced.

    Within traces, for other arrays than NumPy's own, and where `jit` is disabled, it is the
    function itself. It returns an array or a tuple of them, of the shape that the operands
    broadcast to, before which there may be more axes, and must close over no array that changes.
    """

    def of_rows(*operands: Any) -> list[Any]:
        outs = tree.leaves(function(*operands))
        return [transpose(out, (out.ndim - 1, *range(out.ndim - 1))) for out in outs]

    of_rows.__name__ = function_name(function)
    compiled = _Blocks(of_rows)

    @wraps(function)
    def called(*operands: Any) -> Any:
        if not _are_compiled(operands):
            return function(*operands)
        if any(x.shape != operands[0].shape for x in operands):
            operands = np.broadcast_arrays(*operands)
        shape = operands[0].shape
        outs = [
            np.moveaxis(out, 0, -1).reshape((*out.shape[1:], *shape))[()]
            for out in compiled([x.ravel() for x in operands])
        ]
        return outs[0] if len(outs) == 1 else tuple(outs)

    return called


def compiled_by_rows(function: Callable[..., Any]) -> Callable[..., Any]:
    """The same for a function of rows: of arrays with one leading axis, which its result has, too.

    A row of the result depends on those in its place alone.
    """
    compiled = _Blocks(function)

    @wraps(function)
    def called(*operands: Any) -> Any:
        return compiled(operands)[0] if _are_compiled(operands) else function(*operands)

    return called


def _are_compiled(operands: Sequence[Any]) -> bool:
    return (
        current_trace() is None
        and not jit_is_disabled()
        and all(type(x) is np.ndarray or isinstance(x, np.generic) for x in operands)
        and all(x.size for x in operands)
    )


class _Blocks:
    """The programs of a function of rows."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function
        self._programs: dict[Any, _Program] = {}

    def __call__(self, operands: Sequence[np.ndarray]) -> list[np.ndarray]:
        n = len(operands[0])
        size = _FEW if n <= _FEW else _SOME
        if n <= size:
            return [out[:n] for out in self._run([_filled(x, size) for x in operands])]
        results: list[np.ndarray] = []
        for start, stop in _ranges(n):
            outs = self._run([x[start:stop] for x in operands])
            results = results or [np.empty((n, *out.shape[1:]), out.dtype) for out in outs]
            for result, out in zip(results, outs, strict=True):
                result[start:stop] = out
        return results

    def _run(self, block: Sequence[np.ndarray]) -> list[np.ndarray]:
        key = tuple([(x.shape, x.dtype) for x in block])
        program = self._programs.get(key)
        if program is None:
            program = self._programs.setdefault(key, _Program(self._function, block))
        return program(block)


class _Program:
    """A function compiled for blocks like this one."""

    def __init__(self, function: Callable[..., Any], block: Sequence[np.ndarray]) -> None:
        avals = [ShapedArray(x.shape, x.dtype) for x in block]
        with collection_paused():
            jaxpr, self._consts = trace_to_jaxpr(
                lambda *xs: tree.leaves(function(*xs)), avals, function_name(function)
            )
        self._run = compile_jaxpr(jaxpr)

    def __call__(self, block: Sequence[np.ndarray]) -> list[np.ndarray]:
        return self._run([*self._consts, *block])


def _ranges(n: int) -> Iterator[tuple[int, int]]:
    """Blocks that cover ``n`` rows; the last one may begin within the one before."""
    start = 0
    while start < n:
        size = _MANY if n - start >= _MANY else _SOME
        start = min(start, n - size)
        yield start, start + size
        start += size


def _filled(x: np.ndarray, size: int) -> np.ndarray:
    """A block that begins with ``x``; its last row again adds no turns to loops."""
    block = np.empty((size, *x.shape[1:]), x.dtype)
    block[: len(x)] = x
    block[len(x) :] = x[-1]
    return block
