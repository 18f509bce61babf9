"""Plans of programs some of whose sizes are known when they are called.

The lower rules of primitives make the same tensors and kernels as ever, of extents that may be a
`Size`. What needs numbers is left out: fusion into groups, threads, kernels of matrix products, the
places of buffers. Only primitives whose rules are known to serve all sizes are taken.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fnad.core.errors import FnadError
from fnad.core.ir import Equation, Jaxpr, sub_jaxprs
from fnad.core.sizes import Scope, Size, surely_equal, typical
from fnad.core.types import ShapedArray
from fnad.lowering.access import access, node_bodies
from fnad.lowering.costs import CHEAP, CHEAP_FAR, cost, costs_more
from fnad.lowering.dynamic_rows import row_groups
from fnad.lowering.expr import integer
from fnad.lowering.plan import Buffer, Contraction, Node, Routine, Sort
from fnad.lowering.plan_text import dynamic_plan_text
from fnad.lowering.planner import Planner
from fnad.lowering.tapes import with_releases
from fnad.lowering.tensors import Expansion, Tensor, generic_index

# Besides elementwise primitives.
_ANY_SIZE = frozenset([
    "broadcast_in_dim", "reshape", "transpose", "slice", "rev", "iota", "size", "dot_general",
    "reduce_sum", "reduce_max", "reduce_min", "reduce_prod", "reduce_and", "reduce_or",
    "argmax", "argmin", "cumsum", "cumprod", "cummax", "cummin", "cumlogsumexp", "dynamic_slice",
    "dynamic_update_slice", "optimization_barrier", "scan", "while", "cond", "sort", "windows",
    "interleave", "lay_out", "fft_passes", "counted_scan", "platform_index",
])  # fmt: skip
# Routines that take their sizes when they are called, in 32 bits.
_LAPACK = (
    "cholesky", "lu", "triangular_solve", "qr", "eigh", "svd", "schur", "triangular_sylvester",
    "routine",
)  # fmt: skip
# The axes of operands that these read inside of even where nothing of them is wanted.
_NOT_EMPTY: Mapping[str, Callable[[Equation], Sequence[int]]] = {
    "pad": lambda eqn: [
        n
        for n, c in zip(eqn.invars[0].aval.shape, eqn.params["padding_config"])
        if any(type(k) is Size or k for k in c)
    ],
    "concatenate": lambda eqn: [a.aval.shape[eqn.params["dimension"]] for a in eqn.invars],
    "gather": lambda eqn: eqn.invars[0].aval.shape[: len(eqn.invars) - 1],
    "scatter": lambda eqn: eqn.invars[0].aval.shape[: len(eqn.invars) - 2],
    **dict.fromkeys(_LAPACK, lambda eqn: [n for a in eqn.invars for n in a.aval.shape[-2:]]),
    "fold": lambda eqn: eqn.invars[0].aval.shape[-2 * len(eqn.params["shape"]) :],
}


class DynamicError(FnadError, TypeError):
    """A program of sizes that are known when it is called needs more than fnad has for such."""


@dataclass(frozen=True, slots=True)
class DynamicPlan:
    """A schedule over buffers whose shapes may have sizes.

    ``inputs``, ``constants`` and ``outputs`` are numbers of buffers; the others are temporaries:
    ``slots`` says which of them share memory, those with the same number, of the size ``nbytes``.
    To callers, ``complexes`` are arrays of complex numbers, without their last axis.
    """

    buffers: tuple[Buffer, ...]
    inputs: tuple[int, ...]
    constants: tuple[np.ndarray[Any, Any], ...]
    outputs: tuple[int, ...]
    body: tuple[Node, ...]
    slots: Mapping[int, int]
    nbytes: tuple[int, ...]
    complexes: tuple[int, ...]

    def __str__(self) -> str:
        return dynamic_plan_text(self)

    def prepared(self) -> list[Contraction | Sort | Routine]:
        """Nodes for which a call prepares words, as they are printed."""
        return _prepared(self.body)


def _prepared(nodes: Iterable[Node]) -> list[Contraction | Sort | Routine]:
    found: list[Contraction | Sort | Routine] = []
    for node in nodes:
        if isinstance(node, (Contraction, Sort, Routine)):
            found.append(node)
        for inner in node_bodies(node):
            found += _prepared(inner)
    return found


class _Planner(Planner):
    """A planner whose decisions on what is worth a buffer go by typical sizes."""

    def _store_live(self, lazy: Sequence[tuple[Tensor, int]], position: int) -> None:
        for t, last_use in lazy:
            live = last_use > position and not t.stored
            if live and costs_more(t.at(generic_index(t.shape)), CHEAP_FAR):
                self.materialize(t)

    def in_blocks(self, shape: Sequence[int], dtype: Any) -> bool:
        """How blocks divide a matrix is known only where its sizes are."""
        return False

    def _repeated(self, t: Tensor, expansion: Expansion) -> list[Tensor]:
        times: dict[Tensor, int] = {}
        for (q, _), n in expansion.reads().items():
            times[q] = times.get(q, 0) + typical(n)
        return [
            q
            for q, n in times.items()
            if typical(t.size) * n > typical(q.size)
            and q.buffer is None
            and costs_more(q.at(generic_index(q.shape)), CHEAP)
        ]

    def _order(self, q: Tensor) -> tuple[int, int]:
        return typical(q.size), -typical(cost(q.at(generic_index(q.shape))))


def plan_dynamic(jaxpr: Jaxpr, scope: Scope, types: Sequence[ShapedArray]) -> DynamicPlan:
    """Plan a simplified program; ``types`` are those of what callers pass, then of results.

    Raises
    ------
    DynamicError
        If it holds an equation that is not planned for sizes known at a call.
    """
    _check_all(jaxpr, scope)
    scope.settle()
    with scope.lowered():
        p = _Planner()
        args = [p.stored(v.aval.shape, v.aval.dtype, "input") for v in jaxpr.invars]
        results = p.run(jaxpr, args)
        outputs = []
        for t, aval in zip(results, jaxpr.out_avals, strict=True):
            outputs.append(_as_output(p, t, aval))
        constants = [t for t, _ in p.constants.values()]
        given = tuple([t.buffer for t in args if t.buffer is not None])
        inputs = (*given, *[t.buffer for t in constants if t.buffer is not None])
        body = with_releases(p.body)
        slots, nbytes = _slots(p.buffers, body)
        plan = DynamicPlan(
            tuple(p.buffers),
            inputs,
            tuple([array for _, array in p.constants.values()]),
            tuple(outputs),
            tuple(body),
            slots,
            nbytes,
            tuple([n for n, t in zip((*given, *outputs), types) if t.dtype.kind == "c"]),
        )
    for node in plan.prepared():
        if isinstance(node, Routine):
            for number in node.arguments:
                if type(number) is Size:
                    scope.ask(number, "<", 1 << 31)
    return plan


def _as_output(p: Planner, t: Tensor, aval: ShapedArray) -> int:
    """The buffer of a result: that where it lies, if it is nobody else's."""
    if t.buffer is not None:
        own = p.buffers[t.buffer]
        whole = t.base is integer(0) and surely_equal(own.size, t.size)
        if own.role == "temp" and whole and own.dtype == aval.dtype:
            p.buffers[t.buffer] = Buffer(own.number, aval.shape, aval.dtype, "output")
            return own.number
    buffer = p.new_buffer(aval.shape, aval.dtype, "output")
    if t.stored:
        p.store(t, buffer, integer(0))
    else:
        p.place(t, buffer, integer(0))
    return buffer


