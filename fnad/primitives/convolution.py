"""Convolution of any rank, with strides, dilations, padding and groups."""

from __future__ import annotations

from collections.abc import Sequence
from operator import index as as_int
from typing import Any, NamedTuple

import numpy as np

from fnad.core.primitive import Linear, Primitive, remember
from fnad.core.types import ShapedArray, aval_of, kind_of
from fnad.primitives.batch_axes import BatchPlace, join_axis, joined, split, split_axis
from fnad.primitives.complex_parts import product_of_parts
from fnad.primitives.contraction import dot_general
from fnad.primitives.conv_dependencies import conv_pattern
from fnad.primitives.conv_patches import (
    patches,
    positions_last,
    products_of_rows,
    window_axes,
)
from fnad.primitives.conv_phases import Axis, axes_by_phase, by_phases
from fnad.primitives.depthwise import depthwise, depthwise_wrt_filters, is_depthwise
from fnad.primitives.logic import convert_element_type
from fnad.primitives.reductions import reduce_sum
from fnad.primitives.reversal import rev
from fnad.primitives.shape import (
    int_tuple,
    moveaxis,
    transpose,
)
from fnad.primitives.strong_zeros import StrongZeros
from fnad.primitives.taylor import bilinear
from fnad.primitives.windows import dilated, resolve_padding, window_count


class ConvDimensionNumbers(NamedTuple):
    """Which axis is which: each spec lists axes in the order (batch, feature, spatial ...).

    For the filters (``rhs_spec``) the order is (out feature, in feature, spatial ...).
    """

    lhs_spec: tuple[int, ...]
    rhs_spec: tuple[int, ...]
    out_spec: tuple[int, ...]


conv_general_dilated_p = Primitive(
    "conv_general_dilated",
    "Cross-correlation: out[n, o, t] = sum over i, k of lhs[n, i, t * stride + k * rhs_dilation -"
    " low] * rhs[o, i, k], where lhs is dilated and padded with zeros. The features of lhs, and"
    " the out features of rhs, fall into ``feature_group_count`` groups that do not mix. Both"
    " operands and the result have one numeric dtype (those of 16 bits accumulate in float32).",
)


class _Sizes(NamedTuple):
    """The spatial lengths of operands and result."""

    lhs: tuple[int, ...]
    rhs: tuple[int, ...]
    out: tuple[int, ...]


def _spatial(shape: Sequence[int], spec: Sequence[int]) -> tuple[int, ...]:
    return tuple(shape[i] for i in spec[2:])


def _sizes(lhs_shape: Any, rhs_shape: Any, params: dict[str, Any]) -> _Sizes:
    numbers = params["dimension_numbers"]
    lhs, rhs = _spatial(lhs_shape, numbers.lhs_spec), _spatial(rhs_shape, numbers.rhs_spec)
    out = tuple(
        window_count(dilated(n, ld) + lo + hi, k, s, rd)
        for n, k, s, (lo, hi), ld, rd in zip(
            lhs,
            rhs,
            params["window_strides"],
            params["padding"],
            params["lhs_dilation"],
            params["rhs_dilation"],
            strict=True,
        )
    )
    return _Sizes(lhs, rhs, out)


@conv_general_dilated_p.type_rule
@remember
def _(lhs, rhs, **params):
    numbers, groups = params["dimension_numbers"], params["feature_group_count"]
    if lhs.dtype != rhs.dtype or kind_of(lhs.dtype) not in "iufc":
        raise TypeError(f"conv: operands must have one numeric dtype, got {lhs} and {rhs}")
    axes = list(range(lhs.ndim))
    if lhs.ndim != rhs.ndim or lhs.ndim < 2 or any(sorted(spec) != axes for spec in numbers):
        raise TypeError(
            f"conv: dimension_numbers {tuple(numbers)} do not fit operands of shapes {lhs.shape}"
            f" and {rhs.shape}, which must have equal rank"
        )
    for name in ("window_strides", "padding", "lhs_dilation", "rhs_dilation"):
        if len(params[name]) != lhs.ndim - 2:
            raise ValueError(
                f"conv: {name} {params[name]} must have one entry for each of the"
                f" {lhs.ndim - 2} spatial axes"
            )
        if name != "padding" and any(n < 1 for n in params[name]):
            raise ValueError(f"conv: {name} must be positive, got {params[name]}")
    features, per_group = lhs.shape[numbers.lhs_spec[1]], rhs.shape[numbers.rhs_spec[1]]
    out_features = rhs.shape[numbers.rhs_spec[0]]
    if groups < 1 or features != per_group * groups or out_features % groups:
        raise TypeError(
            f"conv: lhs of shape {lhs.shape} has {features} features and rhs of shape {rhs.shape}"
            f" takes {per_group} and makes {out_features}, with feature_group_count {groups}: lhs"
            " must have groups times as many features as rhs takes, and groups must divide those"
            " that it makes"
        )
    shape = [0] * lhs.ndim
    out = (lhs.shape[numbers.lhs_spec[0]], out_features, *_sizes(lhs.shape, rhs.shape, params).out)
    for axis, n in zip(numbers.out_spec, out):
        shape[axis] = n
    return ShapedArray(tuple(shape), lhs.dtype)


