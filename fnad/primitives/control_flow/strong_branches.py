"""Branches whose results a select took in some lanes only: ``cond``, transposed with masks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fnad.core.ir import Jaxpr, memoize
from fnad.core.primitive import Linear, Primitive, Zero, instantiate
from fnad.core.rewrites import Mask, get_rewrites
from fnad.core.tracer import apply_jaxpr, rewrite
from fnad.core.types import ShapedArray, aval_of
from fnad.primitives.shape import full
from fnad.primitives.strong_zeros import StrongZeros, given_zeros, settled
from fnad.primitives.subprograms import joined, merge, nonzero_mask, split

_Lives = tuple[ShapedArray | None, ...]


def strong_transposed_cond(
    cond: Primitive, cts: Sequence[Any], index: Any, operands: Sequence[Any], branches: Any
) -> list[Any]:
    """Transpose a ``cond``; operands have masks that every branch gives one, or no cotangent."""
    if not any(type(ct) is StrongZeros for ct in cts):
        cotangents: list[Any] = cond.rule("transpose")(cts, index, *operands, branches=branches)
        return cotangents
    linear = tuple(isinstance(x, Linear) for x in operands)
    others = split(linear, operands)[0]
    nonzero = nonzero_mask(cts)
    masks = [ct.live.mask() if type(ct) is StrongZeros else None for ct in cts]
    lives = tuple(None if m is None else aval_of(m) for m in masks)
    strong_transpose = get_rewrites().strong_transpose
    found = [strong_transpose(b, linear, nonzero, lives) for b in branches]
    nonzero_in = joined([nz for _, nz, _ in found])
    strong_in = tuple(
        all(live or not nz for nz, live in zip(nzs, live_in))
        for nzs, live_in in zip(
            zip(*(nz for _, nz, _ in found)), zip(*(live for _, _, live in found)), strict=True
        )
    )
    programs = tuple(_branch(b, linear, nonzero, lives, nonzero_in, strong_in) for b in branches)
    given = [instantiate(settled(ct)) for ct in split(nonzero, cts)[1]]
    args = [*others, *given, *(m for m in masks if m is not None)]
    results = iter(cond.bind(index, *args, branches=programs))
    made = [next(results) if nz else None for nz in nonzero_in]
    strong = [
        given_zeros(ct, next(results)) if ct is not None and has else ct
        for ct, has in zip(made, strong_in, strict=True)
    ]
    return [None, *merge(linear, [None] * len(others), strong)]


@memoize
def _branch(
    branch: Jaxpr,
    linear: Mask,
    nonzero: Mask,
    lives: _Lives,
    nonzero_in: Mask,
    strong_in: Mask,
) -> Jaxpr:
    """One branch, transposed, with the results that all branches have."""
    program, own_nonzero, own_live = get_rewrites().strong_transpose(branch, linear, nonzero, lives)
    avals = [a.strong() for a in split(linear, branch.in_avals)[1]]

    def run(*args: Any) -> list[Any]:
        results = iter(apply_jaxpr(program, list(args)))
        cts = [next(results) if nz else Zero(a) for nz, a in zip(own_nonzero, avals)]
        masks = [next(results) if live else np.False_ for live in own_live]
        whole = [
            m if aval_of(m).shape == a.shape else full(a.shape, m) for m, a in zip(masks, avals)
        ]
        kept = [instantiate(ct) for ct, nz in zip(cts, nonzero_in) if nz]
        wanted = zip(whole, nonzero_in, strong_in, strict=True)
        return [*kept, *(m for m, nz, strong in wanted if nz and strong)]

    return rewrite(run, program.in_avals, "transposition of a branch")
