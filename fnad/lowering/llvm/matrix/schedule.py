"""How one product is computed: which operand comes first, what is packed, blocks and tasks.

All of it follows from shapes and strides alone, so that results never depend on the number of
threads.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache

from fnad.core.types import is_half
from fnad.lowering.llvm.matrix.driver import function_slots
from fnad.lowering.llvm.matrix.library import shape_of
from fnad.lowering.llvm.matrix.variants import TileShape, Variant
from fnad.lowering.llvm.writer import DType


@dataclass(frozen=True, slots=True)
class Product:
    """``(*batch, m, k) x (*batch, k, n) -> (*batch, m, n)``; strides are in elements.

    With ``accumulate`` the product is added to the result, whose memory is otherwise not read.
    With ``panel``, B lies in panels of so many columns, as it is packed: see `plan.Contraction`.
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
    panel: int = 0

    def transposed(self) -> Product:
        """The product of the transposes, whose result is the transpose."""
        turn = lambda s: (*s[:-2], s[-1], s[-2])  # noqa: E731
        return replace(self, m=self.n, n=self.m, a=turn(self.b), b=turn(self.a), out=turn(self.out))


@dataclass(frozen=True)
class Schedule:
    """The record of the runtime's functions for one product."""

    product: Product
    swapped: bool
    dots: bool
    pack_a: bool
    pack_b: bool
    depth: int
    terms: int
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

    @cached_property
    def direct(self) -> bool:
        """Whether there are so few tiles that the program may call each of them."""
        p, whole = self.product, self.terms == self.product.k
        if self.dots or self.pack_a or p.panel or self.row_blocks * self.column_blocks > 1:
            return False
        if not whole or (self.pack_b and p.n > shape_of(self.variant).columns):
            return False
        return len(self.tile_rows()) * len(self.tile_columns()) <= _DIRECT

    @cached_property
    def height(self) -> int:
        """Rows of a tile, at most, if what is computed are tasks."""
        return self._height()

    @cached_property
    def tasks(self) -> int:
        return math.prod(self.product.batch) * self.row_blocks * self.column_blocks

    def room_a(self) -> int:
        shape = shape_of(self.variant)
        if not self.pack_a:
            return 0
        if self.dots:
            return self.product.m * self.product.k
        part = min(self.part, self.product.m)
        panels = -(-part // shape.rows)
        return panels * shape.panel_rows * self.depth + shape.lanes * shape.panel_rows

    @cached_property
    def scratch_bytes(self) -> int:
        shape = shape_of(self.variant)
        room_b = 0
        if self.pack_b:
            columns = -(-min(self.task_columns, self.product.n) // shape.columns) * shape.columns
            room_b = columns * self.depth + shape.lanes * shape.columns
        return (self.room_a() + room_b) * self.variant.compute.itemsize

    def fields(self, counts: Sequence[int] | None) -> dict[str, int]:
        """The record's numbers; what is computed are ranges of tasks or, of ``counts``, of rows."""
        p = self.product
        return {
            "m": p.m, "n": p.n, "k": p.k,
            "a.row": p.a[-2], "a.step": p.a[-1], "b.step": p.b[-2], "b.column": p.b[-1],
            "out.row": p.out[-2], "out.column": p.out[-1],
            "depth": self.depth, "terms": self.terms, "pack.a": self.pack_a, "pack.b": self.pack_b,
            "dots": self.dots, "accumulate": p.accumulate, "panel": max(p.panel, 1),
            "height": self._height(counts or ()), "overlapping": self._overlaps(counts or ()),
            "part": self._part_rows(counts or ()),
            "task.rows": self.task_rows, "task.columns": self.task_columns,
            "row.blocks": self.row_blocks, "column.blocks": self.column_blocks,
            "by.rows": counts is not None, "swapped": self.swapped, "room.a": self.room_a(),
            "batch.axes": len(p.batch), "batch.count": math.prod(p.batch),
        }  # fmt: skip

    def batch_fields(self) -> list[tuple[int, int, int, int]]:
        """Extent and strides of each batch axis, the innermost first."""
        p = self.product
        return [(p.batch[i], p.a[i], p.b[i], p.out[i]) for i in reversed(range(len(p.batch)))]

    def _height(self, counts: Sequence[int] = ()) -> int:
        """Rows of tiles, at most."""
        shape, rows = shape_of(self.variant), self._rows(counts)
        if self.pack_a or self.part < shape.rows:
            return min(shape.rows, self.part, rows)
        return _even_height(rows, shape)

    def _rows(self, counts: Sequence[int]) -> int:
        return self.product.m if self.swapped or not counts else max(counts)

    def _overlaps(self, counts: Sequence[int] = ()) -> bool:
        """Whether the last tile of a column begins further up, so that it is of full height.

        That takes some rows twice, and spares a function for what is left.
        """
        rows = self._rows(counts)
        return (-rows % self._height(counts)) * _ROWS_FOR_ONE_TWICE <= rows

    def _part_rows(self, counts: Sequence[int]) -> int:
        """Rows of A that the panels of B pass by, whole tiles."""
        return max(self.part // shape_of(self.variant).rows, 1) * self._height(counts)

    def functions(self, counts: Sequence[int] = ()) -> list[str | None]:
        """Symbols of the functions that are needed, in the order of `function_slots`.

        ``counts`` are the lengths of the ranges of rows, if rows are computed, not tasks.
        """
        p = self.product
        rows, columns = set(counts) or {p.m}, {p.n}
        if self.swapped and counts:
            rows, columns = {p.m}, set(counts)
        columns = {part for n in columns for part in _parts(n, self.task_columns)}
        if self.dots:
            needed = {name for m in rows for n in columns for name in self._dots(m, n)}
        else:
            most = self._height(counts)
            whole = self._overlaps(counts)
            heights = {h for m in rows for h in ({min(m, most)} if whole else _parts(m, most))}
            needed = {f"tile.{height}" for height in heights}
        needed |= {name for name, used in self._packing().items() if used}
        slots = function_slots(shape_of(self.variant))
        return [self.symbol(slot) if slot in needed else None for slot in slots]

    def symbol(self, slot: str) -> str:
        """Of a function of `function_slots`."""
        p, name = self.product, slot
        if slot.startswith("tile"):
            name += self._lines()
            name += ".strided" if p.out[-1] != 1 and p.n > 1 else ""
        if slot.startswith("pack"):
            row, step = p.a[-2:] if slot == "pack.a" else p.b[:-3:-1]
            name = "pack" if 1 in (row, step) else "gather"
        return f"{self.variant.prefix}.{name}"

    def _lines(self) -> str:
        """Which tiles are needed: those that make use of how A lies, where it pays."""
        if not shape_of(self.variant).written_out:
            return ""
        row, step = (1, 0) if self.pack_a else self.product.a[-2:]
        return ".rows" if step == 1 else ".columns" if row == 1 else ""

    def _packing(self) -> dict[str, bool]:
        lines = self.dots and self.pack_a
        return {"pack.a": self.pack_a and not lines, "pack.b": self.pack_b, "lines": lines}

    def _dots(self, rows: int, columns: int) -> set[str]:
        """The inner products of a block of the result."""
        most, several = shape_of(self.variant).dots
        widths = [several] * (columns >= several) + [1] * (columns % several > 0)
        return {f"dots.{i}x{j}" for i in _parts(rows, most) for j in widths}

    def tile_rows(self) -> list[tuple[int, int, int]]:
        """Of each tile of a column: the first row, the first new one and the height."""
        most, rows = self.height, self.product.m
        if self._overlaps():
            return [(min(i, rows - most), i, most) for i in range(0, rows, most)]
        return [(i, i, min(most, rows - i)) for i in range(0, rows, most)]

    def tile_columns(self) -> list[tuple[int, int]]:
        """The first column and the number of columns of each tile of a row."""
        stride, columns = self._stride(), self.product.n
        return [(j, min(stride, columns - j)) for j in range(0, columns, stride)]

    def _stride(self) -> int:
        """Columns of a tile."""
        shape, height = shape_of(self.variant), self.height
        wide = height <= 2 and not self.pack_b and not self.product.panel
        return shape.widths(height)[-1] * shape.lanes if wide else shape.columns


def _parts(extent: int, size: int) -> set[int]:
    """The lengths of the parts that an extent is cut into, ``size`` or what is left."""
    return {size if extent >= size else 0, extent % size} - {0}


# Inner products are the fastest way for up to so many rows (or columns), if the operands lie that
# way, and long ones for more; for fewer if one operand has to be brought into place.
_DOTS = 16
_DOTS_MOVED = 8
_DOTS_DEPTH = 8
_TERMS_FOR_ROW = 16

# Terms that are summed before they are added to the result: rounding errors grow with them.
_TERMS = 512

# Of a block of k, at most: a panel of B of this depth comes from the second cache in time.
_DEPTH = 2048

# Bytes of A that stay in the second cache while panels of B pass by.
_PART_BYTES = 3 * 2**17

# Bytes of an operand that is read well enough where it lies, and of a result that is not in cache.
_NEAR = 2**18
_FAR = 2**21

# Such bytes of B for more than so many tiles in a column, on machines with many vector registers
# and with few, whose caches are smaller.
_NEAR_OF = {False: ((6, _NEAR),), True: ((6, 2**16 - 1), (2, 2**20 - 1))}

# Bytes between columns (or rows) of A at which they get into each other's way in a cache. Columns
# are packed for fewer panels of B than rows, which are next to each other for several terms.
_PITCH = 2048
_MANY_PANELS = 64

# Products of so few terms are as long as it takes to write them: along whole rows is fastest.
_FEW_TERMS = 8

# A product is cut into so many tasks, if each then has as many multiplications (10 us).
_TASKS = 8
_TASK_PRODUCTS = 10**6
# Reading a number takes as long as so many multiplications.
_PRODUCTS_READ = 8
# Where each task packs for itself there are fewer, but one more for so many multiplications.
_PACKED_PRODUCTS = 2**31

# Long tasks, if there are few, are a multiple of this many: two or four threads end together.
_MANY_TASKS = 16
_THREADS = 4

# Of a task that packs B, at most: bytes of B, and rows that it is multiplied by.
_STRIPE_BYTES = 2**21
_STRIPE_ROWS = 4096

# So many rows for one that is computed twice, at least.
_ROWS_FOR_ONE_TWICE = 32

# Tiles that a program calls itself, at most.
_DIRECT = 8


# Of a block of k if there are so few rows that B is best read by whole rows; with some more, if B
# is in no cache.
_FEW_ROWS = 4
_SOME_ROWS = 12
_SHALLOW = 16


@lru_cache(4096)
def schedule(product: Product, divided: bool) -> Schedule:
    """Decide how a product is computed; its tasks are for several threads if ``divided``."""
    dots, swapped, p = _oriented(product)
    variant = Variant(p.dtype)
    shape, size = shape_of(variant), variant.compute.itemsize
    if dots:
        _, columns = _task_sizes(p, shape, (p.m, 16 * shape.columns), _TASKS * divided)
        return Schedule(p, swapped, True, p.a[-1] != 1, False, p.k, p.k, p.m, p.m, columns)
    converted = variant.element != variant.compute
    terms = -(-p.k // -(-p.k // _TERMS))
    if is_half(p.dtype):  # rounded only once, so there is just one block of k
        terms = p.k
    far = any(
        p.m > tiles * shape.rows and p.k * p.n * size > near
        for tiles, near in _NEAR_OF[shape.written_out]
    )
    pack_b = not p.panel and (converted or far or (p.b[-1] != 1 and p.n > 1))
    pack_a = converted or ((pack_b or p.panel > 0) and _to_be_packed(p, shape, size))
    # Of a column of A few numbers are used at a time: deeper, they would leave the cache between.
    # So would a block of packed A.
    deep = p.a[-1] == 1 and not (pack_a and shape.written_out)
    depth = min(max(_DEPTH // terms, 1) * terms, p.k) if deep else terms
    part = min(max(_PART_BYTES // (depth * size * shape.rows), 4), 12) * shape.rows
    stripes = pack_b and not pack_a
    columns = max(_STRIPE_BYTES // (depth * size * shape.columns), 1) if pack_b else 16
    height = _STRIPE_ROWS if stripes else 8 * part if pack_b else part
    products = math.prod(p.batch) * p.m * p.n * p.k
    tasks = max(_TASKS // 2, products // _PACKED_PRODUCTS) if pack_b else 4 * _TASKS
    most = (height, columns * shape.columns)
    rows, columns = _task_sizes(p, shape, most, tasks * divided, stripes)
    # Only the last task has a tile that is cut off.
    unit = shape.rows if pack_a else _even_height(p.m, shape)
    rows = min(-(-rows // unit) * unit, p.m)
    if not pack_b and not p.panel:
        if p.k <= _FEW_TERMS and math.prod(p.batch) * p.m * p.n * size > _FAR:
            part = 1
        if p.k * p.n * size > (_FAR // 2 if p.m <= _FEW_ROWS else 4 * _FAR) and p.m <= _SOME_ROWS:
            depth = terms = min(depth, _SHALLOW)
    return Schedule(p, swapped, False, pack_a, pack_b, depth, terms, part, rows, columns)


def _even_height(rows: int, shape: TileShape) -> int:
    """Rows of tiles, at most, that divide so many rows evenly."""
    most = shape.tallest if rows <= shape.tallest else shape.rows
    return -(-rows // -(-rows // most))


def _to_be_packed(p: Product, shape: TileShape, size: int) -> bool:
    """Whether it pays to pack A, if B is packed."""
    if p.n < 4 * shape.columns or p.m * p.k * size <= _NEAR // 4:
        return False
    pitched = max(p.a[-2:]) * size % _PITCH == 0
    if not shape.written_out:
        return p.a[-1] != 1 and pitched and p.n > 4 * shape.columns
    return p.a[-1] != 1 or (pitched and p.n >= _MANY_PANELS * shape.columns)


def _task_sizes(
    p: Product, shape: TileShape, most: tuple[int, int], tasks: int, stripes: bool = False
) -> tuple[int, int]:
    """Rows and columns of a task, at most so many: tasks of one size, so that threads end together.

    There are to be ``tasks`` if they are worth it; not many more, as each packs for itself. Columns
    are divided before rows if they are to be ``stripes``, so that each of B is packed once.
    """
    down, across = -(-p.m // most[0]), -(-p.n // most[1])
    each = math.prod(p.batch)
    products = max(p.m * p.n * p.k, (p.m + p.n) * p.k * _PRODUCTS_READ)
    wanted = min(tasks, each * products // _TASK_PRODUCTS)
    while each * down * across < wanted:
        if (stripes or p.n // across > p.m // down) and p.n // (across + 1) >= 4 * shape.columns:
            across += 1
        elif p.m // (down + 1) >= 2 * shape.rows:
            down += 1
        elif p.n // (across + 1) >= 2 * shape.columns:
            across += 1
        else:
            break
    if tasks and stripes and not p.batch and _THREADS < down * across < _MANY_TASKS:
        unit = _THREADS // math.gcd(_THREADS, down)
        across = max(across, min(-(-across // unit) * unit, p.n // (2 * shape.columns)))
    return _part(p.m, down, shape.rows), _part(p.n, across, max(shape.columns, p.panel))


def _part(extent: int, count: int, unit: int) -> int:
    """The size of one of ``count`` parts of an extent, all but the last one multiples of a unit."""
    size = -(-extent // count)
    return min(-(-size // unit) * unit, extent)


def _oriented(p: Product) -> tuple[bool, bool, Product]:
    """Whether to take inner products, whether operands are swapped, and the product then."""
    if p.panel:
        return False, False, p
    turned, few, terms = p.transposed(), min(p.m, p.n), p.k // _TERMS_FOR_ROW
    if p.a[-1] == p.b[-2] == 1 and p.k >= _DOTS_DEPTH and few <= max(min(_DOTS, terms), 1):
        return (True, False, p) if p.m == few else (True, True, turned)
    if few <= min(_DOTS_MOVED, terms):  # the one with few rows is moved
        if p.b[-2] == 1 and p.m == few:
            return True, False, p
        if p.a[-1] == 1 and p.n == few:
            return True, True, turned
    if p.n == 1 or p.out[-1] != 1:
        swapped = p.out[-2] == 1 or p.m == 1
    else:  # vectors along the many rows, if A has them that way
        swapped = p.a[-2] == 1 and p.n <= _DOTS_MOVED and p.m >= 4 * p.n
    return False, swapped, turned if swapped else p
