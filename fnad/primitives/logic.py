"""Comparisons, bits, choice and conversion: the elementwise primitives that are not arithmetic."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fnad.core import tree
from fnad.core.dtypes import canonical_dtype
from fnad.core.ir import Atom, Equation
from fnad.core.primitive import Linear, Zero, instantiate, remember
from fnad.core.types import ShapedArray, aval_of, check_same_shape, kind_of
from fnad.primitives.dependencies import moves
from fnad.primitives.elementwise import (
    broadcast_scalar,
    elementwise,
    matched,
    same_dtype,
    unbroadcast,
)
from fnad.primitives.strong_zeros import side_of_select

# -- comparisons --------------------------------------------------------------------------------

eq_p = elementwise("eq", "x == y.", lambda b, x, y: b.equal(x, y), result=np.bool_)
ne_p = elementwise("ne", "x != y.", lambda b, x, y: b.not_equal(x, y), result=np.bool_)
lt_p = elementwise("lt", "x < y.", lambda b, x, y: b.less(x, y), result=np.bool_)
le_p = elementwise("le", "x <= y.", lambda b, x, y: b.less_equal(x, y), result=np.bool_)
gt_p = elementwise("gt", "x > y.", lambda b, x, y: b.greater(x, y), result=np.bool_)
ge_p = elementwise("ge", "x >= y.", lambda b, x, y: b.greater_equal(x, y), result=np.bool_)


def eq(x: Any, y: Any) -> Any:
    """``x == y`` elementwise: bool; NaN equals nothing.

    Examples
    --------
    >>> eq(np.array([1, 2]), 2)
    array([False,  True])
    """
    return eq_p.bind(*matched("eq", x, y))


def ne(x: Any, y: Any) -> Any:
    """``x != y`` elementwise: bool.

    Examples
    --------
    >>> ne(np.array([1, 2]), 2)
    array([ True, False])
    """
    return ne_p.bind(*matched("ne", x, y))


def lt(x: Any, y: Any) -> Any:
    """``x < y`` elementwise: bool.

    Examples
    --------
    >>> lt(np.array([1, 2]), 2)
    array([ True, False])
    """
    return lt_p.bind(*matched("lt", x, y))


def le(x: Any, y: Any) -> Any:
    """``x <= y`` elementwise: bool.

    Examples
    --------
    >>> le(np.array([1, 2]), 1)
    array([ True, False])
    """
    return le_p.bind(*matched("le", x, y))


def gt(x: Any, y: Any) -> Any:
    """``x > y`` elementwise: bool.

    Examples
    --------
    >>> gt(np.array([1, 2]), 1)
    array([False,  True])
    """
    return gt_p.bind(*matched("gt", x, y))


def ge(x: Any, y: Any) -> Any:
    """``x >= y`` elementwise: bool.

    Examples
    --------
    >>> ge(np.array([1, 2]), 2)
    array([False,  True])
    """
    return ge_p.bind(*matched("ge", x, y))


is_finite_p = elementwise(
    "is_finite",
    "Whether x is neither infinite nor NaN.",
    lambda b, x: b.absolute(x) < np.inf,
    kinds="f",
    result=np.bool_,
)


def is_finite(x: Any) -> Any:
    """Whether each element is neither infinite nor NaN: bool.

    Examples
    --------
    >>> is_finite(np.array([1.0, np.inf, np.nan]))
    array([ True, False, False])
    """
    return is_finite_p.bind(x)


# -- bits ---------------------------------------------------------------------------------------

and_p = elementwise(
    "and", "Bitwise (or logical) and.", lambda b, x, y: b.bitwise_and(x, y), kinds="biu"
)
or_p = elementwise(
    "or", "Bitwise (or logical) or.", lambda b, x, y: b.bitwise_or(x, y), kinds="biu"
)
xor_p = elementwise(
    "xor", "Bitwise (or logical) exclusive or.", lambda b, x, y: b.bitwise_xor(x, y), kinds="biu"
)
not_p = elementwise(
    "not", "Bitwise (or logical) complement.", lambda b, x: b.bitwise_not(x), kinds="biu"
)


def _in_width(b: Any, x: Any, amount: Any) -> Any:
    below = amount < x.dtype.itemsize * 8
    return below if x.dtype.kind == "u" else b.bitwise_and(below, amount >= 0)


def _shift_left(b: Any, x: Any, amount: Any) -> Any:
    shifted = b.left_shift(x, amount)
    return b.where(_in_width(b, x, amount), shifted, b.constant(0, x.dtype))


def _shift_right_logical(b: Any, x: Any, amount: Any) -> Any:
    shifted = b.right_shift_logical(x, amount)
    return b.where(_in_width(b, x, amount), shifted, b.constant(0, x.dtype))


def _shift_right_arithmetic(b: Any, x: Any, amount: Any) -> Any:
    if x.dtype.kind == "u":
        return _shift_right_logical(b, x, amount)
    last = b.constant(x.dtype.itemsize * 8 - 1, x.dtype)
    return b.right_shift_arithmetic(x, b.where(_in_width(b, x, amount), amount, last))


shift_left_p = elementwise(
    "shift_left", "x << y; 0 where y is not in [0, bits).", _shift_left, kinds="iu"
)
shift_right_logical_p = elementwise(
    "shift_right_logical",
    "x >> y filling with zero bits; 0 where y is not in [0, bits).",
    _shift_right_logical,
    kinds="iu",
)
shift_right_arithmetic_p = elementwise(
    "shift_right_arithmetic",
    "x >> y filling with the sign bit; all sign bits where y is not in [0, bits).",
    _shift_right_arithmetic,
    kinds="iu",
)


def bitwise_and(x: Any, y: Any) -> Any:
    """Bitwise and of integers, logical and of booleans.

    Examples
    --------
    >>> bitwise_and(np.array([6, 5]), 3)
    array([2, 1])
    """
    return and_p.bind(*matched("and", x, y))


def bitwise_or(x: Any, y: Any) -> Any:
    """Bitwise or of integers, logical or of booleans.

    Examples
    --------
    >>> bitwise_or(np.array([6, 5]), 3)
    array([7, 7])
    """
    return or_p.bind(*matched("or", x, y))


def bitwise_xor(x: Any, y: Any) -> Any:
    """Bitwise exclusive or of integers, logical one of booleans.

    Examples
    --------
    >>> bitwise_xor(np.array([6, 5]), 3)
    array([5, 6])
    """
    return xor_p.bind(*matched("xor", x, y))


def bitwise_not(x: Any) -> Any:
    """Bitwise complement of integers, logical one of booleans.

    Examples
    --------
    >>> bitwise_not(np.array([True, False]))
    array([False,  True])
    """
    return not_p.bind(x)


def shift_left(x: Any, y: Any) -> Any:
    """``x << y``; 0 where ``y`` is not in ``[0, bits)``.

    Examples
    --------
    >>> shift_left(np.array([1, 3]), 2)
    array([ 4, 12])
    """
    return shift_left_p.bind(*matched("shift_left", x, y))


def shift_right_logical(x: Any, y: Any) -> Any:
    """``x >> y``, filling with zero bits; 0 where ``y`` is not in ``[0, bits)``.

    Examples
    --------
    >>> shift_right_logical(np.array([-1, 8], np.int8), 1)
    array([127,   4], dtype=int8)
    """
    return shift_right_logical_p.bind(*matched("shift_right_logical", x, y))


def shift_right_arithmetic(x: Any, y: Any) -> Any:
    """``x >> y``, filling with the sign bit; only sign bits where ``y`` is not in ``[0, bits)``.

    That of unsigned integers is their highest bit, as in JAX.

    Examples
    --------
    >>> shift_right_arithmetic(np.array([-8, 8]), 1)
    array([-4,  4])
    """
    x, y = matched("shift_right_arithmetic", x, y)
    dtype = aval_of(x).dtype
    if dtype.kind != "u":
        return shift_right_arithmetic_p.bind(x, y)
    from fnad.primitives.bits import bitcast_convert_type  # it uses this module

    signed = [bitcast_convert_type(v, np.dtype(f"i{dtype.itemsize}")) for v in (x, y)]
    return bitcast_convert_type(shift_right_arithmetic_p.bind(*signed), dtype)


# -- choice -------------------------------------------------------------------------------------

select_p = elementwise(
    "select", "on_true where pred holds, else on_false.", lambda b, c, x, y: b.where(c, x, y)
)


moves(select_p)


@select_p.type_rule
@remember
def _(pred: ShapedArray, on_true: ShapedArray, on_false: ShapedArray) -> ShapedArray:
    if pred.dtype != np.bool_:
        raise TypeError(f"select: the predicate must be boolean, got {pred}")
    dtype = same_dtype("select", (on_true, on_false))
    shape = check_same_shape("select", (pred, on_true, on_false))
    return ShapedArray(shape, dtype, on_true.weak_type and on_false.weak_type)


def _zero(aval: ShapedArray) -> Any:
    return aval.dtype.type(0)


@select_p.jvp
def _(primals: Sequence[Any], tangents: Sequence[Any]) -> tuple[Any, Any]:
    pred = primals[0]
    ans = select_p.bind(*primals)
    aval = aval_of(ans).strong()
    if all(isinstance(t, Zero) for t in tangents[1:]):
        return ans, Zero(aval)
    cases = [_zero(aval) if isinstance(t, Zero) else t for t in tangents[1:]]
    return ans, broadcast_scalar(select_p.bind(pred, *cases), aval.shape)


@select_p.transpose
def _(ct: Any, pred: Any, on_true: Any, on_false: Any) -> list[Any]:
    zero = _zero(aval_of(ct))
    return [
        None,
        unbroadcast(select_p.bind(pred, ct, zero), on_true.aval)
        if isinstance(on_true, Linear)
        else None,
        unbroadcast(select_p.bind(pred, zero, ct), on_false.aval)
        if isinstance(on_false, Linear)
        else None,
    ]


@select_p.strong_transpose
def _(ct: Any, pred: Any, on_true: Any, on_false: Any) -> list[Any]:
    return [
        None,
        side_of_select(ct, pred, True, on_true),
        side_of_select(ct, pred, False, on_false),
    ]


@select_p.simplify
def _(eqn: Equation, definition: Any) -> Atom | None:
    _, on_true, on_false = eqn.invars
    return on_true if on_true is on_false else None


def select(pred: Any, on_true: Any, on_false: Any) -> Any:
    """``on_true`` where ``pred`` holds, else ``on_false``, elementwise.

    Parameters
    ----------
    pred : array of bool
        Of the shape of the others, or a scalar.
    on_true, on_false : array
        Of one dtype and shape; either may be a scalar.

    Returns
    -------
    array
        Where it is not chosen, a NaN or infinity has no influence on values or derivatives.

    Examples
    --------
    >>> select(np.array([True, False]), np.array([1.0, 2.0]), 0.0)
    array([1., 0.])
    """
    return select_p.bind(pred, *matched("select", on_true, on_false))


# -- conversion ---------------------------------------------------------------------------------

convert_element_type_p = elementwise(
    "convert_element_type",
    "Convert to another dtype; float to integer saturates and NaN becomes 0.",
    lambda b, x, *, new_dtype, weak_type: b.convert(x, new_dtype),
    transpose=[lambda ct, x, *, new_dtype, weak_type: convert_element_type(ct, x.aval.dtype)],
)


@convert_element_type_p.type_rule
@remember
def _(x: ShapedArray, *, new_dtype: np.dtype[Any], weak_type: bool) -> ShapedArray:
    return ShapedArray(x.shape, new_dtype, weak_type)


@convert_element_type_p.jvp
def _(
    primals: Sequence[Any],
    tangents: Sequence[Any],
    *,
    new_dtype: np.dtype[Any],
    weak_type: bool,
) -> tuple[Any, Any]:
    ans = convert_element_type_p.bind(*primals, new_dtype=new_dtype, weak_type=weak_type)
    if isinstance(tangents[0], Zero) or kind_of(new_dtype) not in "fc":
        return ans, Zero(aval_of(ans).strong())
    return ans, convert_element_type(instantiate(tangents[0]), new_dtype)


@convert_element_type_p.simplify
def _(eqn: Equation, definition: Any) -> Atom | None:
    x = eqn.invars[0]
    return x if x.aval.dtype == eqn.params["new_dtype"] else None


def convert_element_type(operand: Any, new_dtype: Any) -> Any:
    """Convert an array to another dtype.

    Parameters
    ----------
    operand : array
        Any shape and dtype.
    new_dtype : dtype
        Of the result. From floating to integer, fractions are cut off, values out of range
        become the nearest integer, and NaN becomes 0.

    Returns
    -------
    array
        ``operand`` itself where nothing changes.

    Examples
    --------
    >>> convert_element_type(np.array([1.7, -2.7, 300.0]), np.int8)
    array([  1,  -2, 127], dtype=int8)
    """
    aval = aval_of(operand)
    if aval.dtype is new_dtype and not aval.weak_type:
        return operand
    dtype = canonical_dtype(new_dtype)
    if aval.dtype == dtype and not aval.weak_type:
        return operand
    return convert_element_type_p.bind(operand, new_dtype=dtype, weak_type=False)


stop_gradient_p = elementwise(
    "stop_gradient",
    "The identity, with derivative zero.",
    lambda b, x: x,
    derivatives=[None],
    # Only linear_transpose asks for it, of the map itself: the identity.
    transpose=[lambda ct, x: ct],
)


def stop_gradient(x: Any) -> Any:
    """The identity, except that its derivative is zero; takes pytrees.

    Examples
    --------
    >>> import fnad
    >>> float(fnad.grad(lambda x: x * stop_gradient(x))(3.0))
    3.0
    """
    return tree.map(stop_gradient_p.bind, x)
