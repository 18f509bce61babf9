"""lgamma and digamma, in float64 for float32 as well.

Small arguments are shifted to where the function is a polynomial that vanishes exactly where the
function does; large ones take Stirling's series; negative ones are left to `negative_gamma`, which
is called where any lane has one.
"""

from __future__ import annotations

import math

from fnad.lowering.maths.logarithms import log_in_parts, log_of_normal
from fnad.lowering.maths.notation import (
    Number,
    absolute,
    copysign,
    fma,
    horner,
    if_any,
    rint,
    where,
)

_LARGE = 6.5  # from here on Stirling's series
_HALF_LOG_2PI = (0.9189385332046728, -3.8782941580672414e-17)

# lgamma(2 + f) = f p(f) for |f| <= 1/2
LGAMMA = (
    0.42278433509846713, 0.3224670334241133, -0.06735230105319497, 0.0205808084277765,
    -0.007385551029023005, 0.0028905103309626976, -0.001192753897486754,
    0.0005096695219566411, -0.00022315504103253455, 9.945753809958001e-05,
    -4.492312872573962e-05, 2.050691425926575e-05, -9.459337315437515e-06,
    4.377904293438461e-06, -1.9663552968939187e-06, 9.377899965696108e-07,
    -5.894693870190168e-07, 2.602154568529048e-07,
)  # fmt: skip
# lgamma(x) = (x - 1/2) log(x) - x + log(2 pi)/2 + p(1/x**2) / x
_STIRLING = (
    0.08333333333332352, -0.002777777770656394, 0.0007936489900353083,
    -0.0005950213441558305, 0.0008281790149714647, -0.0014791928350392112,
)  # fmt: skip

# digamma(x) = (x - x0) p(x - x0) for 1 <= x <= 2, x0 its zero, in two parts
DIGAMMA_ZERO = (1.4616321449683622, 9.549995429965697e-17)
DIGAMMA = (
    0.9676722454476212, -0.4427631689835907, 0.25849976095561944, -0.16394270544282122,
    0.10782405069615385, -0.07219956122113037, 0.04880428786712748, -0.03316112782621096,
    0.022597657529871223, -0.015424738189725954, 0.01053862163594184,
    -0.0072048633771140385, 0.004928712372358562, -0.0033675109630822595,
    0.0022911626474223933, -0.0015856628041074198, 0.001142575568853419,
    -0.0007258202495525235, 0.0003302506998249659, -0.00031959454929992686,
    0.0004863898824550101, -0.0002673531833599229,
)  # fmt: skip
# digamma(x) = log(x) - 1 / (2 x) + p(1/x**2) / x**2
_DIGAMMA_LARGE = (
    -0.08333333333322875, 0.008333333253782967, -0.003968233117234189,
    0.004164091455967006, -0.007410571466839014, 0.015619686607589516,
)  # fmt: skip


def lgamma(x: Number) -> Number:
    return _lgamma(x.widen()).convert(x.dtype)


def _lgamma(x: Number) -> Number:
    result = _unless_negative(x, "lgamma", _lgamma_of_positive(absolute(x)))
    return where(x.equals(0.0), math.inf, result)


def _unless_negative(x: Number, name: str, positive: Number) -> Number:
    negative = x < 0.0

    def exactly() -> list[Number]:
        return [where(negative, x.call(f"{name}_of_negative"), positive)]

    return if_any(negative, [positive], exactly)[0]


def _lgamma_of_positive(x: Number) -> Number:
    large = x > _LARGE
    b = where(large, 2.0, x)
    n = rint(b - 2.0)
    f = b - (n + 2.0)
    product = where(n < 0.0, b * where(n < -1.0, b + 1.0, 1.0), 1.0)
    for j in range(1, 5):
        product = product * where(n < j, 1.0, b - j)

    high, low = log_in_parts(where(large, x, product))
    down = n < 0.0
    near = fma(f, LGAMMA[0], where(down, -high, high))
    near = fma(f * f, horner(f, LGAMMA[1:]), near)
    small = near + where(down, -low, low)

    stirling = _stirling(x, high, low)
    return where(large, where(x < math.inf, stirling, x), small)


def lgamma_large(x: Number) -> Number:
    """lgamma(x) for finite x of at least 6.5."""
    return _stirling(x, *log_in_parts(x))


def _stirling(x: Number, log: Number, log_low: Number) -> Number:
    u = 1.0 / x
    shifted = x - 0.5
    most = shifted * log
    rest = fma(shifted, log_low, fma(shifted, log, -most))
    difference = most - x
    lost = (most - difference) - x
    tail = fma(u, horner(u * u, _STIRLING), _HALF_LOG_2PI[0])
    result = difference + (tail + (rest + lost))
    return where(x > 2.0**100, x * ((log - 1.0) + log_low), result)


def digamma(x: Number) -> Number:
    return _digamma(x.widen()).convert(x.dtype)


def _digamma(x: Number) -> Number:
    result = _unless_negative(x, "digamma", _digamma_of_positive(absolute(x)))
    return where(x.equals(0.0), copysign(math.inf, -x), result)


def _digamma_of_positive(x: Number) -> Number:
    large = x > _LARGE
    b = where(large, 1.5, x)
    n = rint(b - 1.5)
    below = n < 0.0
    # digamma(b) = digamma(b - n) + 1 / (b - 1) + ... + 1 / (b - n), the sum as one quotient
    numerator = where(below, b.constant(-1.0), 0.0)
    denominator = where(below, b, 1.0)
    for j in range(1, 6):
        step, factor = n >= j, b - j
        numerator = where(step, fma(numerator, factor, denominator), numerator)
        denominator = where(step, denominator * factor, denominator)
    numerator = where(large, 1.0, numerator)
    quotient = numerator / where(large, x, denominator)
    zero, zero_low = DIGAMMA_ZERO
    t = ((b - n) - zero) - zero_low
    small = fma(t, horner(t, DIGAMMA), quotient)
    z = quotient * quotient
    asymptotic = log_of_normal(x) + fma(z, horner(z, _DIGAMMA_LARGE), quotient * -0.5)
    return where(large, where(x < math.inf, asymptotic, x), small)
