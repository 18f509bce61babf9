"""Products of numbers of 16 bits, which a plan has converted to float32 first, without that.

The device's library takes them as they are, sums in float32 all the same, and rounds once; with
that it reads half as much, and multiplies many times as fast.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from fnad.core.types import is_half
from fnad.lowering.access import kernel_exprs
from fnad.lowering.cuda.correspondence import at_points, matrix_at
from fnad.lowering.cuda.cublas import suits
from fnad.lowering.cuda.epilogues import variables_of
from fnad.lowering.cuda.product_kernels import NewBuffer, product_axes
from fnad.lowering.expr import Expr, axis, integer, load
from fnad.lowering.kernels import build_kernel, mapped
from fnad.lowering.plan import Contraction, Kernel, Matrix, Node, Store
from fnad.lowering.tensors import linear, row_major
from fnad.lowering.walk import loads, postorder, rebuild


def unconverted(element: Expr) -> Expr:
    """The element that is converted."""
    while element.op == "convert":
        element = element.args[0]
    return element


def narrow_product(
    c: Contraction, left: Expr, right: Expr, new_buffer: NewBuffer
) -> tuple[list[Node], Contraction] | None:
    """The product of operands of 16 bits, behind what lays them out where they are not matrices.

    ``left`` and ``right`` are the elements of the operands; None if they have not 16 bits.
    """
    left, right = unconverted(left), unconverted(right)
    if not is_half(left.dtype) or left.dtype != right.dtype:
        return None
    axes, term = product_axes(c)
    *batch, row, column = axes
    nodes: list[Node] = []
    c = replace(c, operands=None if left.dtype == c.dtype else left.dtype)
    found = _matrix(left, (*batch, row, term))
    if found is None or not suits(replace(c, left=found)):
        found, kernel = _laid_out(left, (*batch, row, term), c.left.strides, new_buffer)
        nodes.append(replace(kernel, origin=c.origin))
    c = replace(c, left=found)
    found = _matrix(right, (*batch, term, column))
    if found is None or not suits(replace(c, right=found)):
        found, kernel = _laid_out(right, (*batch, term, column), c.right.strides, new_buffer)
        nodes.append(replace(kernel, origin=c.origin))
    return nodes, replace(c, right=found)


def _matrix(element: Expr, axes: Sequence[tuple[int, int]]) -> Matrix | None:
    return matrix_at(element.attr, element.args[0], [axis(*a) for a in axes])


def _laid_out(
    element: Expr,
    axes: Sequence[tuple[int, int]],
    strides: Sequence[int],
    new_buffer: NewBuffer,
) -> tuple[Matrix, Kernel]:
    """Elements in a dense buffer, and the kernel that writes them there.

    Batch axes for which they are the same, of stride 0, are none of the buffer.
    """
    kept = [i for i, s in enumerate(strides) if s != 0 or i >= len(strides) - 2]
    extents = tuple([axes[i][1] for i in kept])
    buffer = new_buffer(extents, element.dtype)
    steps = dict(zip(kept, row_major(extents)))
    place = linear(tuple([axis(*axes[i]) for i in kept]), extents)
    loops = tuple([axes[i] for i in kept])
    matrix = Matrix(buffer, integer(0), tuple([steps.get(i, 0) for i in range(len(axes))]))
    return matrix, build_kernel(loops, (Store(buffer, place, element),), None)


def narrow_result(c: Contraction, reader: Kernel, buffer: int) -> tuple[Contraction, Kernel] | None:
    """A product that rounds its result into ``buffer``, and the only kernel that reads it.

    None if that does anything else with the result than to round it.
    """
    exprs = kernel_exprs(reader)
    wide = {e for e in loads(exprs) if e.attr == c.out.buffer}
    found = postorder(exprs)
    if c.accumulate or c.operands is None or not wide.isdisjoint(exprs):
        return None
    if any(
        e.dtype != c.operands or e.op != "convert" for e in found if not wide.isdisjoint(e.args)
    ):
        return None
    narrow = {
        e: load(buffer, e.args[0].args[0], e.dtype) for e in found if not wide.isdisjoint(e.args)
    }
    product = replace(c, out=replace(c.out, buffer=buffer), dtype=c.operands, operands=None)
    return product, mapped(reader, lambda exprs: rebuild(exprs, narrow.get))


def moved_result(c: Contraction, reader: Kernel) -> Contraction | None:
    """A product that writes where a kernel would only have copied its result to."""
    variables = variables_of(c, reader)
    if variables is None or len(reader.stores) != 1:
        return None
    [store] = reader.stores
    if store.value.op != "load" or store.combine is not None or store.when is not None:
        return None
    [offset] = at_points([store.offset], variables)
    axes, _ = product_axes(c)
    place = matrix_at(store.buffer, offset, [axis(*a) for a in axes])
    moved = None if place is None else replace(c, out=place)
    return moved if moved is not None and suits(moved) else None
