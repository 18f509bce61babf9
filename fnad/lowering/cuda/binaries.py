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
    nvrtc = _nvrtc()
    version = f"NVRTC {nvrtc.getVersion()} {architecture} {_OPTIONS}"
    name = cache.digest(b"cuda", source.encode(), version.encode())
    code = cache.load(name)
    if code is None:
        code = _compile(nvrtc, source, architecture)
        cache.store(name, code)
    return code


def _compile(nvrtc: Any, source: str, architecture: str) -> bytes:
    program = nvrtc.createProgram(source, "fnad.cu", (), ())
    try:
        nvrtc.compileProgram(program, (f"--gpu-architecture={architecture}", *_OPTIONS))
        return bytes(nvrtc.getCUBIN(program))
    except nvrtc.NVRTCError as error:
        raise InternalError(
            f"NVRTC refused what was printed for {architecture}: {nvrtc.getProgramLog(program)}"
        ) from error
    finally:
        nvrtc.destroyProgram(program)


@functools.cache
def _nvrtc() -> Any:
    """CuPy's binding of NVRTC."""
    try:
        from cupy_backends.cuda.libs import nvrtc

        nvrtc.getVersion()  # loads the library
    except (ImportError, RuntimeError, OSError) as error:
        raise BackendError(
            f"CUDA's compiler NVRTC is missing ({error}). Install fnad[cuda12] or fnad[cuda13],"
            " which bring it. `python -m fnad doctor` says what else is missing."
        ) from error
    return nvrtc
