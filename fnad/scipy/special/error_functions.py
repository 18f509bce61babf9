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
from fnad.transforms.blocks import compiled_elementwise

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


def _erfcx_series(x: Any) -> tuple[float, int]:
    """From where on the asymptotic series is exact to the last bit or two, and its terms."""
    return (4.0, 8) if x.dtype.itemsize == 4 else (10.0, 14)


def _erfcx_value(x: Any) -> Any:
    edge, terms = _erfcx_series(x)
    large = x > edge
    far = fnp.where(large, x, edge)
    series = polynomial(0.5 / far / far, _ERFCX[:terms]) / (far * math.sqrt(math.pi))
    near = fnp.maximum(fnp.where(large, edge, x), -30)  # below -27 it is infinite
    # exp(x*x) with the rounding error of x*x made good: x is split where its square is exact.
    scale = 2.0**6 if x.dtype.itemsize == 4 else 2.0**20
    head = fnp.rint(near * scale) / scale
    rest = (near - head) * (near + head)
    product = fnp.exp(head * head) * fnp.exp(rest) * primitives.erfc(near)
    return fnp.where(large, series, product)


def _erfcx_slope(x: Any) -> Any:
    """``2 x erfcx(x) - 2 / sqrt(pi)``, which cancels where x is large."""
    edge, terms = _erfcx_series(x)
    large = x > edge
    far, near = fnp.where(large, x, edge), fnp.where(large, 0, x)
    square = 0.5 / far / far
    series = square * polynomial(square, _ERFCX[1:terms])
    return 2 * fnp.where(
        large, series / math.sqrt(math.pi), near * erfcx(near) - 1 / math.sqrt(math.pi)
    )


_erfcx = with_partials(_erfcx_slope)(_erfcx_value)


@holomorphic
@compiled_elementwise
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
    same = (x == 0) | (fnp.abs(x) == np.inf)
    return fnp.where(same, x, 2 / math.sqrt(math.pi) * dawsn(x) * half * half)


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


# Of algorithm AS 241: numerators and denominators in r - 1.6 for r = sqrt(-log p) up to 5, and in
# r - 5 beyond (M. J. Wichura, The percentage points of the normal distribution, Applied Statistics
# 37, 1988).
_NEAR_TAIL = (
    (1.42343711074968357734, 4.63033784615654529590, 5.76949722146069140550,
     3.64784832476320460504, 1.27045825245236838258, 2.41780725177450611770e-1,
     2.27238449892691845833e-2, 7.74545014278341407640e-4),
    (1.0, 2.05319162663775882187, 1.67638483018380384940, 6.89767334985100004550e-1,
     1.48103976427480074590e-1, 1.51986665636164571966e-2, 5.47593808499534494600e-4,
     1.05075007164441684324e-9),
)  # fmt: skip
_FAR_TAIL = (
    (6.65790464350110377720, 5.46378491116411436990, 1.78482653991729133580,
     2.96560571828504891230e-1, 2.65321895265761230930e-2, 1.24266094738807843860e-3,
     2.71155556874348757815e-5, 2.01033439929228813265e-7),
    (1.0, 5.99832206555887937690e-1, 1.36929880922735805310e-1, 1.48753612908506148525e-2,
     7.86869131145613259100e-4, 1.84631831751005468180e-5, 1.42151175831644588870e-7,
     2.04426310338993978564e-15),
)  # fmt: skip


def _ndtri_value(p: Any) -> Any:
    upper = p > 0.5
    tail = fnp.where(upper, 1 - p, p)
    inner = tail > 0.075
    outer = (tail > 0) & ~inner
    r = fnp.sqrt(-fnp.log(fnp.where(outer, tail, 0.05)))
    near, far = (
        polynomial(r - start, above) / polynomial(r - start, below)
        for start, (above, below) in ((1.6, _NEAR_TAIL), (5.0, _FAR_TAIL))
    )
    x = -fnp.where(r < 5, near, far)
    x = fnp.where(tail == 0, -np.inf, fnp.where(outer, x, np.nan))
    middle = math.sqrt(2) * primitives.erf_inv(2 * p - 1)
    return fnp.where(inner, middle, fnp.where(upper, -x, x))


_ndtri = with_partials(lambda p: _ROOT_2PI * fnp.exp(0.5 * ndtri(p) * ndtri(p)))(_ndtri_value)
