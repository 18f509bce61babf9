"""Powers with integer exponents, as products: scalar rules of ``pow`` and ``integer_pow``."""

from __future__ import annotations

from typing import Any


def integer_power(b: Any, x: Any, y: Any) -> Any:
    """Square and multiply over the bits of y; a negative y gives the truncated quotient 1/x**-y."""
    one, zero = b.constant(1, x.dtype), b.constant(0, x.dtype)
    signed = x.dtype.kind == "i"
    power, square = one, x
    for bit in range(x.dtype.itemsize * 8 - signed):
        set_here = b.not_equal(b.bitwise_and(y, b.constant(1 << bit, x.dtype)), zero)
        power = b.where(set_here, power * square, power)
        square = square * square
    if not signed:
        return power
    odd = b.not_equal(b.bitwise_and(y, one), zero)
    minus = b.constant(-1, x.dtype)
    reciprocal = b.where(b.equal(x, one), one, zero)
    reciprocal = b.where(b.equal(x, minus), b.where(odd, minus, one), reciprocal)
    return b.where(y < 0, reciprocal, power)


def multiply_out(b: Any, x: Any, y: int) -> Any:
    """Multiply out x**y with few products; a negative power is the reciprocal of the positive."""
    power: Any = None
    for bit in bin(-y if y < 0 else y)[2:]:
        power = power if power is None else power * power
        if bit == "1":
            power = x if power is None else power * x
    if power is None:
        return b.constant(1, x.dtype)
    return b.divide(b.constant(1, x.dtype), power) if y < 0 else power
