"""Modified Bessel functions of the second kind, of orders 0 and 1."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

import fnad.numpy as fnp
from fnad.scipy.operands import polynomial, special_function, with_partials

_EDGE = 2.0  # up to here DLMF 10.31.1 and 10.31.2
_TERMS = 14
_HARMONIC = [sum(1 / j for j in range(1, k + 1)) - np.euler_gamma for k in range(_TERMS + 1)]
# In powers of (x/2)**2: I0(x), and what is to be added to -log(x/2) I0(x) for K0(x); the same of
# 2 I1(x) / x, and of (K1(x) - 1/x - log(x/2) I1(x)) 2 / x.
_I0 = [1 / math.factorial(k) ** 2 for k in range(_TERMS)]
_K0_REST = [_HARMONIC[k] * _I0[k] for k in range(_TERMS)]
_I1 = [_I0[k] / (k + 1) for k in range(_TERMS)]
_K1_REST = [-(_HARMONIC[k] + _HARMONIC[k + 1]) / 2 * _I1[k] for k in range(_TERMS)]
# Coefficients of powers of 4/x - 1, found by interpolation at Chebyshev's points with 40 digits, of
# exp(x) sqrt(x) K0(x), and with K1, on [2, inf).
_K0 = (
    1.2185953385133905,
    -0.031071461824889898,
    0.0030328918102753206,
    -0.0004797690567328844,
    9.95605474202942e-05,
    -2.473520542848972e-05,
    7.002245645755651e-06,
    -2.1911673837417864e-06,
    7.427801232190096e-07,
    -2.689759865539584e-07,
    1.02954317593912e-07,
    -4.1056738724915364e-08,
    1.7047535884249698e-08,
    -8.025205604904476e-09,
    3.808399859919043e-09,
    -6.643878631843235e-10,
    4.757544705776374e-11,
    -1.2366923277096287e-09,
    8.133913205464114e-10,
    4.3927260002107633e-10,
    -3.119936129682105e-10,
    -1.7597528809195706e-10,
    1.0926983537268735e-10,
)
_K1 = (
    1.363151890371342,
    0.10334973775386565,
    -0.005566729880074588,
    0.0007357241548718385,
    -0.00013959021956272223,
    3.2843866502355955e-05,
    -8.961207387750025e-06,
    2.7300301043527215e-06,
    -9.067087633371393e-07,
    3.230567198853934e-07,
    -1.2203186351938403e-07,
    4.815434679085478e-08,
    -1.9817577141591116e-08,
    9.213894020289533e-09,
    -4.331939985658629e-09,
    7.966242798504094e-10,
    -8.336227195991456e-11,
    1.3615859404460648e-09,
    -8.908596710923906e-10,
    -4.77441121785095e-10,
    3.3867804167808003e-10,
    1.9273808087540517e-10,
    -1.1931668393112158e-10,
)


def _near_and_far(x: Any) -> tuple[Any, Any]:
    return fnp.where((x > 0) & (x <= _EDGE), x, 1), fnp.maximum(x, _EDGE)


def _log_of_half(x: Any) -> Any:
    """Of denormal numbers, too, whose half is rounded."""
    large = x > 1
    log = fnp.log(fnp.where(large, 0.5 * x, x))
    return fnp.where(large, log, log - math.log(2))


def _k0_near(x: Any) -> Any:
    square = 0.25 * x * x
    return polynomial(square, _K0_REST) - _log_of_half(x) * polynomial(square, _I0)


def _k1_near(x: Any) -> Any:
    square = 0.25 * x * x
    rest = polynomial(square, _K1_REST) + _log_of_half(x) * polynomial(square, _I1)
    return 1 / x + 0.5 * x * rest


def _far(x: Any, coefficients: tuple[float, ...]) -> Any:
    """Times exp(x)."""
    return polynomial(2 * _EDGE / x - 1, coefficients) / fnp.sqrt(x)


def _joined(x: Any, near: Any, far: Any) -> Any:
    value = fnp.where(x <= _EDGE, near, far)
    return fnp.where(x < 0, math.nan, fnp.where(x == 0, math.inf, value))


def _k0_value(x: Any) -> Any:
    u, v = _near_and_far(x)
    return _joined(x, _k0_near(u), fnp.exp(-v) * _far(v, _K0))


def _k1_value(x: Any) -> Any:
    u, v = _near_and_far(x)
    return _joined(x, _k1_near(u), fnp.exp(-v) * _far(v, _K1))


def _k0e_value(x: Any) -> Any:
    u, v = _near_and_far(x)
    return _joined(x, fnp.exp(u) * _k0_near(u), _far(v, _K0))


def _k1e_value(x: Any) -> Any:
    u, v = _near_and_far(x)
    return _joined(x, fnp.exp(u) * _k1_near(u), _far(v, _K1))


def _k0e_slope(x: Any) -> Any:
    return fnp.where(x == 0, 0, _k0e(x)) - _k1e(x)  # not inf - inf


def _k1e_slope(x: Any) -> Any:
    return fnp.where(x == 0, 0, _k1e(x) - _k0e(x)) - _k1e(x) / x


_k0: Any = with_partials(lambda x: -_k1(x))(_k0_value)
_k1: Any = with_partials(lambda x: -_k0(x) - _k1(x) / x)(_k1_value)
_k0e: Any = with_partials(_k0e_slope)(_k0e_value)
_k1e: Any = with_partials(_k1e_slope)(_k1e_value)


@special_function
def k0(x: Any) -> Any:
    """The modified Bessel function of the second kind of order 0, elementwise.

    Infinite at 0, NaN below.

    Examples
    --------
    >>> k0(np.array([0.0, 1.0, 10.0]))
    array([           inf, 4.21024438e-01, 1.77800623e-05])
    """
    return _k0(x)


@special_function
def k1(x: Any) -> Any:
    """The modified Bessel function of the second kind of order 1, elementwise.

    Infinite at 0, NaN below.

    Examples
    --------
    >>> k1(np.array([0.0, 1.0, 10.0]))
    array([           inf, 6.01907230e-01, 1.86487735e-05])
    """
    return _k1(x)


@special_function
def k0e(x: Any) -> Any:
    """``exp(x) * k0(x)``, which does not underflow, elementwise.

    Examples
    --------
    >>> k0e(np.array([1.0, 1000.0]))
    array([1.14446308, 0.03962832])
    """
    return _k0e(x)


@special_function
def k1e(x: Any) -> Any:
    """``exp(x) * k1(x)``, which does not underflow, elementwise.

    Examples
    --------
    >>> k1e(np.array([1.0, 1000.0]))
    array([1.63615349, 0.03964813])
    """
    return _k1e(x)
