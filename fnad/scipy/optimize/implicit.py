"""How what was found moves with parameters."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import fnad.numpy as fnp
from fnad.primitives.custom.jvp import custom_jvp
from fnad.transforms.vmap import vmap

Array = Any


@custom_jvp
def certain(x: Array, known: Array) -> Array:
    """``x``, whose derivatives are NaN unless it is known to be what was searched for."""
    return x


def _certain_jvp(primals: Sequence[Any], tangents: Sequence[Any]) -> tuple[Array, Array]:
    x, known = primals
    return certain(x, known), fnp.where(known, 1.0, fnp.nan).astype(x.dtype) * tangents[0]


certain.defjvp(_certain_jvp)


def by_matrix(linear: Callable[[Array], Array], change: Array) -> Array:
    """The vector that a linear function takes to ``change``, by way of its matrix."""
    matrix = vmap(linear, out_axes=1)(fnp.eye(change.size, dtype=change.dtype))
    return fnp.linalg.solve(matrix, change)
