"""Promotion of dtypes: NumPy 2's own answers; Python scalars and weak tracers are weak (NEP 50).

NumPy has no rules for bfloat16, which is ml_dtypes'; for it they are JAX's.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np

from fnad.core.types import (
    BFLOAT16,
    HELD,
    SUPPORTED_KINDS,
    ShapedArray,
    aval_of,
    computing_dtype,
    kind_of,
)

_WEAK: dict[str, type] = {"i": int, "f": float, "c": complex}

# Those that are mostly asked for, as dtypes and as types of scalars.
_CANONICAL: dict[Any, np.dtype[Any]] = {
    key: np.dtype(dtype.name)
    for dtype in (*map(np.dtype, HELD), BFLOAT16)
    for key in (dtype, dtype.type)
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
    if canonical == BFLOAT16:
        return BFLOAT16
    too_wide = canonical.itemsize > {"f": 8, "c": 16}.get(canonical.kind, 8)
    if canonical.kind not in SUPPORTED_KINDS or too_wide:
        raise TypeError(
            f"dtype {canonical} is not supported: use bool, int8 to int64, uint8 to uint64,"
            " bfloat16, float16, float32, float64, complex64 or complex128"
        )
    return _CANONICAL[canonical.newbyteorder("=")]


def promotion_operand(aval: ShapedArray) -> Any:
    """How a type takes part in NumPy's promotion: as a dtype, or as a Python scalar's type."""
    return _WEAK[kind_of(aval.dtype)] if aval.weak_type else aval.dtype


def result_type(*xs: Any) -> np.dtype[Any]:
    """The dtype to which values (or dtypes) promote together, as `numpy.result_type` finds it.

    Examples
    --------
    >>> result_type(np.float32(1), 2.0), result_type(np.int32(1), 2.0), result_type(1)
    (dtype('float32'), dtype('float64'), dtype('int64'))
    """
    operands: list[Any] = []
    for x in xs:
        if isinstance(x, (np.dtype, type, str)):
            operands.append(np.dtype(x))
        else:
            operands.append(promotion_operand(x if isinstance(x, ShapedArray) else aval_of(x)))
    return promote(tuple(operands))


@functools.lru_cache(maxsize=1024)
def promote(operands: tuple[Any, ...]) -> np.dtype[Any]:
    """The common dtype of what `promotion_operand` returns."""
    if BFLOAT16 in operands:
        return _promote_with_bfloat16(operands)
    # NumPy takes Python scalars by example; their value does not matter here.
    return np.result_type(*[x() if isinstance(x, type) else x for x in operands])


def _promote_with_bfloat16(operands: Sequence[Any]) -> np.dtype[Any]:
    """What NumPy does not know, as JAX has it.

    bfloat16 takes booleans, integers and Python's numbers in; next to float16, which holds other
    numbers, it becomes float32.
    """
    strong = [x for x in operands if isinstance(x, np.dtype)]
    if complex in operands:
        strong.append(np.dtype(np.complex64))
    floating = [BFLOAT16 if x.kind in "biu" else x for x in strong]
    if np.dtype(np.float16) in floating:
        floating = [computing_dtype(x) for x in floating]
    return np.result_type(*floating)
