"""Primitives that cut and join arrays: slice, pad, concatenate."""

from __future__ import annotations

import builtins
import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from fnad.core.primitive import Linear, Primitive, remember
from fnad.core.sizes import as_size, same_shape, slice_indices
from fnad.core.types import ShapedArray, aval_of
from fnad.primitives.dependencies import moves
from fnad.primitives.logic import select
from fnad.primitives.reductions import reduce_sum
from fnad.primitives.shape import (
    broadcast_in_dim,
    canonicalize_axis,
    full,
    full_like,
    int_tuple,
    leading_axis_full,
    squeeze,
)
from fnad.primitives.strong_moves import all_but, moves_elements

# -- slice ---------------------------------------------------------------------------------

slice_p = Primitive(
    "slice",
    "``x[start:limit:stride, ...]`` with positive strides and one entry an axis. Any dtype.",
)


@slice_p.type_rule
@remember
def _(x, *, start_indices, limit_indices, strides):
    if not len(start_indices) == len(limit_indices) == len(strides) == x.ndim:
        raise TypeError(
            f"slice: start_indices {start_indices}, limit_indices {limit_indices} and strides"
            f" {strides} must have one entry for each axis of the operand of shape {x.shape}"
        )
    for lo, hi, step, n in zip(start_indices, limit_indices, strides, x.shape):
        if not 0 <= lo <= hi <= n or step < 1:
            raise TypeError(
                f"slice: start_indices {start_indices}, limit_indices {limit_indices}, strides"
                f" {strides} do not lie within the operand of shape {x.shape}: 0 <= start <="
                " limit <= length and stride >= 1 must hold for each axis"
            )
    sizes = zip(start_indices, limit_indices, strides)
    return ShapedArray(tuple(-(-(hi - lo) // step) for lo, hi, step in sizes), x.dtype)


@slice_p.evaluate
def _(x, *, start_indices, limit_indices, strides):
    return np.asarray(x)[tuple(map(builtins.slice, start_indices, limit_indices, strides))]


slice_p.linear()
moves_elements(slice_p)
moves(slice_p)


@slice_p.transpose
def _(ct, x, *, start_indices, limit_indices, strides):
    config = []
    for lo, step, n, size in zip(start_indices, strides, ct.shape, x.aval.shape):
        covered = lo + (n - 1) * step + 1 if n else lo
        config.append((lo, size - covered, step - 1))
    return [pad(ct, np.zeros((), ct.dtype)[()], config)]


@slice_p.batch
def _(args, batched, axis, *, start_indices, limit_indices, strides):
    out = slice(args[0], (0, *start_indices), (axis.size, *limit_indices), (1, *strides))
    return out, True


slice_p.acts_on_parts()


@slice_p.lower
def _(p, x, *, start_indices, limit_indices, strides):
    shape = tuple(-(-(hi - lo) // s) for lo, hi, s in zip(start_indices, limit_indices, strides))
    return p.compute(
        shape,
        x.dtype,
        lambda index: x.at(tuple(i * s + lo for i, s, lo in zip(index, strides, start_indices))),
    )


def slice(
    operand: Any,
    start_indices: Sequence[int],
    limit_indices: Sequence[int],
    strides: Sequence[int] | None = None,
) -> Any:
    """``operand[start:limit:stride, ...]``, one static entry for each axis."""
    starts, limits = int_tuple(start_indices), int_tuple(limit_indices)
    strides = (1,) * len(starts) if strides is None else int_tuple(strides)
    shape = getattr(operand, "shape", ())
    if not any(starts) and all(s == 1 for s in strides) and same_shape(shape, limits):
        return operand
    return slice_p.bind(operand, start_indices=starts, limit_indices=limits, strides=strides)


def slice_in_dim(
    operand: Any, start_index: int | None, limit_index: int | None, stride: int = 1, axis: int = 0
) -> Any:
    """Slice along one axis; indices may be negative or None as in Python."""
    shape = aval_of(operand).shape
    axis = canonicalize_axis(axis, len(shape))
    lo, hi, step = slice_indices(start_index, limit_index, stride, shape[axis])
    starts, limits, strides = [0] * len(shape), list(shape), [1] * len(shape)
    starts[axis], limits[axis], strides[axis] = lo, max(lo, hi), step
    return slice(operand, starts, limits, strides)


def index_in_dim(operand: Any, index: int, axis: int = 0, keepdims: bool = True) -> Any:
    """One static index along one axis."""
    axis = canonicalize_axis(axis, aval_of(operand).ndim)
    n = aval_of(operand).shape[axis]
    if not -n <= as_size(index) < n:
        raise IndexError(f"index {index} is out of bounds for axis {axis} with size {n}")
    index = as_size(index) + n if index < 0 else as_size(index)
    out = slice_in_dim(operand, index, index + 1, 1, axis)
    return out if keepdims else squeeze(out, (axis,))


def split(operand: Any, sizes: Sequence[int], axis: int = 0) -> list[Any]:
    """Cut an array along ``axis`` into pieces of the given sizes, which must fill it."""
    axis = canonicalize_axis(axis, aval_of(operand).ndim)
    length = aval_of(operand).shape[axis]
    if sum(sizes) != length:
        raise ValueError(f"split: sizes {tuple(sizes)} do not add up to {length}")
    ends = np.cumsum(sizes).tolist()
    return [slice_in_dim(operand, e - n, e, 1, axis) for n, e in zip(sizes, ends)]


# -- pad -----------------------------------------------------------------------------------

pad_p = Primitive(
    "pad",
    "Surround ``x`` with ``value`` (rank 0): ``padding_config`` has (low, high, interior) for each"
    " axis; negative low or high crop. Any dtype, the same for both.",
)


def _padded_shape(shape, padding_config):
    return tuple(
        max(0, lo + hi + n + max(n - 1, 0) * gap) for n, (lo, hi, gap) in zip(shape, padding_config)
    )


@pad_p.type_rule
@remember
def _(x, value, *, padding_config):
    if len(padding_config) != x.ndim or any(gap < 0 for *_, gap in padding_config):
        raise ValueError(
            f"pad: padding_config must have one (low, high, interior >= 0) for each axis of the"
            f" operand of shape {x.shape}, got {padding_config}"
        )
    if value.shape != () or value.dtype != x.dtype:
        raise TypeError(f"pad: padding_value must be a scalar of dtype {x.dtype}, got {value}")
    return ShapedArray(_padded_shape(x.shape, padding_config), x.dtype)


@pad_p.evaluate
def _(x, value, *, padding_config):
    x = np.asarray(x)
    out = np.full(_padded_shape(x.shape, padding_config), value, x.dtype)
    into, source = [], []
    for n, size, (lo, _, gap) in zip(x.shape, out.shape, padding_config):
        first = -(lo // (gap + 1)) if lo < 0 else 0  # the first element that is not cropped
        stop = min(n, -((lo - size) // (gap + 1)))
        count = max(0, stop - first)
        start = max(lo + first * (gap + 1), 0)
        into.append(builtins.slice(start, start + count * (gap + 1), gap + 1))
        source.append(builtins.slice(first, first + count))
    if all(s.stop > s.start for s in source):
        out[tuple(into)] = x[tuple(source)]
    return out


pad_p.linear(0, 1)
moves_elements(pad_p, 0)
moves(pad_p)


@pad_p.transpose
def _(ct, x, value, *, padding_config):
    x_ct = value_ct = None
    if isinstance(x, Linear):
        zero = np.zeros((), ct.dtype)[()]
        spread = pad(ct, zero, [(-lo, -hi, 0) for lo, hi, _ in padding_config])
        gaps = [gap + 1 for *_, gap in padding_config]
        x_ct = slice(spread, [0] * ct.ndim, spread.shape, gaps)
    if isinstance(value, Linear):
        shape = aval_of(x).shape
        is_value = pad(full(shape, False), np.True_, padding_config)
        masked = select(is_value, ct, full_like(ct, 0))
        value_ct = reduce_sum(masked, tuple(range(ct.ndim)))
    return [x_ct, value_ct]


@pad_p.batch
def _(args, batched, axis, *, padding_config):
    x, value = args
    config = ((0, 0, 0), *padding_config)
    if not batched[1]:
        return pad(x, value, config), True
    x = leading_axis_full(x, batched[0], axis.size)
    is_value = pad(full(x.shape, False), np.True_, config)
    padded = pad(x, np.zeros((), x.dtype)[()], config)
    return select(is_value, broadcast_in_dim(value, padded.shape, (0,)), padded), True


pad_p.acts_on_parts()


@pad_p.lower
def _(p, x, value, *, padding_config):
    shape = _padded_shape(x.shape, padding_config)
    if 0 in x.shape:
        return p.compute(shape, x.dtype, lambda index: value.at(()))

    def element(index):
        inside, source = None, []
        for i, n, (lo, hi, gap) in zip(index, x.shape, padding_config):
            if (lo, hi, gap) == (0, 0, 0):
                source.append(i)
                continue
            i = i - lo
            checks = []
            if lo > 0:
                checks.append(i >= 0)
                i = p.b.maximum(i, p.b.constant(0, np.int64))
            if hi > 0:
                checks.append(i <= (n - 1) * (gap + 1))
            if gap:
                step = p.b.constant(gap + 1, np.int64)
                checks.append(p.b.equal(p.b.remainder(i, step), p.b.constant(0, np.int64)))
                i = p.b.divide(i, step)
            # Both sides of a choice may be computed, so the index stays inside in any case.
            source.append(p.b.minimum(i, p.b.constant(n - 1, np.int64)) if hi > 0 else i)
            for check in checks:
                inside = check if inside is None else p.b.bitwise_and(inside, check)
        read = x.at(tuple(source))
        return read if inside is None else p.b.where(inside, read, value.at(()))

    return p.compute(shape, x.dtype, element)


def pad(operand: Any, padding_value: Any, padding_config: Sequence[tuple[int, int, int]]) -> Any:
    """Pad (or crop, with negative amounts) each axis by (low, high, interior).

    Examples
    --------
    >>> import numpy as np
    >>> pad(np.array([1, 2]), 0, [(1, 2, 1)])
    array([0, 1, 0, 2, 0, 0])
    """
    config = tuple(int_tuple(c) for c in padding_config)
    if not any(map(any, config)) and len(config) == aval_of(operand).ndim:
        return operand
    if not hasattr(padding_value, "dtype"):
        padding_value = np.asarray(padding_value).astype(aval_of(operand).dtype)[()]
    return pad_p.bind(operand, padding_value, padding_config=config)


# -- concatenate ---------------------------------------------------------------------------

concatenate_p = Primitive(
    "concatenate",
    "Join arrays that agree in dtype and in all axes but ``dimension`` along that axis.",
)


@concatenate_p.type_rule
@remember
def _(*xs, dimension):
    if not xs:
        raise ValueError("concatenate: needs at least one array")
    shapes = [x.shape for x in xs]
    if any(x.dtype != xs[0].dtype for x in xs):
        raise TypeError(f"concatenate: dtypes differ: {', '.join(map(str, xs))}")
    if not 0 <= dimension < xs[0].ndim:
        raise ValueError(f"concatenate: no axis {dimension} in arrays of shapes {shapes}")
    rest = {s[:dimension] + s[dimension + 1 :] for s in shapes}
    if len(rest) > 1 or len({len(s) for s in shapes}) > 1:
        raise TypeError(
            f"concatenate: all axes but axis {dimension} must agree, got shapes {shapes}"
        )
    shape = list(shapes[0])
    shape[dimension] = sum(s[dimension] for s in shapes)
    return ShapedArray(tuple(shape), xs[0].dtype)


@concatenate_p.evaluate
def _(*xs, dimension):
    return np.concatenate(xs, dimension)


concatenate_p.linear()
moves_elements(
    concatenate_p,
    kept=lambda *xs, dimension: [all_but(aval_of(x).ndim, (dimension,)) for x in xs],
)
moves(concatenate_p)


@concatenate_p.transpose
def _(ct, *xs, dimension):
    cts, end = [], 0
    for x in xs:
        n = aval_of(x).shape[dimension]
        end += n
        linear = isinstance(x, Linear)
        cts.append(slice_in_dim(ct, end - n, end, 1, dimension) if linear else None)
    return cts


@concatenate_p.batch
def _(args, batched, axis, *, dimension):
    xs = [leading_axis_full(x, b, axis.size) for x, b in zip(args, batched)]
    return concatenate(xs, dimension + 1), True


concatenate_p.acts_on_parts()


@concatenate_p.lower
def _(p, *xs, dimension):
    xs = [x for x in xs if x.shape[dimension]] or list(xs[:1])
    if len(xs) == 1:
        return xs[0]
    joined = p.join(xs, dimension)
    if joined is not None:
        return joined
    ends = list(itertools.accumulate([x.shape[dimension] for x in xs]))
    shape = list(xs[0].shape)
    shape[dimension] = ends[-1]

    def element(index):
        i = index[dimension]

        def read(k):
            # Both sides of a choice may be computed, so each index stays inside its operand.
            n, start = xs[k].shape[dimension], ends[k] - xs[k].shape[dimension]
            j = i - start if k else i
            if k:
                j = p.b.maximum(j, p.b.constant(0, np.int64))
            if k < len(xs) - 1:
                j = p.b.minimum(j, p.b.constant(n - 1, np.int64))
            return xs[k].at((*index[:dimension], j, *index[dimension + 1 :]))

        out = read(len(xs) - 1)
        for k in reversed(range(len(xs) - 1)):
            out = p.b.where(i < ends[k], read(k), out)
        return out

    return p.compute(tuple(shape), xs[0].dtype, element)


def concatenate(operands: Sequence[Any], dimension: int) -> Any:
    """Join arrays of one dtype along an existing axis."""
    operands = list(operands)
    if len(operands) == 1 and hasattr(operands[0], "shape"):
        return operands[0]
    if operands:
        dimension = canonicalize_axis(dimension, aval_of(operands[0]).ndim)
    return concatenate_p.bind(*operands, dimension=dimension)
