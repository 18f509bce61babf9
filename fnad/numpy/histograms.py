"""Counting: how often a number occurs, and how many numbers lie between edges."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fnad.core.dtypes import result_type
from fnad.core.tracer import Tracer
from fnad.core.types import kind_of
from fnad.numpy import ufuncs
from fnad.numpy.complex_numbers import imag, real
from fnad.numpy.creation import asarray, full
from fnad.numpy.differences import diff
from fnad.numpy.manipulation import flip, ravel, reshape
from fnad.numpy.operands import Array, as_operand, convert, expand, to_inexact
from fnad.numpy.ranges import linspace
from fnad.numpy.reductions import max, min, sum
from fnad.numpy.selection import where
from fnad.numpy.sorting import searchsorted
from fnad.numpy.updates import at
from fnad.primitives.complex_numbers import complex as make_complex
from fnad.primitives.slicing import slice_in_dim

_INT64 = np.dtype(np.int64)


def bincount(
    x: Any, weights: Any = None, minlength: int = 0, *, length: int | None = None
) -> Array:
    """How often each of the integers 0, 1, 2, ... occurs, or the sum of its weights.

    Parameters
    ----------
    x : array_like of int
        Not negative, of shape (n,); traced negative numbers count as 0.
    weights : array_like, optional
        Of shape (n,); what each number adds, in float64.
    minlength : int
        The result has at least this length.
    length : int, optional
        The length of the result; larger numbers are not counted. By default the largest number
        decides, which has to be known: traced functions that are compiled need ``length``.

    Examples
    --------
    >>> bincount(np.array([1, 3, 1]))
    array([0, 2, 0, 1])
    >>> bincount(np.array([1, 3, 1]), weights=np.array([0.5, 1.0, 2.0]), length=2)
    array([0. , 2.5])
    """
    numbers = asarray(x)
    if numbers.ndim != 1:
        raise ValueError(f"bincount: x must have one axis, got shape {numbers.shape}; ravel it")
    if numbers.dtype.kind not in "biu" and numbers.shape[0]:
        raise TypeError(f"bincount: x must hold integers, got {numbers.dtype}")
    numbers = convert(numbers, _INT64)
    if not isinstance(numbers, Tracer) and np.any(numbers < 0):
        raise ValueError(f"bincount: x must not be negative, got {np.min(numbers)}")
    if length is None:
        length = _needed_length(numbers, minlength)
    dtype: np.dtype[Any] = _INT64 if weights is None else np.dtype(np.float64)
    added = np.int64(1)
    if weights is not None:
        added = convert(asarray(weights), dtype)
        if added.shape != numbers.shape:
            raise ValueError(
                f"bincount: weights of shape {added.shape} for x of shape {numbers.shape}"
            )
    counts = full(length, 0, dtype)
    return at(counts)[ufuncs.maximum(numbers, 0)].add(added, mode="fill")


def _needed_length(numbers: Array, minlength: int) -> int:
    if numbers.shape[0] == 0:
        return minlength
    try:
        largest = int(max(numbers))
    except TypeError as error:
        raise TypeError(
            "bincount: the length of the result depends on a traced array; pass length="
        ) from error
    return largest + 1 if largest >= minlength else minlength


def digitize(x: Any, bins: Any, right: bool = False, *, method: str | None = None) -> Array:
    """The number of the bin that each element lies in, 0 below all edges and n above them.

    Parameters
    ----------
    x : array_like
        Real, any shape.
    bins : array_like
        Edges, of shape (n,), ascending or descending.
    right : bool
        Whether intervals include their upper edge and not their lower one.
    method : str, optional
        One of those of `searchsorted`.

    Examples
    --------
    >>> digitize(np.array([0.5, 1.0, 9.0]), np.array([0.0, 1.0, 2.0]))
    array([1, 2, 3])
    """
    edges = asarray(bins)
    if edges.ndim != 1:
        raise ValueError(f"digitize: bins must have one axis, got shape {edges.shape}")
    count = edges.shape[0]
    if not isinstance(edges, Tracer) and not _is_monotonic(edges):
        raise ValueError("digitize: bins must ascend or descend; sort them")
    side = "left" if right else "right"
    ascending = searchsorted(edges, x, side, method=method or "scan")
    if count < 2:
        return ascending
    descending = count - searchsorted(flip(edges), x, side)
    first, last = (slice_in_dim(edges, i, i + 1, 1, 0) for i in (0, count - 1))
    falls = expand(reshape(ufuncs.less(last, first), ()), ascending.shape)
    return where(falls, descending, ascending)


def _is_monotonic(edges: np.ndarray) -> bool:
    steps = np.diff(edges)
    return bool(np.all(steps >= 0) or np.all(steps <= 0))


def _edges(name: str, x: Array, bins: Any, limits: Any) -> Array:
    """The edges of bins, ascending, as an inexact array."""
    if isinstance(bins, str):
        raise ValueError(f"{name}: bins={bins!r} depends on values; give a number, or the edges")
    given = asarray(bins)
    if given.ndim == 1:
        if not isinstance(given, Tracer) and np.any(np.diff(given) < 0):
            raise ValueError(f"{name}: edges must ascend, got {bins}; sort them")
        return given
    if given.ndim != 0 or isinstance(given, Tracer) or given.dtype.kind not in "iu":
        raise TypeError(f"{name}: bins must be a known int or an array of edges, got {bins}")
    if given < 1:
        raise ValueError(f"{name}: bins must be positive, got {bins}")
    low, high = _limits(name, x, limits)
    flat = ufuncs.equal(low, high)
    low = where(flat, ufuncs.subtract(low, 0.5), low)
    high = where(flat, ufuncs.add(high, 0.5), high)
    return linspace(low, high, int(given) + 1)


def _limits(name: str, x: Array, limits: Any) -> tuple[Array, Array]:
    if limits is None:
        if x.size == 0:
            return np.float64(0), np.float64(1)
        x = convert(x, np.dtype(np.uint8)) if x.dtype.kind == "b" else x
        return to_inexact(min(x)), to_inexact(max(x))
    try:
        low, high = limits
    except (TypeError, ValueError):
        raise ValueError(f"{name}: range must be a pair (low, high), got {limits!r}") from None
    known = not isinstance(low, Tracer) and not isinstance(high, Tracer)
    if known and not (low <= high and np.isfinite(high - low)):
        raise ValueError(f"{name}: range must be finite and ascend, got ({low}, {high})")
    dtype = result_type(as_operand(low), as_operand(high), x)
    dtype = dtype if kind_of(dtype) == "f" else np.dtype(np.float64)
    return convert(as_operand(low), dtype), convert(as_operand(high), dtype)


def histogram_bin_edges(a: Any, bins: Any = 10, range: Any = None, weights: Any = None) -> Array:
    """The edges that `histogram` uses for ``bins`` and ``range``.

    ``weights`` must have the shape of ``a``, as in NumPy; no edge depends on them.

    Examples
    --------
    >>> histogram_bin_edges(np.array([0.0, 4.0]), bins=2)
    array([0., 2., 4.])
    """
    x = asarray(a)
    if weights is not None and asarray(weights).shape != x.shape:
        raise ValueError(
            f"histogram_bin_edges: weights of shape {asarray(weights).shape} for numbers of shape"
            f" {x.shape}; give one each"
        )
    return _edges("histogram_bin_edges", x, bins, range)


def _bin_numbers(x: Array, edges: Array) -> Array:
    """Like `digitize`, with the last edge in the last bin."""
    count = edges.shape[0]
    last = expand(slice_in_dim(edges, count - 1, count, 1, 0), x.shape)
    return where(ufuncs.equal(x, last), count - 1, searchsorted(edges, x, "right"))


def _total(numbers: Array, weights: Any, length: int) -> Array:
    if weights is None:
        return bincount(numbers, length=length)
    w = asarray(weights)
    if w.size != numbers.size:
        raise ValueError(f"weights of shape {w.shape} for {numbers.size} numbers; give one each")
    if w.dtype.kind == "c":
        return make_complex(*[_total(numbers, part, length) for part in (real(w), imag(w))])
    return convert(bincount(numbers, ravel(w), length=length), w.dtype)


def histogram(
    a: Any, bins: Any = 10, range: Any = None, weights: Any = None, density: bool = False
) -> tuple[Array, Array]:
    """How many elements lie in each of several bins, and the edges of the bins.

    Parameters
    ----------
    a : array_like
        Real, any shape.
    bins : int or array_like
        A number of bins of equal width, or their edges, ascending.
    range : (float, float), optional
        What bins of equal width cover; by default all elements.
    weights : array_like, optional
        Of the shape of ``a``; what each element adds.
    density : bool
        Divide by the sum and the widths, so that the integral is 1.

    Examples
    --------
    >>> counts, edges = histogram(np.array([1.0, 2.0, 2.5, 5.0]), bins=2)
    >>> counts, edges
    (array([3, 1]), array([1., 3., 5.]))
    """
    x = ravel(asarray(a))
    edges = _edges("histogram", x, bins, range)
    count = edges.shape[0]
    inner = slice_in_dim(_total(_bin_numbers(x, edges), weights, count + 1), 1, count, 1, 0)
    if density:
        widths = convert(diff(edges), np.dtype(np.float64))
        inner = ufuncs.true_divide(ufuncs.true_divide(inner, widths), sum(inner))
    return inner, edges


def histogramdd(
    sample: Any,
    bins: Any = 10,
    range: Sequence[Any] | None = None,
    weights: Any = None,
    density: bool = False,
) -> tuple[Array, list[Array]]:
    """How many points lie in each cell of a grid, and the edges of the cells along each axis.

    Parameters
    ----------
    sample : array_like or sequence of array_like
        Points of shape (n, d), or a list of d arrays of coordinates of shape (n,).
    bins : int, array_like or sequence of them
        As for `histogram`, for all axes or one for each.
    range : sequence of (float, float), optional
        One for each axis, or None.
    weights : array_like, optional
        Of shape (n,); what each point adds.
    density : bool
        Divide by the sum and the volumes of the cells.

    Examples
    --------
    >>> counts, edges = histogramdd(np.array([[0.0, 0.0], [1.0, 1.0], [1.0, 0.9]]), bins=2)
    >>> counts
    array([[1., 0.],
           [0., 2.]])
    """
    if isinstance(sample, (list, tuple)):
        columns = [ravel(asarray(c)) for c in sample]
    else:
        points = asarray(sample)
        points = points[:, None] if points.ndim == 1 else points
        if points.ndim != 2:
            raise ValueError(f"histogramdd: points of shape (n, d), got {points.shape}")
        columns = [
            reshape(slice_in_dim(points, i, i + 1, 1, 1), (-1,)) for i, _ in enumerate(points.T)
        ]
    each = bins if isinstance(bins, (list, tuple)) else [bins] * len(columns)
    limits = [None] * len(columns) if range is None else range
    if not len(each) == len(limits) == len(columns):
        raise ValueError(
            f"histogramdd: {len(each)} bins and {len(limits)} ranges for {len(columns)} axes"
        )
    # A range decides the dtype of the edges alone, other than in `histogram`.
    binned = [c if r is None else convert(c, np.dtype(np.float64)) for c, r in zip(columns, limits)]
    edges = [_edges("histogramdd", c, b, r) for c, b, r in zip(binned, each, limits)]
    place: Any = 0
    cells = 1
    for column, edge in zip(columns, edges):
        place = ufuncs.add(ufuncs.multiply(place, edge.shape[0] + 1), _bin_numbers(column, edge))
        cells *= edge.shape[0] + 1
    counts = reshape(_total(place, weights, cells), [e.shape[0] + 1 for e in edges])
    for axis, edge in enumerate(edges):
        counts = slice_in_dim(counts, 1, edge.shape[0], 1, axis)
    counts = convert(counts, np.dtype(np.float64))
    if density:
        counts = ufuncs.true_divide(counts, sum(counts))
        for axis, edge in enumerate(edges):
            shape = [-1 if i == axis else 1 for i, _ in enumerate(edges)]
            counts = ufuncs.true_divide(counts, reshape(diff(edge), shape))
    return counts, edges


def histogram2d(
    x: Any,
    y: Any,
    bins: Any = 10,
    range: Sequence[Any] | None = None,
    weights: Any = None,
    density: bool = False,
) -> tuple[Array, Array, Array]:
    """How many points (x, y) lie in each cell of a grid, and the edges; see `histogramdd`.

    Examples
    --------
    >>> histogram2d(np.array([0.0, 1.0]), np.array([0.0, 1.0]), bins=2)[0]
    array([[1., 0.],
           [0., 1.]])
    """
    both = bins if isinstance(bins, (list, tuple)) and len(bins) == 2 else [bins, bins]
    counts, (x_edges, y_edges) = histogramdd([x, y], list(both), range, weights, density)
    return counts, x_edges, y_edges
