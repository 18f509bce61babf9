"""``jit``: trace a function once for each signature, compile its program, run that."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial, update_wrapper
from types import MethodType
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from fnad.core import tree
from fnad.core.axes import bound_axes
from fnad.core.flat_function import FlatFunction, function_name
from fnad.core.ir import Jaxpr
from fnad.core.rewrites import get_rewrites
from fnad.core.tracer import Tracer, current_trace, trace_to_jaxpr
from fnad.core.types import ShapedArray, aval_of
from fnad.lowering import lowered_text
from fnad.primitives.calls import jit_p


@dataclass(frozen=True, slots=True)
class _Program:
    """A function traced for one signature."""

    jaxpr: Jaxpr
    consts: list[Any]
    out_tree: Any


@dataclass(frozen=True, slots=True)
class _Call:
    """The arguments of one call: leaves of the dynamic ones, and the key of the cache."""

    leaves: list[Any]
    types: tuple[Any, ...]
    in_tree: Any
    static_args: tuple[tuple[int, Any], ...]
    static_kwargs: tuple[tuple[str, Any], ...]
    num_args: int

    def key(self) -> Any:
        static: Any = None
        if self.static_args or self.static_kwargs:
            # 1, 1.0 and True are equal, but a program made for one does not serve the others.
            types = tuple(type(v) for _, v in (*self.static_args, *self.static_kwargs))
            static = (self.static_args, self.static_kwargs, types)
        return self.in_tree, self.types, static, self.num_args, bound_axes()

    @property
    def avals(self) -> list[ShapedArray]:
        return [aval_of(leaf) for leaf in self.leaves]


class Compiled:
    """A function compiled for one signature; callable with arguments of that signature."""

    def __init__(self, jitted: JitFunction, call: _Call, program: _Program) -> None:
        self._jitted = jitted
        self._call = call
        self._program = program
        self._run = get_rewrites().compile(program.jaxpr)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        call = self._jitted._dynamic_call(args, kwargs, self._call)
        if call.in_tree != self._call.in_tree or call.types != self._call.types:
            raise TypeError(
                f"{self._jitted.__name__} was compiled for arguments of types"
                f" {_shown(self._call)}, but is called with {_shown(call)}"
            )
        outs = self._run([*self._program.consts, *call.leaves])
        return tree.unflatten(self._program.out_tree, outs)


class Lowered:
    """A function traced for one signature, to be looked at or compiled."""

    def __init__(self, jitted: JitFunction, call: _Call, program: _Program) -> None:
        self._jitted = jitted
        self._call = call
        self._program = program

    def as_text(self, stage: str = "llvm") -> str:
        """The program at a stage: ``jaxpr``, ``simplified``, ``plan``, ``llvm`` or ``asm``."""
        return lowered_text(self._program.jaxpr, stage)

    def compile(self) -> Compiled:
        """Compile for the signature that was lowered."""
        return Compiled(self._jitted, self._call, self._program)


# By function, so that jit(f) written again (in a loop, say) finds what jit(f) has compiled.
_programs: WeakKeyDictionary[Any, dict[Any, _Program]] = WeakKeyDictionary()


def _programs_of(fun: Callable[..., Any]) -> dict[Any, _Program]:
    try:
        return _programs.setdefault(fun, {})
    except TypeError:  # a callable that cannot be hashed or weakly referred to
        return {}


class JitFunction:
    """What `jit` returns; calling it runs the compiled function."""

    __name__: str

    def __init__(
        self,
        fun: Callable[..., Any],
        static_argnums: tuple[int, ...],
        static_argnames: tuple[str, ...],
    ) -> None:
        update_wrapper(self, fun)
        self._fun = fun
        self.__name__ = function_name(fun)
        self._static_argnums, self._static_argnames = _both_static(
            fun, static_argnums, static_argnames
        )
        self._programs = _programs_of(fun)

    def __repr__(self) -> str:
        return f"<jit of {self.__name__}>"

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return self if instance is None else MethodType(self, instance)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        call = self._split(args, kwargs)
        program = self._traced(call)
        if current_trace() is not None:
            operands = [*program.consts, *call.leaves]
            outs = jit_p.bind(*operands, jaxpr=program.jaxpr, name=self.__name__)
        else:
            run = get_rewrites().compile(program.jaxpr)
            outs = run([*program.consts, *call.leaves])
        return tree.unflatten(program.out_tree, outs)

    def lower(self, *args: Any, **kwargs: Any) -> Lowered:
        """Trace for the types of the arguments (arrays or `ShapeDtypeStruct`), not run."""
        call = self._split(args, kwargs)
        return Lowered(self, call, self._traced(call))

    def clear_cache(self) -> None:
        """Forget all traced and compiled programs."""
        self._programs.clear()

    def _split(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> _Call:
        if not self._static_argnums and not self._static_argnames:
            return self._call(args, kwargs, (), (), len(args))
        static = {i + len(args) if i < 0 else i for i in self._static_argnums}
        static_args = tuple((i, a) for i, a in enumerate(args) if i in static)
        static_kwargs = tuple((k, kwargs[k]) for k in sorted(kwargs) if k in self._static_argnames)
        for where, value in (*static_args, *static_kwargs):
            self._check_hashable(where, value)
        dynamic = tuple(a for i, a in enumerate(args) if i not in static)
        dynamic_kwargs = {k: v for k, v in kwargs.items() if k not in self._static_argnames}
        return self._call(dynamic, dynamic_kwargs, static_args, static_kwargs, len(args))

    def _dynamic_call(self, args: tuple[Any, ...], kwargs: dict[str, Any], like: _Call) -> _Call:
        return self._call(args, kwargs, like.static_args, like.static_kwargs, like.num_args)

    def _call(
        self,
        dynamic: tuple[Any, ...],
        dynamic_kwargs: dict[str, Any],
        static_args: tuple[tuple[int, Any], ...],
        static_kwargs: tuple[tuple[str, Any], ...],
        num_args: int,
    ) -> _Call:
        leaves, in_tree = tree.flatten((dynamic, dynamic_kwargs))
        try:
            types = tuple([_type_key(leaf) for leaf in leaves])
        except TypeError as error:
            raise self._not_an_array((dynamic, dynamic_kwargs), error) from None
        return _Call(leaves, types, in_tree, static_args, static_kwargs, num_args)

    def _not_an_array(self, arguments: Any, error: TypeError) -> TypeError:
        args, kwargs = arguments
        for path, leaf in tree.flatten_with_path((args, kwargs))[0]:
            try:
                aval_of(leaf)
            except TypeError as reason:
                where = tree.keystr(path[1:])
                return TypeError(
                    f"jit of {self.__name__}: the argument at {where} is not an array: {reason}"
                    " Arguments that are not arrays belong in static_argnums or static_argnames."
                )
        return error

    def _check_hashable(self, where: object, value: Any) -> None:
        try:
            hash(value)
        except TypeError:
            name = f"number {where}" if isinstance(where, int) else repr(where)
            raise ValueError(
                f"jit of {self.__name__}: the static argument {name} must be hashable, got"
                f" {type(value).__name__}. Pass an immutable value (a tuple in place of a list),"
                " or an array that is not static."
            ) from None

    def _traced(self, call: _Call) -> _Program:
        key = call.key()
        program = self._programs.get(key)
        if program is None:
            program = self._trace(call)
            # A program that closes over tracers serves only the trace that they belong to.
            if not any(isinstance(c, Tracer) for c in program.consts):
                self._programs[key] = program
        return program

    def _trace(self, call: _Call) -> _Program:
        static_args, static_kwargs = dict(call.static_args), dict(call.static_kwargs)

        def of_dynamic(*dynamic: Any, **kwargs: Any) -> Any:
            given = iter(dynamic)
            args = [
                static_args[i] if i in static_args else next(given) for i in range(call.num_args)
            ]
            return self._fun(*args, **kwargs, **static_kwargs)

        of_dynamic.__name__ = self.__name__
        flat = FlatFunction(of_dynamic, call.in_tree)
        jaxpr, consts = trace_to_jaxpr(flat, call.avals, f"jit of {self.__name__}")
        return _Program(jaxpr, consts, flat.out_tree)


# The characters of the dtypes that fnad holds.
_HELD = frozenset("?bhilqBHILQefdFD")


def _type_key(leaf: Any) -> Any:
    """Equal for leaves of one type; cheap for arrays, of which a call may have many."""
    if isinstance(leaf, np.ndarray) and leaf.dtype.char in _HELD:
        return leaf.shape, leaf.dtype
    aval = aval_of(leaf)
    return aval if aval.weak_type else (aval.shape, aval.dtype)


def _shown(call: _Call) -> str:
    return f"({', '.join(map(str, call.avals))}) in {call.in_tree}"


def _both_static(
    fun: Callable[..., Any], argnums: tuple[int, ...], argnames: tuple[str, ...]
) -> tuple[tuple[int, ...], frozenset[str]]:
    """An argument named static is static however it is passed: by position or by keyword."""
    try:
        parameters = list(inspect.signature(fun).parameters.values())
    except (TypeError, ValueError):
        return argnums, frozenset(argnames)
    if not any(p.kind is p.VAR_KEYWORD for p in parameters):
        unknown = [n for n in argnames if n not in {p.name for p in parameters}]
        if unknown:
            raise ValueError(
                f"jit of {function_name(fun)}: static_argnames has {unknown}, but the function has"
                f" no such argument; it has {[p.name for p in parameters]}"
            )
    positional = [p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD]
    before = sum(p.kind is p.POSITIONAL_ONLY for p in parameters)
    has_varargs = any(p.kind is p.VAR_POSITIONAL for p in parameters)
    count = before + len(positional)
    if not has_varargs:
        wrong = [i for i in argnums if not -count <= i < count]
        if wrong:
            raise ValueError(
                f"jit of {function_name(fun)}: static_argnums has {wrong}, but the function has"
                f" {count} positional arguments"
            )
    nums, names = set(argnums), set(argnames)
    if not has_varargs:
        nums = {i % count for i in nums}
    names |= {positional[i - before] for i in nums if before <= i < count}
    nums |= {before + i for i, name in enumerate(positional) if name in argnames}
    return tuple(sorted(nums)), frozenset(names)


def _tuple(value: Any, kind: type) -> tuple[Any, ...]:
    if value is None:
        return ()
    return (value,) if isinstance(value, kind) else tuple(value)


def jit(
    fun: Callable[..., Any] | None = None,
    *,
    static_argnums: int | Sequence[int] | None = None,
    static_argnames: str | Sequence[str] | None = None,
    donate_argnums: int | Sequence[int] | None = None,
    donate_argnames: str | Sequence[str] | None = None,
) -> Any:
    """Compile a function of arrays to native code.

    The function is traced when it is called with arguments of a new signature: pytree
    structure, shapes, dtypes, and values of static arguments. The compiled program is kept;
    arrays that the function closes over are copied then, so later changes are not seen.

    Parameters
    ----------
    fun : callable
        Function of arrays (or pytrees of them) with such results. It must be pure: its Python
        side effects happen only while it is traced.
    static_argnums : int or sequence of int, optional
        Positional arguments that are no arrays; they must be hashable.
    static_argnames : str or sequence of str, optional
        The same by name.
    donate_argnums, donate_argnames : optional
        Arguments that the caller will not use again. Accepted for programs written for JAX:
        arrays are the caller's own, and are never overwritten.

    Returns
    -------
    callable
        Computes what ``fun`` does. It has a method ``lower(*args)`` whose result has
        ``as_text(stage)`` and ``compile()``.

    Raises
    ------
    ValueError
        If a static argument is not hashable.
    TypeError
        If an argument or a result is not an array.

    Examples
    --------
    >>> import numpy as np, fnad
    >>> @fnad.jit
    ... def f(x):
    ...     return np.sin(x) * 2
    >>> f(np.float32(0.0))
    np.float32(0.0)
    """
    if fun is None:
        return partial(
            jit,
            static_argnums=static_argnums,
            static_argnames=static_argnames,
            donate_argnums=donate_argnums,
            donate_argnames=donate_argnames,
        )
    if not callable(fun):
        raise TypeError(f"jit takes a function, got {fun!r} of type {type(fun).__name__}")
    return JitFunction(fun, _tuple(static_argnums, int), _tuple(static_argnames, str))
