"""LLVM itself: from text to machine code, kept on disk, and machine code in this process."""

from __future__ import annotations

import ctypes
import functools
import itertools
import json
import re
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import llvmlite
import llvmlite.binding as llvm
from llvmlite.binding import ffi

from fnad.core.errors import InternalError
from fnad.core.fingerprint import source_fingerprint
from fnad.core.forks import forks_deferred
from fnad.lowering.llvm import cache
from fnad.lowering.llvm.symbols import address_of, addresses_of

# Of `MachineCode.to_bytes`; another one has another name.
_FORMAT = b"object files, 1"

# LLVM's symbol table and llvmlite's ownership of contexts are global.
_lock = threading.RLock()

# What LLVM calls for instructions (``frem``) and intrinsics, undeclared.
_IMPLIED = ("fmod", "fmodf", "memcpy", "memmove", "memset")

# Comments stand on lines of their own (`writer.Function`); they name the user's lines.
_COMMENTS = re.compile(r"^[ \t]*;.*\n", re.MULTILINE)
_DECLARED = re.compile(r"^declare [^@\n]*@(?!llvm\.)([\w.$]+)\(", re.MULTILINE)


# How LLVM's superword vectoriser, which packs scalars into vectors, is used, by LLVM's version; in
# others it is not. It must fail no assertion, which would end the user's process. What LLVM 22
# calls copyable elements did ("Expected valid number of unscheduled deps"), for nested loops of
# complex numbers and, in LLVM's issues 193040, 196281, 202463 and 203193, for far smaller code.
_SUPERWORDS = {20: (), 22: ("-slp-copyable-elements=false",)}

# What the processor has and LLVM had better not use. INSERTQ and EXTRQ of AMD's SSE4a are chosen
# for shuffles of bytes between AVX instructions, of which they have no form: one takes some 100 ns.
_SLOW = ("sse4a",)


@dataclass(frozen=True, slots=True)
class Recipe:
    """How text becomes machine code. All of it is part of the name under which code is kept."""

    codegen_level: int
    speed_level: int
    superwords: bool
    reduce_strength: bool = True


OPTIMIZED = Recipe(codegen_level=2, speed_level=2, superwords=False)
# The same with scalars packed into vectors: for small loops (`small_loops`).
PACKED_CODE = Recipe(codegen_level=2, speed_level=2, superwords=True)
# As it stands but for inlining: for loops that are written as vector code. LLVM's reduction of
# strength would take a third of the time and speed them up by some percent, at most.
VECTOR_CODE = Recipe(codegen_level=2, speed_level=0, superwords=False, reduce_strength=False)
# The same in a hurry: for code without inner loops.
PLAIN = Recipe(codegen_level=0, speed_level=0, superwords=False)


@dataclass(frozen=True, slots=True)
class MachineCode:
    """A module as object files, and the functions that it takes from elsewhere."""

    object_files: tuple[bytes, ...]
    symbols: tuple[str, ...]

    def to_bytes(self) -> bytes:
        """All of it, for `from_bytes`."""
        head = [list(map(len, self.object_files)), self.symbols]
        return b"".join([json.dumps(head).encode(), b"\n", *self.object_files])

    @staticmethod
    def from_bytes(content: bytes) -> MachineCode:
        """What `to_bytes` has written."""
        head, _, rest = content.partition(b"\n")
        sizes, symbols = json.loads(head)
        ends = list(itertools.accumulate(sizes))
        files = [rest[end - size : end] for size, end in zip(sizes, ends)]
        return MachineCode(tuple(files), tuple(symbols))


def machine_code(text: str, recipe: Recipe = OPTIMIZED) -> MachineCode:
    """The machine code of a module of LLVM IR, from the cache or compiled now.

    The functions that it declares must be known to `symbols.address_of`.
    """
    text = _COMMENTS.sub("", text)
    name = cache.digest(_FORMAT, repr(recipe).encode(), host(), text.encode())
    kept = cache.load(name)
    if kept is not None:
        return MachineCode.from_bytes(kept)
    symbols = tuple(dict.fromkeys(_DECLARED.findall(text)))
    made = MachineCode((object_file(text, recipe),), symbols)
    cache.store(name, made.to_bytes())
    return made


def known_code(key: str, source: Callable[[], tuple[str, Recipe]]) -> MachineCode:
    """The machine code of what fnad itself always prints for ``key``: the text of ``source()``.

    It is only made if the code has not been kept.
    """
    name = cache.digest(b"known", key.encode(), source_fingerprint(), host())
    kept = cache.load(name)
    if kept is not None:
        return MachineCode.from_bytes(kept)
    made = machine_code(*source())
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
        for symbol, address in addresses_of(code.symbols).items():
            llvm.add_symbol(symbol, address)
        with forks_deferred(), _lock:
            context = llvm.create_context()
            module = llvm.parse_assembly("", context)  # an engine needs one
            self._engine = llvm.create_mcjit_compiler(module, _target_machine(0))
            for content in code.object_files:
                self._engine.add_object_file(llvm.ObjectFileRef.from_data(content))
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
    with _compiler(recipe) as compiler, _turn(recipe):
        return str(compiler.machine.emit_assembly(compiler.optimized(text)))


