"""Exponentials, logarithms, trigonometric and hyperbolic functions."""

from __future__ import annotations

import math
from typing import Any

from fnad.primitives.arithmetic import add, div, mul, neg, square, sub
from fnad.primitives.branch_cuts import (
    over_one_minus_square,
    over_one_plus_square,
    rsqrt_of_one_minus_square,
    rsqrt_of_one_plus_square,
    rsqrt_of_square_minus_one,
    scaled,
)
from fnad.primitives.complex_numbers import one_infinity
from fnad.primitives.elementwise import elementwise, matched

# -- exponentials and logarithms ----------------------------------------------------------------


exp_p = elementwise(
    "exp",
    "e**x.",
    lambda b, x: b.exp(x),
    derivatives=[lambda t, ans, x: mul(t, ans)],
    kinds="fc",
)


def exp(x: Any) -> Any:
    """The exponential, elementwise.

    Examples
    --------
    >>> import numpy as np
    >>> exp(np.array([0.0, 1.0]))
    array([1.        , 2.71828183])
    """
    return exp_p.bind(x)


exp2_p = elementwise(
    "exp2",
    "2**x.",
    lambda b, x: b.exp2(x),
    derivatives=[lambda t, ans, x: mul(t, mul(ans, math.log(2)))],
    kinds="fc",
)


def exp2(x: Any) -> Any:
    """The power of two, elementwise.

    Examples
    --------
    >>> import numpy as np
    >>> exp2(np.array([1.0, 3.0]))
    array([2., 8.])
    """
    return exp2_p.bind(x)


expm1_p = elementwise(
    "expm1",
    "e**x - 1, accurate near 0.",
    lambda b, x: b.expm1(x),
    derivatives=[lambda t, ans, x: mul(t, add(ans, 1))],
    kinds="fc",
)


def expm1(x: Any) -> Any:
    """The exponential minus one, accurate near 0, elementwise.

    Examples
    --------
    >>> import numpy as np
    >>> expm1(np.array([0.0, 1e-10]))
    array([0.e+00, 1.e-10])
    """
    return expm1_p.bind(x)


log_p = elementwise(
    "log",
    "The natural logarithm; NaN where x < 0.",
    lambda b, x: b.log(x),
    derivatives=[lambda t, ans, x: div(t, one_infinity(x))],
    kinds="fc",
)


def log(x: Any) -> Any:
    """The natural logarithm; NaN where ``x < 0``, elementwise.

    Examples
    --------
    >>> import numpy as np
    >>> log(np.array([1.0, 2.0]))
    array([0.        , 0.69314718])
    """
    return log_p.bind(x)


log2_p = elementwise(
    "log2",
    "The logarithm to base 2.",
    lambda b, x: b.log2(x),
    derivatives=[lambda t, ans, x: scaled(div(t, one_infinity(x)), 1 / math.log(2))],
    kinds="fc",
)


def log2(x: Any) -> Any:
    """The logarithm to base 2, elementwise.

    Examples
    --------
    >>> import numpy as np
    >>> log2(np.array([1.0, 8.0]))
    array([0., 3.])
    """
    return log2_p.bind(x)


log10_p = elementwise(
    "log10",
    "The logarithm to base 10.",
    lambda b, x: b.log10(x),
    derivatives=[lambda t, ans, x: scaled(div(t, one_infinity(x)), 1 / math.log(10))],
    kinds="fc",
)


def log10(x: Any) -> Any:
    """The logarithm to base 10, elementwise.

    Examples
    --------
    >>> import numpy as np
    >>> log10(np.array([1.0, 100.0]))
    array([0., 2.])
    """
    return log10_p.bind(x)


log1p_p = elementwise(
    "log1p",
    "log(1 + x), accurate near 0.",
    lambda b, x: b.log1p(x),
    derivatives=[lambda t, ans, x: div(t, one_infinity(add(x, 1)))],
    kinds="fc",
)


def log1p(x: Any) -> Any:
    """The logarithm of ``1 + x``, accurate near 0, elementwise.

    Examples
    --------
    >>> import numpy as np
    >>> log1p(np.array([0.0, 1e-10]))
    array([0.e+00, 1.e-10])
    """
    return log1p_p.bind(x)


