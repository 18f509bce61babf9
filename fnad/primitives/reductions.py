"""Reductions over axes: sum, product, maximum, minimum, and, or, and the arg reductions."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from fnad.core.primitive import Parts, Primitive, Zero, remember
from fnad.core.sizes import Size
from fnad.core.types import ShapedArray, aval_of, computing_dtype, is_half, kind_of
from fnad.primitives.dependencies import collapse
from fnad.primitives.logic import (
    bitwise_and,
    bitwise_not,
    bitwise_or,
    convert_element_type,
    eq,
    gt,
    lt,
    ne,
    select,
)
from fnad.primitives.shape import (
    broadcast_in_dim,
    canonicalize_axis,
    check_axes,
    full_like,
    int_tuple,
    invert_permutation,
    reshape,
    transpose,
)
from fnad.primitives.strong_zeros import StrongZeros, spread_out


def _reduction(
    name: str, doc: str, kind: str, evaluate: Callable[..., Any], kinds: str, empty: bool = True
) -> Primitive:
    """A primitive that combines the elements along ``axes``, in the plan's reduction ``kind``.

    ``kinds`` are the dtype kinds it takes; ``empty`` says whether no elements make a result.
    The derivative is attached by the caller.
    """
    primitive = Primitive(name, doc)

    @primitive.type_rule
    @remember
    def _(x, *, axes):
        check_axes(name, "axes", axes, x.ndim)
        if kind_of(x.dtype) not in kinds:
            raise TypeError(f"{name} does not take arrays of dtype {x.dtype}")
        if not empty and any(x.shape[a] == 0 for a in axes):
            raise ValueError(
                f"{name}: no elements along axes {axes} of shape {x.shape}, and there is no"
                " identity to return"
            )
        return ShapedArray(_kept_shape(x.shape, axes), x.dtype)

    @primitive.evaluate
    def _(x, *, axes):
        x = np.asarray(x)
        if is_half(x.dtype):
            with np.errstate(over="ignore"):
                return evaluate(x.astype(np.float32), axis=axes).astype(x.dtype)
        return np.asarray(evaluate(x, axis=axes)).astype(x.dtype, copy=False)

    @primitive.dependencies
    def _(x, *, axes):
        return collapse(x.pattern, x.aval.shape, axes)

    @primitive.batch
    def _(args, batched, axis, *, axes):
        return primitive.bind(args[0], axes=tuple(a + 1 for a in axes)), True

    @primitive.lower
    def _(p, x, *, axes):
        wide = computing_dtype(x.dtype)
        kept = [a for a in range(len(x.shape)) if a not in axes]
        order = invert_permutation((*kept, *axes))

        def element(index, rindex):
            both = (*index, *rindex)
            value = x.at(tuple([both[i] for i in order]))
            return value if wide == x.dtype else p.b.convert(value, wide)

        shape = tuple([x.shape[a] for a in kept])
        extents = tuple(x.shape[a] for a in axes)
        out = p.reduce(shape, wide, extents, kind, element)
        if wide == x.dtype:
            return out
        return p.compute(shape, x.dtype, lambda index: p.b.convert(out.at(index), x.dtype))

    return primitive


def _kept_shape(shape: Sequence[int], axes: Sequence[int]) -> tuple[int, ...]:
    return tuple(n for i, n in enumerate(shape) if i not in axes)


def spread(x: Any, shape: Sequence[int], axes: Sequence[int]) -> Any:
    """Repeat a result of reducing over ``axes`` back to the operand's ``shape``."""
    kept = tuple(i for i in range(len(shape)) if i not in axes)
    return broadcast_in_dim(x, tuple(shape), kept)


def _axes(x: Any, axes: int | Sequence[int]) -> tuple[int, ...]:
    ndim = aval_of(x).ndim
    return tuple(sorted(canonicalize_axis(a, ndim) for a in int_tuple(axes)))


# -- reduce_sum ----------------------------------------------------------------------------

