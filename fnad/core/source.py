"""The user's own source line behind an equation: the innermost frame outside fnad."""

from __future__ import annotations

import functools
import os
import sys
import threading
from types import CodeType, FrameType

_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
# Python code of these calls fnad back with the arrays of users, and is not theirs either.
_LIBRARIES = ("numpy", "scipy")


class _Scope(threading.local):
    path = ""  # the names of `fnad.named_scope` that are open in a thread


scope = _Scope()


class SourceLine:
    """A place in the user's program: an instruction, whose line is looked up when it is shown.

    ``scope`` are the names of `fnad.named_scope` around it, with slashes between them.
    """

    __slots__ = ("code", "instruction", "scope")

    def __init__(self, code: CodeType, instruction: int, scope: str = "") -> None:
        self.code = code
        self.instruction = instruction
        self.scope = scope

    @property
    def file(self) -> str:
        return self.code.co_filename

    @property
    def line(self) -> int:
        return _lines(self.code)[self.instruction // 2] or self.code.co_firstlineno

    @property
    def function(self) -> str:
        return self.code.co_name

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, SourceLine)
            and self.code is other.code
            and self.instruction == other.instruction
            and self.scope == other.scope
        )

    def __hash__(self) -> int:
        return hash((self.code, self.instruction, self.scope))

    def __str__(self) -> str:
        return f"{self.file}:{self.line} ({self.function}){self._within}"

    @property
    def _within(self) -> str:
        return f" in {self.scope}" if self.scope else ""

    @property
    def short(self) -> str:
        """Without the folder, for dumps that are compared between machines."""
        return f"{os.path.basename(self.file)}:{self.line} ({self.function}){self._within}"


@functools.lru_cache(maxsize=256)
def _lines(code: CodeType) -> list[int | None]:
    """The line of each instruction, two bytes a piece."""
    return [line for line, *_ in code.co_positions()]


@functools.cache
def is_internal(file: str) -> bool:
    """Whether a file belongs to fnad, its libraries or the interpreter rather than to the user."""
    loaded = [sys.modules[name] for name in _LIBRARIES if name in sys.modules]
    libraries = [os.path.dirname(library.__file__ or "") + os.sep for library in loaded]
    return file.startswith((_PACKAGE, *libraries, "<frozen")) or file.endswith(
        ("functools.py", "contextlib.py")
    )


def defined_in_package() -> bool:
    """Whether a module of fnad is being imported, with none of the user's code at work in it."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        code = frame.f_code
        if not code.co_filename.startswith(_PACKAGE):
            return False
        if code.co_name == "<module>":
            return True
        frame = frame.f_back
    return False


def user_line() -> SourceLine | None:
    """Return the user's line that is being run, or None if there is none."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        code = frame.f_code
        if not is_internal(code.co_filename):
            return SourceLine(code, frame.f_lasti, scope.path)
        frame = frame.f_back
    return None
