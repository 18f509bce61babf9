"""Bessel functions of the first and the second kind, of orders 0 and 1.

Up to 5 by polynomials for what is left without the logarithm, the pole and the
first zero (DLMF 10.8.1), beyond by such ones for the factors of the sine and the cosine in
Hankel's expansions (DLMF 10.17.3, 10.17.4).
"""

from __future__ import annotations

import math
from typing import Any

import fnad.numpy as fnp
from fnad.scipy.operands import polynomial, special_function, with_partials

_EDGE = 5.0
# The first positive zeros, and what rounding took off them.
_J0_ZERO = (2.404825557695773, -1.176691651530894e-16)
_J1_ZERO = (3.8317059702075125, -1.5269184090088067e-16)
# Coefficients of powers, found by interpolation at Chebyshev's points with 40 digits: on [0, 5], in
# 2 (x/5)**2 - 1, of J0(x) and J1(x) / x, over x**2 less the square of their zero, of Y0(x) - 2/pi
# log(x) J0(x), and of (Y1(x) - 2/pi (log(x) J1(x) - 1/x)) / x.
_J0_NEAR = (
    -0.05728080421634534,
    0.07436630462755323,
    -0.03277786210789048,
    0.0073758943041960226,
    -0.001013405346985002,
    9.414473580694953e-05,
    -6.3193186183226215e-06,
    3.211562353433063e-07,
    -1.2795360168830179e-08,
    4.105688303721103e-10,
    -1.0840781056083564e-11,
    2.399602248240359e-13,
    -4.50857521753263e-15,
)
_J1_NEAR = (
    -0.01587595431164548,
    0.013090777521810029,
    -0.004240225993395723,
    0.0007552540432951287,
    -8.592956232067133e-05,
    6.814683895176615e-06,
    -3.991381172349741e-07,
    1.799515992541992e-08,
    -6.443125533665431e-10,
    1.8773810470060388e-11,
    -4.5448929803664786e-13,
    9.268689637917528e-15,
)
_Y0_NEAR = (
    0.4837248578102995,
    -0.4326558222855125,
    -0.47057636552972876,
    0.38851639956570944,
    -0.11151682184328655,
    0.01763534538933876,
    -0.0018028096665503853,
    0.0001299462909208217,
    -6.985504374077061e-06,
    2.9142206889637085e-07,
    -9.7209552080454e-09,
    2.6539975248625817e-10,
    -6.04993694723965e-12,
    1.166603953074689e-13,
)
_Y1_NEAR = (
    0.13974939033568806,
    0.09108650838448444,
    -0.16312020358118715,
    0.06634695354779108,
    -0.013433433740818165,
    0.0016688031328635942,
    -0.00014141835794484212,
    8.733098304848775e-06,
    -4.1137780795312436e-07,
    1.528890182573714e-08,
    -4.6013010745475043e-10,
    1.1448943838049981e-11,
    -2.397782341669183e-13,
    4.277907601247645e-15,
)
# On [5, inf), in 2 (5/x)**2 - 1, of P(x) and x Q(x), where J + i Y is sqrt(2 / (pi x)) (P + i Q)
# exp(i (x - pi/4 - order pi/2)).
_P0 = (
    0.9986347659091991,
    -0.0013274931272004003,
    3.491730581077085e-05,
    -2.459963321484891e-06,
    2.9759010201737064e-07,
    -5.08643230838394e-08,
    1.1058301818592053e-08,
    -2.8705436149232575e-09,
    8.562292591841693e-10,
    -2.851794579729694e-10,
    9.7250551457765e-11,
    -3.538662922896775e-11,
    2.4823644443773408e-11,
    -1.3637307914439566e-11,
    -3.743592980512026e-12,
    3.415311542572876e-12,
    3.6143863492486003e-12,
    -2.235391154912044e-12,
)
_Q0 = (
    -0.12361496352611864,
    0.0013142139729102479,
    -6.338715442509227e-05,
    6.23911316965569e-06,
    -9.409875326303781e-07,
    1.8870297801035574e-07,
    -4.639780222830044e-08,
    1.3296573119800334e-08,
    -4.2956720406289e-09,
    1.5282843631161895e-09,
    -5.807076541759016e-10,
    2.340473361283212e-10,
    -1.2217552880455313e-10,
    6.52587672974458e-11,
    6.9845644408032085e-12,
    -1.605647555780834e-11,
    -3.7236674347799015e-11,
    2.976103922945406e-11,
    1.7652067282348902e-11,
    -1.435739819325575e-11,
    -6.032028747865082e-12,
    4.3654360757736204e-12,
)
_P1 = (
    1.0022906462560661,
    0.002241463213917191,
    -4.5782806529390985e-05,
    2.9786211051441743e-06,
    -3.466719151341159e-07,
    5.7916678422140156e-08,
    -1.2402701962004368e-08,
    3.1849577586739448e-09,
    -9.422147494996673e-10,
    3.117737074105936e-10,
    -1.0595089749231098e-10,
    3.8451893184433864e-11,
    -2.6622329676450118e-11,
    1.4551592853265448e-11,
    3.919356832784674e-12,
    -3.5906738400843512e-12,
    -3.837516448159508e-12,
    2.368522528186767e-12,
)
_Q1 = (
    0.3730474331740802,
    -0.001864849621841221,
    7.898094177943239e-05,
    -7.369927954545263e-06,
    1.0798853942089243e-06,
    -2.1266726345215035e-07,
    5.1641422798019427e-08,
    -1.4665671158924864e-08,
    4.704141826870427e-09,
    -1.6563207992528956e-09,
    6.296749654365242e-10,
    -2.7862990677601125e-10,
    1.3104614308463733e-10,
    -1.6919085465641948e-11,
    -6.892050473631465e-12,
    -5.161592743085568e-11,
    3.9223397372601566e-11,
    2.2920253872927307e-11,
    -1.8540816446843627e-11,
    -9.024649722544323e-12,
    6.349391905539588e-12,
)


