"""``masked_dot_general``: sums of products to which only some lanes of one factor contribute.

The transpose of ``dot_general`` behind a select needs it (`fnad.primitives.strong_products`): a
lane that was not taken is zero there, and stays one where the other factor is not finite. Compiled,
few products are summed lane by lane; many are a product as ever while the other factor is finite,
and a branch if it is not.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from fnad.core.primitive import Linear, Primitive, instantiate, remember
from fnad.core.rewrites import BatchAxis
from fnad.core.sizes import Size
from fnad.core.types import ShapedArray, aval_of, is_half, kind_of
from fnad.primitives.contraction import common_dtype, dot_general_p
from fnad.primitives.dot_numbers import (
    Numbers,
    batched_numbers,
    free_axes,
    places_of_result,
    wrt_lhs,
    wrt_rhs,
)
from fnad.primitives.logic import bitwise_not, convert_element_type, ne, select
from fnad.primitives.reductions import reduce_sum
from fnad.primitives.shape import broadcast_in_dim, moveaxis, transpose
from fnad.primitives.strong_lanes import Lanes, Live
from fnad.primitives.strong_products import all_finite_p, is_finite, strong_product
from fnad.primitives.strong_zeros import StrongZeros, settled, summed_lanes

# Up to so many products are quicker summed one by one than by a kernel and a check.
_FEW_PRODUCTS = 4096

masked_dot_general_p = Primitive(
    "masked_dot_general",
    "``dot_general`` of ``a`` and ``b``, where lanes of one of them contribute nothing, whatever"
    " they meet: those of operand ``which`` (0 or 1) with ``mask != taken``, where it must be zero."
    " The mask's axes are the ``axes`` of that operand.",
)


@masked_dot_general_p.type_rule
@remember
def _(
    mask: ShapedArray,
    a: ShapedArray,
    b: ShapedArray,
    *,
    dimension_numbers: Numbers,
    which: int,
    taken: bool,
    axes: tuple[int, ...],
) -> ShapedArray:
    lanes = (a, b)[which]
    if mask.dtype != np.bool_ or mask.shape != tuple(lanes.shape[i] for i in axes):
        raise TypeError(
            f"masked_dot_general: {mask} is no mask along axes {axes} of operand {which}, {lanes}"
        )
    if kind_of(a.dtype) not in "fc":
        raise TypeError(
            f"masked_dot_general: the factors must be floating or complex, got {a}, {b}"
        )
    params = {"dimension_numbers": dimension_numbers, "preferred_element_type": None}
    out: ShapedArray = dot_general_p.out_avals([a, b], params)[0]
    return out


@masked_dot_general_p.evaluate
def _(
    mask: Any, a: Any, b: Any, *, dimension_numbers: Numbers, which: int, taken: bool, axes: Any
) -> Any:
    a, b = np.asarray(a), np.asarray(b)
    dot = partial(
        dot_general_p.rule("evaluate"),
        dimension_numbers=dimension_numbers,
        preferred_element_type=None,
    )
    finite = np.isfinite((b, a)[which])
    if finite.all():
        return dot(a, b)
    lanes, other = (a, b)[which], (b, a)[which]
    live = np.broadcast_to(
        np.expand_dims(mask == taken, [i for i in range(lanes.ndim) if i not in axes]), lanes.shape
    )
    marks = live.astype(a.dtype), (~finite).astype(a.dtype)
    cleared = lanes, np.where(finite, other, a.dtype.type(0))
    met = dot(*marks[:: 1 - 2 * which]) != 0
    return np.where(met, dot(a, b), dot(*cleared[:: 1 - 2 * which]))


@masked_dot_general_p.lower_as
def _(
    mask: Any, a: Any, b: Any, *, dimension_numbers: Numbers, which: int, taken: bool, axes: Any
) -> Any:
    from fnad.primitives.control_flow.branches import cond  # uses this module's primitives

    live = mask if taken else bitwise_not(mask)
    if _are_few(a, b, dimension_numbers):
        return _lane_by_lane(live, a, b, dimension_numbers, which, axes)
    dot = partial(
        dot_general_p.bind, dimension_numbers=dimension_numbers, preferred_element_type=None
    )
    other = (b, a)[which]

    def with_nonfinite() -> Any:
        # Sums that meet an element that is not finite in a live lane take it in, the others not.
        lanes, finite, dtype = (a, b)[which], is_finite(other), other.dtype
        cleared = lanes, select(finite, other, 0)
        spread = broadcast_in_dim(live, lanes.shape, axes)
        marks = [convert_element_type(x, dtype) for x in (spread, bitwise_not(finite))]
        met = dot(*marks[:: 1 - 2 * which])
        return select(ne(met, dtype.type(0)), dot(a, b), dot(*cleared[:: 1 - 2 * which]))

    return cond(all_finite_p.bind(other), partial(dot, a, b), with_nonfinite)


def _are_few(a: Any, b: Any, numbers: Numbers) -> bool:
    (_, b_contract), (_, b_batch) = numbers
    sizes = (*a.shape, *(b.shape[i] for i in free_axes(b.ndim, b_contract, b_batch)))
    known = not any(type(n) is Size for n in sizes) and not is_half(a.dtype)
    return known and math.prod(sizes) <= _FEW_PRODUCTS


def _lane_by_lane(
    live: Any, a: Any, b: Any, numbers: Numbers, which: int, axes: tuple[int, ...]
) -> Any:
    """The sum over all pairs of lanes, each product chosen by the mask."""
    (a_contract, b_contract), (a_batch, b_batch) = numbers
    a_free = free_axes(a.ndim, a_contract, a_batch)
    b_free = free_axes(b.ndim, b_contract, b_batch)
    # Pairs are indexed as the result is, (batch, a, b), and by what is summed over.
    kept = len(a_batch) + len(a_free) + len(b_free)
    in_a = (*a_batch, *a_free, *(None,) * len(b_free), *a_contract)
    in_b = (*b_batch, *(None,) * len(a_free), *b_free, *b_contract)
    shape = tuple(
        a.shape[i] if i is not None else b.shape[j] for i, j in zip(in_a, in_b, strict=True)
    )

    def spread(x: Any, places: Sequence[int | None], own: Sequence[int]) -> Any:
        """``x``, whose axes are the axes ``own`` of a factor, for all pairs."""
        at = [places.index(i) for i in own]
        order = sorted(range(len(at)), key=at.__getitem__)
        return broadcast_in_dim(transpose(x, tuple(order)), shape, sorted(at))

    product = spread(a, in_a, range(a.ndim)) * spread(b, in_b, range(b.ndim))
    chosen = select(spread(live, (in_a, in_b)[which], axes), product, 0)
    return reduce_sum(chosen, tuple(range(kept, len(shape))))


masked_dot_general_p.derivatives(
    None,
    lambda t, ans, mask, a, b, **params: masked_dot_general_p.bind(mask, t, b, **params),
    lambda t, ans, mask, a, b, **params: masked_dot_general_p.bind(mask, a, t, **params),
)


@masked_dot_general_p.strong_transpose
def _(
    ct: Any,
    mask: Any,
    a: Any,
    b: Any,
    *,
    dimension_numbers: Numbers,
    which: int,
    taken: bool,
    axes: tuple[int, ...],
) -> list[Any]:
    lanes = (a, b)[which]
    if isinstance(lanes, Linear):
        rule = dot_general_p.rule("strong_transpose")
        of_product = {"dimension_numbers": dimension_numbers, "preferred_element_type": None}
        found = settled(rule(ct, a, b, **of_product)[which])
        live = Live.along(lambda: (mask, taken, axes), axes, lanes.aval.shape)
        strong = StrongZeros(found, live, live.choose)
        return [None, strong, None] if which == 0 else [None, None, strong]
    # What the lanes met is what the cotangent meets.
    wrt_other = wrt_rhs if which == 0 else wrt_lhs
    numbers, order = wrt_other(dimension_numbers, aval_of(a).ndim, aval_of(b).ndim)
    dtype = (b, a)[which].aval.dtype
    found = _over_lanes(numbers, order, which, dtype, lanes, (mask, taken, axes), settled(ct))
    live = Live.along(lambda: (mask, taken, axes), axes, aval_of(lanes).shape)
    shared = _shared_axes(dimension_numbers, which, aval_of(lanes).ndim)
    strong = summed_lanes(StrongZeros(lanes, live), found, shared, is_zero=True)
    return [None, None, strong] if which == 0 else [None, strong, None]


def _shared_axes(numbers: Numbers, which: int, ndim: int) -> list[int | None]:
    """Where axes of operand ``which`` are in the other one."""
    places: list[int | None] = [None] * ndim
    for axes in numbers:
        for i, j in zip(axes[which], axes[1 - which], strict=True):
            places[i] = j
    return places


@masked_dot_general_p.transpose
def _(ct: Any, *operands: Any, **params: Any) -> list[Any]:
    cts = masked_dot_general_p.rule("strong_transpose")(instantiate(ct), *operands, **params)
    return [settled(c) for c in cts]


def _over_lanes(
    numbers: Numbers,
    order: tuple[int, ...],
    which: int,
    dtype: np.dtype[Any],
    ct: Any,
    lanes: Lanes,
    other: Any,
) -> Any:
    """A cotangent, as operand ``which``, times a factor: the cotangent of an operand of a dtype."""
    mask, taken, axes = lanes
    ct, other = common_dtype(ct, other)
    a, b = (ct, other) if which == 0 else (other, ct)
    found = masked_dot_general_p.bind(
        mask, a, b, dimension_numbers=numbers, which=which, taken=taken, axes=axes
    )
    return convert_element_type(transpose(found, order), dtype)


def strong_transposed_dot(
    ct: StrongZeros, a: Any, b: Any, *, dimension_numbers: Numbers, preferred_element_type: Any
) -> list[Any]:
    """Cotangents of the operands of ``dot_general``, of which one is `Linear`."""
    params = {
        "dimension_numbers": dimension_numbers,
        "preferred_element_type": preferred_element_type,
    }
    rule, ndims = dot_general_p.rule("transpose"), (aval_of(a).ndim, aval_of(b).ndim)
    in_a, in_b = places_of_result(dimension_numbers, *ndims)
    if isinstance(a, Linear):
        over_lanes = partial(_over_lanes, *wrt_lhs(dimension_numbers, *ndims), 0, a.aval.dtype)
        wrt_a = lambda c, y: rule(c, a, y, **params)[0]  # noqa: E731
        return [strong_product(wrt_a, ct, b, in_a, in_b, over_lanes), None]
    over_lanes = partial(_over_lanes, *wrt_rhs(dimension_numbers, *ndims), 1, b.aval.dtype)
    wrt_b = lambda c, x: rule(c, x, b, **params)[1]  # noqa: E731
    return [None, strong_product(wrt_b, ct, a, in_b, in_a, over_lanes)]


@masked_dot_general_p.batch
def _(
    args: Sequence[Any],
    batched: Sequence[bool],
    axis: BatchAxis,
    *,
    dimension_numbers: Numbers,
    which: int,
    taken: bool,
    axes: tuple[int, ...],
) -> tuple[Any, bool]:
    mask, *factors = args
    has_axis = list(batched[1:])
    if batched[0] and not has_axis[which]:
        lanes = factors[which]
        shape = aval_of(lanes).shape
        factors[which] = broadcast_in_dim(lanes, (axis.size, *shape), range(1, len(shape) + 1))
        has_axis[which] = True
    numbers, at = batched_numbers(dimension_numbers, has_axis, *(aval_of(x).ndim for x in factors))
    if has_axis[which]:
        axes = ((0,) if batched[0] else ()) + tuple(i + 1 for i in axes)
    out = masked_dot_general_p.bind(
        mask, *factors, dimension_numbers=numbers, which=which, taken=taken, axes=axes
    )
    return moveaxis(out, at, 0) if at else out, True


@masked_dot_general_p.dependencies
def _(mask: Any, a: Any, b: Any, *, dimension_numbers: Numbers, **params: Any) -> Any:
    rule = dot_general_p.rule("dependencies")
    return rule(a, b, dimension_numbers=dimension_numbers, preferred_element_type=None)
