"""A user's function of pytrees seen as a function of flat lists of arrays."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from fnad.core import tree
from fnad.core.types import is_array_like


def function_name(function: Any) -> str:
    """The name of a callable, for messages and printed programs."""
    name = getattr(function, "__name__", None)
    if name is None and hasattr(function, "func"):  # functools.partial
        return function_name(function.func)
    return name or type(function).__name__


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
    """

    def __init__(self, function: Callable[..., Any], in_tree: Any, has_aux: bool = False) -> None:
        self.function = function
        self.in_tree = in_tree
        self.has_aux = has_aux
        self.out_tree: Any = None
        self.aux_tree: Any = None
        self.num_out = 0

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
        check_outputs(self.function, out, outs)
        self.num_out = len(outs)
        if not self.has_aux:
            return outs
        auxs, self.aux_tree = tree.flatten(aux)
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
