"""Matrix products as kernels of a plan: sums of products of their operands' elements."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from fnad.core.types import computing_dtype
from fnad.lowering.cuda.kernels import blocks_of
from fnad.lowering.cuda.tiles import best_parts, matrix_product
from fnad.lowering.expr import B, Expr, axis, integer, load, make
from fnad.lowering.kernels import remade
from fnad.lowering.plan import Contraction, Kernel, Matrix, Node, Reduction, Store
from fnad.lowering.tensors import linear
from fnad.lowering.walk import rebuild

NewBuffer = Callable[[Sequence[int], np.dtype[Any]], int]

# Sums are divided until so many blocks of threads have something to do, into parts of so many
# terms at least.
_WANTED_BLOCKS = 132
_TERMS_OF_A_PART = 128
_MOST_PARTS = 64


def product_axes(c: Contraction) -> tuple[tuple[tuple[int, int], ...], tuple[int, int]]:
    """The loops of a product as a kernel: over batch, rows and columns; and over the terms."""
    axes = tuple(enumerate((*c.batch, c.m, c.n)))
    return axes, (len(axes), c.k)


def places(c: Contraction) -> tuple[Expr, Expr, Expr]:
    """Where the elements of left, right and out lie, by the loops of `product_axes`."""
    axes, term = product_axes(c)
    *batch, i, j = (axis(*a) for a in axes)
    k = axis(*term)
    return (
        _offset(c.left, (*batch, i, k)),
        _offset(c.right, (*batch, k, j)),
        _offset(c.out, (*batch, i, j)),
    )


def operands(c: Contraction, dtypes: Mapping[int, np.dtype[Any]]) -> tuple[Expr, Expr]:
    """The elements of left and right, in buffers of these dtypes."""
    left, right, _ = places(c)
    return (
        load(c.left.buffer, left, dtypes[c.left.buffer]),
        load(c.right.buffer, right, dtypes[c.right.buffer]),
    )


def product_kernel(c: Contraction, left: Expr, right: Expr) -> Kernel:
    """A product as a kernel: for each batch, row and column the sum over one more axis.

    ``left`` and ``right`` are the elements of the operands, by the loops of `product_axes`.
    """
    axes, term = product_axes(c)
    _, _, place = places(c)
    wide, boolean = computing_dtype(c.dtype), c.dtype.kind == "b"
    factors = B.convert(left, wide), B.convert(right, wide)
    value = make("bitwise_and" if boolean else "multiply", factors, wide)
    total = make("reduced", (), wide, 0)
    if c.accumulate:
        old = B.convert(load(c.out.buffer, place, c.dtype), wide)
        total = B.bitwise_or(old, total) if boolean else B.add(old, total)
    store = Store(c.out.buffer, place, B.convert(total, c.dtype))
    reduction = Reduction("or" if boolean else "add", (term,), value, wide, wide)
    return Kernel(axes, (reduction,), (store,), origin=c.origin)


def _offset(m: Matrix, index: Sequence[Expr]) -> Expr:
    offset = m.offset
    for i, stride in zip(index, m.strides, strict=True):
        offset = offset + i * stride
    return offset


# -- long sums in parts ------------------------------------------------------------------------


def in_parts(kernel: Kernel, new_buffer: NewBuffer) -> list[Node]:
    """A product of few tiles and many terms as partial products, and their sum in fixed order."""
    parts = _parts(kernel)
    if parts == 1:
        return [_finished(kernel)]
    [reduction] = kernel.reductions
    [term] = reduction.axes
    first = term[0] + 1
    each = -(-term[1] // parts)
    part, inner = axis(first, parts), axis(first + 1, each)
    value = _value_of_part(reduction.value, term, part * each + inner)
    shape = [extent for _, extent in kernel.axes]
    points = linear(tuple([axis(*a) for a in kernel.axes]), tuple(shape))
    place = points + part * math.prod(shape)
    partial = new_buffer((parts, *shape), reduction.dtype)
    total = make("reduced", (), reduction.dtype, 0)
    partials = replace(
        kernel,
        axes=(part.attr, *kernel.axes),
        reductions=(replace(reduction, axes=(inner.attr,), value=value),),
        stores=(Store(partial, place, total),),
    )
    given = load(partial, place, reduction.dtype)
    summed = replace(kernel, reductions=(replace(reduction, axes=(part.attr,), value=given),))
    return [_finished(partials), remade(summed)]


def _value_of_part(value: Expr, term: tuple[int, int], whole: Expr) -> Expr:
    """A product of factors at another term, which may lie beyond the last one: then it is zero."""
    variable, last = axis(*term), B.minimum(whole, integer(term[1] - 1))
    factors = rebuild(value.args, lambda e: last if e is variable else None)
    inside = B.less(whole, integer(term[1]))
    zero = B.constant(0, value.dtype)
    left, right = (B.where(inside, factor, zero) for factor in factors)
    return make(value.op, (left, right), value.dtype)


def _parts(kernel: Kernel) -> int:
    """Into how many parts the terms of a product are divided: better evenly, if that is many."""
    [(_, terms)] = kernel.reductions[0].axes
    found = matrix_product(kernel)
    wanted = min(_MOST_PARTS, terms // _TERMS_OF_A_PART)
    if found is None:
        wanted = min(wanted, _WANTED_BLOCKS // blocks_of(remade(kernel)))
    elif wanted > 1:
        wanted = best_parts(found, wanted)
    if wanted < 2:
        return 1
    even = max(d for d in range(1, wanted + 1) if terms % d == 0)
    return even if 2 * even > wanted else wanted


def _finished(kernel: Kernel) -> Kernel:
    """A product as it stays: with its loops merged where it has no tiles."""
    return kernel if matrix_product(kernel) else remade(kernel)
