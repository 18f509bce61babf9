"""Reversing the order of elements."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fnad.core.primitive import Primitive, remember
from fnad.primitives.dependencies import moves
from fnad.primitives.shape import check_axes, int_tuple
from fnad.primitives.strong_moves import all_but, moves_elements

rev_p = Primitive("rev", "Reverse the order of the elements along ``dimensions``. Any dtype.")


@rev_p.type_rule
@remember
def _(x, *, dimensions):
    check_axes("rev", "dimensions", dimensions, x.ndim)
    return x.strong()


@rev_p.evaluate
def _(x, *, dimensions):
    return np.flip(x, dimensions)


rev_p.linear()
moves_elements(rev_p, kept=lambda x, dimensions: [all_but(x.aval.ndim, dimensions)])
moves(rev_p)


@rev_p.transpose
def _(ct, x, *, dimensions):
    return [rev(ct, dimensions)]


@rev_p.batch
def _(args, batched, axis, *, dimensions):
    return rev(args[0], tuple(d + 1 for d in dimensions)), True


@rev_p.simplify
def _(eqn, definition):
    inner = definition(eqn.invars[0])
    if inner is None or inner.primitive is not rev_p:
        return None
    same = sorted(inner.params["dimensions"]) == sorted(eqn.params["dimensions"])
    return inner.invars[0] if same else None


rev_p.acts_on_parts()


@rev_p.lower
def _(p, x, *, dimensions):
    def element(index):
        return x.at(
            tuple(x.shape[d] - 1 - i if d in dimensions else i for d, i in enumerate(index))
        )

    return p.compute(x.shape, x.dtype, element)


def rev(operand: Any, dimensions: Sequence[int]) -> Any:
    """Reverse the order of the elements along ``dimensions``."""
    return rev_p.bind(operand, dimensions=int_tuple(dimensions))
