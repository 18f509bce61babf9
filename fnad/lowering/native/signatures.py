"""The words by which ``calls.ll`` reads the arguments of one signature and builds its results."""

from __future__ import annotations

import itertools
import math
import operator
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate, chain
from typing import Any

import numpy as np

from fnad.core.tree import PyTreeDef
from fnad.core.tree_registry import node_type
from fnad.core.types import BFLOAT16, ShapedArray
from fnad.lowering.native import capi
from fnad.lowering.native.routine import Routine

# What words start with.
_LEAF, _TUPLE, _LIST, _DICT, _NONE, _OPAQUE, _STATIC, _SCALAR, _UPDATE, _PERMUTED = range(10)

# Types of keys whose comparison runs no code of the user.
_PLAIN_KEYS = (str, int)

# Of NumPy's headers: C_CONTIGUOUS, OWNDATA, ALIGNED, WRITEABLE; F_CONTIGUOUS.
_RESULT_FLAGS, _F_CONTIGUOUS = 0x505, 0x2

# Tables are on the stack while a call runs.
_MAX_TABLE = 4096

# Types of Python's scalars by the dtypes that they have as arrays.
_PYTHON_KIND = {np.dtype(np.float64): 1, np.dtype(np.int64): 2, np.dtype(np.bool_): 3}


class Unsupported(Exception):  # noqa: N818 - never reaches a user
    """What has no signature: its calls stay in Python."""


@dataclass(frozen=True, slots=True)
class Static:
    """An argument that is no array."""

    value: Any


class Signature:
    """How a routine is called with positional and keyword arguments of certain types.

    Parameters
    ----------
    routine : Routine
    args : sequence
        Positional arguments, or `Static` ones.
    kwargs : dict
        Keyword arguments in the order of the call.
    avals : sequence of ShapedArray
        Types of the leaves of the arguments that are not static.
    out_tree : PyTreeDef
        Structure of the results.
    any_scalar : bool
        Whether Python's scalars may stand for arrays of rank 0 of their dtypes.
    layouts : sequence of (tuple of int or None)
        For each leaf, the axes in which it lies in memory if the program takes it transposed to
        these; empty for none. Such arrays are read in place, and there are no others.
    refused : collection of int
        Leaves of which arrays that are dense in another order than C's do not have this
        signature; arrays of the other leaves are copied.

    Raises
    ------
    Unsupported
        If calls like this one cannot be made without Python.
    """

    def __init__(
        self,
        routine: Routine,
        args: Sequence[Any],
        kwargs: dict[str, Any],
        avals: Sequence[ShapedArray],
        out_tree: PyTreeDef,
        any_scalar: bool = False,
        layouts: Sequence[tuple[int, ...] | None] = (),
        refused: Collection[int] = (),
    ) -> None:
        self._kept: list[Any] = [routine]
        num_bound = len(routine.bound)
        layouts = layouts or (None,) * len(avals)
        given = [(_permuted(a.shape, order), a.dtype) for a, order in zip(avals, layouts)]
        if given != list(routine.inputs[num_bound:]):
            raise Unsupported
        constants = num_bound + len(avals)
        results = constants + len(routine.constants)
        # Complex scalars take two words, which lie behind those of the results.
        wide = [shape == () and dtype.itemsize > capi.WORD for shape, dtype in routine.outputs]
        rooms = list(accumulate((2 * w for w in wide), initial=results + len(wide)))
        length = rooms[-1]
        if length > _MAX_TABLE:
            raise Unsupported
        table = np.zeros(length, np.int64)
        for i, array in enumerate(routine.bound):
            table[i] = array.ctypes.data
        for i, array in enumerate(routine.constants):
            table[constants + i] = array.ctypes.data
        leaves = [
            _Argument(num_bound + i, aval, order, i in refused)
            for i, (aval, order) in enumerate(zip(avals, layouts))
        ]
        arguments = _Arguments(self._kept, leaves, any_scalar)
        words = arguments.all(args, kwargs)
        outputs = list(zip(routine.outputs, routine.updates))
        described = [
            _described(results + i, *kind, source, rooms[i] if wide[i] else results + i)
            for i, (kind, source) in enumerate(outputs)
        ]
        places = self._array(_joined(described))
        ends = accumulate((capi.WORD * len(words) for words in described), initial=places)
        built = _Results(self._kept, outputs, results, ends).of(out_tree._spec)
        names = tuple(kwargs) or None
        self._kept.append(names)
        fields = [
            id(self),
            len(args),
            id(names) if names else 0,
            self._array(words),
            self._array(built),
            length,
            self._array(table),
            len(avals) + 2 * arguments.num_opaque + 1,
            routine.address,
            routine.shared_bytes,
            routine.thread_bytes,
            int(routine.is_long),
            len(routine.outputs),
            places,
            int(routine.is_long or any(source >= 0 for source in routine.updates)),
        ]
        self.address = self._array(fields)

    def _array(self, words: Any) -> int:
        """The address of words, which live as long as the signature."""
        array = np.array(words, np.int64)
        self._kept.append(array)
        return int(array.ctypes.data)


