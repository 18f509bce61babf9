"""Kernels that only lay elements out anew, so that groups may work through them line by line.

The windows of a convolution are laid out by a kernel whose tasks are images. A group of as many
rows leaves threads idle if there are few images, and leaves the cache if they are large.

Before::

    kernel [i0<2, i1<56, i2<56, i3<3, i4<192]
      %4[(1806336*i0 + 32256*i1 + ...)] = %3[(215296*i0 + 3712*i1 + ...)]

After::

    kernel [i0<112, i1<56, i2<3, i3<192]
      v0:i64 = remainder(i0, 56)
      v1:i64 = divide(i0, 56)
      %4[(32256*i0 + ...)] = %3[(... + 3712*v0 + 215296*v1)]
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace

from fnad.lowering.expr import affine_parts, axis, divided
from fnad.lowering.kernels import mapped, remade
from fnad.lowering.plan import Contraction, Kernel
from fnad.lowering.walk import rebuild

# Fewer tasks than this are too few; of more bytes than this, they are too large.
_FEW_TASKS = 8
_LARGE_BYTES = 1 << 19

# What is written in shorter pieces is written row by row.
_LINE_BYTES = 128


def by_lines(kernel: Kernel) -> Kernel:
    """A kernel with more and smaller tasks, if it has few or large ones, else the kernel itself."""
    while _is_coarse(kernel) and _copies_lines(kernel):
        kernel = _joined(kernel)
    return kernel


def _is_coarse(kernel: Kernel) -> bool:
    points = math.prod([extent for _, extent in kernel.axes[1:]])
    nbytes = sum([points * s.value.dtype.itemsize for s in kernel.stores])
    return kernel.axes[0][1] < _FEW_TASKS or nbytes > _LARGE_BYTES


def _copies_lines(kernel: Kernel) -> bool:
    """Whether loops over lines are left when the outermost two loops are one."""
    innermost = axis(*kernel.axes[-1])
    return len(kernel.axes) > 2 and all(
        affine_parts(place)[0].get(innermost) == 1
        for s in kernel.stores
        for place in (s.offset, s.value.args[0])
    )


def _joined(kernel: Kernel) -> Kernel:
    """The kernel with its outermost two loops as one."""
    (first, count), (second, lines), *inner = kernel.axes
    line = axis(first, count * lines)
    image, rest = divided(line, lines)
    mapping = {axis(first, count): image, axis(second, lines): rest}
    loops = replace(kernel, axes=((first, count * lines), *inner))
    return remade(mapped(loops, lambda exprs: rebuild(exprs, mapping.get)))


def lines_written(node: Kernel | Contraction) -> set[int]:
    """The buffers of which a node writes whole lines: of a kernel, along its innermost axis."""
    if isinstance(node, Contraction):  # a product an entry of its batch
        whole = node.out.strides[-1] == 1 and node.n * node.dtype.itemsize >= _LINE_BYTES
        return {node.out.buffer} if node.batch and whole and not node.accumulate else set()
    variable, extent = axis(*node.axes[-1]), node.axes[-1][1]
    neighbours = Counter(s.buffer for s in node.stores)
    found = set()
    for s in node.stores:
        stride = affine_parts(s.offset)[0].get(variable, 0)
        piece = stride * extent * s.value.dtype.itemsize
        if stride <= neighbours[s.buffer] and piece >= _LINE_BYTES:
            found.add(s.buffer)
    return found
