"""Indexing with integer arrays: gather and scatter."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from fnad.core.primitive import Linear, Parts, Primitive, Zero, instantiate, remember
from fnad.core.sizes import typical
from fnad.core.types import ShapedArray, aval_of, computing_dtype, kind_of
from fnad.primitives.dependencies import collapse, numbers, rows, spread, sums, union
from fnad.primitives.logic import bitwise_and, bitwise_not, eq, ge, gt, lt, ne, select
from fnad.primitives.pairs import are_few, equal_pairs, over_pairs, pairs_of_numbers
from fnad.primitives.reductions import reduce_or, reduce_prod, reduce_sum
from fnad.primitives.shape import (
    broadcast_in_dim,
    broadcasted_iota,
    full,
    full_like,
    iota,
    leading_axis_full,
    moveaxis,
    reshape,
)
from fnad.primitives.sizes import known
from fnad.primitives.strong_moves import moves_elements, transposed_moves
from fnad.primitives.strong_zeros import StrongZeros, settled

MODES = ("clip", "fill", "promise_in_bounds")
KINDS = ("set", "add", "multiply", "min", "max")
_INT64 = np.dtype(np.int64)


def _check_indices(name: str, x: Any, indices: Sequence[Any], mode: str) -> None:
    if mode not in MODES:
        raise ValueError(f"{name}: mode must be one of {MODES}, got {mode!r}")
    if not 1 <= len(indices) <= x.ndim:
        raise TypeError(
            f"{name}: takes 1 to {x.ndim} index arrays for an operand of shape {x.shape}, got"
            f" {len(indices)}"
        )
    if any(i.dtype.kind not in "iu" for i in indices):
        raise TypeError(f"{name}: indices must be integers, got {', '.join(map(str, indices))}")
    if len({i.shape for i in indices}) > 1:
        raise TypeError(
            f"{name}: index arrays must have one shape, got {[i.shape for i in indices]}"
        )
    if mode != "fill" and indices[0].size and 0 in x.shape[: len(indices)]:
        raise IndexError(f"{name}: an operand of shape {x.shape} has no elements to index")


def _fill_value(dtype: np.dtype[Any]) -> Any:
    """What reads out of bounds give: NaN, the smallest signed or the largest unsigned integer."""
    if kind_of(dtype) in "fc":
        return dtype.type(np.nan)
    if dtype.kind == "b":
        return np.True_
    return dtype.type(np.iinfo(dtype).min if dtype.kind == "i" else np.iinfo(dtype).max)


def _evaluate_indices(indices: Sequence[Any], sizes: Sequence[int]) -> tuple[Any, Any]:
    """Indices clipped into bounds, and which of them all are in bounds."""
    inside: Any = np.True_
    clipped = []
    for index, n in zip(indices, sizes):
        index = np.asarray(index)
        inside = inside & (index >= 0) & (index < n)
        clipped.append(np.clip(index, 0, max(n - 1, 0)).astype(_INT64))
    return tuple(clipped), inside


def lower_indices(p: Any, indices: Sequence[Any], at: Any, sizes: Sequence[int]) -> Any:
    """The same for the expressions of one element."""
    b, inside, clipped = p.b, None, []
    for tensor, n in zip(indices, sizes):
        i = b.index(tensor.at(at))
        ok = b.bitwise_and(i >= 0, i < n)
        inside = ok if inside is None else b.bitwise_and(inside, ok)
        clipped.append(b.minimum(b.maximum(i, b.constant(0, _INT64)), b.constant(n - 1, _INT64)))
    return tuple(clipped), inside


def _in_bounds(shape: Sequence[int], indices: Sequence[Any]) -> Any:
    """Which index tuples lie within an array of ``shape``, as a boolean array."""
    inside: Any = None
    for i, n in zip(indices, shape):
        aval = aval_of(i)
        top = np.iinfo(aval.dtype).max
        ok = full(aval.shape, True) if n > top else lt(i, known(n, aval.dtype))
        if aval.dtype.kind == "i":
            ok = bitwise_and(ok, ge(i, aval.dtype.type(0)))
        inside = ok if inside is None else bitwise_and(inside, ok)
    return inside


def _along_leading(mask: Any, shape: Sequence[int]) -> Any:
    """Repeat a mask over the trailing axes of ``shape``."""
    return broadcast_in_dim(mask, shape, range(aval_of(mask).ndim))


# -- gather --------------------------------------------------------------------------------

gather_p = Primitive(
    "gather",
    "``x[i0, ..., ik-1]`` over the k leading axes of ``x``: indices are integer arrays of one"
    " shape; the result has shape indices.shape + x.shape[k:]. Indices out of bounds are clipped"
    " (mode clip, promise_in_bounds) or give NaN or the extreme integer (mode fill).",
)


@gather_p.type_rule
@remember
def _(x, *indices, mode):
    _check_indices("gather", x, indices, mode)
    return ShapedArray((*indices[0].shape, *x.shape[len(indices) :]), x.dtype)


@gather_p.evaluate
def _(x, *indices, mode):
    x = np.asarray(x)
    k = len(indices)
    clipped, inside = _evaluate_indices(indices, x.shape)
    rest = x.shape[k:]
    if 0 in x.shape[:k]:
        return np.full((*clipped[0].shape, *rest), _fill_value(x.dtype), x.dtype)
    out = np.array(x[clipped])
    if mode == "fill":
        outside = ~np.broadcast_to(inside, clipped[0].shape)
        out[outside] = _fill_value(x.dtype)
    return out


def gather_or_zero(x: Any, indices: Sequence[Any], mode: str) -> Any:
    """`gather` that reads zero out of bounds in mode fill: its linear part."""
    if mode != "fill":
        return gather_p.bind(x, *indices, mode=mode)
    out = gather_p.bind(x, *indices, mode="fill")
    inside = _in_bounds(aval_of(x).shape, indices)
    return select(_along_leading(inside, aval_of(out).shape), out, full_like(out, 0))


@gather_p.jvp
def _(primals, tangents, *, mode):
    x, *indices = primals
    ans = gather_p.bind(x, *indices, mode=mode)
    if isinstance(tangents[0], Zero):
        return ans, Zero(ans.aval.strong())
    return ans, gather_or_zero(tangents[0], indices, mode)


moves_elements(gather_p)


def _leading_places(shape, indices):
    """Where indices point to, in numbers of elements of ``shape`` with unknown axes 1 long."""
    unknown = tuple(i for i, index in enumerate(indices) if index.value is None)
    small = tuple(1 if i in unknown else n for i, n in enumerate(shape))
    given = [np.zeros(i.aval.shape, np.int64) if i.value is None else i.value for i in indices]
    return unknown, small, given


@gather_p.dependencies
def _(x, *indices, mode):
    unknown, small, given = _leading_places(x.aval.shape, indices)
    places = gather_p.rule("evaluate")(numbers(small), *given, mode=mode)
    return rows(collapse(x.pattern, x.aval.shape, unknown), places)


@gather_p.transpose
def _(ct, x, *indices, mode):
    zeros = full(x.aval.shape, 0, x.aval.dtype)
    return [scatter_p.bind(zeros, ct, *indices, kind="add", mode=mode), *[None] * len(indices)]


@gather_p.batch
def _(args, batched, axis, *, mode):
    x, *indices = args
    k = len(indices)
    if not any(batched[1:]) and not _leaves_most(aval_of(x).shape[1:], indices):
        out = gather_p.bind(moveaxis(x, 0, k), *indices, mode=mode)
        return moveaxis(out, aval_of(indices[0]).ndim, 0), True
    indices = [leading_axis_full(i, b, axis.size) for i, b in zip(indices, batched[1:])]
    if batched[0]:
        indices.insert(0, broadcasted_iota(_INT64, aval_of(indices[0]).shape, 0))
    return gather_p.bind(x, *indices, mode=mode), True


@gather_p.parts
def _(x, *indices, mode):
    # What fills is NaN, without an imaginary part.
    return Parts(gather_p.bind(x.re, *indices, mode=mode), gather_or_zero(x.im, indices, mode))


@gather_p.lower
def _(p, x, *indices, mode):
    k, num = len(indices), len(indices[0].shape)
    shape = (*indices[0].shape, *x.shape[k:])
    fill = _fill_value(x.dtype)
    if 0 in x.shape[:k]:
        return p.compute(shape, x.dtype, lambda index: p.b.constant(fill, x.dtype))

    def element(index):
        clipped, inside = lower_indices(p, indices, tuple(index[:num]), x.shape)
        value = x.at((*clipped, *index[num:]))
        return p.b.where(inside, value, p.b.constant(fill, x.dtype)) if mode == "fill" else value

    return p.compute(shape, x.dtype, element)


def _leaves_most(shape: Sequence[int], indices: Sequence[Any]) -> bool:
    """Whether indices that are the same for all of a batch choose a small part of the elements.

    The batch axis then stays where it is, with an index of its own: to move it behind the others
    is a pass over all of the array, at the latest where cotangents are scattered.
    """
    return 4 * typical(aval_of(indices[0]).size) <= typical(math.prod(shape[: len(indices)]))


def gather(x: Any, *indices: Any, mode: str = "fill") -> Any:
    """``x[i0, ..., ik-1]`` for integer arrays of one shape over the leading axes of ``x``.

    Examples
    --------
    >>> gather(np.array([10.0, 20.0, 30.0]), np.array([2, 0, 5]))
    array([30., 10., nan])
    """
    return gather_p.bind(x, *indices, mode=mode)


def take_along_axis(x: Any, indices: Any, axis: int) -> Any:
    """For each position, the element of ``x`` at ``indices`` along ``axis``; shapes are equal."""
    shape = aval_of(indices).shape
    grid = [indices if d == axis else broadcasted_iota(_INT64, shape, d) for d in range(len(shape))]
    return gather_p.bind(x, *grid, mode="promise_in_bounds")


# -- scatter -------------------------------------------------------------------------------

scatter_p = Primitive(
    "scatter",
    "``x`` with ``updates`` (shape indices.shape + x.shape[k:]) written, or combined by ``kind``"
    " (set, add, multiply, min, max), at the indices of its k leading axes. Where indices repeat,"
    " set keeps the last update and the other kinds combine all of them. Indices out of bounds"
    " are dropped in mode fill and clipped in the others.",
)

_UFUNCS = {"add": np.add, "multiply": np.multiply, "min": np.minimum, "max": np.maximum}


@scatter_p.type_rule
@remember
def _(x, updates, *indices, kind, mode):
    _check_indices("scatter", x, indices, mode)
    if kind not in KINDS:
        raise ValueError(f"scatter: kind must be one of {KINDS}, got {kind!r}")
    shape = (*indices[0].shape, *x.shape[len(indices) :])
    if updates.shape != shape or updates.dtype != x.dtype:
        raise TypeError(
            f"scatter: updates must be of type {ShapedArray(shape, x.dtype)} for an operand {x}"
            f" and indices of shape {indices[0].shape}, got {updates}"
        )
    return x.strong()


@scatter_p.evaluate
def _(x, updates, *indices, kind, mode):
    x, updates = np.asarray(x), np.asarray(updates)
    clipped, inside = _evaluate_indices(indices, x.shape)
    num = clipped[0].ndim
    count = clipped[0].size
    updates = updates.reshape(count, *updates.shape[num:])
    clipped = tuple(i.reshape(count) for i in clipped)
    if mode == "fill":
        keep = np.broadcast_to(inside, indices[0].shape if num else ()).reshape(count)
        updates, clipped = updates[keep], tuple(i[keep] for i in clipped)
    out = x.astype(computing_dtype(x.dtype))
    if kind == "set":
        out[clipped] = updates
    else:
        _UFUNCS[kind].at(out, clipped, updates.astype(out.dtype, copy=False))
    return out.astype(x.dtype, copy=False)


@scatter_p.dependencies
def _(x, updates, *indices, kind, mode):
    shape = x.aval.shape
    unknown, small, given = _leading_places(shape, indices)
    places = gather_p.rule("evaluate")(numbers(small), *given, mode=mode)
    count = math.prod(small)
    written = None
    if updates.pattern is not None:
        written = spread(sums(updates.pattern, places, count), small, shape)
    if x.pattern is None or kind != "set" or unknown:
        return union([x.pattern, written])
    kept = np.arange(count)
    kept[places[places >= 0]] = -1
    return union([rows(x.pattern, kept), written])


@scatter_p.jvp
def _(primals, tangents, *, kind, mode):
    x, updates, *indices = primals
    ans = scatter_p.bind(*primals, kind=kind, mode=mode)
    if isinstance(tangents[0], Zero) and isinstance(tangents[1], Zero):
        return ans, Zero(ans.aval.strong())
    dx, du = map(instantiate, tangents[:2])
    combine = lambda a, b, kind: scatter_p.bind(a, b, *indices, kind=kind, mode=mode)  # noqa: E731
    if kind in ("set", "add"):
        return ans, combine(dx, du, kind)
    if kind == "multiply":
        others = _product_of_others(x, updates, indices, mode)
        return ans, combine(combine(dx, updates, kind), du * others, "add")
    # The tangents of all that attain the extremum, the old value included, share it evenly; where
    # it is NaN, those of all that were compared.
    beyond = gt if kind == "max" else lt
    attains = lambda a, extremum: bitwise_not(beyond(extremum, a))  # noqa: E731
    if are_few(aval_of(x).shape, indices):
        repeats = equal_pairs(aval_of(x).shape, indices, mode)
        old, new = (gather_or_zero(a, indices, mode) for a in (x, ans))
        zero, one, stays, wins = (
            full_like(new, 0),
            full_like(new, 1),
            attains(old, new),
            attains(updates, new),
        )
        total, count = (
            select(stays, a, zero) + over_pairs(select(wins, b, zero), repeats, reduce_sum, 0)
            for a, b in ((gather_or_zero(dx, indices, mode), du), (one, one))
        )
        return ans, combine(dx, total / count, "set")
    one = full_like(ans, 1)
    stays = attains(x, ans)
    wins = attains(updates, gather_p.bind(ans, *indices, mode=mode))
    zero_x, zero_u = full_like(ans, 0), full_like(updates, 0)
    count = combine(select(stays, one, zero_x), select(wins, full_like(updates, 1), zero_u), "add")
    total = combine(select(stays, dx, zero_x), select(wins, du, zero_u), "add")
    return ans, total / count


def _product_of_others(x: Any, updates: Any, indices: Sequence[Any], mode: str) -> Any:
    """For each update, its element of ``x`` times all other updates of that element.

    The product is divided by the update; where an update is 0, the zeros are counted instead.
    """
    shape = aval_of(x).shape
    if are_few(shape, indices):
        others = bitwise_and(equal_pairs(shape, indices, mode), pairs_of_numbers(ne, indices))
        return gather_or_zero(x, indices, mode) * over_pairs(updates, others, reduce_prod, 1)
    zero, one = full_like(updates, 0), full_like(updates, 1)
    is_zero = eq(updates, zero)
    nonzero = select(is_zero, one, updates)
    product = scatter_p.bind(x, nonzero, *indices, kind="multiply", mode=mode)
    zeros = scatter_p.bind(
        full_like(x, 0), select(is_zero, one, zero), *indices, kind="add", mode=mode
    )
    other_zeros = gather_p.bind(zeros, *indices, mode="clip") - select(is_zero, one, zero)
    quotient = gather_or_zero(product, indices, mode) / nonzero
    return select(eq(other_zeros, zero), quotient, zero)


@scatter_p.transpose
def _(ct, x, updates, *indices, kind, mode):
    if kind not in ("set", "add") and isinstance(updates, Linear):
        raise TypeError(f"scatter: kind {kind!r} is not linear in the updates")
    x_ct = updates_ct = None
    update_aval = aval_of(updates)
    if isinstance(x, Linear):
        x_ct = ct
        if kind == "set":
            zeros = full(update_aval.shape, 0, update_aval.dtype)
            x_ct = scatter_p.bind(ct, zeros, *indices, kind="set", mode=mode)
        elif kind == "multiply":
            x_ct = scatter_p.bind(ct, updates, *indices, kind=kind, mode=mode)
    if isinstance(updates, Linear):
        updates_ct = gather_or_zero(ct, indices, mode)
        if kind == "set" and aval_of(indices[0]).size > 1:
            last = _along_leading(_is_last(aval_of(ct).shape, indices, mode), update_aval.shape)
            updates_ct = select(last, updates_ct, full_like(updates_ct, 0))
    return [x_ct, updates_ct, *[None] * len(indices)]


@scatter_p.strong_transpose
def _(ct, x, updates, *indices, kind, mode):
    if kind in ("set", "add"):
        params = {"kind": kind, "mode": mode}
        return transposed_moves(scatter_p, ct, (x, updates, *indices), params)
    cts = scatter_p.rule("transpose")(settled(ct), x, updates, *indices, kind=kind, mode=mode)
    if type(ct) is StrongZeros:  # factors stay in their lanes
        cts[0] = StrongZeros(cts[0], ct.live)
    return cts


def _is_last(shape: Sequence[int], indices: Sequence[Any], mode: str) -> Any:
    """Which updates of a scatter survive: each writes its number, and looks whether it stayed.

    Of a few, those that no later one is equal to, which takes no board to write on.
    """
    index_shape = aval_of(indices[0]).shape
    if are_few(shape, indices):
        pairs = equal_pairs(shape, indices, mode)
        later = bitwise_and(pairs, pairs_of_numbers(lt, indices))
        return reshape(bitwise_not(reduce_or(later, (1,))), index_shape)
    numbers = reshape(iota(_INT64, aval_of(indices[0]).size), index_shape)
    board = full(shape[: len(indices)], -1, _INT64)
    board = scatter_p.bind(board, numbers, *indices, kind="set", mode=mode)
    return eq(gather_p.bind(board, *indices, mode=mode), numbers)


@scatter_p.batch
def _(args, batched, axis, *, kind, mode):
    x, updates, *indices = args
    k = len(indices)
    x = leading_axis_full(x, batched[0], axis.size)
    updates = leading_axis_full(updates, batched[1], axis.size)
    if not any(batched[2:]) and not _leaves_most(aval_of(x).shape[1:], indices):
        x, updates = moveaxis(x, 0, k), moveaxis(updates, 0, aval_of(indices[0]).ndim)
        return moveaxis(scatter_p.bind(x, updates, *indices, kind=kind, mode=mode), k, 0), True
    indices = [leading_axis_full(i, b, axis.size) for i, b in zip(indices, batched[2:])]
    example = broadcasted_iota(_INT64, aval_of(indices[0]).shape, 0)
    return scatter_p.bind(x, updates, example, *indices, kind=kind, mode=mode), True


@scatter_p.parts
def _(x, updates, *indices, kind, mode):
    if kind not in ("set", "add"):
        return _scatter_in_turn(x, updates, indices, kind, mode)
    parts = [
        scatter_p.bind(a, b, *indices, kind=kind, mode=mode)
        for a, b in ((x.re, updates.re), (x.im, updates.im))
    ]
    return Parts(*parts)


def _scatter_in_turn(x: Parts, updates: Parts, indices: Any, kind: str, mode: str) -> Parts:
    """One update after another, each of both parts: products and extrema mix them."""
    from fnad.primitives.complex_builder import COMPLEX, by_parts  # these use this module
    from fnad.primitives.control_flow.scan import scan

    names = {"multiply": "multiply", "min": "minimum", "max": "maximum"}
    combine = by_parts(getattr(COMPLEX, names[kind]))
    shape = aval_of(indices[0]).shape
    count, inner = math.prod(shape), aval_of(updates.re).shape[len(shape) :]
    given = [reshape(u, (count, *inner)) for u in (updates.re, updates.im)]
    places = [reshape(i, (count,)) for i in indices]

    def step(old: Any, turn: Any) -> Any:
        update, place = turn
        here = [gather_p.bind(v, *place, mode="clip") for v in old]
        new = combine(*here, *update)
        return [scatter_p.bind(v, n, *place, kind="set", mode=mode) for v, n in zip(old, new)], None

    (re, im), _ = scan(step, [x.re, x.im], (given, places))
    return Parts(re, im)


@scatter_p.lower
def _(p, x, updates, *indices, kind, mode):
    wide = computing_dtype(x.dtype)
    if wide == x.dtype or kind not in ("add", "multiply"):
        return p.scatter(x, updates, indices, kind, mode)

    def converted(t, dtype):
        return p.compute(t.shape, dtype, lambda index: p.b.convert(t.at(index), dtype))

    out = p.scatter(converted(x, wide), converted(updates, wide), indices, kind, mode)
    return converted(out, x.dtype)


def scatter(x: Any, updates: Any, *indices: Any, kind: str = "set", mode: str = "fill") -> Any:
    """``x`` with ``updates`` written or combined at integer-array indices of its leading axes.

    Examples
    --------
    >>> scatter(np.zeros(3), np.array([1.0, 2.0, 4.0]), np.array([0, 2, 2]), kind="add")
    array([1., 0., 6.])
    """
    return scatter_p.bind(x, updates, *indices, kind=kind, mode=mode)
