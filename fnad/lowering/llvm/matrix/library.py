"""The compiled functions of each variant, each made on first use and kept for the process."""

from __future__ import annotations

import functools
import platform
import re
from collections.abc import Sequence

import numpy as np

from fnad.core.errors import InternalError
from fnad.lowering.llvm import host
from fnad.lowering.llvm.matrix.dots import LINES_PARAMETERS as LINES
from fnad.lowering.llvm.matrix.dots import PARAMETERS as DOTS
from fnad.lowering.llvm.matrix.dots import emit_dots, emit_lines
from fnad.lowering.llvm.matrix.driver import RANGE_PARAMETERS as RANGE
from fnad.lowering.llvm.matrix.driver import Driver
from fnad.lowering.llvm.matrix.packing import PARAMETERS as PACK
from fnad.lowering.llvm.matrix.packing import Packing
from fnad.lowering.llvm.matrix.tiles import PARAMETERS as TILE
from fnad.lowering.llvm.matrix.tiles import Tile
from fnad.lowering.llvm.matrix.variants import TileShape, Variant, tile_shape
from fnad.lowering.llvm.once import once
from fnad.lowering.llvm.target import PLAIN, VECTOR_CODE, CompiledModule, known_code
from fnad.lowering.llvm.writer import Module

_SYMBOL = re.compile(r"fnad\.matrix\.(\w+)\.(\w+)(?:\.(.*))?")


@functools.cache
def shape_of(variant: Variant) -> TileShape:
    """The tile of this machine."""
    many = host.vector_bits() == 512 or platform.machine().lower() in ("aarch64", "arm64")
    return tile_shape(variant.compute, host.vector_bits() // 8, 32 if many else 16)


def address(name: str) -> int:
    """The address of ``fnad.matrix.<name>``, which is compiled if it is not yet."""
    symbol = f"fnad.matrix.{name}"
    return _compiled(_together(symbol)).address(symbol)


# Functions that most programs need together are compiled together: a module takes time of its own.
_TOGETHER = (("tasks", "rows"), ("pack.copy", "pack.turn"))


def _together(symbol: str) -> tuple[str, ...]:
    """The symbols that are compiled with one."""
    dtype, function, detail = _parsed(symbol)
    name = f"{function}.{detail}" if detail else function
    names = next((group for group in _TOGETHER if name in group), (name,))
    return tuple(f"fnad.matrix.{dtype}.{name}" for name in names)


@once
def _compiled(symbols: tuple[str, ...]) -> CompiledModule:
    recipe = PLAIN if _parsed(symbols[0])[1] == "tasks" else VECTOR_CODE
    return CompiledModule(known_code(" ".join(symbols), lambda: text_of(symbols), recipe))


_PARAMETERS = {
    "tile": TILE,
    "pack": PACK,
    "dots": DOTS,
    "lines": LINES,
    "tasks": RANGE,
    "rows": RANGE,
}


def declaration(symbol: str) -> str:
    """How another module declares a function of the runtime."""
    kinds = (parameter.split()[0] for parameter in _PARAMETERS[_parsed(symbol)[1]])
    return f"declare void @{symbol}({', '.join(kinds)}) nounwind"


def _parsed(symbol: str) -> tuple[str, str, str]:
    match = _SYMBOL.fullmatch(symbol)
    if match is None:
        raise InternalError(f"the matrix runtime has no function {symbol}")
    dtype, function, detail = match.groups()
    return dtype, function, detail


def text_of(symbols: Sequence[str]) -> str:
    """Functions ``fnad.matrix.<dtype>.<function>`` of one dtype as LLVM IR."""
    dtype, function, _ = _parsed(symbols[0])
    variant, module = Variant(_dtype(dtype)), Module()
    shape = shape_of(variant)
    if function in ("tasks", "rows"):
        Driver(module, variant, shape).emit()
        return module.text()
    for symbol in symbols:
        _, function, detail = _parsed(symbol)
        if function == "tile":
            rows, _, strided = detail.partition(".")
            Tile(module, variant, shape, int(rows)).emit(symbol, strided=bool(strided))
        elif function == "pack":
            Packing(module, variant, shape.packed_lanes).emit(symbol, detail)
        elif function == "dots":
            rows, _, columns = detail.partition("x")
            emit_dots(module, symbol, variant, (int(rows), int(columns)), shape.lanes)
        else:
            emit_lines(module, symbol, variant)
    return module.text()


def _dtype(suffix: str) -> np.dtype:
    return np.dtype("?" if suffix == "i1" else f"{suffix[0]}{int(suffix[1:]) // 8}")