@dataclass(frozen=True, slots=True)
class _Argument:
    """A leaf: its place in the table, its type, its order in memory, whether others are refused."""

    position: int
    aval: ShapedArray
    order: tuple[int, ...] | None
    strict: bool


class _Arguments:
    """Writes the words of arguments."""

    def __init__(self, kept: list[Any], leaves: Sequence[_Argument], any_scalar: bool) -> None:
        self._kept = kept
        self._any_scalar = any_scalar
        self._leaves = iter(leaves)
        self.num_opaque = 0

    def all(self, args: Sequence[Any], kwargs: dict[str, Any]) -> list[int]:
        words = [self._static(a.value) if isinstance(a, Static) else self._of(a) for a in args]
        # Keyword arguments are leaves in the order of their names, but come as the call has them.
        named = {
            k: None if isinstance(kwargs[k], Static) else self._of(kwargs[k])
            for k in sorted(kwargs)
        }
        for name, value in kwargs.items():
            words.append(named[name] or self._static(value.value))
        return _joined(words)

    def _static(self, value: Any) -> list[int]:
        self._kept.append(value)
        return [_STATIC, id(value)]

    def _of(self, value: Any) -> list[int]:
        cls = type(value)
        if value is None:
            return [_NONE]
        if cls is list or cls is tuple or (isinstance(value, tuple) and hasattr(cls, "_fields")):
            kind = _LIST if cls is list else _TUPLE
            self._kept.append(cls)
            return [kind, id(cls), len(value), *_joined(map(self._of, value))]
        if cls is dict:
            return self._of_dict(value)
        node = node_type(cls)
        return self._leaf() if node is None else self._opaque(value, node)

    def _of_dict(self, value: dict[Any, Any]) -> list[int]:
        if not all(type(key) in _PLAIN_KEYS for key in value):
            raise Unsupported
        children = {key: self._of(value[key]) for key in sorted(value)}
        words = [_DICT, id(dict), len(value)]
        for key in value:
            self._kept.append(key)
            words += [id(key), *children[key]]
        return words

    def _opaque(self, value: Any, node: Any) -> list[int]:
        self.num_opaque += 1
        children, aux = node.flatten(value)
        children = tuple(children)
        self._kept += [type(value), node, aux]
        head = [_OPAQUE, id(type(value)), len(children), id(node.flatten), id(aux)]
        return [*head, *_joined(map(self._of, children))]

    def _leaf(self) -> list[int]:
        leaf = next(self._leaves)
        aval, position = leaf.aval, leaf.position
        if aval.weak_type:
            if aval.dtype.kind == "c":  # laid out as NumPy's scalars are
                return [_LEAF, position, 0, 0, id(complex), 0, 0, 0]
            if aval.dtype not in _PYTHON_KIND:
                raise Unsupported
            return [_LEAF, position, 0, 0, 0, _PYTHON_KIND[aval.dtype], 0, 0]
        dtype = _shared(aval.dtype)
        if leaf.order is not None:
            strides = _permuted_strides(aval.shape, dtype.itemsize, leaf.order)
            return [_PERMUTED, position, id(dtype), len(aval.shape), *aval.shape, *strides]
        scalar = python = 0
        if aval.shape == ():
            scalar = id(dtype.type)
            if dtype == np.bool_ or self._any_scalar:
                python = _PYTHON_KIND.get(dtype, 0)
        size = dtype.itemsize
        head = [_LEAF, position, id(dtype), len(aval.shape), scalar, python]
        return [*head, aval.size * size, size if leaf.strict else 0, *aval.shape]


