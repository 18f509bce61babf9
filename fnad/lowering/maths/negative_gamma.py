"""lgamma and digamma of negative numbers, with a relative error that stays small at the zeros.

Between -n - 1 and -n lgamma has two zeros for n >= 2, and digamma has one. The recurrences lead
from there to 2 + f, where both are polynomials:

    lgamma(x)  = lgamma(2 + f) - log(abs(x (x + 1) ... (x + m + 1)))
    digamma(x) = digamma(2 + f) - 1 / x - 1 / (x + 1) - ... - 1 / (x + m + 1)

Next to a zero z, the same is written for the difference from what is 0 at z, which has the factor
x - z. That takes tables of zeros, in two parts, found by bisection with mpmath at 80 digits. Those
of lgamma draw near to the poles, as 1 / n!: from n = 18 on no float64 lies between. Those of
digamma do not; from n = 16 on it is computed with twice the precision, by reflection.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction

from fnad.lowering.maths.gamma import DIGAMMA, DIGAMMA_ZERO, LGAMMA, lgamma_large
from fnad.lowering.maths.logarithms import log, log1p, log_in_parts
from fnad.lowering.maths.notation import (
    Number,
    absolute,
    fast_two_sum,
    fma,
    horner,
    if_any,
    rint,
    where,
    whole_part,
)
from fnad.lowering.maths.pairs import Pair, constant, exactly, series
from fnad.lowering.maths.powers_of_two import split_any
from fnad.lowering.maths.trigonometry import sin_of_reduced

# What separates -m from a zero of lgamma below it and one above it, for m = 0, 1, ...; 0 for none.
_LGAMMA_ZEROS = (
    (0.0, 0.0), (0.0, 0.0), (0.0, 0.0), (0.0, 0.0),
    (0.0, 0.0), (0.0, 0.0),
    (-0.14358088834998006, 3.862806401714152e-18), (0.0, 0.0),
    (-0.03936183974053688, 3.2731379225891636e-18), (0.04470571514140207, 8.223977942582053e-19),
    (-0.008218168322593521, -5.582665915956405e-19), (0.008455359439952277, 8.231751957350036e-19),
    (-0.0013852944531550972, -2.6295731811446077e-20),
    (0.0013925199191243706, -7.090441230646531e-20),
    (-0.00019833340732475162, 1.1820573401560963e-20),
    (0.0001984921093623021, 6.263909978492175e-21),
    (-2.48002706819597e-05, 1.0083974251164085e-21), (2.4802904179335845e-05, 3.15397713595963e-22),
    (-2.7557148226503463e-06, -5.624459871432079e-23),
    (2.7557490225318057e-06, -6.500300408654724e-23),
    (-2.755730136466002e-07, -2.4472526783403563e-23),
    (2.7557337083353163e-07, 1.4502658434955713e-23),
    (-2.5052106852407546e-08, 1.2924868620853802e-24),
    (2.5052109918476226e-08, -6.807394864189793e-25),
    (-2.087675687777539e-09, -4.849684877236172e-26),
    (2.087675709796081e-09, -8.658839215884982e-26),
    (-1.6059043830108875e-10, 7.046449983196074e-27),
    (1.6059043843534355e-10, 6.465141936497467e-27),
    (-1.147074559737784e-11, 4.194056116105366e-28),
    (1.147074559808161e-11, -7.830340218001236e-28),
    (-7.647163731803788e-13, 4.886154187641447e-29),
    (7.647163731835846e-13, -3.8035184915187745e-29),
    (-4.779477332386745e-14, -1.811833433216651e-30),
    (4.779477332388026e-14, -9.319923331229129e-31),
    (-2.811457254345498e-15, -2.2878206410005478e-32),
    (2.8114572543455435e-15, -8.713180440266469e-32),
)  # fmt: skip
# lgamma(x) = (x - x0) (x - x1) p(x + 2.6) between -2.79 and -2.41, where its least value is near 0
_LEFT_ZERO = (-2.7476826467274127, 9.055340329338315e-17)
_RIGHT_ZERO = (-2.4570247382208006, -3.7075610815513266e-17)
_BETWEEN = (
    5.5890044042266664, -4.195503576241618, 12.948653794180277, -19.176755131275172,
    49.45697188607726, -93.06770943537684, 223.67520827169201, -469.6438704198186,
    1102.3371442227865, -2444.7662545571875, 5712.159032999706, -13047.239019632349,
    30564.432594013684, -71026.99068077454, 167345.98339187857, -393211.52538793534,
    921947.5467295019, -2182459.8122407994, 5604336.111701828, -13362711.616422297,
    18038776.47981393, -42738380.75779437, 421901025.1399941, -1019446244.3044839,
    -2356494369.552382, 5735614880.514387, 28781942084.72207, -69746225765.94902,
)  # fmt: skip
# Zeros of digamma between -n - 1 and -n.
_DIGAMMA_ZEROS = (
    (-0.5040830082644554, -8.15428206243813e-18), (-1.5734984731623904, -1.574185691077347e-17),
    (-2.6107208684441447, 9.881960746978353e-17), (-3.635293366436901, 5.454396163173039e-17),
    (-4.653237761743142, -2.5492686201468193e-16), (-5.6671624415568855, -3.2153051074948335e-18),
    (-6.678418213073427, 3.470798723495241e-16), (-7.687788325031626, -1.351562494643672e-16),
    (-8.695764163816401, -3.2859903716289447e-16), (-9.702672540001863, -3.2563178405401477e-16),
    (-10.708740838254144, -6.287211750540301e-16), (-11.714133061228955, 8.598250154343834e-16),
    (-12.718971025749207, -4.752312432106917e-16), (-13.723347457363827, 4.528278691518058e-16),
    (-14.727334416018529, -3.6618399963139786e-17), (-15.730988906332882, 1.0551956373365842e-16),
)  # fmt: skip

_Formula = Callable[[Number], Number]

_LAST_ZERO = len(_LGAMMA_ZEROS) // 2 - 1
_FACTORS = 32  # so many are multiplied; from here on reflection cancels less than a digit
_SUMMANDS = len(_DIGAMMA_ZEROS)

_PI = (math.pi, 1.2246467991473532e-16)
_LOG_2 = (0.6931471805599453, 2.3190468138462996e-17)
# In series: log((1 + s) / (1 - s)) = 2 s p(s**2), sin(x) = x p(x**2), cos(x) = p(x**2)
_LOG = [Fraction(2, 2 * k + 1) for k in range(22)]
_SIN = [Fraction((-1) ** k, math.factorial(2 * k + 1)) for k in range(15)]
_COS = [Fraction((-1) ** k, math.factorial(2 * k)) for k in range(16)]


def lgamma_of_negative(x: Number) -> Number:
    """For float64 below 0; of other lanes, some number."""
    x = _negative(x)
    return _by_size(x, x >= -(_FACTORS + 0.5), _lgamma_of_small, _lgamma_of_large)


def digamma_of_negative(x: Number) -> Number:
    """For float64 below 0; of other lanes, some number."""
    x = _negative(x)
    value = _by_size(x, x > -float(_SUMMANDS), _digamma_of_small, _digamma_of_large)
    return where(rint(x).equals(x), math.nan, value)


def _negative(x: Number) -> Number:
    """Lanes that are not below 0 would read far outside of the tables of zeros."""
    return where(x < 0.0, x, -1.3)


def _by_size(x: Number, small: Number, of_small: _Formula, of_large: _Formula) -> Number:
    """Either formula, evaluated if a lane needs it; other lanes give it some usual number."""

    def by_small() -> list[Number]:
        return [of_small(where(small, x, -1.3))]

    def by_large() -> list[Number]:
        return [where(small, result, of_large(where(small, -50.3, x)))]

    result = if_any(small, [x], by_small)[0]
    return if_any(~small, [result], by_large)[0]


def _lgamma_of_large(x: Number) -> Number:
    """log(pi / (a sin(pi a))) - lgamma(a) for a = -x."""
    a = -x
    sine = absolute(sin_of_reduced((a - rint(a)) * math.pi))
    value = log(math.pi / (a * sine)) - lgamma_large(a)
    value = where(sine.equals(0.0), math.inf, value)
    return where(a < math.inf, value, x)


def _lgamma_of_small(x: Number) -> Number:
    m = -rint(x)
    f = x + m  # exact
    value = _if_near_zero(m, f, _by_recurrence(x, m, f))
    return where((x > -2.79) & (x < -2.41), _between_zeros(x), value)


def _by_recurrence(x: Number, m: Number, f: Number) -> Number:
    """The factors are f + 1, f, f - 1, ..., f - m = x, of which only the first is rounded."""
    first, lost = fast_two_sum(1.0, f)
    high = first * x
    low = fma(lost, x, fma(first, x, -high))
    for j in range(_FACTORS):
        factor = where(m > j, f - j, 1.0)
        product = high * factor
        low = fma(low, factor, fma(high, factor, -product))
        high = product
    high, low = fast_two_sum(high, low)
    size = absolute(high)
    log_high, log_low = log_in_parts(size)
    rest = fma(f * f, horner(f, LGAMMA[1:]), -(log_low + low / high))
    value = fma(f, LGAMMA[0], -log_high) + rest
    return where(high.equals(0.0), math.inf, value)


def _if_near_zero(m: Number, f: Number, otherwise: Number) -> Number:
    """``otherwise``, but for x between half and twice as far from -m as a zero."""
    index = _index(where(m > _LAST_ZERO, 0.0, m + m + where(f > 0.0, f.constant(1.0), 0.0)))
    zero, zero_low = _zero("lgamma", _LGAMMA_ZEROS, index)
    distance, size = absolute(zero), absolute(f)
    near = (size >= distance * 0.9375) & (size <= distance * 1.0625) & (distance > 0.0)

    def from_zero() -> list[Number]:
        """lgamma(2 + f) and the factors f - j of the product, relative to those at the zero."""
        delta = (f - zero) - zero_low
        change = f.constant(0.0)  # of the product
        for j in (*range(_LAST_ZERO, 0, -1), -1, 0):  # the largest one last
            step = delta / ((zero - j) + zero_low)
            step = where(m >= j, step, 0.0)
            change = change + fma(change, step, step)
        slope = _slope((0.0, *LGAMMA), f, zero)
        return [where(near, fma(delta, slope, -log1p(change)), otherwise)]

    return if_any(near, [otherwise], from_zero)[0]


def _between_zeros(x: Number) -> Number:
    left, right = ((x - zero) - low for zero, low in (_LEFT_ZERO, _RIGHT_ZERO))
    product, rest = left * right, horner(x + 2.6, _BETWEEN)
    return fma(product, rest, fma(left, right, -product) * rest)


def _slope(coefficients: tuple[float, ...], x: Number, y: Number) -> Number:
    """(p(x) - p(y)) / (x - y) of a polynomial."""
    *rest, last = coefficients
    value = slope = x.constant(last)
    for c in reversed(rest[1:]):
        value = fma(value, y, c)
        slope = fma(slope, x, value)
    return slope


def _index(n: Number) -> Number:
    """A small whole number as an integer."""
    return whole_part(n, 1)[1] & 1023


def _zero(
    name: str, zeros: tuple[tuple[float, float], ...], index: Number
) -> tuple[Number, Number]:
    high, low = zip(*zeros, strict=True)
    return index.lookup(f"zeros.{name}.high", high), index.lookup(f"zeros.{name}.low", low)


def _digamma_of_small(x: Number) -> Number:
    """digamma(x) - digamma(z) for the zero z between the same poles: a sum of what is positive."""
    n = rint(-x - 0.5)
    zero, zero_low = _zero("digamma", _DIGAMMA_ZEROS, _index(n))
    delta = (x - zero) - zero_low
    shift = n + (2.0 - DIGAMMA_ZERO[0])
    total = _slope((0.0, *DIGAMMA), x + shift, zero + shift)
    for j in range(_SUMMANDS + 1):  # the largest ones last
        product = (x + j) * ((zero + j) + zero_low)
        total = total + where(n >= j - 1.0, 1.0 / product, 0.0)
    return where(x > -(2.0**-60), -1.0 / x, delta * total)


def _digamma_of_large(x: Number) -> Number:
    """digamma(a) + 1 / a + pi cot(pi a) for a = -x, in pairs."""
    a = -x
    r = a - rint(a)
    pi = constant(a, _PI)
    angle = pi * exactly(r)
    square = angle * angle
    cotangent = series(square, _COS, 9) / (angle * series(square, _SIN, 8))
    return (_digamma_after(a) + pi * cotangent).high


def _digamma_after(a: Number) -> Pair:
    """digamma(a) + 1 / a = log(a) + 1 / (2 a) + p(1 / a**2) / a**2."""
    one = exactly(a.constant(1.0))
    inverse = one / exactly(a)
    square = inverse * inverse
    k, m = split_any(a)
    s = exactly(m - 1.0) / (exactly(m) + one)
    log_m = s * series(s * s, _LOG, 11)
    log_a = constant(a, _LOG_2) * exactly(k) + log_m
    tail = square * series(square, _asymptotic(20), 6)
    half = Pair(inverse.high * 0.5, inverse.low * 0.5)
    return log_a + (half + tail)


def _asymptotic(count: int) -> list[Fraction]:
    """-B(2 k) / (2 k), with Bernoulli's numbers."""
    bernoulli = [Fraction(1)]
    for n in range(1, 2 * count + 1):
        total = sum(math.comb(n + 1, k) * b for k, b in enumerate(bernoulli))
        bernoulli.append(-Fraction(total) / (n + 1))
    return [-bernoulli[2 * k] / (2 * k) for k in range(1, count + 1)]
