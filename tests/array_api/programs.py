"""Arrays and functions of a namespace in which everything is compiled; see `compiled`.

Arrays are wrapped, so that operators, methods and indexing are those of traced arrays, compiled.
What is no array (axes, dtypes, shapes, Python's numbers) is static. Where the length of a result
depends on values, it is counted first and passed as ``size=``, as users of `jit` do.

Answers about dtypes and devices are no programs, and asked for as they are. So are single elements
(``x[1, 2]``), which the suite reads in loops of its own.
"""

from __future__ import annotations

import functools
import operator
import sys
import warnings
from types import ModuleType

import numpy as np

import fnad
import fnad.numpy as fnp

warnings.filterwarnings("ignore", category=fnad.errors.RecompilationWarning)

_UNCOMPILED = {"broadcast_shapes", "can_cast", "finfo", "iinfo", "isdtype", "result_type"}

# Programs by what is called and all that is static; dropped together when they are too many.
_programs = {}
_MOST_PROGRAMS = 4096


class _Slot(int):
    """The place of an array among the arguments of a program."""

    __repr__ = lambda self: f"<{int(self)}>"


class Array:
    """An array whose operators, methods and indices are compiled programs."""

    __slots__ = ("value",)
    __hash__ = None

    def __init__(self, value):
        self.value = np.asarray(value)

    dtype = property(lambda self: self.value.dtype)
    shape = property(lambda self: self.value.shape)
    ndim = property(lambda self: self.value.ndim)
    size = property(lambda self: self.value.size)
    device = property(lambda self: self.value.device)
    T = property(lambda self: _call(operator.attrgetter("T"), self))
    mT = property(lambda self: _call(operator.attrgetter("mT"), self))  # noqa: N815

    def __array_namespace__(self, *, api_version=None):
        return sys.modules["tests.array_api.compiled"]

    def to_device(self, device, /, *, stream=None):
        return Array(self.value.to_device(device, stream=stream))

    def __dlpack__(self, *, stream=None, max_version=None, dl_device=None, copy=None):
        return self.value.__dlpack__(
            stream=stream, max_version=max_version, dl_device=dl_device, copy=copy
        )

    def __dlpack_device__(self):
        return self.value.__dlpack_device__()

    def __getitem__(self, key):
        keys = key if isinstance(key, tuple) else (key,)
        if all(type(k) is int for k in keys):
            return Array(self.value[key])
        return _call(_getitem, self, tuple(i for k in keys for i in _without_mask(k)))

    def __setitem__(self, key, value):
        self.value = _call(_set, self, key, value).value.copy()

    def __repr__(self):
        return f"compiled {self.value!r}"


def _getitem(x, key):
    return x[key]


def _set(x, key, value):
    return fnp.at(x)[key].set(fnp.astype(value, x.dtype))


def _without_mask(key):
    """A mask as the indices of its true elements, a scalar as a static one."""
    if isinstance(key, Array) and key.dtype == bool and not key.shape:
        return (bool(key),)
    if isinstance(key, Array) and key.dtype == bool:
        return _call(fnp.nonzero, key, size=int(np.count_nonzero(key.value)))
    return (key,)


def _split(value, arrays):
    if isinstance(value, Array):
        arrays.append(value.value)
        return _Slot(len(arrays) - 1)
    if type(value) in (tuple, list):
        return type(value)(_split(v, arrays) for v in value)
    if type(value) is dict:
        return {name: _split(v, arrays) for name, v in value.items()}
    return value


def _join(value, arrays):
    if type(value) is _Slot:
        return arrays[value]
    if type(value) in (tuple, list):
        return type(value)(_join(v, arrays) for v in value)
    if type(value) is dict:
        return {name: _join(v, arrays) for name, v in value.items()}
    return value


def _wrap(out):
    is_array = lambda x: isinstance(x, (np.ndarray, np.generic))
    return fnad.tree.map(lambda x: Array(x) if is_array(x) else x, out)


