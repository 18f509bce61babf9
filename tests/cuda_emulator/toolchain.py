"""CUDA's own compilers, which need no card: NVRTC (as CuPy uses it) or nvcc, whichever there is.

NVRTC comes with the wheel ``nvidia-cuda-nvrtc-cu12``, which the extra ``test`` brings. Sources are
compiled to machine code, not just to PTX: only so does it show that shared memory or registers are
exceeded, or that a line of assembly is wrong. A quick check stops at PTX.
"""

import ctypes
import functools
import importlib.util
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import pytest

from tests.cuda_emulator.compiler import CompileError

ARCHITECTURES = ("sm_70", "sm_75", "sm_80", "sm_90", "sm_100")

# Printed code has names that nobody asks for.
_OPTIONS = ("--std=c++17", "--diag-suppress=177,550")

# The version of NVRTC that can be told to be quick.
_HURRIES_FROM = (12, 8)


@dataclass(frozen=True, slots=True)
class Usage:
    """What a kernel takes on the device, as the assembler says."""

    registers: int
    shared_bytes: int
    spilled_bytes: int


class Toolchain(Protocol):
    """A compiler of CUDA sources."""

    name: str
    architectures: tuple[str, ...]

    def build(self, source: str, architecture: str, optimized: bool = True) -> tuple[bool, str]:
        """Whether the source compiles, and the compiler's log."""
        ...


@functools.cache
def toolchain() -> Toolchain | None:
    """NVRTC if it is installed, else nvcc, else None."""
    library = _find_nvrtc()
    if library is not None:
        return Nvrtc(library)
    nvcc = shutil.which("nvcc")
    return None if nvcc is None else Nvcc(nvcc)


def supported(architectures: Iterable[str] = ARCHITECTURES) -> list[str]:
    """Those architectures that the installed compiler knows."""
    found = toolchain()
    return [] if found is None else [a for a in architectures if a in found.architectures]


def check(source: str, architecture: str, optimized: bool = True) -> dict[str, Usage]:
    """Compile a source to machine code; return what its kernels use.

    What is not ``optimized`` becomes PTX only, of which nothing is returned: that takes a tenth of
    the time. Too much static shared memory is then for the emulated device to find.

    Raises
    ------
    CompileError
        For errors and for warnings (but those of unused names), with the compiler's log and the
        lines of the source that it names.
    """
    found = toolchain()
    if found is None:
        raise RuntimeError("neither NVRTC nor nvcc: pip install nvidia-cuda-nvrtc-cu12")
    succeeded, log = found.build(source, architecture, optimized)
    if not succeeded or _WARNING.search(log):
        raise CompileError(f"{found.name} for {architecture}:\n{_with_source(log, source)}")
    return _usages(log)


# Of the source or the assembler, not those of the driver about old architectures.
_WARNING = re.compile(r"\): warning|^ptxas warning", re.MULTILINE)


def _with_source(log: str, source: str) -> str:
    """The log with the line of the source below each message that has a place."""
    lines = source.splitlines()
    rows = []
    for row in log.splitlines():
        rows.append(row)
        place = re.match(r"\S*\((\d+)\): (?:\w+ )?(?:error|warning)", row)
        if place and int(place[1]) <= len(lines):
            rows.append(f"    line {place[1]}: {lines[int(place[1]) - 1].strip()}")
    return "\n".join(rows)


_ENTRY = re.compile(r"Compiling entry function '(?P<name>\w+)'.*?(?=Compiling entry|\Z)", re.DOTALL)


def _usages(log: str) -> dict[str, Usage]:
    def number(pattern: str, text: str) -> int:
        found = re.search(pattern, text)
        return int(found[1]) if found else 0

    return {
        entry["name"]: Usage(
            number(r"Used (\d+) registers", entry[0]),
            number(r"(\d+) bytes smem", entry[0]),
            number(r"(\d+) bytes spill stores", entry[0]),
        )
        for entry in _ENTRY.finditer(log)
    }


class Nvcc:
    """The compiler of the toolkit."""

    def __init__(self, path: str) -> None:
        self.name = "nvcc"
        self._path = path
        listed = subprocess.run([path, "--list-gpu-code"], capture_output=True, text=True)
        self.architectures = tuple(listed.stdout.split())

    def build(self, source: str, architecture: str, optimized: bool = True) -> tuple[bool, str]:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "source.cu"
            path.write_text(source)
            options = ["-cubin", f"-arch={architecture}", "-Xptxas", "-v", *_OPTIONS]
            command = [self._path, *options, str(path), "-o", str(path.with_suffix(".cubin"))]
            done = subprocess.run(command, capture_output=True, text=True)
        return done.returncode == 0, done.stdout + done.stderr


class Nvrtc:
    """The compiler that CuPy uses, as a library."""

    def __init__(self, path: Path) -> None:
        self._library = ctypes.CDLL(str(path))
        major, minor = ctypes.c_int(), ctypes.c_int()
        self._call("nvrtcVersion", ctypes.byref(major), ctypes.byref(minor))
        self.name = f"NVRTC {major.value}.{minor.value}"
        self._in_a_hurry = (
            ["--Ofast-compile=max"] if (major.value, minor.value) >= _HURRIES_FROM else []
        )
        count = ctypes.c_int()
        self._call("nvrtcGetNumSupportedArchs", ctypes.byref(count))
        numbers = (ctypes.c_int * count.value)()
        self._call("nvrtcGetSupportedArchs", numbers)
        self.architectures = tuple(f"sm_{number}" for number in numbers)

    def build(self, source: str, architecture: str, optimized: bool = True) -> tuple[bool, str]:
        program = ctypes.c_void_p()
        self._call(
            "nvrtcCreateProgram",
            ctypes.byref(program),
            source.encode(),
            b"source.cu",
            0,
            None,
            None,
        )
        try:
            if optimized:
                how = [f"--gpu-architecture={architecture}", "--ptxas-options=-v"]
            else:
                how = [f"--gpu-architecture={architecture.replace('sm', 'compute')}"]
                how += self._in_a_hurry
            options = self._strings([*how, *_OPTIONS])
            status = self._library.nvrtcCompileProgram(program, len(options), options)
            return status == 0, self._log(program)
        finally:
            self._call("nvrtcDestroyProgram", ctypes.byref(program))

    @staticmethod
    def _strings(values: Sequence[str]) -> ctypes.Array[ctypes.c_char_p]:
        return (ctypes.c_char_p * len(values))(*(value.encode() for value in values))

    def _log(self, program: ctypes.c_void_p) -> str:
        size = ctypes.c_size_t()
        self._call("nvrtcGetProgramLogSize", program, ctypes.byref(size))
        log = ctypes.create_string_buffer(size.value)
        self._call("nvrtcGetProgramLog", program, log)
        return log.value.decode()

    def _call(self, name: str, *arguments: object) -> None:
        status = getattr(self._library, name)(*arguments)
        if status != 0:
            raise RuntimeError(f"{name} failed with status {status}")


def _find_nvrtc() -> Path | None:
    """The library of the wheel ``nvidia-cuda-nvrtc-cu12``."""
    package = importlib.util.find_spec("nvidia")
    if package is None or package.submodule_search_locations is None:
        return None
    for folder in package.submodule_search_locations:
        found = sorted((Path(folder) / "cuda_nvrtc" / "lib").glob("libnvrtc.so.*"))
        if found:
            return found[-1]
    return None


needs_toolchain = pytest.mark.skipif(
    _find_nvrtc() is None and shutil.which("nvcc") is None,
    reason="needs a compiler of CUDA: pip install nvidia-cuda-nvrtc-cu12",
)
