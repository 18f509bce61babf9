"""Special functions: the error function and its kin, the logarithm of gamma and its derivative."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from fnad.primitives.arithmetic import mul, neg, square
from fnad.primitives.elementwise import elementwise
from fnad.primitives.transcendental import exp

TWO_OVER_SQRT_PI = 2 / math.sqrt(math.pi)

erf_p = elementwise(
    "erf",
    "The error function, 2/sqrt(pi) times the integral of exp(-t*t) from 0 to x.",
    lambda b, x: b.erf(x),
    derivatives=[lambda t, ans, x: mul(t, mul(exp(neg(square(x))), TWO_OVER_SQRT_PI))],
    kinds="f",
)


def erf(x: Any) -> Any:
    """The error function, elementwise.

    Examples
    --------
    >>> import numpy as np
    >>> erf(np.array([0.0, 1.0]))
    array([0.        , 0.84270079])
    """
    return erf_p.bind(x)


erfc_p = elementwise(
    "erfc",
    "1 - erf(x), accurate for large x.",
    lambda b, x: b.erfc(x),
    derivatives=[lambda t, ans, x: mul(t, mul(exp(neg(square(x))), -TWO_OVER_SQRT_PI))],
    kinds="f",
)


def erfc(x: Any) -> Any:
    """The complementary error function ``1 - erf(x)``, elementwise, accurate for large ``x``.

    Examples
    --------
    >>> import numpy as np
    >>> erfc(np.array([0.0, 1.0]))
    array([1.        , 0.15729921])
    """
    return erfc_p.bind(x)


erf_inv_p = elementwise(
    "erf_inv",
    "The inverse of erf: +-infinity at +-1, NaN outside [-1, 1].",
    lambda b, x: b.erfinv(x),
    derivatives=[lambda t, ans, x: mul(t, mul(exp(square(ans)), 1 / TWO_OVER_SQRT_PI))],
    kinds="f",
)


def erf_inv(x: Any) -> Any:
    """The inverse of the error function, elementwise; infinite at -1 and 1, NaN outside.

    Examples
    --------
    >>> import numpy as np
    >>> erf_inv(np.array([0.0, 0.5, 1.0]))
    array([0.        , 0.47693628,        inf])
    """
    return erf_inv_p.bind(x)


def _polynomial(x: Any, coefficients: Sequence[float]) -> Any:
    """Horner's rule, highest power first."""
    value: Any = coefficients[0]
    for coefficient in coefficients[1:]:
        value = x * value + coefficient
    return value


def _cotangent_derivative(order: int) -> list[float]:
    """Coefficients in c = cot(x), lowest first, of the derivative of cot: c' = -(1 + c*c)."""
    coefficients = [0.0, 1.0]
    for _ in range(order):
        slopes = [-k * coefficients[k] for k in range(1, len(coefficients))]
        coefficients = [*slopes, 0.0, 0.0]
        for k, slope in enumerate(slopes):
            coefficients[k + 2] += slope
    return coefficients


_BERNOULLI = (1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6)  # B2, B4, ...
_SHIFT = 10  # from here on the asymptotic series is accurate to double precision


def _hurwitz_zeta(b: Any, s: int, x: Any) -> Any:
    """The sum of (x + k)**-s over k >= 0, for x >= 1/2, by Euler and Maclaurin's formula."""
    one = b.constant(1, x.dtype)
    total = b.constant(0, x.dtype)
    for k in range(_SHIFT):
        total = total + _repeated(one / (x + k), s)
    inverse = one / (x + _SHIFT)
    power = _repeated(inverse, s - 1)
    total = total + power / (s - 1) + power * inverse * 0.5
    factor = float(s)  # s (s+1) ... (s+2j-2) / (2j)!
    term = power * inverse * inverse
    for j, bernoulli in enumerate(_BERNOULLI, start=1):
        total = total + term * (bernoulli * factor / math.factorial(2 * j))
        factor *= (s + 2 * j - 1) * (s + 2 * j)
        term = term * inverse * inverse
    return total


def _repeated(x: Any, count: int) -> Any:
    return math.prod([x] * (count - 1), start=x)


def _polygamma(b: Any, x: Any, *, order: int) -> Any:
    reflected = x < 0.5
    sign = -1.0 if order % 2 == 0 else 1.0
    right = b.where(reflected, 1 - x, x)
    value = _hurwitz_zeta(b, order + 1, right) * (sign * math.factorial(order))
    # psi(1 - x) - psi(x) = pi cot(pi x), differentiated `order` times.
    angle = (x - b.rint(x)) * math.pi
    cotangent = b.cos(angle) / b.sin(angle)
    slope = _polynomial(cotangent, _cotangent_derivative(order)[::-1]) * math.pi ** (order + 1)
    return b.where(reflected, value * (-1.0) ** order - slope, value)


polygamma_p = elementwise(
    "polygamma",
    "The derivative of digamma of the given order (at least 1).",
    _polygamma,
    derivatives=[lambda t, ans, x, *, order: mul(t, polygamma(order + 1, x))],
    kinds="f",
)


def polygamma(m: float, x: Any) -> Any:
    """The derivative of `digamma` of a fixed order, elementwise.

    Examples
    --------
    >>> import numpy as np
    >>> polygamma(1, np.array([1.0, 2.0]))
    array([1.64493407, 0.64493407])
    """
    order = int(m)
    if order != m or order < 0:
        raise ValueError(f"polygamma: the order must be a whole number from 0 on, got {m!r}")
    return digamma(x) if order == 0 else polygamma_p.bind(x, order=order)


digamma_p = elementwise(
    "digamma",
    "The derivative of lgamma.",
    lambda b, x: b.digamma(x),
    derivatives=[lambda t, ans, x: mul(t, polygamma(1, x))],
    kinds="f",
)


def digamma(x: Any) -> Any:
    """The derivative of `lgamma`, elementwise; NaN at 0 and the negative integers.

    Examples
    --------
    >>> import numpy as np
    >>> digamma(np.array([1.0, 2.0]))
    array([-0.57721566,  0.42278434])
    """
    return digamma_p.bind(x)


lgamma_p = elementwise(
    "lgamma",
    "The logarithm of the absolute value of the gamma function.",
    lambda b, x: b.lgamma(x),
    derivatives=[lambda t, ans, x: mul(t, digamma(x))],
    kinds="f",
)


def lgamma(x: Any) -> Any:
    """The logarithm of ``|gamma(x)|``, elementwise; infinite at 0 and the negative integers.

    Examples
    --------
    >>> import numpy as np
    >>> lgamma(np.array([1.0, 4.0]))
    array([0.        , 1.79175947])
    """
    return lgamma_p.bind(x)
