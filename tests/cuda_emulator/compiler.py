"""CUDA sources as shared libraries of the host, through g++.

A source is compiled as it is but for one thing: ``extern __shared__ T name[];`` becomes a reference
to the runtime's dynamic shared memory, for which C++ has no word. The language itself (``include``)
is compiled once into a precompiled header, the scheduler of threads (``runtime``) once into a
library of its own; a small kernel then takes some 30 ms.
"""

import ctypes
import functools
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
HEADERS = HERE / "include"

_COMMON = (
    "-std=c++17",
    "-fPIC",
    "-fno-exceptions",
    "-fno-rtti",
    "-U_FORTIFY_SOURCE",  # its longjmp refuses to leave the stack of a fiber
    "-pipe",
)
OPTIONS = (
    *_COMMON,
    "-w",
    "-ffp-contract=off",
    "-fno-strict-aliasing",
    "-fno-math-errno",
    "-fvisibility=hidden",
    "-fno-asynchronous-unwind-tables",
    "-fno-stack-protector",
)
# Characters from which a source takes its compiler longer than its run, if it is not optimised.
# What has dynamic shared memory (products, attention) runs for longer.
_LONG = 3_000
RUNTIME_OPTIONS = (*_COMMON, "-O2", "-shared")

# Undefined behaviour that the device answers in its own way: reported with the line.
CHECKS = ("alignment", "bounds", "shift-exponent", "integer-divide-by-zero", "float-cast-overflow")


class CompileError(Exception):
    """The source is not valid; the message is the compiler's."""


@dataclass(frozen=True, slots=True)
class Kernel:
    """A ``__global__`` function: its address, and what a launch of it must keep to."""

    name: str
    address: int
    parameters: int
    max_threads: int
    shared_variables: tuple[tuple[int, int], ...]  # (address, bytes)

    @property
    def shared_bytes(self) -> int:
        """Bytes of static shared memory."""
        return sum(size for _, size in self.shared_variables)


@dataclass(frozen=True, slots=True)
class Module:
    """A compiled source."""

    source: str
    path: Path  # of the source as it was compiled
    options: tuple[str, ...]
    library: ctypes.CDLL
    kernels: dict[str, Kernel]

    def line(self, number: int) -> str:
        """The text of a line of the source."""
        lines = self.source.splitlines()
        return lines[number - 1].strip() if 0 < number <= len(lines) else ""

    def line_of(self, offset: int) -> int | None:
        """The number of the line whose machine code lies at an offset into the library."""
        library = self.path.with_suffix(".debug.so")
        if not library.exists():  # debugging information does not change the code
            _build(self.path, library, self.options, ["-g1"])
        command = ["addr2line", "-i", "-e", str(library), hex(offset)]
        rows = subprocess.run(command, capture_output=True, text=True).stdout.splitlines()
        for row in rows:  # from the innermost inlined function to the outermost
            name, _, number = row.split(" (")[0].rpartition(":")
            if name == str(self.path) and number.isdigit():
                return int(number)
        return None


def compiler_path() -> str | None:
    """The path of g++, or None where there is none (that of macOS is another compiler)."""
    return shutil.which("g++") if sys.platform == "linux" else None


@functools.cache
def session_folder() -> Path:
    """Where compiled files are kept until the process ends.

    Processes that are killed, and pytest-xdist's, leave their folders: the next one removes them.
    """
    for left in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        process = left.name.removeprefix(_PREFIX).partition("-")[0]
        if process.isdigit() and not Path("/proc", process).exists():
            shutil.rmtree(left, ignore_errors=True)
    folder = tempfile.TemporaryDirectory(prefix=f"{_PREFIX}{os.getpid()}-")
    _KEPT.append(folder)
    return Path(folder.name)


_PREFIX = "fnad-cuda-emulator-"  # the number of the process follows


_KEPT: list[tempfile.TemporaryDirectory[str]] = []  # removed when the process ends


def _run(options: Sequence[str | Path]) -> None:
    command = compiler_path()
    if command is None:
        raise RuntimeError("the emulated CUDA device needs Linux and g++")
    done = subprocess.run([command, *map(str, options)], capture_output=True, text=True)
    if done.returncode:
        raise CompileError(done.stderr)


@functools.cache
def runtime() -> tuple[Path, ctypes.CDLL]:
    """The library that schedules threads, and its path."""
    path = session_folder() / "libruntime.so"
    _run([*RUNTIME_OPTIONS, *sorted((HERE / "runtime").glob("*.cpp")), "-o", path])
    return path, ctypes.CDLL(str(path))


