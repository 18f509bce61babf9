"""Arithmetic: sums, products, quotients, powers, extrema and their kin."""

from __future__ import annotations

from typing import Any

from fnad.core.types import aval_of
from fnad.primitives.algebra import without_neutral
from fnad.primitives.complex_numbers import conj, one_infinity, real, real_dtype
from fnad.primitives.dependencies import product_pattern
from fnad.primitives.elementwise import elementwise, matched
from fnad.primitives.integer_powers import integer_power, multiply_out
from fnad.primitives.logic import convert_element_type, eq, gt, lt, select
from fnad.primitives.rounding import sign, trunc
from fnad.primitives.strong_zeros import passes_on, transposed_product
from fnad.primitives.taylor import bilinear, convolve

# -- linear -------------------------------------------------------------------------------------

neg_p = elementwise(
    "neg",
    "-x.",
    lambda b, x: b.negative(x),
    derivatives=[lambda t, ans, x: neg(t)],
    transpose=[lambda ct, x: neg(ct)],
    kinds="iufc",
)


@neg_p.simplify
def _(eqn, definition):
    inner = definition(eqn.invars[0])
    return inner.invars[0] if inner is not None and inner.primitive is neg_p else None


def neg(x: Any) -> Any:
    """``-x`` elementwise.

    Examples
    --------
    >>> import numpy as np
    >>> neg(np.array([1.0, -2.0]))
    array([-1.,  2.])
    """
    return neg_p.bind(x)


def _is_bool(x: Any) -> bool:
    return bool(x.dtype.kind == "b")


add_p = elementwise(
    "add",
    "x + y; of booleans, the logical or.",
    lambda b, x, y: b.bitwise_or(x, y) if _is_bool(x) else b.add(x, y),
    derivatives=[lambda t, ans, x, y: t, lambda t, ans, x, y: t],
    transpose=[lambda ct, x, y: ct, lambda ct, x, y: ct],
)
passes_on(add_p)


@add_p.simplify
def _(eqn, definition):
    return without_neutral(eqn, definition, -0.0)


def add(x: Any, y: Any) -> Any:
    """``x + y`` elementwise; of booleans, the logical or.

    Examples
    --------
    >>> import numpy as np
    >>> add(np.array([1.0, 2.0]), 1)
    array([2., 3.])
    """
    return add_p.bind(*matched("add", x, y))


sub_p = elementwise(
    "sub",
    "x - y.",
    lambda b, x, y: b.subtract(x, y),
    derivatives=[lambda t, ans, x, y: t, lambda t, ans, x, y: neg(t)],
    transpose=[lambda ct, x, y: ct, lambda ct, x, y: neg(ct)],
    kinds="iufc",
)


@sub_p.simplify
def _(eqn, definition):
    return without_neutral(eqn, definition, 0.0, positions=(1,))


def sub(x: Any, y: Any) -> Any:
    """``x - y`` elementwise.

    Examples
    --------
    >>> import numpy as np
    >>> sub(np.array([1.0, 2.0]), 1)
    array([0., 1.])
    """
    return sub_p.bind(*matched("sub", x, y))


mul_p = elementwise(
    "mul",
    "x * y; of booleans, the logical and.",
    lambda b, x, y: b.bitwise_and(x, y) if _is_bool(x) else b.multiply(x, y),
    derivatives=[lambda t, ans, x, y: mul(t, y), lambda t, ans, x, y: mul(x, t)],
    transpose=[lambda ct, x, y: mul(ct, y), lambda ct, x, y: mul(x, ct)],
)


@mul_p.dependencies
def _(x, y):
    return product_pattern(x, y)


bilinear(mul_p)


@mul_p.strong_transpose
def _(ct, x, y):
    return transposed_product(mul_p, ct, x, y)


@mul_p.simplify
def _(eqn, definition):
    return without_neutral(eqn, definition, 1.0)


