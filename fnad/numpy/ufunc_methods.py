"""NumPy's methods of ufuncs, as attributes of the functions: ``fnp.add.reduce``, ``fnp.add.outer``.

The functions stay plain ones, which cost nothing more to call. Where there is a reduction, a
running sum or an indexed update of the same meaning, it does the work; associative functions are
applied to neighbours; what is neither goes through the elements one by one (`user_ufuncs`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fnad.numpy import reductions, ufuncs
from fnad.numpy.creation import asarray
from fnad.numpy.operands import Array, convert, refuse_out
from fnad.numpy.reductions import keep_axes, sum_dtype
from fnad.numpy.selection import where as chosen
from fnad.numpy.updates import at
from fnad.numpy.user_ufuncs import reduced_axes, ufunc
from fnad.primitives import associative, cumulative
from fnad.primitives.shape import canonicalize_axis

_SUMS: dict[str, Callable[..., Array]] = {"add": reductions.sum, "multiply": reductions.prod}
_EXTREMES: dict[str, Callable[..., Array]] = {"maximum": reductions.max, "minimum": reductions.min}
_LOGICAL = {"logical_and", "logical_or", "logical_xor"}
_ASSOCIATIVE = _LOGICAL | {
    "bitwise_and", "bitwise_or", "bitwise_xor", "logaddexp", "logaddexp2", "gcd", "hypot",
}  # fmt: skip
_RUNNING_SUMS = {"add": reductions.cumsum, "multiply": reductions.cumprod}
_RUNNING_EXTREMES = {"maximum": cumulative.cummax, "minimum": cumulative.cummin}
_UPDATES = {
    "add": "add", "subtract": "subtract", "multiply": "multiply", "maximum": "max",
    "minimum": "min",
}  # fmt: skip


class UfuncMethods:
    """The methods of one of the functions: NumPy's, but that `at` returns what it makes.

    Parameters
    ----------
    name : str
        NumPy's name of the ufunc.
    function : callable
        The function of `fnad.numpy`.
    """

    def __init__(self, name: str, function: Callable[..., Array]) -> None:
        theirs: np.ufunc = getattr(np, name)
        self._name = name
        self._function = function
        self._general = ufunc(function, theirs.nin, theirs.nout, identity=theirs.identity)

    def reduce(
        self,
        a: Any,
        axis: int | tuple[int, ...] | None = 0,
        dtype: Any = None,
        out: None = None,
        keepdims: bool = False,
        initial: Any = None,
        where: Any = None,
    ) -> Array:
        """The function applied along axes (None: all); see `numpy.ufunc.reduce`."""
        refuse_out(f"{self._name}.reduce", out)
        x = asarray(a, dtype)
        axis = reduced_axes(axis, x.ndim)
        if self._name in _SUMS:
            return _SUMS[self._name](x, axis, dtype, None, keepdims, initial, where)
        if self._name in _EXTREMES:
            return _EXTREMES[self._name](x, axis, None, keepdims, initial, where)
        if self._name not in _ASSOCIATIVE:
            return self._general.reduce(x, axis, None, None, keepdims, initial, where)
        x = self._operand(x)
        identity = x.dtype.type(self._general.identity)
        if where is not None:
            x = chosen(where, x, identity)
        out = associative.reduce(x, identity, self._function, axis)
        out = keep_axes(out, x.shape, axis, keepdims)
        return out if initial is None else convert(self._function(out, initial), x.dtype)

    def accumulate(self, a: Any, axis: int = 0, dtype: Any = None, out: None = None) -> Array:
        """What `reduce` has found after each element; see `numpy.ufunc.accumulate`."""
        refuse_out(f"{self._name}.accumulate", out)
        x = asarray(a, dtype)
        axis = canonicalize_axis(axis, x.ndim)
        if self._name in _RUNNING_SUMS:
            return _RUNNING_SUMS[self._name](x, axis, dtype)
        if self._name in _RUNNING_EXTREMES and x.dtype.kind != "b":
            return _RUNNING_EXTREMES[self._name](x, axis)
        if self._name in _ASSOCIATIVE and x.shape[axis]:
            found: Array = associative.associative_scan(self._function, self._operand(x), axis=axis)
            return found
        return self._general.accumulate(x, axis)

    def reduceat(
        self, a: Any, indices: Any, axis: int = 0, dtype: Any = None, out: None = None
    ) -> Array:
        """What `reduce` finds between indices; see `numpy.ufunc.reduceat`."""
        refuse_out(f"{self._name}.reduceat", out)
        x = asarray(a, dtype)
        if self._name in _SUMS and dtype is None:
            x = convert(x, sum_dtype(x.dtype))
        return self._general.reduceat(x, indices, axis)

    def outer(self, a: Any, b: Any, /) -> Array:
        """The function of every pair of elements; see `numpy.ufunc.outer`."""
        x, y = asarray(a), asarray(b)
        return self._function(x[(..., *(None,) * y.ndim)], y)

    def at(self, a: Any, indices: Any, b: Any = None, /, *, inplace: bool = False) -> Array:
        """The array with the function applied at indices, once for each time that they occur."""
        if inplace:
            raise ValueError(
                f"{self._name}.at: arrays are not changed in place; pass inplace=False, and take"
                " the result"
            )
        if self._name in _UPDATES and b is not None:
            return getattr(at(asarray(a))[indices], _UPDATES[self._name])(b)
        return self._general.at(a, indices, b)

    def _operand(self, x: Array) -> Array:
        """Elements in the dtype of the results, so that these can be operands again."""
        if self._name in _LOGICAL:
            return x if x.dtype.kind == "b" else ufuncs.not_equal(x, 0)
        return convert(x, self._general.result_dtype(x))


def _install(name: str, function: Any) -> None:
    theirs: np.ufunc = getattr(np, name)
    methods = UfuncMethods(name, function)
    function.nin, function.nout, function.nargs = theirs.nin, theirs.nout, theirs.nargs
    function.identity = theirs.identity
    function.at = methods.at
    if theirs.nin == 2:
        function.reduce, function.accumulate = methods.reduce, methods.accumulate
        function.reduceat, function.outer = methods.reduceat, methods.outer


def install_ufunc_methods() -> None:
    """Give the functions of `ufuncs` their methods; called once by `fnad.numpy`."""
    for name in ufuncs.OPERATIONS:
        _install(name, getattr(ufuncs, name))