@functools.cache
def _language(options: tuple[str, ...]) -> Path:
    """The header of the language, precompiled for these options."""
    folder = session_folder() / hashlib.sha256(repr(options).encode()).hexdigest()[:16]
    shutil.copytree(HEADERS, folder)
    header = folder / "cuda.h"
    _run([*options, "-x", "c++-header", header, "-o", f"{header}.gch"])
    return header


def compile_module(source: str, checks: Sequence[str] = CHECKS, races: bool = False) -> Module:
    """Compile a source with the given checks of ``-fsanitize``, and one for races if asked for."""
    hurried = len(source) > _LONG and not _DYNAMIC_SHARED.search(source)
    options: tuple[str, ...] = (*OPTIONS, "-O0" if hurried else "-O1")
    if checks or races:
        sanitizers = [*checks, "thread"] if races else checks
        options += (f"-fsanitize={','.join(sanitizers)}", "-fno-sanitize-recover=all")
    if races:
        options += ("-DEMULATOR_RACES", "--param", "tsan-distinguish-volatile=1")
    digest = hashlib.sha256(repr((source, options)).encode()).hexdigest()[:32]
    path = session_folder() / f"{digest}.cu"
    path.write_text(_with_dynamic_shared(source))
    library = path.with_suffix(".so")
    _build(path, library, options)
    try:
        loaded = ctypes.CDLL(str(library))
    except OSError as error:  # a function that is declared nowhere else either
        raise CompileError(str(error)) from None
    return Module(source, path, options, loaded, _kernels(source, library, loaded))


def _build(path: Path, library: Path, options: tuple[str, ...], extra: Sequence[str] = ()) -> None:
    runtime_path, _ = runtime()
    language: list[str | Path] = ["-include", _language(options), "-x", "c++", path]
    link: list[str | Path] = ["-shared", "-nostdlib", "-x", "none", runtime_path, "-o", library]
    _run([*options, *extra, *language, *link])


_DYNAMIC_SHARED = re.compile(
    r"\bextern\s+__shared__\s+(?:__align__\s*\(\s*\d+\s*\)\s*|alignas\s*\(\s*\d+\s*\)\s*)?"
    r"(?P<type>[\w\s:]+?)\s*\b(?P<name>\w+)\s*\[\s*\]\s*;"
)


def _with_dynamic_shared(source: str) -> str:
    return _DYNAMIC_SHARED.sub(
        r"static \g<type> *const &\g<name> = (\g<type> *const &)emulator_dynamic_shared;", source
    )


_KERNEL = re.compile(
    r"__global__\s+(?:void\s+)?(?:__launch_bounds__\s*\(\s*(?P<threads>\d+)[^)]*\)\s*)?(?:void\s+)?"
    r"(?P<name>\w+)\s*\((?P<parameters>[^)]*)\)"
)
_COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)


def _kernels(source: str, path: Path, library: ctypes.CDLL) -> dict[str, Kernel]:
    text = _COMMENT.sub(" ", source)
    shared = _shared_variables(path) if "__shared__" in text else []
    kernels = {}
    for match in _KERNEL.finditer(text):
        name = match["name"]
        pointer = ctypes.cast(getattr(library, name), ctypes.c_void_p).value
        assert pointer is not None
        parameters = match["parameters"].strip()
        kernels[name] = Kernel(
            name,
            pointer,
            parameters.count(",") + 1 if parameters not in ("", "void") else 0,
            int(match["threads"] or 1024),
            _of_kernel(name, pointer, shared),
        )
    return kernels


@dataclass(frozen=True, slots=True)
class _Symbol:
    address: int
    size: int
    name: str


def _shared_variables(path: Path) -> list[_Symbol]:
    """The functions and the static variables of functions, as the linker placed them."""
    done = subprocess.run(["nm", "-S", path], capture_output=True, text=True, check=True)
    rows = [line.split() for line in done.stdout.splitlines()]
    return [_Symbol(int(row[0], 16), int(row[1], 16), row[3]) for row in rows if len(row) == 4]


def _of_kernel(name: str, pointer: int, symbols: list[_Symbol]) -> tuple[tuple[int, int], ...]:
    """Shared variables of a kernel and of device functions, but not those of other kernels.

    The names are those of the Itanium ABI: ``_ZZ6kernelE4tile`` and ``_ZZ6helperPfE4tile``; an
    ``extern "C"`` function has no parameters in its name.
    """
    own = next((symbol for symbol in symbols if symbol.name == name), None)
    if own is None:
        return ()
    base = pointer - own.address
    of_function = re.compile(r"_ZZ(\d+)(\w+)")
    found = []
    for symbol in symbols:
        match = of_function.match(symbol.name)
        if match is None:
            continue
        length = int(match[1])
        function, rest = match[2][:length], match[2][length:]
        if function == name or not rest.startswith("E"):
            found.append((base + symbol.address, symbol.size))
    return tuple(found)
