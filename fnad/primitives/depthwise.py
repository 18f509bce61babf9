"""Convolution in groups of one feature, as one sum of shifted products.

Where a group takes one feature, or makes one, there is nothing to make a matrix product of: a
window gives one row to multiply by one column.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import reduce
from itertools import product
from typing import Any

import numpy as np

from fnad.core.types import aval_of, computing_dtype
from fnad.primitives.arithmetic import add, mul
from fnad.primitives.logic import convert_element_type
from fnad.primitives.reductions import reduce_sum
from fnad.primitives.shape import broadcast_in_dim, reshape, transpose
from fnad.primitives.slicing import concatenate, pad, slice
from fnad.primitives.windows import dilated

# Windows of more elements would make long programs.
_MOST_TAPS = 80


def is_depthwise(
    lhs_shape: Sequence[int], rhs_shape: Sequence[int], counts: Sequence[int], params: Any
) -> bool:
    """Whether groups take or make one feature, of known sizes, with small filters.

    Filters that fit nowhere (a zero in ``counts``) meet no elements to slice.
    """
    spec, groups = params["dimension_numbers"].rhs_spec, params["feature_group_count"]
    if any(type(n) is not int for n in (*lhs_shape, *rhs_shape)) or 0 in (*rhs_shape, *counts):
        return False
    taken, made = rhs_shape[spec[1]], rhs_shape[spec[0]] // groups
    few = math.prod(rhs_shape[i] for i in spec[2:]) <= _MOST_TAPS
    return few and (taken == made == 1 or (groups > 1 and 1 in (taken, made)))


def depthwise(lhs: Any, rhs: Any, counts: Sequence[int], params: Any) -> Any:
    """The sum over the window of a shifted ``lhs`` times an element of each filter.

    ``counts`` are the spatial lengths of the result.
    """
    lhs_spec, rhs_spec, out_spec = params["dimension_numbers"]
    dtype, feature, groups = aval_of(lhs).dtype, lhs_spec[1], params["feature_group_count"]
    total, taken, *window = (aval_of(rhs).shape[i] for i in rhs_spec)
    filters = reshape(transpose(rhs, rhs_spec), (total * taken, math.prod(window)))
    filters = convert_element_type(filters, computing_dtype(dtype))
    lhs = convert_element_type(lhs, computing_dtype(dtype))
    products = []
    for tap, shifted in enumerate(_shifted(lhs, aval_of(rhs).shape, counts, params)):
        shifted = _repeated(shifted, feature, total // groups)
        weights = reshape(slice(filters, (0, tap), (total * taken, tap + 1)), (total * taken,))
        spread = broadcast_in_dim(weights, aval_of(shifted).shape, (feature,))
        products.append(mul(shifted, spread))
    out = reduce(add, products)
    if taken > 1:
        shape = aval_of(out).shape
        out = reshape(out, (*shape[:feature], groups, taken, *shape[feature + 1 :]))
        out = reduce_sum(out, (feature + 1,))
    return convert_element_type(_moved(out, lhs_spec, out_spec), dtype)


def depthwise_wrt_filters(
    ct: Any, lhs: Any, rhs_shape: Sequence[int], counts: Sequence[int], params: Any
) -> Any:
    """The cotangent of the filters: what each element of the window met, summed."""
    lhs_spec, rhs_spec, out_spec = params["dimension_numbers"]
    dtype, feature, groups = aval_of(lhs).dtype, lhs_spec[1], params["feature_group_count"]
    total, taken, *window = (rhs_shape[i] for i in rhs_spec)
    ct, lhs = (convert_element_type(x, computing_dtype(dtype)) for x in (ct, lhs))
    ct = _repeated(_moved(ct, out_spec, lhs_spec), feature, taken)
    others = (lhs_spec[0], *lhs_spec[2:])
    sums = []
    for shifted in _shifted(lhs, rhs_shape, counts, params):
        met = mul(_repeated(shifted, feature, total // groups), ct)
        sums.append(reshape(reduce_sum(met, others), (total * taken, 1)))
    found = reshape(convert_element_type(concatenate(sums, 1), dtype), (total, taken, *window))
    return transpose(found, tuple(rhs_spec.index(i) for i in range(len(rhs_spec))))


def _moved(x: Any, spec: Sequence[int], wanted: Sequence[int]) -> Any:
    """An array whose axes have the meanings of ``spec``, in the order of another."""
    order = [0] * len(spec)
    for axis, source in zip(wanted, spec):
        order[axis] = source
    return transpose(x, tuple(order))


def _repeated(x: Any, axis: int, times: int) -> Any:
    """Each entry of an axis so many times, one after the other."""
    if times == 1:
        return x
    shape = aval_of(x).shape
    whole = (*shape[: axis + 1], times, *shape[axis + 1 :])
    each = broadcast_in_dim(x, whole, [i for i in range(len(whole)) if i != axis + 1])
    return reshape(each, (*shape[:axis], shape[axis] * times, *shape[axis + 1 :]))


def _shifted(
    lhs: Any, rhs_shape: Sequence[int], counts: Sequence[int], params: Any
) -> Iterator[Any]:
    """For each element of the window, what it meets at the positions of the result."""
    lhs_spec, rhs_spec, _ = params["dimension_numbers"]
    config = [(0, 0, 0)] * len(lhs_spec)
    for axis, (low, high), gap in zip(lhs_spec[2:], params["padding"], params["lhs_dilation"]):
        config[axis] = (low, high, gap - 1)
    padded = pad(lhs, np.zeros((), aval_of(lhs).dtype)[()], config)
    for place in product(*(range(rhs_shape[i]) for i in rhs_spec[2:])):
        starts, limits = [0] * len(lhs_spec), list(aval_of(padded).shape)
        strides = [1] * len(lhs_spec)
        for axis, i, count, stride, distance in zip(
            lhs_spec[2:], place, counts, params["window_strides"], params["rhs_dilation"]
        ):
            starts[axis] = i * distance
            limits[axis] = i * distance + dilated(count, stride)
            strides[axis] = stride
        yield slice(padded, starts, limits, strides)
