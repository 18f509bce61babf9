"""Products that sum over lanes in which a cotangent is zero for sure.

Transposed, ``x @ w`` sums over the rows of the cotangent: ``x.T @ ct``. A row that a select left
out (`fnad.primitives.strong_zeros`) is zero there, and an ordinary zero times an infinite row of
``x`` is NaN in every sum. What must not contribute is left out in one of two ways. If the lanes are
rows (or columns, or batches) of the other factor, these are zeros in it. Otherwise the product is
as ever while the other factor is finite; where it is not, products of masks tell which sums meet
such an element in a live lane. They alone take it in: their infinity or NaN is genuine, and NaN if
infinite elements of both kinds of lanes meet in one sum.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from fnad.core.primitive import Linear, Primitive, remember
from fnad.core.rewrites import BatchAxis
from fnad.core.tracer import Tracer
from fnad.core.types import ShapedArray, aval_of, kind_of
from fnad.primitives.arithmetic import abs as magnitude
from fnad.primitives.complex_numbers import imag, real
from fnad.primitives.logic import bitwise_and, bitwise_not, convert_element_type, lt, ne, select
from fnad.primitives.reductions import reduce_and
from fnad.primitives.shape import broadcast_in_dim
from fnad.primitives.strong_lanes import Lanes, Live, in_result
from fnad.primitives.strong_zeros import StrongZeros, settled, summed_lanes

Product = Callable[[Any, Any], Any]
Places = Sequence[int | None]

all_finite_p = Primitive(
    "all_finite",
    "Whether no element is infinite or NaN; under vmap, of all lanes, so that a branch which any of"
    " them needs, and which gives the same for the others, is taken for the whole batch.",
)


@all_finite_p.type_rule
@remember
def _(x: ShapedArray) -> ShapedArray:
    if kind_of(x.dtype) not in "fc":
        raise TypeError(f"all_finite: the operand must be floating or complex, got {x}")
    return ShapedArray((), np.dtype(np.bool_))


@all_finite_p.evaluate
def _(x: Any) -> Any:
    return np.isfinite(x).all()


@all_finite_p.lower_as
def _(x: Any) -> Any:
    return reduce_and(is_finite(x), tuple(range(aval_of(x).ndim)))


@all_finite_p.batch
def _(args: Sequence[Any], batched: Sequence[bool], axis: BatchAxis) -> tuple[Any, bool]:
    return all_finite_p.bind(args[0]), False


all_finite_p.derivatives(None)


def strong_product(
    product: Product,
    ct: StrongZeros,
    other: Any,
    kept: Places,
    met: Places,
    over_lanes: Callable[[Any, Lanes, Any], Any] | None = None,
) -> Any:
    """A cotangent times a factor, to which only its live lanes contribute.

    Parameters
    ----------
    product : callable
        Sums over products of elements of a cotangent and of a factor; linear in both.
    ct : StrongZeros
        The cotangent.
    other : array
        The factor.
    kept, met : sequence of int or None
        Where the axes of ``ct`` are in the result and in ``other``; None where it has them not.
    over_lanes : callable, optional
        The product of lanes of a cotangent that are none of rows, and a factor; without it, a
        composition, of which derivatives with respect to the factor are not strong.
    """
    cts, live = ct.settled(), ct.live
    axes = live.along_axes(len(kept))
    if not isinstance(other, Tracer) and np.isfinite(other).all():
        return summed_lanes(ct, product(cts, other), kept, is_zero=True)
    if all(kept[i] is not None for i in axes):
        return summed_lanes(ct, product(cts, other), kept)
    if all(met[i] is not None for i in axes):
        found = product(cts, in_result(live, met, aval_of(other).shape).choose(other))
    else:
        choose = over_lanes or partial(_over_lanes, product)
        found = choose(cts, live.lanes(len(kept)), other)
    return summed_lanes(ct, found, kept, is_zero=True)


def _over_lanes(product: Product, ct: Any, lanes: Lanes, other: Any) -> Any:
    with_nonfinite = partial(_with_nonfinite, product, ct, lanes, other)
    if not isinstance(other, Tracer):
        return with_nonfinite()
    from fnad.primitives.control_flow.branches import cond  # uses this module

    return cond(all_finite_p.bind(other), partial(product, ct, other), with_nonfinite)


def _with_nonfinite(product: Product, ct: Any, lanes: Lanes, other: Any) -> Any:
    """The product where ``other`` is not finite somewhere."""
    finite, dtype = is_finite(other), aval_of(ct).dtype
    among_finite = product(ct, select(finite, other, 0))
    mask, taken, axes = lanes
    live = broadcast_in_dim(mask if taken else bitwise_not(mask), aval_of(ct).shape, axes)
    nonfinite = convert_element_type(bitwise_not(finite), aval_of(other).dtype)
    met = product(convert_element_type(live, dtype), nonfinite)
    return select(ne(met, aval_of(met).dtype.type(0)), product(ct, other), among_finite)


def is_finite(x: Any) -> Any:
    """Where a number is neither infinite nor NaN."""
    if kind_of(aval_of(x).dtype) == "c":
        return bitwise_and(is_finite(real(x)), is_finite(imag(x)))
    return lt(magnitude(x), aval_of(x).dtype.type(math.inf))


def sums_elements(primitive: Primitive) -> None:
    """Say of a primitive that its transpose only sums elements: sums of no live lane are zero."""

    @primitive.strong_transpose
    def _(ct: Any, x: Any, **params: Any) -> Sequence[Any]:
        rule = primitive.rule("transpose")
        found: Sequence[Any] = rule(settled(ct), x, **params)
        if type(ct) is not StrongZeros:
            return found
        return [StrongZeros(found[0], Live(partial(_met, partial(rule, **params), ct.live, x)))]


def _met(transpose: Callable[..., Sequence[Any]], live: Live, x: Linear) -> Any:
    """Which sums have a live lane: those of the mask, as numbers."""
    mask, dtype = live.mask(), np.dtype(np.float32)
    if not aval_of(mask).shape:
        return mask
    numbers = convert_element_type(mask, dtype)
    return ne(transpose(numbers, Linear(ShapedArray(x.aval.shape, dtype)))[0], dtype.type(0))