@conv_general_dilated_p.evaluate
def _(lhs, rhs, **params):
    return _as_products(np.asarray(lhs), np.asarray(rhs), **params)


conv_general_dilated_p.derivatives(
    lambda t, ans, lhs, rhs, **params: conv_general_dilated_p.bind(t, rhs, **params),
    lambda t, ans, lhs, rhs, **params: conv_general_dilated_p.bind(lhs, t, **params),
)


@conv_general_dilated_p.parts
def _(lhs, rhs, **params):
    return product_of_parts(lambda x, y: conv_general_dilated_p.bind(x, y, **params), lhs, rhs)


bilinear(conv_general_dilated_p)


@conv_general_dilated_p.dependencies
def _(lhs, rhs, **params):
    (out,) = conv_general_dilated_p.out_avals([lhs.aval, rhs.aval], params)
    return conv_pattern(lhs, rhs, out.shape, **params)


@conv_general_dilated_p.transpose
def _(ct, lhs, rhs, **params):
    shapes = (aval_of(lhs).shape, aval_of(rhs).shape)
    lhs_ct = _transpose_lhs(ct, rhs, shapes, params) if isinstance(lhs, Linear) else None
    rhs_ct = _transpose_rhs(ct, lhs, shapes, params) if isinstance(rhs, Linear) else None
    return [lhs_ct, rhs_ct]


@conv_general_dilated_p.strong_transpose
def _(ct, lhs, rhs, **params):
    if type(ct) is not StrongZeros:
        return conv_general_dilated_p.rule("transpose")(ct, lhs, rhs, **params)
    from fnad.primitives.masked_conv import masked_conv  # uses this module

    return masked_conv.transposed(ct, lhs, rhs, **params)


def _transpose_lhs(ct: Any, rhs: Any, shapes: Any, params: dict[str, Any]) -> Any:
    """Each element of lhs gathers what it went into: a convolution with the reversed filters."""
    lhs_spec, rhs_spec, out_spec = params["dimension_numbers"]
    groups = params["feature_group_count"]
    lhs_shape, rhs_shape = shapes
    sizes = _sizes(lhs_shape, rhs_shape, params)
    padding = []
    for n, k, t, stride, (low, _), lhs_d, rhs_d in zip(
        *sizes,
        params["window_strides"],
        params["padding"],
        params["lhs_dilation"],
        params["rhs_dilation"],
    ):
        before = dilated(k, rhs_d) - 1 - low
        after = dilated(n, lhs_d) + dilated(k, rhs_d) - 1 - dilated(t, stride) - before
        padding.append((before, after))
    flipped = _swap_groups(rev(rhs, rhs_spec[2:]), rhs_spec, groups)
    return conv_general_dilated_p.bind(
        ct,
        flipped,
        window_strides=params["lhs_dilation"],
        padding=tuple(padding),
        lhs_dilation=params["window_strides"],
        rhs_dilation=params["rhs_dilation"],
        dimension_numbers=ConvDimensionNumbers(
            out_spec, (rhs_spec[1], rhs_spec[0], *rhs_spec[2:]), lhs_spec
        ),
        feature_group_count=groups,
    )


def _swap_groups(rhs: Any, spec: Sequence[int], groups: int) -> Any:
    """Move the groups of filters from the out features to the in features."""
    if groups == 1:
        return rhs
    return join_axis(split_axis(rhs, spec[0], groups), spec[1])


