"""Fourier transforms of any length, by the loops of NumPy's ufuncs around pocketfft.

``fnad.fourier.<kind>.<dtype>`` takes pointers, as functions of LAPACK do: to the numbers, how many
they are, the length of the transform, and to the results and how many they are.
"""

from __future__ import annotations

import numpy as np

from fnad.lowering.llvm.target import VECTOR_CODE, Recipe
from fnad.lowering.llvm.writer import INT64, Function, Module, llvm_type

# Bytes of an element of the source and of the result, in those of a real number.
_WIDTHS = {"fft": (2, 2), "ifft": (2, 2), "rfft": (1, 2), "irfft": (2, 1)}


def source_of(symbol: str) -> tuple[str, Recipe]:
    """A module with the function of that name; `own_functions` loads it."""
    _, _, kind, name = symbol.split(".")
    dtype = np.dtype(name)
    real = llvm_type(dtype)
    module = Module()
    f = Function(
        module, symbol, ["ptr %x", "ptr %given", "ptr %n", "ptr %out", "ptr %made"], linkage=""
    )

    def integer(parameter: str) -> str:
        loaded = f.raw(f"load i32, ptr %{parameter}")
        return f.raw(f"sext i32 {loaded} to i64")

    given, n, made = integer("given"), integer("n"), integer("made")
    factor = f.alloca(real)
    one = f"{'float' if real == 'float' else 'double'} 1.0"
    if kind in ("ifft", "irfft"):
        length = f.raw(f"sitofp i64 {n} to {real}")
        f.emit(f"store {real} {f.raw(f'fdiv {one}, {length}')}, ptr {factor}")
    else:
        f.emit(f"store {one}, ptr {factor}")
    source, result = (width * dtype.itemsize for width in _WIDTHS[kind])
    # One transform of contiguous numbers: the steps from one to the next are not read.
    operands = _table(f, "ptr", ["%x", factor, "%out"])
    sizes = _table(f, "i64", ["1", given, made])
    steps = _table(f, "i64", ["0", "0", "0", str(source), str(result)])
    loop, data = _loop(f, kind, name, n)
    f.emit(f"call void {loop}(ptr {operands}, ptr {sizes}, ptr {steps}, ptr {data})")
    f.ret()
    module.add(f)
    return module.text(), VECTOR_CODE


def _table(f: Function, kind: str, entries: list[str]) -> str:
    """An array on the stack."""
    place = f.alloca(kind, len(entries))
    for i, entry in enumerate(entries):
        f.emit(f"store {kind} {entry}, ptr {f.element(place, INT64, i)}")
    return place


def _loop(f: Function, kind: str, dtype: str, n: str) -> tuple[str, str]:
    """NumPy's loop and what it takes last."""

    def address(name: str) -> str:
        symbol = f"fnad.pocketfft.{name}"
        f.module.declare(symbol, f"declare void @{symbol}(ptr, ptr, ptr, ptr)")
        return f"@{symbol}"

    if kind in ("fft", "ifft"):
        return address(f"{kind}.{dtype}"), address(f"{kind}.{dtype}.data")
    if kind == "irfft":
        return address(f"irfft.{dtype}"), "null"
    odd, even = (address(f"rfft_n_{parity}.{dtype}") for parity in ("odd", "even"))
    is_odd = f.raw(f"trunc i64 {n} to i1")
    return f.raw(f"select i1 {is_odd}, ptr {odd}, ptr {even}"), "null"
