"""erf, erfc, erfinv.

erf is, below about 1, a polynomial in x**2; above, 1 minus a function of a polynomial.
"""

from __future__ import annotations

import math

from fnad.lowering.maths.exponentials import (
    EXPM1,
    LN2,
    LOG2_E,
)
from fnad.lowering.maths.logarithms import log_of_normal
from fnad.lowering.maths.notation import (
    FLOAT32,
    Number,
    absolute,
    by_dtype,
    copysign,
    fma,
    horner,
    least,
    sqrt,
    where,
    whole_part,
)
from fnad.lowering.maths.powers_of_two import scale

# erf(x) = x + x p(x**2) below a middle
_ERF_MIDDLE = by_dtype(1.125, 1.0)
_ERF = by_dtype(
    (0.12837916612625122, -0.3761259913444519, 0.1128321960568428, -0.026837782934308052,
     0.005157805047929287, -0.000774698331952095, 7.010231638560072e-05),
    (0.12837916709551256, -0.37612638903183343, 0.11283791670936949, -0.026866170641958727,
     0.005223977596730088, -0.0008548325484509978, 0.00012055280472696284,
     -1.4924464960091902e-05, 1.644413913240514e-06, -1.61838790904102e-07,
     1.3616108362041984e-08, -7.606516934741249e-10),
)  # fmt: skip
# erfc(x) = p(x)**8 above, for float32
_ROOT_OF_ERFC32 = (
    1.0006126165390015, -0.14393533766269684, -0.0637814849615097, -0.008725916035473347,
    0.011195909231901169, -0.0018119423184543848, 1.4963187823013868e-05,
    1.1514656762301456e-05,
)  # fmt: skip
# log2(erfc(x)) = -p(x) above, for float64
_LOG_ERFC64 = (
    7.254387203711884e-07, 1.6278997033560216, 0.9184826041228001, 0.14816974554318563,
    -0.027397042103587992, -0.0005924033574263323, 0.002764113985514414,
    -0.0011117966813561937, 0.0001948324608931742, 2.9240582582518466e-05,
    -3.2926668272846026e-05, 1.2504302041257755e-05, -3.081183661713515e-06,
    5.385712118632936e-07, -6.697517636203491e-08, 5.6760300459046175e-09,
    -2.950305713204417e-10, 7.110615089022346e-12,
)  # fmt: skip
# 2**r = 1 + r p(r) for |r| <= 1/2, as accurate as a small complement needs
_EXP2_64 = (
    0.69314718055995, 0.24022650695909917, 0.05550410866447524, 0.009618129107791319,
    0.0013333558225218788, 0.0001540353015310279, 1.5252660080371644e-05,
    1.3215597884357542e-06, 1.0208176776902253e-07, 7.045232965511782e-09,
)  # fmt: skip

_ERF_HIGH = by_dtype(4.0, 6.0)  # beyond: 1

# erfc(x) = exp(-x**2) (1 + p((x - k) / (x + k))) / (x + k) from 0 to where it vanishes
_ERFC_CENTRE = by_dtype(2.0, 3.0)
_ERFC_HIGH = by_dtype(10.3, 27.4)
_ERFC = by_dtype(
    (0.02158270962536335, -0.6871606707572937, 0.2794717252254486, -0.03644151613116264,
     -0.021504975855350494, 0.006471099331974983, 0.0030578486621379852,
     -0.0008155181421898305, -0.0005786573747172952, 3.0199851607903838e-05,
     5.492594573297538e-05),
    (0.07400690708833971, -0.8833944531698836, 0.5902283571040999, -0.31046726190056506,
     0.1195277612874037, -0.026827234624537927, -0.0012124166299853285,
     0.0030340620017657483, -0.0005483096571012458, -0.00027677784792009717,
     0.0001075612390880513, 3.0398147153520803e-05, -1.746948619127652e-05,
     -4.749046588382947e-06, 2.762423847910837e-06, 9.98095309082161e-07,
     -4.0283664311071676e-07, -2.3153808442742694e-07, 4.070929043622837e-08,
     4.77267986476539e-08, 1.9617071372463603e-09, -6.0766004903206655e-09,
     -1.437008897433656e-09),
)  # fmt: skip

