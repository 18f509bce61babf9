"""Where the functions are that compiled programs call: fnad's runtime and other libraries.

A module of machine code names them as undefined symbols. `address_of` finds them by name alone, so
that machine code from the disk cache can be loaded without the program that it was made from.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import ModuleType

from fnad.lowering.llvm.libraries import c_function, lapack_function, pocketfft_function
from fnad.lowering.llvm.once import once
from fnad.lowering.native.capi import numpy_function, python_function


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
    own = _own_functions()
    return own.address_of(symbol) if symbol.startswith(own.PREFIXES) else c_function(symbol)


def addresses_of(symbols: Iterable[str]) -> dict[str, int]:
    """The addresses of several functions; those that are not loaded yet are loaded together."""
    names = tuple(symbols)
    _own_functions().load(names)
    return {name: address_of(name) for name in names}


def prepare(symbol: str) -> None:
    """Compile what a later `address_of` would have to compile."""
    own = _own_functions()
    if symbol.startswith(own.PREFIXES):
        own.prepare([symbol])
    else:
        address_of(symbol)


def _own_functions() -> ModuleType:
    from fnad.lowering.llvm import own_functions  # they are compiled, and that needs this module

    return own_functions


def _runtime(symbol: str) -> int:
    from fnad.lowering.llvm import threads  # likewise

    return threads.runtime().address(symbol)


def _pool(function: str) -> int:
    from fnad.lowering.native.pool import get_pool  # compiled itself, too

    return get_pool().address_of(function)


def _tape(name: str) -> int:
    from fnad.lowering.llvm import memory  # likewise

    return memory.address(name)


# What symbols of the runtime begin with, and who knows them by the rest of the name.
_RUNTIME: Mapping[str, Callable[[str], int]] = {
    "fnad.parallel": lambda _: _runtime("fnad.parallel"),
    "fnad.run": lambda _: _runtime("fnad.run"),
    "fnad.tape.": _tape,
    "fnad.pool.": _pool,
    "fnad.numpy.": numpy_function,
    "fnad.lapack.": lapack_function,
    "fnad.pocketfft.": pocketfft_function,
    "Py": lambda name: python_function("Py" + name),
}