def _call(function, *args, **options):
    arrays = []
    static = _split((args, options), arrays)
    key = (function, repr(static))
    if key not in _programs:
        if len(_programs) >= _MOST_PROGRAMS:
            _programs.clear()

        @fnad.jit
        def program(*arrays):
            args, options = _join(static, arrays)
            return function(*args, **options)

        _programs[key] = program
    return _wrap(_programs[key](*arrays))


def _operator(name, reflected=False):
    function = getattr(operator, name)

    def method(self, other, /):
        if not isinstance(other, (Array, bool, int, float, complex)):
            return NotImplemented
        return _call(function, other, self) if reflected else _call(function, self, other)

    return method


def _unary(name):
    function = getattr(operator, name)
    return lambda self, /: _call(function, self)


def _cast(name):
    kind = {"__bool__": bool, "__int__": int, "__float__": float, "__complex__": complex}
    function = kind.get(name, operator.index)
    return lambda self, /: function(self.value)


for _name in ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "matmul"):
    setattr(Array, f"__{_name}__", _operator(f"__{_name}__"))
    setattr(Array, f"__r{_name}__", _operator(f"__{_name}__", reflected=True))
for _name in ("and", "or", "xor", "lshift", "rshift"):
    setattr(Array, f"__{_name}__", _operator(f"__{_name}__"))
    setattr(Array, f"__r{_name}__", _operator(f"__{_name}__", reflected=True))
for _name in ("eq", "ne", "lt", "le", "gt", "ge"):
    setattr(Array, f"__{_name}__", _operator(f"__{_name}__"))
for _name in ("__neg__", "__pos__", "__abs__", "__invert__"):
    setattr(Array, _name, _unary(_name))
for _name in ("__bool__", "__int__", "__float__", "__complex__", "__index__"):
    setattr(Array, _name, _cast(_name))


def _length(counts, axis_length):
    return int(np.broadcast_to(counts.value, (axis_length,)).sum())


def _sizes(name, args, options):
    """The lengths that values decide, as static arguments."""
    x = args[0] if args else None
    if name == "nonzero":
        return {"size": int(np.count_nonzero(x.value))}
    if name.startswith("unique_"):
        return {"size": fnp.unique_values(x.value).size}
    if name == "repeat" and isinstance(args[1], Array):
        axis = options.get("axis")
        length = x.size if axis is None else x.shape[axis]
        return {"total_repeat_length": _length(args[1], length)}
    return {}


def _compiled(name, function):
    @functools.wraps(function)
    def call(*args, **options):
        return _call(function, *args, **options, **_sizes(name, args, options))

    return call


def _as_it_is(function):
    @functools.wraps(function)
    def call(*args, **options):
        arrays = []
        args, options = _join(_split((args, options), arrays), arrays)
        return _wrap(function(*args, **options))

    return call


@functools.wraps(fnp.asarray)
def asarray(a, *args, **options):
    """Python's numbers become arrays outside of programs; arrays go through one."""
    if not isinstance(a, Array):
        return Array(fnp.asarray(a, *args, **options))
    out = _call(fnp.asarray, a, *args, **options)
    if options.get("copy") is not True and out.dtype == a.dtype:
        return a
    return Array(out.value.copy())


@functools.wraps(fnp.from_dlpack)
def from_dlpack(x, /, **options):
    return Array(fnp.from_dlpack(x.value if isinstance(x, Array) else x, **options))


_SPECIAL = {"asarray": asarray, "from_dlpack": from_dlpack}


def namespace(module):
    """The public names of a module, functions compiled."""
    names = {}
    for name in dir(module):
        value = getattr(module, name)
        if name.startswith("_") or isinstance(value, ModuleType):
            continue
        if isinstance(value, type) or not callable(value):
            names[name] = value
        elif name in _SPECIAL:
            names[name] = _SPECIAL[name]
        elif name in _UNCOMPILED:
            names[name] = _as_it_is(value)
        else:
            names[name] = _compiled(name, value)
    return names
