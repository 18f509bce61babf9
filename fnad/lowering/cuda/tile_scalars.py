"""Tiles multiplied number by number, for all dtypes."""

from __future__ import annotations

from fnad.lowering.cuda.tile_text import Number, unrolled
from fnad.lowering.cuda.tiles import Tile
from fnad.lowering.cuda.writer import Function, Value


class Scalars:
    """Each thread multiplies lines of a slab in quads of neighbours, which it reads together."""

    depth = 16

    def __init__(self, number: Number, tile: Tile) -> None:
        self.number, self.tile = number, tile
        self.element, self.size = number.type, number.size
        self.quads = self._quad(tile.high), self._quad(tile.wide)
        self.lanes = tile.columns // tile.wide

    def held(self, value: Value) -> str:
        """An element as slabs hold it."""
        return self.number.held(value)

    def slab(self, size: int) -> str:
        """The extents of a slab of so many lines: those of a term lie side by side."""
        return f"[{self.depth}][{size + 16 // self.size}]"

    def at(self, line: str, term: str) -> str:
        """The index of an element of a slab."""
        return f"[{term}][{line}]"

    def begin(self, f: Function) -> None:
        """Append where this thread's part of a tile is."""
        lanes = self.lanes
        f.line(f"const i32 across = (i32)threadIdx.x % {lanes}, down = (i32)threadIdx.x / {lanes};")

    def line(self, side: int, index: str) -> str:
        """The row (side 0) or column (1) in the tile that is a thread's own number ``index``."""
        size, count = ((self.tile.rows, self.tile.high), (self.tile.columns, self.tile.wide))[side]
        quad, lane = self.quads[side], ("down", "across")[side]
        if quad == count:
            return f"{lane} * {quad} + {index}"
        far = size * quad // count
        return f"{index} / {quad} * {far} + {lane} * {quad} + {index} % {quad}"

    def multiply(self, f: Function) -> None:
        """Append what adds the products of the slab that is in shared memory."""
        sides = (("left", "x", self.tile.high), ("right", "y", self.tile.wide))
        for (name, _, _), quad in zip(sides, self.quads):
            f.line(
                f"struct alignas({quad * self.size}) {name}_part {{ {self.element} at[{quad}]; }};"
            )
        with unrolled(f, "k", self.depth):
            for side, (name, variable, count) in enumerate(sides):
                quad = self.quads[side]
                f.line(f"{name}_part {variable}[{count // quad}];")
                with unrolled(f, "part", count // quad):
                    place = self.line(side, f"part * {quad}")
                    f.line(
                        f"{variable}[part] ="
                        f" *(const {name}_part*)&{name}[(slab - 1) & 1][k][{place}];"
                    )
            x, y = (
                f"{variable}[{i} / {quad}].at[{i} % {quad}]"
                for variable, i, quad in zip("xy", "ab", self.quads)
            )
            with unrolled(f, "a", self.tile.high), unrolled(f, "b", self.tile.wide):
                f.line(self.number.add_product("total[a][b]", x, y))

    def _quad(self, count: int) -> int:
        return min(count, 16 // self.size)
