"""The functions of each variant, by their names."""

from __future__ import annotations

import functools
import platform
import re

from fnad.core.errors import InternalError
from fnad.lowering.llvm import host
from fnad.lowering.llvm.matrix.dots import LINES_PARAMETERS as LINES
from fnad.lowering.llvm.matrix.dots import PARAMETERS as DOTS
from fnad.lowering.llvm.matrix.dots import emit_dots, emit_lines
from fnad.lowering.llvm.matrix.driver import PLACED_PARAMETERS as PLACED
from fnad.lowering.llvm.matrix.driver import RANGE_PARAMETERS as RANGE
from fnad.lowering.llvm.matrix.driver import Driver, emit_placed
from fnad.lowering.llvm.matrix.packing import PARAMETERS as PACK
from fnad.lowering.llvm.matrix.packing import Packing
from fnad.lowering.llvm.matrix.tiles import PARAMETERS as TILE
from fnad.lowering.llvm.matrix.tiles import Tile
from fnad.lowering.llvm.matrix.variants import TileShape, Variant, tile_shape
from fnad.lowering.llvm.target import PLAIN, VECTOR_CODE, Recipe
from fnad.lowering.llvm.writer import Module, dtype_of_suffix

_SYMBOL = re.compile(r"fnad\.matrix\.(\w+)\.(\w+)(?:\.(.*))?")


@functools.cache
def shape_of(variant: Variant) -> TileShape:
    """The tile of this machine."""
    many = host.vector_bits() == 512 or platform.machine().lower() in ("aarch64", "arm64")
    return tile_shape(variant.compute, host.vector_bits() // 8, 32 if many else 16)


_PARAMETERS = {
    "tile": TILE,
    "pack": PACK,
    "gather": PACK,
    "dots": DOTS,
    "lines": LINES,
    "products": RANGE,
    "placed": PLACED,
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


def source_of(symbol: str) -> tuple[str, Recipe]:
    """The function ``fnad.matrix.<dtype>.<function>`` as LLVM IR; `own_functions` loads it."""
    dtype, function, detail = _parsed(symbol)
    variant, module = Variant(dtype_of_suffix(dtype)), Module()
    shape = shape_of(variant)
    if function == "tile":
        rows, *ways = detail.split(".")
        lines = next((way for way in ways if way in ("rows", "columns")), "")
        Tile(module, variant, shape, int(rows)).emit(symbol, lines, strided="strided" in ways)
    elif function == "pack":
        Packing(module, variant, shape.packed_lanes, shape.written_out).emit(symbol)
    elif function == "gather":
        Packing(module, variant, shape.packed_lanes, shape.written_out).emit_gathering(symbol)
    elif function == "dots":
        rows, _, columns = detail.partition("x")
        emit_dots(module, symbol, variant, (int(rows), int(columns)), shape.lanes)
    elif function == "lines":
        emit_lines(module, symbol, variant)
    elif function == "placed":
        emit_placed(module, symbol, variant)
    else:
        Driver(module, variant, shape).emit(symbol)
    return module.text(), PLAIN if function in ("products", "placed") else VECTOR_CODE
