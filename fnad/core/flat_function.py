"""A user's function of pytrees seen as a function of flat lists of arrays."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fnad.core import tree
from fnad.core.tree_registry import register_pytree_node
from fnad.core.types import float0, is_array_like


def function_name(function: Any) -> str:
    """The name of a callable, for messages and printed programs."""
    name = getattr(function, "__name__", None)
    if name is None and hasattr(function, "func"):  # functools.partial
        return function_name(function.func)
    return name or type(function).__name__


class _NoTangents:
    """Stands in a pytree for an array of float0, which holds nothing: a node without children."""

    __slots__ = ("shape",)

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.shape = shape


register_pytree_node(_NoTangents, lambda x: ((), x.shape), lambda shape, _: np.zeros(shape, float0))


def is_float0(value: Any) -> bool:
    """Whether a value is an array of tangents of integers or booleans."""
    return isinstance(value, np.ndarray) and value.dtype == float0


def hide_float0(value: Any) -> Any:
    """A pytree whose arrays of float0 are part of its structure: they cannot be traced.

    Taken apart and put together again, it has them as arrays.
    """
    return tree.map(lambda leaf: _NoTangents(leaf.shape) if is_float0(leaf) else leaf, value)


class FlatFunction:
    """Calls ``function(*args, **kwargs)`` with leaves and returns leaves.

    Parameters
    ----------
    function : callable
        The user's function.
    in_tree : PyTreeDef
        Structure of ``(args, kwargs)``.
    has_aux : bool
        Whether the function returns a pair ``(out, aux)``; the leaves of ``aux`` follow those
        of ``out``.

    Attributes
    ----------
    out_tree, aux_tree : PyTreeDef
        Structure of the results, known once the function has been called.
    num_out : int
        Number of leaves of ``out``, without those of ``aux``.
    has_float0 : bool
        Whether ``out`` has arrays of float0, which are part of ``out_tree``.
    """

    def __init__(self, function: Callable[..., Any], in_tree: Any, has_aux: bool = False) -> None:
        self.function = function
        self.in_tree = in_tree
        self.has_aux = has_aux
        self.out_tree: Any = None
        self.aux_tree: Any = None
        self.num_out = 0
        self.has_float0 = False

    def __call__(self, *leaves: Any) -> list[Any]:
        args, kwargs = tree.unflatten(self.in_tree, leaves)
        out = self.function(*args, **kwargs)
        aux: Any = None
        if self.has_aux:
            if not isinstance(out, tuple) or len(out) != 2:
                raise TypeError(
                    f"{function_name(self.function)} must return a pair (out, aux) because"
                    f" has_aux=True, got {type(out).__name__}"
                )
            out, aux = out
        outs, self.out_tree = tree.flatten(out)
        if any(map(is_float0, outs)):
            self.has_float0 = True
            outs, self.out_tree = tree.flatten(hide_float0(out))
        check_outputs(self.function, out, outs)
        self.num_out = len(outs)
        if not self.has_aux:
            return outs
        auxs, self.aux_tree = tree.flatten(hide_float0(aux))
        check_outputs(self.function, aux, auxs)
        return [*outs, *auxs]


def check_outputs(function: Callable[..., Any], out: Any, leaves: Sequence[Any]) -> None:
    """Check that a traced function returned arrays, naming the leaf that is none."""
    for i, leaf in enumerate(leaves):
        if not is_array_like(leaf):
            path = tree.keystr(tree.flatten_with_path(out)[0][i][0])
            raise TypeError(
                f"{function_name(function)} returned {leaf!r} of type {type(leaf).__name__}"
                f"{' at ' + path if path else ''}; a transformed function must return arrays,"
                " scalars, or pytrees of them."
            )
