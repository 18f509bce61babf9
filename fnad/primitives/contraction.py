"""Contraction: sums of products over shared axes, the one primitive behind matmul and einsum."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from fnad.core.dtypes import result_type
from fnad.core.primitive import Linear, Parts, Primitive, remember
from fnad.core.types import ShapedArray, aval_of, computing_dtype
from fnad.primitives.complex_numbers import real_dtype
from fnad.primitives.complex_parts import interleaved, parts_of_interleaved, product_of_parts
from fnad.primitives.dependencies import numbers, rows, sums, union
from fnad.primitives.dot_numbers import (
    Axes,
    Numbers,
    batched_numbers,
    free_axes,
    sizes_of,
    wrt_lhs,
    wrt_rhs,
)
from fnad.primitives.logic import convert_element_type
from fnad.primitives.precision import check_precision
from fnad.primitives.reductions import reduce_sum
from fnad.primitives.shape import (
    broadcast_in_dim,
    canonicalize_axis,
    int_tuple,
    invert_permutation,
    moveaxis,
    reshape,
    transpose,
)
from fnad.primitives.slicing import slice_in_dim
from fnad.primitives.strong_zeros import StrongZeros
from fnad.primitives.taylor import bilinear

# Rows and elements of a complex matrix from which on its products with vectors are those of reals.
_MANY_ROWS, _MANY_ELEMENTS = 16, 512

dot_general_p = Primitive(
    "dot_general",
    "Sum of products over contracted axes, one for each index of the batch axes."
    " ``dimension_numbers`` is ((lhs contracting, rhs contracting), (lhs batch, rhs batch)). The"
    " result has the batch axes, then the free axes of ``a``, then those of ``b``. Both operands"
    " have one dtype, which is that of the result unless ``preferred_element_type`` is given.",
)


@dot_general_p.type_rule
@remember
def _(a, b, *, dimension_numbers, preferred_element_type):
    (a_contract, b_contract), (a_batch, b_batch) = dimension_numbers
    if a.dtype != b.dtype:
        raise TypeError(f"dot_general: operands must have one dtype, got {a} and {b}")
    for which, aval, axes in (("lhs", a, a_contract + a_batch), ("rhs", b, b_contract + b_batch)):
        if len(set(axes)) != len(axes) or any(not 0 <= i < aval.ndim for i in axes):
            raise TypeError(
                f"dot_general: dimension_numbers {dimension_numbers} do not name distinct axes of"
                f" the {which} of shape {aval.shape}"
            )
    for what, a_axes, b_axes in (
        ("contracting", a_contract, b_contract),
        ("batch", a_batch, b_batch),
    ):
        if sizes_of(a.shape, a_axes) != sizes_of(b.shape, b_axes):
            raise TypeError(
                f"dot_general: the {what} axes have lengths {sizes_of(a.shape, a_axes)} in the lhs"
                f" of shape {a.shape}, but {sizes_of(b.shape, b_axes)} in the rhs of shape"
                f" {b.shape}"
            )
    shape = (
        *sizes_of(a.shape, a_batch),
        *sizes_of(a.shape, free_axes(a.ndim, a_contract, a_batch)),
        *sizes_of(b.shape, free_axes(b.ndim, b_contract, b_batch)),
    )
    return ShapedArray(shape, preferred_element_type or a.dtype)


def common_dtype(x: Any, y: Any) -> tuple[Any, Any]:
    """Both, in the dtype that both promote to."""
    avals = aval_of(x), aval_of(y)
    if avals[0].dtype is avals[1].dtype:
        dtype = avals[0].dtype
    else:
        dtype = result_type(avals[0].dtype, avals[1].dtype)
    return convert_element_type(x, dtype), convert_element_type(y, dtype)


def _accumulator(dtype: np.dtype[Any], preferred: np.dtype[Any] | None) -> np.dtype[Any]:
    """The dtype that products are summed in: the result's, or float32 where that has 16 bits."""
    result = preferred or dtype
    return computing_dtype(result)


