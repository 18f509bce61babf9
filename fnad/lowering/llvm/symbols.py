"""Where the functions are that compiled programs call: fnad's runtime and other libraries.

A module of machine code names them as undefined symbols. `address_of` finds them by name alone, so
that machine code from the disk cache can be loaded without the program that it was made from.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from fnad.lowering.llvm.libraries import c_function, lapack_function
from fnad.lowering.llvm.once import once
from fnad.lowering.native.capi import numpy_function, python_function

if TYPE_CHECKING:
    from fnad.lowering.llvm.target import CompiledModule


@once
def address_of(symbol: str) -> int:
    """The address of a function that compiled code calls by this name.

    Raises
    ------
    InternalError
        If there is no such function.
    """
    for prefix, find in _RUNTIME.items():
        if symbol.startswith(prefix):
            return find(symbol.removeprefix(prefix))
    return c_function(symbol)


def _runtime(symbol: str) -> int:
    from fnad.lowering.llvm import threads  # it is compiled itself, and that needs this module

    return threads.runtime().address(symbol)


def _matrix(name: str) -> int:
    from fnad.lowering.llvm.matrix import library  # likewise

    return library.address(name)


def _maths(name: str) -> int:
    from fnad.lowering.llvm import target  # likewise

    symbol = f"fnad.maths.{name}"
    code = target.known_code(symbol, lambda: _maths_text(symbol), target.VECTOR_CODE)
    module = target.CompiledModule(code)
    _KEPT.append(module)
    return module.address(symbol)


def _maths_text(symbol: str) -> str:
    # The formulas take longer to import than the function to load.
    from fnad.lowering.llvm import out_of_line

    return out_of_line.text_of(symbol)


_KEPT: list[CompiledModule] = []


def _pool(function: str) -> int:
    from fnad.lowering.native.pool import get_pool  # compiled itself, too

    return get_pool().address_of(function)


def _transpose(name: str) -> int:
    from fnad.lowering.llvm import transposes  # likewise

    return transposes.address(name)


def _small(name: str) -> int:
    from fnad.lowering.llvm import small_lapack  # likewise

    return small_lapack.address(name)


def _tape(name: str) -> int:
    from fnad.lowering.llvm import memory  # likewise

    return memory.address(name)


# What fnad's own symbols begin with, and who knows them by the rest of the name.
_RUNTIME: Mapping[str, Callable[[str], int]] = {
    "fnad.parallel": lambda _: _runtime("fnad.parallel"),
    "fnad.run": lambda _: _runtime("fnad.run"),
    "fnad.matrix.": _matrix,
    "fnad.maths.": _maths,
    "fnad.transpose.": _transpose,
    "fnad.tape.": _tape,
    "fnad.pool.": _pool,
    "fnad.numpy.": numpy_function,
    "fnad.lapack.": lapack_function,
    "fnad.small.": _small,
    "Py": lambda name: python_function("Py" + name),
}
