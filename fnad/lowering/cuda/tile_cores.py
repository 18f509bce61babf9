"""Tiles of numbers of 16 bits multiplied by tensor cores, with sums in float32.

Eight warps divide a tile into two by four parts. A warp multiplies 16 x 16 by 16 x 8 numbers at a
time (``mma.m16n8k16``); the library's function says which lane holds which of them.
"""

from __future__ import annotations

import numpy as np

from fnad.lowering.cuda.tile_text import Number, unrolled
from fnad.lowering.cuda.tiles import Tile
from fnad.lowering.cuda.writer import FLOAT32, Function, Value, ctype

_DOWN, _ACROSS = 2, 4  # warps of a block


class TensorCores:
    """Slabs hold bits, the terms of a line side by side, lines so far apart that banks differ."""

    depth = 32
    element, size = "u16", 2
    quads = 1, 2

    def __init__(self, dtype: np.dtype, tile: Tile) -> None:
        self.dtype, self.tile = dtype, tile
        self.number = Number(FLOAT32)

    def held(self, value: Value) -> str:
        """An element as slabs hold it."""
        return f"{value.ref}.bits"

    def slab(self, size: int) -> str:
        """The extents of a slab of so many lines."""
        return f"[{size}][{self.depth + 8}]"

    def at(self, line: str, term: str) -> str:
        """The index of an element of a slab."""
        return f"[{line}][{term}]"

    def begin(self, f: Function) -> None:
        """Append where this thread's part of a tile is."""
        f.line("const i32 warp = (i32)threadIdx.x / 32, lane = (i32)threadIdx.x % 32;")
        f.line(
            f"const i32 down = warp / {_ACROSS} * {self.tile.rows // _DOWN},"
            f" across = warp % {_ACROSS} * {self.tile.columns // _ACROSS};"
        )

    def line(self, side: int, index: str) -> str:
        """The row (side 0) or column (1) in the tile that is a thread's own number ``index``."""
        if side == 0:
            return f"down + ({index}) / 2 * 16 + ({index}) % 2 * 8 + lane / 4"
        return f"across + ({index}) / 2 * 8 + lane % 4 * 2 + ({index}) % 2"

    def multiply(self, f: Function) -> None:
        """Append what adds the products of the slab that is in shared memory."""
        multiply = f.use(f"multiply_{ctype(self.dtype)}")
        high, wide = self.tile.high // 2, self.tile.wide // 2
        with unrolled(f, "step", self.depth // 16):
            f.line("const i32 k = step * 16 + lane % 4 * 2;")
            f.line(f"u32 x[{high}][4], y[{wide}][2];")
            with unrolled(f, "a", high):
                for part in range(4):
                    line = f"down + a * 16 + {part % 2 * 8} + lane / 4"
                    f.line(f"x[a][{part}] = {self._pair('left', line, part // 2)};")
            with unrolled(f, "b", wide):
                for part in range(2):
                    line = "across + b * 8 + lane / 4"
                    f.line(f"y[b][{part}] = {self._pair('right', line, part)};")
            with unrolled(f, "a", high), unrolled(f, "b", wide):
                sums = ", ".join(
                    f"total[a * 2 + {i}][b * 2 + {j}]" for i in range(2) for j in range(2)
                )
                f.line(f"{multiply}({sums}, x[a], y[b]);")

    def _pair(self, name: str, line: str, part: int) -> str:
        """Two neighbouring terms of a line."""
        return f"*(const u32*)&{name}[(slab - 1) & 1][{line}][k + {part * 8}]"
