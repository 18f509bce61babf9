"""LLVM itself: from text to machine code, kept on disk, and machine code in this process."""

from __future__ import annotations

import functools
import json
import re
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import llvmlite
import llvmlite.binding as llvm

from fnad.core.fingerprint import source_fingerprint
from fnad.lowering.llvm import cache
from fnad.lowering.llvm.symbols import address_of

# LLVM's symbol table and llvmlite's ownership of contexts are global.
_lock = threading.RLock()

# What LLVM calls for instructions (``frem``) and intrinsics, undeclared.
_IMPLIED = ("fmod", "fmodf", "memcpy", "memmove", "memset")

# Comments stand on lines of their own (`writer.Function`); they name the user's lines.
_COMMENTS = re.compile(r"^[ \t]*;.*\n", re.MULTILINE)
_DECLARED = re.compile(r"^declare [^@\n]*@(?!llvm\.)([\w.$]+)\(", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Recipe:
    """How text becomes machine code. All of it is part of the name under which code is kept."""

    codegen_level: int
    speed_level: int
    vectorize: bool
    reduce_strength: bool = True


OPTIMIZED = Recipe(codegen_level=2, speed_level=2, vectorize=True)
# As it stands but for inlining: for loops that are written as vector code. LLVM's reduction of
# strength would take a third of the time and speed them up by some percent, at most.
VECTOR_CODE = Recipe(codegen_level=2, speed_level=0, vectorize=False, reduce_strength=False)
# The same in a hurry: for code without inner loops.
PLAIN = Recipe(codegen_level=0, speed_level=0, vectorize=False)


@dataclass(frozen=True, slots=True)
class MachineCode:
    """A module as an object file, and the functions that it takes from elsewhere."""

    object_file: bytes
    symbols: tuple[str, ...]

    def to_bytes(self) -> bytes:
        return json.dumps(self.symbols).encode() + b"\n" + self.object_file

    @staticmethod
    def from_bytes(content: bytes) -> MachineCode:
        symbols, _, object_file = content.partition(b"\n")
        return MachineCode(object_file, tuple(json.loads(symbols)))


def machine_code(text: str, recipe: Recipe = OPTIMIZED) -> MachineCode:
    """The machine code of a module of LLVM IR, from the cache or compiled now.

    The functions that the module declares must be known to `symbols.address_of`.
    """
    code = _COMMENTS.sub("", text)
    name = cache.digest(repr(recipe).encode(), host(), code.encode())
    kept = cache.load(name)
    if kept is not None:
        return MachineCode.from_bytes(kept)
    made = MachineCode(_compile(code, recipe), tuple(_DECLARED.findall(code)))
    cache.store(name, made.to_bytes())
    return made


def known_code(key: str, text: Callable[[], str], recipe: Recipe) -> MachineCode:
    """The machine code of what fnad itself always prints as ``text()`` for ``key``.

    The text is only made if the code has not been kept.
    """
    name = cache.digest(b"known", key.encode(), source_fingerprint(), host())
    kept = cache.load(name)
    if kept is not None:
        return MachineCode.from_bytes(kept)
    made = machine_code(text(), recipe)
    cache.store(name, made.to_bytes())
    return made


@functools.cache
def host() -> bytes:
    """What machine code depends on besides the text: this machine and this LLVM."""
    cpu, features = _initialize()
    version = ".".join(map(str, llvm.llvm_version_info))
    triple = llvm.get_default_triple()
    return f"{triple} {cpu} {features} LLVM {version} llvmlite {llvmlite.__version__}".encode()


class CompiledModule:
    """Machine code in this process, until the object dies.

    Parameters
    ----------
    code : MachineCode
        What to load.
    """

    def __init__(self, code: MachineCode) -> None:
        for symbol in code.symbols:
            llvm.add_symbol(symbol, address_of(symbol))
        with _lock:
            context = llvm.create_context()
            module = llvm.parse_assembly("", context)  # an engine needs one
            self._engine = llvm.create_mcjit_compiler(module, _target_machine(0))
            self._engine.add_object_file(llvm.ObjectFileRef.from_data(code.object_file))
            self._engine.finalize_object()
        # The engine owns machine and module, and the module needs its context. The collector may
        # dispose of a cycle's members in any order, so the finalizer keeps both, for this order.
        weakref.finalize(self, _dispose, self._engine, context).atexit = False

    def address(self, name: str) -> int:
        """The address of a function."""
        return int(self._engine.get_function_address(name))


def compile_module(text: str, recipe: Recipe = OPTIMIZED) -> CompiledModule:
    """Compile LLVM IR and load it."""
    return CompiledModule(machine_code(text, recipe))


def assembly(text: str, recipe: Recipe = OPTIMIZED) -> str:
    """Compile a module to readable assembly."""
    with _lock, _strength_reduction(recipe.reduce_strength):
        module, machine = _optimized(text, recipe)
        return str(machine.emit_assembly(module))


# -- LLVM ---------------------------------------------------------------------------------------


@functools.cache
def _initialize() -> tuple[str, str]:
    """Initialise LLVM once; returns the host's CPU name and features."""
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    for symbol in _IMPLIED:
        llvm.add_symbol(symbol, address_of(symbol))
    return llvm.get_host_cpu_name(), llvm.get_host_cpu_features().flatten()


def _target_machine(level: int) -> Any:
    """A fresh target machine: an execution engine takes ownership of the one it is given."""
    cpu, features = _initialize()
    target = llvm.Target.from_default_triple()
    return target.create_target_machine(cpu=cpu, features=features, opt=level)


def _compile(text: str, recipe: Recipe) -> bytes:
    with _lock, _strength_reduction(recipe.reduce_strength):
        module, machine = _optimized(text, recipe)
        return bytes(machine.emit_object(module))


@contextmanager
def _strength_reduction(wanted: bool) -> Iterator[None]:
    """LLVM has this switch only for all its users together: it is on again afterwards."""
    if wanted:
        yield
        return
    llvm.set_option("fnad", "-disable-lsr=true")
    try:
        yield
    finally:
        llvm.set_option("fnad", "-disable-lsr=false")


def _optimized(text: str, recipe: Recipe) -> tuple[Any, Any]:
    machine = _target_machine(recipe.codegen_level)
    module = llvm.parse_assembly(text, llvm.create_context())
    options = llvm.create_pipeline_tuning_options(speed_level=recipe.speed_level)
    options.loop_vectorization = options.slp_vectorization = recipe.vectorize
    options.loop_unrolling = False  # halves the time of compilation, gains nothing measurable
    builder = llvm.create_pass_builder(machine, options)
    builder.getModulePassManager().run(module, builder)
    return module, machine


def _dispose(engine: Any, context: Any) -> None:
    with _lock:
        engine.close()
        context.close()