def _transpose_rhs(ct: Any, lhs: Any, shapes: Any, params: dict[str, Any]) -> Any:
    """Each filter element gathers what it met: the patches that the forward product reads, times
    the cotangent, summed over examples and positions."""
    _, rhs_spec, out_spec = params["dimension_numbers"]
    groups, grouped = params["feature_group_count"], params["feature_group_count"] > 1
    counts = _sizes(aval_of(lhs).shape, shapes[1], params).out
    if is_depthwise(aval_of(lhs).shape, shapes[1], counts, params):
        return depthwise_wrt_filters(ct, lhs, shapes[1], counts, params)
    # Each example has filters of its own, which are summed up.
    apart = positions_last(aval_of(lhs).shape, shapes[1], params, times=4)
    read = patches(lhs, shapes[1], params, apart)
    num = len(rhs_spec) - 2
    ct = transpose(ct, (out_spec[0], *out_spec[2:], out_spec[1]))
    if grouped:
        ct = split_axis(ct, num + 1, groups)
    if apart:
        positions = tuple(range(grouped + 1, grouped + num + 1))
        after = tuple(i + num + 1 for i in positions)
        both: Any = ((0, 1), (1, 0)) if grouped else ((0,), (0,))
        out = reduce_sum(dot_general(read, ct, ((after, positions), both)), (0,))
    else:
        summed = tuple(range(grouped, grouped + num + 1))
        batch = ((0,), (0,)) if grouped else ((), ())
        out = dot_general(read, ct, ((summed, summed), batch))
    out = moveaxis(out, -1, rhs_spec[0] + grouped)
    return join_axis(out, rhs_spec[0]) if grouped else out


@conv_general_dilated_p.batch
def _(args, batched, axis, **params):
    params, places = batched_convolution((*batched, True), axis.size, (), **params)
    operands = [x if p is None else joined(x, p) for x, p in zip(args, places)]
    return split(conv_general_dilated_p.bind(*operands, **params), places[2], axis.size), True


def batched_convolution(
    has_axis: Sequence[bool], size: int, ndims: Sequence[int], **params: Any
) -> tuple[dict[str, Any], list[BatchPlace | None]]:
    """The convolution of a batch, and where its axis goes in lhs, rhs and result that have it."""
    lhs_spec, rhs_spec, out_spec = params["dimension_numbers"]
    groups = params["feature_group_count"]
    if has_axis[0] and has_axis[1]:  # every example has its own filters: a group for each
        params = {**params, "feature_group_count": size * groups}
        return params, [BatchPlace(i, 1) for i in (lhs_spec[1], rhs_spec[0], out_spec[1])]
    if has_axis[0]:  # more examples
        return params, [BatchPlace(lhs_spec[0], 1), None, BatchPlace(out_spec[0], 1)]
    # More filters: within each group, so that the out features are (group, batch, feature).
    return params, [None, BatchPlace(rhs_spec[0], groups), BatchPlace(out_spec[1], groups)]


def _as_products(lhs: Any, rhs: Any, **params: Any) -> Any:
    """Convolution by means of other primitives."""
    shapes = aval_of(lhs).shape, aval_of(rhs).shape
    counts = _sizes(*shapes, params).out
    if is_depthwise(*shapes, counts, params):
        return depthwise(lhs, rhs, counts, params)
    axes = axes_by_phase(*_sizes(*shapes, params), params)
    if axes is not None:
        return _by_phases(lhs, rhs, axes, params)
    return _as_matrix_products(lhs, rhs, counts, params)


def _by_phases(lhs: Any, rhs: Any, axes: Sequence[Axis], params: dict[str, Any]) -> Any:
    """Convolution of an operand with gaps by means of one without."""
    lhs_spec, rhs_spec, out_spec = params["dimension_numbers"]
    gaps = zip(params["lhs_dilation"], axes, strict=True)
    in_order = tuple(range(len(out_spec)))
    without = {
        **params,
        "lhs_dilation": tuple(1 if a.gap > 1 else d for d, a in gaps),
        "dimension_numbers": ConvDimensionNumbers(lhs_spec, in_order, in_order),
    }

    def convolve(filters: Any, padding: Sequence[tuple[int, int]]) -> Any:
        own = {**without, "padding": tuple(padding)}
        return conv_general_dilated_p.bind(lhs, filters, **own)

    out = by_phases(rhs, rhs_spec, axes, convolve)
    return transpose(out, tuple(out_spec.index(i) for i in in_order))


