"""``counted_scan``: a scan whose number of steps is known only when it runs.

It is what reverse mode makes of `while_loop` (`fnad.primitives.control_flow.replay`); users do
not see it.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from fnad.core.interpret import eval_jaxpr
from fnad.core.ir import Jaxpr, memoize
from fnad.core.primitive import Primitive
from fnad.core.rewrites import BatchAxis, Mask
from fnad.core.tracer import apply_jaxpr, rewrite
from fnad.core.types import TAPE, ShapedArray
from fnad.primitives.control_flow.branches import cond
from fnad.primitives.control_flow.loop_dependencies import counted_pattern
from fnad.primitives.control_flow.loop_jets import scan_jet
from fnad.primitives.control_flow.scan_rules import attach_rules, stacked
from fnad.primitives.dependencies import Operand
from fnad.primitives.reductions import reduce_max
from fnad.primitives.shape import full
from fnad.primitives.subprograms import check_operands, parts

_INT64 = np.dtype(np.int64)
COUNT = ShapedArray((), _INT64)

counted_scan_p = Primitive(
    "counted_scan",
    "Loop ``count`` times, an int64 scalar that is the first operand and at most ``length``. The"
    " others, the program and the results are those of ``scan``, with ``xs`` and ``ys`` of"
    " ``length`` rows, of which only the first ``count`` are read and written; what the others"
    " hold is undefined. With ``length=TAPE``, ``xs`` and ``ys`` have room for just as many rows"
    " as there are steps; such arrays go from one counted_scan to another one, and nowhere else.",
    multiple_results=True,
)


@counted_scan_p.type_rule
def _(
    *avals: ShapedArray, jaxpr: Jaxpr, length: int, num_consts: int, num_carry: int, reverse: bool
) -> list[ShapedArray]:
    consts, carry, xs = parts(jaxpr.in_avals, num_consts, num_carry)
    expected = [COUNT, *consts, *carry, *(stacked(x, length) for x in xs)]
    check_operands("counted_scan", avals, expected)
    return [*carry, *(stacked(y, length) for y in jaxpr.out_avals[num_carry:])]


@counted_scan_p.evaluate
def _(
    count: Any,
    *args: Any,
    jaxpr: Jaxpr,
    length: int,
    num_consts: int,
    num_carry: int,
    reverse: bool,
) -> list[Any]:
    consts, carry, xs = parts(args, num_consts, num_carry)
    xs = [np.asarray(x) for x in xs]
    rows = int(count) if length == TAPE else length
    ys = [np.zeros((rows, *y.shape), y.dtype) for y in jaxpr.out_avals[num_carry:]]
    for i in reversed(range(int(count))) if reverse else range(int(count)):
        outs = eval_jaxpr(jaxpr, [*consts, *carry, *(x[i] for x in xs)])
        carry = outs[:num_carry]
        for y, out in zip(ys, outs[num_carry:], strict=True):
            y[i] = out
    carry_avals = jaxpr.in_avals[num_consts : num_consts + num_carry]
    return [*(np.asarray(c, a.dtype) for c, a in zip(carry, carry_avals)), *ys]


attach_rules(counted_scan_p, counted=True)
_batch_of_one_count = counted_scan_p.rule("batch")


@memoize
def _while_active(jaxpr: Jaxpr, num_consts: int, num_carry: int, step: int) -> Jaxpr:
    """A body that stays where it is in rows behind the last one of its own.

    It maps (number of rows, constants; row, carry; xs) to (next row, carry; ys).
    """

    def run(count: Any, *args: Any) -> list[Any]:
        consts, [row], carry, xs = parts(args, num_consts, 1, num_carry)

        def stay(*args: Any) -> list[Any]:
            zeros = [full(y.shape, 0, y.dtype) for y in jaxpr.out_avals[num_carry:]]
            return [*args[num_consts : num_consts + num_carry], *zeros]

        outs = cond(row < count, lambda *x: apply_jaxpr(jaxpr, x), stay, *consts, *carry, *xs)
        return [row + np.int64(step), *outs]

    consts, rest = parts(jaxpr.in_avals, num_consts)
    return rewrite(run, [COUNT, *consts, COUNT, *rest], "vmap")


@counted_scan_p.batch
def _(
    args: Sequence[Any],
    batched: Sequence[bool],
    axis: BatchAxis,
    *,
    jaxpr: Jaxpr,
    num_consts: int,
    num_carry: int,
    reverse: bool,
    **params: Any,
) -> tuple[list[Any], Mask]:
    params |= {"reverse": reverse}
    if not batched[0]:
        params |= {"jaxpr": jaxpr, "num_consts": num_consts, "num_carry": num_carry}
        return _batch_of_one_count(args, batched, axis, **params)
    # All run as long as the longest one does.
    most = reduce_max(args[0], (0,)) if axis.size else np.int64(0)
    counts, consts, rest = parts(args, 1, num_consts)
    _, consts_b, rest_b = parts(batched, 1, num_consts)
    first = most - np.int64(1) if reverse else np.int64(0)
    outs, outs_b = _batch_of_one_count(
        [most, *counts, *consts, first, *rest],
        [False, True, *consts_b, False, *rest_b],
        axis,
        jaxpr=_while_active(jaxpr, num_consts, num_carry, -1 if reverse else 1),
        num_consts=num_consts + 1,
        num_carry=num_carry + 1,
        **params,
    )
    return outs[1:], outs_b[1:]


@counted_scan_p.dependencies
def _(*operands: Operand, reverse: bool, **params: Any) -> list[Operand]:
    return counted_pattern(operands, **params)


@counted_scan_p.jet
def _(
    primals: Sequence[Any], series: Sequence[list[Any] | None], order: int, **params: Any
) -> tuple[list[Any], list[list[Any] | None]]:
    bind = partial(counted_scan_p.bind, primals[0])
    return scan_jet(bind, primals[1:], series[1:], order, **params)


@counted_scan_p.lower
def _(
    p: Any,
    count: Any,
    *tensors: Any,
    jaxpr: Jaxpr,
    length: int,
    num_consts: int,
    num_carry: int,
    reverse: bool,
) -> list[Any]:
    consts, carry, xs = parts(tensors, num_consts, num_carry)
    return p.counted_scan(jaxpr, count, consts, carry, xs, length, reverse)
