"""Rules for `vmap` by the user (as ``jax.custom_batching``)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fnad import lax, tree
from fnad.primitives.custom import custom_vmap

__all__ = ["custom_vmap", "sequential_vmap"]


def sequential_vmap(f: Callable[..., Any]) -> custom_vmap:
    """Make `vmap` of a function a loop that calls it for one after the other.

    Where an intermediate result is too large to be had for all at once.

    Parameters
    ----------
    f : callable
        A function of pytrees of arrays.

    Returns
    -------
    custom_vmap
        The function with that rule; derivatives and `jit` are as without.

    Examples
    --------
    >>> import numpy as np, fnad
    >>> @fnad.custom_batching.sequential_vmap
    ... def energy(x):
    ...     return np.sum(np.exp(-((x[:, None] - x) ** 2)))
    >>> fnad.vmap(energy)(np.zeros((2, 3)))
    array([9., 9.])
    """
    mapped = custom_vmap(f)

    @mapped.def_vmap
    def rule(axis_size: int, in_batched: Any, *args: Any) -> tuple[Any, bool]:
        leaves, structure = tree.flatten(args)
        marks = tree.leaves(in_batched)

        def one(mapped_leaves: list[Any]) -> Any:
            given = iter(mapped_leaves)
            both = zip(leaves, marks, strict=True)
            return mapped(*structure.unflatten(next(given) if m else x for x, m in both))

        mapped_leaves = [x for x, m in zip(leaves, marks, strict=True) if m]
        return lax.map(one, mapped_leaves), True

    return mapped
