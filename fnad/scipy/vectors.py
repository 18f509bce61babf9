"""Pytrees of arrays as vectors: what solvers compute with."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

import fnad.numpy as fnp
from fnad.core import tree
from fnad.core.dtypes import promote
from fnad.core.tracer import Tracer
from fnad.core.types import aval_of, kind_of
from fnad.numpy.operands import as_operand, promotion_key

Array = Any
_ARRAY = tree.structure(0)


def check_args(name: str, args: Any) -> None:
    """Refuse further arguments of a solver's function that are no tuple."""
    if not isinstance(args, (tuple, list)):
        raise TypeError(
            f"{name}: args must be a tuple of what the function takes besides, got"
            f" {type(args).__name__}; of one argument, it is args=(value,)"
        )


def check_function(name: str, what: str, given: Any) -> None:
    """Refuse what cannot be called."""
    if not callable(given):
        raise TypeError(f"{name}: {what} must be a function, got {type(given).__name__}")


def pair(name: str, what: str, given: Any) -> tuple[Any, Any]:
    """Both parts of a pair, or of an array of two numbers; they may be traced."""
    parts = list(given) if np.iterable(given) else []
    if len(parts) != 2:
        raise ValueError(f"{name}: {what} must be a pair, got {given!r}")
    return parts[0], parts[1]


def check_numbers(name: str, **given: Any) -> None:
    """Refuse settings of a solver that are no real scalars; they may be traced."""
    for what, value in given.items():
        try:
            aval = aval_of(as_operand(value))
        except TypeError:
            aval = None
        if aval is None or aval.shape or kind_of(aval.dtype) not in "biuf":
            raise TypeError(f"{name}: {what} must be a real number, got {value!r}")


def check_positive(name: str, **given: Any) -> None:
    """`check_numbers`, and refuse those that are known not to be positive."""
    check_numbers(name, **given)
    for what, value in given.items():
        if not isinstance(value, Tracer) and not value > 0:
            raise ValueError(f"{name}: {what} must be positive, got {value}")


def check_tolerances(name: str, **given: Any) -> None:
    """Refuse tolerances, pytrees of real numbers, that are known to be negative or NaN."""
    for what, value in given.items():
        for leaf in tree.leaves(value):
            if isinstance(leaf, Tracer):
                continue
            if not np.issubdtype(np.asarray(leaf).dtype, np.number) or np.iscomplexobj(leaf):
                raise TypeError(f"{name}: {what} must be real numbers, got {leaf!r}")
            if not np.all(np.asarray(leaf) >= 0):
                raise ValueError(f"{name}: {what} must not be negative, got {leaf}")


class Vectors:
    """The vectors that stand for pytrees like an example, in the dtype that its leaves promote to.

    Integers become float64. Leaves come back in their own floating dtypes.

    Parameters
    ----------
    example : pytree of arrays
        At least one leaf.
    what : str
        What it is, for errors.
    promoting : sequence of arrays
        What else takes part in the promotion.
    """

    def __init__(self, example: Any, what: str, promoting: Sequence[Any] = ()) -> None:
        leaves, self.structure = tree.flatten(example)
        if not leaves:
            raise ValueError(f"{what} has no arrays")
        self.what = what
        avals = [aval_of(x) for x in leaves]
        common = promote(tuple([promotion_key(x) for x in (*leaves, *promoting)]))
        self.dtype = common if kind_of(common) in "fc" else np.dtype(np.float64)
        self.shapes = [a.shape for a in avals]
        own = [a.dtype if kind_of(a.dtype) in "fc" else self.dtype for a in avals]
        self.dtypes = [self.dtype] * len(own) if promoting else own
        self.sizes = [math.prod(s) for s in self.shapes]
        self.size = sum(self.sizes)

    def ravel(self, value: Any, what: str) -> Array:
        """The vector of a pytree like the example; for an array, a list of its parts will do.

        Raises
        ------
        TypeError
            If it is of another structure or of other shapes, or complex where the example is real.
        """
        if self.structure == _ARRAY and isinstance(value, (list, tuple)) and value:
            value = fnp.stack([fnp.asarray(x) for x in value])
        leaves, structure = tree.flatten(value)
        avals = [aval_of(x) for x in leaves]
        if structure != self.structure or [a.shape for a in avals] != self.shapes:
            raise TypeError(
                f"{what} must be of the structure and shapes of {self.what}, {self.structure} with"
                f" {self.shapes}, got {structure} with {[a.shape for a in avals]}"
            )
        for aval, dtype in zip(avals, self.dtypes):
            if kind_of(aval.dtype) == "c" and kind_of(dtype) != "c":
                raise TypeError(
                    f"{what} is complex where {self.what} is of dtype {dtype}: begin with a"
                    " complex array"
                )
        parts = [fnp.ravel(fnp.asarray(x, self.dtype)) for x in leaves]
        return parts[0] if len(parts) == 1 else fnp.concatenate(parts)

    def unravel(self, vector: Array) -> Any:
        """The pytree of a vector; further axes in front are in front of each leaf, too."""
        leaves, start, lead = [], 0, vector.shape[:-1]
        for shape, dtype, size in zip(self.shapes, self.dtypes, self.sizes):
            if shape:
                part = fnp.reshape(vector[..., start : start + size], (*lead, *shape))
            else:
                part = vector[..., start]  # a scalar, where nothing is traced
            if kind_of(self.dtype) == "c" and kind_of(dtype) != "c":
                part = fnp.real(part)
            leaves.append(part.astype(dtype))
            start += size
        return tree.unflatten(self.structure, leaves)


def with_arrays(value: Any) -> Any:
    """A list of numbers, or of such lists, as an array, as in SciPy; other lists are pytrees."""
    return np.asarray(value) if isinstance(value, list) and value and _numbers(value) else value


def _numbers(value: Any) -> bool:
    if isinstance(value, list):
        return all(map(_numbers, value))
    return isinstance(value, (bool, int, float, complex, np.generic))
