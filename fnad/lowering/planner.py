"""From equations to the nodes of a plan: what is inlined, what gets a buffer.

Pull model: the lower rule of an equation makes lazy tensors, which are inlined into the kernel
of whoever reads them. The planner gives a tensor a buffer if it must (outputs, operands of
matrix products, sorts, loops) or if it would be computed more than once at some cost.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from fnad.core.errors import InternalError
from fnad.core.ir import Atom, Jaxpr, Literal
from fnad.core.types import ShapedArray, computing_dtype
from fnad.lowering import blocks, nodes
from fnad.lowering.costs import (
    CHEAP,
    CHEAP_FAR,
    FAR_BYTES,
    MAX_EXPRESSIONS,
    cheap_at,
    cost,
    costs_more,
    operations,
)
from fnad.lowering.expr import B, Expr, Reduce, integer, reduce
from fnad.lowering.factorizations import in_blocks
from fnad.lowering.host_calls import HostFunction
from fnad.lowering.kernels import build_kernel
from fnad.lowering.plan import (
    Buffer,
    Node,
    Origin,
    Store,
    Workspace,
)
from fnad.lowering.sharing import last_uses, shared_variables
from fnad.lowering.tensors import (
    Expansion,
    Index,
    Part,
    Tensor,
    generic_axes,
    generic_index,
    linear,
    unravel,
)

# Numbers of reduced axes start here while kernels are being built; kernels are renumbered.
_FIRST_REDUCED_AXIS = 1000
FLOAT32 = np.dtype(np.float32)


class Planner:
    """What the lower rules of primitives call; collects buffers and the schedule."""

    b = B

    def __init__(self, watch: Callable[[Node], None] | None = None, platform: str = "cpu") -> None:
        self._watch = watch
        self.platform = platform
        self.buffers: list[Buffer] = []
        self.body: list[Node] = []
        self.constants: dict[int, tuple[Tensor, np.ndarray[Any, Any]]] = {}
        self.origin: Origin | None = None
        self.out_avals: Sequence[ShapedArray] = ()  # of the equation that is being lowered
        self.num_stored = 0
        self.reader: Tensor | None = None
        self.reducing = 0
        self.parts: list[Part] = []
        self.times = 1
        self.granted: dict[int, Tensor] = {}  # how many rows tapes have got
        self.functions: list[HostFunction] = []
        self.state: int | None = None  # the buffer of their calls, if there are any
        self._next_axis = _FIRST_REDUCED_AXIS
        self._next_counter = 0

    # -- buffers and schedule -----------------------------------------------------------------

    def new_buffer(self, shape: Sequence[int], dtype: Any, role: str = "temp") -> int:
        """Add a dense buffer and return its number."""
        number = len(self.buffers)
        self.buffers.append(Buffer(number, tuple(shape), np.dtype(dtype), role))
        return number

    def stored(self, shape: Sequence[int], dtype: Any, role: str = "temp") -> Tensor:
        """A tensor in a buffer of its own."""
        return Tensor(self, tuple(shape), dtype, buffer=self.new_buffer(shape, dtype, role))

    def emit(self, node: Node) -> None:
        self.body.append(node)
        if self._watch is not None:
            self._watch(node)

    @contextmanager
    def nested(self, body: list[Node]) -> Any:
        """Collect what is emitted in another schedule."""
        saved, self.body = self.body, body
        try:
            yield
        finally:
            self.body = saved

    def new_counter(self) -> int:
        self._next_counter += 1
        return self._next_counter - 1

    # -- the language of lower rules ----------------------------------------------------------

    def compute(self, shape: Sequence[int], dtype: Any, element: Callable[[Index], Expr]) -> Tensor:
        """A lazy tensor, ``element(index)`` at each index."""
        return Tensor(self, tuple(shape), dtype, element)

    def reduce(
        self,
        shape: Sequence[int],
        dtype: Any,
        extents: Sequence[int],
        kind: str,
        element: Callable[[Index, Index], Expr],
    ) -> Tensor:
        """``kind`` over all ``rindex`` in ``extents`` of ``element(index, rindex)``; lazy."""
        dtype = np.dtype(dtype)
        accumulator = computing_dtype(dtype)
        if math.prod(extents) == 0:
            neutral = nodes.neutral(kind, dtype)
            return self.compute(shape, dtype, lambda index: B.constant(neutral, dtype))
        return self._reduction(shape, dtype, extents, kind, accumulator, element)

    def compute_together(
        self,
        shape: Sequence[int],
        dtypes: Sequence[Any],
        axis: int,
        elements: Callable[[Index], Sequence[Sequence[Expr]]],
    ) -> list[Tensor]:
        """Tensors of one shape whose elements along ``axis`` have much of their work in common.

        ``elements(index)`` gives, for each tensor, its elements along the axis, where ``index``
        is that of the other axes. They are stored by one kernel.
        """
        outs = [self.stored(shape, dtype) for dtype in dtypes]
        if math.prod(shape) == 0:
            return outs
        others = (*shape[:axis], *shape[axis + 1 :])
        index = generic_index(others)
        with self._outside_reductions():
            values = elements(index)
        stores = [
            Store(number, linear((*index[:axis], integer(k), *index[axis:]), outs[0].shape), value)
            for number, column in zip([t.buffer for t in outs], values, strict=True)
            for k, value in enumerate(column)
            if number is not None
        ]
        self.emit(build_kernel(generic_axes(others), stores, self.origin))
        return outs

    def ready(self, t: Tensor) -> Tensor:
        """A tensor that large kernels may read: stored, if to compute it costs more than that."""
        if not t.stored and t.size and costs_more(t.at(generic_index(t.shape)), CHEAP):
            self.materialize(t)
        return t

    def arg_reduce(
        self,
        shape: Sequence[int],
        dtype: Any,
        extent: int,
        kind: str,
        element: Callable[[Index, Expr], Expr],
    ) -> Tensor:
        """The position ``k`` of the first maximum or minimum of ``element(index, k)``; lazy."""
        if extent == 0:
            return self.compute(shape, dtype, lambda index: B.constant(0, dtype))
        kind = kind if kind.startswith("arg") else f"arg{kind}"
        return self._reduction(
            shape, dtype, (extent,), kind, None, lambda index, rindex: element(index, rindex[0])
        )

    def _reduction(
        self,
        shape: Sequence[int],
        dtype: Any,
        extents: Sequence[int],
        kind: str,
        accumulator: np.dtype[Any] | None,
        element: Callable[..., Expr],
    ) -> Tensor:
        first = self._next_axis
        self._next_axis += len(extents)
        rindex = generic_index(tuple(extents), first)
        axes = tuple((first + k, n) for k, n in enumerate(extents) if n != 1)
        if not axes and accumulator is not None:
            return self.compute(shape, dtype, lambda index: element(index, rindex))

        def value(index: Index) -> Expr:
            count = math.prod(extents)
            self.reducing += 1
            self.times *= count
            try:
                body = element(index, rindex)
            finally:
                self.reducing -= 1
                self.times //= count
            spec = Reduce(kind, axes, body.dtype if accumulator is None else accumulator)
            return reduce(spec, body, np.dtype(dtype))

        return self.compute(shape, dtype, value)

    def materialize(self, t: Tensor) -> Tensor:
        """Give a tensor a buffer, if it has none."""
        if not t.stored:
            self.place(t, self.new_buffer(t.shape, t.dtype), integer(0))
        return t

    def lay_out(self, t: Tensor) -> Tensor:
        """The same tensor in a dense buffer: its own one, or one for a single reader.

        The latter if it holds the elements of one buffer several times over, as windows do: to
        lay it out anew for every product costs less than to keep it.
        """
        return nodes.copied(self, t) if nodes.repeats(self, t) else self.materialize(t)

    def interleave(self, *ts: Tensor) -> Tensor:
        """Tensors of one shape as the entries of a new last axis, stored: computed together."""
        out = self.stored((*ts[0].shape, len(ts)), ts[0].dtype)
        assert out.buffer is not None
        if out.size == 0:
            return out
        index = generic_index(ts[0].shape)
        with self._outside_reductions():
            stores = [
                Store(out.buffer, linear((*index, integer(k)), out.shape), t.at(index))
                for k, t in enumerate(ts)
            ]
        self.emit(build_kernel(generic_axes(ts[0].shape), stores, self.origin))
        return out

    def join(self, ts: Sequence[Tensor], dimension: int) -> Tensor | None:
        """Many tensors beside each other along an axis, stored; None of few, to be lazy."""
        return nodes.join(self, ts, dimension)

    def store(self, t: Tensor, buffer: int, base: Expr) -> None:
        """Emit the kernel that writes a tensor to a buffer, from element ``base`` on."""
        if t.size == 0:
            return
        if t.stored:
            self.emit(nodes.copy(t, buffer, base, t.origin))
            return
        offset = linear(generic_index(t.shape), t.shape)
        self.store_at(t, buffer, offset if base is integer(0) else base + offset)

    def store_at(self, t: Tensor, buffer: int, place: Expr) -> None:
        """Emit the kernel that writes a tensor to a buffer, to ``place`` by its generic index."""
        with self._outside_reductions():
            value = t.at(generic_index(t.shape))
        self.emit(build_kernel(generic_axes(t.shape), (Store(buffer, place, value),), t.origin))

    def place(self, t: Tensor, buffer: int, base: Expr) -> None:
        """Store a tensor in a given place, from where it is read from now on."""
        self.store(t, buffer, base)
        if not t.stored:
            t.store_at(buffer, base)
            self.num_stored += 1

    @contextmanager
    def _outside_reductions(self) -> Any:
        outside = self.reducing, self.reader, self.parts, self.times
        self.reducing, self.reader, self.parts, self.times = 0, None, [], 1
        try:
            yield
        finally:
            self.reducing, self.reader, self.parts, self.times = outside

    def reshape(self, t: Tensor, shape: Sequence[int]) -> Tensor:
        """The same elements in row-major order under another shape; never a copy."""
        shape = tuple(shape)
        if shape == t.shape:
            return t
        if t.stored:
            return Tensor(self, shape, t.dtype, buffer=t.buffer, base=t.base)
        return self.compute(
            shape, t.dtype, lambda index: t.at(unravel(linear(index, shape), t.shape))
        )

    def contract(self, a: Tensor, b: Tensor) -> Tensor:
        """``(*batch, m, k) x (*batch, k, n) -> (*batch, m, n)``."""
        return nodes.contract(self, a, b)

    def in_place(self, t: Tensor) -> bool:
        """Whether `contract` can read a ``(*batch, rows, columns)`` tensor where it lies."""
        return nodes.in_place(t) is not None

    def accumulate(self, t: Tensor, axis: int, kind: str, reverse: bool = False) -> Tensor:
        """Running ``kind`` along an axis."""
        return nodes.accumulate(self, t, axis, kind, reverse)

    def sort(self, ts: Sequence[Tensor], dimension: int, num_keys: int = 1) -> list[Tensor]:
        """Sort tensors of one shape along an axis by the first ``num_keys`` of them."""
        return nodes.sort(self, ts, dimension, num_keys)

    def attention(
        self,
        kind: str,
        reads: Sequence[Tensor],
        writes: Sequence[Tensor],
        *,
        scale: float,
        window: tuple[int | None, int | None],
        extras: Sequence[str],
    ) -> None:
        """A pass of attention into tensors of `stored`: see `plan.Attention`."""
        nodes.attention(self, kind, reads, writes, scale, window, extras)

    def copied(self, t: Tensor) -> Tensor:
        """A dense copy of a tensor, which a routine may overwrite."""
        return nodes.copied(self, t)

    def call(
        self,
        name: str,
        arguments: Sequence[str | int | float | Tensor | Workspace],
        reads: Sequence[Tensor],
        writes: Sequence[Tensor],
        operations: int,
    ) -> None:
        """Call a function of LAPACK or BLAS for each matrix of stacks: see `plan.Routine`.

        ``writes`` come from `copied` and `stored`, none is empty; the first has the dtype of real
        arguments, and all but the last two axes of ``writes[0]`` are those of the stack.
        """
        nodes.call(self, name, arguments, reads, writes, operations)

    def in_blocks(self, shape: Sequence[int], dtype: Any) -> bool:
        """Whether matrices of a shape have the factorisation ``lu``, of what lies in rows."""
        return self.platform == "cpu" and in_blocks(np.dtype(dtype), shape)

    def host_call(self, function: Callable[..., Any], operands: Sequence[Tensor]) -> list[Tensor]:
        """Call a Python function of arrays, which returns a list of the equation's results."""
        return nodes.host_call(self, function, operands)

    def workspace(self, size: int, dtype: Any) -> Workspace:
        """Memory for ``size`` elements as an argument of `call`."""
        return Workspace(size * np.dtype(dtype).itemsize)

    def scatter(
        self, x: Tensor, updates: Tensor, indices: Sequence[Tensor], kind: str, mode: str
    ) -> Tensor:
        """``x`` with ``updates`` combined into its elements at ``indices``."""
        return nodes.scatter(self, x, updates, indices, kind, mode)

    def update_slice(self, x: Tensor, update: Tensor, starts: Sequence[Tensor]) -> Tensor:
        """``x`` with a block replaced, its start clamped so that the block lies inside."""
        return nodes.update_slice(self, x, update, starts)

    def while_loop(
        self,
        cond: Jaxpr,
        body: Jaxpr,
        cond_consts: Sequence[Tensor],
        body_consts: Sequence[Tensor],
        init: Sequence[Tensor],
    ) -> list[Tensor]:
        """Run ``body(*body_consts, *carry)`` as long as ``cond(*cond_consts, *carry)``."""
        return blocks.while_loop(self, cond, body, cond_consts, body_consts, init)

    def scan(
        self,
        body: Jaxpr,
        consts: Sequence[Tensor],
        init: Sequence[Tensor],
        xs: Sequence[Tensor],
        length: int,
        reverse: bool = False,
    ) -> list[Tensor]:
        """``body(*consts, *carry, *x_slices) -> (*carry, *y_slices)``, ``length`` times."""
        return blocks.scan(self, body, consts, init, xs, length, reverse)

    def counted_scan(
        self,
        body: Jaxpr,
        count: Tensor,
        consts: Sequence[Tensor],
        init: Sequence[Tensor],
        xs: Sequence[Tensor],
        length: int,
        reverse: bool = False,
    ) -> list[Tensor]:
        """Like `scan` of ``count`` turns, an int64 scalar; ``length`` is that of xs and ys.

        With the length `TAPE`, ys are tapes (`plan.Reserve`), and xs tapes of earlier loops.
        """
        return blocks.counted_scan(self, body, count, consts, init, xs, length, reverse)

    def switch(
        self, index: Tensor, branches: Sequence[Jaxpr], operands: Sequence[Tensor]
    ) -> list[Tensor]:
        """The results of the branch that ``index`` names, clamped to those there are."""
        return blocks.switch(self, index, branches, operands)

    # -- programs -----------------------------------------------------------------------------

    def run(self, jaxpr: Jaxpr, args: Sequence[Tensor]) -> list[Tensor]:
        """Plan a program's equations; returns its results, which may be lazy."""
        env: dict[Atom, Tensor] = dict(zip(jaxpr.invars, args, strict=True))
        shared = shared_variables(jaxpr)
        saved = self.origin

        def read(atom: Atom) -> Tensor:
            return self.literal(atom) if type(atom) is Literal else env[atom]

        last_use = last_uses(jaxpr)
        lazy: list[tuple[Tensor, int]] = []  # since the last cut, and when they are read last

        for position, eqn in enumerate(jaxpr.eqns):
            primitive = eqn.primitive
            self.origin = Origin(primitive.name, eqn.source)
            self.out_avals = [v.aval for v in eqn.outvars]
            rule = primitive.rule("lower")
            outs = rule(self, *[read(a) for a in eqn.invars], **eqn.params)
            if not primitive.multiple_results:
                outs = (outs,)
            for var, out in zip(eqn.outvars, outs, strict=True):
                aval = var.aval
                if out.shape != aval.shape or out.dtype != aval.dtype:
                    raise InternalError(
                        f"the lower rule of primitive {primitive.name!r} returned"
                        f" {out.dtype}{list(out.shape)}, its type rule says {aval}, in {eqn}"
                    )
                if self._settle(out, var in shared):
                    self._store_live(lazy, position)
                    lazy = []
                elif out.buffer is None:
                    lazy.append((out, last_use.get(var, -1)))
                env[var] = out
        results = [read(a) for a in jaxpr.outvars]
        self.origin = saved
        return results

    def literal(self, literal: Literal) -> Tensor:
        """The tensor of a constant: an array gets a buffer, a scalar stands in expressions."""
        if literal.aval.shape:
            known = self.constants.get(id(literal.val))
            if known is None:
                buffer = self.stored(literal.aval.shape, literal.aval.dtype, "constant")
                known = self.constants[id(literal.val)] = buffer, literal.val
            return known[0]
        value = B.constant(literal.val, literal.aval.dtype)
        return self.compute((), literal.aval.dtype, lambda index: value)

    # -- what gets a buffer -------------------------------------------------------------------

    def _settle(self, t: Tensor, shared: bool) -> bool:
        """Store ``t``, or what it reads, where inlining would repeat work.

        True if ``t`` is stored because its expression has become too large.
        """
        if t.buffer is not None or t.size == 0:
            return False
        index = generic_index(t.shape)
        while True:  # each buffer given may change what is read how often
            expansion = t.expanded(index)
            repeated = () if expansion.plain else self._repeated(t, expansion)
            if not repeated:
                break
            for q in self._apart(repeated):
                self.materialize(q)
        value = t.expanded(index).expr
        large = value.weight > MAX_EXPRESSIONS and operations(value) > MAX_EXPRESSIONS
        if large or (shared and costs_more(value, CHEAP)):
            self.materialize(t)
        return large

    def _store_live(self, lazy: Sequence[tuple[Tensor, int]], position: int) -> None:
        """Where a kernel is cut, store what later ones need of it and would compute again."""
        for t, last_use in lazy:
            if last_use <= position or t.stored or t.size == 0:
                continue
            near = t.size * t.dtype.itemsize <= FAR_BYTES
            if costs_more(t.at(generic_index(t.shape)), CHEAP if near else CHEAP_FAR):
                self.materialize(t)

    def _apart(self, repeated: Sequence[Tensor]) -> list[Tensor]:
        """Those to be stored first, none of which reads another: what reads them may be cheap then.

        The smallest go before others; of equals (a tensor and its transpose) the innermost, which
        lies in the order in which it was made.
        """
        chosen: set[Tensor] = set()
        read: set[Tensor] = set()  # by those that are chosen
        for q in sorted(repeated, key=self._order):
            below = {r for r, _ in q.reads(generic_index(q.shape))}
            if q not in read and chosen.isdisjoint(below):
                chosen.add(q)
                read |= below
        return [q for q in repeated if q in chosen]

    def _order(self, q: Tensor) -> tuple[int, int]:
        return q.size, -cost(q.at(generic_index(q.shape)))

    def _repeated(self, t: Tensor, expansion: Expansion) -> list[Tensor]:
        """The lazy tensors that ``t`` would compute more often than they have elements.

        What a tensor reads stands before it.
        """
        size = t.size
        reads = expansion.odd()
        if any(q.size == size for q, _ in reads):  # also aligned, perhaps
            reads = expansion.reads()
        times: dict[Tensor, int] = {}
        limits: dict[Tensor, int] = {}
        for (q, place), n in reads.items():
            times[q] = times.get(q, 0) + n
            limits[q] = min(limits.get(q, CHEAP), cheap_at(t.shape, place))
        return [
            q
            for q, n in times.items()
            if size * n > q.size
            and q.buffer is None
            and costs_more(q.at(generic_index(q.shape)), limits[q])
        ]
