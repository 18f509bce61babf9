"""Nodes other than plain kernels: matrix products, running sums, sorts, scattered writes."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from fnad.core.sizes import typical
from fnad.core.types import computing_dtype, kind_of
from fnad.lowering.expr import B, Expr, affine, affine_parts, integer
from fnad.lowering.host_calls import STATE_WORDS, HostFunction
from fnad.lowering.kernels import build_kernel
from fnad.lowering.plan import (
    Accumulate,
    Attention,
    Contraction,
    Copy,
    Heads,
    HostCall,
    Matrix,
    Operand,
    Origin,
    Routine,
    Sort,
    Store,
    Workspace,
)
from fnad.lowering.tensors import Index, Tensor, generic_axes, generic_index, linear, row_major
from fnad.lowering.walk import postorder

if TYPE_CHECKING:
    from fnad.lowering.planner import Planner


def neutral(kind: str, dtype: np.dtype[Any]) -> Any:
    """The value that a reduction starts from, and gives of nothing."""
    if kind in ("add", "or"):
        return 0
    if kind == "multiply":
        return 1
    if kind == "and":
        return ~dtype.type(0)
    low = kind in ("max", "argmax", "logaddexp")
    if dtype.kind == "b":
        return not low
    if kind_of(dtype) == "f":
        return -np.inf if low else np.inf
    info = np.iinfo(dtype)
    return info.min if low else info.max


def copy(t: Tensor, buffer: int, base: Expr, origin: Origin | None) -> Copy:
    """The node that copies a stored tensor."""
    assert t.buffer is not None
    return Copy(t.buffer, buffer, t.base, base, t.size, origin)


def copied(p: Planner, t: Tensor) -> Tensor:
    """A fresh buffer with a tensor's elements, to be written into."""
    out = p.stored(t.shape, t.dtype)
    assert out.buffer is not None
    p.store(t, out.buffer, integer(0))
    return out


# More operands than these are put into the result one by one; of fewer, a kernel chooses for each
# element, and may compute them and what reads the result, too.
_FEW_JOINED = 16


def join(p: Planner, ts: Sequence[Tensor], dimension: int) -> Tensor | None:
    """See `Planner.join`."""
    if len(ts) <= _FEW_JOINED or p.platform != "cpu":  # a card would start a kernel for each
        return None
    shape = list(ts[0].shape)
    shape[dimension] = sum(t.shape[dimension] for t in ts)
    out = p.stored(tuple(shape), ts[0].dtype)
    assert out.buffer is not None
    start = 0
    for t in ts:
        index = list(generic_index(t.shape))
        index[dimension] = index[dimension] + start
        p.store_at(t, out.buffer, linear(tuple(index), out.shape))
        start += t.shape[dimension]
    return out


# -- matrix products ---------------------------------------------------------------------------

# So many products of matrices with at most so many rows and columns are sums; of two matrices, of
# fewer terms than with a vector. Measured on 2 to 16 rows: the others are faster as products.
_MANY_PRODUCTS = 16
_TINY, _TINY_TERMS = 9, 4


def contract(p: Planner, a: Tensor, b: Tensor) -> Tensor:
    """See `Planner.contract`."""
    (*batch, m, k), n = a.shape, b.shape[-1]
    shape = (*batch, m, n)
    if 0 in (*batch, m, n, k):
        return p.compute(shape, a.dtype, lambda index: B.constant(0, a.dtype))
    if a.dtype.kind != "b" and _are_tiny(batch, m, n, k):
        return _sums(p, p.ready(a), p.ready(b), shape)
    left, right = matrix(p, a), matrix(p, b)
    out = p.stored(shape, a.dtype)
    assert out.buffer is not None
    place = Matrix(out.buffer, integer(0), row_major(shape))
    extents: tuple[int, ...] = ()
    if batch:
        matrices = (left, right, place)
        extents, strides = _batch_axes(batch, [x.strides[:-2] for x in matrices])
        left, right, place = (
            replace(x, strides=(*s, *x.strides[-2:])) for x, s in zip(matrices, strides)
        )
    p.emit(Contraction(left, right, place, extents, m, n, k, a.dtype, p.origin))
    return out


def _are_tiny(batch: Sequence[int], m: int, n: int, k: int) -> bool:
    """Whether there are many products, each so small that to set it up takes longest."""
    if not all(type(extent) is int for extent in (*batch, m, n, k)):
        return False  # of a named axis
    if math.prod(batch) < _MANY_PRODUCTS or max(m, n) > _TINY:
        return False
    return k <= (_TINY_TERMS if min(m, n) > 1 else _TINY)