@dot_general_p.dependencies
def _(a, b, *, dimension_numbers, preferred_element_type):
    (a_contract, b_contract), (a_batch, b_batch) = dimension_numbers
    return union(
        [
            _pattern_of_product(a, (a_contract, a_batch), b, (b_contract, b_batch), True),
            _pattern_of_product(b, (b_contract, b_batch), a, (a_contract, a_batch), False),
        ]
    )


def _pattern_of_product(x, x_axes, y, y_axes, x_first):
    """What sums over products of ``x`` and ``y`` depend on through ``x``; known zeros count not."""
    if x.pattern is None:
        return None

    def places(operand):
        contract, batch = x_axes if operand is x else y_axes
        free = free_axes(operand.aval.ndim, contract, batch)
        shape = operand.aval.shape
        sizes = [math.prod(sizes_of(shape, axes)) for axes in (batch, free, contract)]
        return numbers(shape).transpose(*batch, *free, *contract).reshape(sizes)

    x_at, y_at = places(x), places(y)
    num_batch, num_x, _ = x_at.shape
    num_y = y_at.shape[1]
    if y.value is None:
        each = sums(x.pattern, _target(x_at, x.aval.size), num_batch * num_x)
        across = (num_batch, num_x, num_y) if x_first else (num_batch, num_y, num_x)
        repeated = numbers((num_batch, num_x))[:, :, None]
        repeated = repeated if x_first else repeated.transpose(0, 2, 1)
        return rows(each, np.broadcast_to(repeated, across))
    batch, of_y, summed = np.nonzero(np.asarray(y.value).reshape(-1)[y_at])
    source = x_at[batch, :, summed]
    out = numbers((num_batch, num_x, num_y) if x_first else (num_batch, num_y, num_x))
    target = out[batch, :, of_y] if x_first else out[batch, of_y]
    return sums(rows(x.pattern, source), target, out.size)


def _target(places, size):
    """For each element, the number of the row of ``places`` (batch, row, summed) it stands in."""
    target = np.empty(size, np.int64)
    target[places.ravel()] = np.repeat(numbers(places.shape[:2]).ravel(), places.shape[2])
    return target


bilinear(dot_general_p)


@dot_general_p.evaluate
def _(a, b, *, dimension_numbers, preferred_element_type):
    (a_contract, b_contract), (a_batch, b_batch) = dimension_numbers
    a, b = np.asarray(a), np.asarray(b)
    result = preferred_element_type or a.dtype
    a_free = free_axes(a.ndim, a_contract, a_batch)
    b_free = free_axes(b.ndim, b_contract, b_batch)
    shape = (*sizes_of(a.shape, a_batch), *sizes_of(a.shape, a_free), *sizes_of(b.shape, b_free))
    batch, m = math.prod(sizes_of(a.shape, a_batch)), math.prod(sizes_of(a.shape, a_free))
    k, n = math.prod(sizes_of(a.shape, a_contract)), math.prod(sizes_of(b.shape, b_free))
    wide = _accumulator(a.dtype, preferred_element_type)
    a = a.transpose(a_batch + a_free + a_contract).reshape(batch, m, k).astype(wide, copy=False)
    b = b.transpose(b_batch + b_contract + b_free).reshape(batch, k, n).astype(wide, copy=False)
    return np.matmul(a, b).astype(result, copy=False).reshape(shape)


dot_general_p.derivatives(
    lambda t, ans, a, b, **params: dot_general_p.bind(t, b, **params),
    lambda t, ans, a, b, **params: dot_general_p.bind(a, t, **params),
)


@dot_general_p.transpose
def _(ct, a, b, *, dimension_numbers, preferred_element_type):
    ndims = aval_of(a).ndim, aval_of(b).ndim
    a_ct = b_ct = None
    if isinstance(a, Linear):
        numbers, order = wrt_lhs(dimension_numbers, *ndims)
        product = dot_general_p.bind(
            *common_dtype(ct, b), dimension_numbers=numbers, preferred_element_type=None
        )
        a_ct = convert_element_type(transpose(product, order), a.aval.dtype)
    if isinstance(b, Linear):
        numbers, order = wrt_rhs(dimension_numbers, *ndims)
        product = dot_general_p.bind(
            *common_dtype(a, ct), dimension_numbers=numbers, preferred_element_type=None
        )
        b_ct = convert_element_type(transpose(product, order), b.aval.dtype)
    return [a_ct, b_ct]


