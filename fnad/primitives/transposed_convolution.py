"""Kin of convolution: transposed convolution, and the patches that convolution sees."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from fnad.core.types import aval_of
from fnad.primitives.contraction import dot_general
from fnad.primitives.convolution import conv_dimension_numbers, conv_general_dilated
from fnad.primitives.logic import convert_element_type
from fnad.primitives.precision import check_precision
from fnad.primitives.reversal import rev
from fnad.primitives.shape import int_tuple, invert_permutation, reshape, transpose
from fnad.primitives.slicing import pad
from fnad.primitives.windows import dilated, resolve_padding, windows

_LAYOUTS = {
    2: ("NC", "IO", "NC"),
    3: ("NHC", "HIO", "NHC"),
    4: ("NHWC", "HWIO", "NHWC"),
    5: ("NHWDC", "HWDIO", "NHWDC"),
}


def transposed_padding(padding: str | tuple[int, int], size: int, stride: int) -> tuple[int, int]:
    """Padding of a transposed convolution, by that of the convolution that it transposes.

    ``size`` is that of the filters after dilation. "SAME" makes ``n * stride`` elements of n,
    "VALID" all that some window reaches (V. Dumoulin, F. Visin, A guide to convolution
    arithmetic for deep learning, 2016, section 4).
    """
    if padding == "SAME":
        total = size + stride - 2
        low = size - 1 if stride > size - 1 else -(-total // 2)
        return low, total - low
    if padding == "VALID":
        return size - 1, stride - 1 + max(size - stride, 0)
    if isinstance(padding, str):
        raise ValueError(
            f"conv_transpose: padding must be 'SAME', 'VALID' or pairs, got {padding!r}"
        )
    low, high = padding
    return size - 1 - low, size - 1 - high


def conv_transpose(
    lhs: Any,
    rhs: Any,
    strides: Sequence[int],
    padding: str | Sequence[tuple[int, int]],
    rhs_dilation: Sequence[int] | None = None,
    dimension_numbers: Any = None,
    transpose_kernel: bool = False,
    precision: Any = None,
    preferred_element_type: Any = None,
    use_consistent_padding: bool = False,
) -> Any:
    """Transposed convolution: each input element spreads a filter over the output.

    Parameters
    ----------
    lhs : array
        Input, ``(batch, *spatial, features)`` unless ``dimension_numbers`` says otherwise.
    rhs : array
        Filters, ``(*window, in features, out features)``.
    strides : sequence of int
        By how much each spatial axis grows.
    padding : {"SAME", "VALID"} or sequence of (low, high)
        Strings name the padding of the convolution that this one transposes. Pairs pad the
        dilated input, unless ``use_consistent_padding``.
    rhs_dilation : sequence of int, optional
        Distance of neighbouring elements of the filters.
    dimension_numbers : ConvDimensionNumbers or tuple of three str, optional
        The layout; by default ``("NHWC", "HWIO", "NHWC")`` and the like for other ranks.
    transpose_kernel : bool
        Whether to take the filters of the convolution that this one is the transpose of: they
        are reversed, and their features exchanged.
    precision, preferred_element_type
        As of `conv_general_dilated`.
    use_consistent_padding : bool
        Whether pairs, too, are the padding of the convolution that this one transposes.

    Returns
    -------
    array
        In the layout of the output.

    Examples
    --------
    >>> x, w = np.ones((1, 2, 1)), np.ones((2, 1, 1))
    >>> conv_transpose(x, w, (2,), "SAME").ravel()
    array([1., 1., 1., 1.])
    """
    shapes = aval_of(lhs).shape, aval_of(rhs).shape
    ndim = len(shapes[0])
    if dimension_numbers is None:
        if ndim not in _LAYOUTS:
            raise ValueError(
                f"conv_transpose: no layout is known for inputs of shape {shapes[0]}: give"
                " dimension_numbers"
            )
        dimension_numbers = _LAYOUTS[ndim]
    numbers = conv_dimension_numbers(*shapes, dimension_numbers)
    strides = int_tuple(strides)
    holes = (1,) * (ndim - 2) if rhs_dilation is None else int_tuple(rhs_dilation)
    pairs: Any = padding
    if isinstance(padding, str) or use_consistent_padding:
        spatial = [shapes[1][i] for i in numbers.rhs_spec[2:]]
        each: Any = [padding.upper()] * len(spatial) if isinstance(padding, str) else padding
        pairs = [
            transposed_padding(p, dilated(k, d), s)
            for p, k, d, s in zip(each, spatial, holes, strides, strict=True)
        ]
    if transpose_kernel:
        out, inner, *spatial_axes = numbers.rhs_spec
        rhs = rev(rhs, spatial_axes)
        order = list(range(ndim))
        order[out], order[inner] = inner, out
        rhs = transpose(rhs, order)
    ones = (1,) * (ndim - 2)
    return conv_general_dilated(
        lhs,
        rhs,
        ones,
        pairs,
        strides,
        holes,
        numbers,
        precision=precision,
        preferred_element_type=preferred_element_type,
    )


def conv_general_dilated_patches(
    lhs: Any,
    filter_shape: Sequence[int],
    window_strides: Sequence[int],
    padding: str | Sequence[tuple[int, int]],
    lhs_dilation: Sequence[int] | None = None,
    rhs_dilation: Sequence[int] | None = None,
    dimension_numbers: Any = None,
    precision: Any = None,
    preferred_element_type: Any = None,
) -> Any:
    """What each window of a convolution sees, as features of its position.

    Parameters
    ----------
    lhs : array
        Input, ``(batch, features, *spatial)`` unless ``dimension_numbers`` says otherwise.
    filter_shape : sequence of int
        The size of the windows, in the order of the filters' spatial axes.
    window_strides, padding, lhs_dilation, rhs_dilation, dimension_numbers, precision
        As of `conv_general_dilated`; nothing is rounded, whatever the precision.
    preferred_element_type : dtype, optional
        Of the result.

    Returns
    -------
    array
        ``(batch, features * prod(filter_shape), *positions)``, or as ``dimension_numbers``
        says: a feature after the other, each with its window in row-major order.

    Examples
    --------
    >>> conv_general_dilated_patches(np.arange(4.0).reshape(1, 1, 4), (2,), (1,), "VALID")
    array([[[0., 1., 2.],
            [1., 2., 3.]]])
    """
    check_precision("conv_general_dilated_patches", precision)
    if preferred_element_type is not None:
        lhs = convert_element_type(lhs, preferred_element_type)
    shape = aval_of(lhs).shape
    numbers = conv_dimension_numbers(shape, shape, dimension_numbers)
    window, strides = int_tuple(filter_shape), int_tuple(window_strides)
    num = len(shape) - 2
    base = (1,) * num if lhs_dilation is None else int_tuple(lhs_dilation)
    holes = (1,) * num if rhs_dilation is None else int_tuple(rhs_dilation)
    if not num == len(window) == len(strides) == len(base) == len(holes):
        raise ValueError(
            f"conv_general_dilated_patches: filter_shape {window}, window_strides {strides} and"
            f" the dilations must have one entry for each of the {num} spatial axes of an input of"
            f" shape {shape}"
        )
    lhs = transpose(lhs, numbers.lhs_spec)
    sizes = [dilated(n, d) for n, d in zip(aval_of(lhs).shape[2:], base)]
    spans = [dilated(n, d) for n, d in zip(window, holes)]
    pairs = resolve_padding(padding, sizes, spans, strides)
    config = [(0, 0, 0), (0, 0, 0), *((lo, hi, d - 1) for (lo, hi), d in zip(pairs, base))]
    lhs = pad(lhs, np.zeros((), aval_of(lhs).dtype)[()], config)
    views = windows(lhs, window, strides, holes)  # batch, feature, positions, window
    views = transpose(views, (0, 1, *range(2 + num, 2 + 2 * num), *range(2, 2 + num)))
    batch, features, *rest = aval_of(views).shape
    flat = reshape(views, (batch, features * prod(window), *rest[num:]))
    return transpose(flat, invert_permutation(numbers.out_spec))


def conv_general_dilated_local(
    lhs: Any,
    rhs: Any,
    window_strides: Sequence[int],
    padding: str | Sequence[tuple[int, int]],
    filter_shape: Sequence[int],
    lhs_dilation: Sequence[int] | None = None,
    rhs_dilation: Sequence[int] | None = None,
    dimension_numbers: Any = None,
    precision: Any = None,
) -> Any:
    """A convolution whose filters differ from position to position.

    Parameters
    ----------
    lhs : array
        Input, ``(batch, features, *spatial)`` unless ``dimension_numbers`` says otherwise.
    rhs : array
        Filters, ``(out features, features * prod(filter_shape), *positions)`` in the layout of
        filters: one for each position of the result, each in the order of
        `conv_general_dilated_patches`.
    filter_shape : sequence of int
        The size of the windows, in the order of the filters' spatial axes.
    window_strides, padding, lhs_dilation, rhs_dilation, dimension_numbers, precision
        As of `conv_general_dilated`.

    Returns
    -------
    array
        ``(batch, out features, *positions)``, or as ``dimension_numbers`` says.

    Examples
    --------
    >>> x, w = np.arange(4.0).reshape(1, 1, 4), np.array([[[1.0, 10, 100], [0, 0, 0]]])
    >>> conv_general_dilated_local(x, w, (1,), "VALID", (2,))
    array([[[  0.,  10., 200.]]])
    """
    options = window_strides, padding, lhs_dilation, rhs_dilation, dimension_numbers, precision
    patches = conv_general_dilated_patches(lhs, filter_shape, *options)
    shapes = aval_of(patches).shape, aval_of(rhs).shape
    numbers = conv_dimension_numbers(*shapes, dimension_numbers)
    wanted = [shapes[0][i] for i in numbers.out_spec[1:]]
    if [shapes[1][i] for i in numbers.rhs_spec[1:]] != wanted:
        raise TypeError(
            "conv_general_dilated_local: filters must be"
            f" (out features, features * prod(filter_shape), *positions) = (..., {wanted[0]},"
            f" {', '.join(map(str, wanted[1:]))}) in the layout of filters, got shape {shapes[1]}"
        )
    spatial = list(range(2, len(shapes[0])))
    out = dot_general(
        transpose(patches, numbers.out_spec),
        transpose(rhs, numbers.rhs_spec),
        (([1], [1]), (spatial, spatial)),
    )  # positions, batch, out features
    num = len(spatial)
    canonical = transpose(out, (num, num + 1, *range(num)))
    return transpose(canonical, invert_permutation(numbers.out_spec))
