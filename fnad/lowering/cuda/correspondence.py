"""The points of one loop nest as those of another one that runs through the same elements."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from fnad.lowering.expr import Expr, affine_parts, axis, integer
from fnad.lowering.plan import Matrix
from fnad.lowering.tensors import unravel
from fnad.lowering.walk import rebuild

Axes = Sequence[tuple[int, int]]


def axes_at(offset: Expr, axes: Axes, place: Expr) -> Mapping[Expr, Expr] | None:
    """The loop variables of ``axes`` for which ``offset`` is ``place``.

    None if the variables do not name every element of a dense array exactly once, or if ``place``
    may be outside of it. With ``offset`` ``i0 + 4*i1`` for ``i0<4, i1<3``, it gives ``i0`` as
    ``place % 4`` and ``i1`` as ``place / 4``.
    """
    terms, constant = affine_parts(offset)
    variables = {axis(*a): a[1] for a in axes}
    found: dict[Expr, Expr] = {v: integer(0) for v, extent in variables.items() if extent == 1}
    order = sorted((v for v in variables if v not in found), key=lambda v: -terms.get(v, 0))
    if any(t not in variables for t in terms) or not is_dense(
        [(terms.get(v, 0), variables[v]) for v in order]
    ):
        return None
    extents = tuple([variables[v] for v in order])
    place = place - integer(constant)
    if place.bounds is None or place.bounds[0] < 0 or place.bounds[1] >= math.prod(extents):
        return None
    found.update(zip(order, unravel(place, extents)))
    return found


def is_dense(axes: Sequence[tuple[int, int]]) -> bool:
    """Whether axes, pairs of stride and extent, outermost first, run through a dense array."""
    following = 1
    for stride, extent in reversed(axes):
        if stride != following:
            return False
        following *= extent
    return True


def at_points(exprs: Sequence[Expr], variables: Mapping[Expr, Expr]) -> list[Expr]:
    """Expressions with loop variables replaced."""
    return rebuild(exprs, variables.get)


def matrix_at(buffer: int, offset: Expr, index: Sequence[Expr]) -> Matrix | None:
    """The matrices whose element ``index`` lies at ``offset``, if strides say where that is."""
    terms, constant = affine_parts(offset)
    strides = tuple([terms.pop(i, 0) for i in index])
    if any(term.op != "counter" for term in terms):
        return None
    base = integer(constant)
    for term, c in terms.items():
        base = base + term * c
    return Matrix(buffer, base, strides)
