"""The primitives that look across an axis that an enclosing ``vmap`` has named.

The collectives exist only until ``vmap`` rewrites them: batching over the axis named in ``axes``
turns them into ordinary reductions over the batch axis, or into the batched array itself. A program
that runs has none left.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from typing import Any

import numpy as np

from fnad.core import axes as bound
from fnad.core.errors import InternalError
from fnad.core.primitive import Linear, Primitive, Zero, instantiate
from fnad.core.rewrites import BatchAxis
from fnad.core.types import ShapedArray, aval_of, kind_of
from fnad.primitives.arithmetic import add, div, mul
from fnad.primitives.indexing import gather_p
from fnad.primitives.logic import bitwise_and, convert_element_type, eq, ne
from fnad.primitives.reductions import reduce_max, reduce_min, reduce_sum
from fnad.primitives.shape import broadcast_in_dim, iota, moveaxis, reshape
from fnad.primitives.strong_lanes import Lanes, Live, taken_lanes
from fnad.primitives.strong_zeros import StrongZeros, settled


def axis_names(axis_name: Any) -> tuple[Hashable, ...]:
    """One name or several as a tuple; raises NameError for one that nothing binds."""
    names = tuple(axis_name) if isinstance(axis_name, (tuple, list)) else (axis_name,)
    for name in names:
        bound.axis_size(name)
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


@psum_p.strong_transpose
def _(ct: Any, x: Any, *, axes: tuple[Hashable, ...]) -> list[Any]:
    total = psum_p.bind(settled(ct), axes=axes)
    if type(ct) is not StrongZeros:
        return [total]
    shape = ct.aval.shape

    def lanes() -> Lanes:
        mask, along = taken_lanes(ct.live, shape)
        return _in_any(mask, axes), True, along

    return [StrongZeros(total, Live.along(lanes, ct.live.along_axes(len(shape)), shape))]


def _in_any(mask: Any, axes: tuple[Hashable, ...]) -> Any:
    """Where a mask holds in any lane of the named axes."""
    counts = psum_p.bind(convert_element_type(mask, np.int32), axes=axes)
    return ne(counts, np.int32(0))


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
        index = add(mul(index, np.int32(bound.axis_size(name))), axis_index_p.bind(axes=(name,)))
    return index


all_gather_p = Primitive(
    "all_gather", "The values of all lanes of a named axis, along a new leading axis."
)
all_gather_p.linear()


@all_gather_p.type_rule
def _(x: ShapedArray, *, axes: tuple[Hashable], size: int) -> ShapedArray:
    return ShapedArray((size, *x.shape), x.dtype)


@all_gather_p.evaluate
def _(x: Any, *, axes: tuple[Hashable], size: int) -> Any:
    raise InternalError(f"all_gather over {axes} was evaluated outside the vmap that names it")


@all_gather_p.transpose
def _(ct: Any, x: Any, *, axes: tuple[Hashable], size: int) -> list[Any]:
    # Each lane gets what all lanes say of its own value.
    return [_own(psum_p.bind(ct, axes=axes), axes)]


def _own(values: Any, axes: tuple[Hashable]) -> Any:
    """The lane's own of the values of all lanes, which lie along the leading axis."""
    return gather_p.bind(values, axis_index(axes), mode="clip")


@all_gather_p.strong_transpose
def _(ct: Any, x: Any, *, axes: tuple[Hashable], size: int) -> list[Any]:
    found = _own(psum_p.bind(settled(ct), axes=axes), axes)
    if type(ct) is not StrongZeros:
        return [found]
    shape = ct.aval.shape

    def lanes() -> Lanes:
        mask, along = taken_lanes(ct.live, shape)
        said = _in_any(mask, axes)
        own = _own(said, axes) if 0 in along else said
        return own, True, tuple([i - 1 for i in along if i])

    kept = tuple([i - 1 for i in ct.live.along_axes(len(shape)) if i])
    return [StrongZeros(found, Live.along(lanes, kept, shape[1:]))]


@all_gather_p.batch
def _(args: Any, batched: Any, axis: Any, *, axes: tuple[Hashable], size: int) -> tuple[Any, bool]:
    (x,) = args
    if axis.name not in axes:
        return moveaxis(all_gather_p.bind(x, axes=axes, size=size), 1, 0), True
    if not batched[0]:
        shape = aval_of(x).shape
        x = broadcast_in_dim(x, (size, *shape), range(1, len(shape) + 1))
    return x, False


lane_value_p = Primitive(
    "lane_value",
    "One of the values of all lanes, which lie along the leading axis, by its number. What a select"
    " leaves out behind it is zero for sure in the others, too: a lane sends on what it got.",
)


@lane_value_p.type_rule
def _(values: ShapedArray, number: ShapedArray) -> ShapedArray:
    if values.ndim == 0 or number.ndim or kind_of(number.dtype) not in "iu":
        raise TypeError(f"lane_value: expected values and a number of one, got {values}, {number}")
    return ShapedArray(values.shape[1:], values.dtype)


@lane_value_p.evaluate
@lane_value_p.lower_as
def _(values: Any, number: Any) -> Any:
    return gather_p.bind(values, number, mode="clip")


lane_value_p.linear(0)


@lane_value_p.transpose
def _(ct: Any, values: Any, number: Any) -> list[Any]:
    return [gather_p.rule("transpose")(ct, values, number, mode="clip")[0], None]


@lane_value_p.strong_transpose
def _(ct: Any, values: Linear, number: Any) -> list[Any]:
    found = lane_value_p.rule("transpose")(settled(ct), values, number)[0]
    if type(ct) is not StrongZeros:
        return [found, None]
    shape = values.aval.shape

    def lanes() -> Lanes:
        mask, along = taken_lanes(ct.live, shape[1:])
        sizes = shape[0], *aval_of(mask).shape
        is_own = eq(iota(np.int64, shape[0]), convert_element_type(number, np.int64))
        spread = broadcast_in_dim(mask, sizes, range(1, len(sizes)))
        both = bitwise_and(broadcast_in_dim(is_own, sizes, (0,)), spread)
        return both, True, (0, *(i + 1 for i in along))

    axes = 0, *(i + 1 for i in ct.live.along_axes(len(shape) - 1))
    return [StrongZeros(found, Live.along(lanes, axes, shape)), None]


@lane_value_p.batch
def _(args: Sequence[Any], batched: Sequence[bool], axis: BatchAxis) -> tuple[Any, bool]:
    return gather_p.rule("batch")(args, batched, axis, mode="clip")


@lane_value_p.dependencies
def _(values: Any, number: Any) -> Any:
    return gather_p.rule("dependencies")(values, number, mode="clip")


def axis_size(axis_name: Any) -> int:
    """The number of lanes of an axis that an enclosing ``vmap`` has named.

    Parameters
    ----------
    axis_name : hashable or tuple of hashable
        Of several names, the product.

    Examples
    --------
    >>> import numpy as np, fnad
    >>> fnad.vmap(lambda x: x / axis_size("i"), axis_name="i")(np.ones(4))
    array([0.25, 0.25, 0.25, 0.25])
    """
    return math.prod(bound.axis_size(name) for name in axis_names(axis_name))


def stacked(x: Any, axis_name: Any) -> Any:
    """The values of all lanes along a leading axis, row-major over several names."""
    shape = aval_of(x).shape
    for name in reversed(axis_names(axis_name)):
        x = all_gather_p.bind(x, axes=(name,), size=bound.axis_size(name))
    return reshape(x, (axis_size(axis_name), *shape))
