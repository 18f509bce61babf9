"""``masked_dot_general``: sums of products to which only some lanes of one factor contribute.

The transpose of ``dot_general`` behind a select needs it (`fnad.primitives.strong_products`).
Compiled, few products are summed lane by lane; many are a product as ever while the other factor is
finite, and a branch if it is not.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from fnad.core.sizes import Size
from fnad.core.types import is_half
from fnad.primitives.batch_axes import BatchPlace
from fnad.primitives.contraction import dot_general_p
from fnad.primitives.dot_numbers import Numbers, batched_numbers, free_axes, wrt_lhs, wrt_rhs
from fnad.primitives.logic import select
from fnad.primitives.reductions import reduce_sum
from fnad.primitives.shape import broadcast_in_dim, invert_permutation, transpose
from fnad.primitives.strong_products import Bilinear, Labels, in_slots

# Up to so many products are quicker summed one by one than by a kernel and a check.
_FEW_PRODUCTS = 4096


def _labels(ndims: Sequence[int], *, dimension_numbers: Numbers, **_: Any) -> Labels:
    return _names(dimension_numbers, *ndims)


@lru_cache(maxsize=1024)
def _names(numbers: Numbers, a_ndim: int, b_ndim: int) -> Labels:
    """Axes of ``a`` are named by their numbers, those of ``b`` alone by the numbers from there."""
    (a_contract, b_contract), (a_batch, b_batch) = numbers
    in_a = tuple(range(a_ndim))
    shared = dict(zip(b_contract + b_batch, a_contract + a_batch, strict=True))
    in_b = tuple(shared.get(i, a_ndim + i) for i in range(b_ndim))
    a_free = free_axes(a_ndim, a_contract, a_batch)
    return in_a, in_b, (*a_batch, *a_free, *(i for i in in_b if i >= a_ndim))


def _batched(
    has_axis: Sequence[bool],
    size: int,
    ndims: Sequence[int],
    *,
    dimension_numbers: Numbers,
    **params: Any,
) -> tuple[dict[str, Any], list[BatchPlace | None]]:
    numbers, at = batched_numbers(dimension_numbers, has_axis[:2], *ndims)
    places = [BatchPlace(0) if has else None for has in has_axis[:2]]
    return {**params, "dimension_numbers": numbers}, [*places, BatchPlace(at)]


def _compiled(
    live: Any,
    which: int,
    axes: tuple[int, ...],
    x: Any,
    y: Any,
    wrt: int,
    *,
    shape: tuple[int, ...],
    dimension_numbers: Numbers,
    **params: Any,
) -> Any:
    """Few products are summed one by one; axes are put in order behind the branch, not in it."""
    ndims = in_slots(wrt, x.ndim, y.ndim, len(shape))[:2]
    found = _one_by_one(live, which, axes, x, y, wrt, _names(dimension_numbers, *ndims))
    if found is not None or wrt == 2:
        return found
    # Of a cotangent and rhs, or of lhs and a cotangent.
    numbers, order = (wrt_lhs, wrt_rhs)[wrt](dimension_numbers, *ndims)
    pair, lanes = ((y, x), 1 - which) if wrt == 0 else ((x, y), which)
    how = {"wrt": 2, "masked": lanes, "taken": True, "axes": axes}
    made = tuple(shape[i] for i in invert_permutation(order))
    found = masked_dot_general_p.bind(
        live, *pair, **how, shape=made, dimension_numbers=numbers, **params
    )
    return transpose(found, order)


def _one_by_one(
    live: Any, which: int, axes: tuple[int, ...], x: Any, y: Any, wrt: int, labels: Labels
) -> Any:
    """The sum over all pairs of lanes, each product chosen by the mask, if they are few."""
    in_x, in_y = (names for slot, names in enumerate(labels) if slot != wrt)
    sizes = dict(zip((*in_x, *in_y), (*x.shape, *y.shape), strict=True))
    known = not any(type(n) is Size for n in sizes.values()) and not is_half(x.dtype)
    if not known or math.prod(sizes.values()) > _FEW_PRODUCTS:
        return None
    # Pairs are indexed as the result is, and by what is summed over.
    kept = labels[wrt]
    order = (*kept, *(name for name in in_x if name not in kept))
    pairs = tuple(sizes[name] for name in order)

    def spread(v: Any, names: Sequence[int]) -> Any:
        """``v``, whose axes have these names, for all pairs."""
        at = [order.index(name) for name in names]
        permutation = tuple(sorted(range(len(at)), key=at.__getitem__))
        return broadcast_in_dim(transpose(v, permutation), pairs, sorted(at))

    product = spread(x, in_x) * spread(y, in_y)
    chosen = spread(live, [(in_x, in_y)[which][i] for i in axes])
    return reduce_sum(select(chosen, product, 0), tuple(range(len(kept), len(order))))


masked_dot = Bilinear(dot_general_p, _labels, _batched, compiled=_compiled)
masked_dot_general_p = masked_dot.masked
