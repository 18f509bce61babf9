"""Slices whose place is known only when the program runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fnad.core.primitive import Linear, Primitive, remember
from fnad.core.sizes import as_size
from fnad.core.types import ShapedArray, aval_of
from fnad.primitives.arithmetic import clamp
from fnad.primitives.dependencies import collapse, numbers, rows, union
from fnad.primitives.indexing import gather_p, lower_indices, scatter_p
from fnad.primitives.logic import convert_element_type, lt, select
from fnad.primitives.shape import (
    broadcast_in_dim,
    broadcasted_iota,
    canonicalize_axis,
    full,
    int_tuple,
    leading_axis_full,
    reshape,
)
from fnad.primitives.sizes import index_of
from fnad.primitives.slicing import index_in_dim
from fnad.primitives.strong_moves import moves_elements

_INT64 = np.dtype(np.int64)
_INT64_MAX = np.iinfo(_INT64).max

# -- dynamic_slice -------------------------------------------------------------------------

dynamic_slice_p = Primitive(
    "dynamic_slice",
    "``x[start : start + size, ...]`` with one integer scalar ``start`` an axis, moved so that"
    " the slice lies within ``x``. Any dtype.",
)


def _check_starts(name: str, x: Any, starts: Sequence[Any], sizes: Sequence[int]) -> None:
    if len(starts) != x.ndim or len(sizes) != x.ndim:
        raise TypeError(
            f"{name}: needs one start and one size for each axis of the operand of shape"
            f" {x.shape}, got {len(starts)} starts and sizes {tuple(sizes)}"
        )
    if any(s.shape != () or s.dtype.kind not in "iu" for s in starts):
        raise TypeError(
            f"{name}: starts must be integer scalars, got {', '.join(map(str, starts))}"
        )
    if any(not 0 <= size <= n for size, n in zip(sizes, x.shape)):
        raise TypeError(f"{name}: a slice of {tuple(sizes)} does not fit into shape {x.shape}")


def _evaluate_place(starts: Sequence[Any], shape: Sequence[int], sizes: Sequence[int]) -> Any:
    begins = [min(max(int(s), 0), n - size) for s, n, size in zip(starts, shape, sizes)]
    return tuple(slice(b, b + size) for b, size in zip(begins, sizes))


@dynamic_slice_p.type_rule
@remember
def _(x, *starts, slice_sizes):
    _check_starts("dynamic_slice", x, starts, slice_sizes)
    return ShapedArray(slice_sizes, x.dtype)


@dynamic_slice_p.evaluate
def _(x, *starts, slice_sizes):
    return np.asarray(x)[_evaluate_place(starts, np.shape(x), slice_sizes)].copy()


dynamic_slice_p.linear(0)
moves_elements(dynamic_slice_p)


def _unknown_starts(shape, sizes, starts):
    """The axes on which nobody knows where a slice lies: one of full length lies at 0."""
    ends = zip(shape, sizes, starts, strict=True)
    return tuple(i for i, (n, size, s) in enumerate(ends) if s.value is None and size < n)


@dynamic_slice_p.dependencies
def _(x, *starts, slice_sizes):
    shape = x.aval.shape
    unknown = _unknown_starts(shape, slice_sizes, starts)
    small = [1 if i in unknown else n for i, n in enumerate(shape)]
    sizes = [1 if i in unknown else n for i, n in enumerate(slice_sizes)]
    begins = [0 if s.value is None else s.value for s in starts]
    places = numbers(small)[_evaluate_place(begins, small, sizes)]
    return rows(collapse(x.pattern, shape, unknown), np.broadcast_to(places, slice_sizes))


@dynamic_slice_p.transpose
def _(ct, x, *starts, slice_sizes):
    zeros = full(x.aval.shape, 0, x.aval.dtype)
    return [dynamic_update_slice_p.bind(zeros, ct, *starts), *[None] * len(starts)]


def _window_indices(starts: Any, batched: Any, shape: Any, sizes: Any, batch: int) -> list[Any]:
    """Index arrays of shape (batch, *sizes) of the windows that begin at ``starts``."""
    full_shape = (batch, *sizes)
    out = []
    for d, (start, has_axis, n, size) in enumerate(zip(starts, batched, shape, sizes)):
        begin = _clamp_start(start, n - size)
        begin = broadcast_in_dim(begin, full_shape, (0,) if has_axis else ())
        out.append(begin + broadcasted_iota(_INT64, full_shape, d + 1))
    return out


def _clamp_start(start: Any, top: int) -> Any:
    dtype = aval_of(start).dtype
    top = min(top, np.iinfo(dtype).max)
    return convert_element_type(clamp(dtype.type(0), start, dtype.type(top)), _INT64)


@dynamic_slice_p.batch
def _(args, batched, axis, *, slice_sizes):
    x, *starts = args
    if not any(batched[1:]):
        zero = np.int64(0)
        return dynamic_slice_p.bind(x, zero, *starts, slice_sizes=(axis.size, *slice_sizes)), True
    shape = aval_of(x).shape[batched[0] :]
    indices = _window_indices(starts, batched[1:], shape, slice_sizes, axis.size)
    if batched[0]:
        indices.insert(0, broadcasted_iota(_INT64, (axis.size, *slice_sizes), 0))
    return gather_p.bind(x, *indices, mode="promise_in_bounds"), True


dynamic_slice_p.acts_on_parts()


@dynamic_slice_p.lower
def _(p, x, *starts, slice_sizes):
    def element(index):
        zeros = [n - size for n, size in zip(x.shape, slice_sizes)]
        begins, _ = lower_indices(p, starts, (), [top + 1 for top in zeros])
        return x.at(tuple(b + i for b, i in zip(begins, index)))

    return p.compute(slice_sizes, x.dtype, element)


def _wrapped_starts(
    starts: Any, shape: Sequence[int], allow_negative_indices: bool | Sequence[bool]
) -> list[Any]:
    """Negative starts count from the end, along the axes where they are allowed."""
    starts = list(starts) if isinstance(starts, (list, tuple)) else _unstack(starts)
    if len(starts) != len(shape):
        raise TypeError(
            f"dynamic slices need one start for each axis of shape {tuple(shape)}, got"
            f" {len(starts)}"
        )
    wraps: Any = allow_negative_indices
    wraps = [wraps] * len(shape) if isinstance(wraps, (bool, np.bool_)) else list(wraps)
    if len(wraps) != len(shape):
        raise TypeError(
            "dynamic slices need one allow_negative_indices, or one for each axis of shape"
            f" {tuple(shape)}, got {len(wraps)}"
        )
    out = []
    for start, n, wrap in zip(starts, shape, wraps):
        aval = aval_of(start)
        if isinstance(start, (int, np.integer)):
            if start < 0 and not wrap:
                raise ValueError(
                    f"a slice of an array of shape {tuple(shape)} has the start {start}, but"
                    " allow_negative_indices=False says that starts do not count from the end"
                )
            start = int(start) + n if start < 0 else int(start)
            start = min(max(start, -1), _INT64_MAX)
            out.append(index_of(start))
        elif wrap and aval.dtype.kind == "i":
            start = convert_element_type(start, _INT64)
            out.append(select(lt(start, np.int64(0)), start + index_of(n), start))
        else:
            out.append(start)
    return out


def _unstack(starts: Any) -> list[Any]:
    return [index_in_dim(starts, i, 0, keepdims=False) for i in range(aval_of(starts).shape[0])]


def dynamic_slice(
    operand: Any,
    start_indices: Any,
    slice_sizes: Sequence[int],
    *,
    allow_negative_indices: bool | Sequence[bool] = True,
) -> Any:
    """A slice of static size at a place known when the program runs, kept within the operand.

    Negative starts count from the end, unless ``allow_negative_indices`` (one, or one for each
    axis) says that there are none: then those known only when the program runs are moved to 0.

    Examples
    --------
    >>> dynamic_slice(np.arange(5), (3,), (3,))
    array([2, 3, 4])
    """
    starts = _wrapped_starts(start_indices, aval_of(operand).shape, allow_negative_indices)
    return dynamic_slice_p.bind(operand, *starts, slice_sizes=int_tuple(slice_sizes))


def _starts_along(x: Any, start: Any, axis: int) -> list[Any]:
    starts: list[Any] = [0] * aval_of(x).ndim
    starts[axis] = start
    return starts


def dynamic_slice_in_dim(
    operand: Any,
    start_index: Any,
    slice_size: int,
    axis: int = 0,
    *,
    allow_negative_indices: bool = True,
) -> Any:
    """`dynamic_slice` along one axis."""
    axis = canonicalize_axis(axis, aval_of(operand).ndim)
    sizes = list(aval_of(operand).shape)
    sizes[axis] = as_size(slice_size)
    starts = _starts_along(operand, start_index, axis)
    return dynamic_slice(operand, starts, sizes, allow_negative_indices=allow_negative_indices)


def dynamic_index_in_dim(
    operand: Any,
    index: Any,
    axis: int = 0,
    keepdims: bool = True,
    *,
    allow_negative_indices: bool = True,
) -> Any:
    """One index, known when the program runs, along one axis."""
    axis = canonicalize_axis(axis, aval_of(operand).ndim)
    out = dynamic_slice_in_dim(
        operand, index, 1, axis, allow_negative_indices=allow_negative_indices
    )
    shape = aval_of(out).shape
    return out if keepdims else reshape(out, (*shape[:axis], *shape[axis + 1 :]))


# -- dynamic_update_slice ------------------------------------------------------------------

dynamic_update_slice_p = Primitive(
    "dynamic_update_slice",
    "``x`` with ``update`` written at the integer scalars ``starts``, moved so that it lies"
    " within ``x``. Any dtype.",
)


@dynamic_update_slice_p.type_rule
@remember
def _(x, update, *starts):
    _check_starts("dynamic_update_slice", x, starts, update.shape)
    if update.dtype != x.dtype:
        raise TypeError(f"dynamic_update_slice: dtypes differ: {x} and {update}")
    return x.strong()


@dynamic_update_slice_p.evaluate
def _(x, update, *starts):
    out = np.array(x)
    out[_evaluate_place(starts, out.shape, np.shape(update))] = update
    return out


dynamic_update_slice_p.linear(0, 1)
moves_elements(dynamic_update_slice_p)


@dynamic_update_slice_p.dependencies
def _(x, update, *starts):
    shape, sizes = x.aval.shape, update.aval.shape
    unknown = _unknown_starts(shape, sizes, starts)
    begins = [0 if s.value is None else s.value for s in starts]
    region = [
        slice(None) if i in unknown else s
        for i, s in enumerate(_evaluate_place(begins, shape, sizes))
    ]
    kept, written = numbers(shape), np.full(shape, -1)
    if not unknown:
        kept[tuple(region)] = -1
    small = [1 if i in unknown else n for i, n in enumerate(sizes)]
    written[tuple(region)] = numbers(small)
    return union(
        [
            None if x.pattern is None else rows(x.pattern, kept),
            None
            if update.pattern is None
            else rows(collapse(update.pattern, sizes, unknown), written),
        ]
    )


@dynamic_update_slice_p.transpose
def _(ct, x, update, *starts):
    aval = aval_of(update)
    x_ct = update_ct = None
    if isinstance(x, Linear):
        zeros = full(aval.shape, 0, aval.dtype)
        x_ct = dynamic_update_slice_p.bind(ct, zeros, *starts)
    if isinstance(update, Linear):
        update_ct = dynamic_slice_p.bind(ct, *starts, slice_sizes=aval.shape)
    return [x_ct, update_ct, *[None] * len(starts)]


@dynamic_update_slice_p.batch
def _(args, batched, axis):
    x, update, *starts = args
    x = leading_axis_full(x, batched[0], axis.size)
    update = leading_axis_full(update, batched[1], axis.size)
    if not any(batched[2:]):
        return dynamic_update_slice_p.bind(x, update, np.int64(0), *starts), True
    shape, sizes = aval_of(x).shape[1:], aval_of(update).shape[1:]
    indices = _window_indices(starts, batched[2:], shape, sizes, axis.size)
    example = broadcasted_iota(_INT64, (axis.size, *sizes), 0)
    mode = "promise_in_bounds"
    return scatter_p.bind(x, update, example, *indices, kind="set", mode=mode), True


dynamic_update_slice_p.acts_on_parts()


@dynamic_update_slice_p.lower
def _(p, x, update, *starts):
    return p.update_slice(x, update, starts)


def dynamic_update_slice(
    operand: Any,
    update: Any,
    start_indices: Any,
    *,
    allow_negative_indices: bool | Sequence[bool] = True,
) -> Any:
    """``operand`` with ``update`` written at a place known when the program runs.

    What ``allow_negative_indices`` means is said at `dynamic_slice`.

    Examples
    --------
    >>> dynamic_update_slice(np.zeros(4), np.ones(2), (1,))
    array([0., 1., 1., 0.])
    """
    starts = _wrapped_starts(start_indices, aval_of(operand).shape, allow_negative_indices)
    return dynamic_update_slice_p.bind(operand, update, *starts)


def dynamic_update_slice_in_dim(
    operand: Any,
    update: Any,
    start_index: Any,
    axis: int,
    *,
    allow_negative_indices: bool = True,
) -> Any:
    """`dynamic_update_slice` along one axis."""
    axis = canonicalize_axis(axis, aval_of(operand).ndim)
    starts = _starts_along(operand, start_index, axis)
    return dynamic_update_slice(
        operand, update, starts, allow_negative_indices=allow_negative_indices
    )


def dynamic_update_index_in_dim(
    operand: Any, update: Any, index: Any, axis: int, *, allow_negative_indices: bool = True
) -> Any:
    """Write at one index along one axis; ``update`` may lack that axis."""
    axis = canonicalize_axis(axis, aval_of(operand).ndim)
    shape = aval_of(update).shape
    if len(shape) < aval_of(operand).ndim:
        update = reshape(update, (*shape[:axis], 1, *shape[axis:]))
    return dynamic_update_slice_in_dim(
        operand, update, index, axis, allow_negative_indices=allow_negative_indices
    )
