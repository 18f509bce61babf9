"""What fnad finds on this machine, and what mends what is missing: ``python -m fnad doctor``."""

from __future__ import annotations

import ctypes
import importlib.metadata
import platform
import sys
from dataclasses import dataclass
from typing import Any

import numpy as np

from fnad import config
from fnad.core.errors import FnadError

# What CuPy is called on PyPI, by the CUDA that it is made for.
_CUPY = {"cupy-cuda12x": 12, "cupy-cuda13x": 13}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at: what it is, whether it works, and what mends it if not."""

    what: str
    works: bool
    detail: str
    remedy: str = ""

    def __str__(self) -> str:
        mark = "ok " if self.works else "-- "
        text = f"{mark}{self.what:<10} {self.detail}"
        return f"{text}\n   to mend:   {self.remedy}" if self.remedy else text


def findings() -> list[Finding]:
    """Look at all that fnad runs on, in the order in which one thing needs another."""
    found = [_python(), _cpu()]
    for look in (_driver, _cupy, _nvrtc, _card):
        finding = look()
        found.append(finding)
        if not finding.works:
            break
    return found


def doctor() -> bool:
    """Print what fnad finds on this machine: the CPU, and what a card needs.

    Looked at are the driver, CuPy and its CUDA runtime, the compiler NVRTC, and the card, on which
    a small program is run. No headers of CUDA are needed. For what is missing, the command that
    mends it is printed.

    Returns
    -------
    bool
        Whether programs can run on a card.

    Examples
    --------
    >>> works = fnad.doctor()  # doctest: +SKIP
    ok Python     3.11.7, NumPy 2.4.6, fnad 0.1.0
    ok CPU        x86_64, vectors of 512 bits, 2 threads
    -- driver     libcuda.so.1 is not found: there is no NVIDIA driver
       to mend:   install NVIDIA's driver (on Debian or Ubuntu: sudo apt install nvidia-driver) ...
    Programs run on the CPU only.
    """
    found = findings()
    for finding in found:
        print(finding)
    works = all(finding.works for finding in found)
    print("Programs run on the CPU and on the card." if works else "Programs run on the CPU only.")
    return works


def _python() -> Finding:
    import fnad  # which imports this module

    versions = f"{platform.python_version()}, NumPy {np.__version__}, fnad {fnad.__version__}"
    return Finding("Python", True, versions)


def _cpu() -> Finding:
    from fnad.lowering.llvm import host

    width = f"vectors of {host.vector_bits()} bits"
    return Finding("CPU", True, f"{platform.machine()}, {width}, {config.num_threads} threads")


def _driver() -> Finding:
    name = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"
    remedy = (
        "install NVIDIA's driver (on Debian or Ubuntu: sudo apt install nvidia-driver), or start"
        " the container with --gpus all"
    )
    try:
        library = ctypes.CDLL(name)
    except OSError:
        return Finding("driver", False, f"{name} is not found: there is no NVIDIA driver", remedy)
    status = library.cuInit(0)
    if status:
        return Finding(
            "driver", False, f"cuInit fails with error {status}", "nvidia-smi  # says why"
        )
    return Finding("driver", True, f"for CUDA up to {_dotted(_driver_version(library))}")


def _driver_version(library: Any) -> int:
    version = ctypes.c_int()
    library.cuDriverGetVersion(ctypes.byref(version))
    return version.value


def _dotted(version: int) -> str:
    return f"{version // 1000}.{version % 1000 // 10}"


def _wanted_extra() -> str:
    """The extra of fnad that fits the driver."""
    return "cuda13" if _driver_version(ctypes.CDLL("libcuda.so.1")) >= 13000 else "cuda12"


def _cupy() -> Finding:
    remedy = f'pip install "fnad[{_wanted_extra()}]"'
    installed = [name for name in _CUPY if _version_of(name)]
    if not installed and not _version_of("cupy"):
        return Finding("CuPy", False, "is not installed", remedy)
    if len(installed) > 1:
        return Finding(
            "CuPy",
            False,
            f"{' and '.join(installed)} are both installed, and overwrite each other",
            f"pip uninstall -y {' '.join(installed)} && {remedy}",
        )
    try:
        import cupy

        runtime = cupy.cuda.runtime.runtimeGetVersion()
    except Exception as error:  # whatever an import of broken libraries raises
        return Finding("CuPy", False, f"cannot be used: {error}", f"{remedy} --force-reinstall")
    return Finding("CuPy", True, f"{cupy.__version__}, CUDA runtime {_dotted(runtime)}")


def _version_of(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _nvrtc() -> Finding:
    from fnad.lowering.cuda.binaries import compiled, nvrtc

    try:
        version = ".".join(map(str, nvrtc().getVersion()))
        compiled('extern "C" __global__ void probe(float* x) { *x = 1.0f; }', "sm_90")
    except FnadError as error:
        return Finding("NVRTC", False, str(error), f'pip install "fnad[{_wanted_extra()}]"')
    return Finding("NVRTC", True, f"{version}; no headers are needed")


def _card() -> Finding:
    import fnad  # which imports this module

    try:
        import cupy

        properties = cupy.cuda.runtime.getDeviceProperties(cupy.cuda.Device().id)
        name = properties["name"].decode()
        memory = properties["totalGlobalMem"] / 2**30
        capability = f"{properties['major']}.{properties['minor']}"
        three = fnad.jit(lambda x: x + 1)(fnad.device_put(np.full(1000, 2.0, np.float32)))
        right = bool((three == 3).all())
    except Exception as error:  # whatever a card that is out of order makes CuPy raise
        return Finding("card", False, f"a small program fails: {error}", "nvidia-smi  # says why")
    detail = f"{name}, compute capability {capability}, {memory:.0f} GiB"
    if not right:
        return Finding("card", False, f"{detail}: computes wrong values", "nvidia-smi -q -d ECC")
    return Finding("card", True, detail)