def _logistic(b: Any, x: Any) -> Any:
    # exp(-|x|) cannot overflow; for x < 0 the value is 1 - logistic(-x) = z / (1 + z).
    distance = b.where(x < 0, -x, x) if x.dtype.kind == "c" else b.absolute(x)
    z = b.exp(-distance)
    one = b.constant(1, x.dtype)
    return b.where(x < 0, z, one) / (z + one)


logistic_p = elementwise(
    "logistic",
    "1 / (1 + exp(-x)).",
    _logistic,
    derivatives=[lambda t, ans, x: mul(t, mul(ans, sub(1, ans)))],
    kinds="fc",
)


def logistic(x: Any) -> Any:
    """The logistic function, ``1 / (1 + exp(-x))``, elementwise.

    Examples
    --------
    >>> import numpy as np
    >>> logistic(np.array([0.0, 2.0]))
    array([0.5       , 0.88079708])
    """
    return logistic_p.bind(x)


# -- trigonometric functions --------------------------------------------------------------------


sin_p = elementwise(
    "sin",
    "The sine.",
    lambda b, x: b.sin(x),
    derivatives=[lambda t, ans, x: mul(t, cos(x))],
    kinds="fc",
)


def sin(x: Any) -> Any:
    """The sine, elementwise.

    Examples
    --------
    >>> import numpy as np
    >>> sin(np.array([0.0, 1.0]))
    array([0.        , 0.84147098])
    """
    return sin_p.bind(x)


cos_p = elementwise(
    "cos",
    "The cosine.",
    lambda b, x: b.cos(x),
    derivatives=[lambda t, ans, x: neg(mul(t, sin(x)))],
    kinds="fc",
)


def cos(x: Any) -> Any:
    """The cosine, elementwise.

    Examples
    --------
    >>> import numpy as np
    >>> cos(np.array([0.0, 1.0]))
    array([1.        , 0.54030231])
    """
    return cos_p.bind(x)


tan_p = elementwise(
    "tan",
    "The tangent.",
    lambda b, x: b.tan(x),
    derivatives=[lambda t, ans, x: mul(t, add(square(ans), 1))],
    kinds="fc",
)


def tan(x: Any) -> Any:
    """The tangent, elementwise.

    Examples
    --------
    >>> import numpy as np
    >>> tan(np.array([0.0, 1.0]))
    array([0.        , 1.55740772])
    """
    return tan_p.bind(x)


asin_p = elementwise(
    "asin",
    "The inverse sine, in [-pi/2, pi/2].",
    lambda b, x: b.arcsin(x),
    derivatives=[lambda t, ans, x: mul(t, rsqrt_of_one_minus_square(x))],
    kinds="fc",
)


def asin(x: Any) -> Any:
    """The inverse sine, in ``[-pi/2, pi/2]``; NaN outside ``[-1, 1]``, elementwise.

    Examples
    --------
    >>> import numpy as np
    >>> asin(np.array([0.0, 1.0]))
    array([0.        , 1.57079633])
    """
    return asin_p.bind(x)


acos_p = elementwise(
    "acos",
    "The inverse cosine, in [0, pi].",
    lambda b, x: b.arccos(x),
    derivatives=[lambda t, ans, x: neg(mul(t, rsqrt_of_one_minus_square(x)))],
    kinds="fc",
)


def acos(x: Any) -> Any:
    """The inverse cosine, in ``[0, pi]``; NaN outside ``[-1, 1]``, elementwise.

    Examples
    --------
    >>> import numpy as np
    >>> acos(np.array([1.0, 0.0]))
    array([0.        , 1.57079633])
    """
    return acos_p.bind(x)


atan_p = elementwise(
    "atan",
    "The inverse tangent, in [-pi/2, pi/2].",
    lambda b, x: b.arctan(x),
    derivatives=[lambda t, ans, x: over_one_plus_square(t, x)],
    kinds="fc",
)


def atan(x: Any) -> Any:
    """The inverse tangent, in ``[-pi/2, pi/2]``, elementwise.

    Examples
    --------
    >>> import numpy as np
    >>> atan(np.array([0.0, 1.0]))
    array([0.        , 0.78539816])
    """
    return atan_p.bind(x)


