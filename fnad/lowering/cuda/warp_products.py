"""How a warp multiplies matrices of which one side lies in shared memory, the sums in registers.

A warp has strips of 16 rows. Of each, and of each 8 columns, lane ``4 * g + t`` holds four sums:
rows g and g + 8, in each the columns ``2 * t`` and the next one (the layout of ``mma.m16n8k16``).
So sums can become the left side of another product without leaving the registers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from fnad.core.types import computing_dtype, is_half
from fnad.lowering.cuda.tile_text import unrolled
from fnad.lowering.cuda.writer import FLOAT32, Function, ctype

_WORD = 16  # bytes that are read together


@dataclass(frozen=True, slots=True)
class Shape:
    """``strips`` of 16 rows a warp, tiles of ``columns`` rows, ``features`` in each row.

    Features are filled up with zeros to a multiple of 16. Rows lie so far apart in shared memory
    that those which are read together are in different banks.
    """

    strips: int
    columns: int
    features: int

    @property
    def padded(self) -> int:
        return -(-self.features // 16) * 16


class CoreProducts:
    """Of numbers of 16 bits, by tensor cores; they lie in shared memory as bits."""

    element, sum = "u16", FLOAT32

    def __init__(self, dtype: np.dtype[Any], shape: Shape) -> None:
        self.kind, self.shape = ctype(dtype), shape
        self.size = 2
        self.stride = shape.padded + _WORD // self.size

    def add_scores(self, f: Function, total: str, own: str, tile: str) -> None:
        """Add products of the warp's rows of ``own`` with rows of ``tile`` to ``total``."""
        strips, blocks = self.shape.strips, self.shape.columns // 8
        multiply, load = f.use(f"multiply_{self.kind}"), f.use("load_matrices")
        with unrolled(f, "k", self.shape.padded // 16):
            f.line(f"u32 x[{strips}][4];")
            with unrolled(f, "r", strips):
                row = f"(strip + r * 16 + lane % 16) * {self.stride}"
                f.line(f"{load}(x[r], {own} + {row} + k * 16 + lane / 16 * 8);")
            with unrolled(f, "n", blocks // 2):
                row = f"(n * 16 + lane / 16 * 8 + lane % 8) * {self.stride}"
                f.line("u32 y[4];")
                f.line(f"{load}(y, {tile} + {row} + k * 16 + lane / 8 % 2 * 8);")
                self._multiply(f, multiply, total)

    def add_products(self, f: Function, total: str, sums: str, tile: str) -> None:
        """Add products of ``sums`` of the warp's rows, rounded, with columns of ``tile``."""
        strips, blocks = self.shape.strips, self.shape.columns // 16
        multiply, load = f.use(f"multiply_{self.kind}"), f.use("load_transposed")
        pair = f.use(f"pair_{self.kind}")
        with unrolled(f, "k", blocks):
            f.line(f"u32 x[{strips}][4];")
            with unrolled(f, "r", strips), unrolled(f, "i", 4):
                first = f"{sums}[r][k * 2 + i / 2][i % 2 * 2"
                f.line(f"x[r][i] = {pair}({first}], {first} + 1]);")
            with unrolled(f, "n", self.shape.padded // 16):
                f.line("u32 y[4];")
                row = f"(k * 16 + lane % 16) * {self.stride}"
                f.line(f"{load}(y, {tile} + {row} + n * 16 + lane / 16 * 8);")
                self._multiply(f, multiply, total)

    def _multiply(self, f: Function, multiply: str, total: str) -> None:
        with unrolled(f, "r", self.shape.strips), unrolled(f, "b", 2):
            sums = ", ".join(f"{total}[r][n * 2 + b][{i}]" for i in range(4))
            f.line(f"{multiply}({sums}, x[r], y + b * 2);")


class ScalarProducts:
    """Of float32 and float64: each lane multiplies for its own sums."""

    def __init__(self, dtype: np.dtype[Any], shape: Shape) -> None:
        self.sum, self.shape = computing_dtype(dtype), shape
        self.element, self.size = ctype(self.sum), self.sum.itemsize
        self.width = _WORD // self.size
        self.stride = shape.padded + self.width

    def add_scores(self, f: Function, total: str, own: str, tile: str) -> None:
        """Add products of the warp's rows of ``own`` with rows of ``tile`` to ``total``."""
        word, rows = f.use(f"{self.element}x{self.width}"), self.shape.strips * 2
        with f.block(f"for (i32 k = 0; k < {self.shape.padded}; k += {self.width})"):
            f.line(f"{word} x[{rows}];")
            with unrolled(f, "r", rows):
                row = f"(strip + r * 8 + lane / 4) * {self.stride}"
                f.line(f"x[r] = *(const {word}*)({own} + {row} + k);")
            with unrolled(f, "c", self.shape.columns // 4):
                row = f"(c / 2 * 8 + lane % 4 * 2 + c % 2) * {self.stride}"
                f.line(f"const {word} y = *(const {word}*)({tile} + {row} + k);")
                with unrolled(f, "r", rows), unrolled(f, "w", self.width):
                    self._add(
                        f, f"{total}[r / 2][c / 2][r % 2 * 2 + c % 2]", "x[r].at[w]", "y.at[w]"
                    )

    def add_products(self, f: Function, total: str, sums: str, tile: str) -> None:
        """Add products of ``sums`` of the warp's rows with columns of ``tile``."""
        word, rows = f.use(f"{self.element}x2"), self.shape.strips * 2
        with unrolled(f, "c", self.shape.columns // 4), unrolled(f, "t", 4):
            f.line(f"{self.element} x[{rows}];")
            with unrolled(f, "r", rows):
                own = f"{sums}[r / 2][c / 2][r % 2 * 2 + c % 2]"
                f.line(f"x[r] = __shfl_sync(0xffffffffu, {own}, (lane & 28) + t);")
            with unrolled(f, "n", self.shape.padded // 8):
                row = f"(c / 2 * 8 + t * 2 + c % 2) * {self.stride}"
                at = f"{tile} + {row} + n * 8 + lane % 4 * 2"
                f.line(f"const {word} y = *(const {word}*)({at});")
                with unrolled(f, "r", rows), unrolled(f, "i", 2):
                    self._add(f, f"{total}[r / 2][n][r % 2 * 2 + i]", "x[r]", "y.at[i]")

    def _add(self, f: Function, total: str, x: str, y: str) -> None:
        f.line(f"{total} = fma{'f' * (self.size == 4)}({x}, {y}, {total});")


Products = CoreProducts | ScalarProducts


def products_of(dtype: np.dtype[Any], shape: Shape, has_cores: bool) -> Products:
    """How numbers of a dtype are multiplied, with or without cores for those of 16 bits."""
    cores = has_cores and is_half(dtype)
    return CoreProducts(dtype, shape) if cores else ScalarProducts(dtype, shape)
