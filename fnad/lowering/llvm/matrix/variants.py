"""Kinds of matrix products, each compiled once per process, and the shape of register tiles."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fnad.core.types import is_half
from fnad.lowering.llvm.writer import (
    FLOAT32,
    INT32,
    DType,
    Function,
    Value,
    overload,
    suffix,
)

# Of tiles of so few rows: their widths in vectors, beside the usual ones.
_WIDE = {1: (4, 8), 2: (4,)}

# Lanes of the vectors that operands are packed by, at most. LLVM takes much longer to transpose
# larger squares.
_PACKED = 8

UINT8 = np.dtype(np.uint8)


@dataclass(frozen=True, slots=True)
class TileShape:
    """A block of the result that is held in registers: ``rows`` by ``vectors`` of ``lanes``.

    A product of ``tallest`` or fewer rows is one column of tiles. Where it pays, several turns of
    the loop are ``written_out``.
    """

    rows: int
    tallest: int
    vectors: int
    lanes: int
    written_out: bool

    @property
    def columns(self) -> int:
        return self.vectors * self.lanes

    @property
    def dots(self) -> tuple[int, int]:
        """Rows and columns of inner products that are computed side by side."""
        return (4 if self.rows >= 8 else 2), 4

    def widths(self, rows: int) -> tuple[int, ...]:
        """In vectors, the widths of tiles of so many rows; the last is that of most of them.

        Tiles of one or two rows are wider, to have enough sums that the latency of an addition is
        hidden.
        """
        return (1, self.vectors, *_WIDE.get(rows, ()))

    @property
    def packed_lanes(self) -> int:
        """Of the vectors that operands are packed by."""
        return min(self.lanes, _PACKED)

    @property
    def panel_rows(self) -> int:
        """Rows of a packed panel of A: those of a tile and padding up to whole vectors."""
        return -(-self.rows // self.packed_lanes) * self.packed_lanes


@dataclass(frozen=True, slots=True)
class Variant:
    """Products of matrices of a dtype, which is that of the result too.

    Sums are taken in `compute`; for narrow integers, whose sums wrap, that is a wider type, as
    only the low bits of a sum depend on the low bits of its terms. Booleans are bytes.
    """

    dtype: DType

    @property
    def element(self) -> DType:
        """What an element is in memory."""
        return UINT8 if self.dtype.kind == "b" else self.dtype

    @property
    def compute(self) -> DType:
        if is_half(self.dtype):
            return FLOAT32
        return INT32 if self.dtype.itemsize < 4 else self.dtype

    @property
    def prefix(self) -> str:
        """How the symbols of the variant's functions begin."""
        return f"fnad.matrix.{suffix(self.dtype)}"

    def multiply_add(self, f: Function, x: Value, y: Value, total: Value) -> Value:
        """``total + x * y``, for floats rounded once where the machine can."""
        if self.dtype.kind == "b":
            return f.b.bitwise_or(total, f.b.bitwise_and(x, y))
        if self.compute.kind != "f":
            return f.b.add(total, f.b.multiply(x, y))
        symbol = f"llvm.fmuladd.{overload(self.compute, total.lanes)}"
        f.module.declare(symbol, f"declare {total.type} @{symbol}({', '.join([total.type] * 3)})")
        x, y = f.b.spread(x, y)
        return f.value(
            f"call {total.type} @{symbol}({x.typed}, {y.typed}, {total.typed})",
            self.compute,
            total.lanes,
        )

    def sum(self, f: Function, x: Value, y: Value) -> Value:
        return f.b.bitwise_or(x, y) if self.dtype.kind == "b" else f.b.add(x, y)


def tile_shape(compute: DType, vector_bytes: int, registers: int) -> TileShape:
    """The tile for a machine with so many vector registers of so many bytes.

    Two vectors of B and a number of A live beside the tile. With 8 by 2 the tile needs 10 loads
    for 16 multiplications: fewer than the two per cycle that all machines can do, and there are
    enough independent sums to hide the latency of the multiplications. With 12 by 2 large products
    would be at most 1 % faster, but most sizes would need tiles of other heights at their ends,
    each of them compiled.
    """
    many = registers >= 32
    rows, tallest = (8, 12) if many else (6, 6)
    return TileShape(rows, tallest, 2, vector_bytes // compute.itemsize, written_out=not many)
