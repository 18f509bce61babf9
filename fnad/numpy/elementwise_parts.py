"""What `fnad.numpy.ufuncs` computes where NumPy's ufunc is more than one primitive.

All functions here take operands of equal dtype and equal shape (or scalars), as primitives do.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import wraps
from typing import Any

import numpy as np

from fnad.core.tracer import Tracer
from fnad.core.types import is_half, kind_of
from fnad.numpy.operands import (
    Array,
    constant_like,
    convert,
    dtype_of,
    own,
    shape_of,
)
from fnad.primitives import arithmetic, logic, rounding, transcendental
from fnad.primitives.arithmetic import div, mul, neg, rem, sub
from fnad.primitives.bits import bitcast_convert_type, population_count
from fnad.primitives.complex_numbers import imag, real
from fnad.primitives.logic import (
    bitwise_and,
    bitwise_not,
    bitwise_or,
    bitwise_xor,
    eq,
    gt,
    lt,
    ne,
)
from fnad.primitives.ordinary_zeros import ordinary_zeros


def select(condition: Array, x: Array, y: Array) -> Array:
    """``x`` where ``condition`` holds, else ``y``; scalars are broadcast to the array's shape."""
    return logic.select(condition, x, y)


def _select_ordinary(condition: Array, x: Array, y: Array) -> Array:
    """`select`, behind which gradients do not follow what it leaves out."""
    return select(condition, ordinary_zeros(x), ordinary_zeros(y))


def _kind(x: Array) -> str:
    return kind_of(dtype_of(x))


def identity(x: Array) -> Array:
    return own(x, x)


def _in_float32(function: Callable[..., Array]) -> Callable[..., Array]:
    """Compute a composition on 16 bits in float32 and round once, as NumPy's loops do."""

    @wraps(function)
    def rounded_once(*xs: Array) -> Array:
        dtype = dtype_of(xs[0])
        if not is_half(dtype):
            return function(*xs)
        out = function(*[convert(x, np.dtype(np.float32)) for x in xs])
        return convert(out, dtype)

    return rounded_once


# -- arithmetic ---------------------------------------------------------------------------


def maximum(x: Array, y: Array) -> Array:
    return (logic.or_p if _kind(x) == "b" else arithmetic.max_p).bind(x, y)


def minimum(x: Array, y: Array) -> Array:
    return (logic.and_p if _kind(x) == "b" else arithmetic.min_p).bind(x, y)


def absolute(x: Array) -> Array:
    return own(x, x) if _kind(x) in "bu" else arithmetic.abs(x)


def square(x: Array) -> Array:
    return mul(x, x)


def reciprocal(x: Array) -> Array:
    return div(constant_like(x, 1), x)


def _signs_differ(x: Array, y: Array) -> Array:
    zero = constant_like(x, 0)
    return ne(lt(x, zero), lt(y, zero))


def _integer_floor_divide(x: Array, y: Array) -> Array:
    quotient = div(x, y)
    if _kind(x) == "u":
        return quotient
    inexact = ne(rem(x, y), constant_like(x, 0))
    one_less = sub(quotient, constant_like(x, 1))
    return select(bitwise_and(inexact, _signs_differ(x, y)), one_less, quotient)


@_in_float32
def _floating_floor_divide(x: Array, y: Array) -> Array:
    # Its derivative is zero where there is one; that of x / y, for y = 0, would be none.
    x, y = logic.stop_gradient(x), logic.stop_gradient(y)
    # (x - mod) / y is an integer up to rounding: floor it, and repair what rounding spoilt.
    zero, one = constant_like(x, 0), constant_like(x, 1)
    mod = rem(x, y)
    quotient = div(sub(x, mod), y)
    repair = bitwise_and(ne(mod, zero), _signs_differ(mod, y))
    quotient = select(repair, sub(quotient, one), quotient)
    floored = rounding.floor(quotient)
    half = gt(sub(quotient, floored), constant_like(x, 0.5))
    floored = select(half, arithmetic.add(floored, one), floored)
    plain = div(x, y)
    signed_zero = copysign(zero, plain)
    floored = select(eq(quotient, zero), signed_zero, floored)
    return select(eq(y, zero), plain, floored)


def floor_divide(x: Array, y: Array) -> Array:
    if _kind(x) in "iu":
        return _integer_floor_divide(x, y)
    return _floating_floor_divide(x, y)


