"""Reductions over an axis that an enclosing ``vmap`` has named.

The collectives exist only until ``vmap`` rewrites them: batching over the axis named in ``axes``
turns them into ordinary reductions over the batch axis. A program that runs has none left.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any

import numpy as np

from fnad.core import tree
from fnad.core.axes import axis_size
from fnad.core.errors import InternalError
from fnad.core.primitive import Primitive, Zero, instantiate
from fnad.core.rewrites import BatchAxis
from fnad.core.types import ShapedArray, aval_of, kind_of
from fnad.primitives.arithmetic import add, div, mul
from fnad.primitives.logic import convert_element_type, eq
from fnad.primitives.reductions import reduce_max, reduce_min, reduce_sum
from fnad.primitives.shape import broadcast_in_dim, iota


def axis_names(axis_name: Any) -> tuple[Hashable, ...]:
    """One name or several as a tuple; raises NameError for one that nothing binds."""
    names = tuple(axis_name) if isinstance(axis_name, (tuple, list)) else (axis_name,)
    for name in names:
        axis_size(name)
    return names


def _collective(name: str, doc: str, reduce: Callable[..., Any]) -> Primitive:
    """Make a collective that batching over its axis turns into ``reduce`` over axis 0."""
    primitive = Primitive(name, doc)

    @primitive.type_rule
    def _(x: ShapedArray, *, axes: tuple[Hashable, ...]) -> ShapedArray:
        return x.strong()

    @primitive.evaluate
    def _(x: Any, *, axes: tuple[Hashable, ...]) -> Any:
        raise InternalError(f"{name} over {axes} was evaluated outside the vmap that names it")

    @primitive.batch
    def _(
        args: Sequence[Any],
        batched: Sequence[bool],
        axis: BatchAxis,
        *,
        axes: tuple[Hashable, ...],
    ) -> tuple[Any, bool]:
        (x,) = args
        if axis.name not in axes:
            return primitive.bind(x, axes=axes), batched[0]
        if not batched[0]:
            shape = aval_of(x).shape
            x = broadcast_in_dim(x, (axis.size, *shape), tuple(range(1, len(shape) + 1)))
        out = reduce(x, (0,))
        rest = tuple(a for a in axes if a != axis.name)
        return (primitive.bind(out, axes=rest) if rest else out), False

    return primitive


psum_p = _collective("psum", "Sum over named axes: every lane gets the total.", reduce_sum)
psum_p.linear()


@psum_p.transpose
def _(ct: Any, x: Any, *, axes: tuple[Hashable, ...]) -> list[Any]:
    return [psum_p.bind(ct, axes=axes)]


pmax_p = _collective("pmax", "Maximum over named axes.", reduce_max)
pmin_p = _collective("pmin", "Minimum over named axes.", reduce_min)


def _extremum_jvp(primitive: Primitive) -> None:
    @primitive.jvp
    def _(
        primals: Sequence[Any], tangents: Sequence[Any], *, axes: tuple[Hashable, ...]
    ) -> tuple[Any, Any]:
        # Lanes that attain the extremum share the derivative evenly, as in reduce_max.
        (x,), (t,) = primals, tangents
        ans = primitive.bind(x, axes=axes)
        if isinstance(t, Zero):
            return ans, t
        hit = convert_element_type(eq(x, ans), aval_of(x).dtype)
        total = psum_p.bind(mul(hit, instantiate(t)), axes=axes)
        return ans, div(total, psum_p.bind(hit, axes=axes))


_extremum_jvp(pmax_p)
_extremum_jvp(pmin_p)


axis_index_p = Primitive("axis_index", "Position of the lane along a named axis, int32.")


@axis_index_p.type_rule
def _(*, axes: tuple[Hashable, ...]) -> ShapedArray:
    return ShapedArray((), np.dtype(np.int32))


@axis_index_p.evaluate
def _(*, axes: tuple[Hashable, ...]) -> Any:
    raise InternalError(f"axis_index of {axes} was evaluated outside the vmap that names it")


@axis_index_p.batch
def _(
    args: Sequence[Any], batched: Sequence[bool], axis: BatchAxis, *, axes: tuple[Hashable, ...]
) -> tuple[Any, bool]:
    if axis.name not in axes:
        return axis_index_p.bind(axes=axes), False
    return iota(np.int32, axis.size), True


def _map_leaves(primitive: Primitive, x: Any, axis_name: Any) -> Any:
    names = axis_names(axis_name)
    return tree.map(lambda leaf: primitive.bind(leaf, axes=names), x)


def psum(x: Any, axis_name: Any) -> Any:
    """Sum over the lanes of the enclosing ``vmap`` that is named ``axis_name``.

    Parameters
    ----------
    x : pytree of arrays
        One value a lane.
    axis_name : hashable or tuple of hashable
        Names given to enclosing ``vmap(..., axis_name=...)``.

    Returns
    -------
    pytree of arrays
        The total, the same in every lane. A Python number gives that number times the size.

    Raises
    ------
    NameError
        If no enclosing ``vmap`` has the name.

    Examples
    --------
    >>> import numpy as np, fnad
    >>> from fnad import lax
    >>> fnad.vmap(lambda x: x / lax.psum(x, "i"), axis_name="i")(np.array([1.0, 3.0]))
    array([0.25, 0.75])
    """
    names = axis_names(axis_name)
    if type(x) in (int, float):
        return x * int(np.prod([axis_size(n) for n in names]))

    def total(leaf: Any) -> Any:
        if aval_of(leaf).dtype.kind == "b":  # counted in int64, as numpy.sum does
            leaf = convert_element_type(leaf, np.int64)
        return psum_p.bind(leaf, axes=names)

    return tree.map(total, x)


def pmean(x: Any, axis_name: Any) -> Any:
    """Mean over the lanes of the enclosing ``vmap`` named ``axis_name`` (see `psum`)."""
    size = psum(1, axis_name)

    def mean(leaf: Any) -> Any:
        dtype = aval_of(leaf).dtype
        leaf = leaf if kind_of(dtype) in "fc" else convert_element_type(leaf, np.float64)
        return div(psum_p.bind(leaf, axes=axis_names(axis_name)), float(size))

    return tree.map(mean, x)


def pmax(x: Any, axis_name: Any) -> Any:
    """Maximum over the lanes of the enclosing ``vmap`` named ``axis_name`` (see `psum`)."""
    return _map_leaves(pmax_p, x, axis_name)


def pmin(x: Any, axis_name: Any) -> Any:
    """Minimum over the lanes of the enclosing ``vmap`` named ``axis_name`` (see `psum`)."""
    return _map_leaves(pmin_p, x, axis_name)


def axis_index(axis_name: Any) -> Any:
    """Position of the lane along the named axis (int32; row-major over a tuple of names).

    Examples
    --------
    >>> import numpy as np, fnad
    >>> from fnad import lax
    >>> fnad.vmap(lambda x: x * lax.axis_index("i"), axis_name="i")(np.ones(3))
    array([0., 1., 2.])
    """
    names = axis_names(axis_name)
    index: Any = np.int32(0)
    for name in names:
        index = add(mul(index, np.int32(axis_size(name))), axis_index_p.bind(axes=(name,)))
    return index