def mul(x: Any, y: Any, *, out_dtype: Any = None) -> Any:
    """``x * y`` elementwise, in ``out_dtype`` if it is given; of booleans, the logical and.

    Examples
    --------
    >>> import numpy as np
    >>> mul(np.array([1.0, 2.0]), 3)
    array([3., 6.])
    """
    if out_dtype is not None:
        x, y = convert_element_type(x, out_dtype), convert_element_type(y, out_dtype)
    return mul_p.bind(*matched("mul", x, y))


div_p = elementwise(
    "div",
    "x / y; of integers, truncated towards zero, and 0 where y is 0.",
    lambda b, x, y: b.divide(x, y),
    derivatives=[
        lambda t, ans, x, y: div(t, y),
        lambda t, ans, x, y: neg(mul(div(t, y), ans)),
    ],
    transpose=[lambda ct, x, y: div(ct, y), None],
    kinds="iufc",
)


@div_p.jet
def _(k, out, x, y):
    # The coefficient k of x = y out, solved for out[k].
    known = convolve(mul, y, out, k, first=1)
    rest = x[k] if known is None else neg(known) if x[k] is None else x[k] - known
    return None if rest is None else div(rest, y[0])


@div_p.simplify
def _(eqn, definition):
    return without_neutral(eqn, definition, 1.0, positions=(1,))


def div(x: Any, y: Any) -> Any:
    """``x / y`` elementwise; integers are truncated towards zero, and ``x / 0`` is 0.

    Examples
    --------
    >>> import numpy as np
    >>> div(np.array([1.0, 2.0]), 4), div(np.array([7, -7, 1]), np.array([2, 2, 0]))
    (array([0.25, 0.5 ]), array([ 3, -3,  0]))
    """
    return div_p.bind(*matched("div", x, y))


rem_p = elementwise(
    "rem",
    "The remainder of x / y with the sign of x (C's fmod); of integers, 0 where y is 0.",
    lambda b, x, y: b.remainder(x, y),
    derivatives=[
        lambda t, ans, x, y: t,
        lambda t, ans, x, y: neg(mul(t, trunc(div(x, y)))),
    ],
    kinds="iuf",
)


def rem(x: Any, y: Any) -> Any:
    """The remainder of ``x / y`` with the sign of ``x``, as C's ``fmod`` and ``%``.

    Examples
    --------
    >>> import numpy as np
    >>> rem(np.array([7.0, -7.0]), 3)
    array([ 1., -1.])
    """
    return rem_p.bind(*matched("rem", x, y))


# -- powers and roots ---------------------------------------------------------------------------


def _pow_wrt_x(t: Any, ans: Any, x: Any, y: Any) -> Any:
    # y * x**(y-1), but 0 where y is 0: there x**(y-1) may be infinite.
    y_is_zero = eq(y, 0)
    exponent = sub(select(y_is_zero, _like(y, 1), y), _like(y, 1))
    return mul(t, select(y_is_zero, _like(y, 0), mul(y, pow(x, exponent))))


def _pow_wrt_y(t: Any, ans: Any, x: Any, y: Any) -> Any:
    # log(x) * x**y, with its limit 0 where x is 0 (and y > 0): log is kept off the zeros.
    from fnad.primitives.transcendental import log  # its rules use this module

    return mul(t, mul(log(select(eq(x, 0), _like(x, 1), x)), ans))


def _like(x: Any, value: float) -> Any:
    return aval_of(x).dtype.type(value)


pow_p = elementwise(
    "pow",
    "x ** y; of integers, negative powers are truncated towards zero.",
    lambda b, x, y: integer_power(b, x, y) if x.dtype.kind in "iu" else b.power(x, y),
    derivatives=[_pow_wrt_x, _pow_wrt_y],
    kinds="iufc",
)


def pow(x: Any, y: Any) -> Any:
    """``x ** y`` elementwise, both of one dtype.

    Examples
    --------
    >>> import numpy as np
    >>> pow(np.array([2.0, 3.0]), 0.5)
    array([1.41421356, 1.73205081])
    """
    return pow_p.bind(*matched("pow", x, y))


