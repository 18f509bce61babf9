"""What the parts of a tile's text have in common: numbers and loops."""

from __future__ import annotations

from typing import Any

import numpy as np

from fnad.lowering.cuda.writer import Function, Value, ctype


class Number:
    """How numbers are held and multiplied: integers as unsigned ones, which wrap."""

    def __init__(self, dtype: np.dtype[Any]) -> None:
        self.dtype = dtype
        if dtype.kind == "f":
            self.type, self.size = ctype(dtype), dtype.itemsize
        else:
            self.size = 8 if dtype.itemsize == 8 else 4
            self.type = f"u{self.size * 8}"

    def held(self, value: Value) -> str:
        """A value as it is held."""
        return value.ref if self.dtype.kind == "f" else f"({self.type}){value.ref}"

    def add_product(self, total: str, x: str, y: str) -> str:
        """The statement that adds a product to a sum."""
        if self.dtype.kind == "f":
            return f"{total} = fma{'f' * (self.size == 4)}({x}, {y}, {total});"
        return f"{total} |= {x} & {y};" if self.dtype.kind == "b" else f"{total} += {x} * {y};"

    def value(self, f: Function, text: str) -> Value:
        """What is held as a value of the dtype."""
        if self.dtype.kind == "b":
            text = f"{text} != 0"
        elif self.dtype.kind != "f":
            text = f"({ctype(self.dtype)}){text}"
        return f.value(text, self.dtype)


def unrolled(f: Function, name: str, extent: int) -> Any:
    """A loop that becomes a sequence, so that arrays it indexes are registers."""
    f.line("#pragma unroll")
    return f.block(f"for (i32 {name} = 0; {name} < {extent}; {name}++)")