@dot_general_p.strong_transpose
def _(ct, a, b, **params):
    if type(ct) is not StrongZeros:
        return dot_general_p.rule("transpose")(ct, a, b, **params)
    from fnad.primitives.masked_dot import masked_dot  # uses this module

    return masked_dot.transposed(ct, a, b, **{**params, "preferred_element_type": None})


@dot_general_p.batch
def _(args, batched, axis, *, dimension_numbers, preferred_element_type):
    a, b = args
    ndims = aval_of(a).ndim, aval_of(b).ndim
    numbers, at = batched_numbers(dimension_numbers, batched, *ndims)
    out = dot_general(a, b, numbers, preferred_element_type=preferred_element_type)
    return moveaxis(out, at, 0) if at else out, True


@dot_general_p.parts
def _(a, b, *, dimension_numbers, preferred_element_type):
    def product(x, y):
        return dot_general(x, y, dimension_numbers, preferred_element_type=preferred)

    result = preferred_element_type
    preferred = result and real_dtype(result)
    if type(a) is not Parts:
        return Parts(product(a, b), preferred.type(0))
    if result is None:
        (a_contract, b_contract), (a_batch, b_batch) = dimension_numbers
        a_shape, b_shape = aval_of(a.re).shape, aval_of(b.re).shape
        a_free = free_axes(len(a_shape), a_contract, a_batch)
        b_free = free_axes(len(b_shape), b_contract, b_batch)
        free = (*sizes_of(a_shape, a_free), *sizes_of(b_shape, b_free))
        shape = (*sizes_of(a_shape, a_batch), *free)
        if math.prod(sizes_of(b_shape, b_free)) == 1:
            return _by_vectors(a, b, dimension_numbers, shape)
        if math.prod(sizes_of(a_shape, a_free)) == 1:
            swapped = (b_contract, a_contract), (b_batch, a_batch)
            return _by_vectors(b, a, swapped, shape)
    out = product_of_parts(product, a, b)
    return out if result is None or result.kind == "c" else out.re


def _by_vectors(x: Parts, v: Parts, numbers: Numbers, shape: tuple[int, ...]) -> Parts:
    """Products with vectors. Few or small ones are sums, for which nothing is laid out."""
    (x_contract, v_contract), (x_batch, v_batch) = numbers
    x_shape, v_shape = aval_of(x.re).shape, aval_of(v.re).shape
    size = math.prod(x_shape)
    if not x_batch and size >= max(_MANY_ELEMENTS, _MANY_ROWS * math.prod(v_shape)):
        return _in_memory(x, v, (x_contract, v_contract), shape)
    places = dict(zip((*v_contract, *v_batch), (*x_contract, *x_batch)))
    order = sorted(places, key=places.__getitem__)
    alone = free_axes(len(v_shape), v_contract, v_batch)  # of length 1
    x_free = free_axes(len(x_shape), x_contract, x_batch)
    left = [i for i in range(len(x_shape)) if i not in x_contract]

    def spread(part: Any) -> Any:
        vectors = reshape(transpose(part, (*order, *alone)), sizes_of(v_shape, tuple(order)))
        return broadcast_in_dim(vectors, x_shape, [places[i] for i in order])

    def total(part: Any) -> Any:
        out = reduce_sum(part, x_contract)
        return reshape(transpose(out, [left.index(i) for i in (*x_batch, *x_free)]), shape)

    re, im = spread(v.re), spread(v.im)
    return Parts(total(x.re * re - x.im * im), total(x.re * im + x.im * re))


