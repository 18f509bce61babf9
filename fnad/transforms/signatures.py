"""What one call of a compiled function is: leaves, static values, and the key of its program."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from fnad.core import tree
from fnad.core.axes import bound_axes
from fnad.core.dtypes import canonical_dtype
from fnad.core.flat_function import function_name
from fnad.core.types import BFLOAT16, HELD, ShapedArray, aval_of, is_device_array
from fnad.transforms.layouts import Layouts, layouts_of


@dataclass(frozen=True, slots=True)
class Form:
    """All that a program depends on: types of the leaves, their tree, and static values.

    ``static_args`` are pairs of position and value, ``static_kwargs`` of name and value;
    ``donated`` are positions of leaves. ``backend`` says where the program runs: on the ``cpu``, or
    on a card (``cuda``). ``layouts`` says how the leaves lie in memory.
    """

    types: tuple[Any, ...]
    in_tree: Any
    static_args: tuple[tuple[int, Any], ...]
    static_kwargs: tuple[tuple[str, Any], ...]
    num_args: int
    donated: tuple[int, ...] = ()
    backend: str = "cpu"
    layouts: Layouts = ()

    def key(self) -> Any:
        """Equal for calls of which the function is traced once, whatever their layouts."""
        static: Any = None
        if self.static_args or self.static_kwargs:
            # 1, 1.0 and True are equal, but a program made for one does not serve the others.
            types = tuple(type(v) for _, v in (*self.static_args, *self.static_kwargs))
            static = (self.static_args, self.static_kwargs, types)
        return (
            self.in_tree,
            self.types,
            static,
            self.num_args,
            self.donated,
            self.backend,
            bound_axes(),
        )

    @property
    def avals(self) -> list[ShapedArray]:
        """The types of the leaves."""
        return [
            t if isinstance(t, ShapedArray) else ShapedArray(t[0], canonical_dtype(t[1]))
            for t in self.types
        ]

    def __str__(self) -> str:
        return f"({', '.join(map(str, self.avals))}) in {self.in_tree}"


class Splitter:
    """Takes the arguments of calls of one function apart.

    Parameters
    ----------
    fun : callable
        The function.
    static_argnums, static_argnames
        Which of its arguments are static; one that is named is so by position, too.
    donate_argnums, donate_argnames
        Which of them are donated.
    backend
        Where programs run, ``cpu`` or ``cuda``; None leaves it to the arguments.
    """

    def __init__(
        self,
        fun: Callable[..., Any],
        static_argnums: tuple[int, ...],
        static_argnames: tuple[str, ...],
        donate_argnums: tuple[int, ...] = (),
        donate_argnames: tuple[str, ...] = (),
        backend: str | None = None,
    ) -> None:
        self._name = function_name(fun)
        self._backend = backend
        self.argnums, self.argnames = _both(fun, "static", static_argnums, static_argnames)
        self._donated = _both(fun, "donate", donate_argnums, donate_argnames)
        self._donates = any(self._donated)
        if overlap := set(self.argnums) & set(self._donated[0]):
            raise ValueError(
                f"jit of {self._name}: arguments {sorted(overlap)} are static, which have no"
                " memory to donate"
            )

    def split(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[list[Any], Form]:
        """The leaves of the arguments that are not static, and the form of the call."""
        if not self.argnums and not self.argnames:
            return self.flatten(args, kwargs, (), (), len(args))
        positions = self.static_positions(len(args))
        static_args = tuple((i, a) for i, a in enumerate(args) if i in positions)
        static_kwargs = tuple((k, kwargs[k]) for k in sorted(kwargs) if k in self.argnames)
        for where, value in (*static_args, *static_kwargs):
            self._check_hashable(where, value)
        dynamic = tuple(a for i, a in enumerate(args) if i not in positions)
        dynamic_kwargs = {k: v for k, v in kwargs.items() if k not in self.argnames}
        return self.flatten(dynamic, dynamic_kwargs, static_args, static_kwargs, len(args))

    def static_positions(self, num_args: int) -> set[int]:
        """The static ones of so many positional arguments."""
        return _positions(self.argnums, num_args)

    def flatten(
        self,
        dynamic: tuple[Any, ...],
        dynamic_kwargs: dict[str, Any],
        static_args: tuple[tuple[int, Any], ...],
        static_kwargs: tuple[tuple[str, Any], ...],
        num_args: int,
    ) -> tuple[list[Any], Form]:
        """The same of arguments whose static ones are known."""
        leaves, in_tree = tree.flatten((dynamic, dynamic_kwargs))
        try:
            types = tuple([_type_key(leaf) for leaf in leaves])
        except TypeError as error:
            raise self._not_an_array((dynamic, dynamic_kwargs), error) from None
        backend = self._backend_of(leaves, (dynamic, dynamic_kwargs))
        form = Form(types, in_tree, static_args, static_kwargs, num_args, backend=backend)
        form = self._with_donated(form) if self._donates else form
        layouts = layouts_of(leaves, form.donated) if backend == "cpu" else ()
        return leaves, replace(form, layouts=layouts) if layouts else form

    def _backend_of(self, leaves: list[Any], arguments: Any) -> str:
        """Where a call with these leaves runs."""
        if not any(map(is_device_array, leaves)):
            return self._backend or "cpu"
        if self._backend != "cpu" and not any(isinstance(leaf, np.ndarray) for leaf in leaves):
            return "cuda"
        for path, leaf in tree.flatten_with_path(arguments)[0]:
            where = tree.keystr(path[1:])
            if isinstance(leaf, np.ndarray):
                raise TypeError(
                    f"jit of {self._name}: the argument at {where} is a NumPy array, but other"
                    " arguments are arrays of CuPy. Move all of them to the card with"
                    " fnad.device_put, or all to the host with fnad.device_get."
                )
            if self._backend == "cpu" and is_device_array(leaf):
                raise TypeError(
                    f"jit of {self._name} has backend='cpu', but the argument at {where} is an"
                    " array of CuPy. Fetch it with fnad.device_get, or leave the backend to the"
                    " arguments."
                )
        raise AssertionError("one of the leaves has been found to be in the wrong place")

    def _with_donated(self, form: Form) -> Form:
        nums, names = self._donated
        positions = _positions(nums, form.num_args)
        static = {i for i, _ in form.static_args}
        args, kwargs = form.in_tree.unflatten(range(form.in_tree.num_leaves))
        dynamic = [i for i in range(form.num_args) if i not in static]
        given = [arg for i, arg in zip(dynamic, args, strict=True) if i in positions]
        given += [arg for name, arg in kwargs.items() if name in names]
        return replace(form, donated=tuple(sorted(tree.leaves(given))))

    def _not_an_array(self, arguments: Any, error: TypeError) -> TypeError:
        for path, leaf in tree.flatten_with_path(arguments)[0]:
            try:
                aval_of(leaf)
            except TypeError as reason:
                where = tree.keystr(path[1:])
                return TypeError(
                    f"jit of {self._name}: the argument at {where} is not an array: {reason}"
                    " Arguments that are not arrays belong in static_argnums or static_argnames."
                )
        return error

    def _check_hashable(self, where: object, value: Any) -> None:
        try:
            hash(value)
        except TypeError:
            name = f"number {where}" if isinstance(where, int) else repr(where)
            raise ValueError(
                f"jit of {self._name}: the static argument {name} must be hashable, got"
                f" {type(value).__name__}. Pass an immutable value (a tuple in place of a list),"
                " or an array that is not static."
            ) from None


# The characters of the dtypes that fnad holds.
_HELD = frozenset(HELD)


def _type_key(leaf: Any) -> Any:
    """Equal for leaves of one type; cheap for arrays, of which a call may have many."""
    if type(leaf) is np.ndarray and (leaf.dtype.char in _HELD or leaf.dtype is BFLOAT16):
        return leaf.shape, leaf.dtype
    if type(leaf) is int and not -(2**63) <= leaf < 2**63:
        raise OverflowError(
            f"the argument {leaf} of a compiled function does not fit into an int64: pass"
            " np.uint64(...) or a float"
        )
    aval = aval_of(leaf)
    return aval if aval.weak_type else (aval.shape, aval.dtype)


def _positions(argnums: tuple[int, ...], num_args: int) -> set[int]:
    return {i + num_args if i < 0 else i for i in argnums}


def _both(
    fun: Callable[..., Any], what: str, argnums: tuple[int, ...], argnames: tuple[str, ...]
) -> tuple[tuple[int, ...], frozenset[str]]:
    """An argument named static is static however it is passed: by position or by keyword."""
    if not argnums and not argnames:
        return (), frozenset()
    try:
        parameters = list(inspect.signature(fun).parameters.values())
    except (TypeError, ValueError):
        return argnums, frozenset(argnames)
    if not any(p.kind is p.VAR_KEYWORD for p in parameters):
        unknown = [n for n in argnames if n not in {p.name for p in parameters}]
        if unknown:
            raise ValueError(
                f"jit of {function_name(fun)}: {what}_argnames has {unknown}, but the function has"
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
                f"jit of {function_name(fun)}: {what}_argnums has {wrong}, but the function has"
                f" {count} positional arguments"
            )
    nums, names = set(argnums), set(argnames)
    if not has_varargs:
        nums = {i % count for i in nums}
    names |= {positional[i - before] for i in nums if before <= i < count}
    nums |= {before + i for i, name in enumerate(positional) if name in argnames}
    return tuple(sorted(nums)), frozenset(names)