reduce_sum_p = _reduction(
    "reduce_sum",
    "Sum over ``axes``, in the operand's dtype (those of 16 bits accumulate in float32).",
    "add",
    np.sum,
    "iufc",
)
reduce_sum_p.linear()
reduce_sum_p.acts_on_parts()


@reduce_sum_p.transpose
def _(ct, x, *, axes):
    return [spread(ct, x.aval.shape, axes)]


@reduce_sum_p.strong_transpose
def _(ct, x, *, axes):
    shape = x.aval.shape
    if type(ct) is not StrongZeros:
        return [spread(ct, shape, axes)]
    kept = tuple(i for i in range(x.aval.ndim) if i not in axes)
    return [spread_out(ct, partial(spread, shape=shape, axes=axes), shape, kept)]


def reduce_sum(operand: Any, axes: int | Sequence[int]) -> Any:
    """Sum over ``axes``, in the operand's dtype.

    Examples
    --------
    >>> reduce_sum(np.array([[1.0, 2.0], [3.0, 4.0]]), (0,))
    array([4., 6.])
    """
    axes = _axes(operand, axes)
    return reduce_sum_p.bind(operand, axes=axes) if axes else operand


# -- reduce_prod ---------------------------------------------------------------------------

reduce_prod_p = _reduction(
    "reduce_prod", "Product over ``axes``, in the operand's dtype.", "multiply", np.prod, "iufc"
)


@reduce_prod_p.jvp
def _(primals, tangents, *, axes):
    (x,), (t,) = primals, tangents
    ans = reduce_prod_p.bind(x, axes=axes)
    if isinstance(t, Zero):
        return ans, Zero(ans.aval.strong())
    if x.size == 0:
        return ans, full_like(ans, 0)
    # By the product rule for products of two: unlike ans / x it is right where x has zeros, and so
    # are its derivatives.
    _, t = _by_halves((x, t), axes, lambda a, ta, b, tb: (a * b, ta * b + a * tb))
    return ans, t


@reduce_prod_p.parts
def _(x, *, axes):
    from fnad.primitives.complex_builder import COMPLEX, by_parts  # it uses this module

    if aval_of(x.re).size == 0:
        dtype = aval_of(x.re).dtype.type
        return Parts(dtype(1), dtype(0))
    return Parts(*_by_halves((x.re, x.im), axes, by_parts(COMPLEX.multiply)))


