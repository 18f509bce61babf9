"""The error function, its scaled complement, and the normal distribution."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

import fnad.numpy as fnp
from fnad.primitives import special as primitives
from fnad.scipy.operands import holomorphic, polynomial, special_function, with_partials
from fnad.scipy.special.complex_error_functions import (
    erf_of_complex,
    erfc_of_complex,
    erfcx_of_complex,
    erfi_of_complex,
    log_ndtr_of_complex,
    ndtr_of_complex,
)
from fnad.scipy.special.faddeeva import dawsn, gaussian_parts

_ROOT_2PI = math.sqrt(2 * math.pi)
# erfcx(x) = sum (-1)**k (2k - 1)!! / (2 x*x)**k / (x sqrt(pi)), DLMF 7.12.1.
_ERFCX = tuple((-1.0) ** k * math.prod(range(1, 2 * k, 2)) for k in range(14))


@holomorphic
def erf(x: Any) -> Any:
    """The error function, elementwise, of real or complex numbers.

    Examples
    --------
    >>> erf(np.array([0.0, 1.0]))
    array([0.        , 0.84270079])
    """
    if fnp.iscomplexobj(x):
        return erf_of_complex(x)
    return primitives.erf(x)


@holomorphic
def erfc(x: Any) -> Any:
    """``1 - erf(x)``, accurate for large ``x``, elementwise, of real or complex numbers.

    Examples
    --------
    >>> erfc(np.array([0.0, 1.0]))
    array([1.        , 0.15729921])
    """
    if fnp.iscomplexobj(x):
        return erfc_of_complex(x)
    return primitives.erfc(x)


@special_function
def erfinv(x: Any) -> Any:
    """The inverse of `erf`, elementwise; NaN outside [-1, 1].

    Examples
    --------
    >>> erfinv(np.array([0.0, 0.5, 1.0]))
    array([0.        , 0.47693628,        inf])
    """
    return primitives.erf_inv(x)


@holomorphic
def erfcx(x: Any) -> Any:
    """``exp(x*x) * erfc(x)``, which neither underflows nor, above -26, overflows.

    Elementwise, of real or complex numbers.

    Examples
    --------
    >>> erfcx(np.array([0.0, 1e10]))
    array([1.00000000e+00, 5.64189584e-11])
    """
    if fnp.iscomplexobj(x):
        return erfcx_of_complex(x)
    return _erfcx(x)


def _erfcx_value(x: Any) -> Any:
    # Above 10 (in float32 above 4) the asymptotic series is exact to the last bit or two.
    edge, terms = (4.0, 8) if x.dtype.itemsize == 4 else (10.0, 14)
    large = x > edge
    far = fnp.where(large, x, edge)
    series = polynomial(0.5 / far / far, _ERFCX[:terms]) / (far * math.sqrt(math.pi))
    near = fnp.where(large, edge, x)
    # exp(x*x) with the rounding error of x*x made good: x is split where its square is exact.
    scale = 2.0**6 if x.dtype.itemsize == 4 else 2.0**20
    head = fnp.rint(near * scale) / scale
    rest = (near - head) * (near + head)
    product = fnp.exp(head * head) * fnp.exp(rest) * primitives.erfc(near)
    return fnp.where(large, series, product)


_erfcx = with_partials(lambda x: 2 * x * erfcx(x) - 2 / math.sqrt(math.pi))(_erfcx_value)


@holomorphic
def erfi(x: Any) -> Any:
    """The imaginary error function ``-i erf(i x)``, elementwise, of real or complex numbers.

    Examples
    --------
    >>> erfi(np.array([0.0, 1.0]))
    array([0.        , 1.65042576])
    """
    if fnp.iscomplexobj(x):
        return erfi_of_complex(x)
    return _erfi(x)


def _erfi_value(x: Any) -> Any:
    half, _, _ = gaussian_parts(fnp.zeros_like(x), x)
    return fnp.where(x == 0, x, 2 / math.sqrt(math.pi) * dawsn(x) * half * half)


@with_partials(lambda x: 2 * x * _erfi_slope(x))
def _erfi_slope(x: Any) -> Any:
    half, _, _ = gaussian_parts(fnp.zeros_like(x), x)
    return 2 / math.sqrt(math.pi) * half * half


_erfi = with_partials(_erfi_slope)(_erfi_value)


@holomorphic
def ndtr(x: Any) -> Any:
    """The distribution function of the unit normal distribution, elementwise.

    Of complex numbers its analytic continuation.

    Examples
    --------
    >>> ndtr(np.array([-np.inf, 0.0, 1.0]))
    array([0.        , 0.5       , 0.84134475])
    """
    if fnp.iscomplexobj(x):
        return ndtr_of_complex(x)
    return 0.5 * primitives.erfc(-x * math.sqrt(0.5))


@holomorphic
def log_ndtr(x: Any) -> Any:
    """``log(ndtr(x))``, accurate on both sides, elementwise.

    Of complex numbers the principal value of the logarithm.

    Examples
    --------
    >>> log_ndtr(np.array([-100.0, 0.0]))
    array([-5.00552421e+03, -6.93147181e-01])
    """
    if fnp.iscomplexobj(x):
        return log_ndtr_of_complex(x)
    return _log_ndtr(x)


def _log_ndtr_value(x: Any) -> Any:
    left = x < -1
    low = fnp.where(left, x, -1.0)
    below = fnp.log(0.5 * erfcx(-low * math.sqrt(0.5))) - 0.5 * low * low
    above = fnp.log1p(-0.5 * primitives.erfc(fnp.where(left, -1.0, x) * math.sqrt(0.5)))
    return fnp.where(left, below, above)


@with_partials(lambda x: -_hazard(x) * (x + _hazard(x)))
def _hazard(x: Any) -> Any:
    """The density over the distribution function."""
    left = x < 0
    low, high = fnp.where(left, x, 0), fnp.where(left, 0, x)
    below = math.sqrt(2 / math.pi) / erfcx(-low * math.sqrt(0.5))
    return fnp.where(left, below, fnp.exp(-0.5 * high * high) / (_ROOT_2PI * ndtr(high)))


_log_ndtr = with_partials(_hazard)(_log_ndtr_value)


@special_function
def ndtri(p: Any) -> Any:
    """The inverse of `ndtr`, elementwise; infinite at 0 and 1, NaN outside.

    Examples
    --------
    >>> ndtri(np.array([0.0, 0.5, 0.975]))
    array([    -inf, 0.        , 1.95996398])
    """
    return _ndtri(p)


def _ndtri_value(p: Any) -> Any:
    upper = p > 0.5
    tail = fnp.where(upper, 1 - p, p)
    inner = tail > 0.1
    middle = math.sqrt(2) * primitives.erf_inv(2 * p - 1)
    outer = (tail > 0) & ~inner
    log_tail = fnp.log(fnp.where(outer, tail, 0.05))
    # Abramowitz and Stegun 26.2.23, to 4.5e-4; then Newton's steps on the logarithm, which is
    # nearly a parabola.
    t = fnp.sqrt(-2 * log_tail)
    x = -(
        t
        - polynomial(t, (2.515517, 0.802853, 0.010328))
        / polynomial(t, (1.0, 1.432788, 0.189269, 0.001308))
    )
    for _ in range(3):
        x = x - (log_ndtr(x) - log_tail) / _hazard(x)
    x = fnp.where(tail == 0, -np.inf, fnp.where(outer, x, np.nan))
    return fnp.where(inner, middle, fnp.where(upper, -x, x))


_ndtri = with_partials(lambda p: _ROOT_2PI * fnp.exp(0.5 * ndtri(p) * ndtri(p)))(_ndtri_value)
