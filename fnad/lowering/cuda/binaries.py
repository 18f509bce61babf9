"""Machine code of CUDA source, by NVRTC, kept on disk beside the code for the CPU."""

from __future__ import annotations

import functools
from typing import Any

from fnad.core.errors import BackendError, InternalError
from fnad.lowering.llvm import cache

# No fast mathematics: functions round as CUDA's table of errors says.
_OPTIONS = ("--std=c++17",)


def compiled(source: str, architecture: str) -> bytes:
    """The machine code of ``source`` for an architecture such as ``sm_90``."""
    compiler = nvrtc()
    version = f"NVRTC {compiler.getVersion()} {architecture} {_OPTIONS}"
    name = cache.digest(b"cuda", source.encode(), version.encode())
    code = cache.load(name)
    if code is None:
        code = _compile(compiler, source, architecture)
        cache.store(name, code)
    return code


def _compile(compiler: Any, source: str, architecture: str) -> bytes:
    program = compiler.createProgram(source, "fnad.cu", (), ())
    try:
        compiler.compileProgram(program, (f"--gpu-architecture={architecture}", *_OPTIONS))
        return bytes(compiler.getCUBIN(program))
    except compiler.NVRTCError as error:
        log = compiler.getProgramLog(program)
        raise InternalError(f"NVRTC refused what was printed for {architecture}: {log}") from error
    finally:
        compiler.destroyProgram(program)


@functools.cache
def nvrtc() -> Any:
    """CuPy's binding of NVRTC.

    Raises
    ------
    BackendError
        If there is none, or it does not find the library.
    """
    try:
        from cupy_backends.cuda.libs import nvrtc as binding

        binding.getVersion()  # loads the library
    except (ImportError, RuntimeError, OSError) as error:
        raise BackendError(
            f"CUDA's compiler NVRTC is missing ({error}). Install fnad[cuda12] or fnad[cuda13],"
            " which bring it. `python -m fnad doctor` says what else is missing."
        ) from error
    return binding
