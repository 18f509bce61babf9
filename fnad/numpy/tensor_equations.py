"""Linear equations and inverses of tensors, seen as square matrices."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from typing import Any

from fnad.numpy.creation import asarray
from fnad.numpy.manipulation import moveaxis, ravel, reshape
from fnad.numpy.operands import Array, normalize_axes
from fnad.numpy.solving import inv, solve


def tensorsolve(a: Any, b: Any, axes: Sequence[int] | None = None) -> Array:
    """The ``x`` of which ``tensordot(a, x, x.ndim)`` is ``b``.

    Parameters
    ----------
    a : array_like
        Of shape ``b.shape + Q``, where Q holds as many elements as ``b``.
    b : array_like
        Any shape.
    axes : sequence of int, optional
        Axes of ``a`` to move to its end first.

    Returns
    -------
    array
        Of shape Q.

    Examples
    --------
    >>> import numpy as np
    >>> tensorsolve(2 * np.eye(4).reshape(2, 2, 4), np.ones((2, 2)))
    array([0.5, 0.5, 0.5, 0.5])
    """
    a, b = asarray(a), asarray(b)
    if axes is not None:
        moved = normalize_axes(axes, a.ndim)
        a = moveaxis(a, moved, tuple(range(a.ndim - len(moved), a.ndim)))
    shape = a.shape[b.ndim :]
    if a.shape[: b.ndim] != b.shape or math.prod(shape) != b.size:
        raise ValueError(
            "tensorsolve: a must have the shape of b followed by axes of as many elements, got"
            f" {a.shape} for b of shape {b.shape}"
        )
    return reshape(solve(reshape(a, (b.size, b.size)), ravel(b)), shape)


def tensorinv(a: Any, ind: int = 2) -> Array:
    """The inverse of ``tensordot(a, x, a.ndim - ind)``, whose first axes are the last of ``a``.

    Examples
    --------
    >>> import numpy as np
    >>> tensorinv(2 * np.eye(4).reshape(2, 2, 4)).shape
    (4, 2, 2)
    """
    a, ind = asarray(a), operator.index(ind)
    if not 0 < ind < a.ndim or math.prod(a.shape[:ind]) != math.prod(a.shape[ind:]):
        raise ValueError(
            "tensorinv: the first ind axes must hold as many elements as the others, got shape"
            f" {a.shape} and ind={ind}"
        )
    count = math.prod(a.shape[:ind])
    return reshape(inv(reshape(a, (count, count))), a.shape[ind:] + a.shape[:ind])
