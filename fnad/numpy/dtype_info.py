"""Asking dtypes: their limits, their kinds, and what may become of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import ml_dtypes
import numpy as np

from fnad.core.dtypes import canonical_dtype
from fnad.core.types import aval_of, is_array_like, kind_of
from fnad.numpy.operands import PYTHON_SCALARS, DType


@dataclass(frozen=True, slots=True)
class FloatLimits:
    """Limits of a floating dtype: what `numpy.finfo` holds, as Python's numbers.

    Python's numbers take the dtype of the arrays that they meet, so that ``x + info.eps`` has the
    dtype of ``x``.
    """

    dtype: DType
    bits: int
    eps: float
    epsneg: float
    max: float
    min: float
    smallest_normal: float
    smallest_subnormal: float
    resolution: float
    precision: int
    nmant: int
    nexp: int
    iexp: int
    machep: int
    negep: int
    minexp: int
    maxexp: int

    @property
    def tiny(self) -> float:
        """Another name of ``smallest_normal``."""
        return self.smallest_normal


_INTEGERS = ("bits", "precision", "nmant", "nexp", "iexp", "machep", "negep", "minexp", "maxexp")
_FLOATS = ("eps", "epsneg", "max", "min", "smallest_normal", "smallest_subnormal", "resolution")


def _dtype_of(value: Any) -> DType:
    return aval_of(value).dtype if is_array_like(value) else canonical_dtype(value)


def finfo(dtype: Any, /) -> FloatLimits:
    """The limits of a floating dtype, or of that of an array; of the parts, where it is complex.

    Examples
    --------
    >>> finfo(np.float32).eps, finfo("bfloat16").bits
    (1.1920928955078125e-07, 16)
    """
    asked = _dtype_of(dtype)
    if kind_of(asked) not in "fc":
        raise ValueError(f"finfo: {asked} is no floating dtype; use fnp.iinfo for integers")
    info: Any = ml_dtypes.finfo(asked)
    limits: dict[str, Any] = {name: int(getattr(info, name)) for name in _INTEGERS}
    limits |= {name: float(getattr(info, name)) for name in _FLOATS}
    return FloatLimits(dtype=np.dtype(info.dtype), **limits)


def iinfo(dtype: Any, /) -> np.iinfo[Any]:
    """The limits of an integer dtype, or of that of an array: ``bits``, ``min``, ``max``.

    Examples
    --------
    >>> iinfo(np.uint8).max, iinfo(np.ones(2, np.int16)).min
    (255, -32768)
    """
    asked = _dtype_of(dtype)
    if asked.kind not in "iu":
        raise ValueError(f"iinfo: {asked} is no integer dtype; use fnp.finfo for floating ones")
    return np.iinfo(asked)


def can_cast(from_: Any, to: Any, /, casting: Any = "safe") -> bool:
    """Whether a dtype, or that of an array, may be converted to another under NumPy's rules.

    Examples
    --------
    >>> can_cast(np.int32, np.float64), can_cast(np.float64, np.float32)
    (True, False)
    """
    if type(from_) in PYTHON_SCALARS:
        raise TypeError(
            f"can_cast: a Python number has no dtype, got {from_!r}; pass an array or a dtype"
        )
    return bool(np.can_cast(_dtype_of(from_), canonical_dtype(to), casting))


_KINDS = {
    "bool": "b",
    "signed integer": "i",
    "unsigned integer": "u",
    "integral": "iu",
    "real floating": "f",
    "complex floating": "c",
    "numeric": "iufc",
}


def isdtype(dtype: Any, kind: Any) -> bool:
    """Whether a dtype is of a kind, or is another dtype, or any of several of them.

    Kinds are "bool", "signed integer", "unsigned integer", "integral", "real floating" (bfloat16
    is one), "complex floating" and "numeric".

    Examples
    --------
    >>> isdtype(np.float32, "real floating"), isdtype(np.int8, ("bool", np.int16))
    (True, False)
    """
    if isinstance(kind, tuple):
        return any(isdtype(dtype, one) for one in kind)
    if isinstance(kind, str):
        if kind not in _KINDS:
            raise ValueError(f"isdtype: kind {kind!r} is none of {', '.join(map(repr, _KINDS))}")
        return kind_of(np.dtype(dtype)) in _KINDS[kind]
    return bool(np.dtype(dtype) == np.dtype(kind))
