"""Functions whose calls need no Python: the base class of what ``jit`` returns.

A `NativeCallable` holds up to `CAPACITY` signatures, the one that was met last first. A call that
has one of them runs at once (``calls.ll``); every other goes to the method ``__call__``.
"""

from __future__ import annotations

import ctypes
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np

from fnad import config
from fnad.core.axes import bound_names
from fnad.core.forks import forks_deferred
from fnad.core.tracer import active_traces
from fnad.lowering.llvm.once import once
from fnad.lowering.native import capi
from fnad.lowering.native.signatures import Signature

CAPACITY = 8

_VECTORCALL, _COUNT, _SIGNATURES = (object.__basicsize__ + capi.WORD * i for i in range(3))
_SIZE = _SIGNATURES + capi.WORD * CAPACITY

# Of CPython's headers (typeslots.h, object.h, structmember.h), part of the stable ABI.
_TP_CALL, _TP_MEMBERS = 50, 72
_BASETYPE, _HAVE_VECTORCALL, _DEFAULT = 1 << 10, 1 << 11, 1 << 18
_T_PYSSIZET, _READONLY = 19, 1
_TP_FLAGS = 168  # where a type object has its flags


class _Member(ctypes.Structure):
    _fields_ = (
        ("name", ctypes.c_char_p),
        ("type", ctypes.c_int),
        ("offset", ctypes.c_ssize_t),
        ("flags", ctypes.c_int),
        ("doc", ctypes.c_char_p),
    )


def _native_type() -> type:
    """A type with room for signatures, whose instances are called by a pointer in them."""
    members = (_Member * 2)(_Member(b"__vectorcalloffset__", _T_PYSSIZET, _VECTORCALL, _READONLY))
    slots = [
        capi.Slot(_TP_CALL, capi.python_function("PyVectorcall_Call")),
        capi.Slot(_TP_MEMBERS, ctypes.addressof(members)),
    ]
    name = b"fnad.lowering.native.calls.NativeCallable"
    _kept.extend([members, name])
    flags = _DEFAULT | _BASETYPE | _HAVE_VECTORCALL
    return capi.new_type(name, _SIZE, flags, slots, object)


_kept: list[Any] = []  # what the type refers to
_changing = threading.RLock()  # who changes signatures
_available = capi.layouts_are_known() and capi.pointer_at(id(int) + _TP_FLAGS) == int.__flags__
_Base: Any = _native_type() if _available else object


class NativeCallable(_Base):
    """An object that calls its signatures natively, and ``__call__`` for everything else.

    Where this interpreter's objects are not laid out as fnad knows them, all calls go there.
    """

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if _available:
            # Classes that define ``__call__`` do not inherit this flag. Their instances are
            # still called by it as long as the pointer in them is null.
            flags = ctypes.c_ulong.from_address(id(cls) + _TP_FLAGS)
            flags.value |= _HAVE_VECTORCALL

    def __init__(self) -> None:
        self._signatures: dict[int, Signature] = {}

    def add_signature(self, signature: Signature) -> bool:
        """Try this signature first from now on; the one that was met longest ago may go.

        Returns whether calls can be native at all.
        """
        if not _available:
            return False
        # Other threads may call meanwhile, which changes the order of the places.
        with forks_deferred(), _changing:
            count, places = self._places()
            known = [a for a in places[: count.value] if a != signature.address][: CAPACITY - 1]
            self._signatures[signature.address] = signature
            places[: len(known) + 1] = [signature.address, *known]
            count.value = len(known) + 1
            self._signatures = {a: self._signatures[a] for a in places[: count.value]}
        ctypes.c_void_p.from_address(id(self) + _VECTORCALL).value = _dispatch()
        return True

    def clear_signatures(self) -> None:
        """Forget all signatures."""
        with forks_deferred(), _changing:
            if _available:
                count, places = self._places()
                count.value = 0
                places[:] = [0] * CAPACITY  # a call in another thread may be about to move one
            self._signatures = {}

    def _places(self) -> tuple[ctypes.c_int64, Any]:
        count = ctypes.c_int64.from_address(id(self) + _COUNT)
        return count, (ctypes.c_int64 * CAPACITY).from_address(id(self) + _SIGNATURES)


def available() -> bool:
    """Whether calls can be native in this interpreter."""
    return _available


def _source() -> str:
    names = ("objects", "leaves", "arguments", "results", "trees", "calls")
    return "\n".join(Path(__file__).with_name(f"{name}.ll").read_text() for name in names)


@once
def _dispatch() -> int:
    """The vectorcall of instances, compiled when it is first needed."""
    from fnad.lowering.llvm.target import VECTOR_CODE, CompiledModule, known_code  # and so LLVM
    from fnad.lowering.native.pool import get_pool

    module = CompiledModule(known_code("fnad.calls", lambda: (_source(), VECTOR_CODE)))
    objects = [np.ndarray, float, int, True, False, None, tuple, get_pool().handler]
    objects += [sys.intern("__call__"), active_traces, bound_names]
    words = ctypes.c_int64 * (len(objects) + 1)
    environment: Any = ctypes.CFUNCTYPE(ctypes.c_void_p)(module.address("fnad.calls.environment"))
    words.from_address(environment())[:] = [*map(id, objects), config.num_threads_address()]
    _kept.extend([module, objects])
    return module.address("fnad.calls.dispatch")
