"""Matrix products of a plan: results written where they are wanted, long sums in blocks."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from fnad.lowering.access import access, count_uses, with_bodies
from fnad.lowering.expr import affine_parts, axis, integer, load, make
from fnad.lowering.kernels import remade
from fnad.lowering.plan import (
    Buffer,
    Contraction,
    For,
    Kernel,
    Matrix,
    Node,
    Reduction,
    Store,
)

NewBuffer = Callable[[Sequence[int], np.dtype[Any]], int]
Uses = Mapping[int, int]

# Sums of at least so many products, of results of at most so many elements, are split.
_LONG_SUM = 2048
_SMALL_RESULT = 1 << 16
_MAX_BLOCKS = 64
_MIN_TERMS = 128
# Rows times matrices of at least so many elements are sums of rows.
_SUMMED = 1 << 12
# Loops of at least so many turns pay for a transpose before them.
_MANY_TURNS = 4


def arrange_products(
    body: Sequence[Node], buffers: Sequence[Buffer], new_buffer: NewBuffer
) -> list[Node]:
    """Redirect and split the matrix products of a schedule and of those inside it."""
    return _arranged(body, {b.number: b for b in buffers}, count_uses(body), new_buffer)


def _arranged(
    body: Sequence[Node], buffers: dict[int, Buffer], uses: Uses, new_buffer: NewBuffer
) -> list[Node]:
    def inner(schedule: Sequence[Node]) -> list[Node]:
        return _arranged(schedule, buffers, uses, new_buffer)

    result: list[Node] = []
    for node in _redirected(body, buffers, uses):
        if isinstance(node, Contraction):
            result += _in_blocks(node, new_buffer)
        elif isinstance(node, For):
            result += _with_transposes_before(
                replace(node, body=tuple(inner(node.body))), new_buffer
            )
        else:
            result.append(with_bodies(node, inner))
    return result


# -- results written where they are wanted -----------------------------------------------------


def _redirected(body: Sequence[Node], buffers: dict[int, Buffer], uses: Uses) -> list[Node]:
    """Let products write in the order of axes into which a kernel would only copy them."""
    products: dict[int, int] = {}
    result: list[Node | None] = list(body)
    touched: dict[int, int] = {}
    for position, node in enumerate(body):
        if isinstance(node, Kernel) and len(node.stores) == 1 and not node.reductions:
            source = node.stores[0].value
            if source.op == "load" and source.attr in products:
                at = products[source.attr]
                product = result[at]
                assert isinstance(product, Contraction)
                moved = _permuted(product, node, buffers)
                target = node.stores[0].buffer
                only = uses[source.attr] == 2 and buffers[source.attr].role == "temp"
                if moved is not None and only and touched.get(target, -1) < at:
                    result[at], result[position] = moved, None
                    touched[target] = at
                    continue
        found = access(node)
        for number in found.reads | found.writes:
            touched[number] = position
        if isinstance(node, Contraction) and not node.accumulate:
            products[node.out.buffer] = position
    return [node for node in result if node is not None]


def _permuted(product: Contraction, copy: Kernel, buffers: dict[int, Buffer]) -> Contraction | None:
    """The product that writes where the kernel copies to, or None if it is no copy."""
    store = copy.stores[0]
    if copy.sequential or store.combine is not None or store.when is not None:
        return None
    size = buffers[product.out.buffer].size
    if math.prod(n for _, n in copy.axes) != size or buffers[store.buffer].size != size:
        return None
    if store.value.dtype != product.dtype:
        return None
    source, start = affine_parts(store.value.args[0])
    target, base = affine_parts(store.offset)
    axes = {axis(*a): a[1] for a in copy.axes}
    if start or base or source.keys() != axes.keys() or target.keys() != axes.keys():
        return None
    by_stride = {source[a]: (extent, target[a]) for a, extent in axes.items()}
    extents = (*product.batch, product.m, product.n)
    runs = [_runs(by_stride, *a) for a in zip(product.out.strides, extents, strict=True)]
    if not all(runs) or len(runs[-2]) > 1 or len(runs[-1]) > 1:
        return None
    moved = _with_batch_axes(product, runs[:-2])
    strides = [run.target for axis_runs in runs for run in axis_runs]
    moved = replace(moved, out=Matrix(store.buffer, integer(0), tuple(strides)))
    if strides[-1] != 1:
        moved = _transposed(moved)
    return moved if moved.out.strides[-1] == 1 else None  # rows of results are written whole


def _with_batch_axes(c: Contraction, batch: Sequence[Sequence[_Run]]) -> Contraction:
    """A product each of whose batch axes is several, the outermost first."""

    def divided(m: Matrix) -> Matrix:
        each = [stride * run.step for stride, runs in zip(m.strides, batch) for run in runs]
        return replace(m, strides=(*each, *m.strides[-2:]))

    extents = tuple(run.extent for runs in batch for run in runs)
    return replace(c, batch=extents, left=divided(c.left), right=divided(c.right))


def _transposed(c: Contraction) -> Contraction:
    """The same product as that of the transposed operands, the other way round."""

    def flipped(m: Matrix) -> Matrix:
        *batch, row, column = m.strides
        return replace(m, strides=(*batch, column, row))

    return replace(
        c, left=flipped(c.right), right=flipped(c.left), out=flipped(c.out), m=c.n, n=c.m
    )


class _Run(NamedTuple):
    """Part of an axis of a product: its extent, its step along the axis and the target's stride."""

    extent: int
    step: int
    target: int


