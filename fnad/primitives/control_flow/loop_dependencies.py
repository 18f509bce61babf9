"""Which inputs the results of loops and branches depend on.

A loop that is short is followed turn by turn, so that what is known in each of them, such as its
number and the elements that it picks by it, counts. Of a longer one a turn stands for all.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fnad.core.ir import Jaxpr
from fnad.core.rewrites import BatchAxis, get_rewrites
from fnad.core.types import TAPE
from fnad.primitives.dependencies import (
    Operand,
    Pattern,
    dense_pattern,
    mixed,
    numbers,
    propagate,
    rows,
    spread,
    union,
)
from fnad.primitives.subprograms import every, none, parts

# Turns times equations of the body, up to which turns are followed one by one: some seconds.
MOST_STEPS = 20_000
# Rounds after which a carry that still gets more dependencies gets all of them.
_MOST_ROUNDS = 32


def branches_pattern(
    index: Operand, operands: Sequence[Operand], branches: tuple[Jaxpr, ...]
) -> list[Operand]:
    """A known branch; of an unknown one, what any of them depends on."""
    if index.value is not None:
        taken = branches[min(max(int(index.value), 0), len(branches) - 1)]
        return propagate(taken, operands)
    found = [propagate(b, operands) for b in branches]
    return [Operand(outs[0].aval, None, union(o.pattern for o in outs)) for outs in zip(*found)]


def while_pattern(
    operands: Sequence[Operand],
    cond_jaxpr: Jaxpr,
    body_jaxpr: Jaxpr,
    cond_nconsts: int,
    body_nconsts: int,
) -> list[Operand]:
    """Turn by turn while the condition is known, then until nothing is added."""
    cond_consts, consts, carry = parts(operands, cond_nconsts, body_nconsts)
    for _ in range(MOST_STEPS // (1 + len(body_jaxpr.eqns))):
        (going,) = propagate(cond_jaxpr, [*cond_consts, *carry])
        if going.value is None:
            break
        if not going.value:
            return carry
        carry = propagate(body_jaxpr, [*consts, *carry])
    return _settled_carry(body_jaxpr, consts, carry, [])


def _settled_carry(
    body: Jaxpr, consts: Sequence[Operand], carry: Sequence[Operand], xs: Sequence[Operand]
) -> list[Operand]:
    """A carry that holds whatever number of turns is taken, with unknown values."""
    carry = [Operand(c.aval, None, c.pattern) for c in carry]
    for _ in range(_MOST_ROUNDS):
        after = propagate(body, [*consts, *carry, *xs])[: len(carry)]
        joined = [union((c.pattern, a.pattern)) for c, a in zip(carry, after, strict=True)]
        if all(map(_same_size, joined, (c.pattern for c in carry))):
            return carry
        carry = [Operand(c.aval, None, p) for c, p in zip(carry, joined)]
    everything = [*consts, *carry, *xs]
    return [
        c if c.pattern is None else Operand(c.aval, None, dense_pattern(everything, c.aval.shape))
        for c in carry
    ]


def _same_size(a: Pattern | None, b: Pattern | None) -> bool:
    return (0 if a is None else a.nnz) == (0 if b is None else b.nnz)


def scan_pattern(
    operands: Sequence[Operand],
    jaxpr: Jaxpr,
    length: int,
    reverse: bool,
    num_consts: int,
    num_carry: int,
) -> list[Operand]:
    """Turn by turn, or, where there are many turns, all of them at once as a batch."""
    consts, carry, xs = parts(operands, num_consts, num_carry)
    if length * len(jaxpr.eqns) <= MOST_STEPS:
        return _unrolled(jaxpr, length, reverse, consts, carry, xs)
    slices = [Operand(v.aval, None, _any_slice(x)) for v, x in zip(jaxpr.invars[-len(xs) :], xs)]
    carry = _settled_carry(jaxpr, consts, carry, slices if xs else [])
    count = len(jaxpr.outvars)
    batched = (*none(num_consts + num_carry), *every(len(xs)))
    program, _ = get_rewrites().batch(jaxpr, BatchAxis(length), batched, every(count))
    return [*carry, *propagate(program, [*consts, *carry, *xs])[num_carry:]]


def counted_pattern(
    operands: Sequence[Operand], jaxpr: Jaxpr, length: int, num_consts: int, num_carry: int
) -> list[Operand]:
    """Of a number of turns that nobody knows, a turn stands for all.

    A tape, whose length nobody knows either, has the pattern of any of its slices.
    """
    _, consts, carry, xs = parts(operands, 1, num_consts, num_carry)
    types = [v.aval for v in jaxpr.invars[num_consts + num_carry :]]
    slices = [
        Operand(a, None, x.pattern if length == TAPE else _any_slice(x)) for a, x in zip(types, xs)
    ]
    carry = _settled_carry(jaxpr, consts, carry, slices)
    ys = []
    for y in propagate(jaxpr, [*consts, *carry, *slices])[num_carry:]:
        aval = y.aval.update((length, *y.aval.shape)).strong()
        one = (1, *y.aval.shape)
        pattern = y.pattern if length == TAPE else spread(y.pattern, one, aval.shape)
        ys.append(Operand(aval, None, pattern))
    return [*carry, *ys]


def _any_slice(x: Operand) -> Pattern | None:
    one = (1, *x.aval.shape[1:])
    return mixed(x, one, (0,))


def _unrolled(
    jaxpr: Jaxpr,
    length: int,
    reverse: bool,
    consts: Sequence[Operand],
    carry: Sequence[Operand],
    xs: Sequence[Operand],
) -> list[Operand]:
    num_carry = len(carry)
    turns = range(length)
    ys: list[list[Operand]] = []
    for i in reversed(turns) if reverse else turns:
        outs = propagate(jaxpr, [*consts, *carry, *(_slice(x, i) for x in xs)])
        carry = outs[:num_carry]
        ys.append(outs[num_carry:])
    if reverse:
        ys.reverse()
    stacked = [_stack(list(column)) for column in zip(*ys)]
    if not ys:
        stacked = [Operand(v.aval.update((0, *v.aval.shape))) for v in jaxpr.outvars[num_carry:]]
    return [*carry, *stacked]


def _slice(x: Operand, i: int) -> Operand:
    aval = x.aval.update(x.aval.shape[1:])
    value = None if x.value is None else np.asarray(x.value)[i]
    pattern = None
    if x.pattern is not None:
        pattern = rows(x.pattern, numbers(aval.shape) + i * aval.size)
    return Operand(aval, value, pattern)


def _stack(slices: list[Operand]) -> Operand:
    import scipy.sparse as sp

    aval = slices[0].aval.update((len(slices), *slices[0].aval.shape)).strong()
    if all(s.value is not None for s in slices):
        return Operand(aval, np.stack([np.asarray(s.value, aval.dtype) for s in slices]))
    given = [s.pattern for s in slices if s.pattern is not None]
    if not given:
        return Operand(aval)
    empty = sp.csr_array((slices[0].aval.size, given[0].shape[1]), dtype=bool)
    blocks = [empty if s.pattern is None else s.pattern for s in slices]
    return Operand(aval, None, sp.vstack(blocks, "csr"))