def _zeros_signed(x: Array, negative: Array) -> Array:
    """``x`` with the derivative 1 everywhere, whose zeros are negative where that is said."""
    zero = constant_like(x, 0)
    return select(negative, neg(arithmetic.add(neg(x), zero)), arithmetic.add(x, zero))


@_in_float32
def remainder(x: Array, y: Array) -> Array:
    mod = rem(x, y)
    if _kind(x) == "u":
        return mod
    zero = constant_like(x, 0)
    repair = bitwise_and(ne(mod, zero), _signs_differ(mod, y))
    repaired = select(repair, arithmetic.add(mod, y), mod)
    if _kind(x) == "i":
        return select(eq(y, zero), zero, repaired)
    exact = bitwise_and(eq(mod, zero), ne(y, zero))
    return select(exact, _zeros_signed(mod, lt(y, zero)), repaired)


def _static_exponent(y: Array) -> int | None:
    """The exponent as an int where it is a known whole number of modest size."""
    if isinstance(y, Tracer) or shape_of(y) != ():
        return None
    value = float(np.real(y))
    if np.iscomplexobj(y) or not value.is_integer() or not -64 <= value <= 64:
        return None
    return int(value)


def _integer_power(x: Array, y: Array) -> Array:
    """Powers of integers by repeated squaring, modulo the range of the dtype."""
    zero, one = constant_like(x, 0), constant_like(x, 1)
    result, base = constant_like(x, 1), x
    for bit in range(8 * dtype_of(x).itemsize - (_kind(x) == "i")):
        chosen = ne(bitwise_and(y, constant_like(y, 1 << bit)), zero)
        result = mul(result, select(chosen, base, one))
        base = mul(base, base)
    return result


def power(x: Array, y: Array) -> Array:
    known = not isinstance(y, Tracer)
    integral = _kind(x) in "iu"
    if known and integral and np.any(np.less(y, 0)):
        raise ValueError("Integers to negative integer powers are not allowed.")
    exponent = _static_exponent(y)
    if exponent is not None:
        return arithmetic.integer_pow(x, exponent)
    if known and shape_of(y) == () and y == 0.5 and dtype_of(x).kind == "f":
        # What NumPy takes such a power for: other than pow, it is NaN at -inf, and -0 at -0.
        return arithmetic.sqrt(x)
    return _integer_power(x, y) if integral else arithmetic.pow(x, y)


def fmax(x: Array, y: Array) -> Array:
    if _kind(x) not in "fc":
        return maximum(x, y)
    return select(ne(x, x), y, select(ne(y, y), x, arithmetic.max(x, y)))


def fmin(x: Array, y: Array) -> Array:
    if _kind(x) not in "fc":
        return minimum(x, y)
    return select(ne(x, x), y, select(ne(y, y), x, arithmetic.min(x, y)))


def heaviside(x: Array, h: Array) -> Array:
    zero, one = constant_like(x, 0), constant_like(x, 1)
    step = select(lt(x, zero), zero, select(gt(x, zero), one, x))
    return select(eq(x, zero), h, step)


def bitwise_count(x: Array) -> Array:
    return convert(population_count(arithmetic.abs(x)), np.dtype(np.uint8))


def signbit(x: Array) -> Array:
    integer = np.dtype(f"i{dtype_of(x).itemsize}")
    return lt(bitcast_convert_type(x, integer), integer.type(0))


def copysign(x: Array, y: Array) -> Array:
    magnitude = arithmetic.abs(x)
    return select(signbit(y), neg(magnitude), magnitude)


