"""Loops whose results a select took in some lanes only: ``scan``, transposed with masks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from fnad.core.ir import Jaxpr, memoize
from fnad.core.primitive import Linear, Primitive, Zero, instantiate
from fnad.core.rewrites import Mask, MaskAxes, get_rewrites
from fnad.core.tracer import apply_jaxpr, rewrite
from fnad.core.types import TAPE, ShapedArray, aval_of
from fnad.primitives.accumulation import accumulate_in_place
from fnad.primitives.logic import bitwise_or
from fnad.primitives.shape import full
from fnad.primitives.strong_lanes import mask_along, mask_of
from fnad.primitives.strong_zeros import StrongZeros, mask_and_axes, settled
from fnad.primitives.subprograms import every, merge, nonzero_mask, parts, split, with_masks

_Axes = tuple[int, ...]


class _Step(NamedTuple):
    """A step of a backward loop that follows strong zeros, and what has masks behind it.

    The masks of carries, and those of constants so far, are carries behind the cotangents; the
    masks of the cotangents of ys are xs, and those of the linear xs are ys, in the same way.
    """

    body: Jaxpr
    consts: MaskAxes
    carry: MaskAxes
    xs: MaskAxes


def strong_transposed_loop(
    loop: Primitive,
    num_counts: int,
    cts: Sequence[Any],
    operands: Sequence[Any],
    *,
    jaxpr: Jaxpr,
    reverse: bool,
    num_consts: int,
    num_carry: int,
    **params: Any,
) -> list[Any]:
    """Transpose a loop, linear in all its carries; the masks go through its steps.

    A mask has as few axes as tell the lanes apart: of rows that were left out, one element each.
    """
    counts, operands = operands[:num_counts], operands[num_counts:]
    linear = tuple(isinstance(x, Linear) for x in operands)
    ct_carry, ct_ys = parts(cts, num_carry)
    ys_nz = nonzero_mask(ct_ys)
    given_ys = split(ys_nz, ct_ys)[1]
    carried = [_lanes_of_carry(ct) for ct in ct_carry]
    stacked = [_lanes_of_rows(ct) for ct in given_ys]
    _, carry_lin, xs_lin = parts(linear, num_consts, num_carry)
    step = _strong_step(
        jaxpr,
        num_consts,
        num_carry,
        (*linear[:num_consts], *every(num_carry), *xs_lin),
        ys_nz,
        tuple(axes for _, axes in carried),
        tuple(axes for _, axes in stacked),
    )
    consts, carry, xs = parts(operands, num_consts, num_carry)
    res_consts, lin_consts = split(linear[:num_consts], consts)
    res_xs = split(xs_lin, xs)[0]
    init = [
        *(instantiate(Zero(x.aval.strong())) for x in lin_consts),
        *(instantiate(settled(ct)) for ct in ct_carry),
        *_nowhere([x.aval for x in lin_consts], step.consts),
        *(
            mask_along(mask, axes, wanted, aval_of(x).shape)
            for (mask, axes), wanted, x in zip(carried, step.carry, carry, strict=True)
            if axes is not None and wanted is not None
        ),
    ]
    results = loop.bind(
        *counts,
        *res_consts,
        *init,
        *res_xs,
        *map(settled, given_ys),
        *(mask for mask, _ in stacked if mask is not None),
        jaxpr=step.body,
        reverse=not reverse,
        num_consts=len(res_consts),
        num_carry=len(init),
        **params,
    )
    ct_consts, ct_init, seen, masks, ct_xs, masks_xs = parts(
        results, len(lin_consts), num_carry, _count(step.consts), _count(step.carry), sum(xs_lin)
    )
    ct_consts = with_masks(ct_consts, step.consts, iter(seen))
    ct_init = with_masks(ct_init, step.carry, iter(masks))
    ct_xs = with_masks(ct_xs, tuple(map(_stacked, step.xs)), iter(masks_xs))
    return [
        *(None for _ in counts),
        *merge(linear[:num_consts], [None] * len(res_consts), ct_consts),
        *(ct if lin else None for ct, lin in zip(ct_init, carry_lin)),
        *merge(xs_lin, [None] * len(res_xs), ct_xs),
    ]


def _count(lives: MaskAxes) -> int:
    return sum(axes is not None for axes in lives)


def _stacked(axes: _Axes | None) -> _Axes | None:
    """The axes of the masks of all steps."""
    return None if axes is None else (0, *(i + 1 for i in axes))


def _lanes_of_carry(ct: Any) -> tuple[Any, _Axes | None]:
    if isinstance(ct, Zero):
        return np.False_, ()
    return mask_and_axes(ct) if type(ct) is StrongZeros else (None, None)


def _lanes_of_rows(ct: Any) -> tuple[Any, _Axes | None]:
    """The masks of a cotangent of ``ys``, one a step, and the axes of one of them."""
    if type(ct) is not StrongZeros:
        return None, None
    mask, axes = mask_and_axes(ct)
    if 0 not in axes:
        if ct.aval.shape[0] == TAPE:  # of how many rows it is, is not known here
            return None, None
        mask, axes = mask_along(mask, axes, (0, *axes), ct.aval.shape), (0, *axes)
    return mask, tuple(i - 1 for i in axes[1:])


def _nowhere(avals: Sequence[ShapedArray], lives: MaskAxes) -> list[Any]:
    """Masks of no lanes."""
    return [
        full(mask_of(aval.shape, axes).shape, False)
        for aval, axes in zip(avals, lives, strict=True)
        if axes is not None
    ]


@memoize
def _strong_step(
    jaxpr: Jaxpr,
    num_consts: int,
    num_carry: int,
    linear: Mask,
    ys_nz: Mask,
    carry_lives: MaskAxes,
    ys_lives: MaskAxes,
) -> _Step:
    """A step back, for cotangents that have masks of some of their axes.

    Carries keep their mask if a step gives them one, perhaps one of more axes; a step is
    transposed until that is settled.
    """
    const_lin, _, xs_lin = parts(linear, num_consts, num_carry)
    num_ct_consts = sum(const_lin)
    avals = [v.aval.strong() for v in jaxpr.invars]
    consts, carry, xs = parts(avals, num_consts, num_carry)
    (res_consts, ct_consts), (res_xs, ct_xs) = split(const_lin, consts), split(xs_lin, xs)
    ys = split(ys_nz, [a.strong() for a in jaxpr.out_avals[num_carry:]])[1]
    of_ys = iter(ys_lives)
    all_ys = [next(of_ys) if nz else None for nz in ys_nz]
    while True:
        program, nonzero_in, live_in = get_rewrites().strong_transpose(
            jaxpr, linear, (*every(num_carry), *ys_nz), (*carry_lives, *all_ys)
        )
        # What gets no cotangent is zero in all lanes.
        made = tuple(axes if nz else () for axes, nz in zip(live_in, nonzero_in, strict=True))
        const_lives, still, xs_lives = map(tuple, parts(made, num_ct_consts, num_carry))
        kept = tuple(map(_joined_axes, carry_lives, still))
        if kept == carry_lives:
            break
        carry_lives = kept

    wanted: MaskAxes = (*const_lives, *carry_lives, *xs_lives)
    in_cts = [*ct_consts, *carry, *ct_xs]
    given = [
        res_consts, ct_consts, carry,
        _types(ct_consts, const_lives), _types(carry, carry_lives),
        res_xs, ys, _types(ys, ys_lives),
    ]  # fmt: skip

    def run(*args: Any) -> list[Any]:
        groups = parts(args, *map(len, given))
        res_c, totals, ct_carry, masks_so_far, masks, res_x, ct_ys, masks_ys, _ = groups
        results = iter(apply_jaxpr(program, [*res_c, *res_x, *ct_carry, *ct_ys, *masks, *masks_ys]))
        cts = [
            next(results) if nz else full(a.shape, 0, a.dtype)
            for nz, a in zip(nonzero_in, in_cts, strict=True)
        ]
        lanes = [next(results) if axes is not None else np.False_ for axes in live_in]
        grown = [
            mask_along(mask, () if axes is None else axes, want, a.shape)
            for mask, axes, want, a in zip(lanes, live_in, wanted, in_cts, strict=True)
            if want is not None
        ]
        new_so_far, new_masks, xs_made = parts(grown, _count(const_lives), _count(carry_lives))
        return [
            *(total + ct for total, ct in zip(totals, cts)),
            *cts[num_ct_consts : num_ct_consts + num_carry],
            *(bitwise_or(a, b) for a, b in zip(masks_so_far, new_so_far, strict=True)),
            *new_masks,
            *cts[num_ct_consts + num_carry :],
            *xs_made,
        ]

    body = rewrite(run, [a for group in given for a in group], "transposition of scan")
    return _Step(accumulate_in_place(body), const_lives, carry_lives, xs_lives)


def _joined_axes(a: _Axes | None, b: _Axes | None) -> _Axes | None:
    return None if a is None or b is None else tuple(sorted({*a, *b}))


def _types(avals: Sequence[ShapedArray], lives: MaskAxes) -> list[ShapedArray]:
    return [
        mask_of(a.shape, axes) for a, axes in zip(avals, lives, strict=True) if axes is not None
    ]
