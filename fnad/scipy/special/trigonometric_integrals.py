"""The sine and the cosine integral."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

import fnad.numpy as fnp
from fnad.scipy.operands import chebyshev, holomorphic, polynomial, with_partials
from fnad.scipy.special.complex_integrals import (
    cosine_integral,
    hyperbolic_cosine_integral,
    hyperbolic_sine_integral,
    sine_integral,
)
from fnad.scipy.special.exponential_integrals import exp1, expi
from fnad.transforms.blocks import compiled_elementwise

_EDGE = 4.0
# Chebyshev coefficients in 8/x - 1, found by interpolation with 40 digits, of x f(x) and
# x**2 g(x) on [4, inf), where f and g are the auxiliary functions of DLMF 6.2.17 and 6.2.18.
_F = (
    1.9315765607037036,
    -0.04306083777859673,
    -0.0073143711748104604,
    0.0014705235789868065,
    -9.865768573270021e-05,
    -2.2743202204655084e-05,
    9.824025732252542e-06,
    -1.8973430148713314e-06,
    1.0063435941557782e-07,
    8.081936482223934e-08,
    -3.897628287528703e-08,
    1.0335650325496575e-08,
    -1.4104344875897322e-09,
    -2.5232078399681215e-10,
    2.5699831325960386e-10,
    -1.0597889253948041e-10,
    2.8970031570213236e-11,
    -4.102314256308394e-12,
    -1.043769373001714e-12,
    1.0994184520546131e-12,
    -5.221423940167697e-13,
    1.7469920787828189e-13,
    -3.847001297927936e-14,
    2.019336575938349e-16,
    5.3597651042951875e-15,
    -3.560597619251265e-15,
    1.5788176326315111e-15,
    -5.254708003585182e-16,
    1.1378470978948794e-16,
    5.124969135545458e-18,
    -2.2444159142740535e-17,
    1.531656267426745e-17,
    -7.32266427464884e-18,
)
_G = (
    1.8240976510593165,
    -0.10747890964438707,
    -0.01404286291238314,
    0.004959203454074631,
    -0.000626917804674495,
    -4.265656719237363e-05,
    4.468251737429416e-05,
    -1.270160466224565e-05,
    1.772698940815955e-06,
    2.2043478749784e-07,
    -2.3697231484697015e-07,
    8.841029352622145e-08,
    -2.0102731016250395e-08,
    1.2607667303778686e-09,
    1.4522796339583887e-09,
    -9.189905693829435e-10,
    3.421212376955444e-10,
    -8.473227089714627e-11,
    6.853465057433955e-12,
    6.895551007483481e-12,
    -5.172112547290158e-12,
    2.2988935694963685e-12,
    -7.366187312609663e-13,
    1.4374902679539462e-13,
    1.562802161435327e-14,
    -3.291176313099604e-14,
    2.0193334153749085e-14,
    -8.772501117980243e-15,
    2.8684941277420938e-15,
    -5.747615919483298e-16,
    -7.763005087521806e-17,
    1.5864200232171503e-16,
    -1.0448541074072931e-16,
    4.989539828331736e-17,
    -1.8666002312057746e-17,
    4.9738128378238276e-18,
)
_SI = tuple((-1) ** k / math.factorial(2 * k + 1) / (2 * k + 1) for k in range(15))
_CIN = tuple((-1) ** k / math.factorial(2 * k + 2) / (2 * k + 2) for k in range(15))


@holomorphic
@compiled_elementwise
def sici(x: Any) -> tuple[Any, Any]:
    """The sine integral ``Si`` and the cosine integral ``Ci``, elementwise.

    Those of ``sin(t) / t`` from 0 and of ``cos(t) / t`` from infinity to ``x``; for negative ``x``,
    ``Ci`` is its real part, that of ``-x``. Of complex numbers their continuations; ``Ci`` has a
    branch cut along the negative ones, where it is continuous from above.

    Examples
    --------
    >>> sici(np.array([1.0, 10.0]))
    (array([0.94608307, 1.65834759]), array([ 0.33740392, -0.04545643]))
    """
    if fnp.iscomplexobj(x):
        return sine_integral(x), cosine_integral(x)
    return _si(x), _ci(x)


@holomorphic
@compiled_elementwise
def shichi(x: Any) -> tuple[Any, Any]:
    """The hyperbolic sine and cosine integrals ``Shi`` and ``Chi``, elementwise.

    Those of ``sinh(t) / t`` from 0 to ``x``, and of ``(cosh(t) - 1) / t``, with the logarithm and
    Euler's constant; for negative ``x``, ``Chi`` is its real part, that of ``-x``. Of complex
    numbers their continuations; ``Chi`` has a branch cut along the negative ones.

    Examples
    --------
    >>> shichi(np.array([1.0, 10.0]))
    (array([1.05725088e+00, 1.24611449e+03]), array([8.37866941e-01, 1.24611449e+03]))
    """
    if fnp.iscomplexobj(x):
        return hyperbolic_sine_integral(x), hyperbolic_cosine_integral(x)
    return _shi(x), _chi(x)


def _halves(size: Any) -> tuple[Any, Any]:
    """Of the exponential integrals."""
    far = fnp.where(size > _EDGE, size, _EDGE)
    return 0.5 * expi(far), 0.5 * exp1(far)


def _hyperbolic_slope(x: Any) -> Any:
    near = fnp.abs(x) < 1
    far = fnp.where(near, 1, x)
    u = fnp.where(near, x, 0)
    series = polynomial(u * u, [1 / math.factorial(2 * k + 1) for k in range(10)])
    return fnp.where(near, series, fnp.sinh(far) / far)


@with_partials(_hyperbolic_slope)
def _shi(x: Any) -> Any:
    size = fnp.abs(x)
    u = fnp.where(size <= _EDGE, size, 0)
    growing, falling = _halves(size)
    inner = u * polynomial(u * u, [abs(c) for c in _SI])
    value = fnp.copysign(fnp.where(size <= _EDGE, inner, growing + falling), x)
    return fnp.where(fnp.isnan(x), math.nan, value)


@with_partials(lambda x: fnp.cosh(x) / x)
def _chi(x: Any) -> Any:
    size = fnp.abs(x)
    positive = (size <= _EDGE) & (size > 0)
    u = fnp.where(positive, size, 1)
    inner = fnp.log(u) + np.euler_gamma + u * u * polynomial(u * u, [abs(c) for c in _CIN])
    growing, falling = _halves(size)
    value = fnp.where(size == 0, -math.inf, fnp.where(positive, inner, growing - falling))
    return fnp.where(fnp.isnan(x), math.nan, value)


def _sine_slope(x: Any) -> Any:
    near = fnp.abs(x) < 1
    far = fnp.where(near, 1, x)
    return fnp.where(near, fnp.sinc(fnp.where(near, x, 0) / math.pi), fnp.sin(far) / far)


def _auxiliary(size: Any) -> tuple[Any, Any, Any]:
    x = fnp.where((size > _EDGE) & (size < math.inf), size, _EDGE)
    t = 2 * _EDGE / x - 1
    return chebyshev(t, _F) / x, chebyshev(t, _G) / x / x, x


@with_partials(_sine_slope)
def _si(x: Any) -> Any:
    size = fnp.abs(x)
    near = size <= _EDGE
    u = fnp.where(near, size, 0)
    f, g, v = _auxiliary(size)
    far = 0.5 * math.pi - fnp.where(size == math.inf, 0, f * fnp.cos(v) + g * fnp.sin(v))
    value = fnp.copysign(fnp.where(near, u * polynomial(u * u, _SI), far), x)
    return fnp.where(fnp.isnan(x), math.nan, value)


@with_partials(lambda x: fnp.cos(x) / x)
def _ci(x: Any) -> Any:
    size = fnp.abs(x)
    near = size <= _EDGE
    positive = near & (size > 0)
    u = fnp.where(positive, size, 1)
    inner = fnp.log(u) + np.euler_gamma - u * u * polynomial(u * u, _CIN)
    inner = fnp.where(positive, inner, -math.inf)
    f, g, v = _auxiliary(size)
    far = fnp.where(size == math.inf, 0, f * fnp.sin(v) - g * fnp.cos(v))
    nan = fnp.isnan(x) | (x == -math.inf)
    return fnp.where(nan, math.nan, fnp.where(near, inner, far))
