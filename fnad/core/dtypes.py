"""Promotion of dtypes: NumPy 2's own answers; Python scalars and weak tracers are weak (NEP 50)."""

from __future__ import annotations

from typing import Any

import numpy as np

from fnad.core.types import HELD, SUPPORTED_KINDS, ShapedArray, aval_of

_WEAK: dict[str, type] = {"i": int, "f": float, "c": complex}

# Those that are mostly asked for, as dtypes and as types of scalars.
_CANONICAL: dict[Any, np.dtype[Any]] = {
    key: dtype for dtype in map(np.dtype, reversed(HELD)) for key in (dtype, dtype.type)
}


def canonical_dtype(dtype: Any) -> np.dtype[Any]:
    """Return ``dtype`` as a native `numpy.dtype` that fnad can hold.

    Raises
    ------
    TypeError
        If it is none of bool, integer, floating (16 to 64 bits) and complex (64, 128 bits).

    Examples
    --------
    >>> canonical_dtype(float)
    dtype('float64')
    """
    known = _CANONICAL.get(dtype) if isinstance(dtype, (np.dtype, type)) else None
    if known is not None:
        return known
    canonical = np.dtype(dtype)
    too_wide = canonical.itemsize > {"f": 8, "c": 16}.get(canonical.kind, 8)
    if canonical.kind not in SUPPORTED_KINDS or too_wide:
        raise TypeError(
            f"dtype {canonical} is not supported: use bool, int8 to int64, uint8 to uint64,"
            " float16, float32, float64, complex64 or complex128"
        )
    return canonical.newbyteorder("=")


def promotion_operand(aval: ShapedArray) -> Any:
    """How a type takes part in NumPy's promotion: as a dtype, or as a Python scalar's type."""
    return _WEAK[aval.dtype.kind] if aval.weak_type else aval.dtype


def result_type(*xs: Any) -> np.dtype[Any]:
    """The dtype to which values (or dtypes) promote together, as `numpy.result_type` finds it.

    Examples
    --------
    >>> result_type(np.float32(1), 2.0), result_type(np.int32(1), 2.0), result_type(1)
    (dtype('float32'), dtype('float64'), dtype('int64'))
    """
    strong: list[Any] = []
    weak: list[Any] = []
    for x in xs:
        if isinstance(x, (np.dtype, type, str)):
            strong.append(np.dtype(x))
            continue
        aval = x if isinstance(x, ShapedArray) else aval_of(x)
        (weak if aval.weak_type else strong).append(promotion_operand(aval))
    # NumPy takes Python scalars by example; their value does not matter here.
    return np.result_type(*strong, *(kind() for kind in weak))
