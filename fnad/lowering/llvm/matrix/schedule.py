"""How one product is computed: which operand comes first, what is packed, blocks and tasks.

All of it follows from shapes and strides alone, so that results never depend on the number of
threads.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

from fnad.lowering.llvm.matrix.driver import DOTS, function_slots
from fnad.lowering.llvm.matrix.library import shape_of
from fnad.lowering.llvm.matrix.variants import TileShape, Variant
from fnad.lowering.llvm.writer import FLOAT16, DType


@dataclass(frozen=True, slots=True)
class Product:
    """``(*batch, m, k) x (*batch, k, n) -> (*batch, m, n)``; strides are in elements.

    With ``accumulate`` the product is added to the result, whose memory is otherwise not read.
    """

    batch: tuple[int, ...]
    m: int
    n: int
    k: int
    dtype: DType
    a: tuple[int, ...]
    b: tuple[int, ...]
    out: tuple[int, ...]
    accumulate: bool = False

    def transposed(self) -> Product:
        """The product of the transposes, whose result is the transpose."""
        turn = lambda s: (*s[:-2], s[-1], s[-2])  # noqa: E731
        return replace(self, m=self.n, n=self.m, a=turn(self.b), b=turn(self.a), out=turn(self.out))


@dataclass(frozen=True, slots=True)
class Schedule:
    """The record of the runtime's functions for one product."""

    product: Product
    swapped: bool
    dots: bool
    pack_a: bool
    pack_b: bool
    depth: int
    part: int
    task_rows: int
    task_columns: int

    @property
    def variant(self) -> Variant:
        return Variant(self.product.dtype)

    @property
    def row_blocks(self) -> int:
        return -(-self.product.m // self.task_rows)

    @property
    def column_blocks(self) -> int:
        return -(-self.product.n // self.task_columns)

    @property
    def tasks(self) -> int:
        return math.prod(self.product.batch) * self.row_blocks * self.column_blocks

    def room_a(self) -> int:
        shape = shape_of(self.variant)
        if not self.pack_a:
            return 0
        part = min(self.part, self.product.m)
        panels = part // shape.rows + len(shape.heights)
        return panels * shape.panel_rows * self.depth + shape.lanes * shape.panel_rows

    @property
    def scratch_bytes(self) -> int:
        shape = shape_of(self.variant)
        room_b = 0
        if self.pack_b:
            columns = -(-min(self.task_columns, self.product.n) // shape.columns) * shape.columns
            room_b = columns * self.depth + shape.lanes * shape.columns
        return (self.room_a() + room_b) * self.variant.compute.itemsize

    def fields(self) -> dict[str, int]:
        p = self.product
        return {
            "m": p.m, "n": p.n, "k": p.k,
            "a.row": p.a[-2], "a.step": p.a[-1], "b.step": p.b[-2], "b.column": p.b[-1],
            "out.row": p.out[-2], "out.column": p.out[-1],
            "depth": self.depth, "pack.a": self.pack_a, "pack.b": self.pack_b,
            "dots": self.dots, "accumulate": p.accumulate, "part": self.part,
            "task.rows": self.task_rows, "task.columns": self.task_columns,
            "row.blocks": self.row_blocks, "column.blocks": self.column_blocks,
            "swapped": self.swapped, "room.a": self.room_a(), "batch.axes": len(p.batch),
            "batch.count": math.prod(p.batch),
        }  # fmt: skip

    def batch_fields(self) -> list[tuple[int, int, int, int]]:
        """Extent and strides of each batch axis, the innermost first."""
        p = self.product
        return [(p.batch[i], p.a[i], p.b[i], p.out[i]) for i in reversed(range(len(p.batch)))]

    def functions(self, counts: Iterable[int] = ()) -> list[str | None]:
        """Symbols of the functions that are needed, in the order of `function_slots`.

        ``counts`` are the lengths of the ranges of rows, if rows are computed, not tasks.
        """
        p = self.product
        rows, columns = set(counts) or {p.m}, {p.n}
        if self.swapped and counts:
            rows, columns = {p.m}, set(counts)
        columns = {part for n in columns for part in _parts(n, self.task_columns)}
        rows = {part for m in rows for part in _parts(m, self.part)}
        needed = {name for name, used in (("pack.a", self.pack_a), ("pack.b", self.pack_b)) if used}
        if self.dots:
            needed |= {f"dots.{part}" for n in columns for part in (DOTS, 1) if _has(n, part)}
        else:
            needed |= {name for m in rows for n in columns for name in self._tiles(m, n)}
        prefix, slots = self.variant.prefix, function_slots(shape_of(self.variant))
        return [f"{prefix}.{slot}" if slot in needed else None for slot in slots]

    def _tiles(self, rows: int, columns: int) -> set[str]:
        """The tiles of a block of the result."""
        shape = shape_of(self.variant)
        stride = shape.columns
        if rows <= 2 and not self.pack_b:
            stride = shape.widths(rows)[-1] * shape.lanes
        widths = {stride if columns >= stride else 0, columns % stride} - {0}
        vectors = set()
        for width in widths:
            usual = 1 if width <= shape.lanes else shape.vectors
            vectors.add(usual if width <= shape.columns else stride // shape.lanes)
        heights, left = set(), rows
        for height in shape.heights:
            if left >= height:
                heights.add(height)
                left %= height
        return {f"tile.{height}x{v}" for height in heights for v in vectors}


def _parts(extent: int, size: int) -> set[int]:
    """The lengths of the parts that an extent is cut into, ``size`` or what is left."""
    return {size if extent >= size else 0, extent % size} - {0}


def _has(columns: int, part: int) -> bool:
    """Whether there are groups of `DOTS` columns, or single ones besides them."""
    return columns >= DOTS if part == DOTS else columns % DOTS > 0


# Inner products are the fastest way for up to so many rows, if both operands lie that way.
_DOTS_ROWS = 4
_DOTS_DEPTH = 8

# Of a block of k, about: a panel of B of this depth stays in the first cache, or nearly so.
_DEPTH = 256

# Bytes of an operand that is read well enough where it lies.
_NEAR = 2**18

# A product is cut into so many tasks, if each then has as many multiplications (10 us).
_TASKS = 4
_TASK_PRODUCTS = 10**6


def schedule(product: Product, divided: bool) -> Schedule:
    """Decide how a product is computed; its tasks are for several threads if ``divided``."""
    dots, swapped, p = _oriented(product)
    variant = Variant(p.dtype)
    shape, size = shape_of(variant), variant.compute.itemsize
    converted = variant.element != variant.compute
    depth = -(-p.k // -(-p.k // _DEPTH))
    task_columns = 16 * shape.columns
    if p.dtype == FLOAT16:  # rounded only once, so there is just one block of k
        depth = p.k
        task_columns = max(16 * _DEPTH // depth, 1) * shape.columns
    far = p.m > 4 * shape.rows and p.k * p.n * size > _NEAR
    pack_b = converted or far or (p.b[-1] != 1 and p.n > 1)
    pack_a = converted or (pack_b and p.n > 4 * shape.columns and p.m * p.k * size > _NEAR // 4)
    part = 8 * shape.rows
    task_rows, task_columns = min(2 * part, p.m), min(task_columns, p.n)
    if divided:
        task_rows, task_columns = _task_sizes(p, shape, task_rows, task_columns)
    return Schedule(p, swapped, dots, pack_a, pack_b, depth, part, task_rows, task_columns)


def _task_sizes(p: Product, shape: TileShape, rows: int, columns: int) -> tuple[int, int]:
    """Rows and columns of a task, at most so many: tasks of one size, so that threads end together.

    Operands are packed for each task anew, hence not more tasks than a few threads need.
    """
    down, across, each = -(-p.m // rows), -(-p.n // columns), math.prod(p.batch)
    wanted = min(_TASKS, each * p.m * p.n * p.k // _TASK_PRODUCTS)
    while each * down * across < wanted:
        if p.n // across > p.m // down and p.n // (across + 1) >= 4 * shape.columns:
            across += 1
        elif p.m // (down + 1) >= 2 * shape.rows:
            down += 1
        elif p.n // (across + 1) >= 2 * shape.columns:
            across += 1
        else:
            break
    return _part(p.m, down, shape.rows), _part(p.n, across, shape.columns)


def _part(extent: int, count: int, unit: int) -> int:
    """The size of one of ``count`` parts of an extent, all but the last one multiples of a unit."""
    size = -(-extent // count)
    return min(-(-size // unit) * unit, extent)


def _oriented(p: Product) -> tuple[bool, bool, Product]:
    """Whether to take inner products, whether operands are swapped, and the product then."""
    if p.a[-1] == p.b[-2] == 1 and min(p.m, p.n) <= _DOTS_ROWS and p.k >= _DOTS_DEPTH:
        swapped = p.m > _DOTS_ROWS or p.n == 1
        return True, swapped, p.transposed() if swapped else p
    if p.out[-1] == 1 and p.n > 1:
        return False, False, p
    if p.out[-2] == 1 or p.m == 1:
        return False, True, p.transposed()
    # Rows and columns of the result have gaps: a batch of matrices of one column, which have not.
    split = lambda s: (*s[:-2], s[-1], *s[-2:])  # noqa: E731
    a = (*p.a[:-2], 0, *p.a[-2:])
    return False, False, replace(p, batch=(*p.batch, p.n), n=1, a=a, b=split(p.b), out=split(p.out))
