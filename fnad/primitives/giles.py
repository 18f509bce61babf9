"""The inverse error function as random numbers take it: JAX's for the same key, nearly to the bit.

`special.erf_inv` is more accurate; but a program that draws weights from a key should get those
that it gets elsewhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fnad.primitives.arithmetic import mul, square
from fnad.primitives.elementwise import elementwise
from fnad.primitives.special import TWO_OVER_SQRT_PI
from fnad.primitives.transcendental import exp

# Polynomials of M. Giles, "Approximating the erfinv function" (GPU Computing Gems, 2012), highest
# power first, in w = -log(1 - x*x) less a shift, or in sqrt(w) less a shift.
_CENTRAL_32 = (
    2.81022636e-08,
    3.43273939e-07,
    -3.5233877e-06,
    -4.39150654e-06,
    0.00021858087,
    -0.00125372503,
    -0.00417768164,
    0.246640727,
    1.50140941,
)
_TAIL_32 = (
    -0.000200214257,
    0.000100950558,
    0.00134934322,
    -0.00367342844,
    0.00573950773,
    -0.0076224613,
    0.00943887047,
    1.00167406,
    2.83297682,
)
_CENTRAL_64 = (
    -3.6444120640178196996e-21,
    -1.685059138182016589e-19,
    1.2858480715256400167e-18,
    1.115787767802518096e-17,
    -1.333171662854620906e-16,
    2.0972767875968561637e-17,
    6.6376381343583238325e-15,
    -4.0545662729752068639e-14,
    -8.1519341976054721522e-14,
    2.6335093153082322977e-12,
    -1.2975133253453532498e-11,
    -5.4154120542946279317e-11,
    1.051212273321532285e-09,
    -4.1126339803469836976e-09,
    -2.9070369957882005086e-08,
    4.2347877827932403518e-07,
    -1.3654692000834678645e-06,
    -1.3882523362786468719e-05,
    0.0001867342080340571352,
    -0.00074070253416626697512,
    -0.0060336708714301490533,
    0.24015818242558961693,
    1.6536545626831027356,
)
_MIDDLE_64 = (
    2.2137376921775787049e-09,
    9.0756561938885390979e-08,
    -2.7517406297064545428e-07,
    1.8239629214389227755e-08,
    1.5027403968909827627e-06,
    -4.013867526981545969e-06,
    2.9234449089955446044e-06,
    1.2475304481671778723e-05,
    -4.7318229009055733981e-05,
    6.8284851459573175448e-05,
    2.4031110387097893999e-05,
    -0.0003550375203628474796,
    0.00095328937973738049703,
    -0.0016882755560235047313,
    0.0024914420961078508066,
    -0.0037512085075692412107,
    0.005370914553590063617,
    1.0052589676941592334,
    3.0838856104922207635,
)
_TAIL_64 = (
    -2.7109920616438573243e-11,
    -2.5556418169965252055e-10,
    1.5076572693500548083e-09,
    -3.7894654401267369937e-09,
    7.6157012080783393804e-09,
    -1.4960026627149240478e-08,
    2.9147953450901080826e-08,
    -6.7711997758452339498e-08,
    2.2900482228026654717e-07,
    -9.9298272942317002539e-07,
    4.5260625972231537039e-06,
    -1.9681778105531670567e-05,
    7.5995277030017761139e-05,
    -0.00021503011930044477347,
    -0.00013871931833623122026,
    1.0103004648645343977,
    4.8499064014085844221,
)


def _polynomial(x: Any, coefficients: Sequence[float]) -> Any:
    """Horner's rule, highest power first."""
    value: Any = coefficients[0]
    for coefficient in coefficients[1:]:
        value = x * value + coefficient
    return value


def _giles(b: Any, x: Any) -> Any:
    # 1 - x*x loses digits near 1; in float32 this form is kept for JAX's very bits of `normal`.
    w = -b.log1p(-(x * x)) if x.dtype.itemsize == 4 else -b.log((1 - x) * (1 + x))
    root = b.sqrt(w)
    if x.dtype.itemsize == 4:
        factor = b.where(w < 5, _polynomial(w - 2.5, _CENTRAL_32), _polynomial(root - 3, _TAIL_32))
    else:
        tails = b.where(
            w < 16, _polynomial(root - 3.25, _MIDDLE_64), _polynomial(root - 5, _TAIL_64)
        )
        factor = b.where(w < 6.25, _polynomial(w - 3.125, _CENTRAL_64), tails)
    edge = b.equal(b.absolute(x), b.constant(1, x.dtype))
    return b.where(edge, x * b.constant(np.inf, x.dtype), factor * x)


erf_inv_giles_p = elementwise(
    "erf_inv_giles",
    "The inverse of erf by Giles's polynomials: +-infinity at +-1, NaN outside [-1, 1].",
    _giles,
    derivatives=[lambda t, ans, x: mul(t, mul(exp(square(ans)), 1 / TWO_OVER_SQRT_PI))],
    kinds="f",
)


def erf_inv_giles(x: Any) -> Any:
    """The inverse of the error function, elementwise, to about 1e-6 in float32, 4e-15 in float64.

    Examples
    --------
    >>> import numpy as np
    >>> erf_inv_giles(np.array([0.0, 0.5, 1.0]))
    array([0.        , 0.47693628,        inf])
    """
    return erf_inv_giles_p.bind(x)
