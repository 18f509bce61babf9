"""LLVM itself: the host's target, the optimisation pipeline, machine code in this process."""

from __future__ import annotations

import functools
import re
import threading
import weakref
from typing import Any

import llvmlite.binding as llvm

from fnad.lowering.llvm.symbols import address_of

# LLVM's command-line options, its symbol table and llvmlite's ownership of contexts are global.
_lock = threading.RLock()


# What LLVM calls for instructions (``frem``) and intrinsics, undeclared.
_IMPLIED = ("fmod", "fmodf", "memcpy", "memmove", "memset")


@functools.cache
def _initialize() -> tuple[str, str]:
    """Initialise LLVM once; returns the host's CPU name and features."""
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    for symbol in _IMPLIED:
        llvm.add_symbol(symbol, address_of(symbol))
    return llvm.get_host_cpu_name(), llvm.get_host_cpu_features().flatten()


def _target_machine(level: int = 2) -> Any:
    """A fresh target machine: an execution engine takes ownership of the one it is given."""
    cpu, features = _initialize()
    target = llvm.Target.from_default_triple()
    return target.create_target_machine(cpu=cpu, features=features, opt=level)


class CompiledModule:
    """A module of machine code in this process.

    Parameters
    ----------
    text : str
        LLVM IR. The functions that it declares must be known to `symbols.address_of`.
    plain : bool
        Whether to compile it as it stands, which is quick: for code without inner loops.

    Attributes
    ----------
    text : str
        The IR as given.
    """

    def __init__(self, text: str, plain: bool = False) -> None:
        self.text = text
        for symbol in _declared(text):
            llvm.add_symbol(symbol, address_of(symbol))
        with _lock:
            machine = _target_machine(0 if plain else 2)
            context = llvm.create_context()
            module = llvm.parse_assembly(text, context)
            module.verify()
            _optimize(module, machine, plain)
            self._engine = llvm.create_mcjit_compiler(module, machine)
            self._engine.finalize_object()
        # The engine owns machine and module, and the module needs its context. The collector may
        # dispose of a cycle's members in any order, so the finalizer keeps both, for this order.
        weakref.finalize(self, _dispose, self._engine, context).atexit = False

    def address(self, name: str) -> int:
        """The address of a function."""
        return int(self._engine.get_function_address(name))


def _declared(text: str) -> list[str]:
    """The functions that a module takes from elsewhere."""
    return re.findall(r"^declare [^@]*@(?!llvm\.)([\w.$]+)\(", text, re.MULTILINE)


def _dispose(engine: Any, context: Any) -> None:
    with _lock:
        engine.close()
        context.close()


def _optimize(module: Any, machine: Any, plain: bool = False) -> None:
    options = llvm.create_pipeline_tuning_options(speed_level=0 if plain else 2)
    options.loop_vectorization = not plain
    options.slp_vectorization = not plain
    options.loop_unrolling = False  # halves the time of compilation, gains nothing measurable
    builder = llvm.create_pass_builder(machine, options)
    builder.getModulePassManager().run(module, builder)


def assembly(text: str) -> str:
    """Compile a module to readable assembly."""
    with _lock:
        machine = _target_machine()
        module = llvm.parse_assembly(text, llvm.create_context())
        module.verify()
        _optimize(module, machine)
        return str(machine.emit_assembly(module))
