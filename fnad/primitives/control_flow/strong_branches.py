"""Branches whose results a select took in some lanes only: ``cond``, transposed with masks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fnad.core.ir import Jaxpr, memoize
from fnad.core.primitive import Linear, Primitive, Zero, instantiate
from fnad.core.rewrites import Mask, MaskAxes, get_rewrites
from fnad.core.tracer import apply_jaxpr, rewrite
from fnad.primitives.strong_lanes import mask_along
from fnad.primitives.strong_zeros import StrongZeros, settled
from fnad.primitives.subprograms import (
    joined,
    makes_zeros,
    masks_of,
    merge,
    nonzero_mask,
    split,
    with_masks,
)


def strong_transposed_cond(
    cond: Primitive, cts: Sequence[Any], index: Any, operands: Sequence[Any], branches: Any
) -> list[Any]:
    """Transpose a ``cond``; operands have masks that every branch gives one, or no cotangent."""
    if not any(type(ct) is StrongZeros for ct in cts) and not any(map(makes_zeros, branches)):
        cotangents: list[Any] = cond.rule("transpose")(cts, index, *operands, branches=branches)
        return cotangents
    linear = tuple(isinstance(x, Linear) for x in operands)
    others = split(linear, operands)[0]
    nonzero = nonzero_mask(cts)
    masks, lives = masks_of(cts)
    strong_transpose = get_rewrites().strong_transpose
    found = [strong_transpose(b, linear, nonzero, lives) for b in branches]
    nonzero_in = joined([nz for _, nz, _ in found])
    strong_in = tuple(
        _axes_in_all([live if nz else () for live, nz in each]) if wanted else None
        for wanted, *each in zip(nonzero_in, *(zip(live, nz) for _, nz, live in found), strict=True)
    )
    programs = tuple(_branch(b, linear, nonzero, lives, nonzero_in, strong_in) for b in branches)
    given = [instantiate(settled(ct)) for ct in split(nonzero, cts)[1]]
    results = iter(cond.bind(index, *others, *given, *masks, branches=programs))
    made = [next(results) if nz else None for nz in nonzero_in]
    strong = with_masks(made, strong_in, results)
    return [None, *merge(linear, [None] * len(others), strong)]


def _axes_in_all(lives: Sequence[tuple[int, ...] | None]) -> tuple[int, ...] | None:
    """The axes of a mask that all branches can give a cotangent; None if one gives it none."""
    axes: set[int] = set()
    for live in lives:
        if live is None:
            return None
        axes.update(live)
    return tuple(sorted(axes))


@memoize
def _branch(
    branch: Jaxpr,
    linear: Mask,
    nonzero: Mask,
    lives: MaskAxes,
    nonzero_in: Mask,
    strong_in: MaskAxes,
) -> Jaxpr:
    """One branch, transposed, with the results that all branches have."""
    program, own_nonzero, own_live = get_rewrites().strong_transpose(branch, linear, nonzero, lives)
    avals = [a.strong() for a in split(linear, branch.in_avals)[1]]

    def run(*args: Any) -> list[Any]:
        results = iter(apply_jaxpr(program, list(args)))
        cts = [next(results) if nz else Zero(a) for nz, a in zip(own_nonzero, avals)]
        masks = [np.False_ if live is None else next(results) for live in own_live]
        kept = [instantiate(ct) for ct, nz in zip(cts, nonzero_in) if nz]
        return [
            *kept,
            *(
                mask_along(mask, () if live is None else live, wanted, aval.shape)
                for mask, live, wanted, aval in zip(masks, own_live, strong_in, avals, strict=True)
                if wanted is not None
            ),
        ]

    return rewrite(run, program.in_avals, "transposition of a branch")
