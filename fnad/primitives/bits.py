"""Numbers by their bits: as another dtype, counts, the next float, high halves, fewer bits."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np

from fnad.core.dtypes import canonical_dtype
from fnad.core.primitive import Primitive
from fnad.core.types import aval_of, kind_of
from fnad.primitives.arithmetic import add
from fnad.primitives.elementwise import check_kind, elementwise, matched, same_dtype
from fnad.primitives.logic import (
    bitwise_or,
    convert_element_type,
    eq,
    lt,
    ne,
    select,
    shift_left,
    shift_right_logical,
)
from fnad.primitives.numpy_builder import NUMPY

# -- the same bits as another dtype -------------------------------------------------------

bitcast_convert_type_p = elementwise(
    "bitcast_convert_type",
    "The same bits as another dtype of the same width.",
    lambda b, x, *, new_dtype: b.bitcast(x, new_dtype),
    derivatives=[None],
    kinds="iuf",
    result=lambda dtype, *, new_dtype: _same_width(dtype, new_dtype),
)


def _same_width(dtype: np.dtype[Any], new_dtype: np.dtype[Any]) -> np.dtype[Any]:
    if new_dtype.itemsize != dtype.itemsize or kind_of(new_dtype) not in "iuf":
        raise TypeError(
            f"bitcast_convert_type: {dtype} has {dtype.itemsize * 8} bits and cannot be read as"
            f" {new_dtype}; choose an integer or floating dtype of that width"
        )
    return new_dtype


@bitcast_convert_type_p.evaluate
def _(x: Any, *, new_dtype: np.dtype[Any]) -> Any:
    # Unlike elsewhere, float16 must not be widened: its bits are what is wanted.
    return NUMPY.bitcast(x, new_dtype)


@bitcast_convert_type_p.lower
def _(p: Any, x: Any, *, new_dtype: np.dtype[Any]) -> Any:
    return p.compute(x.shape, new_dtype, lambda index: p.b.bitcast(x.at(index), new_dtype))


def bitcast_convert_type(operand: Any, new_dtype: Any) -> Any:
    """Read the bits of ``operand`` as another dtype.

    Parameters
    ----------
    operand : array
        Integers or floats.
    new_dtype : dtype
        Of integers or floats. If it is narrower, the pieces of each element, low bits first,
        become a new last axis; if it is wider, the last axis holds the pieces of one element.

    Raises
    ------
    TypeError
        If the last axis has not as many elements as the wider dtype needs.

    Examples
    --------
    >>> hex(bitcast_convert_type(np.float32(1.0), np.uint32))
    '0x3f800000'
    >>> bitcast_convert_type(np.array([258], np.int16), np.int8)
    array([[2, 1]], dtype=int8)
    """
    aval, dtype = aval_of(operand), canonical_dtype(new_dtype)
    old, new = aval.dtype.itemsize, dtype.itemsize
    if old == new or not {kind_of(aval.dtype), kind_of(dtype)} <= set("iuf"):
        return bitcast_convert_type_p.bind(operand, new_dtype=dtype)
    from fnad.primitives.shape import broadcast_in_dim  # these use this module
    from fnad.primitives.slicing import concatenate, index_in_dim

    wide, narrow = np.dtype(f"u{max(old, new)}"), np.dtype(f"u{min(old, new)}")
    count, bits = wide.itemsize // narrow.itemsize, 8 * narrow.itemsize
    if new < old:
        whole = bitcast_convert_type(operand, wide)
        pieces = [
            convert_element_type(shift_right_logical(whole, wide.type(i * bits)), narrow)
            for i in range(count)
        ]
        shape, kept = (*aval.shape, 1), tuple(range(aval.ndim))
        pieces = [broadcast_in_dim(piece, shape, kept) for piece in pieces]
        return bitcast_convert_type(concatenate(pieces, aval.ndim), dtype)
    if aval.shape[-1:] != (count,):
        raise TypeError(
            f"bitcast_convert_type: one {dtype} is made of {count} elements of {aval.dtype}, so the"
            f" last axis must have that length, not {aval}"
        )
    whole = convert_element_type(bitcast_convert_type(operand, narrow), wide)
    joined = index_in_dim(whole, 0, -1, keepdims=False)
    for i in range(1, count):
        piece = index_in_dim(whole, i, -1, keepdims=False)
        joined = bitwise_or(joined, shift_left(piece, wide.type(i * bits)))
    return bitcast_convert_type(joined, dtype)


# -- counts --------------------------------------------------------------------------------


def _unsigned(dtype: np.dtype[Any]) -> np.dtype[Any]:
    return np.dtype(f"u{dtype.itemsize}")


def _repeated(byte: int, dtype: np.dtype[Any]) -> int:
    return int.from_bytes([byte] * dtype.itemsize, "little")


def _shifted_right(b: Any, x: Any, count: int) -> Any:
    return b.right_shift_logical(x, b.constant(count, x.dtype))


def _count_ones(b: Any, x: Any) -> Any:
    """Sums of neighbouring bits, of pairs, of nibbles, of bytes (H. S. Warren, Hacker's Delight,
    2nd edition, section 5-1); ``x`` is unsigned, and no sum leaves its field."""
    for count, mask in ((1, 0x55), (2, 0x33)):
        kept = b.constant(_repeated(mask, x.dtype), x.dtype)
        x = b.bitwise_and(x, kept) + b.bitwise_and(_shifted_right(b, x, count), kept)
    x = b.bitwise_and(x + _shifted_right(b, x, 4), b.constant(_repeated(0x0F, x.dtype), x.dtype))
    bits = 8 * x.dtype.itemsize
    for count in (8, 16, 32):
        if count < bits:
            x = x + _shifted_right(b, x, count)
    return b.bitwise_and(x, b.constant(0x7F, x.dtype))


def _population_count(b: Any, x: Any) -> Any:
    return b.convert(_count_ones(b, b.bitcast(x, _unsigned(x.dtype))), x.dtype)


def _clz(b: Any, x: Any) -> Any:
    """All bits below the highest one are set; those that are not set lead."""
    bits, dtype = 8 * x.dtype.itemsize, x.dtype
    x = b.bitcast(x, _unsigned(dtype))
    for count in (1, 2, 4, 8, 16, 32):
        if count < bits:
            x = b.bitwise_or(x, _shifted_right(b, x, count))
    return b.convert(_count_ones(b, b.bitwise_not(x)), dtype)


population_count_p = elementwise(
    "population_count", "How many bits are 1.", _population_count, kinds="iu"
)
clz_p = elementwise("clz", "How many bits 0 stand before the first 1.", _clz, kinds="iu")


def population_count(x: Any) -> Any:
    """How many bits of each integer are 1, in its dtype.

    Examples
    --------
    >>> population_count(np.array([0, 7, -1], np.int32))
    array([ 0,  3, 32], dtype=int32)
    """
    return population_count_p.bind(x)


def clz(x: Any) -> Any:
    """How many bits 0 stand before the first 1 of each integer, in its dtype.

    Examples
    --------
    >>> clz(np.array([0, 1, -1], np.int32))
    array([32, 31,  0], dtype=int32)
    """
    return clz_p.bind(x)


# -- mulhi ---------------------------------------------------------------------------------


def _mulhi(b: Any, x: Any, y: Any) -> Any:
    bits, dtype = 8 * x.dtype.itemsize, x.dtype
    if bits < 64:
        wide = np.dtype(np.int64 if dtype.kind == "i" else np.uint64)
        product = b.convert(x, wide) * b.convert(y, wide)
        return b.convert(_shifted_right(b, product, bits), dtype)
    # Products of halves of 32 bits (Hacker's Delight, section 8-2): each sum fits into 64 bits.
    unsigned = _unsigned(dtype)
    low = b.constant(0xFFFFFFFF, unsigned)
    u, v = b.bitcast(x, unsigned), b.bitcast(y, unsigned)
    u0, v0 = b.bitwise_and(u, low), b.bitwise_and(v, low)
    u1, v1 = _shifted_right(b, u, 32), _shifted_right(b, v, 32)
    middle = u1 * v0 + _shifted_right(b, u0 * v0, 32)
    other = u0 * v1 + b.bitwise_and(middle, low)
    high = u1 * v1 + _shifted_right(b, middle, 32) + _shifted_right(b, other, 32)
    if dtype.kind == "u":
        return high
    # As an unsigned number a negative x is x + 2**64: too much by y in the high half.
    zero = b.constant(0, dtype)
    excess = b.bitwise_and(y, b.where(x < 0, b.constant(-1, dtype), zero))
    excess = excess + b.bitwise_and(x, b.where(y < 0, b.constant(-1, dtype), zero))
    return b.bitcast(high, dtype) - excess


mulhi_p = elementwise(
    "mulhi",
    "The high half of the bits of x * y: x * y / 2**bits, floored.",
    _mulhi,
    kinds="iu",
)


def mulhi(x: Any, y: Any) -> Any:
    """The high half of the bits of a product of integers, which ``mul`` drops.

    Examples
    --------
    >>> mulhi(np.array([100, -1], np.int8), np.array([100, 1], np.int8))
    array([39, -1], dtype=int8)
    """
    return mulhi_p.bind(*matched("mulhi", x, y))


# -- nextafter -----------------------------------------------------------------------------


def nextafter(x1: Any, x2: Any) -> Any:
    """The floating-point number next to ``x1`` towards ``x2``; ``x2`` where they are equal.

    The derivative is zero. Numbers next to 0 are subnormal.

    Examples
    --------
    >>> nextafter(np.float32(1), np.float32(2))
    np.float32(1.0000001)
    """
    x, y = matched("nextafter", x1, x2)
    dtype = same_dtype("nextafter", [aval_of(x), aval_of(y)])
    check_kind("nextafter", dtype, "f")
    integer = np.dtype(f"i{dtype.itemsize}")
    one, zero = integer.type(1), dtype.type(0)
    # Numbers of one sign have the order of their bits, and subnormal ones are no exception.
    step = select(eq(lt(x, y), lt(zero, x)), one, -one)
    missing = bitwise_or(ne(x, x), ne(y, y))
    still, at_zero = bitwise_or(missing, eq(x, y)), eq(x, zero)
    step = select(bitwise_or(still, at_zero), integer.type(0), step)
    moved = bitcast_convert_type(add(bitcast_convert_type(x, integer), step), dtype)
    below = integer.type(np.iinfo(integer).min + 1)
    smallest = bitcast_convert_type(select(lt(y, zero), below, one), dtype)
    near = select(at_zero, smallest, moved)
    return select(still, select(missing, add(x, y), y), near)


# -- reduce_precision ----------------------------------------------------------------------

_LAYOUTS: dict[int, tuple[np.dtype[Any], int, int]] = {
    4: (np.dtype(np.uint32), 8, 23),
    8: (np.dtype(np.uint64), 11, 52),
}


def _reduce_precision(b: Any, x: Any, *, exponent_bits: int | None, mantissa_bits: int) -> Any:
    """Round the mantissa to nearest, ties to even; then what is out of range becomes inf or 0."""
    unsigned, native_exponent, native_mantissa = _LAYOUTS[x.dtype.itemsize]

    def constant(value: int) -> Any:
        return b.constant(value, unsigned)

    bits = b.bitcast(x, unsigned)
    sign_bit = 1 << (8 * unsigned.itemsize - 1)
    sign = b.bitwise_and(bits, constant(sign_bit))
    bits = b.bitwise_and(bits, constant(sign_bit - 1))
    dropped = native_mantissa - mantissa_bits
    if dropped > 0:
        odd = b.bitwise_and(_shifted_right(b, bits, dropped), constant(1))
        bits = bits + constant((1 << (dropped - 1)) - 1) + odd
        bits = b.bitwise_and(bits, constant(sign_bit - (1 << dropped)))
    infinity = constant(((1 << native_exponent) - 1) << native_mantissa)
    if exponent_bits is not None and exponent_bits < native_exponent:
        bias, reach = (1 << (native_exponent - 1)) - 1, (1 << (exponent_bits - 1)) - 1
        largest = (bias + reach + 1) << native_mantissa
        smallest = (bias - reach + 1) << native_mantissa
        bits = b.where(bits >= constant(largest), infinity, bits)
        bits = b.where(bits < constant(smallest), constant(0), bits)
    rounded = b.bitcast(b.bitwise_or(bits, sign), x.dtype)
    return b.where(b.not_equal(x, x), x, rounded)


reduce_precision_p: Primitive = elementwise(
    "reduce_precision",
    "x rounded to ``mantissa_bits``, and to the range of ``exponent_bits`` (None keeps it).",
    _reduce_precision,
    derivatives=[lambda t, ans, x, **params: reduce_precision_p.bind(t, **params)],
    transpose=[lambda ct, x, **params: reduce_precision_p.bind(ct, **params)],
    kinds="f",
)


def reduce_precision(operand: Any, exponent_bits: int, mantissa_bits: int) -> Any:
    """Round to the numbers of a smaller format, in the dtype of the operand.

    Numbers that are too large become infinite; those that would be subnormal become 0. Tangents
    and cotangents are rounded alike.

    Parameters
    ----------
    operand : array
        Floats.
    exponent_bits, mantissa_bits : int
        Of the format: 5 and 10 are those of float16. A format with more of either than the
        operand has changes nothing there.

    Examples
    --------
    >>> reduce_precision(np.array([1.2345678, 1e6, 1e-6]), 5, 10)
    array([1.234375,      inf, 0.      ])
    """
    dtype = aval_of(operand).dtype
    check_kind("reduce_precision", dtype, "f")
    if exponent_bits < 1 or mantissa_bits < 0:
        raise ValueError(
            f"reduce_precision: needs at least 1 bit of exponent and 0 of mantissa, got"
            f" {exponent_bits} and {mantissa_bits}"
        )
    own = int(ml_dtypes.finfo(dtype).nexp)
    kept = None if exponent_bits >= own else int(exponent_bits)
    return reduce_precision_p.bind(operand, exponent_bits=kept, mantissa_bits=int(mantissa_bits))
