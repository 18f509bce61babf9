"""The user's own source line behind an equation: the innermost frame outside fnad."""

from __future__ import annotations

import functools
import os
import sys
from dataclasses import dataclass
from types import FrameType

_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep


@dataclass(frozen=True, slots=True)
class SourceLine:
    """A place in the user's program."""

    file: str
    line: int
    function: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line} ({self.function})"

    @property
    def short(self) -> str:
        """Without the folder, for dumps that are compared between machines."""
        return f"{os.path.basename(self.file)}:{self.line} ({self.function})"


@functools.cache
def is_internal(file: str) -> bool:
    """Whether a file belongs to fnad or to the interpreter rather than to the user."""
    return file.startswith((_PACKAGE, "<frozen")) or file.endswith(
        ("functools.py", "contextlib.py")
    )


def user_frame() -> FrameType | None:
    """Return the innermost frame on the stack that runs the user's code."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and is_internal(frame.f_code.co_filename):
        frame = frame.f_back
    return frame


def user_line() -> SourceLine | None:
    """Return the user's line that is being run, or None if there is none."""
    frame = user_frame()
    if frame is None:
        return None
    return SourceLine(frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_name)