def _sums(p: Planner, a: Tensor, b: Tensor, shape: Sequence[int]) -> Tensor:
    """Products as sums over the innermost axis of the left side; lazy, as other sums are."""

    def term(index: Index, inner: Index) -> Expr:
        *lead, i, j = index
        [q] = inner
        return B.multiply(a.at((*lead, i, q)), b.at((*lead, q, j)))

    return p.reduce(shape, a.dtype, a.shape[-1:], "add", term)


def _batch_axes(
    extents: Sequence[int], strides: list[tuple[int, ...]]
) -> tuple[tuple[int, ...], list[tuple[int, ...]]]:
    """As few batch axes as give the same entries of all matrices, in the same order."""
    axes: list[tuple[int, tuple[int, ...]]] = []
    for extent, steps in zip(extents, zip(*strides)):
        if extent == 1:
            continue
        if axes and all(outer == inner * extent for outer, inner in zip(axes[-1][1], steps)):
            axes[-1] = (axes[-1][0] * extent, steps)
        else:
            axes.append((extent, steps))
    kept = [steps for _, steps in axes]
    return tuple(e for e, _ in axes), [tuple(s[i] for s in kept) for i in range(len(strides))]


def matrix(p: Planner, t: Tensor) -> Matrix:
    """Read a (*batch, rows, columns) tensor in place through strides, or store it first."""
    found = in_place(t)
    if found is None:
        source = _same_elements(t)
        if source is not None:
            p.materialize(source)
            found = in_place(t)
    if found is not None:
        return found
    t = p.lay_out(t)
    assert t.buffer is not None
    return Matrix(t.buffer, t.base, row_major(t.shape))


def _same_elements(t: Tensor) -> Tensor | None:
    """The lazy tensor that ``t`` is another view of, if it is one.

    Storing that one serves its other readers as well: of ``relu(x)`` and its transpose, which
    the gradient reads, only the first needs a buffer.
    """
    index = generic_index(t.shape)
    value = t.at(index)
    for source, place in t.reads(index):
        if source.size == t.size and not source.stored and source.at(place) is value:
            return source
    return None


def repeats(p: Planner, t: Tensor) -> bool:
    """Whether ``t`` holds the elements of one buffer several times over."""
    if t.stored:
        return False
    read = {e.attr for e in postorder([t.at(generic_index(t.shape))]) if e.op == "load"}
    return len(read) == 1 and typical(t.size) > 2 * typical(p.buffers[read.pop()].size)


def in_place(t: Tensor) -> Matrix | None:
    """The (*batch, rows, columns) tensor as strides of the buffer where it lies, if it has such."""
    value = t.at(generic_index(t.shape))
    if value.op == "load" and value.dtype == t.dtype:
        found = _place(value.args[0], t.shape)
        if found is not None:
            return Matrix(value.attr, *found)
    return None


@functools.lru_cache(maxsize=1024)
def _place(offset: Expr, shape: tuple[int, ...]) -> tuple[Expr, tuple[int, ...]] | None:
    """Where matrices begin, and their strides, if those of the offset of an element are regular."""
    index = generic_index(shape)
    terms, constant = affine_parts(offset)
    if any(term not in index and term.op != "counter" for term in terms):
        return None
    # An axis of length 1 has no variable; any stride will do.
    strides = tuple([terms.get(x, 0) for x in index])
    if not _unit_stride(strides[-2:], shape[-2:]):
        return None
    return affine({term: c for term, c in terms.items() if term not in index}, constant), strides


def _unit_stride(strides: Sequence[int], shape: Sequence[int]) -> bool:
    (rows, columns), (m, n) = strides, shape
    if columns == 1 or n == 1:
        return rows >= n or m == 1 or (n == 1 and rows >= 1)
    return (rows == 1 or m == 1) and columns >= m


# -- along one axis ----------------------------------------------------------------------------


def _around(shape: tuple[int, ...], dimension: int) -> tuple[int, int, int]:
    return math.prod(shape[:dimension]), shape[dimension], math.prod(shape[dimension + 1 :])


def _dense(p: Planner, t: Tensor) -> int:
    """The buffer of a tensor, from its first element on."""
    p.materialize(t)
    if t.base is not integer(0):
        t = copied(p, t)
    assert t.buffer is not None
    return t.buffer


def accumulate(p: Planner, t: Tensor, dimension: int, kind: str, reverse: bool) -> Tensor:
    """See `Planner.accumulate`."""
    if t.size == 0:
        return t
    source = _dense(p, t)
    out = p.stored(t.shape, t.dtype)
    assert out.buffer is not None
    wide = computing_dtype(t.dtype)
    extents = _around(t.shape, dimension)
    p.emit(Accumulate(source, out.buffer, extents, kind, reverse, t.dtype, wide, p.origin))
    return out


