"""The machine and the versions that figures belong to, and the installation of the peers."""

from __future__ import annotations

import importlib.util
import os
import platform
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

_ROOT = Path(__file__).parents[1]
_NEEDED = ("jax", "optax", "torch", "matplotlib", "mpmath")


def install_missing() -> None:
    """Install fnad's extra "bench" if something of it is absent."""
    absent = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    if not absent:
        return
    command = [sys.executable, "-m", "pip", "install", "-e", f"{_ROOT}[bench]"]
    print(f"{', '.join(absent)} not installed; running {' '.join(command)}", flush=True)
    if subprocess.run(command, check=False).returncode:
        print("the installation failed: going on with what is there", flush=True)
    importlib.invalidate_caches()


def describe() -> dict[str, Any]:
    """Processor, number of usable processors, versions, commit."""
    names = ("numpy", "scipy", "llvmlite", "jax", "optax", "torch")
    return {
        "processor": _processor(),
        "processors": len(os.sched_getaffinity(0)),
        "python": platform.python_version(),
        "commit": _commit(),
        **{name: _version(name) for name in names},
    }


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def _commit() -> str | None:
    command = ["git", "-C", str(_ROOT), "describe", "--always", "--dirty"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None
