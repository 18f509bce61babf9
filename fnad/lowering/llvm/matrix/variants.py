"""Kinds of matrix products, each compiled once per process, and the shape of register tiles."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fnad.lowering.llvm.writer import (
    FLOAT16,
    FLOAT32,
    INT32,
    DType,
    Function,
    Value,
    overload,
    suffix,
)

# Of tiles of so few rows: their widths in vectors, beside the usual ones.
_WIDE = {1: (4, 8), 2: (4, 4)}

UINT8 = np.dtype(np.uint8)


@dataclass(frozen=True, slots=True)
class TileShape:
    """A block of the result that is held in registers: ``rows`` by ``vectors`` of ``lanes``."""

    rows: int
    vectors: int
    lanes: int

    @property
    def columns(self) -> int:
        return self.vectors * self.lanes

    @property
    def dots(self) -> tuple[int, int]:
        """Rows and columns of inner products that are computed side by side."""
        return (4 if self.rows >= 12 else 2), 4

    def widths(self, rows: int) -> tuple[int, ...]:
        """In vectors, the widths of tiles of so many rows; the last is that of most of them.

        For any number of rows there is one for each range of columns. Tiles of one or two rows
        are wider, to have enough sums that the latency of an addition is hidden.
        """
        v = self.vectors
        return (1, v, *_WIDE.get(rows, (v, v)))

    @property
    def panel_rows(self) -> int:
        """Rows of a packed panel of A: those of a tile and padding up to whole vectors."""
        return -(-self.rows // self.lanes) * self.lanes


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
        if self.dtype == FLOAT16:
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

    Two vectors of B and a number of A live beside the tile. With 12 by 2 the tile needs 14 loads
    for 24 multiplications: fewer than the two per cycle that all machines can do, and there are
    enough independent sums to hide the latency of the multiplications.
    """
    return TileShape(12 if registers >= 32 else 6, 2, vector_bytes // compute.itemsize)
