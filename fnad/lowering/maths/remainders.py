"""The remainder of a division towards zero, C's fmod, which is exact."""

from __future__ import annotations

from fnad.lowering.maths.notation import Number, absolute, copysign, fma, if_any, where


def remainder(x: Number, y: Number) -> Number:
    """``x - n y`` by one fused operation, n the truncated quotient.

    A quotient that is a whole number after rounding may be one too large, never too small: then
    the difference has the other sign. Either is a multiple of the last place of y, and no larger
    than y, so it is exact. Quotients whose last place is above 1, NaN and infinite ones are left
    to the C library.
    """
    size, divisor = absolute(x), absolute(y)
    quotient = size / divisor
    rest = fma(-quotient.apply("trunc"), divisor, size)
    rest = where(rest < 0.0, rest + divisor, rest)
    rest = where(size < divisor, size, rest)  # by infinities, too
    usual = quotient < 2.0 ** (x.mantissa + 1)
    [result] = if_any(~usual, [copysign(rest, x)], lambda: [x.apply("library_remainder", y)])
    return result
