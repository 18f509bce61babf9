"""Right sides of products that run by blocks of rows, as members of groups.

A product on its own packs its right side as it goes. Each block of rows of a group would do that
anew, which for all but small ones takes longer than the group saves. So it is copied before the
group into panels, from which register tiles read as fast as from what they pack themselves.

Before::

    group 4096 by 96 locals %4
      contract 1 x (4096, 3072, 768) f32: %4[0; 3072x1] = %0[0; 768x1] %1[0; 3072x1]
      kernel [i0<4096, i1<3072]
        ...

After::

    kernel [i0<768, i1<96, i2<32]
      %5[(32*i0 + 24576*i1 + i2)] = %1[(3072*i0 + 32*i1 + i2)]
    group 4096 by 96 locals %4
      contract 1 x (4096, 3072, 768) f32: %4[0; 3072x1] = %0[0; 768x1] %5[0; 32x768] in panels of 32
      kernel [i0<4096, i1<3072]
        ...

Right sides that no turn of a loop changes are packed before it, once for all turns: where they lie
they would be read at the pace of the second cache, and by larger strides than it fetches ahead.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence, Set
from dataclasses import replace
from typing import Any

import numpy as np

from fnad.core.types import is_half
from fnad.lowering.access import access, with_bodies
from fnad.lowering.expr import affine_parts, axis, integer, load
from fnad.lowering.kernels import remade
from fnad.lowering.plan import Contraction, For, Group, Kernel, Matrix, Member, Node, Store

NewBuffer = Callable[[Sequence[int], np.dtype[Any]], int]

# Blocks of products have at least about so many rows.
PRODUCT_ROWS = 96

# What every block of rows may read, packed anew if need be; a product of few rows reads a larger
# right side where it lies.
_SMALL_BYTES = 96 << 10
_FEW_ROWS = 48
_FEW_ROWS_BYTES = 1 << 20

# Products with a larger right side run by blocks from so many rows on: enough for many threads.
_MANY_ROWS = 384

# Their right side is read where it lies if its rows are dense and it has at most so many bytes.
_NEAR_BYTES = 256 << 10

# Blocks that read all of a right side lose as much time as is gained by a buffer of so many times
# less that need not go through memory. What is smaller than this is in a cache anyway.
_AGAIN = 6
_FAR_BYTES = 4 << 20

# A loop of so many turns has its right sides packed, from so many bytes on: smaller ones stay in
# the first cache. There are to be a tile's rows, or more than inner products are fast for.
_TURNS = 8
_LOOP_BYTES = 32 << 10
_LOOP_ROWS = 4
_LOOP_ROWS_TURNED = 17

# Of a row of a panel: a multiple of what the register tiles of all machines are wide.
_PANEL_BYTES = 128


def runs_in_blocks(c: Contraction) -> bool:
    """Whether a product may run by blocks of rows."""
    return _shared_bytes(c) == 0 or (c.m >= _MANY_ROWS and _packable(c))


def price(c: Contraction) -> int:
    """Bytes of buffers that have to stay in cache for a product to be run by blocks of rows."""
    size = _shared_bytes(c)
    return max(_FAR_BYTES, size, size * c.m // (_AGAIN * PRODUCT_ROWS)) if size else 0


def with_packing(group: Group, new_buffer: NewBuffer) -> list[Node]:
    """The kernels that pack right sides, each once, and the group that reads what they packed."""
    packing = _Packing(new_buffer)
    group = packing.within(group, _to_be_packed)
    return [*packing.kernels, group]


def packed_before_loops(body: Iterable[Node], new_buffer: NewBuffer) -> list[Node]:
    """A schedule whose loops read right sides that they do not change from panels."""
    found: list[Node] = []
    for node in body:
        if isinstance(node, For) and node.extent >= _TURNS and node.count is None:
            packing = _Packing(new_buffer)
            node = packing.below(node, access(node).writes)
            found += packing.kernels
        found.append(with_bodies(node, lambda inner: packed_before_loops(inner, new_buffer)))
    return found


class _Packing:
    """The kernels that pack right sides, each once."""

    def __init__(self, new_buffer: NewBuffer) -> None:
        self.kernels: list[Node] = []
        self._new_buffer = new_buffer
        self._packed: dict[tuple[Matrix, int, int], Matrix] = {}

    def read(self, c: Contraction) -> Contraction:
        """The product of what was packed."""
        key = c.right, c.k, c.n
        if key not in self._packed:
            copies, self._packed[key] = _panels(c, self._new_buffer)
            self.kernels += copies
        right = self._packed[key]
        return replace(c, right=right, panel=right.strides[0])

    def within(self, group: Group, wanted: Callable[[Contraction], bool]) -> Group:
        """A group whose products read what was packed, if it is wanted."""
        members = [
            Member(self.read(node), member.step)
            if isinstance(node := member.node, Contraction) and wanted(node)
            else member
            for member in group.members
        ]
        return replace(group, members=tuple(members))

    def below(self, node: Node, written: Set[int]) -> Node:
        """A node of a loop that writes these buffers; its products read what was packed."""
        if isinstance(node, Group):
            return self.within(node, lambda c: _fixed(c, written))
        if isinstance(node, Contraction):
            return self.read(node) if _fixed(node, written) else node
        return with_bodies(node, lambda inner: [self.below(n, written) for n in inner])


def _fixed(c: Contraction, written: Set[int]) -> bool:
    """Whether the right side of a product is worth packing before a loop, and stays as it is."""
    rows = _LOOP_ROWS if c.right.strides[-1] == 1 else _LOOP_ROWS_TURNED
    return (
        not (c.batch or c.panel or c.right.buffer in written or affine_parts(c.right.offset)[0])
        and _packable(c)
        and c.m >= rows
        and c.n * c.dtype.itemsize >= _PANEL_BYTES
        and c.n * c.k * c.dtype.itemsize > _LOOP_BYTES
        and c.out.strides[-1] == 1
    )


def _shared_bytes(c: Contraction) -> int:
    """The size of a right side that costs something to read for each block of rows, else 0."""
    size = c.k * c.n * c.dtype.itemsize
    few = c.m <= _FEW_ROWS and c.right.strides[-1] == 1 and size <= _FEW_ROWS_BYTES
    return 0 if c.batch or few or size <= _SMALL_BYTES else size


def _to_be_packed(c: Contraction) -> bool:
    """Whether the right side of a member of a group is to be packed before the group."""
    return _shared_bytes(c) > (_NEAR_BYTES if c.right.strides[-1] == 1 else 0)


def _packable(c: Contraction) -> bool:
    """Whether a product can read its right side from panels.

    Sums of narrow numbers are taken in a wider type, to which they are converted block by block.
    """
    return not is_half(c.dtype) and c.dtype.itemsize >= 4


def _panels(c: Contraction, new_buffer: NewBuffer) -> tuple[list[Node], Matrix]:
    """The kernels that lay out the right side of a product in panels, and the panels."""
    width = _PANEL_BYTES // c.dtype.itemsize
    buffer = new_buffer((-(-c.n // width), c.k, width), c.dtype)
    whole, rest = divmod(c.n, width)
    parts = [(0, whole, width), (whole * width, 1, rest)]
    kernels: list[Node] = [_copies(c, buffer, width, *part) for part in parts if all(part[1:])]
    return kernels, Matrix(buffer, integer(0), (width, c.k))


def _copies(c: Contraction, buffer: int, width: int, first: int, count: int, used: int) -> Kernel:
    """Copies the columns from ``first`` on into ``count`` panels, ``used`` columns into each."""
    row, column = c.right.strides
    loops = ((0, c.k), (1, count), (2, used)) if column == 1 else ((0, count), (1, c.k), (2, used))
    outer, inner, j = (axis(*loop) for loop in loops)
    k, panel = (outer, inner) if column == 1 else (inner, outer)  # dense rows are read as a whole
    source = c.right.offset + k * row + (panel * width + j + first) * column
    target = panel * (c.k * width) + k * width + j + first * c.k
    store = Store(buffer, target, load(c.right.buffer, source, c.dtype))
    return remade(Kernel(loops, (), (store,), origin=c.origin))