def _inside(x: Any) -> tuple[Any, Any]:
    """What is at most 5, and what the series near 0 are in."""
    u = fnp.minimum(x, _EDGE)
    return u, 2 * (u / _EDGE) ** 2 - 1


def _less_its_zero(u: Any, t: Any, zero: tuple[float, float], near: tuple[float, ...]) -> Any:
    high, low = zero
    return ((u - high) - low) * (u + high) * polynomial(t, near)


def _outside(x: Any, order: int) -> tuple[Any, Any]:
    """The functions of both kinds from 5 on, 0 at infinity."""
    v = fnp.maximum(x, _EDGE)
    scale = math.sqrt(1 / math.pi) / fnp.sqrt(v)
    v = fnp.where(v == math.inf, _EDGE, v)
    t = 2 * (_EDGE / v) ** 2 - 1
    of_cosine, of_sine = ((_P0, _Q0), (_P1, _Q1))[order]
    p, q = polynomial(t, of_cosine), polynomial(t, of_sine) / v
    sine, cosine = fnp.sin(v), fnp.cos(v)
    # The phase v - pi/4 - order pi/2 by addition theorems: taking it off v would round.
    along, across = cosine + sine, sine - cosine
    if order == 1:
        along, across = across, -along
    return (p * along - q * across) * scale, (p * across + q * along) * scale


def _j0_value(x: Any) -> Any:
    size = fnp.abs(x)
    u, t = _inside(size)
    return fnp.where(size <= _EDGE, _less_its_zero(u, t, _J0_ZERO, _J0_NEAR), _outside(size, 0)[0])


def _j1_over_x_near(size: Any) -> Any:
    return _less_its_zero(*_inside(size), _J1_ZERO, _J1_NEAR)


def _j1_value(x: Any) -> Any:
    size = fnp.abs(x)
    far = _outside(size, 1)[0]
    return fnp.where(size <= _EDGE, _j1_over_x_near(size) * x, far * fnp.sign(x))


def _j1_over_x(x: Any) -> Any:
    outside = fnp.abs(x) > _EDGE
    return fnp.where(outside, _j1(x) / fnp.where(outside, x, 1), _j1_over_x_near(fnp.abs(x)))


def _y0_value(x: Any) -> Any:
    u, t = _inside(fnp.where(x > 0, x, 1))
    j = _less_its_zero(u, t, _J0_ZERO, _J0_NEAR)
    near = polynomial(t, _Y0_NEAR) + 2 / math.pi * fnp.log(u) * j
    value = fnp.where(x <= _EDGE, near, _outside(x, 0)[1])
    return _of_positive(x, value)


def _y1_value(x: Any) -> Any:
    u, t = _inside(fnp.where(x > 0, x, 1))
    j = _less_its_zero(u, t, _J1_ZERO, _J1_NEAR)
    near = u * (polynomial(t, _Y1_NEAR) + 2 / math.pi * fnp.log(u) * j) - 2 / math.pi / u
    value = fnp.where(x <= _EDGE, near, _outside(x, 1)[1])
    return _of_positive(x, value)


def _of_positive(x: Any, value: Any) -> Any:
    return fnp.where(x == 0, -math.inf, fnp.where(x > 0, value, math.nan))


def _y1_slope(x: Any) -> Any:
    return fnp.where(x == 0, -_y1(x), _y0(x) - _y1(x) / x)  # not -inf + inf


_j0: Any = with_partials(lambda x: -_j1(x))(_j0_value)
_j1: Any = with_partials(lambda x: _j0(x) - _j1_over_x(x))(_j1_value)
_y0: Any = with_partials(lambda x: -_y1(x))(_y0_value)
_y1: Any = with_partials(_y1_slope)(_y1_value)


@special_function
def j0(x: Any) -> Any:
    """The Bessel function of the first kind of order 0, elementwise; 0 at infinity.

    Examples
    --------
    >>> import numpy as np
    >>> j0(np.array([0.0, 1.0, 10.0]))
    array([ 1.        ,  0.76519769, -0.24593576])
    """
    return _j0(x)


@special_function
def j1(x: Any) -> Any:
    """The Bessel function of the first kind of order 1, elementwise; 0 at infinity.

    Examples
    --------
    >>> import numpy as np
    >>> j1(np.array([0.0, 1.0, 10.0]))
    array([0.        , 0.44005059, 0.04347275])
    """
    return _j1(x)


@special_function
def y0(x: Any) -> Any:
    """The Bessel function of the second kind of order 0, elementwise.

    Minus infinity at 0, NaN below, 0 at infinity.

    Examples
    --------
    >>> import numpy as np
    >>> y0(np.array([0.0, 1.0, 10.0]))
    array([      -inf, 0.08825696, 0.05567117])
    """
    return _y0(x)


@special_function
def y1(x: Any) -> Any:
    """The Bessel function of the second kind of order 1, elementwise.

    Minus infinity at 0, NaN below, 0 at infinity.

    Examples
    --------
    >>> import numpy as np
    >>> y1(np.array([0.0, 1.0, 10.0]))
    array([       -inf, -0.78121282,  0.24901542])
    """
    return _y1(x)