# -- LLVM ---------------------------------------------------------------------------------------


@functools.cache
def _initialize() -> tuple[str, str]:
    """Initialise LLVM once; returns the host's CPU name and features."""
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    for symbol in _IMPLIED:
        llvm.add_symbol(symbol, address_of(symbol))
    for option in _SUPERWORDS.get(llvm.llvm_version_info[0], ()):
        llvm.set_option("fnad", option)  # it has them only for all its users together
    features = llvm.get_host_cpu_features()
    features.update((name, False) for name in _SLOW if name in features)
    return llvm.get_host_cpu_name(), features.flatten()


def _target_machine(level: int) -> Any:
    """A fresh target machine: an execution engine takes ownership of the one it is given."""
    cpu, features = _initialize()
    target = llvm.Target.from_default_triple()
    return target.create_target_machine(cpu=cpu, features=features, opt=level)


def object_file(text: str, recipe: Recipe) -> bytes:
    """Compile a module of LLVM IR. Several threads may do so at the same time."""
    with _compiler(recipe) as compiler, _turn(recipe):
        return _emit(compiler.machine, compiler.optimized(text))


def _turn(recipe: Recipe) -> AbstractContextManager[None]:
    """Wait for LLVM's switch; its code generator of level 0 never looks at it."""
    if recipe.codegen_level == 0:
        return nullcontext()
    return _strength_reduction.of(recipe.reduce_strength)


class _Compiler:
    """A target machine, and what optimises for it; of one thread at a time."""

    def __init__(self, recipe: Recipe) -> None:
        self.machine = _target_machine(recipe.codegen_level)
        options = llvm.create_pipeline_tuning_options(speed_level=recipe.speed_level)
        known = llvm.llvm_version_info[0] in _SUPERWORDS
        options.slp_vectorization = recipe.superwords and known
        # Take time, gain nothing measurable: what is worth it is vector code as it is printed.
        options.loop_vectorization = options.loop_unrolling = False
        self._builder = llvm.create_pass_builder(self.machine, options)

    def optimized(self, text: str) -> Any:
        """A module of LLVM IR, optimised."""
        module = llvm.parse_assembly(text, llvm.create_context())
        passes = self._builder.getModulePassManager()
        try:
            _unlocked("LLVMPY_RunNewModulePassManager")(passes, module, self._builder)
        finally:
            ffi.lib.LLVMPY_DisposeNewModulePassManger(passes)  # llvmlite 0.50 forgets it
            passes.detach()
        return module


_idle_compilers: dict[Recipe, list[_Compiler]] = {}


@contextmanager
def _compiler(recipe: Recipe) -> Iterator[_Compiler]:
    """One that no other thread uses. They are kept: a new one takes LLVM most of a millisecond,
    and llvmlite does not give all of its memory back.
    """
    idle = _idle_compilers.setdefault(recipe, [])
    try:
        compiler = idle.pop()
    except IndexError:
        compiler = _Compiler(recipe)
    yield compiler
    idle.append(compiler)


def _emit(machine: Any, module: Any) -> bytes:
    """`TargetMachine.emit_object`, while other threads may do the same."""
    with ffi.OutputString() as error:
        buffer = _unlocked("LLVMPY_TargetMachineEmitToMemory")(machine, module, 1, error)
        if not buffer:
            raise InternalError(f"LLVM cannot compile a module: {error}")
    try:
        start = ffi.lib.LLVMPY_GetBufferStart(buffer)
        return ctypes.string_at(start, ffi.lib.LLVMPY_GetBufferSize(buffer))
    finally:
        ffi.lib.LLVMPY_DisposeMemoryBuffer(buffer)


@functools.cache
def _unlocked(name: str) -> Any:
    """A function of llvmlite's library without llvmlite's lock, which allows one call at a time.

    LLVM itself needs no lock for modules of different contexts.
    """
    locked = getattr(ffi.lib, name)
    function = getattr(ctypes.CDLL(ffi.lib._name, handle=ffi.lib._handle), name)
    function.argtypes, function.restype = locked.argtypes, locked.restype
    return function


class _StrengthReduction:
    """LLVM's switch, which it has only for all its users together: it is on again afterwards.

    Compilations with and without it take turns.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._users = {True: 0, False: 0}

    @contextmanager
    def of(self, wanted: bool) -> Iterator[None]:
        with self._changed:
            self._changed.wait_for(lambda: self._users[not wanted] == 0)
            if not wanted and self._users[False] == 0:
                llvm.set_option("fnad", "-disable-lsr=true")
            self._users[wanted] += 1
        try:
            yield
        finally:
            with self._changed:
                self._users[wanted] -= 1
                if not wanted and self._users[False] == 0:
                    llvm.set_option("fnad", "-disable-lsr=false")
                self._changed.notify_all()


_strength_reduction = _StrengthReduction()


def _dispose(engine: Any, context: Any) -> None:
    with forks_deferred(), _lock:
        engine.close()
        context.close()
