"""Fingerprints of programs: equal for equal programs, in every process and on every day.

What is made of a program can be kept under its fingerprint, beyond the life of the process. The
fingerprint covers all that lowering may depend on: types, constants with all their bytes, the
primitives and their parameters, inner programs; not where the user wrote the equations.
"""

from __future__ import annotations

import functools
import hashlib
import marshal
import os
import time
from array import array
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from fnad.core.ir import Atom, ClosedJaxpr, Jaxpr, Literal, memoize
from fnad.core.types import BFLOAT16, HELD, ShapedArray

_LOADED = time.time_ns()
_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
# Marks what stands for a value that is not itself; no string of a program begins with it.
_TAG = "\0"


class _Opaque(Exception):  # noqa: N818 - never reaches a user
    """Some part of the program has no content that could be compared."""


@memoize
def fingerprint(jaxpr: Jaxpr) -> bytes | None:
    """The fingerprint of a program; None if it holds what has none.

    That is: a primitive that is not fnad's own, whose rules nobody can compare, or a parameter
    that is neither a number, a string, a dtype nor a tuple of such.
    """
    try:
        return hashlib.sha256(_content(jaxpr)).digest()
    except _Opaque:
        return None


def _content(jaxpr: Jaxpr) -> bytes:
    """All about a program: a word for each of its parts, and the tables that words refer to.

    Variables have the numbers in which they are defined, constants numbers below zero.
    """
    numbers: dict[Atom, int] = {}
    types: dict[ShapedArray, int] = {}
    names: dict[str, int] = {}
    constants: dict[tuple[int, bytes], int] = {}
    given: list[Any] = []
    words = [len(jaxpr.invars), len(jaxpr.eqns)]

    def define(atoms: Iterable[Atom]) -> None:
        for atom in atoms:
            numbers[atom] = len(numbers)
            words.append(types.setdefault(atom.aval, len(types)))

    def read(atoms: Iterable[Atom]) -> None:
        for atom in atoms:
            number = numbers.get(atom)
            if number is None:
                key = types.setdefault(atom.aval, len(types)), _constant(atom)
                number = -1 - constants.setdefault(key, len(constants))
            words.append(number)

    define(jaxpr.invars)
    for eqn in jaxpr.eqns:
        primitive, params = eqn.primitive, eqn.params
        if not primitive.is_own:
            raise _Opaque
        words += (
            names.setdefault(primitive.name, len(names)),
            bool(params),
            len(eqn.invars),
            len(eqn.outvars),
        )
        read(eqn.invars)
        define(eqn.outvars)
        if params:
            kept = primitive.lowering_params or sorted(params)
            given.append([(name, _encoded(params[name])) for name in kept])
    read(jaxpr.outvars)
    shown = [(t.shape, t.dtype.str, t.weak_type) for t in types]
    # Version 2 of the format writes equal values as equal bytes, later ones do not always.
    tables = marshal.dumps([len(words), list(names), shown, list(constants), given], 2)
    return array("q", words).tobytes() + tables


def _constant(atom: Atom) -> bytes:
    assert isinstance(atom, Literal)
    if not atom.aval.shape:
        return bytes(atom.val.tobytes())
    return hashlib.sha256(np.ascontiguousarray(atom.val).data).digest()


def _encoded(value: Any) -> Any:
    """What stands for a parameter: a structure of plain values that says all about it."""
    kind = type(value)
    if kind in _PLAIN or (kind is tuple and _PLAIN.issuperset(map(type, value))):
        return value
    encode = _ENCODED.get(kind)
    if encode is not None:
        return encode(value)
    if isinstance(value, tuple):
        return (_TAG, kind.__qualname__, *[_encoded(v) for v in value])
    if isinstance(value, np.dtype):
        return (_TAG, value.str)
    if isinstance(value, np.generic):
        return (_TAG, value.dtype.str, value.tobytes())
    if isinstance(value, type) and value in _SCALAR_TYPES:
        return (_TAG, value.__name__)
    raise _Opaque


def _encoded_program(jaxpr: Jaxpr) -> Any:
    inner = fingerprint(jaxpr)
    if inner is None:
        raise _Opaque
    return (_TAG, inner)


def _encoded_closed(closed: ClosedJaxpr) -> Any:
    if closed.consts:
        raise _Opaque
    return _encoded_program(closed.jaxpr)


_PLAIN = frozenset({bool, int, float, complex, str, bytes, type(None)})
_SCALAR_TYPES = {bool, int, float, complex, *(np.dtype(char).type for char in HELD), BFLOAT16.type}
_ENCODED: dict[type, Callable[[Any], Any]] = {
    tuple: lambda value: tuple([_encoded(v) for v in value]),
    list: lambda value: [_encoded(v) for v in value],
    Jaxpr: _encoded_program,
    ClosedJaxpr: _encoded_closed,
    ShapedArray: lambda value: (_TAG, value.shape, value.dtype.str, value.weak_type),
}


@functools.cache
def source_fingerprint() -> bytes:
    """Changes whenever a file of fnad does: what an older fnad has made must not be used.

    While somebody edits fnad, this process no longer runs what the files say: no other process
    has its fingerprint then.
    """
    files = sorted(_files(_PACKAGE))
    changed = any(modified > _LOADED for _, _, modified in files)
    return hashlib.sha256(repr((files, os.urandom(16) if changed else b"")).encode()).digest()


def _files(folder: str) -> Iterator[tuple[str, int, int]]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir():
                yield from _files(entry.path)
            elif entry.name.endswith((".py", ".ll")):
                status = entry.stat()
                yield os.path.relpath(entry.path, _PACKAGE), status.st_size, status.st_mtime_ns
