"""A program's machine code in the making: its parts are compiled while others are being printed."""

from __future__ import annotations

import functools
import re
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Any, TypeVar

from fnad import config
from fnad.core.forks import forks_deferred
from fnad.lowering.llvm.matrix.contractions import runtime_of
from fnad.lowering.llvm.symbols import prepare
from fnad.lowering.llvm.target import MachineCode, Recipe, object_file
from fnad.lowering.plan import Contraction, Node

_DEFINED = re.compile(r"^define [^@\n]*@([\w.$]+)\(", re.MULTILINE)
_DECLARED = re.compile(r"^declare [^@\n]*@(?!llvm\.)([\w.$]+)\(", re.MULTILINE)

# Seconds after which a thread that runs Python hands the interpreter over. Threads that compile
# need it for microseconds at a time, and would otherwise wait 5 ms each time.
_SWITCH_INTERVAL = 1e-4

T = TypeVar("T")


class Compilation:
    """Compiles the parts of one module, and the parts of the runtime that it needs.

    A context manager: on leaving it, what has not been begun will not be.
    """

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(config.num_threads, "fnad-compiler")
        self._object_files: list[Callable[[], bytes]] = []
        self._symbols: dict[str, Callable[[], None]] = {}
        self._declared: dict[str, None] = {}
        self._defined: set[str] = set()
        self._forks = forks_deferred()

    def __enter__(self) -> Compilation:
        self._forks.__enter__()
        _turns.shorten()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._pool.shutdown(cancel_futures=True)
        _turns.restore()
        self._forks.__exit__(kind, error, traceback)

    def anticipate(self, node: Node) -> None:
        """Begin to compile what a node of the plan will probably call."""
        if isinstance(node, Contraction):
            for symbol in runtime_of(node):
                self._prepare(symbol)

    def _prepare(self, symbol: str) -> None:
        if symbol not in self._symbols:
            self._symbols[symbol] = self._begin(prepare, symbol)

    def add(self, text: str, recipe: Recipe) -> None:
        """Begin to compile a part.

        What it declares another part defines, or `symbols.address_of` must know it.
        """
        self._declared.update(dict.fromkeys(_DECLARED.findall(text)))
        self._defined.update(_DEFINED.findall(text))
        self._object_files.append(self._begin(object_file, text, recipe))

    def code(self) -> MachineCode:
        """Wait for all parts."""
        symbols = [s for s in self._declared if s not in self._defined]
        for symbol in symbols:
            self._prepare(symbol)
        for symbol in symbols:
            self._symbols[symbol]()
        return MachineCode(tuple([wait() for wait in self._object_files]), tuple(symbols))

    def _begin(self, function: Callable[..., T], *args: Any) -> Callable[[], T]:
        """Call a function in another thread; what is returned waits for its result."""
        try:
            return self._pool.submit(function, *args).result
        except RuntimeError:  # no new threads any more: the interpreter is about to end
            return functools.partial(function, *args)


class _Turns:
    """The interpreter's switch interval, which is the user's again when nobody compiles."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._users = 0
        self._before = 0.0

    def shorten(self) -> None:
        with self._lock:
            self._users += 1
            if self._users == 1:
                self._before = sys.getswitchinterval()
                sys.setswitchinterval(min(self._before, _SWITCH_INTERVAL))

    def restore(self) -> None:
        with self._lock:
            self._users -= 1
            if self._users == 0:
                sys.setswitchinterval(self._before)


_turns = _Turns()
