"""The builder of scalar expressions that evaluates with NumPy, whole arrays at a time.

Handles are NumPy arrays and scalars themselves. Every method keeps the dtype of its operands:
float32 in, float32 out. Floats of 16 bits never get here: `elementwise` widens them first.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fnad.core.types import kind_of


def _truncating_divide(x: Any, y: Any) -> Any:
    quotient = np.floor_divide(x, y)
    # Floor and truncation differ where the signs differ and the division is inexact.
    inexact = np.not_equal(quotient * y, x) & np.not_equal(y, 0)
    return quotient + (inexact & (np.less(x, 0) != np.less(y, 0))).astype(quotient.dtype)


def _saturating_convert(x: Any, dtype: np.dtype[Any]) -> Any:
    info = np.iinfo(dtype)
    # float(info.max) may round up to max + 1, which is out of range: hence >= below.
    inside = np.isfinite(x) & (x > float(info.min)) & (x < float(info.max))
    converted = np.where(inside, x, 0).astype(dtype)
    converted = np.where(x >= float(info.max), dtype.type(info.max), converted)
    return np.where(x <= float(info.min), dtype.type(info.min), converted)


def _same_dtype(function: Callable[..., Any]) -> Callable[..., Any]:
    def method(self: NumpyBuilder, *xs: Any) -> Any:
        out = function(*xs)
        dtype = xs[0].dtype
        return out if out.dtype is dtype else np.asarray(out).astype(dtype, copy=False)

    return method


def _special(name: str) -> Callable[..., Any]:
    """A function of SciPy, which takes longer to import than fnad and is rarely needed."""

    def function(x: Any) -> Any:
        from scipy import special

        return getattr(special, name)(x)

    return _same_dtype(function)


def _expm1(x: Any) -> Any:
    """NumPy's, but of complex numbers far from 0 the exponential less 1.

    NumPy's finds NaN for infinity times 0 there; the array API standard has the limits.
    """
    out = np.asarray(np.expm1(x))
    if out.dtype.kind != "c":
        return out
    out, power = out.copy(), np.asarray(np.exp(x))
    out.real = np.where(np.abs(np.real(x)) < 1, out.real + 0.0, power.real - 1)
    out.imag = power.imag
    return out


class NumpyBuilder:
    """Scalar operations on arrays; see "Elementwise primitives" in docs/architecture.md."""

    def constant(self, value: Any, dtype: Any) -> Any:
        return np.asarray(value).astype(dtype)[()]

    add = _same_dtype(np.add)
    subtract = _same_dtype(np.subtract)
    multiply = _same_dtype(np.multiply)
    negative = _same_dtype(np.negative)
    sign = _same_dtype(np.sign)
    minimum = _same_dtype(np.minimum)
    maximum = _same_dtype(np.maximum)
    remainder = _same_dtype(np.fmod)
    floor = _same_dtype(np.floor)
    ceil = _same_dtype(np.ceil)
    trunc = _same_dtype(np.trunc)
    rint = _same_dtype(np.rint)
    sqrt = _same_dtype(np.sqrt)
    cbrt = _same_dtype(np.cbrt)
    exp = _same_dtype(np.exp)
    exp2 = _same_dtype(np.exp2)
    expm1 = _same_dtype(_expm1)
    log = _same_dtype(np.log)
    log2 = _same_dtype(np.log2)
    log10 = _same_dtype(np.log10)
    log1p = _same_dtype(np.log1p)
    sin = _same_dtype(np.sin)
    cos = _same_dtype(np.cos)
    tan = _same_dtype(np.tan)
    arcsin = _same_dtype(np.arcsin)
    arccos = _same_dtype(np.arccos)
    arctan = _same_dtype(np.arctan)
    arctan2 = _same_dtype(np.arctan2)
    sinh = _same_dtype(np.sinh)
    cosh = _same_dtype(np.cosh)
    tanh = _same_dtype(np.tanh)
    arcsinh = _same_dtype(np.arcsinh)
    arccosh = _same_dtype(np.arccosh)
    arctanh = _same_dtype(np.arctanh)
    power = _same_dtype(np.power)
    copysign = _same_dtype(np.copysign)
    erf = _special("erf")
    erfc = _special("erfc")
    erfinv = _special("erfinv")
    lgamma = _special("gammaln")
    digamma = _special("digamma")
    bitwise_and = _same_dtype(np.bitwise_and)
    bitwise_or = _same_dtype(np.bitwise_or)
    bitwise_xor = _same_dtype(np.bitwise_xor)
    bitwise_not = _same_dtype(np.invert)
    left_shift = _same_dtype(np.left_shift)
    right_shift_arithmetic = _same_dtype(np.right_shift)
    equal = staticmethod(np.equal)
    not_equal = staticmethod(np.not_equal)
    less = staticmethod(np.less)
    less_equal = staticmethod(np.less_equal)
    greater = staticmethod(np.greater)
    greater_equal = staticmethod(np.greater_equal)

    conjugate = _same_dtype(np.conjugate)

    def absolute(self, x: Any) -> Any:
        return np.absolute(x)

    def real(self, x: Any) -> Any:
        return x.real.copy()

    def imag(self, x: Any) -> Any:
        return x.imag.copy()

    def complex(self, x: Any, y: Any) -> Any:
        shape = np.broadcast_shapes(x.shape, y.shape)
        out = np.empty(shape, np.result_type(x.dtype, np.complex64))
        out.real, out.imag = x, y
        return out

    def divide(self, x: Any, y: Any) -> Any:
        if x.dtype.kind in "iu":
            return _truncating_divide(x, y)
        return np.divide(x, y)

    def right_shift_logical(self, x: Any, y: Any) -> Any:
        if x.dtype.kind == "u":
            return np.right_shift(x, y)
        unsigned = np.dtype(f"u{x.dtype.itemsize}")
        return np.right_shift(x.astype(unsigned), y.astype(unsigned)).astype(x.dtype)

    def where(self, condition: Any, x: Any, y: Any) -> Any:
        return np.where(condition, x, y)

    def convert(self, x: Any, dtype: Any) -> Any:
        """Convert: float to integer saturates, NaN becomes 0, complex drops its imaginary part."""
        dtype = np.dtype(dtype)
        if x.dtype.kind == "c" and dtype.kind not in "cb":
            x = x.real
        if kind_of(x.dtype) == "f" and kind_of(dtype) in "iu":
            return _saturating_convert(x, dtype)
        return x.astype(dtype)

    def bitcast(self, x: Any, dtype: Any) -> Any:
        return np.array(x).view(dtype)


NUMPY = NumpyBuilder()