atan2_p = elementwise(
    "atan2",
    "The angle of the point (y, x), in [-pi, pi].",
    lambda b, y, x: b.arctan2(y, x),
    derivatives=[
        lambda t, ans, y, x: mul(t, div(x, add(square(x), square(y)))),
        lambda t, ans, y, x: mul(t, div(neg(y), add(square(x), square(y)))),
    ],
    kinds="f",
)


def atan2(x: Any, y: Any) -> Any:
    """The angle whose tangent is ``x / y``, in ``[-pi, pi]``: ``x`` is the ordinate, as in JAX.

    Examples
    --------
    >>> import numpy as np
    >>> atan2(np.array([0.0, 1.0]), np.array([-1.0, 0.0]))
    array([3.14159265, 1.57079633])
    """
    return atan2_p.bind(*matched("atan2", x, y))


# -- hyperbolic functions -----------------------------------------------------------------------


sinh_p = elementwise(
    "sinh",
    "The hyperbolic sine.",
    lambda b, x: b.sinh(x),
    derivatives=[lambda t, ans, x: mul(t, cosh(x))],
    kinds="fc",
)


def sinh(x: Any) -> Any:
    """The hyperbolic sine, elementwise.

    Examples
    --------
    >>> import numpy as np
    >>> sinh(np.array([0.0, 1.0]))
    array([0.        , 1.17520119])
    """
    return sinh_p.bind(x)


cosh_p = elementwise(
    "cosh",
    "The hyperbolic cosine.",
    lambda b, x: b.cosh(x),
    derivatives=[lambda t, ans, x: mul(t, sinh(x))],
    kinds="fc",
)


def cosh(x: Any) -> Any:
    """The hyperbolic cosine, elementwise.

    Examples
    --------
    >>> import numpy as np
    >>> cosh(np.array([0.0, 1.0]))
    array([1.        , 1.54308063])
    """
    return cosh_p.bind(x)


tanh_p = elementwise(
    "tanh",
    "The hyperbolic tangent.",
    lambda b, x: b.tanh(x),
    derivatives=[lambda t, ans, x: mul(t, sub(1, square(ans)))],
    kinds="fc",
)


def tanh(x: Any) -> Any:
    """The hyperbolic tangent, elementwise.

    Examples
    --------
    >>> import numpy as np
    >>> tanh(np.array([0.0, 1.0]))
    array([0.        , 0.76159416])
    """
    return tanh_p.bind(x)


asinh_p = elementwise(
    "asinh",
    "The inverse hyperbolic sine.",
    lambda b, x: b.arcsinh(x),
    derivatives=[lambda t, ans, x: mul(t, rsqrt_of_one_plus_square(x))],
    kinds="fc",
)


def asinh(x: Any) -> Any:
    """The inverse hyperbolic sine, elementwise.

    Examples
    --------
    >>> import numpy as np
    >>> asinh(np.array([0.0, 1.0]))
    array([0.        , 0.88137359])
    """
    return asinh_p.bind(x)


acosh_p = elementwise(
    "acosh",
    "The inverse hyperbolic cosine.",
    lambda b, x: b.arccosh(x),
    derivatives=[lambda t, ans, x: mul(t, rsqrt_of_square_minus_one(x))],
    kinds="fc",
)


def acosh(x: Any) -> Any:
    """The inverse hyperbolic cosine; NaN where ``x < 1``, elementwise.

    Examples
    --------
    >>> import numpy as np
    >>> acosh(np.array([1.0, 2.0]))
    array([0.       , 1.3169579])
    """
    return acosh_p.bind(x)


atanh_p = elementwise(
    "atanh",
    "The inverse hyperbolic tangent.",
    lambda b, x: b.arctanh(x),
    derivatives=[lambda t, ans, x: over_one_minus_square(t, x)],
    kinds="fc",
)


def atanh(x: Any) -> Any:
    """The inverse hyperbolic tangent; NaN outside ``[-1, 1]``, elementwise.

    Examples
    --------
    >>> import numpy as np
    >>> atanh(np.array([0.0, 0.5]))
    array([0.        , 0.54930614])
    """
    return atanh_p.bind(x)
