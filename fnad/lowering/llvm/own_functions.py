"""fnad's own functions that programs call: printed for a name, compiled once, kept on disk.

Those that one program needs are loaded together, as LLVM takes most of a millisecond to load
anything at all.
"""

from __future__ import annotations

import importlib
import threading
from collections.abc import Iterable, Iterator

from fnad.core.forks import forks_deferred
from fnad.lowering.llvm.once import once
from fnad.lowering.llvm.target import CompiledModule, MachineCode, known_code

# What the names begin with, and the module whose ``source_of`` prints the function of a name and
# says how to compile it. It is imported if the code has not been kept.
_PRINTERS = {
    "fnad.matrix.": "fnad.lowering.llvm.matrix.library",
    "fnad.maths.": "fnad.lowering.llvm.out_of_line",
    "fnad.transpose.": "fnad.lowering.llvm.transposes",
    "fnad.small.": "fnad.lowering.llvm.small_lapack",
    "fnad.fourier.": "fnad.lowering.llvm.fourier",
    "fnad.block.": "fnad.lowering.llvm.block_lapack",
}
PREFIXES = tuple(_PRINTERS)

_lock = threading.RLock()  # who loads
_addresses: dict[str, int] = {}
_kept: list[CompiledModule] = []


def address_of(symbol: str) -> int:
    """The address of one of these functions."""
    load([symbol])
    return _addresses[symbol]


def load(symbols: Iterable[str]) -> None:
    """Load the functions among ``symbols``, and those that they call, that are not loaded yet."""
    codes = prepare(symbols)
    with forks_deferred(), _lock:
        new = {symbol: code for symbol, code in codes.items() if symbol not in _addresses}
        if new:
            module = CompiledModule(_joined(new))
            _kept.append(module)
            _addresses.update((symbol, module.address(symbol)) for symbol in new)


def prepare(symbols: Iterable[str]) -> dict[str, MachineCode]:
    """The code of what `load` would load, compiled now or before."""
    codes: dict[str, MachineCode] = {}
    waiting = list(_own(symbols))
    while waiting:
        symbol = waiting.pop()
        if symbol not in codes and symbol not in _addresses:
            codes[symbol] = _code_of(symbol)
            waiting += _own(codes[symbol].symbols)
    return codes


def _own(symbols: Iterable[str]) -> Iterator[str]:
    return (symbol for symbol in symbols if symbol.startswith(PREFIXES))


@once
def _code_of(symbol: str) -> MachineCode:
    printer = next(name for prefix, name in _PRINTERS.items() if symbol.startswith(prefix))
    return known_code(symbol, lambda: importlib.import_module(printer).source_of(symbol))


def _joined(codes: dict[str, MachineCode]) -> MachineCode:
    files = tuple(file for code in codes.values() for file in code.object_files)
    called = dict.fromkeys(symbol for code in codes.values() for symbol in code.symbols)
    return MachineCode(files, tuple(symbol for symbol in called if symbol not in codes))
