"""From a simplified program to a plan: its nodes, the passes over them, and memory.

The `Planner` makes nodes of the equations; each pass takes nodes and returns the next ones.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from fnad.core.ir import Jaxpr
from fnad.core.types import ShapedArray
from fnad.lowering.buffers import place
from fnad.lowering.carries import settle_carries
from fnad.lowering.donation import update_in_place
from fnad.lowering.expr import integer
from fnad.lowering.factorizations import split_factorizations
from fnad.lowering.forwarding import forward_stores
from fnad.lowering.fusion import fuse
from fnad.lowering.groups import group
from fnad.lowering.host_calls import STATE_WORDS
from fnad.lowering.long_sorts import split_sorts
from fnad.lowering.panels import packed_before_loops
from fnad.lowering.plan import ArrayType, Buffer, Interface, Node, Plan
from fnad.lowering.planner import Planner
from fnad.lowering.products import arrange_products, rows_as_sums
from fnad.lowering.short_rows import join_short_rows
from fnad.lowering.splitting import split_reductions
from fnad.lowering.symmetric import halve_symmetric
from fnad.lowering.tapes import with_releases
from fnad.lowering.target import CPU, Target
from fnad.lowering.tensors import Tensor


def plan_jaxpr(
    jaxpr: Jaxpr,
    donated: Sequence[int] = (),
    watch: Callable[[Node], None] | None = None,
    target: Target = CPU,
    interface: Interface | None = None,
) -> Plan:
    """Plan a program (simplified: without ``lower_as`` primitives and calls).

    Outputs may be computed in the memory of the inputs at the positions ``donated``. ``watch`` is
    told of each node at once, long before the plan is complete; later passes may change nodes.
    ``target`` is what the plan is for, ``interface`` that of the plan.
    """
    p = Planner(watch, target.platform)
    args = [p.stored(v.aval.shape, v.aval.dtype, "input") for v in jaxpr.invars]
    results = p.run(jaxpr, args)
    outputs = tuple(_output(p, t, aval) for t, aval in zip(results, jaxpr.out_avals, strict=True))
    inputs = tuple(t.buffer for t in (*args, *(t for t, _ in p.constants.values())))
    constants = tuple(array for _, array in p.constants.values())
    if p.state is not None:
        inputs, constants = (*inputs, p.state), (*constants, np.zeros(STATE_WORDS, np.int64))
    body = arrange_products(p.body, p.buffers, p.new_buffer)
    if target is CPU:
        body = split_sorts(rows_as_sums(body), p.buffers, p.new_buffer)
    body = split_reductions(body, p.new_buffer, target)
    given = [inputs[i] for i in donated]
    types = _callers_types(p.buffers, interface, inputs, outputs)  # type: ignore[arg-type]
    body, outputs = update_in_place(
        forward_stores(fuse(body, p.buffers), p.buffers),
        p.buffers,
        given,  # type: ignore[arg-type]
        outputs,
        types,
        partial(settle_carries, branches=target.cheap_branches),
    )
    joined = join_short_rows(body, p.buffers, target.short_rows)
    grouped = group(joined, p.buffers, p.new_buffer, target)
    if target is CPU:
        grouped = split_factorizations(grouped, p.new_buffer)
        grouped = halve_symmetric(packed_before_loops(grouped, p.new_buffer))
    schedule = tuple(with_releases(grouped))
    buffers, arena = place(p.buffers, schedule)
    return Plan(
        buffers,
        inputs,  # type: ignore[arg-type]
        outputs,
        schedule,
        arena,
        constants,
        interface,
        tuple(p.functions),
    )


def _callers_types(
    buffers: Sequence[Buffer],
    interface: Interface | None,
    inputs: Sequence[int],
    outputs: Sequence[int],
) -> dict[int, ArrayType]:
    """The types that inputs and outputs have to the caller, by their buffers."""
    if interface is None:
        return {n: (buffers[n].shape, buffers[n].dtype) for n in (*inputs, *outputs)}
    return {**dict(zip(inputs, interface[0])), **dict(zip(outputs, interface[1]))}


def _output(p: Planner, t: Tensor, aval: ShapedArray) -> int:
    """The buffer of an output: the result's own one if it is free for it, else a fresh one."""
    if t.stored and t.base is integer(0):
        assert t.buffer is not None
        own = p.buffers[t.buffer]
        if own.role == "temp" and own.size == t.size:
            p.buffers[t.buffer] = Buffer(own.number, aval.shape, own.dtype, "output")
            return own.number
    buffer = p.new_buffer(aval.shape, aval.dtype, "output")
    p.place(t, buffer, integer(0))
    return buffer