def _in_memory(x: Parts, v: Parts, contract: tuple[Axes, Axes], shape: tuple[int, ...]) -> Parts:
    """The product of a matrix with a vector as one of real matrices: the memory of the first."""
    x_contract, v_contract = contract
    ndim, memory = aval_of(x.re).ndim, interleaved(x)
    if x_contract == tuple(range(ndim - len(x_contract), ndim)):
        # Rows lie in memory: their pairs of parts times (re, -im) and (im, re).
        pairs = [interleaved(pair) for pair in (Parts(v.re, -v.im), Parts(v.im, v.re))]
        axes = (*x_contract, ndim), (*v_contract, aval_of(v.re).ndim)
        found = dot_general(memory, interleaved(Parts(*pairs)), (axes, ((), ())))
        return parts_of_interleaved(reshape(found, (*shape, 2)))
    found = dot_general(interleaved(v), memory, ((v_contract, x_contract), ((), ())))
    by_re, by_im = (
        parts_of_interleaved(reshape(slice_in_dim(found, k, k + 1, axis=place), (*shape, 2)))
        for place in (aval_of(v.re).ndim - len(v_contract),)
        for k in (0, 1)
    )
    return Parts(by_re.re - by_im.im, by_re.im + by_im.re)


@dot_general_p.lower
def _(p, a, b, *, dimension_numbers, preferred_element_type):
    shape, left, right = _matrices(a.shape, b.shape, dimension_numbers)
    result = preferred_element_type or a.dtype
    wide = _accumulator(a.dtype, preferred_element_type)
    product = p.contract(
        _as_matrices(p, _converted(p, a, wide), left),
        _as_matrices(p, _converted(p, b, wide), right),
    )
    return _converted(p, p.reshape(product, shape), result)


def _converted(p: Any, x: Any, dtype: np.dtype[Any]) -> Any:
    if x.dtype == dtype:
        return x
    return p.compute(x.shape, dtype, lambda index: p.b.convert(x.at(index), dtype))


class _Arrangement(NamedTuple):
    """How a tensor becomes one of shape ``matrix``, (*batch, rows, columns).

    Either its axes are put into the order that ``inverse`` undoes, which gives ``ordered``, and
    are then joined; or, if the axes of rows and those of columns are neighbours each, it is
    reshaped to ``joined``, of which entry ``k`` of ``places`` is the axis of the matrix that its
    axis ``k`` is. ``whole`` if no axes are joined.
    """

    matrix: tuple[int, ...]
    ordered: tuple[int, ...]
    inverse: Axes
    joined: tuple[int, ...]
    places: Axes
    whole: bool


@lru_cache(maxsize=1024)
def _matrices(
    a_shape: tuple[int, ...], b_shape: tuple[int, ...], dimension_numbers: Numbers
) -> tuple[tuple[int, ...], _Arrangement, _Arrangement]:
    """The shape of a product, and how its operands become matrices."""
    (a_contract, b_contract), (a_batch, b_batch) = dimension_numbers
    a_free = free_axes(len(a_shape), a_contract, a_batch)
    b_free = free_axes(len(b_shape), b_contract, b_batch)
    shape = (*sizes_of(a_shape, a_batch), *sizes_of(a_shape, a_free), *sizes_of(b_shape, b_free))
    left = _arrangement(a_shape, (a_batch, a_free, a_contract))
    return shape, left, _arrangement(b_shape, (b_batch, b_contract, b_free))


def _arrangement(shape: tuple[int, ...], groups: tuple[Axes, Axes, Axes]) -> _Arrangement:
    batch = groups[0]
    runs: list[list[Axes]] = [[(axis,)] for axis in batch]
    runs += [_runs(groups[1]), _runs(groups[2])]
    rows, columns = (math.prod(sizes_of(shape, group)) for group in groups[1:])
    matrix = (*sizes_of(shape, batch), rows, columns)
    if any(len(group) > 1 for group in runs):
        order = tuple(axis for group in groups for axis in group)
        return _Arrangement(
            matrix, sizes_of(shape, order), invert_permutation(order), (), (), False
        )
    in_memory = sorted((run, which) for which, group in enumerate(runs) for run in group)
    joined = tuple(math.prod(sizes_of(shape, run)) for run, _ in in_memory)
    whole = all(len(run) == 1 for run, _ in in_memory)
    return _Arrangement(matrix, (), (), joined, tuple(which for _, which in in_memory), whole)


