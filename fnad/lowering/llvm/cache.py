"""A cache of machine code on disk, shared by processes of one user.

Entries are files of one folder, named by a hash of everything that they depend on. Loading machine
code from a file means running it, so nothing is read that another user could have written: the
folder and each entry must belong to this user and be writable by nobody else. An entry begins with
a hash of the rest; one that is damaged counts as missing. Entries are written to a temporary file
and renamed, so that a reader sees all of one or nothing. When the folder grows beyond
``fnad.config.cache_bytes``, the entries go that were used longest ago.

No failure of the file system reaches the program: without a cache it merely compiles.
"""

from __future__ import annotations

import hashlib
import os
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from fnad import config

_SUFFIX = ".code"
_TEMPORARY = ".new"
_DIGEST = hashlib.sha256
_DIGEST_SIZE = _DIGEST().digest_size

# A use within so many seconds of the last one is not written down.
_ATTENTION = 3600.0

# The folder is looked through once so many bytes have been written since the last time.
_UNWATCHED = 1 << 24

# Group and others may not write.
_FOREIGN_WRITERS = stat.S_IWGRP | stat.S_IWOTH


def digest(*parts: bytes) -> str:
    """The name of an entry that depends on ``parts``."""
    state = _DIGEST()
    for part in parts:
        state.update(len(part).to_bytes(8, "little"))
        state.update(part)
    return state.hexdigest()


def load(name: str) -> bytes | None:
    """The content of an entry, or None if there is none that can be trusted."""
    folder = _folder()
    if folder is None:
        return None
    path = folder / (name + _SUFFIX)
    try:
        content = _read_own(path)
    except OSError:
        return None
    digest, content = content[:_DIGEST_SIZE], content[_DIGEST_SIZE:]
    if digest != _DIGEST(content).digest():
        with suppress(OSError):
            path.unlink()
        return None
    return content


def store(name: str, content: bytes) -> None:
    """Make an entry, for this process and others."""
    folder = _folder()
    if folder is None or len(content) > config.cache_bytes:
        return
    with suppress(OSError):
        descriptor, temporary = tempfile.mkstemp(_TEMPORARY, dir=folder)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(_DIGEST(content).digest())
                file.write(content)
            os.replace(temporary, folder / (name + _SUFFIX))
        except BaseException:
            os.unlink(temporary)
            raise
        _watch.note(folder, len(content))


# -- trust --------------------------------------------------------------------------------------


def _folder() -> Path | None:
    """The folder of the cache if it can be used; it is made if need be."""
    path = config.cache_dir
    if path is None or not hasattr(os, "geteuid"):
        return None
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        try:
            os.makedirs(path.parent, exist_ok=True)
            os.mkdir(path, 0o700)
            found = os.lstat(path)
        except OSError:
            return None
    except OSError:
        return None
    return path if stat.S_ISDIR(found.st_mode) and _is_own(found) else None


def _is_own(found: os.stat_result) -> bool:
    return found.st_uid == os.geteuid() and not found.st_mode & _FOREIGN_WRITERS


def _read_own(path: Path) -> bytes:
    """A file's content; whoever owns it is asked of the open file, which nobody can exchange."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode) or not _is_own(found):
            raise PermissionError(f"{path} belongs to somebody else")
        if time.time() - found.st_mtime > _ATTENTION:
            os.utime(descriptor)
        return file.read()


# -- size ---------------------------------------------------------------------------------------


class _Watch:
    """Keeps the folder within its bound; it is looked through now and then."""

    def __init__(self) -> None:
        self._unwatched = _UNWATCHED  # at first, too

    def note(self, folder: Path, size: int) -> None:
        self._unwatched += size
        if self._unwatched >= min(_UNWATCHED, config.cache_bytes // 8):
            self._unwatched = 0
            evict(folder, config.cache_bytes)


_watch = _Watch()


def evict(folder: Path, limit: int) -> None:
    """Delete what was used longest ago until at most ``limit`` bytes are left, and remnants."""
    entries = sorted(_entries(folder), reverse=True)
    total = 0
    for used, size, path in entries:
        total += size
        abandoned = path.endswith(_TEMPORARY) and time.time() - used > _ATTENTION
        if total > limit or abandoned:
            total -= size
            with suppress(OSError):
                os.unlink(path)


def _entries(folder: Path) -> Iterator[tuple[float, int, str]]:
    """When each file was used last, its size, its path."""
    with os.scandir(folder) as found:
        for entry in found:
            if entry.name.endswith((_SUFFIX, _TEMPORARY)):
                with suppress(OSError):
                    status = entry.stat(follow_symlinks=False)
                    yield status.st_mtime, status.st_size, entry.path
