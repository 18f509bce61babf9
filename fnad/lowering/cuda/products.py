"""Matrix products of a plan for a card: which ones its library computes, and kernels for the rest.

A product that is not left to the library becomes a kernel of the plan, one that sums products of
its operands' elements, so that everything that is known of kernels holds for it:

* what makes an operand's elements, if it is a mere load or conversion (`operands`), and kernels
  that map the result elementwise (`epilogues`) become a part of it;
* a small result with a long sum becomes partial sums and their sum (`in_parts`);
* `fnad.lowering.cuda.tiles` prints it through shared memory if it is large enough for that, and
  `fnad.lowering.cuda.kernels` prints the rest, such as products of matrices and vectors.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from fnad.core.types import computing_dtype, kind_of
from fnad.lowering.access import with_bodies
from fnad.lowering.buffers import place
from fnad.lowering.cuda.cublas import suits
from fnad.lowering.cuda.kernels import blocks_of
from fnad.lowering.cuda.tiles import matrix_product, tile_of, tiles_of
from fnad.lowering.expr import B, Expr, axis, integer, load, make
from fnad.lowering.kernels import remade
from fnad.lowering.plan import Buffer, Contraction, Kernel, Matrix, Node, Plan, Reduction, Store
from fnad.lowering.tensors import linear
from fnad.lowering.walk import rebuild

NewBuffer = Callable[[Sequence[int], np.dtype[Any]], int]

# Products of fewer operations than these take less time than a call of the library.
_LIBRARY_OPERATIONS = 1 << 21
_LIBRARY_SIDE = 32
# Sums are divided until so many blocks of threads have something to do, into parts of so many
# terms at least.
_WANTED_BLOCKS = 132
_TERMS_OF_A_PART = 128
_MOST_PARTS = 64


def arrange_products(plan: Plan, library: bool = True) -> Plan:
    """A plan in which the only products left are those for the device's library, if it has one."""
    buffers = list(plan.buffers)

    def new_buffer(shape: Sequence[int], dtype: np.dtype[Any]) -> int:
        number = 1 + max(b.number for b in buffers)
        buffers.append(Buffer(number, tuple(shape), dtype, "temp"))
        return number

    def arranged(body: Sequence[Node]) -> list[Node]:
        result: list[Node] = []
        for node in body:
            if not isinstance(node, Contraction):
                result.append(with_bodies(node, arranged))
            elif library and pays_in_library(node):
                result.append(node)
            else:
                result += in_parts(product_kernel(node), new_buffer)
        return result

    body = tuple(arranged(plan.body))
    if body == plan.body:
        return plan
    placed, arena = place(buffers, body)
    return replace(plan, buffers=placed, body=body, arena_size=arena)


def pays_in_library(c: Contraction) -> bool:
    """Whether the device's library is to compute a product: floating, large, and no thin one.

    It depends on shapes and dtype alone, as the bits of results do.
    """
    if kind_of(c.dtype) != "f" or min(c.m, c.n, c.k) < _LIBRARY_SIDE or not suits(c):
        return False
    return math.prod(c.batch) * c.m * c.n * c.k >= _LIBRARY_OPERATIONS


# -- products as kernels -----------------------------------------------------------------------


def product_kernel(c: Contraction) -> Kernel:
    """A product as a kernel: for each batch, row and column the sum over one more axis."""
    axes = tuple(enumerate((*c.batch, c.m, c.n)))
    *batch, i, j = (axis(*a) for a in axes)
    term = len(axes), c.k
    k, wide = axis(*term), computing_dtype(c.dtype)
    left, right = (
        B.convert(load(m.buffer, _offset(m, (*batch, *index)), c.operands or c.dtype), wide)
        for m, index in ((c.left, (i, k)), (c.right, (k, j)))
    )
    boolean = c.dtype.kind == "b"
    value = make("bitwise_and" if boolean else "multiply", (left, right), wide)
    total = make("reduced", (), wide, 0)
    place = _offset(c.out, (*batch, i, j))
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
    blocks = tiles_of(found, tile_of(found)) if found else blocks_of(remade(kernel))
    wanted = min(_MOST_PARTS, _WANTED_BLOCKS // blocks, terms // _TERMS_OF_A_PART)
    if wanted < 2:
        return 1
    even = max(d for d in range(1, wanted + 1) if terms % d == 0)
    return even if 2 * even > wanted else wanted


def _finished(kernel: Kernel) -> Kernel:
    """A product as it stays: with its loops merged where it has no tiles."""
    return kernel if matrix_product(kernel) else remade(kernel)
