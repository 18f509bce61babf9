"""Dtypes of values, and shapes and paddings of convolutions and windows, known beforehand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fnad.core.types import aval_of
from fnad.primitives.convolution import ConvDimensionNumbers, conv_dimension_numbers
from fnad.primitives.shape import int_tuple
from fnad.primitives.transposed_convolution import transposed_padding
from fnad.primitives.windows import dilated, resolve_padding, window_count

Padding = str | Sequence[tuple[int, int]]


def dtype(x: Any) -> np.dtype[Any]:
    """The dtype of an array, a traced value, a Python number, or of what is a dtype itself.

    Examples
    --------
    >>> dtype(np.float32(1)), dtype(3), dtype("int8")
    (dtype('float32'), dtype('int64'), dtype('int8'))
    """
    if isinstance(x, (str, type, np.dtype)):
        return np.dtype(x)
    return aval_of(x).dtype


def padtype_to_pads(
    in_shape: Sequence[int],
    window_shape: Sequence[int],
    window_strides: Sequence[int],
    padding: Padding,
) -> list[tuple[int, int]]:
    """What "SAME", "SAME_LOWER" or "VALID" pad each axis with, as pairs (low, high).

    Examples
    --------
    >>> padtype_to_pads((5, 4), (2, 3), (1, 2), "SAME")
    [(0, 1), (0, 1)]
    """
    shapes = int_tuple(in_shape), int_tuple(window_shape), int_tuple(window_strides)
    return list(resolve_padding(padding, *shapes))


def conv_general_permutations(
    dimension_numbers: Sequence[str],
) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
    """Where the axes (N, C, spatial), (O, I, spatial) and (N, C, spatial) of a layout are.

    Examples
    --------
    >>> conv_general_permutations(("NHWC", "HWIO", "NHWC"))
    ((0, 3, 1, 2), (3, 2, 0, 1), (0, 3, 1, 2))
    """
    shape = (1,) * len(dimension_numbers[0])
    lhs, rhs, out = conv_dimension_numbers(shape, shape, dimension_numbers)
    return lhs, rhs, out


def _in_layout(out: Sequence[int], spec: Sequence[int]) -> tuple[int, ...]:
    shape = [0] * len(out)
    for axis, n in zip(spec, out):
        shape[axis] = n
    return tuple(shape)


def conv_shape_tuple(
    lhs_shape: Sequence[int],
    rhs_shape: Sequence[int],
    strides: Sequence[int],
    pads: Padding,
    batch_group_count: int = 1,
) -> tuple[int, ...]:
    """The shape of a convolution of (N, C, spatial) with filters (O, I, spatial).

    Examples
    --------
    >>> conv_shape_tuple((2, 3, 8, 8), (5, 3, 3, 3), (1, 2), "VALID")
    (2, 5, 6, 3)
    """
    lhs, rhs, strides = int_tuple(lhs_shape), int_tuple(rhs_shape), int_tuple(strides)
    if not len(lhs) == len(rhs) == len(strides) + 2:
        raise ValueError(
            f"conv_shape_tuple: shapes {lhs} and {rhs} must have two axes more than strides"
            f" {strides}"
        )
    if batch_group_count < 1 or lhs[0] % batch_group_count:
        raise ValueError(
            f"conv_shape_tuple: batch_group_count {batch_group_count} must divide the batch"
            f" {lhs[0]}"
        )
    pairs = resolve_padding(pads, lhs[2:], rhs[2:], strides)
    spatial = (
        window_count(n + low + high, k, s, 1)
        for n, k, s, (low, high) in zip(lhs[2:], rhs[2:], strides, pairs)
    )
    return (lhs[0] // batch_group_count, rhs[0], *spatial)


def conv_general_shape_tuple(
    lhs_shape: Sequence[int],
    rhs_shape: Sequence[int],
    window_strides: Sequence[int],
    padding: Padding,
    dimension_numbers: ConvDimensionNumbers | Sequence[str] | None,
) -> tuple[int, ...]:
    """The shape of a convolution in any layout, without dilation.

    Examples
    --------
    >>> layout = ("NHWC", "HWIO", "NHWC")
    >>> conv_general_shape_tuple((2, 8, 8, 3), (3, 3, 3, 5), (1, 2), "VALID", layout)
    (2, 6, 3, 5)
    """
    lhs_spec, rhs_spec, out_spec = conv_dimension_numbers(lhs_shape, rhs_shape, dimension_numbers)
    lhs, rhs = [lhs_shape[i] for i in lhs_spec], [rhs_shape[i] for i in rhs_spec]
    return _in_layout(conv_shape_tuple(lhs, rhs, window_strides, padding), out_spec)


def conv_transpose_shape_tuple(
    lhs_shape: Sequence[int],
    rhs_shape: Sequence[int],
    window_strides: Sequence[int],
    padding: Padding,
    dimension_numbers: ConvDimensionNumbers | Sequence[str] | None,
) -> tuple[int, ...]:
    """The shape that `conv_transpose` gives, without dilation of the filters.

    Examples
    --------
    >>> layout = ("NHWC", "HWIO", "NHWC")
    >>> conv_transpose_shape_tuple((2, 8, 8, 3), (3, 3, 3, 5), (1, 2), "SAME", layout)
    (2, 8, 16, 5)
    """
    lhs_spec, rhs_spec, out_spec = conv_dimension_numbers(lhs_shape, rhs_shape, dimension_numbers)
    lhs, rhs = [lhs_shape[i] for i in lhs_spec], [rhs_shape[i] for i in rhs_spec]
    strides = int_tuple(window_strides)
    pairs = padding
    if isinstance(padding, str):
        name = padding.upper()
        pairs = [transposed_padding(name, k, s) for k, s in zip(rhs[2:], strides)]
    sizes = [dilated(n, s) for n, s in zip(lhs[2:], strides, strict=True)]
    out = conv_shape_tuple((*lhs[:2], *sizes), rhs, (1,) * len(sizes), pairs)
    return _in_layout(out, out_spec)


def reduce_window_shape_tuple(
    operand_shape: Sequence[int],
    window_dimensions: Sequence[int],
    window_strides: Sequence[int],
    padding: Padding,
    base_dilation: Sequence[int] | None = None,
    window_dilation: Sequence[int] | None = None,
) -> tuple[int, ...]:
    """The shape that `reduce_window` gives.

    Examples
    --------
    >>> reduce_window_shape_tuple((8, 5), (2, 3), (2, 1), "VALID")
    (4, 3)
    """
    base = (1,) * len(operand_shape) if base_dilation is None else base_dilation
    holes = (1,) * len(operand_shape) if window_dilation is None else window_dilation
    sizes = [dilated(n, d) for n, d in zip(operand_shape, base, strict=True)]
    spans = [dilated(k, d) for k, d in zip(window_dimensions, holes, strict=True)]
    pairs = resolve_padding(padding, sizes, spans, window_strides)
    return tuple(
        window_count(n + low + high, k, s, 1)
        for n, (low, high), k, s in zip(sizes, pairs, spans, window_strides, strict=True)
    )