def _rounding(primitive: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda x: primitive(x) if _kind(x) in "fc" else own(x, x)


floor = _rounding(rounding.floor)
ceil = _rounding(rounding.ceil)
trunc = _rounding(rounding.trunc)
rint = _rounding(rounding.rint)


def fraction(x: Array, whole: Array) -> Array:
    """``x - whole`` with the sign of ``x``; 0 for infinities."""
    zero = constant_like(x, 0)
    return _zeros_signed(select(isinf(x), zero, sub(x, whole)), signbit(x))


# -- exponentials and angles --------------------------------------------------------------


@_in_float32
def logaddexp(x: Array, y: Array) -> Array:
    # One selection of both, not a maximum and a distance: those have derivatives of their own where
    # x and y are equal. Equal infinities differ by NaN; the inner select keeps it out of the slope.
    # Slopes are finite whatever was chosen but that at NaN, so that zeros are ordinary.
    first = gt(x, y)
    high, low = _select_ordinary(first, x, y), _select_ordinary(first, y, x)
    difference = sub(low, high)
    nan = ne(difference, difference)
    gap = _select_ordinary(nan, constant_like(x, 0), difference)
    smooth = transcendental.log1p(transcendental.exp(gap))
    total = arithmetic.add(x, y)
    # The slope at NaN is none, either.
    slope = select(ne(total, total), constant_like(x, math.nan), constant_like(x, 1))
    return select(nan, mul(total, slope), ordinary_zeros(arithmetic.add(high, smooth)))


@_in_float32
def logaddexp2(x: Array, y: Array) -> Array:
    ln2 = constant_like(x, math.log(2))
    return div(logaddexp(mul(x, ln2), mul(y, ln2)), ln2)


@_in_float32
def hypot(x: Array, y: Array) -> Array:
    x, y = arithmetic.abs(x), arithmetic.abs(y)
    zero, one = constant_like(x, 0), constant_like(x, 1)
    first = gt(x, y)  # one selection of both, as in `logaddexp`
    large, small = select(first, x, y), select(first, y, x)
    ratio = div(small, select(eq(large, zero), one, large))
    length = mul(large, arithmetic.sqrt(arithmetic.add(one, mul(ratio, ratio))))
    infinite = bitwise_or(isinf(x), isinf(y))
    return select(infinite, constant_like(x, math.inf), length)


def deg2rad(x: Array) -> Array:
    return mul(x, constant_like(x, math.pi / 180))


def rad2deg(x: Array) -> Array:
    return mul(x, constant_like(x, 180 / math.pi))


# -- logic and bits -----------------------------------------------------------------------


# A comparison, what it says of unsigned and negative numbers, and of negative and unsigned ones.
_WITH_NEGATIVE: dict[str, tuple[Callable[..., Array], bool, bool]] = {
    "equal": (eq, False, False),
    "not_equal": (ne, True, True),
    "less": (lt, False, True),
    "less_equal": (logic.le, False, True),
    "greater": (gt, True, False),
    "greater_equal": (logic.ge, True, False),
}


def compare_signs(name: str, x: Array, y: Array) -> Array:
    """Compare uint64 and int64, for which no integer dtype holds both, exactly, as NumPy does."""
    compare, *known = _WITH_NEGATIVE[name]
    signed_first = _kind(x) == "i"
    signed = x if signed_first else y
    negative = lt(signed, constant_like(signed, 0))
    unsigned = [convert(z, np.dtype(np.uint64)) for z in (x, y)]
    return select(negative, np.bool_(known[signed_first]), compare(*unsigned))


def _truth(x: Array) -> Array:
    return own(x, x) if _kind(x) == "b" else ne(x, constant_like(x, 0))


def logical_and(x: Array, y: Array) -> Array:
    return bitwise_and(_truth(x), _truth(y))


def logical_or(x: Array, y: Array) -> Array:
    return bitwise_or(_truth(x), _truth(y))


def logical_xor(x: Array, y: Array) -> Array:
    return bitwise_xor(_truth(x), _truth(y))


def logical_not(x: Array) -> Array:
    return bitwise_not(_truth(x))


def right_shift(x: Array, y: Array) -> Array:
    shift = logic.shift_right_logical if _kind(x) == "u" else logic.shift_right_arithmetic
    return shift(x, y)


def isnan(x: Array) -> Array:
    return ne(x, x)


def isinf(x: Array) -> Array:
    if _kind(x) not in "fc":
        return ne(x, x)
    if _kind(x) == "c":
        return bitwise_or(isinf(real(x)), isinf(imag(x)))
    magnitude = arithmetic.abs(x)
    return eq(magnitude, constant_like(magnitude, math.inf))


def isfinite(x: Array) -> Array:
    if _kind(x) not in "fc":
        return eq(x, x)
    if _kind(x) == "c":  # the magnitude may overflow where the parts are finite
        return bitwise_and(isfinite(real(x)), isfinite(imag(x)))
    magnitude = arithmetic.abs(x)
    return lt(magnitude, constant_like(magnitude, math.inf))
