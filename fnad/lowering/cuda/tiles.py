"""Matrix products in tiles: which kernels are such, and what tiles they have.

A kernel of a plan that sums products of one factor which does not vary along the columns and one
which does not vary along the rows is a matrix product (`matrix_product`), whatever its factors are
made of and whatever its stores do with the sums. A block of threads computes one tile of the
result (`fnad.lowering.cuda.tile_kernels`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from fnad.core.types import is_half
from fnad.lowering.expr import Expr, axis
from fnad.lowering.plan import Kernel, Store
from fnad.lowering.walk import below

Axis = tuple[int, int]

# With fewer rows or columns most of a tile would be empty; with fewer terms nothing is gained.
_FEW = 16
_FEW_TERMS = 8
# Processors of a large card; fewer tiles than these leave some idle.
_PROCESSORS = 132
# To write a partial sum to memory and to read it takes as long as so many multiplications.
_PARTIAL_SUM = 40


@dataclass(frozen=True, slots=True)
class Tile:
    """``rows`` x ``columns`` of a result, by threads that have ``high`` x ``wide`` of it each.

    ``cost`` is the time of one of its elements, relative to that of the largest tile. Those that
    tensor cores multiply have ``cores``.
    """

    rows: int
    columns: int
    high: int
    wide: int
    cost: float
    cores: bool = False

    @property
    def threads(self) -> int:
        """The threads of a block."""
        return self.rows * self.columns // (self.high * self.wide)


TILES = (
    Tile(128, 128, 8, 8, 1.0),
    Tile(128, 64, 8, 4, 1.2),
    Tile(64, 128, 4, 8, 1.2),
    Tile(64, 64, 4, 4, 1.5),
    Tile(128, 32, 4, 4, 1.7),
    Tile(32, 128, 4, 4, 1.7),
    Tile(128, 16, 4, 2, 2.2),
    Tile(16, 128, 2, 4, 2.2),
    Tile(32, 32, 2, 2, 3.0),
)
# Two slabs of numbers of 8 bytes of the largest tile do not fit in shared memory.
WIDE_TILES = TILES[1:]
# For factors that have been converted from one dtype of 16 bits.
NARROW_TILES = (
    Tile(128, 128, 8, 8, 0.2, cores=True),
    Tile(128, 64, 8, 4, 0.25, cores=True),
    Tile(64, 128, 4, 8, 0.25, cores=True),
    Tile(64, 64, 4, 4, 0.3, cores=True),
)


@dataclass(frozen=True, slots=True)
class MatrixProduct:
    """``sum over term of left * right`` for all of ``batch``, ``row`` and ``column``, stored.

    ``left`` does not vary along ``column``, ``right`` not along ``row``. ``stores`` name the sum
    as reduction 0; it has ``dtype``, and is computed in ``wide``.
    """

    batch: tuple[Axis, ...]
    row: Axis
    column: Axis
    term: Axis
    left: Expr
    right: Expr
    stores: tuple[Store, ...]
    wide: np.dtype[Any]
    dtype: np.dtype[Any]

    @property
    def entries(self) -> int:
        """The number of matrices."""
        return math.prod(extent for _, extent in self.batch)


def matrix_product(kernel: Kernel) -> MatrixProduct | None:
    """A kernel as a product of matrices large enough for tiles, if it is one."""
    if kernel.sequential or len(kernel.reductions) != 1 or len(kernel.axes) < 2:
        return None
    [reduction] = kernel.reductions
    boolean = reduction.accumulator.kind == "b"
    kind, operation = ("or", "bitwise_and") if boolean else ("add", "multiply")
    value = reduction.value
    if reduction.kind != kind or value.op != operation or len(reduction.axes) != 1:
        return None
    if is_half(value.dtype) or value.dtype != reduction.accumulator:
        return None
    *batch, row, column = kernel.axes
    [term] = reduction.axes
    if min(row[1], column[1]) < _FEW or term[1] < _FEW_TERMS:
        return None
    for left, right in (value.args, value.args[::-1]):
        if axis(*column) not in below(left) and axis(*row) not in below(right):
            return MatrixProduct(
                tuple(batch),
                row,
                column,
                term,
                left,
                right,
                kernel.stores,
                reduction.accumulator,
                reduction.dtype,
            )
    return None


def tile_of(product: MatrixProduct) -> Tile:
    """The tile with which all of a product takes the least time, by a rough estimate."""
    return min(_known(product), key=lambda tile: _time(product, tile, 1))


def best_parts(product: MatrixProduct, most: int) -> int:
    """Into how many parts, up to ``most``, the terms are divided if tiles run through one each."""
    points = product.entries * product.row[1] * product.column[1]

    def time(parts: int) -> float:
        shortest = min(_time(product, tile, parts) for tile in _known(product))
        return shortest + (parts > 1) * parts * points * _PARTIAL_SUM

    return min(range(1, most + 1), key=time)


def _known(product: MatrixProduct) -> tuple[Tile, ...]:
    if _is_narrow(product):
        return NARROW_TILES
    return WIDE_TILES if product.wide.itemsize == 8 else TILES


def _is_narrow(product: MatrixProduct) -> bool:
    """Whether factors have been converted to float32 from one dtype of 16 bits."""
    factors = product.left, product.right
    if product.wide != np.float32 or any(e.op != "convert" for e in factors):
        return False
    given, other = (e.args[0].dtype for e in factors)
    return is_half(given) and given == other


def _time(product: MatrixProduct, tile: Tile, parts: int) -> float:
    """The time of a product in parts, in that of a multiplication if all processors are busy."""
    blocks = max(tiles_of(product, tile) * parts, _PROCESSORS)
    return blocks * tile.rows * tile.columns * tile.cost * product.term[1] / parts


def tiles_of(product: MatrixProduct, tile: Tile) -> int:
    """How many tiles a product has, which is how many blocks it is launched with."""
    across, down = -(-product.column[1] // tile.columns), -(-product.row[1] // tile.rows)
    return product.entries * across * down