def _as_matrix_products(lhs: Any, rhs: Any, counts: Sequence[int], params: dict[str, Any]) -> Any:
    """Convolution as matrix products over windows: one a group, or small ones.

    ``counts`` are the spatial lengths of the result.
    """
    _, rhs_spec, out_spec = params["dimension_numbers"]
    groups, grouped = params["feature_group_count"], params["feature_group_count"] > 1
    apart = positions_last(aval_of(lhs).shape, aval_of(rhs).shape, params)
    read = patches(lhs, aval_of(rhs).shape, params, apart)
    if grouped:
        rhs = split_axis(rhs, rhs_spec[0], groups)
    if apart:
        out = products_of_rows(read, rhs, counts, params["dimension_numbers"])
        return transpose(out, tuple(out_spec.index(i) for i in range(len(out_spec))))
    window = tuple(i + grouped for i in window_axes(rhs_spec))
    num = len(window) - 1
    first = grouped + num + 1
    contract = tuple(range(first, first + num + 1)), window
    batch = ((0,), (0,)) if grouped else ((), ())
    out = dot_general(read, rhs, (contract, batch))  # (group,) batch, positions, feature
    if grouped:
        out = join_axis(out, num + 1)
    order = [0] * (num + 2)
    for axis, source in zip(out_spec, (0, num + 1, *range(1, num + 1))):
        order[axis] = source
    return transpose(out, order)


conv_general_dilated_p.lower_as(_as_products)


def conv_dimension_numbers(
    lhs_shape: Sequence[int], rhs_shape: Sequence[int], dimension_numbers: Any = None
) -> ConvDimensionNumbers:
    """Turn strings such as ``("NHWC", "HWIO", "NHWC")`` into axes; None means (N, C, spatial).

    In the strings N is the batch axis, C the features, O and I the features that filters make
    and take; all other letters are spatial and have the order of the first string.
    """
    ndim = len(lhs_shape)
    if len(rhs_shape) != ndim:
        raise ValueError(f"conv: operands of shapes {lhs_shape} and {rhs_shape} differ in rank")
    if isinstance(dimension_numbers, ConvDimensionNumbers):
        return dimension_numbers
    if dimension_numbers is None:
        axes = tuple(range(ndim))
        return ConvDimensionNumbers(axes, axes, axes)
    lhs, rhs, out = dimension_numbers
    wanted = [set("NC"), set("OI"), set("NC")]
    spatial = [c for c in rhs if c not in "OI"]
    for spec, leading in zip((lhs, rhs, out), wanted):
        if len(spec) != ndim or set(spec) != leading | set(spatial) or len(set(spec)) != ndim:
            raise ValueError(
                f"conv: dimension_numbers {tuple(dimension_numbers)} must be three strings of"
                f" {ndim} letters with the same spatial letters, such as ('NHWC', 'HWIO', 'NHWC'),"
                f" for operands of shapes {tuple(lhs_shape)} and {tuple(rhs_shape)}"
            )
    return ConvDimensionNumbers(
        tuple(lhs.index(c) for c in ("N", "C", *spatial)),
        tuple(rhs.index(c) for c in ("O", "I", *spatial)),
        tuple(out.index(c) for c in ("N", "C", *spatial)),
    )


