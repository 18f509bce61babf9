"""Settings of the process: ``fnad.config.num_threads``, ``cache_dir``, ``matmul_precision`` ...

Settings are attributes of this module, to be read and assigned at any time; a value that makes no
sense is refused. Their first values come from the environment.

Examples
--------
>>> import fnad
>>> before = fnad.config.num_threads
>>> fnad.config.num_threads = 1
>>> fnad.config.num_threads
1
>>> fnad.config.num_threads = before
"""

from __future__ import annotations

import ctypes
import math
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

num_threads: int
"""Threads that compiled programs use, at most; results do not depend on it.

At first ``FNAD_NUM_THREADS``, or the number of CPUs that this process may use (its affinity and the
limits of its control group).
"""

cache_dir: Path | None
"""The folder in which machine code is kept from process to process; None if it is not kept.

At first ``FNAD_CACHE_DIR`` (empty: None), or ``fnad`` in the user's folder of caches. It is made
when it is needed, and not used unless it belongs to this user and only he can write there.
"""

cache_bytes: int
"""The size up to which that folder grows; what was used longest ago goes first.

At first ``FNAD_CACHE_BYTES``, or 512 MiB.
"""

pool_bytes: int
"""The memory of dead results that is kept for new ones, at most; more goes back to the system.

At first ``FNAD_POOL_BYTES``, or a quarter of the machine's memory. Lowering it has its effect when
the next result dies.
"""

matmul_precision: str
"""How cuBLAS multiplies float32 matrices on a card: ``float32``, ``tensorfloat32``, ``bfloat16``.

The latter two round the operands (to 11 and 8 bits) and add up in float32, on tensor cores. At
first ``FNAD_MATMUL_PRECISION``, or ``float32``: as exact as on the CPU, where the setting has no
effect.
"""

_SETTINGS = ("num_threads", "cache_dir", "cache_bytes", "pool_bytes", "matmul_precision")
_PRECISIONS = ("float32", "tensorfloat32", "bfloat16")


class _Config(ModuleType):
    """Makes assignments to attributes of the module checked."""

    @property
    def num_threads(self) -> int:
        return int(_num_threads.value)

    @num_threads.setter
    def num_threads(self, value: int) -> None:
        _num_threads.value = _natural(value, 1, "fnad.config.num_threads")

    @property
    def cache_dir(self) -> Path | None:
        return _cache_dir

    @cache_dir.setter
    def cache_dir(self, value: str | os.PathLike[str] | None) -> None:
        global _cache_dir
        if value is not None and not isinstance(value, (str, os.PathLike)):
            raise ValueError(f"fnad.config.cache_dir is a path or None, not {value!r}")
        _cache_dir = Path(value).absolute() if value else None

    @property
    def cache_bytes(self) -> int:
        return _cache_bytes

    @cache_bytes.setter
    def cache_bytes(self, value: int) -> None:
        global _cache_bytes
        _cache_bytes = _natural(value, 0, "fnad.config.cache_bytes")

    @property
    def pool_bytes(self) -> int:
        return int(_pool_bytes.value)

    @pool_bytes.setter
    def pool_bytes(self, value: int) -> None:
        _pool_bytes.value = _natural(value, 0, "fnad.config.pool_bytes")

    @property
    def matmul_precision(self) -> str:
        return _matmul_precision

    @matmul_precision.setter
    def matmul_precision(self, value: str) -> None:
        global _matmul_precision
        _matmul_precision = _precision(value, "fnad.config.matmul_precision")

    def __setattr__(self, name: str, value: object) -> None:
        if name not in _SETTINGS and not name.startswith("_"):
            raise AttributeError(
                f"fnad.config has no setting {name!r}: choose one of {', '.join(_SETTINGS)}"
            )
        super().__setattr__(name, value)


def _natural(value: object, least: int, name: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ValueError(f"{name} is a number of at least {least}, not {value!r}")
    return value


def _precision(value: object, name: str) -> str:
    if not isinstance(value, str) or value not in _PRECISIONS:
        raise ValueError(f"{name} is one of {', '.join(_PRECISIONS)}, not {value!r}")
    return value


def num_threads_address() -> int:
    """Where the setting lies in memory, an int64, for compiled code to read."""
    return ctypes.addressof(_num_threads)


def pool_bytes_address() -> int:
    """Where that setting lies, likewise."""
    return ctypes.addressof(_pool_bytes)


# -- first values -------------------------------------------------------------------------------


def available_cpus() -> int:
    """How many CPUs this process may use."""
    if hasattr(os, "sched_getaffinity"):
        count = len(os.sched_getaffinity(0))
    else:
        count = os.cpu_count() or 1
    quota = cgroup_quota(Path("/proc/self/cgroup"), Path("/sys/fs/cgroup"))
    return max(1, math.ceil(min(count, quota)))


def cgroup_quota(membership: Path, root: Path) -> float:
    """The CPU time per second that control groups allow this process, perhaps infinite.

    Parameters
    ----------
    membership : Path
        The process's groups, ``/proc/self/cgroup`` (lines ``number:controllers:path``).
    root : Path
        Where the hierarchies are mounted.
    """
    quota = math.inf
    for line in _read(membership).splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers:  # version 1: one hierarchy for some controllers
            if "cpu" not in controllers.split(","):
                continue
            mounts = [root / controllers, root / "cpu"]
        else:
            mounts = [root, root / "unified"]
        for mount in mounts:
            for group in _with_ancestors(mount, path):
                quota = min(quota, _quota_of(group))
    return quota


def _with_ancestors(mount: Path, path: str) -> Iterator[Path]:
    """A group and those that hold it, each of which may set a limit."""
    group = mount / path.lstrip("/")
    yield group
    while group != mount and mount in group.parents:
        group = group.parent
        yield group


def _quota_of(group: Path) -> float:
    """The limit of one group: ``cpu.max`` (version 2) or ``cpu.cfs_quota_us`` (version 1)."""
    fields = _read(group / "cpu.max").split()
    if len(fields) != 2:
        fields = [_read(group / f"cpu.cfs_{name}_us").strip() for name in ("quota", "period")]
    try:
        quota, period = map(int, fields)
    except ValueError:  # "max", or no such file
        return math.inf
    return quota / period if quota > 0 and period > 0 else math.inf


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""


def _from_environment(name: str, least: int, default: int) -> int:
    text = os.environ.get(name, "")
    if not text:
        return default
    number = int(text) if text.isascii() and text.isdigit() else text
    return _natural(number, least, name)


def _first_cache_dir() -> Path | None:
    given = os.environ.get("FNAD_CACHE_DIR")
    if given is not None:
        return Path(given).absolute() if given else None
    try:
        home = Path.home()
    except RuntimeError:  # the user has none
        return None
    if sys.platform == "darwin":
        return home / "Library" / "Caches" / "fnad"
    xdg = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(xdg) if os.path.isabs(xdg) else home / ".cache") / "fnad"


_num_threads = ctypes.c_int64(_from_environment("FNAD_NUM_THREADS", 1, available_cpus()))
_physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
_pool_bytes = ctypes.c_int64(_from_environment("FNAD_POOL_BYTES", 0, _physical // 4))
_cache_dir = _first_cache_dir()
_cache_bytes = _from_environment("FNAD_CACHE_BYTES", 0, 512 << 20)
_matmul_precision = _precision(
    os.environ.get("FNAD_MATMUL_PRECISION") or "float32", "FNAD_MATMUL_PRECISION"
)
sys.modules[__name__].__class__ = _Config
