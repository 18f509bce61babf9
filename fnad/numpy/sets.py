"""Sets: distinct elements, union, intersection, difference.

Results have as many elements as values decide; ``size`` fixes how many, as in `fnad.numpy.sized`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from fnad.core.dtypes import result_type
from fnad.core.types import BFLOAT16, computing_dtype, kind_of
from fnad.numpy import ufuncs
from fnad.numpy.creation import asarray, full, zeros
from fnad.numpy.indexing import take
from fnad.numpy.joining import concatenate
from fnad.numpy.manipulation import moveaxis, ravel, reshape
from fnad.numpy.operands import Array, as_operand, convert
from fnad.numpy.reductions import cumsum
from fnad.numpy.sized import first_true, known_for, length_of
from fnad.numpy.sorting import searchsorted
from fnad.numpy.updates import at
from fnad.primitives import shape as lax
from fnad.primitives.slicing import slice_in_dim
from fnad.primitives.sorting import sort_p

_INT64 = np.dtype(np.int64)


class UniqueAllResult(NamedTuple):
    """What `unique_all` returns."""

    values: Array
    indices: Array
    inverse_indices: Array
    counts: Array


class UniqueCountsResult(NamedTuple):
    """What `unique_counts` returns."""

    values: Array
    counts: Array


class UniqueInverseResult(NamedTuple):
    """What `unique_inverse` returns."""

    values: Array
    inverse_indices: Array


def _differs(x: Array, y: Array, equal_nan: bool) -> Array:
    """Whether elements differ; NaN differs from NaN unless ``equal_nan``."""
    different = ufuncs.not_equal(x, y)
    if equal_nan and kind_of(x.dtype) in "fc":
        both = ufuncs.logical_and(ufuncs.isnan(x), ufuncs.isnan(y))
        different = ufuncs.logical_and(different, ufuncs.logical_not(both))
    return different


def _sorted_rows(rows: Array) -> tuple[list[Array], Array]:
    """The columns of rows in lexicographic order, and where each row came from."""
    columns = [reshape(slice_in_dim(rows, j, j + 1, 1, 1), (-1,)) for j in range(rows.shape[1])]
    index = lax.iota(_INT64, rows.shape[0])
    *columns, index = sort_p.bind(
        *columns, index, dimension=0, num_keys=len(columns), is_stable=True
    )
    return columns, index


def _distinct(rows: Array, size: int, fill_value: Any, equal_nan: bool) -> tuple[Array, ...]:
    """The first ``size`` distinct rows, their first places, the inverse and the counts."""
    total = rows.shape[0]
    columns, origin = _sorted_rows(rows)
    new = lax.full((total - 1,), False, np.bool_)
    for column in columns:
        upper, lower = slice_in_dim(column, 1, None), slice_in_dim(column, 0, -1)
        new = ufuncs.logical_or(new, _differs(upper, lower, equal_nan))
    new = concatenate([np.ones(1, bool), new])
    group = ufuncs.subtract(cumsum(convert(new, _INT64)), 1)
    inverse = at(lax.full((total,), 0, _INT64))[origin].set(group)
    starts = first_true(new, size)
    missing = ufuncs.equal(starts, total)
    # Without fill value, the first element (the least) fills up.
    places = take(origin, ufuncs.parts.select(missing, np.int64(0), starts))
    values = take(rows, places, 0)
    if fill_value is not None:
        wide = lax.broadcast_in_dim(missing, values.shape, (0,))
        fill = convert(as_operand(fill_value), values.dtype)
        fill = fill if np.ndim(fill) == 0 else lax.broadcast_in_dim(fill, values.shape, (1,))
        values = ufuncs.parts.select(wide, fill, values)
    counts = at(lax.full((size,), 0, _INT64))[group].add(np.int64(1), mode="drop")
    return values, places, inverse, counts


def unique(
    ar: Any,
    return_index: bool = False,
    return_inverse: bool = False,
    return_counts: bool = False,
    axis: int | None = None,
    *,
    equal_nan: bool = True,
    size: int | None = None,
    fill_value: Any = None,
    sorted: bool = True,
) -> Any:
    """The distinct elements of an array, sorted; or its distinct slices along an axis.

    Parameters
    ----------
    ar : array_like
        Any shape.
    return_index, return_inverse, return_counts : bool
        Return also where each value comes first, which value stands at each place (of the shape
        of ``ar``), and how often each value comes.
    axis : int, optional
        Compare slices along this axis, not elements.
    equal_nan : bool
        Whether all NaN count as one.
    size : int, optional
        How many values to return; needed for traced arrays.
    fill_value : scalar, optional
        Stands for values that there are not; the least value by default.
    sorted : bool
        For NumPy's sake: they are always sorted.

    Examples
    --------
    >>> unique(np.array([3, 1, 3]))
    array([1, 3])
    >>> unique(np.array([3, 1, 3]), return_counts=True, size=3, fill_value=0)
    (array([1, 3, 0]), array([1, 2, 0]))
    """
    x = asarray(ar)
    if size is None:
        (known,) = known_for("unique", x)
        plain: Any = np.unique  # its overloads cannot take a bool that is not literal
        options = (return_index, return_inverse, return_counts, axis)
        return _values_in(x.dtype, plain(_sortable(known), *options, equal_nan=equal_nan))
    size = length_of("unique", size)
    place = 0 if axis is None else lax.canonicalize_axis(axis, x.ndim)
    moved = reshape(x, (x.size,)) if axis is None else moveaxis(x, place, 0)
    length, rest = moved.shape[0], moved.shape[1:]
    if length == 0:
        if size and fill_value is None:
            raise ValueError("unique: an empty array has no element that could fill up `size`")
        filling = 0 if fill_value is None else fill_value
        values = full((size, *rest), filling, x.dtype)
        index = counts = zeros(size, np.int64)
        inverse = zeros(0, np.int64)
    elif x.size == 0:
        raise ValueError(f"unique: size= takes arrays with elements, got shape {x.shape}")
    else:
        rows = reshape(moved, (length, moved.size // length))
        values, index, inverse, counts = _distinct(rows, size, fill_value, equal_nan)
    values = moveaxis(reshape(values, (size, *rest)), 0, place)
    inverse = reshape(inverse, x.shape) if axis is None else inverse
    chosen = [(return_index, index), (return_inverse, inverse), (return_counts, counts)]
    outs = (values, *[out for wanted, out in chosen if wanted])
    return outs if len(outs) > 1 else values


def unique_all(x: Any, /, *, size: int | None = None, fill_value: Any = None) -> UniqueAllResult:
    """Distinct values, their first places, the inverse and the counts; every NaN is one.

    Examples
    --------
    >>> unique_all(np.array([3, 1, 3])).counts
    array([1, 2])
    """
    outs = unique(x, True, True, True, equal_nan=False, size=size, fill_value=fill_value)
    return UniqueAllResult(*outs)


def unique_counts(
    x: Any, /, *, size: int | None = None, fill_value: Any = None
) -> UniqueCountsResult:
    """Distinct values and how often each comes; every NaN is one.

    Examples
    --------
    >>> unique_counts(np.array([3, 1, 3])).values
    array([1, 3])
    """
    outs = unique(x, return_counts=True, equal_nan=False, size=size, fill_value=fill_value)
    return UniqueCountsResult(*outs)


def unique_inverse(
    x: Any, /, *, size: int | None = None, fill_value: Any = None
) -> UniqueInverseResult:
    """Distinct values, and which of them stands at each place; every NaN is one.

    Examples
    --------
    >>> unique_inverse(np.array([3, 1, 3])).inverse_indices
    array([1, 0, 1])
    """
    outs = unique(x, return_inverse=True, equal_nan=False, size=size, fill_value=fill_value)
    return UniqueInverseResult(*outs)


def unique_values(x: Any, /, *, size: int | None = None, fill_value: Any = None) -> Array:
    """Distinct values; every NaN is one.

    Examples
    --------
    >>> unique_values(np.array([3, 1, 3]))
    array([1, 3])
    """
    return unique(x, equal_nan=False, size=size, fill_value=fill_value)


def isin(
    element: Any,
    test_elements: Any,
    assume_unique: bool = False,
    invert: bool = False,
    *,
    method: str = "auto",
) -> Array:
    """Whether each element is among the others (or, inverted, is not).

    ``assume_unique`` is taken for NumPy's sake, and ``method`` for JAX's: the others are always
    sorted and searched.

    Examples
    --------
    >>> isin(np.array([1, 2, 3]), [3, 1])
    array([ True, False,  True])
    """
    if method not in ("auto", "compare_all", "binary_search", "sort"):
        raise ValueError(
            f"isin: method must be 'auto', 'compare_all', 'binary_search' or 'sort', got {method!r}"
        )
    x, others = asarray(element), ravel(test_elements)
    if others.size == 0:
        return lax.full(x.shape, invert, np.dtype(bool))
    dtype = result_type(x, others)
    x, others = convert(x, dtype), convert(others, dtype)
    (ordered,) = sort_p.bind(others, dimension=0, num_keys=1, is_stable=True)
    place = ufuncs.minimum(searchsorted(ordered, x), others.size - 1)
    compare = ufuncs.not_equal if invert else ufuncs.equal
    return compare(take(ordered, place), x)


def union1d(ar1: Any, ar2: Any, *, size: int | None = None, fill_value: Any = None) -> Array:
    """The distinct elements of two arrays, sorted; ``size`` as in `unique`.

    Examples
    --------
    >>> union1d([3, 1], [2, 1])
    array([1, 2, 3])
    """
    if size is None:
        return _of_known("union1d", as_operand(ar1), as_operand(ar2))
    both = concatenate([ar1, ar2], axis=None)
    return unique(both, size=size, fill_value=fill_value)


def _firsts(x: Array) -> tuple[Array, Array, Array]:
    """A vector sorted, where its elements came from, and which are the first of their kind."""
    values, origin = sort_p.bind(
        x, lax.iota(_INT64, x.size), dimension=0, num_keys=1, is_stable=True
    )
    upper, lower = slice_in_dim(values, 1, None), slice_in_dim(values, 0, -1)
    new = concatenate([np.ones(min(x.size, 1), bool), _differs(upper, lower, True)])
    return values, origin, new


def _chosen(mask: Array, size: int, fill_value: Any, *xs: Array) -> list[Array]:
    """What a mask selects of vectors, ``size`` elements of each.

    Missing ones are ``fill_value`` in the first vector, and else repeat the first chosen; where
    nothing is chosen they are 0.
    """
    index = first_true(mask, size)
    missing = ufuncs.equal(index, mask.size)
    if size:
        index = ufuncs.parts.select(missing, lax.broadcast_in_dim(index[0], (size,), ()), index)
    outs = [take(x, index, 0, mode="fill", fill_value=0) for x in xs]
    if fill_value is not None:
        outs[0] = ufuncs.parts.select(
            missing, convert(as_operand(fill_value), xs[0].dtype), outs[0]
        )
    return outs


def _vectors(ar1: Any, ar2: Any) -> tuple[Array, Array]:
    x, y = ravel(ar1), ravel(ar2)
    dtype = result_type(x, y)
    return convert(x, dtype), convert(y, dtype)


def _sortable(x: np.ndarray) -> np.ndarray:
    """``x`` for functions of NumPy, which puts NaN of bfloat16 nowhere in particular."""
    return x.astype(computing_dtype(x.dtype), copy=False)


def _values_in(dtype: np.dtype[Any], outs: Any) -> Any:
    """What a function of NumPy returns, the first array of it in ``dtype``."""
    if not isinstance(outs, tuple):
        return outs.astype(dtype, copy=False)
    return (outs[0].astype(dtype, copy=False), *outs[1:])


def _of_known(name: str, x: Array, y: Array, *options: bool) -> Any:
    """NumPy's function of two sets that are known."""
    known, dtype = known_for(name, x, y), result_type(x, y)
    if dtype != BFLOAT16:
        return getattr(np, name)(*known, *options)
    wide = [np.asarray(v, np.float32) for v in known]
    return _values_in(dtype, getattr(np, name)(*wide, *options))