def _one_less(ans: Any, x: Any, y: int) -> Any:
    # Squares of large complex numbers are NaN, not infinite, and so would be their reciprocals.
    if y < 0 and aval_of(x).dtype.kind == "c":
        return div(ans, x)
    return integer_pow(x, y - 1)


integer_pow_p = elementwise(
    "integer_pow",
    "x ** y for a fixed integer y, multiplied out.",
    lambda b, x, *, y: multiply_out(b, x, y),
    derivatives=[
        lambda t, ans, x, *, y: mul(t, mul(_like(x, y), _one_less(ans, x, y))) if y else None
    ],
    kinds="iufc",
)


@integer_pow_p.simplify
def _(eqn, definition):
    return eqn.invars[0] if eqn.params["y"] == 1 else None


def integer_pow(x: Any, y: int) -> Any:
    """``x ** y`` for a fixed integer ``y``, multiplied out.

    Parameters
    ----------
    x : array
        Any shape; integers, floats or complex numbers.
    y : int
        The exponent.

    Raises
    ------
    ValueError
        If ``x`` is of integers and ``y`` negative.

    Examples
    --------
    >>> import numpy as np
    >>> integer_pow(np.array([2.0, 3.0]), -2)
    array([0.25      , 0.11111111])
    """
    if y < 0 and aval_of(x).dtype.kind in "iu":
        raise ValueError(f"integer_pow: integers cannot be raised to the negative power {y}")
    return integer_pow_p.bind(x, y=int(y))


def reciprocal(x: Any) -> Any:
    """``1 / x`` elementwise, of floats and complex numbers.

    Examples
    --------
    >>> import numpy as np
    >>> reciprocal(np.array([2.0, -4.0]))
    array([ 0.5 , -0.25])
    """
    return integer_pow(x, -1)


square_p = elementwise(
    "square",
    "x * x.",
    lambda b, x: x * x,
    derivatives=[lambda t, ans, x: mul(t, mul(x, 2))],
    kinds="iufc",
)


def square(x: Any) -> Any:
    """``x * x`` elementwise.

    Examples
    --------
    >>> import numpy as np
    >>> square(np.array([2.0, -3.0]))
    array([4., 9.])
    """
    return square_p.bind(x)


sqrt_p = elementwise(
    "sqrt",
    "The square root; NaN where x < 0.",
    lambda b, x: b.sqrt(x),
    derivatives=[lambda t, ans, x: mul(t, div(0.5, one_infinity(ans)))],
    kinds="fc",
)


def sqrt(x: Any) -> Any:
    """The square root, elementwise; NaN for negative numbers.

    Examples
    --------
    >>> import numpy as np
    >>> sqrt(np.array([4.0, 9.0]))
    array([2., 3.])
    """
    return sqrt_p.bind(x)


rsqrt_p = elementwise(
    "rsqrt",
    "1 / sqrt(x).",
    lambda b, x: b.divide(b.constant(1, x.dtype), b.sqrt(x)),
    derivatives=[lambda t, ans, x: mul(t, mul(-0.5, div(ans, x)))],
    kinds="fc",
)


def rsqrt(x: Any) -> Any:
    """``1 / sqrt(x)`` elementwise.

    Examples
    --------
    >>> import numpy as np
    >>> rsqrt(np.array([4.0, 16.0]))
    array([0.5 , 0.25])
    """
    return rsqrt_p.bind(x)


cbrt_p = elementwise(
    "cbrt",
    "The real cube root.",
    lambda b, x: b.cbrt(x),
    derivatives=[lambda t, ans, x: mul(t, div(1 / 3, integer_pow(ans, 2)))],
    kinds="f",
)


def cbrt(x: Any) -> Any:
    """The real cube root, elementwise.

    Examples
    --------
    >>> import numpy as np
    >>> cbrt(np.array([8.0, -27.0]))
    array([ 2., -3.])
    """
    return cbrt_p.bind(x)