# erfinv(x) = x p(x**2) up to 1/2, from there u p((u - k) / (u + k)), u = sqrt(-log(1 - x))
_ERFINV = by_dtype(
    (0.8862268924713135, 0.2320198267698288, 0.1273617148399353, 0.08907124400138855,
     0.0487053282558918, 0.10093358904123306),
    (0.886226925452758, 0.2320136665345936, 0.12755617531946808, 0.08655212802511396,
     0.06495967271164697, 0.05172981263066067, 0.04286178290624924, 0.03618156397723588,
     0.033875332071163756, 0.016614867465303263, 0.06390011123827048, -0.05894595485368712,
     0.10795801191506016),
)  # fmt: skip
_ERFINV_CENTRE = by_dtype(1.84, 2.25)
_ERFINV_TAIL = by_dtype(
    (0.8153889775276184, 0.46646785736083984, -0.4278416633605957, 0.16089385747909546,
     0.05921141058206558, -0.15567675232887268, 0.1246354803442955, -0.02623594179749489,
     -0.0748431384563446, 0.08133255690336227),
    (0.8580170499169126, 0.38183204802744647, -0.40800308713700567, 0.24423258621892005,
     -0.06293581947087783, -0.07330809921151005, 0.12861580037843331, -0.11159639855436944,
     0.0500763318417495, 0.018107204316201914, -0.06348980958549019, 0.07143404976152187,
     -0.04619550445587498, 0.0044769251145639, 0.032629485850508747, -0.04928112007647807,
     0.040617294532232256, -0.016558870166366448, -0.009037745037046588,
     0.03568467007707277, -0.05208141976364713, 0.019727489521725546, 0.03375032639475933,
     -0.02910226318248221),
)  # fmt: skip


def erf(x: Number) -> Number:
    size = least(absolute(x), x.pick(_ERF_HIGH))
    small = fma(size, horner(size * size, x.pick(_ERF)), size)
    return copysign(where(size > x.pick(_ERF_MIDDLE), _large_erf(size), small), x)


def _large_erf(x: Number) -> Number:
    """erf(x) above the middle."""
    if x.dtype == FLOAT32:
        root = horner(x, _ROOT_OF_ERFC32)
        square = root * root
        fourth = square * square
        return fma(-fourth, fourth, 1.0)
    exponent = -horner(x, _LOG_ERFC64)
    n, bits = whole_part(exponent, 1, x.bias)
    power = (bits << x.mantissa).from_bits
    return fma(-horner(exponent - n, (1.0, *_EXP2_64)), power, 1.0)


def _exp_of_minus_square(x: Number) -> tuple[Number, Number, Number]:
    """``(high, low, n)``: exp(-x**2) = (high + low) 2**n."""
    square = x * x
    n, _ = whole_part(square, -LOG2_E)
    ln2, ln2_low = x.pick(LN2)
    most, rest = fma(n, -ln2, -square), fma(n, ln2_low, fma(x, x, -square))
    r = most - rest
    grown = fma(r * r, horner(r, x.pick(EXPM1)), r)
    high = grown + 1.0
    return high, (grown - (high - 1.0)) + ((most - r) - rest), n


def erfc(x: Number) -> Number:
    """exp(-a**2) (1 + p(t)) / (a + k), t = (a - k) / (a + k), and 2 minus that for x < 0;
    1 - x - (erf(x) - x) near 0.

    The quotient as a polynomial in t is Shepherd and Laframboise's (1981); products carry
    their rounding errors along.
    """
    k = x.pick(_ERFC_CENTRE)
    a = least(absolute(x), x.pick(_ERFC_HIGH))
    divisor = a + k
    w = 1.0 / divisor
    w_low = w * fma(-w, a - (divisor - k), fma(-w, divisor, 1.0))
    t = fma(w_low, -2.0 * k, fma(w, -2.0 * k, 1.0))
    first, *others = x.pick(_ERFC)
    one = float(x.dtype.type(1.0 + first))
    slope = horner(t, others)
    q = fma(t, slope, one)
    q_low = fma(t, slope, one - q) + (first - (one - 1.0))
    factor = w * q
    factor_low = fma(w, q_low, fma(w_low, q, fma(w, q, -factor)))
    exp, exp_low, n = _exp_of_minus_square(a)
    product = factor * exp
    low = fma(factor, exp_low, fma(factor_low, exp, fma(factor, exp, -product)))
    result = scale(product + low, n)
    result = where(x < 0.0, 2.0 - result, result)
    near = fma(-x, horner(x * x, x.pick(_ERF)), 1.0 - x)
    return where(a < 0.75, near, result)


def erfinv(x: Number) -> Number:
    """x p(x**2); beyond 1/2, u q((u - k) / (u + k)) for u = sqrt(-log(1 - abs(x)))."""
    k = x.pick(_ERFINV_CENTRE)
    size = absolute(x)
    small = size * horner(size * size, x.pick(_ERFINV))
    u = sqrt(-log_of_normal(1.0 - size))
    large = u * horner((u - k) / (u + k), x.pick(_ERFINV_TAIL))
    large = where(size.equals(1.0), math.inf, where(size > 1.0, math.nan, large))
    return copysign(where(size > 0.5, large, small), x)