def conv_general_dilated(
    lhs: Any,
    rhs: Any,
    window_strides: Sequence[int],
    padding: str | Sequence[tuple[int, int]],
    lhs_dilation: Sequence[int] | None = None,
    rhs_dilation: Sequence[int] | None = None,
    dimension_numbers: Any = None,
    feature_group_count: int = 1,
    batch_group_count: int = 1,
    precision: Any = None,
    preferred_element_type: Any = None,
) -> Any:
    """Convolution (cross-correlation) over any number of spatial axes.

    Parameters
    ----------
    lhs : array
        Input, ``(batch, features, *spatial)`` unless ``dimension_numbers`` says otherwise.
    rhs : array
        Filters, ``(out features, in features, *window)``, of the dtype of ``lhs``.
    window_strides : sequence of int
        One a spatial axis.
    padding : {"SAME", "SAME_LOWER", "VALID"} or sequence of (low, high)
    lhs_dilation, rhs_dilation : sequence of int, optional
        Distance of neighbouring elements of the input (transposed convolution) and of the
        filters (atrous convolution).
    dimension_numbers : ConvDimensionNumbers or tuple of three str, optional
        The layout of input, filters and output, such as ``("NHWC", "HWIO", "NHWC")``.
    feature_group_count, batch_group_count : int
        Groups of features, or of examples, that have filters of their own.
    precision : None
        Taken for compatibility with JAX; products are always computed in full precision.
    preferred_element_type : dtype, optional
        The dtype to compute in and to return; by default that of the operands.

    Returns
    -------
    array
        ``(batch, out features, *positions)``, or as ``dimension_numbers`` says.

    Raises
    ------
    TypeError, ValueError
        If shapes, dtypes or options do not fit together.

    Examples
    --------
    >>> x, w = np.ones((1, 1, 4, 4)), np.ones((2, 1, 3, 3))
    >>> conv_general_dilated(x, w, (1, 1), "SAME").shape
    (1, 2, 4, 4)
    """
    if preferred_element_type is not None:
        lhs = convert_element_type(lhs, preferred_element_type)
        rhs = convert_element_type(rhs, preferred_element_type)
    shapes = aval_of(lhs).shape, aval_of(rhs).shape
    numbers = conv_dimension_numbers(*shapes, dimension_numbers)
    strides = int_tuple(window_strides)
    ones = (1,) * (len(shapes[0]) - 2)
    lhs_dilation = ones if lhs_dilation is None else int_tuple(lhs_dilation)
    rhs_dilation = ones if rhs_dilation is None else int_tuple(rhs_dilation)
    if not len(ones) == len(strides) == len(lhs_dilation) == len(rhs_dilation):
        raise ValueError(
            f"conv: window_strides {strides}, lhs_dilation {lhs_dilation} and rhs_dilation"
            f" {rhs_dilation} must have one entry for each of the {len(ones)} spatial axes of"
            f" operands of shapes {shapes[0]} and {shapes[1]}"
        )
    if isinstance(padding, str) and lhs_dilation != ones and padding.upper() != "VALID":
        raise ValueError(
            f"conv: padding {padding!r} says nothing for a transposed convolution (lhs_dilation"
            f" {lhs_dilation}); give pairs (low, high), or use conv_transpose"
        )
    sizes = [dilated(n, d) for n, d in zip(_spatial(shapes[0], numbers.lhs_spec), lhs_dilation)]
    spans = [dilated(n, d) for n, d in zip(_spatial(shapes[1], numbers.rhs_spec), rhs_dilation)]
    if batch_group_count > 1:
        lhs = _batch_groups_as_features(
            lhs, shapes, numbers, feature_group_count, batch_group_count
        )
        feature_group_count = batch_group_count
    return conv_general_dilated_p.bind(
        lhs,
        rhs,
        window_strides=strides,
        padding=resolve_padding(padding, sizes, spans, strides),
        lhs_dilation=lhs_dilation,
        rhs_dilation=rhs_dilation,
        dimension_numbers=numbers,
        feature_group_count=as_int(feature_group_count),
    )


def _batch_groups_as_features(
    lhs: Any, shapes: Any, numbers: ConvDimensionNumbers, feature_groups: int, groups: int
) -> Any:
    batch = shapes[0][numbers.lhs_spec[0]]
    if feature_groups != 1 or batch % groups or shapes[1][numbers.rhs_spec[0]] % groups:
        raise ValueError(
            f"conv: batch_group_count {groups} must divide the batch and the out features of"
            f" operands of shapes {shapes[0]} and {shapes[1]}, and excludes feature_group_count"
            f" {feature_groups}"
        )
    return join_axis(split_axis(lhs, numbers.lhs_spec[0], groups), numbers.lhs_spec[1])


def conv(
    lhs: Any,
    rhs: Any,
    window_strides: Sequence[int],
    padding: str | Sequence[tuple[int, int]],
    precision: Any = None,
    preferred_element_type: Any = None,
) -> Any:
    """Convolution of ``(batch, features, *spatial)`` with ``(out, in, *window)`` filters."""
    return conv_general_dilated(
        lhs,
        rhs,
        window_strides,
        padding,
        precision=precision,
        preferred_element_type=preferred_element_type,
    )


def conv_with_general_padding(
    lhs: Any,
    rhs: Any,
    window_strides: Sequence[int],
    padding: str | Sequence[tuple[int, int]],
    lhs_dilation: Sequence[int] | None,
    rhs_dilation: Sequence[int] | None,
    precision: Any = None,
    preferred_element_type: Any = None,
) -> Any:
    """`conv` with dilations."""
    return conv_general_dilated(
        lhs,
        rhs,
        window_strides,
        padding,
        lhs_dilation,
        rhs_dilation,
        precision=precision,
        preferred_element_type=preferred_element_type,
    )
