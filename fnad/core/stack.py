"""The traces that are active in a thread, one within the other."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fnad.core.tracer import Trace


class _Stack(threading.local):
    def __init__(self) -> None:
        self.traces: list[Trace] = []  # the innermost last


stack = _Stack()
