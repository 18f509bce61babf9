"""Lanes of a batch that go different ways: what is run for some of them, and on what."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from fnad.core.ir import Equation, Jaxpr, memoize, sub_jaxprs
from fnad.core.types import aval_of
from fnad.primitives.contraction import dot_general_p
from fnad.primitives.cumulative import cummax_p, cummin_p, cumprod_p, cumsum_p
from fnad.primitives.dynamic_slices import dynamic_index_in_dim, dynamic_slice_p
from fnad.primitives.indexing import gather_p
from fnad.primitives.logic import select, stop_gradient
from fnad.primitives.reductions import (
    argmax,
    reduce_and_p,
    reduce_max_p,
    reduce_min_p,
    reduce_or_p,
    reduce_sum_p,
)
from fnad.primitives.reversal import rev_p
from fnad.primitives.shape import (
    broadcast_in_dim,
    broadcast_in_dim_p,
    reshape_p,
    transpose_p,
)
from fnad.primitives.slicing import concatenate_p, pad_p, slice_p

# Work of a branch, in operations for each element that it reads or writes, up to which it is
# computed for all lanes and chosen from. A branch that may not run reads its operands from memory
# and stores its results there; computed everywhere it fuses with what is around it, and that
# traffic costs about as much as this many additions in vectors.
_FREE_WORK = 32

_REDUCTIONS = frozenset({reduce_sum_p, reduce_max_p, reduce_min_p, reduce_and_p, reduce_or_p})
_RUNNING = frozenset({cumsum_p, cumprod_p, cummax_p, cummin_p})
_MOVES = frozenset(
    {
        broadcast_in_dim_p,
        reshape_p,
        transpose_p,
        slice_p,
        pad_p,
        concatenate_p,
        rev_p,
        gather_p,
        dynamic_slice_p,
    }
)


def choose_lanes(takes: Any, x: Any, y: Any) -> Any:
    """``x`` in the lanes (along axis 0) that ``takes`` marks, ``y`` in the others."""
    return select(broadcast_in_dim(takes, aval_of(x).shape, (0,)), x, y)


def borrow_operands(takes: Any, operands: Sequence[Any], batched: Sequence[bool]) -> list[Any]:
    """Let the lanes that ``takes`` does not mark compute on what the first marked one has.

    They then do nothing that this one does not do: no loop of theirs runs longer, let alone
    forever (https://github.com/jax-ml/jax/issues/2947), and no derivative of theirs is infinite
    where its own is not. Their results have to be dropped; no derivative reaches what was
    borrowed.
    """
    if not any(batched) or aval_of(takes).shape == (1,):
        return list(operands)
    donor = argmax(takes, 0)
    return [_borrow(takes, x, donor) if b else x for x, b in zip(operands, batched, strict=True)]


def _borrow(takes: Any, x: Any, donor: Any) -> Any:
    shape = aval_of(x).shape
    given = dynamic_index_in_dim(stop_gradient(x), donor, 0, keepdims=False)
    return choose_lanes(takes, x, broadcast_in_dim(given, shape, tuple(range(1, len(shape)))))


@memoize
def may_run_forever(jaxpr: Jaxpr) -> bool:
    """Whether a program has a loop whose number of turns depends on values."""
    return any(
        eqn.primitive.name == "while" or any(map(may_run_forever, sub_jaxprs(eqn)))
        for eqn in jaxpr.eqns
    )


@memoize
def is_light(jaxpr: Jaxpr) -> bool:
    """Whether a branch costs less than keeping it from running."""
    traffic = sum(math.prod(a.shape) for a in (*jaxpr.in_avals, *jaxpr.out_avals))
    return _work(jaxpr) <= _FREE_WORK * traffic


def _work(jaxpr: Jaxpr) -> float:
    """Operations of a program; infinite if it does what takes long as a rule."""
    return sum(map(_work_of, jaxpr.eqns))


def _work_of(eqn: Equation) -> float:
    primitive = eqn.primitive
    if primitive.has_effects:
        return math.inf  # not for lanes that do not take the branch
    size = sum(math.prod(v.aval.shape) for v in eqn.outvars)
    if primitive.is_elementwise or primitive in _MOVES or not eqn.invars:
        return size
    if primitive in _REDUCTIONS:
        return math.prod(eqn.invars[0].aval.shape)
    if primitive in _RUNNING:
        return 4 * size
    if primitive is dot_general_p:
        (contracted, _), _ = eqn.params["dimension_numbers"]
        return size * math.prod(eqn.invars[0].aval.shape[axis] for axis in contracted)
    inner = list(sub_jaxprs(eqn))
    if inner and "lower_as" in primitive.rules:  # a call
        return sum(map(_work, inner))
    return math.inf
