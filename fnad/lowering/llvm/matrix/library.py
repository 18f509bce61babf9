"""The compiled functions of each variant, each made on first use and kept for the process."""

from __future__ import annotations

import functools
import platform
import re

import numpy as np

from fnad.core.errors import InternalError
from fnad.lowering.llvm import host
from fnad.lowering.llvm.matrix.dots import emit_dots
from fnad.lowering.llvm.matrix.driver import Driver
from fnad.lowering.llvm.matrix.packing import emit_pack
from fnad.lowering.llvm.matrix.tiles import emit_tile
from fnad.lowering.llvm.matrix.variants import TileShape, Variant, tile_shape
from fnad.lowering.llvm.target import VECTOR_CODE, CompiledModule, known_code
from fnad.lowering.llvm.writer import Module

_SYMBOL = re.compile(r"fnad\.matrix\.(\w+)\.(\w+)(?:\.(.*))?")
_KEPT: list[CompiledModule] = []


@functools.cache
def shape_of(variant: Variant) -> TileShape:
    """The tile of this machine."""
    many = host.vector_bits() == 512 or platform.machine().lower() in ("aarch64", "arm64")
    return tile_shape(variant.compute, host.vector_bits() // 8, 32 if many else 16)


@functools.cache
def address(name: str) -> int:
    """The address of ``fnad.matrix.<name>``, which is compiled if it is not yet."""
    symbol = f"fnad.matrix.{name}"
    compiled = CompiledModule(known_code(symbol, lambda: text_of(symbol), VECTOR_CODE))
    _KEPT.append(compiled)
    return compiled.address(symbol)


def text_of(symbol: str) -> str:
    """The function ``fnad.matrix.<dtype>.<function>`` as LLVM IR."""
    match = _SYMBOL.fullmatch(symbol)
    if match is None:
        raise InternalError(f"the matrix runtime has no function {symbol}")
    dtype, function, detail = match.groups()
    variant = Variant(_dtype(dtype))
    module, shape = Module(), shape_of(variant)
    if function == "tile":
        rows, vectors = map(int, detail.split("x"))
        emit_tile(module, symbol, variant, TileShape(rows, vectors, shape.lanes))
    elif function == "pack":
        width = {"a": shape.panel_rows, "b": shape.columns}[detail]
        emit_pack(module, symbol, variant, width, shape.lanes)
    elif function == "dots":
        emit_dots(module, symbol, variant, int(detail), shape.lanes)
    else:
        driver = Driver(module, variant, shape)
        driver.emit_dots()
        driver.emit_block()
        {"tasks": driver.emit_tasks, "rows": driver.emit_rows}[function]()
    return module.text()


def _dtype(suffix: str) -> np.dtype:
    return np.dtype("?" if suffix == "i1" else f"{suffix[0]}{int(suffix[1:]) // 8}")
