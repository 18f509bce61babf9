"""Pytrees as flat vectors, and back (as ``jax.flatten_util``)."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from fnad import numpy as fnp
from fnad.core import tree
from fnad.core.types import aval_of
from fnad.primitives.logic import convert_element_type

__all__ = ["ravel_pytree"]


def ravel_pytree(pytree: Any) -> tuple[Any, Callable[[Any], Any]]:
    """All elements of a pytree as one vector, and the function that makes a tree of it again.

    Parameters
    ----------
    pytree : pytree of arrays
        Its elements come leaf by leaf, each in C order: the order of rows and columns of
        `fnad.jacobian_sparse`.

    Returns
    -------
    (flat, unravel)
        ``flat`` has one axis, and the dtype that all leaves promote to; ``unravel(flat)`` gives
        leaves of their own shapes and dtypes.

    Examples
    --------
    >>> import numpy as np
    >>> flat, unravel = ravel_pytree({"w": np.array([[1.0, 2.0]]), "b": 3.0})
    >>> flat
    array([3., 1., 2.])
    >>> unravel(flat * 10)
    {'b': np.float64(30.0), 'w': array([[10., 20.]])}
    """
    leaves, structure = tree.flatten(pytree)
    avals = [aval_of(leaf) for leaf in leaves]
    sizes = [math.prod(a.shape) for a in avals]
    dtype = fnp.result_type(*(a.dtype for a in avals)) if avals else np.dtype(np.float64)
    flat = fnp.zeros(0, dtype)
    if leaves:
        flat = fnp.concatenate([fnp.ravel(convert_element_type(x, dtype)) for x in leaves])

    def unravel(flat: Any) -> Any:
        have = aval_of(flat)
        if have.shape != (sum(sizes),) or have.dtype != dtype:
            raise TypeError(
                f"unravel: this function takes vectors of {sum(sizes)} elements of dtype {dtype},"
                f" as ravel_pytree gave it, got {have}"
            )
        parts, start = [], 0
        for aval, size in zip(avals, sizes, strict=True):
            part = fnp.reshape(flat[start : start + size], aval.shape)
            parts.append(convert_element_type(part, aval.dtype))
            start += size
        return tree.unflatten(structure, parts)

    return flat, unravel