def _as_matrices(p: Any, x: Any, how: _Arrangement) -> Any:
    """Arrange a tensor as (*batch, rows, columns), the last two each a group of its axes.

    If the axes of each group are neighbours, they are joined and the result is read through
    strides, where the tensor lies if that is possible. Otherwise a kernel over all axes puts
    them in order: unlike one over rows and columns it needs no division to find its element.
    """
    if how.inverse:
        ordered = p.compute(
            how.ordered, x.dtype, lambda index: x.at(tuple([index[i] for i in how.inverse]))
        )
        joined = p.reshape(ordered, how.matrix)
        return joined if p.in_place(joined) else p.reshape(p.materialize(ordered), how.matrix)

    def arranged() -> Any:
        joined = p.reshape(x, how.joined)
        if joined.stored and joined.shape == how.matrix and how.places == tuple(range(joined.ndim)):
            return joined
        return p.compute(
            how.matrix, x.dtype, lambda index: joined.at(tuple([index[k] for k in how.places]))
        )

    lazy = arranged()
    if p.in_place(lazy) or how.whole:
        return lazy
    x = p.lay_out(x)
    return arranged()


def _runs(axes: Axes) -> list[Axes]:
    """Split axes into maximal runs of consecutive ones: (0, 1, 3) gives [(0, 1), (3,)]."""
    runs: list[Axes] = []
    for axis in axes:
        if runs and runs[-1][-1] + 1 == axis:
            runs[-1] = (*runs[-1], axis)
        else:
            runs.append((axis,))
    return runs


def dot_general(
    lhs: Any,
    rhs: Any,
    dimension_numbers: Any,
    precision: Any = None,
    preferred_element_type: Any = None,
) -> Any:
    """Sum of products over contracted axes, one for each index of the batch axes.

    Parameters
    ----------
    lhs, rhs : array
        Of one dtype.
    dimension_numbers : tuple
        ``((lhs contracting, rhs contracting), (lhs batch, rhs batch))``, each a sequence of axes.
    precision : optional
        Taken for compatibility with JAX; products are always computed in full precision.
    preferred_element_type : dtype, optional
        The dtype to accumulate in and to return; by default that of the operands.

    Returns
    -------
    array
        Of shape (batch axes, free axes of ``lhs``, free axes of ``rhs``).

    Examples
    --------
    >>> dot_general(np.ones((2, 3)), np.ones((3, 4)), (([1], [0]), ([], []))).shape
    (2, 4)
    """
    check_precision("dot_general", precision)
    (contract, batch) = dimension_numbers
    ndims = aval_of(lhs).ndim, aval_of(rhs).ndim
    numbers = tuple(
        tuple(
            tuple(canonicalize_axis(i, n) for i in int_tuple(axes)) for axes, n in zip(pair, ndims)
        )
        for pair in (contract, batch)
    )
    preferred = None if preferred_element_type is None else np.dtype(preferred_element_type)
    if preferred == aval_of(lhs).dtype:
        preferred = None
    return dot_general_p.bind(lhs, rhs, dimension_numbers=numbers, preferred_element_type=preferred)


def dot(
    lhs: Any,
    rhs: Any,
    precision: Any = None,
    preferred_element_type: Any = None,
    *,
    dimension_numbers: Any = None,
) -> Any:
    """Product of vectors and matrices: the last axis of ``lhs`` with the first of ``rhs``.

    With ``dimension_numbers`` it is `dot_general`.
    """
    numbers = dimension_numbers
    if numbers is None:
        numbers = (((aval_of(lhs).ndim - 1,), (0,)), ((), ()))
    return dot_general(lhs, rhs, numbers, precision, preferred_element_type)


def batch_matmul(lhs: Any, rhs: Any, precision: Any = None) -> Any:
    """Matrix products ``(..., m, k) x (..., k, n) -> (..., m, n)`` over equal leading axes."""
    ndim = aval_of(lhs).ndim
    batch = tuple(range(ndim - 2))
    return dot_general(lhs, rhs, (((ndim - 1,), (ndim - 2,)), (batch, batch)), precision)
