"""sin, cos, tan.

Arguments are reduced to r = x - n pi (tan: n pi/2) with pi in three parts (Cody and Waite 1980);
the first difference is exact because the first part has as few digits behind the point as r.
Where any lane is too large for that, the whole vector takes the way of `payne_hanek`.
"""

from __future__ import annotations

import math

from fnad.lowering.maths.notation import (
    Number,
    absolute,
    by_dtype,
    copysign,
    flip,
    fma,
    horner,
    if_any,
    least,
    sign_bit,
    two_sum,
    where,
    whole_part,
)
from fnad.lowering.maths.payne_hanek import remainder

# pi in three parts, each the rest rounded down: with positive ones, r of x = -0 is -0.
_PI = by_dtype(
    (3.141592502593994, 1.5099578831723193e-07, 1.078060505991553e-14),
    (3.141592653589793, 1.224646799147353e-16, 2.1657133478438278e-32),
)
_LARGE = by_dtype(2.0**17, 2.0**27)

# sin(r) = r + r**3 p(r**2) for |r| <= pi/2
_SIN = by_dtype(
    (-0.16666658222675323, 0.00833303015679121, -0.00019806850468739867, 2.599512981760199e-06),
    (-0.16666666666666666, 0.008333333333333207, -0.00019841269841212476,
     2.7557319211571117e-06, -2.505210690488319e-08, 1.6058941042349168e-10,
     -7.643020830708683e-13, 2.7214388574763745e-15),
)  # fmt: skip
# tan(r) = r + r**3 p(r**2) for |r| <= pi/4
_TAN = by_dtype(
    (0.3333335816860199, 0.13332369923591614, 0.05409352853894234, 0.02110716514289379,
     0.011292281560599804, -0.0004915607278235257, 0.004663643427193165),
    (0.3333333333333276, 0.1333333333341723, 0.05396825392539132, 0.02186948964005365,
     0.008863218722465356, 0.0035922930934336465, 0.001454733438278282, 0.0005951684610712168,
     0.00022207255986464637, 0.00013716137152701297, -2.7286498410122292e-05,
     9.028355436879738e-05, -4.532730760454895e-05, 2.0972146177729733e-05),
)  # fmt: skip


def sin_of_reduced(r: Number) -> Number:
    """sin(r) for abs(r) up to a little more than pi/2; not above 1, and -0 for -0."""
    size, z = absolute(r), r * r
    return copysign(least(fma(size * z, horner(z, r.pick(_SIN)), size), 1.0), r)


def sin(x: Number) -> Number:
    n, bits = whole_part(x, 1 / math.pi)
    r = _subtract_multiple(x, n, 1)
    odd = bits << (x.dtype.itemsize * 8 - 1)
    return sin_of_reduced(_unless_large(x, flip(r, odd), 0))


def cos(x: Number) -> Number:
    """sin(x + pi/2): the multiples of pi are odd ones of pi/2."""
    n, bits = whole_part(fma(x, 1 / math.pi, -0.5), 1)
    r = _subtract_multiple(x, fma(n, 2.0, 1.0), 2)
    even = ~bits << (x.dtype.itemsize * 8 - 1)
    return sin_of_reduced(_unless_large(x, flip(r, even), 1))


def _subtract_multiple(x: Number, n: Number, divisor: int) -> Number:
    """x - n pi / divisor."""
    first, second, third = (part / divisor for part in x.pick(_PI))
    return fma(n, -third, fma(n, -second, fma(n, -first, x)))


def tan(x: Number) -> Number:
    """tan(r), or -1 / tan(r) for odd multiples of pi/2; r in two parts, r + low."""
    n, bits = whole_part(x, 2 / math.pi)
    first, second, third = (part / 2 for part in x.pick(_PI))
    product = n * second
    r, low = two_sum(fma(n, -first, x), -product)
    low = fma(n, -third, low - fma(n, second, -product))
    odd = (bits & 1).equals(1)
    r, low, odd = _tan_unless_large(x, r, low, odd)
    z = r * r
    tail = fma(r * z, horner(z, x.pick(_TAN)), fma(z, low, low))
    high = r + tail
    low = tail - (high - r)
    inverse = -1.0 / high
    rest = fma(inverse, high, 1.0)  # of the division; the other term is low's share
    return where(odd, fma(inverse, fma(inverse, low, rest), inverse), copysign(high, r))


def _unless_large(x: Number, reduced: Number, offset: int) -> Number:
    large = absolute(x) > x.pick(_LARGE)

    def exactly() -> list[Number]:
        return [where(large, remainder(x, offset).convert(x.dtype), reduced)]

    return if_any(large, [reduced], exactly)[0]


def _tan_unless_large(x: Number, r: Number, low: Number, odd: Number) -> list[Number]:
    """What to take the tangent of: near multiples of pi/2 the remainder that is small."""
    large = absolute(x) > x.pick(_LARGE)

    def exactly() -> list[Number]:
        sine, cosine = remainder(x, 0), remainder(x, 1)
        far = absolute(sine) > math.pi / 4
        exact = flip(
            where(far, -absolute(cosine), absolute(sine)), sign_bit(sine) ^ sign_bit(cosine)
        )
        high = exact.convert(x.dtype)
        rest = (exact - high.widen()).convert(x.dtype)
        return [where(large, high, r), where(large, rest, low), where(large, far, odd)]

    return if_any(large, [r, low, odd], exactly)
