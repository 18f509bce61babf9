"""Loops and branches: nodes that hold schedules of their own."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from fnad.core.ir import Jaxpr
from fnad.core.types import TAPE
from fnad.lowering import nodes
from fnad.lowering.expr import Expr, counter, integer, load
from fnad.lowering.plan import Branch, For, Kernel, Node, Reserve, Store, While
from fnad.lowering.tensors import Tensor, generic_index, linear
from fnad.lowering.walk import postorder

if TYPE_CHECKING:
    from fnad.lowering.planner import Planner


def _always(value: Expr) -> Callable[..., Expr]:
    return lambda index: value


def _settled(p: Planner, ts: Sequence[Tensor]) -> list[Tensor]:
    """Store what an inner schedule reads, so that it is not computed there again and again.

    Scalar constants stay lazy, as new tensors: if one gets a buffer inside the schedule, no
    other schedule may read that.
    """
    settled = []
    for t in ts:
        constant = t.at(()) if t.shape == () and not t.stored else None
        if constant is not None and constant.op == "constant":
            settled.append(p.compute((), t.dtype, _always(constant)))
        else:
            settled.append(p.materialize(t))
    return settled


def _write_carry(p: Planner, carry: Sequence[Tensor], new: Sequence[Tensor]) -> None:
    """Overwrite the carry at the end of a turn.

    No old value is overwritten before all that is computed from it is there. Where nothing but
    the new value itself reads the old one, element for element, it is updated in place.
    """
    pending = [
        (old, value)
        for old, value in zip(carry, new, strict=True)
        if not value.stored or value.buffer != old.buffer
    ]
    in_place = []
    for i, (old, value) in enumerate(pending):
        others = [v for _, v in pending[:i] + pending[i + 1 :] if not v.stored]
        if not value.stored and _updates_in_place(old, value, others):
            in_place.append((old, value))
            continue
        # A carry may hand its old value to another one; both are overwritten.
        is_carry = any(value.stored and value.buffer == c.buffer for c in carry)
        pending[i] = (old, nodes.copied(p, value) if is_carry else p.materialize(value))
    for old, value in [*in_place, *(pair for pair in pending if pair not in in_place)]:
        assert old.buffer is not None
        p.store(value, old.buffer, integer(0))


def _updates_in_place(old: Tensor, value: Tensor, others: Sequence[Tensor]) -> bool:
    index = generic_index(old.shape)
    target = linear(index, old.shape)
    for expr in postorder([value.at(index)]):
        if expr.reduces or (
            expr.op == "load" and expr.attr == old.buffer and expr.args[0] is not target
        ):
            return False
    elsewhere = postorder([v.at(generic_index(v.shape)) for v in others])
    return not any(e.op == "load" and e.attr == old.buffer for e in elsewhere)


def scan(
    p: Planner,
    body: Jaxpr,
    consts: Sequence[Tensor],
    init: Sequence[Tensor],
    xs: Sequence[Tensor],
    length: int,
    reverse: bool,
) -> list[Tensor]:
    """See `Planner.scan`."""
    consts, xs = _settled(p, consts), list(xs)
    carry = [nodes.copied(p, t) for t in init]
    num_carry = len(carry)
    ys = [p.stored((length, *a.shape), a.dtype) for a in body.out_avals[num_carry:]]
    if length == 0:
        return [*carry, *ys]
    for x in xs:
        p.materialize(x)
    number = p.new_counter()
    turn = counter(number, length)
    place = length - 1 - turn if reverse else turn
    inner: list[Node] = []
    with p.nested(inner):
        slices = [
            Tensor(
                p, x.shape[1:], x.dtype, buffer=x.buffer, base=x.base + place * (x.size // length)
            )
            for x in xs
        ]
        # Results that are there already come first: then the carry may be overwritten early.
        given = dict(zip(body.invars, [*consts, *carry, *slices], strict=True))
        stacks = list(zip(ys, body.outvars[num_carry:], strict=True))

        def stack(y: Tensor, out: Tensor) -> None:
            assert y.buffer is not None
            p.place(out, y.buffer, place * (y.size // length))

        for y, atom in stacks:
            if atom in given:
                stack(y, given[atom])
        outs = p.run(body, list(given.values()))
        for (y, atom), out in zip(stacks, outs[num_carry:], strict=True):
            if atom not in given:
                stack(y, out)
        _write_carry(p, carry, outs[:num_carry])
    p.emit(For(number, length, tuple(inner), p.origin))
    return [*carry, *ys]


def counted_scan(
    p: Planner,
    body: Jaxpr,
    count: Tensor,
    consts: Sequence[Tensor],
    init: Sequence[Tensor],
    xs: Sequence[Tensor],
    length: int,
    reverse: bool,
) -> list[Tensor]:
    """See `Planner.counted_scan`."""
    consts = _settled(p, consts)
    carry = [nodes.copied(p, t) for t in init]
    num_carry = len(carry)
    role = "tape" if length == TAPE else "temp"
    ys = [p.stored((length, *a.shape), a.dtype, role) for a in body.out_avals[num_carry:]]
    for x in xs:
        if length != TAPE:
            p.materialize(x)
    turns = _turns(p, count, xs, [y.buffer for y in ys if role == "tape" and y.buffer is not None])
    number = p.new_counter()
    turn = counter(number, length)
    inner: list[Node] = []
    with p.nested(inner):
        outs = p.run(body, [*consts, *carry, *(_row(p, x, turn) for x in xs)])
        for y, out in zip(ys, outs[num_carry:], strict=True):
            assert y.buffer is not None
            p.place(out, y.buffer, turn * math.prod(y.shape[1:]))
        _write_carry(p, carry, outs[:num_carry])
    p.emit(For(number, length, tuple(inner), p.origin, turns, reverse))
    return [*carry, *ys]


def _turns(p: Planner, count: Tensor, xs: Sequence[Tensor], tapes: Sequence[int]) -> int:
    """The buffer that says how many turns a loop makes: none, if it did not get its tapes."""
    found = postorder([x.at(generic_index(x.shape)) for x in xs])
    read = {e.attr for e in found if e.op == "load"}
    limits = [count, *dict.fromkeys(p.granted[n] for n in sorted(read) if n in p.granted)]
    least = functools.reduce(p.b.minimum, [t.at(()) for t in limits])
    turns = p.materialize(p.compute((), np.int64, _always(least))).buffer
    assert turns is not None
    if not tapes:
        return turns
    room = p.stored((), np.int64)
    assert room.buffer is not None
    p.granted.update(dict.fromkeys(tapes, room))
    p.emit(Reserve(turns, room.buffer, tuple(tapes), p.origin))
    return room.buffer


def _row(p: Planner, x: Tensor, turn: Expr) -> Tensor:
    shape = x.shape[1:]
    if x.stored:
        base = x.base + turn * math.prod(shape)
        return Tensor(p, shape, x.dtype, buffer=x.buffer, base=base)
    return p.compute(shape, x.dtype, lambda index: x.at((turn, *index)))


def while_loop(
    p: Planner,
    cond: Jaxpr,
    body: Jaxpr,
    cond_consts: Sequence[Tensor],
    body_consts: Sequence[Tensor],
    init: Sequence[Tensor],
) -> list[Tensor]:
    """See `Planner.while_loop`."""
    cond_consts, body_consts = _settled(p, cond_consts), _settled(p, body_consts)
    carry = [nodes.copied(p, t) for t in init]
    predicate, num_functions = p.new_buffer((), np.bool_), len(p.functions)
    test: list[Node] = []
    with p.nested(test):
        p.store(p.run(cond, [*cond_consts, *carry])[0], predicate, integer(0))
    inner: list[Node] = []
    with p.nested(inner):
        _write_carry(p, carry, p.run(body, [*body_consts, *carry]))
    if p.state is not None and len(p.functions) > num_functions:
        with p.nested(test):  # where a call has failed, its zeros might keep the loop from ending
            _end_after_failure(p, predicate, p.state)
    p.emit(While(tuple(test), predicate, tuple(inner), p.origin))
    return carry


def _end_after_failure(p: Planner, predicate: int, state: int) -> None:
    failed = load(state, integer(0), np.dtype(np.int64))
    goes_on = load(predicate, integer(0), np.dtype(np.bool_))
    value = p.b.bitwise_and(goes_on, p.b.equal(failed, integer(0)))
    p.emit(Kernel((), (), (Store(predicate, integer(0), value),), origin=p.origin))


def switch(
    p: Planner, index: Tensor, branches: Sequence[Jaxpr], operands: Sequence[Tensor]
) -> list[Tensor]:
    """See `Planner.switch`."""
    which = index.at(()) if index.buffer is None else None
    if which is not None and which.op == "constant":  # as that of the platform is
        return p.run(branches[min(max(int(which.attr), 0), len(branches) - 1)], operands)
    operands = _settled(p, operands)
    chosen = p.materialize(p.compute((), np.int32, lambda _: p.b.convert(index.at(()), np.int32)))
    outs = [p.stored(a.shape, a.dtype) for a in branches[0].out_avals]
    bodies = []
    for branch in branches:
        inner: list[Node] = []
        with p.nested(inner):
            for out, value in zip(outs, p.run(branch, _settled(p, operands)), strict=True):
                assert out.buffer is not None
                p.place(value, out.buffer, integer(0))
        bodies.append(tuple(inner))
    assert chosen.buffer is not None
    p.emit(Branch(chosen.buffer, tuple(bodies), p.origin))
    return outs
