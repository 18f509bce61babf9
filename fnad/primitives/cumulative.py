"""Cumulative reductions along one axis: sum, product, maximum, minimum, log-sum-exp."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fnad.core.primitive import Parts, Primitive, Zero, remember
from fnad.core.sizes import Size
from fnad.core.types import aval_of, computing_dtype, is_half, kind_of
from fnad.primitives.dependencies import numbers, rows, sums
from fnad.primitives.logic import bitwise_and, convert_element_type, eq, gt, ne, select
from fnad.primitives.shape import canonicalize_axis, check_axes, full_like
from fnad.primitives.slicing import concatenate, slice_in_dim
from fnad.primitives.strong_lanes import Live
from fnad.primitives.strong_zeros import StrongZeros, settled

# The product-rule of one combination: (value a, its tangent, value b, its tangent) to the same.
Combine = Callable[[Any, Any, Any, Any], tuple[Any, Any]]


def _cumulative(name: str, doc: str, kind: str, accumulate: np.ufunc, kinds: str) -> Primitive:
    """A primitive without its derivative; ``kind`` names the accumulation in the plan."""
    primitive = Primitive(name, doc)

    @primitive.type_rule
    @remember
    def _(x, *, axis, reverse):
        check_axes(name, "axis", (axis,), x.ndim)
        if kind_of(x.dtype) not in kinds:
            raise TypeError(f"{name} does not take arrays of dtype {x.dtype}")
        return x.strong()

    @primitive.evaluate
    def _(x, *, axis, reverse):
        x = np.asarray(x)
        wide = computing_dtype(x.dtype)
        line = np.flip(x, axis) if reverse else x
        out = accumulate.accumulate(line.astype(wide, copy=False), axis, dtype=wide)
        return (np.flip(out, axis) if reverse else out).astype(x.dtype)

    @primitive.dependencies
    def _(x, *, axis, reverse):
        place = np.moveaxis(numbers(x.aval.shape), axis, -1).reshape(-1, x.aval.shape[axis])
        first, second = np.triu_indices(x.aval.shape[axis])
        before, after = (second, first) if reverse else (first, second)
        return sums(rows(x.pattern, place[:, before]), place[:, after], x.aval.size)

    @primitive.batch
    def _(args, batched, batch_axis, *, axis, reverse):
        return primitive.bind(args[0], axis=axis + 1, reverse=reverse), True

    @primitive.lower
    def _(p, x, *, axis, reverse):
        if not is_half(x.dtype):
            return p.accumulate(x, axis, kind, reverse)
        wide = p.compute(x.shape, np.dtype(np.float32), lambda i: p.b.convert(x.at(i), np.float32))
        out = p.accumulate(wide, axis, kind, reverse)
        return p.compute(x.shape, x.dtype, lambda i: p.b.convert(out.at(i), x.dtype))

    return primitive


def _combines_parts(primitive: Primitive, combine: str) -> None:
    """Attach the `parts` rule: prefixes of complex numbers that the builder combines."""

    @primitive.parts
    def _(x, *, axis, reverse):
        from fnad.primitives.associative import associative_scan  # these are not always needed
        from fnad.primitives.complex_builder import COMPLEX, by_parts

        of_parts = by_parts(getattr(COMPLEX, combine))
        combined = lambda a, b: of_parts(*a, *b)  # noqa: E731
        return Parts(*associative_scan(combined, (x.re, x.im), reverse, axis))


def _derivative_by_doubling(primitive: Primitive, combine: Combine) -> None:
    """Attach the jvp as log2(n) steps that each combine with what stands 1, 2, 4 ... before.

    Values and tangents are combined as pairs (Hillis and Steele's scan), so no division or
    subtraction can go wrong where elements are zero, and the rule differentiates again.
    """

    @primitive.jvp
    def _(primals, tangents, *, axis, reverse):
        (x,), (t,) = primals, tangents
        ans = primitive.bind(x, axis=axis, reverse=reverse)
        if isinstance(t, Zero):
            return ans, Zero(ans.aval.strong())
        n, step = x.shape[axis], 1
        if type(n) is Size:
            from fnad.primitives.associative import associative_scan  # not always needed

            return ans, associative_scan(lambda a, b: combine(*a, *b), (x, t), reverse, axis)[1]
        while step < n:
            cut = (0, n - step) if reverse else (step, n)
            source = (step, n) if reverse else (0, n - step)
            rest = (n - step, n) if reverse else (0, step)
            part = lambda v, ends: slice_in_dim(v, *ends, 1, axis)  # noqa: E731
            done = combine(part(x, source), part(t, source), part(x, cut), part(t, cut))
            joined = []
            for new, old in zip(done, (x, t)):
                pieces = [new, part(old, rest)] if reverse else [part(old, rest), new]
                joined.append(concatenate(pieces, axis))
            x, t = joined
            step *= 2
        return ans, t


def _apply(primitive: Primitive, operand: Any, axis: int, reverse: bool) -> Any:
    axis = canonicalize_axis(axis, aval_of(operand).ndim)
    return primitive.bind(operand, axis=axis, reverse=bool(reverse))


# -- cumsum --------------------------------------------------------------------------------

cumsum_p = _cumulative(
    "cumsum", "Running sum along ``axis``, from the end if ``reverse``.", "add", np.add, "iufc"
)
cumsum_p.linear()
cumsum_p.acts_on_parts()


@cumsum_p.transpose
def _(ct, x, *, axis, reverse):
    return [cumsum_p.bind(ct, axis=axis, reverse=not reverse)]


@cumsum_p.strong_transpose
def _(ct, x, *, axis, reverse):
    cts = cumsum_p.rule("transpose")(settled(ct), x, axis=axis, reverse=reverse)
    if type(ct) is not StrongZeros:
        return cts

    def make():  # a term reaches all sums from its own on
        mask = ct.live.mask()
        if not aval_of(mask).shape:
            return mask
        reached = cummax_p.bind(convert_element_type(mask, np.int8), axis=axis, reverse=not reverse)
        return convert_element_type(reached, np.bool_)

    return [StrongZeros(cts[0], Live(make))]


def cumsum(operand: Any, axis: int = 0, reverse: bool = False) -> Any:
    """Running sum along ``axis``.

    Examples
    --------
    >>> cumsum(np.array([1, 2, 3]))
    array([1, 3, 6])
    """
    return _apply(cumsum_p, operand, axis, reverse)


# -- cumprod -------------------------------------------------------------------------------

cumprod_p = _cumulative(
    "cumprod",
    "Running product along ``axis``, from the end if ``reverse``.",
    "multiply",
    np.multiply,
    "iufc",
)
_combines_parts(cumprod_p, "multiply")
_derivative_by_doubling(cumprod_p, lambda a, ta, b, tb: (a * b, ta * b + a * tb))


def cumprod(operand: Any, axis: int = 0, reverse: bool = False) -> Any:
    """Running product along ``axis``."""
    return _apply(cumprod_p, operand, axis, reverse)


# -- cummax, cummin ------------------------------------------------------------------------


def _larger(a: Any, ta: Any, b: Any, tb: Any) -> tuple[Any, Any]:
    # Ties share evenly. NaN compares false both ways, and the tangent of NaN is of no interest.
    tie = eq(a, b)
    first = gt(a, b)
    return (
        select(first, a, b),
        select(tie, (ta + tb) * full_like(ta, 0.5), select(first, ta, tb)),
    )


def _smaller(a: Any, ta: Any, b: Any, tb: Any) -> tuple[Any, Any]:
    value, tangent = _larger(-a, ta, -b, tb)
    return -value, tangent


cummax_p = _cumulative(
    "cummax",
    "Running maximum along ``axis``, from the end if ``reverse``; NaN wins.",
    "max",
    np.maximum,
    "biufc",
)
_combines_parts(cummax_p, "maximum")
_derivative_by_doubling(cummax_p, _larger)

cummin_p = _cumulative(
    "cummin",
    "Running minimum along ``axis``, from the end if ``reverse``; NaN wins.",
    "min",
    np.minimum,
    "biufc",
)
_combines_parts(cummin_p, "minimum")
_derivative_by_doubling(cummin_p, _smaller)


def cummax(operand: Any, axis: int = 0, reverse: bool = False) -> Any:
    """Running maximum along ``axis``."""
    return _apply(cummax_p, operand, axis, reverse)


def cummin(operand: Any, axis: int = 0, reverse: bool = False) -> Any:
    """Running minimum along ``axis``."""
    return _apply(cummin_p, operand, axis, reverse)


# -- cumlogsumexp --------------------------------------------------------------------------


def _logaddexp(a: Any, ta: Any, b: Any, tb: Any) -> tuple[Any, Any]:
    from fnad.primitives.transcendental import exp, log1p

    first = gt(a, b)
    high, low = select(first, a, b), select(first, b, a)
    # Equal infinities have no difference; their weights are then a half each.
    infinite = bitwise_and(eq(high, low), ne(high - high, high - high))
    gap = select(infinite, full_like(high, 0), low - high)
    small = exp(gap)
    value = high + log1p(small)
    t_high, t_low = select(first, ta, tb), select(first, tb, ta)
    return value, (t_high + small * t_low) / (full_like(small, 1) + small)


cumlogsumexp_p = _cumulative(
    "cumlogsumexp",
    "Running log(sum(exp(x))) along ``axis``, from the end if ``reverse``.",
    "logaddexp",
    np.logaddexp,
    "f",
)
_derivative_by_doubling(cumlogsumexp_p, _logaddexp)


def cumlogsumexp(operand: Any, axis: int = 0, reverse: bool = False) -> Any:
    """Running log-sum-exp along ``axis``."""
    return _apply(cumlogsumexp_p, operand, axis, reverse)
