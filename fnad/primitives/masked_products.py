"""``masked_mul``: a product where a mask holds, and zero elsewhere, in one step.

Cotangents behind a select need it (`fnad.primitives.strong_zeros`). Compiled, it is the product
and a select; evaluated with NumPy, zeros are written into the product, and only where they belong,
in place of a pass that reads and writes all of it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache, partial
from typing import Any

import numpy as np

from fnad.core.primitive import Primitive, Zero, instantiate, remember
from fnad.core.rewrites import BatchAxis
from fnad.core.types import ShapedArray, aval_of, kind_of
from fnad.primitives.arithmetic import mul, mul_p
from fnad.primitives.dependencies import numbers, product_pattern, rows
from fnad.primitives.elementwise import broadcast_scalar, check_same_shape, same_dtype
from fnad.primitives.logic import bitwise_and, select
from fnad.primitives.shape import broadcast_in_dim
from fnad.primitives.strong_lanes import Live
from fnad.primitives.strong_zeros import StrongZeros, settled, transposed_product

_INTEGERS = {size: np.dtype(f"i{size}") for size in (1, 2, 4, 8)}

masked_mul_p = Primitive(
    "masked_mul",
    "``x * y`` where ``mask == taken``, else 0; the mask's axes are the ``axes`` of the product.",
)


@masked_mul_p.type_rule
@remember
def _(
    mask: ShapedArray, x: ShapedArray, y: ShapedArray, *, taken: bool, axes: tuple[int, ...]
) -> ShapedArray:
    if mask.dtype != np.bool_:
        raise TypeError(f"masked_mul: the mask must be boolean, got {mask}")
    shape = check_same_shape("masked_mul", (x, y))
    if mask.shape != tuple(shape[i] for i in axes) or list(axes) != sorted(axes):
        raise TypeError(
            f"masked_mul: a mask of shape {mask.shape} does not lie along axes {axes} of {shape}"
        )
    dtype = same_dtype("masked_mul", (x, y))
    if kind_of(dtype) not in "fc":
        raise TypeError(f"masked_mul: the factors must be floating or complex, got {x} and {y}")
    return ShapedArray(shape, dtype)


@masked_mul_p.evaluate
def _(mask: Any, x: Any, y: Any, *, taken: bool, axes: tuple[int, ...]) -> Any:
    product = mul_p.rule("evaluate")(x, y)
    if not product.ndim:
        return product if mask == taken else product.dtype.type(0)
    if product.size:
        _clear(product, mask, taken, axes)
    return product


def _clear(array: Any, mask: Any, taken: bool, axes: tuple[int, ...]) -> None:
    """Write zeros where ``mask != taken``."""
    size, leading = array.itemsize, axes == tuple(range(len(axes)))
    if len(axes) == array.ndim and leading and size <= 8:
        # Bits times zero or one take the same time whatever the mask holds.
        bits = array.view(_INTEGERS[size])
        np.multiply(bits, mask if taken else ~mask, out=bits)
    elif leading and axes and array.flags.c_contiguous:
        # Each row is one large element of an array of rank 1, for which NumPy is quickest.
        zero = _zero_row(size * math.prod(array.shape[len(axes) :]))
        dead = ~mask if taken else mask
        np.copyto(array.reshape(-1).view(zero.dtype), zero, where=dead.reshape(-1))
    else:
        shape = [n if i in axes else 1 for i, n in enumerate(array.shape)]
        np.copyto(array, 0, where=np.reshape(mask != taken, shape))


@lru_cache(maxsize=256)
def _zero_row(size: int) -> Any:
    """A row of so many bytes, all zero, as one element."""
    return np.zeros((), np.dtype((np.void, size)))


@masked_mul_p.lower_as
def _(mask: Any, x: Any, y: Any, *, taken: bool, axes: tuple[int, ...]) -> Any:
    product = mul(x, y)
    lanes = broadcast_in_dim(mask, aval_of(product).shape, axes) if axes else mask
    return select(lanes, product, 0) if taken else select(lanes, 0, product)


@masked_mul_p.jvp
def _(primals: Sequence[Any], tangents: Sequence[Any], **params: Any) -> tuple[Any, Any]:
    mask, x, y = primals
    ans = masked_mul_p.bind(mask, x, y, **params)
    shape = aval_of(ans).shape
    terms = [
        masked_mul_p.bind(mask, *operands, **params)
        for operands, t in (((tangents[1], y), tangents[1]), ((x, tangents[2]), tangents[2]))
        if not isinstance(t, Zero)
    ]
    if not terms:
        return ans, Zero(aval_of(ans).strong())
    return ans, broadcast_scalar(terms[0] if len(terms) == 1 else terms[0] + terms[1], shape)


@masked_mul_p.strong_transpose
def _(ct: Any, mask: Any, x: Any, y: Any, *, taken: bool, axes: tuple[int, ...]) -> Sequence[Any]:
    live = Live.along(lambda: (mask, taken, axes), axes, aval_of(settled(ct)).shape)
    if type(ct) is StrongZeros:
        live = Live(partial(_both, live, ct.live))
    return [None, *transposed_product(mul_p, StrongZeros(settled(ct), live, live.choose), x, y)]


def _both(a: Live, b: Live) -> Any:
    return bitwise_and(a.mask(), b.mask())


@masked_mul_p.transpose
def _(ct: Any, *operands: Any, **params: Any) -> list[Any]:
    cts = masked_mul_p.rule("strong_transpose")(instantiate(ct), *operands, **params)
    return [settled(c) for c in cts]


@masked_mul_p.batch
def _(
    args: Sequence[Any],
    batched: Sequence[bool],
    axis: BatchAxis,
    *,
    taken: bool,
    axes: tuple[int, ...],
) -> tuple[Any, bool]:
    mask, *factors = args
    shape = max((aval_of(x).shape[1 if b else 0 :] for x, b in zip(factors, batched[1:])), key=len)

    def expand(x: Any, has_axis: bool) -> Any:
        here = len(aval_of(x).shape) - has_axis
        if has_axis and here == len(shape):
            return x
        # A scalar of each lane lies along the axis of lanes; the others along those that follow.
        along = ((0,) if has_axis else ()) + tuple(range(1, 1 + here))
        return broadcast_in_dim(x, (axis.size, *shape), along)

    factors = [expand(x, b) for x, b in zip(factors, batched[1:], strict=True)]
    along = ((0,) if batched[0] else ()) + tuple(i + 1 for i in axes)
    return masked_mul_p.bind(mask, *factors, taken=taken, axes=along), True


@masked_mul_p.dependencies
def _(mask: Any, x: Any, y: Any, *, taken: bool, axes: tuple[int, ...]) -> Any:
    pattern = product_pattern(x, y)
    if pattern is None or mask.value is None:
        return pattern
    shape = x.aval.shape or y.aval.shape
    lanes = np.reshape(mask.value, [n if i in axes else 1 for i, n in enumerate(shape)])
    return rows(pattern, np.where(lanes == taken, numbers(shape), -1))