def _by_halves(xs: Sequence[Any], axes: Sequence[int], combine: Callable[..., Any]) -> list[Any]:
    """Reduce arrays together, by a tree of combinations of two: ``combine(*as, *bs)`` of them all.

    There is at least one element.
    """
    shape = aval_of(xs[0]).shape
    kept = [i for i in range(len(shape)) if i not in axes]
    out = _kept_shape(shape, axes)
    n = math.prod(shape[a] for a in axes)
    xs = [reshape(transpose(x, [*axes, *kept]), (n, *out)) for x in xs]
    if type(n) is Size:
        return [reshape(x, out) for x in _one_by_one(xs, combine)]
    while n > 1:
        first, second, rests = zip(*(_halves(x, n // 2) for x in xs))
        xs = [_join([x, *rest]) for x, rest in zip(combine(*first, *second), rests)]
        n -= n // 2
    return [reshape(x, out) for x in xs]


def _one_by_one(xs: Sequence[Any], combine: Callable[..., Any]) -> list[Any]:
    """The same along axis 0 of a length that is known when the program is called: a loop."""
    from fnad.primitives.control_flow.scan import scan  # these use this module
    from fnad.primitives.slicing import slice_in_dim

    first, rest = zip(*[(slice_in_dim(x, 0, 1), slice_in_dim(x, 1, None)) for x in xs])

    def step(totals: Sequence[Any], here: Sequence[Any]) -> tuple[list[Any], None]:
        return list(combine(*totals, *here)), None

    totals: list[Any] = scan(step, [reshape(x, x.shape[1:]) for x in first], list(rest))[0]
    return totals


def _halves(x: Any, half: int) -> tuple[Any, Any, list[Any]]:
    from fnad.primitives.slicing import slice_in_dim  # slicing imports this module

    rest = [slice_in_dim(x, 2 * half, None)] if x.shape[0] > 2 * half else []
    return slice_in_dim(x, 0, half), slice_in_dim(x, half, 2 * half), rest


def _join(parts: Sequence[Any]) -> Any:
    from fnad.primitives.slicing import concatenate  # slicing imports this module

    return concatenate(parts, 0)


def reduce_prod(operand: Any, axes: int | Sequence[int]) -> Any:
    """Product over ``axes``, in the operand's dtype."""
    axes = _axes(operand, axes)
    return reduce_prod_p.bind(operand, axes=axes) if axes else operand


# -- reduce_max, reduce_min ----------------------------------------------------------------


def _share_among_ties(primitive: Primitive, beyond: Callable[[Any, Any], Any]) -> None:
    """Attach the derivative of a maximum or minimum: the mean of the tangents where it is taken.

    Where the result is NaN so is the derivative, by all elements. ``beyond(ans, x)`` says
    that ``ans`` is more extreme: where it does not, ``x`` is taken, or ``ans`` is NaN.
    """

    @primitive.jvp
    def _(primals, tangents, *, axes):
        (x,), (t,) = primals, tangents
        ans = primitive.bind(x, axes=axes)
        if isinstance(t, Zero):
            return ans, Zero(ans.aval.strong())
        taken = bitwise_not(beyond(spread(ans, x.shape, axes), x))
        count = reduce_sum(convert_element_type(taken, x.dtype), axes)
        count = select(eq(ans, ans), count, full_like(count, np.nan))
        return ans, reduce_sum(select(taken, t, full_like(t, 0)), axes) / count


def _compares_parts(primitive: Primitive, chosen: str) -> None:
    """Attach the `parts` rule of a maximum or minimum: the builder's, of two at a time."""

    @primitive.parts
    def _(x, *, axes):
        from fnad.primitives.complex_builder import COMPLEX, by_parts  # it uses this module

        return Parts(*_by_halves((x.re, x.im), axes, by_parts(getattr(COMPLEX, chosen))))


reduce_max_p = _reduction(
    "reduce_max",
    "Maximum over ``axes``; NaN wins; complex numbers by their real parts first. The derivative is"
    " shared evenly among equal elements; NaN for all where the result is NaN.",
    "max",
    np.max,
    "biufc",
    empty=False,
)
_share_among_ties(reduce_max_p, gt)
_compares_parts(reduce_max_p, "maximum")

reduce_min_p = _reduction(
    "reduce_min",
    "Minimum over ``axes``; NaN wins; complex numbers by their real parts first. The derivative is"
    " shared evenly among equal elements; NaN for all where the result is NaN.",
    "min",
    np.min,
    "biufc",
    empty=False,
)
_share_among_ties(reduce_min_p, lt)
_compares_parts(reduce_min_p, "minimum")


def reduce_max(operand: Any, axes: int | Sequence[int]) -> Any:
    """Maximum over ``axes``; NaN wins."""
    axes = _axes(operand, axes)
    return reduce_max_p.bind(operand, axes=axes) if axes else operand


def reduce_min(operand: Any, axes: int | Sequence[int]) -> Any:
    """Minimum over ``axes``; NaN wins."""
    axes = _axes(operand, axes)
    return reduce_min_p.bind(operand, axes=axes) if axes else operand


# -- reduce_and, reduce_or -----------------------------------------------------------------

reduce_and_p = _reduction(
    "reduce_and",
    "Logical (bool) or bitwise (integers) and over ``axes``.",
    "and",
    np.bitwise_and.reduce,
    "biu",
)
reduce_and_p.derivatives(None)

reduce_or_p = _reduction(
    "reduce_or",
    "Logical (bool) or bitwise (integers) or over ``axes``.",
    "or",
    np.bitwise_or.reduce,
    "biu",
)
reduce_or_p.derivatives(None)


def reduce_and(operand: Any, axes: int | Sequence[int]) -> Any:
    """Logical (bool) or bitwise (integers) and over ``axes``."""
    axes = _axes(operand, axes)
    return reduce_and_p.bind(operand, axes=axes) if axes else operand


def reduce_or(operand: Any, axes: int | Sequence[int]) -> Any:
    """Logical (bool) or bitwise (integers) or over ``axes``."""
    axes = _axes(operand, axes)
    return reduce_or_p.bind(operand, axes=axes) if axes else operand


# -- argmax, argmin ------------------------------------------------------------------------


def _arg_reduction(name: str, doc: str, kind: str, evaluate: Callable[..., Any]) -> Primitive:
    primitive = Primitive(name, doc)

    @primitive.type_rule
    @remember
    def _(x, *, axis, index_dtype):
        check_axes(name, "axis", (axis,), x.ndim)
        if index_dtype.kind not in "iu":
            raise TypeError(f"{name}: index_dtype must be an integer dtype, got {index_dtype}")
        if x.shape[axis] == 0:
            raise ValueError(f"{name}: no elements along axis {axis} of shape {x.shape}")
        return ShapedArray(_kept_shape(x.shape, (axis,)), index_dtype)

    @primitive.evaluate
    def _(x, *, axis, index_dtype):
        return np.asarray(evaluate(x, axis=axis)).astype(index_dtype)

    primitive.derivatives(None)

    @primitive.batch
    def _(args, batched, batch_axis, *, axis, index_dtype):
        return primitive.bind(args[0], axis=axis + 1, index_dtype=index_dtype), True

    @primitive.lower
    def _(p, x, *, axis, index_dtype):
        def element(index, k):
            return x.at((*index[:axis], k, *index[axis:]))

        shape = _kept_shape(x.shape, (axis,))
        return p.arg_reduce(shape, index_dtype, x.shape[axis], kind, element)

    @primitive.parts
    def _(x, *, axis, index_dtype):
        # The first NaN, or else the first of those with extreme imaginary part among those with
        # extreme real part.
        reduce, worst = (reduce_max_p, -np.inf) if kind == "max" else (reduce_min_p, np.inf)
        shape = aval_of(x.re).shape

        def extreme(v):
            return eq(v, spread(reduce.bind(v, axes=(axis,)), shape, (axis,)))

        first = extreme(x.re)
        found = bitwise_and(first, extreme(select(first, x.im, worst)))
        nan = bitwise_or(ne(x.re, x.re), ne(x.im, x.im))
        any_nan = spread(reduce_or_p.bind(nan, axes=(axis,)), shape, (axis,))
        return argmax_p.bind(select(any_nan, nan, found), axis=axis, index_dtype=index_dtype)

    return primitive


argmax_p = _arg_reduction(
    "argmax", "Index of the first maximum along ``axis``; NaN wins.", "max", np.argmax
)
argmin_p = _arg_reduction(
    "argmin", "Index of the first minimum along ``axis``; NaN wins.", "min", np.argmin
)


def argmax(operand: Any, axis: int, index_dtype: Any = np.int64) -> Any:
    """Index of the first maximum along ``axis``.

    Examples
    --------
    >>> argmax(np.array([1.0, 3.0, 3.0]), 0)
    np.int64(1)
    """
    axis = canonicalize_axis(axis, aval_of(operand).ndim)
    return argmax_p.bind(operand, axis=axis, index_dtype=np.dtype(index_dtype))


def argmin(operand: Any, axis: int, index_dtype: Any = np.int64) -> Any:
    """Index of the first minimum along ``axis``."""
    axis = canonicalize_axis(axis, aval_of(operand).ndim)
    return argmin_p.bind(operand, axis=axis, index_dtype=np.dtype(index_dtype))