def sort(p: Planner, ts: Sequence[Tensor], dimension: int, num_keys: int) -> list[Tensor]:
    """See `Planner.sort`."""
    if ts[0].size == 0:
        return list(ts)
    sources = tuple(_dense(p, t) for t in ts)
    outs = [p.stored(t.shape, t.dtype) for t in ts]
    numbers = tuple(out.buffer for out in outs if out.buffer is not None)
    p.emit(Sort(sources, numbers, _around(ts[0].shape, dimension), num_keys, p.origin))
    return outs


def attention(
    p: Planner,
    kind: str,
    reads: Sequence[Tensor],
    writes: Sequence[Tensor],
    scale: float,
    window: tuple[int | None, int | None],
    extras: Sequence[str],
) -> None:
    """See `Planner.attention`."""
    query, key = reads[:2]
    batch, queries, heads, features = query.shape
    given = dict(zip(extras, reads[3:]))
    bias, mask = (given[name].shape if name in given else None for name in ("bias", "mask"))
    form = Heads(
        batch, queries, key.shape[1], heads, key.shape[2], features,
        scale, *window, bias, mask, "key_lengths" in given,
    )  # fmt: skip
    sources = tuple([_dense(p, t) for t in reads])
    outs = tuple([t.buffer for t in writes if t.buffer is not None])
    p.emit(Attention(kind, sources, outs, form, query.dtype, p.origin))


def call(
    p: Planner,
    name: str,
    arguments: Sequence[str | int | float | Tensor | Workspace],
    reads: Sequence[Tensor],
    writes: Sequence[Tensor],
    operations: int,
) -> None:
    """See `Planner.call`."""
    sources = tuple([_dense(p, t) for t in reads])
    outs = tuple([t.buffer for t in writes if t.buffer is not None])
    positions = {id(t): i for i, t in enumerate((*reads, *writes))}
    given = tuple([Operand(positions[id(x)]) if isinstance(x, Tensor) else x for x in arguments])
    count = math.prod(writes[0].shape[:-2])
    dtype = writes[0].dtype
    p.emit(Routine(name, given, sources, outs, count, dtype, operations, p.origin))


def host_call(p: Planner, function: Callable[..., Any], operands: Sequence[Tensor]) -> list[Tensor]:
    """See `Planner.host_call`."""
    sources = tuple([_dense(p, t) for t in operands])
    outs = [p.stored(a.shape, a.dtype) for a in p.out_avals]
    types = [tuple([(t.shape, t.dtype) for t in ts]) for ts in (operands, outs)]
    line = None if p.origin is None else p.origin.source
    p.functions.append(HostFunction(function, types[0], types[1], line))
    if p.state is None:
        p.state = p.new_buffer((STATE_WORDS,), np.int64, "input")
    written = tuple([t.buffer for t in outs if t.buffer is not None])
    p.emit(HostCall(len(p.functions) - 1, sources, written, p.state, p.origin))
    return outs


# -- writes at computed places -----------------------------------------------------------------


def scatter(
    p: Planner, x: Tensor, updates: Tensor, indices: Sequence[Tensor], kind: str, mode: str
) -> Tensor:
    """See `Planner.scatter`."""
    out = copied(p, x)
    if updates.size == 0 or x.size == 0:
        return out
    assert out.buffer is not None
    for t in indices:
        p.materialize(t)
    rank = updates.ndim - (x.ndim - len(indices))
    index = generic_index(updates.shape)
    target: list[Expr] = []
    inside: Expr | None = None
    for t, extent in zip(indices, x.shape):
        i = B.index(t.at(index[:rank] if t.shape else ()))
        clipped = B.minimum(B.maximum(i, integer(0)), integer(extent - 1))
        if mode == "fill":
            check = B.equal(i, clipped)
            inside = check if inside is None else B.bitwise_and(inside, check)
        target.append(clipped)
    offset = linear((*target, *index[rank:]), x.shape)
    value = updates.at(index)
    if value.reduces:
        value = p.materialize(updates).at(index)
    combine = None if kind == "set" else kind
    if inside is not None and inside.op == "constant":
        inside = None if inside.attr else inside
    store = Store(out.buffer, offset, value, combine, inside)
    p.emit(build_kernel(generic_axes(updates.shape), (store,), p.origin, sequential=True))
    return out


def update_slice(p: Planner, x: Tensor, update: Tensor, starts: Sequence[Tensor]) -> Tensor:
    """See `Planner.update_slice`."""
    out = copied(p, x)
    if update.size == 0:
        return out
    assert out.buffer is not None
    index = generic_index(update.shape)
    target = []
    for t, i, extent, length in zip(starts, index, x.shape, update.shape, strict=True):
        start = B.index(t.at(()))
        target.append(B.minimum(B.maximum(start, integer(0)), integer(extent - length)) + i)
    store = Store(out.buffer, linear(tuple(target), x.shape), update.at(index))
    p.emit(build_kernel(generic_axes(update.shape), (store,), p.origin))
    return out