def _check_all(jaxpr: Jaxpr, scope: Scope) -> None:
    for eqn in jaxpr.eqns:
        _check(eqn, scope)
        for inner in sub_jaxprs(eqn):
            _check_all(inner, scope)


def _check(eqn: Equation, scope: Scope) -> None:
    """Refuse what is not known to serve all sizes; note what must not be empty."""
    name = eqn.primitive.name
    if name in _NOT_EMPTY:
        for n in _NOT_EMPTY[name](eqn):
            if type(n) is Size and scope.ask(n, "==", 0) and name == "routine":
                raise _refused(eqn, "has no code for matrices without elements")
        return
    if name in _ANY_SIZE or eqn.primitive.is_elementwise:
        return
    raise _refused(eqn, "has no code for sizes that are known only at a call")


def _refused(eqn: Equation, why: str) -> DynamicError:
    where = f" at {eqn.source.short}" if eqn.source else ""
    return DynamicError(
        f"a dynamic function cannot be compiled: {eqn.primitive.name} of"
        f" {', '.join(str(a.aval) for a in eqn.invars)}{where} {why}. Leave the function static"
        " (fnad.jit without dynamic), or move this part out of it."
    )


def _slots(
    buffers: Sequence[Buffer], body: Sequence[Node]
) -> tuple[dict[int, int], tuple[int, ...]]:
    """Which temporaries share memory: one takes that of a dead one of the same size.

    Those of kernels that run together are in use at the same time.
    """
    temps = {b.number: b for b in buffers if b.role == "temp"}
    last: dict[int, int] = {}
    groups = [[access(node).touched for node in group] for group in row_groups(body)]
    together = [frozenset().union(*touched) for touched in groups]
    for position, numbers in enumerate(together):
        last.update(dict.fromkeys(numbers, position))
    slots: dict[int, int] = {}
    sizes: list[int] = []
    free: dict[int, list[int]] = {}
    for position, numbers in enumerate(together):
        touched = sorted(n for n in numbers if n in temps)
        for number in touched:
            if number not in slots:
                size = temps[number].nbytes
                if free.get(size):
                    slots[number] = free[size].pop()
                else:
                    slots[number] = len(sizes)
                    sizes.append(size)
        for number in touched:
            if last[number] == position:
                free.setdefault(temps[number].nbytes, []).append(slots[number])
    return slots, tuple(sizes)