class _Results:
    """Writes the words of results."""

    def __init__(
        self,
        kept: list[Any],
        outputs: Sequence[tuple[tuple[tuple[int, ...], np.dtype[Any]], int]],
        position: int,
        places: Iterable[int],
    ) -> None:
        self._kept = kept
        self._leaves = zip(outputs, places)
        self._positions = itertools.count(position)

    def of(self, spec: Any) -> list[int]:
        if isinstance(spec, str):
            return self._leaf()
        cls, aux, children = spec
        if cls is type(None):
            return [_NONE]
        if cls is dict:
            return self._dict(aux, children)
        return [*self._head(cls, aux, len(children)), *_joined(map(self.of, children))]

    def _dict(self, keys: Sequence[Any], children: Sequence[Any]) -> list[int]:
        # A dict of arrays alone is none of the collector's business, which it sees by the values.
        plain = all(isinstance(child, str) or child[0] is type(None) for child in children)
        value: Any = object() if plain else []
        template = dict.fromkeys(keys, value)
        self._kept += [template, value]
        table = capi.copied_table(template) if plain else (0, 0, 0)
        words = [_DICT, id(template), len(template), id(value), *table]
        for offset, child in zip(capi.value_offsets(template), children, strict=True):
            words += [offset, *self.of(child)]
        return words

    def _head(self, cls: type, aux: Any, count: int) -> list[int]:
        self._kept += [cls, aux]
        if cls is list:
            return [_LIST, id(cls), count]
        if cls is tuple or _is_plain_namedtuple(cls):
            return [_TUPLE, id(cls), count]
        node = node_type(cls)
        assert node is not None
        self._kept.append(node)
        return [_OPAQUE, id(cls), count, id(node.unflatten), id(aux)]

    def _leaf(self) -> list[int]:
        position = next(self._positions)
        ((shape, dtype), source), place = next(self._leaves)
        if shape == ():
            return [_SCALAR, position, id(_shared(dtype))]
        return [_LEAF, position] if source < 0 else [_UPDATE, position, place]


def _described(
    position: int, shape: tuple[int, ...], dtype: np.dtype[Any], source: int, room: int
) -> list[int]:
    """The words by which memory and the array of a result are made; scalars lie at ``room``."""
    size = -1 if shape == () else math.prod(shape) * dtype.itemsize
    head = [
        position,
        size,
        room if shape == () else source,
        id(_shared(dtype)),
        len(shape),
        _flags(shape),
    ]
    return [*head, *shape, *_strides(shape, dtype.itemsize)]


def _joined(parts: Iterable[list[int]]) -> list[int]:
    return list(chain.from_iterable(parts))


def _flags(shape: tuple[int, ...]) -> int:
    """NumPy's flags of a result: it owns its memory, is dense, aligned and may be written."""
    # What has no elements, or no two axes of several, is in Fortran's order as well.
    both = 0 in shape or sum(extent > 1 for extent in shape) <= 1
    return _RESULT_FLAGS | (_F_CONTIGUOUS if both else 0)


def _strides(shape: tuple[int, ...], itemsize: int) -> list[int]:
    """NumPy's strides of a result: without elements they are as if axes of 0 were of 1."""
    strides = accumulate((max(n, 1) for n in reversed(shape[1:])), operator.mul, initial=itemsize)
    return list(strides)[::-1] if shape else []


def _permuted(shape: tuple[int, ...], order: tuple[int, ...] | None) -> tuple[int, ...]:
    return shape if order is None else tuple(shape[axis] for axis in order)


def _permuted_strides(
    shape: tuple[int, ...], itemsize: int, order: tuple[int, ...]
) -> tuple[int, ...]:
    """The strides of a dense array whose axes lie in memory in this order, outermost first."""
    strides = dict(zip(order, _strides(_permuted(shape, order), itemsize)))
    return tuple(strides[axis] for axis in range(len(shape)))


def _shared(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """The object that all arrays of this dtype share; it lives as long as NumPy does."""
    shared = BFLOAT16 if dtype == BFLOAT16 else np.dtype(dtype.char)
    if shared != dtype or (dtype.itemsize > 8 and dtype.kind != "c"):
        raise Unsupported
    return shared


def _is_plain_namedtuple(cls: type) -> bool:
    """Whether making an instance does nothing but fill in the items."""
    made: Any = getattr(cls, "__new__", None)
    module = getattr(made, "__globals__", {}).get("__name__", "")
    return (
        issubclass(cls, tuple)
        and type(cls) is type
        and cls.__init__ is object.__init__
        and module.startswith("namedtuple_")
    )