def setdiff1d(
    ar1: Any,
    ar2: Any,
    assume_unique: bool = False,
    *,
    size: int | None = None,
    fill_value: Any = 0,
) -> Array:
    """The distinct elements of ``ar1`` that are not in ``ar2``, sorted.

    ``size`` fixes how many, ``fill_value`` stands for those that there are not. With ``size`` the
    result is sorted and distinct whatever ``assume_unique`` says.

    Examples
    --------
    >>> setdiff1d([3, 1, 2], [2])
    array([1, 3])
    """
    x, y = ravel(ar1), ravel(ar2)
    if size is None:
        known, other = map(_sortable, known_for("setdiff1d", x, y))
        return np.setdiff1d(known, other, assume_unique).astype(x.dtype)
    if x.size == 0:
        return lax.full((length_of("setdiff1d", size),), fill_value, x.dtype)
    values, _, new = _firsts(x)
    mask = ufuncs.logical_and(new, isin(values, y, invert=True))
    return _chosen(mask, length_of("setdiff1d", size), fill_value, values)[0]


def intersect1d(
    ar1: Any,
    ar2: Any,
    assume_unique: bool = False,
    return_indices: bool = False,
    *,
    size: int | None = None,
    fill_value: Any = None,
) -> Any:
    """The distinct elements that are in both arrays, sorted.

    Parameters
    ----------
    ar1, ar2 : array_like
        Any shape; both are flattened.
    assume_unique : bool
        Says that neither array repeats an element.
    return_indices : bool
        Return also where each element comes first in ``ar1`` and in ``ar2``.
    size : int, optional
        How many elements to return; needed for traced arrays.
    fill_value : scalar, optional
        Stands for elements that there are not; the least by default, 0 where there is none.

    Examples
    --------
    >>> intersect1d([3, 1, 2], [2, 3])
    array([2, 3])
    """
    if size is None:
        return _of_known("intersect1d", ravel(ar1), ravel(ar2), assume_unique, return_indices)
    x, y = _vectors(ar1, ar2)
    length = length_of("intersect1d", size)
    if x.size == 0 or y.size == 0:
        indices = lax.full((length,), 0, _INT64)
        values = lax.full((length,), 0 if fill_value is None else fill_value, x.dtype)
        return (values, indices, indices) if return_indices else values
    values, origin, new = _firsts(x)
    others, other_origin, _ = _firsts(y)
    place = take(other_origin, ufuncs.minimum(searchsorted(others, values), y.size - 1))
    mask = ufuncs.logical_and(new, isin(values, others))
    outs = _chosen(mask, length, fill_value, values, origin, place)
    return tuple(outs) if return_indices else outs[0]


def setxor1d(
    ar1: Any,
    ar2: Any,
    assume_unique: bool = False,
    *,
    size: int | None = None,
    fill_value: Any = None,
) -> Array:
    """The distinct elements that are in just one of two arrays, sorted.

    ``size`` and ``fill_value`` as in `intersect1d`.

    Examples
    --------
    >>> setxor1d([3, 1, 2], [2, 4])
    array([1, 3, 4])
    """
    if size is None:
        return _of_known("setxor1d", ravel(ar1), ravel(ar2), assume_unique)
    x, y = _vectors(ar1, ar2)
    length = length_of("setxor1d", size)
    if x.size + y.size == 0:
        return lax.full((length,), 0 if fill_value is None else fill_value, x.dtype)
    values, _, new = _firsts(concatenate([x, y]))
    alone = ufuncs.not_equal(isin(values, x), isin(values, y))
    return _chosen(ufuncs.logical_and(new, alone), length, fill_value, values)[0]