def _runs(by_stride: Mapping[int, tuple[int, int]], stride: int, extent: int) -> list[_Run]:
    """An axis of a product as axes of the copy, or parts of them, the outermost first.

    Those that lie dense in the target are one. There are none if the axis is not made of such.
    """
    found: list[_Run] = []
    step = 1
    while step < extent:
        length, target = _from(by_stride, stride * step)
        length = min(length, extent // step)
        if length <= 1 or (extent // step) % length:
            return []
        inner = found[-1] if found else _Run(1, 1, 0)
        if target == inner.extent * inner.target:
            found[-1] = inner._replace(extent=inner.extent * length)
        else:
            found.append(_Run(length, step, target))
        step *= length
    return found[::-1] or [_Run(1, 1, 0)]


def _from(by_stride: Mapping[int, tuple[int, int]], stride: int) -> tuple[int, int]:
    """What is left of an axis from where a step of it is ``stride``: its extent, the target's."""
    for own, (extent, target) in by_stride.items():
        steps, rest = divmod(stride, own)
        if 0 < steps < extent and not rest and extent % steps == 0:
            return extent // steps, target * steps
    return 0, 0


# -- transposes out of loops -------------------------------------------------------------------


def _with_transposes_before(loop: For, new_buffer: NewBuffer) -> list[Node]:
    """Transpose once what every turn's product would have to: weights, in gradients of scans."""
    if loop.extent < _MANY_TURNS:
        return [loop]
    written = access(loop).writes
    transposed: dict[Matrix, Matrix] = {}
    kernels: list[Node] = []
    body: list[Node] = []
    for node in loop.body:
        if isinstance(node, Contraction) and _to_transpose(node, written):
            if node.right not in transposed:
                place = Matrix(new_buffer((node.k, node.n), node.dtype), integer(0), (node.n, 1))
                transposed[node.right] = place
                kernels.append(_copied(node, place))
            node = replace(node, right=transposed[node.right])
        body.append(node)
    return [*kernels, replace(loop, body=tuple(body))]


def _to_transpose(c: Contraction, written: AbstractSet[int]) -> bool:
    return (
        not c.batch
        and c.right.buffer not in written
        and c.right.offset.op == "constant"
        and c.right.strides[-1] != 1
        and min(c.k, c.n) > 1
    )


def _copied(c: Contraction, place: Matrix) -> Kernel:
    i, j = axis(0, c.k), axis(1, c.n)
    row, column = c.right.strides
    value = load(c.right.buffer, c.right.offset + i * row + j * column, c.dtype)
    store = Store(place.buffer, i * c.n + j, value)
    return remade(Kernel(((0, c.k), (1, c.n)), (), (store,), origin=c.origin))


# -- rows times matrices -----------------------------------------------------------------------


def rows_as_sums(body: Sequence[Node]) -> list[Node]:
    """A schedule whose products of a row and a matrix that lies in rows are sums of these rows."""
    result: list[Node] = []
    for node in body:
        if isinstance(node, Contraction):
            result.append(_sum_of_rows(node) or node)
        else:
            result.append(with_bodies(node, rows_as_sums))
    return result


def _sum_of_rows(c: Contraction) -> Kernel | None:
    if c.n == 1 and c.left.strides[-2] == 1:
        c = _transposed(c)
    floating = c.dtype.kind == "f" and c.dtype.itemsize >= 4 and c.operands is None
    if c.batch or c.accumulate or not floating or c.m > 1 or c.right.strides[-1] != 1:
        return None
    if c.k * c.n < _SUMMED:
        return None
    j, step = axis(0, c.n), axis(1, c.k)
    x = load(c.left.buffer, c.left.offset + step * c.left.strides[-1], c.dtype)
    y = load(c.right.buffer, c.right.offset + step * c.right.strides[-2] + j, c.dtype)
    store = Store(
        c.out.buffer, c.out.offset + j * c.out.strides[-1], make("reduced", (), c.dtype, 0)
    )
    reduction = Reduction("add", ((1, c.k),), x * y, c.dtype, c.dtype)
    return remade(Kernel(((0, c.n),), (reduction,), (store,), origin=c.origin))


# -- long sums in blocks -----------------------------------------------------------------------


def _in_blocks(c: Contraction, new_buffer: NewBuffer) -> list[Node]:
    """A product with a long sum and a small result as a batch of partial products, and their sum.

    The gradient of a convolution's filters sums over all positions of all images.
    """
    blocks = _sum_blocks(c)
    if blocks is None:
        return [c]
    terms = c.k // blocks
    partial = new_buffer((blocks, c.m, c.n), c.dtype)
    left_step, right_step = c.left.strides[-1] * terms, c.right.strides[-2] * terms
    products = replace(
        c,
        left=replace(c.left, strides=(left_step, *c.left.strides)),
        right=replace(c.right, strides=(right_step, *c.right.strides)),
        out=Matrix(partial, integer(0), (c.m * c.n, c.n, 1)),
        batch=(blocks,),
        k=terms,
    )
    i, j, block = axis(0, c.m), axis(1, c.n), axis(2, blocks)
    given = load(partial, block * (c.m * c.n) + i * c.n + j, c.dtype)
    total = make("reduced", (), c.dtype, 0)
    row, column = c.out.strides
    store = Store(c.out.buffer, c.out.offset + i * row + j * column, total)
    kernel = Kernel(
        ((0, c.m), (1, c.n)),
        (Reduction("add", ((2, blocks),), given, c.dtype, c.dtype),),
        (store,),
        origin=c.origin,
    )
    return [products, remade(kernel)]


def _sum_blocks(c: Contraction) -> int | None:
    floating = c.dtype.kind == "f" and c.dtype.itemsize >= 4
    small = c.m * c.n <= _SMALL_RESULT and min(c.m, c.n) > 1
    if c.batch or c.accumulate or not floating or not small or c.k < _LONG_SUM:
        return None
    if c.k < 8 * max(c.m, c.n):
        return None
    limit = min(_MAX_BLOCKS, c.k // _MIN_TERMS)
    best = max(d for d in range(1, limit + 1) if c.k % d == 0)
    return best if best * 4 > limit else None