# -- extrema ------------------------------------------------------------------------------------


def _share(x: Any, ans: Any, other: Any) -> Any:
    """The derivative of max(x, other): 1 where x is chosen, 0.5 where both are, else 0."""
    tie = select(eq(x, other), _like(x, 0.5), _like(x, 1))
    return select(eq(x, ans), tie, _like(x, 0))


max_p = elementwise(
    "max",
    "The larger of x and y; NaN if either is. Complex numbers by their real parts first.",
    lambda b, x, y: b.bitwise_or(x, y) if _is_bool(x) else b.maximum(x, y),
    derivatives=[
        lambda t, ans, x, y: mul(t, _share(x, ans, y)),
        lambda t, ans, x, y: mul(t, _share(y, ans, x)),
    ],
)


def max(x: Any, y: Any) -> Any:
    """The larger of ``x`` and ``y``, elementwise; NaN if either is. At ties the derivative is 0.5.

    Examples
    --------
    >>> import numpy as np
    >>> max(np.array([1.0, 3.0]), 2)
    array([2., 3.])
    """
    return max_p.bind(*matched("max", x, y))


min_p = elementwise(
    "min",
    "The smaller of x and y; NaN if either is. Complex numbers by their real parts first.",
    lambda b, x, y: b.bitwise_and(x, y) if _is_bool(x) else b.minimum(x, y),
    derivatives=[
        lambda t, ans, x, y: mul(t, _share(x, ans, y)),
        lambda t, ans, x, y: mul(t, _share(y, ans, x)),
    ],
)


def min(x: Any, y: Any) -> Any:
    """The smaller of ``x`` and ``y``, elementwise; NaN if either is. At ties the derivative is 0.5.

    Examples
    --------
    >>> import numpy as np
    >>> min(np.array([1.0, 3.0]), 2)
    array([1., 2.])
    """
    return min_p.bind(*matched("min", x, y))


def _where_inside(t: Any, inside: Any) -> Any:
    return select(inside, t, _like(t, 0))


clamp_p = elementwise(
    "clamp",
    "min(max(x, lower), upper).",
    lambda b, lower, x, upper: b.minimum(b.maximum(x, lower), upper),
    derivatives=[
        lambda t, ans, lower, x, upper: _where_inside(t, mul(gt(lower, x), lt(lower, upper))),
        lambda t, ans, lower, x, upper: _where_inside(t, mul(gt(x, lower), lt(x, upper))),
        lambda t, ans, lower, x, upper: _where_inside(t, lt(upper, x)),
    ],
    kinds="iufc",
)


def clamp(min: Any, x: Any, max: Any) -> Any:
    """``x``, or ``min`` where it is below, or ``max`` where it is above, elementwise.

    Examples
    --------
    >>> import numpy as np
    >>> clamp(0.0, np.array([-1.0, 0.5, 2.0]), 1.0)
    array([0. , 0.5, 1. ])
    """
    return clamp_p.bind(*matched("clamp", min, x, max))


def _abs_wrt_x(t: Any, ans: Any, x: Any) -> Any:
    if aval_of(x).dtype.kind != "c":
        return select(lt(x, 0), neg(t), t)
    return real(mul(t, conj(sign(x))))


abs_p = elementwise(
    "abs",
    "|x|, real also of complex numbers; the derivative at 0 is 1, of complex numbers 0, as in JAX.",
    lambda b, x: x if x.dtype.kind == "u" else b.absolute(x),
    derivatives=[_abs_wrt_x],
    kinds="iufc",
    result=real_dtype,
)


def abs(x: Any) -> Any:
    """``|x|`` elementwise; the derivative at 0 is 1, of complex numbers 0, as in JAX.

    Examples
    --------
    >>> import numpy as np
    >>> abs(np.array([1.0, -2.0]))
    array([1., 2.])
    """
    return abs_p.bind(x)
