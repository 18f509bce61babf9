"""Exponents, mantissas and common divisors: what ufuncs do with the digits of numbers.

Like those of `fnad.numpy.elementwise_parts`, the functions take operands that already have the
dtypes of NumPy's loop.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fnad.core.types import is_half
from fnad.numpy.elementwise_parts import absolute, isfinite, select
from fnad.numpy.operands import Array, broadcast_shapes, convert, dtype_of, expand, shape_of
from fnad.primitives import arithmetic, logic
from fnad.primitives.arithmetic import add, div, mul, neg, rem, sub
from fnad.primitives.bits import bitcast_convert_type, nextafter
from fnad.primitives.control_flow.while_loop import while_loop
from fnad.primitives.reductions import reduce_or

_FLOAT32 = np.dtype(np.float32)


def _power_of_two(exponent: Array, dtype: np.dtype[Any]) -> Array:
    """2**exponent, for exponents of normal numbers, put together from its bits."""
    info = np.finfo(dtype)
    integer = dtype_of(exponent).type
    biased = add(exponent, integer(info.maxexp - 1))
    return bitcast_convert_type(logic.shift_left(biased, integer(info.nmant)), dtype)


def ldexp(x: Array, exponent: Array) -> Array:
    """``x * 2**exponent``, rounded once.

    Three factors reach every result. The first two of them are skipped or leave the product at
    least 2**nmant times as large as the result, so that only the last one rounds.
    """
    dtype = dtype_of(x)
    if is_half(dtype):
        return convert(ldexp(convert(x, _FLOAT32), exponent), dtype)
    info = np.finfo(dtype)
    integer = np.dtype(f"i{dtype.itemsize}")
    highest, lowest = info.maxexp - 1, info.minexp
    kind = dtype_of(exponent).type
    n = arithmetic.min(arithmetic.max(exponent, kind(3 * lowest)), kind(3 * highest))
    n = convert(n, integer)
    up, down = integer.type(highest), integer.type(lowest + info.nmant + 1)
    for _ in range(2):
        step = select(logic.lt(n, integer.type(lowest)), down, integer.type(0))
        step = select(logic.gt(n, integer.type(highest)), up, step)
        x, n = mul(x, _power_of_two(step, dtype)), sub(n, step)
    n = arithmetic.min(arithmetic.max(n, integer.type(lowest)), up)
    return mul(x, _power_of_two(n, dtype))


def frexp(x: Array) -> tuple[Array, Array]:
    """The mantissa in [0.5, 1) and the exponent, 0 for 0, infinities and NaN."""
    dtype = dtype_of(x)
    if is_half(dtype):
        mantissa, exponent = frexp(convert(x, _FLOAT32))
        return convert(mantissa, dtype), exponent
    info = np.finfo(dtype)
    integer = np.dtype(f"i{dtype.itemsize}").type
    magnitude = arithmetic.abs(logic.stop_gradient(x))
    subnormal = logic.lt(magnitude, info.tiny)
    raised = mul(magnitude, dtype.type(2.0 ** (info.nmant + 1)))
    bits = bitcast_convert_type(select(subnormal, raised, magnitude), np.dtype(integer))
    biased = logic.shift_right_logical(bits, integer(info.nmant))
    exponent = sub(biased, integer(info.maxexp - 2))
    lowered = sub(exponent, integer(info.nmant + 1))
    exponent = select(subnormal, lowered, exponent)
    ordinary = logic.bitwise_and(isfinite(x), logic.ne(x, dtype.type(0)))
    exponent = select(ordinary, exponent, integer(0))
    return ldexp(x, neg(exponent)), convert(exponent, np.dtype(np.int32))


def spacing(x: Array) -> Array:
    """The distance to the next number away from 0, with the sign of ``x``."""
    x = logic.stop_gradient(x)
    magnitude = arithmetic.abs(x)
    step = sub(nextafter(magnitude, dtype_of(x).type(math.inf)), magnitude)
    return select(logic.lt(x, dtype_of(x).type(0)), neg(step), step)


def gcd(x: Array, y: Array) -> Array:
    """Euclid's algorithm for all elements at once, until the last one is done."""
    dtype = dtype_of(x)
    shape = broadcast_shapes([shape_of(x), shape_of(y)], "gcd")
    # The magnitude of the least integer is no integer of the same dtype.
    unsigned = np.dtype(f"u{dtype.itemsize}")
    zero = unsigned.type(0)
    x, y = (expand(convert(absolute(a), unsigned), shape) for a in (x, y))
    axes = tuple(range(len(shape)))

    def step(pair: tuple[Array, Array]) -> tuple[Array, Array]:
        a, b = pair
        return select(logic.eq(b, zero), a, b), rem(a, b)

    out, _ = while_loop(lambda pair: reduce_or(logic.ne(pair[1], zero), axes), step, (x, y))
    return convert(out, dtype)


def lcm(x: Array, y: Array) -> Array:
    """|x y| / gcd(x, y), and 0 if one of them is 0."""
    # x / 0 is 0 for integers.
    return mul(div(absolute(x), gcd(x, y)), absolute(y))
