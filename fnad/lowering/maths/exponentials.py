"""exp, exp2, expm1, sinh, cosh, tanh.

Arguments are reduced by the multiple of log(2) next to them (Cody and Waite 1980), found by
adding a number so large that what is left of the sum's fraction is the whole number sought; its
low bits then make the exponent of the power of two. Polynomials are minimax fits (Remez).
"""

from __future__ import annotations

from fnad.lowering.maths.notation import (
    Number,
    absolute,
    by_dtype,
    clamp,
    copysign,
    fma,
    horner,
    least,
    where,
    whole_part,
)
from fnad.lowering.maths.powers_of_two import scale

LN2 = by_dtype(
    (0.693145751953125, 1.4286068203094173e-06),  # the first part times a small integer is exact
    (0.6931471805598903, 5.497923018708371e-14),
)
LOG2_E = 1.4426950408889634

# Beyond these bounds results are 0 or infinite (expm1: -1; tanh, of the doubled argument: 1).
_EXP_RANGE = by_dtype((-104.0, 89.0), (-746.0, 710.0))
_EXPM1_LOW = by_dtype(-18.0, -38.0)
_TANH_HIGH = by_dtype(20.0, 40.0)
_SINH_HIGH = by_dtype(89.5, 710.5)

# 2**r = 1 + r p(r) for |r| <= 1/2
_EXP2 = by_dtype(
    (0.6931471824645996, 0.24022647738456726, 0.055503588169813156, 0.009618481621146202,
     0.0013391394168138504, 0.0001533894828753546),
    (0.6931471805599453, 0.2402265069591007, 0.05550410866482345, 0.009618129107630305,
     0.001333355814598635, 0.00015403530387953288, 1.525273423742094e-05,
     1.3215492639988823e-06, 1.0177894049765369e-07, 7.052331212086556e-09,
     4.480192955825017e-10, 2.968460770337034e-11),
)  # fmt: skip

# e**r = 1 + r + r**2 p(r) for |r| <= log(2) / 2, accurate relative to e**r - 1
EXPM1 = by_dtype(
    (0.4999999701976776, 0.16666539013385773, 0.04166774824261665, 0.008367140777409077,
     0.0013836546568199992),
    (0.5, 0.16666666666666677, 0.041666666666666685, 0.008333333333321811,
     0.0013888888888893612, 0.00019841269885257222, 2.4801587279056943e-05,
     2.7557245267204942e-06, 2.7557329576696426e-07, 2.510864167683751e-08,
     2.08938727135154e-09),
)  # fmt: skip

# sinh(r) = r + r**3 p(r**2) and cosh(r) = 1 + r**2 q(r**2) for |r| <= log(2) / 2
_SINH = by_dtype(
    (0.1666654348373413, 0.008366553112864494),
    (0.16666666666666677, 0.008333333333321376, 0.00019841269886862925, 2.755724338587416e-06,
     2.5109349763019252e-08),
)  # fmt: skip
_COSH = by_dtype(
    (0.5, 0.041666459292173386, 0.0013935453025624156),
    (0.5, 0.041666666666666685, 0.0013888888888873262, 2.4801587349289537e-05,
     2.7557251708617686e-07, 2.092181487756203e-09),
)  # fmt: skip


def reduce_by_ln2(x: Number, n: Number) -> Number:
    """x - n log(2)."""
    high, low = x.pick(LN2)
    return fma(n, -low, fma(n, -high, x))


def exp(x: Number) -> Number:
    x = clamp(x, *x.pick(_EXP_RANGE))
    n, _ = whole_part(x, LOG2_E)
    return scale(horner(reduce_by_ln2(x, n), (1.0, 1.0, *x.pick(EXPM1))), n)


def exp2(x: Number) -> Number:
    return power_of_two(clamp(x, -(x.bias + x.mantissa + 2.0), x.bias + 1.0))


def power_of_two(x: Number, rest: Number | None = None) -> Number:
    """2**(x + rest) for an x of modest size."""
    n, _ = whole_part(x, 1)
    r = x - n if rest is None else (x - n) + rest
    return scale(horner(r, (1.0, *x.pick(_EXP2))), n)


def _half_expm1(x: Number) -> Number:
    """(e**x - 1) / 2, as 2**n (e**r - 1) + (2**n - 1), halved so that 2**n is finite."""
    n, bits = whole_part(x, LOG2_E, x.bias - 1)
    r = reduce_by_ln2(x, n)
    grown = fma(r * r, horner(r, x.pick(EXPM1)), r)
    half = (bits << x.mantissa).from_bits
    return fma(half, grown, half - 0.5)


def expm1(x: Number) -> Number:
    half = _half_expm1(clamp(x, x.pick(_EXPM1_LOW), x.pick(_EXP_RANGE)[1]))
    return where(x.equals(0.0), x, half + half)  # keeps -0


def tanh(x: Number) -> Number:
    """h / (h + 1) for h = (e**(2 a) - 1) / 2, a = abs(x), corrected for rounding where h < 1."""
    a = absolute(x)
    half = _half_expm1(least(a + a, x.pick(_TANH_HIGH)))
    divisor = half + 1.0
    lost = half - (divisor - 1.0)
    quotient = half / divisor
    rest = fma(-quotient, lost, fma(-quotient, divisor, half))
    corrected = fma(rest, 1.0 - quotient, quotient)  # 1 - quotient = 1 / divisor
    return copysign(where(half < 1.0, corrected, quotient), x)


def _halves(x: Number) -> tuple[Number, Number, Number, Number, Number]:
    """For |x| = n log(2) + r: ``2**n/4``, ``2**-n/4``, r, sinh(r) - r, cosh(r) - 1."""
    size = least(absolute(x), x.pick(_SINH_HIGH))
    n, bits = whole_part(size, LOG2_E, x.bias - 2)
    r = reduce_by_ln2(size, n)
    z = r * r
    up = (bits << x.mantissa).from_bits
    _, bits = whole_part(least(n, 100.0), -1.0, x.bias - 2)
    down = (bits << x.mantissa).from_bits
    return up, down, r, r * z * horner(z, x.pick(_SINH)), z * horner(z, x.pick(_COSH))


def sinh(x: Number) -> Number:
    """sinh(n log(2)) cosh(r) + cosh(n log(2)) sinh(r), the first factors exact."""
    up, down, r, sinh_r, cosh_r = _halves(x)
    small = fma(up - down, cosh_r, (up + down) * sinh_r)
    half = (up - down) + fma(up + down, r, small)
    return copysign(half + half, x)


def cosh(x: Number) -> Number:
    """cosh(n log(2)) cosh(r) + sinh(n log(2)) sinh(r)."""
    up, down, r, sinh_r, cosh_r = _halves(x)
    small = fma(up + down, cosh_r, (up - down) * sinh_r)
    half = (up + down) + fma(up - down, r, small)
    return half + half
