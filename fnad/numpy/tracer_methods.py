"""The operators and methods of traced arrays, given to the tracer once by `fnad.numpy`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from fnad.core.dtypes import canonical_dtype
from fnad.core.tracer import Tracer
from fnad.core.types import is_array_like
from fnad.numpy import (
    complex_numbers,
    contraction,
    creation,
    grids,
    indexing,
    manipulation,
    ordering,
    reductions,
    selection,
    sized,
    sorting,
    statistics,
    updates,
)
from fnad.numpy.operands import convert, python_scalar
from fnad.numpy.ufuncs import OPERATIONS, Elementwise

_BINARY = {
    "add": "add",
    "sub": "subtract",
    "mul": "multiply",
    "truediv": "true_divide",
    "floordiv": "floor_divide",
    "mod": "remainder",
    "pow": "power",
    "and": "bitwise_and",
    "or": "bitwise_or",
    "xor": "bitwise_xor",
    "lshift": "left_shift",
    "rshift": "right_shift",
}
_COMPARISONS = {
    "eq": "equal",
    "ne": "not_equal",
    "lt": "less",
    "le": "less_equal",
    "gt": "greater",
    "ge": "greater_equal",
}
_UNARY = {"neg": "negative", "pos": "positive", "abs": "absolute", "invert": "invert"}


def _is_operand(other: Any) -> bool:
    return type(other) is Tracer or is_array_like(other) or isinstance(other, (list, tuple))


def _forward(operation: Elementwise) -> Callable[[Any, Any], Any]:
    plans = operation.plans

    def method(self: Tracer, other: Any) -> Any:
        kind = type(other)
        plan = plans.get((self.aval, other.aval if kind is Tracer else kind))
        if plan:
            function, _, dtype = plan
            if dtype is not None:
                try:
                    other = python_scalar(other, dtype)
                except OverflowError:
                    return operation.operate(self, other)
            return function(self, other)
        return operation.operate(self, other) if _is_operand(other) else NotImplemented

    return method


def _reflected(operation: Elementwise) -> Callable[[Any, Any], Any]:
    plans = operation.plans

    def method(self: Tracer, other: Any) -> Any:
        plan = plans.get((type(other), self.aval))
        if plan:
            function, dtype, _ = plan
            if dtype is not None:
                try:
                    other = python_scalar(other, dtype)
                except OverflowError:
                    return operation.operate(other, self)
            return function(other, self)
        return operation.operate(other, self) if _is_operand(other) else NotImplemented

    return method


def _unary(operation: Elementwise) -> Callable[[Any], Any]:
    return lambda self: operation.operate(self)


def _matmul(self: Tracer, other: Any) -> Any:
    return contraction.matmul(self, other) if _is_operand(other) else NotImplemented


def _rmatmul(self: Tracer, other: Any) -> Any:
    return contraction.matmul(other, self) if _is_operand(other) else NotImplemented


def _pow(self: Tracer, other: Any, modulo: Any = None) -> Any:
    if modulo is not None:
        raise TypeError("pow() with a modulus is not defined for arrays")
    return OPERATIONS["power"].operate(self, other) if _is_operand(other) else NotImplemented


def _iter(self: Tracer) -> Iterator[Any]:
    if not self.shape:
        raise TypeError("iteration over a traced scalar: it has no axes")
    return iter(indexing.unravel_first(self))


def _contains(self: Tracer, item: Any) -> bool:
    return bool(reductions.any(OPERATIONS["equal"](self, item)))


def _round(self: Tracer, ndigits: int | None = None) -> Any:
    return selection.round(self, ndigits or 0)


def _astype(self: Tracer, dtype: Any, copy: bool = True) -> Any:
    """The array converted to another dtype."""
    return convert(self, canonical_dtype(dtype))


def _transpose(self: Tracer, *axes: Any) -> Any:
    """The array with its axes permuted (reversed by default)."""
    if len(axes) == 1 and (axes[0] is None or isinstance(axes[0], (tuple, list))):
        return manipulation.transpose(self, axes[0])
    return manipulation.transpose(self, axes or None)


def _reshape(self: Tracer, *shape: Any, order: str = "C") -> Any:
    """The same elements under another shape."""
    if len(shape) == 1 and isinstance(shape[0], (tuple, list)):
        shape = tuple(shape[0])
    return manipulation.reshape(self, shape, order)


def _flatten(self: Tracer, order: str = "C") -> Any:
    """All elements along one axis."""
    return manipulation.ravel(self, order)


def _searchsorted(self: Tracer, v: Any, side: str = "left") -> Any:
    """Where to insert ``v`` so that the array stays sorted."""
    return sorting.searchsorted(self, v, side)


def _in_place(name: str, instead: str) -> Callable[..., Any]:
    """The method of a name that changes arrays, which traced ones refuse."""

    def method(self: Tracer, *args: Any, **options: Any) -> Any:
        raise TypeError(
            f"x.{name}(...) changes x in place, and traced arrays cannot be changed: write"
            f" x = {instead}"
        )

    return method


_METHODS: dict[str, Callable[..., Any]] = {
    "all": reductions.all,
    "any": reductions.any,
    "argmax": reductions.argmax,
    "argmin": reductions.argmin,
    "argpartition": ordering.argpartition,
    "argsort": sorting.argsort,
    "choose": grids.choose,
    "clip": selection.clip,
    "conj": complex_numbers.conj,
    "conjugate": complex_numbers.conjugate,
    "copy": creation.copy,
    "cumprod": reductions.cumprod,
    "cumsum": reductions.cumsum,
    "diagonal": indexing.diagonal,
    "dot": contraction.dot,
    "max": reductions.max,
    "mean": statistics.mean,
    "min": reductions.min,
    "nonzero": sized.nonzero,
    "prod": reductions.prod,
    "ptp": reductions.ptp,
    "ravel": manipulation.ravel,
    "repeat": manipulation.repeat,
    "round": selection.round,
    "squeeze": manipulation.squeeze,
    "std": statistics.std,
    "sum": reductions.sum,
    "swapaxes": manipulation.swapaxes,
    "take": indexing.take,
    "trace": indexing.trace,
    "var": statistics.var,
}

# What changes an array in NumPy, and what to write instead.
_IN_PLACE = {
    "fill": "fnp.full_like(x, value)",
    "partition": "fnp.partition(x, kth)",
    "put": "fnp.put(x, indices, values, inplace=False)",
    "resize": "fnp.resize(x, shape)",
    "sort": "fnp.sort(x)",
}

_PROPERTIES: dict[str, Callable[[Any], Any]] = {
    "T": manipulation.transpose,
    "mT": manipulation.matrix_transpose,
    "at": updates.at,
    "real": complex_numbers.real,
    "imag": complex_numbers.imag,
    "flat": manipulation.ravel,
    "itemsize": lambda self: self.dtype.itemsize,
    "nbytes": lambda self: self.size * self.dtype.itemsize,
}


def array_methods() -> dict[str, Any]:
    """All operators, methods and properties, by name."""
    methods: dict[str, Any] = {}
    for name, ufunc in _BINARY.items():
        methods[f"__{name}__"] = _forward(OPERATIONS[ufunc])
        methods[f"__r{name}__"] = _reflected(OPERATIONS[ufunc])
    for name, ufunc in _COMPARISONS.items():
        methods[f"__{name}__"] = _forward(OPERATIONS[ufunc])
    for name, ufunc in _UNARY.items():
        methods[f"__{name}__"] = _unary(OPERATIONS[ufunc])
    methods |= {
        "__pow__": _pow,
        "__matmul__": _matmul,
        "__rmatmul__": _rmatmul,
        "__divmod__": lambda self, other: (self // other, self % other),
        "__rdivmod__": lambda self, other: (other // self, other % self),
        "__getitem__": indexing.getitem,
        "__iter__": _iter,
        "__contains__": _contains,
        "__round__": _round,
        "astype": _astype,
        "reshape": _reshape,
        "transpose": _transpose,
        "flatten": _flatten,
        "searchsorted": _searchsorted,
        # Traced arrays do not change: they need no copies.
        "__copy__": lambda self: self,
        "__deepcopy__": lambda self, memo: self,
    }
    methods |= {name: _in_place(name, instead) for name, instead in _IN_PLACE.items()}
    methods |= {name: _as_method(f) for name, f in _METHODS.items()}
    # The examples in the docstrings are those of the functions.
    methods |= {n: property(f, doc=f"See `{f.__name__}`.") for n, f in _PROPERTIES.items()}
    return methods


def _as_method(function: Callable[..., Any]) -> Callable[..., Any]:
    def method(self: Tracer, *args: Any, **options: Any) -> Any:
        return function(self, *args, **options)

    method.__name__, method.__doc__ = function.__name__, function.__doc__
    return method
