"""Settings of the process: ``fnad.config.num_threads``.

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

_SETTINGS = ("num_threads",)


class _Config(ModuleType):
    """Makes assignments to attributes of the module checked."""

    @property
    def num_threads(self) -> int:
        return int(_num_threads.value)

    @num_threads.setter
    def num_threads(self, value: int) -> None:
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise ValueError(f"fnad.config.num_threads is a number of at least 1, not {value!r}")
        _num_threads.value = value

    def __setattr__(self, name: str, value: object) -> None:
        if name not in _SETTINGS and not name.startswith("_"):
            raise AttributeError(
                f"fnad.config has no setting {name!r}: choose one of {', '.join(_SETTINGS)}"
            )
        super().__setattr__(name, value)


def num_threads_address() -> int:
    """Where the setting lies in memory, an int64, for compiled code to read."""
    return ctypes.addressof(_num_threads)


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


def _first_num_threads() -> int:
    text = os.environ.get("FNAD_NUM_THREADS", "")
    if not text:
        return available_cpus()
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise ValueError(f"FNAD_NUM_THREADS is a number of at least 1, not {text!r}")
    return int(text)


_num_threads = ctypes.c_int64(_first_num_threads())
sys.modules[__name__].__class__ = _Config
