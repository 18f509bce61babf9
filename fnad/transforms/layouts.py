"""Arguments whose axes lie in memory in another order than NumPy's, such as ``x.T``.

Compiled programs read dense arrays in C order. An array in Fortran's order, or with its axes moved,
is dense too, seen the right way: ``x.T`` is ``base.transpose(1, 0)`` of a base in C order. So
a program for such an argument takes the base and begins with a transposition, which the planner
folds into the places that it reads; no element is moved before the program needs it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fnad.core.ir import Atom, Equation, Jaxpr, Var, memoize
from fnad.core.types import ShapedArray
from fnad.primitives.calls import jit_p
from fnad.primitives.checkpoint import checkpoint_p
from fnad.primitives.contraction import dot_general_p
from fnad.primitives.laying_out import lay_out_p
from fnad.primitives.reductions import (
    argmax_p,
    argmin_p,
    reduce_and_p,
    reduce_max_p,
    reduce_min_p,
    reduce_or_p,
    reduce_prod_p,
    reduce_sum_p,
)
from fnad.primitives.shape import (
    broadcast_in_dim_p,
    invert_permutation,
    reshape_p,
    transpose_p,
)
from fnad.primitives.slicing import slice_p

# Smaller arrays are copied: in the time that a program of their own takes to compile, more than
# a thousand of them are.
LEAST_BYTES = 1 << 16

# The axes of an array as they lie in memory, the outermost first; None stands for C order, and for
# what is to be copied.
Order = tuple[int, ...] | None

# The orders of the leaves of a call; empty if all are None.
Layouts = tuple[Order, ...]


def layouts_of(leaves: Sequence[Any], excluded: Sequence[int] = ()) -> Layouts:
    """The orders in which the leaves of a call are read, those at some positions in C order.

    Examples
    --------
    >>> x = np.zeros((256, 128))
    >>> layouts_of([x, x.T])
    (None, (1, 0))
    >>> layouts_of([x, x[::2].T])
    ()
    """
    orders = [None if i in excluded else _order_of(leaf) for i, leaf in enumerate(leaves)]
    return () if all(order is None for order in orders) else tuple(orders)


def _order_of(leaf: Any) -> Order:
    # What is decided here must be what ``is_permuted`` of ``leaves.ll`` decides.
    if not isinstance(leaf, np.ndarray) or leaf.nbytes < LEAST_BYTES:
        return None
    flags = leaf.flags
    if flags.c_contiguous or not flags.aligned or not leaf.dtype.isnative:
        return None
    shape, strides = leaf.shape, leaf.strides
    # Axes of length 1 have any stride: they lie outermost.
    short = [axis for axis in range(leaf.ndim) if shape[axis] == 1]
    long = [axis for axis in range(leaf.ndim) if shape[axis] > 1]
    long.sort(key=lambda axis: -strides[axis])
    expected = leaf.itemsize
    for axis in reversed(long):
        if strides[axis] != expected:
            return None
        expected *= shape[axis]
    return (*short, *long)


def can_have_order(avals: Sequence[ShapedArray], excluded: Sequence[int]) -> list[int]:
    """The positions of leaves that are not too small to be read in an order of their own."""
    return [
        i
        for i, aval in enumerate(avals)
        if i not in excluded and aval.size * aval.dtype.itemsize >= LEAST_BYTES
    ]


def bases(leaves: Sequence[Any], layouts: Layouts) -> list[Any]:
    """What the program for these layouts takes in place of the leaves."""
    if not layouts:
        return list(leaves)
    return [
        leaf if order is None else np.asarray(leaf).transpose(order)
        for leaf, order in zip(leaves, layouts, strict=True)
    ]


@memoize
def with_layouts(jaxpr: Jaxpr, layouts: Layouts) -> Jaxpr:
    """A program of the bases of its last inputs.

    ::

        { lambda ; a:f32[3,2]. let         { lambda ; a:f32[2,3]. let
            b:f32[3,2] = sin a       ->        b:f32[3,2] = transpose[permutation=(1, 0)] a
          in (b,) }                            c:f32[3,2] = sin b
                                             in (c,) }

    Where something reads an input that would rather read C order, the transposition is followed
    by ``lay_out``: a copy, but made by several threads.
    """
    if not layouts:
        return jaxpr
    invars = list(jaxpr.invars)
    eqns = []
    for i, order in enumerate(layouts, len(invars) - len(layouts)):
        if order is None:
            continue
        seen, aval = invars[i], invars[i].aval
        invars[i] = base = Var(ShapedArray(tuple(aval.shape[a] for a in order), aval.dtype))
        params = {"permutation": invert_permutation(order)}
        if _followed(jaxpr, [seen]) is not None:
            eqns.append(Equation(transpose_p, (base,), (seen,), params))
        else:
            moved = Var(aval)
            eqns.append(Equation(transpose_p, (base,), (moved,), params))
            eqns.append(Equation(lay_out_p, (moved,), (seen,), {}))
    return jaxpr.replace(invars=tuple(invars), eqns=(*eqns, *jaxpr.eqns))


# What reads well along any axis: kernels choose the order of their loops, products take strides.
_ANY_ORDER = frozenset(
    {
        dot_general_p,
        reduce_sum_p,
        reduce_prod_p,
        reduce_max_p,
        reduce_min_p,
        reduce_and_p,
        reduce_or_p,
        argmax_p,
        argmin_p,
    }
)
_CALLS = frozenset({jit_p, checkpoint_p})


def _followed(jaxpr: Jaxpr, inputs: Sequence[Var]) -> list[bool] | None:
    """Which results are inputs read in an order of their own, None if those are read badly."""
    moved: set[Atom] = set(inputs)
    for eqn in jaxpr.eqns:
        if moved.isdisjoint(eqn.invars) or eqn.primitive in _ANY_ORDER:
            continue
        if eqn.primitive in _CALLS:
            inner = eqn.params["jaxpr"]
            given = [v for v, a in zip(inner.invars, eqn.invars, strict=True) if a in moved]
            flags = _followed(inner, given)
            if flags is None:
                return None
            moved.update(v for v, flag in zip(eqn.outvars, flags, strict=True) if flag)
        elif _keeps_elements_apart(eqn):
            moved.update(eqn.outvars)
        else:
            return None
    return [a in moved for a in jaxpr.outvars]


def _keeps_elements_apart(eqn: Equation) -> bool:
    """Whether an equation reads each element at most once, and axes stay axes."""
    primitive = eqn.primitive
    if primitive.is_elementwise or primitive in (transpose_p, slice_p):
        return True
    if primitive in (reshape_p, broadcast_in_dim_p):
        return _long(eqn.invars[0].aval) == _long(eqn.outvars[0].aval)
    return False


def _long(aval: ShapedArray) -> list[int]:
    """The lengths of the axes that have more than one place."""
    return [length for length in aval.shape if length != 1]
