"""Norms of vectors and matrices."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from fnad.core.tracer import current_trace
from fnad.core.types import kind_of
from fnad.numpy import reductions, ufuncs
from fnad.numpy.complex_numbers import imag, real, squared_magnitude
from fnad.numpy.creation import asarray
from fnad.numpy.dtype_info import finfo
from fnad.numpy.manipulation import matrix_transpose, moveaxis, reshape
from fnad.numpy.operands import Array, constant_like, convert, normalize_axes
from fnad.numpy.reductions import sum as sum_of
from fnad.numpy.selection import where
from fnad.numpy.singular_factors import extreme_slope, unitary_factor
from fnad.numpy.solving import as_matrices, inv
from fnad.numpy.spectral import svdvals
from fnad.primitives.custom import custom_jvp

Axes = tuple[int, ...]
_DOUBLE = (np.dtype(np.float64), np.dtype(np.complex128))


def norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Array:
    """Norm of vectors (any order) or matrices (``"fro"``, ``"nuc"``, 1, -1, 2, -2, inf, -inf).

    Parameters
    ----------
    x : array_like
        Any shape.
    ord : float or str, optional
        The order; by default the root of the sum of squares.
    axis : int or pair of int, optional
        The axis of the vectors or the two axes of the matrices.
    keepdims : bool
        Keep the axes, with length 1.

    Returns
    -------
    array
        The root of a sum of squares has no derivative where it is zero, and says NaN; the sum of
        squares has. In single precision it has the right derivative also where the squares leave
        the range of the dtype, and it is itself 0 or infinite, as NumPy's is; in double precision
        that takes elements below 1e-146 or above 1e154. Norms of singular values have derivatives
        where those are equal, too: ``"nuc"`` of every order where the matrix has full rank, 2 and
        -2 where the extreme singular value is single (else the first is one of many, and further
        ones are NaN).

    Examples
    --------
    >>> norm(np.array([3.0, 4.0]))
    np.float64(5.0)
    >>> norm(np.array([[3.0, 1.0], [-2.0, 0.0]]), 1)
    np.float64(5.0)
    """
    a = _inexact(x)
    if axis is None and ord is None:
        return _root_of_squares(a, tuple(range(a.ndim)), keepdims)
    axes = normalize_axes(axis, a.ndim)
    if len(axes) == 1:
        return _vector_norm(a, ord, axes, keepdims)
    if len(axes) == 2:
        return _matrix_norm(a, ord, axes, keepdims)
    raise ValueError(
        f"norm: of vectors along one axis, or of matrices along two, got {len(axes)}; flatten more,"
        " or take vector_norm"
    )


def vector_norm(x: Any, /, *, axis: Any = None, keepdims: bool = False, ord: Any = 2) -> Array:
    """Norm of vectors along one or more axes, which count as one; by default along all.

    Examples
    --------
    >>> vector_norm(np.array([[3.0, 4.0], [0.0, 1.0]]), axis=-1, ord=1)
    array([7., 1.])
    """
    a = _inexact(x)
    axes = normalize_axes(axis, a.ndim)
    kept = tuple(1 if i in axes else n for i, n in enumerate(a.shape))
    a = moveaxis(a, axes, tuple(range(a.ndim - len(axes), a.ndim)))
    a = reshape(a, (*a.shape[: a.ndim - len(axes)], math.prod(a.shape[a.ndim - len(axes) :])))
    out = _vector_norm(a, ord, (a.ndim - 1,), False)
    return reshape(out, kept) if keepdims else out


def matrix_norm(x: Any, /, *, keepdims: bool = False, ord: Any = "fro") -> Array:
    """Norm of matrices ``(..., m, n)``; ``ord`` as for `norm`.

    Examples
    --------
    >>> matrix_norm(np.array([[3.0, 0.0], [4.0, 2.0]]), ord=1)
    np.float64(7.0)
    """
    a = asarray(x)
    if a.ndim < 2:
        raise ValueError(f"matrix_norm: needs an array of at least two axes, got shape {a.shape}")
    return norm(a, ord, (-2, -1), keepdims)


def _inexact(x: Any) -> Array:
    a = asarray(x)
    return a if kind_of(a.dtype) in "fc" else convert(a, np.dtype(np.float64))


def _root_of_squares(a: Array, axes: Axes, keepdims: bool) -> Array:
    if _is_of_nothing(a, axes):
        return sum_of(ufuncs.absolute(a), axes, None, None, keepdims)
    function = _root if a.dtype in _DOUBLE or current_trace() is None else _smooth_root
    return function(a, axes, keepdims)


def _is_of_nothing(a: Array, axes: Axes) -> bool:
    """Whether norms are zeros that depend on nothing: a root of zero would have no derivative."""
    return math.prod(a.shape[i] for i in axes) == 0


def _root(a: Array, axes: Axes, keepdims: bool) -> Array:
    return ufuncs.sqrt(sum_of(squared_magnitude(a), axes, None, None, keepdims))


_smooth_root = partial(custom_jvp, nondiff_argnums=(1, 2))(_root)


@_smooth_root.defjvp
def _(
    axes: Axes, keepdims: bool, primals: Sequence[Array], tangents: Sequence[Array]
) -> tuple[Array, Array]:
    # In double precision no square over- or underflows. What is divided by the length is scaled by
    # a power of two, so that its inverse does not, either.
    (a,), (t,) = primals, tangents
    wide = convert(a, np.dtype(np.complex128 if a.dtype.kind == "c" else np.float64))
    length = _root(wide, axes, True)
    out = _smooth_root(a, axes, keepdims)
    large, one = 2.0 ** (finfo(out.dtype).maxexp * 5 // 8), constant_like(length, 1)
    scale = where(length < 1 / large, large, where(length > large, 1 / large, one))
    scaled = ufuncs.multiply(a, convert(scale, out.dtype))
    terms = sum_of(_inner(scaled, t), axes, keepdims=True)
    slope = ufuncs.divide(terms, convert(ufuncs.multiply(length, scale), out.dtype))
    return out, reshape(slope, out.shape)


def _inner(x: Array, y: Array) -> Array:
    """The products of elements, of complex ones as pairs of real numbers."""
    if kind_of(x.dtype) != "c":
        return ufuncs.multiply(x, y)
    return ufuncs.add(ufuncs.multiply(real(x), real(y)), ufuncs.multiply(imag(x), imag(y)))


def _vector_norm(a: Array, ord: Any, axes: Axes, keepdims: bool) -> Array:
    if ord is None or ord == 2:
        return _root_of_squares(a, axes, keepdims)
    if isinstance(ord, str):
        raise ValueError(f"Invalid norm order {ord!r} for vectors")
    size = ufuncs.absolute(a)
    if ord == math.inf:
        return _largest(size, axes, keepdims)
    if ord == -math.inf:
        return reductions.min(size, axes, None, keepdims)
    if ord == 0:
        return sum_of(convert(ufuncs.not_equal(a, 0), size.dtype), axes, None, None, keepdims)
    if ord == 1 or (ord > 0 and _is_of_nothing(a, axes)):
        return sum_of(size, axes, None, None, keepdims)
    total = sum_of(ufuncs.power(size, float(ord)), axes, None, None, keepdims)
    return ufuncs.power(total, 1.0 / ord)


def _matrix_norm(a: Array, ord: Any, axes: Axes, keepdims: bool) -> Array:
    if ord in (None, "fro", "f"):
        return _root_of_squares(a, axes, keepdims)
    if ord in (2, -2, "nuc"):
        return _spectral_norm(a, ord, axes, keepdims)
    if ord not in (1, -1, math.inf, -math.inf):
        raise ValueError(
            f"norm: matrices have no norm of order {ord!r}; use 'fro', 'nuc', 1, -1, 2, -2, inf or"
            " -inf"
        )
    summed, other = axes if abs(ord) == 1 else axes[::-1]
    sums = sum_of(ufuncs.absolute(a), summed, keepdims=True)
    out = (_largest if ord > 0 else reductions.min)(sums, other, keepdims=True)
    if keepdims:
        return out
    return reshape(out, tuple(n for i, n in enumerate(a.shape) if i not in axes))


def _spectral_norm(a: Array, ord: Any, axes: Axes, keepdims: bool) -> Array:
    kept = tuple(1 if i in axes else n for i, n in enumerate(a.shape))
    matrices = moveaxis(a, axes, (-2, -1))
    if 0 in matrices.shape[-2:]:
        values = svdvals(matrices)
        out = (reductions.min if ord == -2 else _largest)(values, -1)
    else:
        tall = matrices.shape[-2] >= matrices.shape[-1]
        out = _norm_of_values(ord, matrices if tall else matrix_transpose(matrices))
    return reshape(out, kept) if keepdims else out


@partial(custom_jvp, nondiff_argnums=(0,))
def _norm_of_values(ord: Any, a: Array) -> Array:
    s = svdvals(a)
    return sum_of(s, -1) if ord == "nuc" else s[..., 0 if ord == 2 else -1]


@_norm_of_values.defjvp
def _(ord: Any, primals: Sequence[Array], tangents: Sequence[Array]) -> tuple[Array, Array]:
    (a,), (t,) = primals, tangents
    slope = unitary_factor(a) if ord == "nuc" else extreme_slope(ord == 2, a)
    return _norm_of_values(ord, a), sum_of(_inner(slope, t), (-2, -1))


def _largest(sizes: Array, axis: Any, keepdims: bool = False) -> Array:
    """The largest of numbers that are not negative; 0 of none, as in NumPy."""
    axes = normalize_axes(axis, sizes.ndim)
    initial = 0 if _is_of_nothing(sizes, axes) else None
    return reductions.max(sizes, axes, None, keepdims, initial=initial)


def cond(x: Any, p: Any = None) -> Array:
    """The condition numbers of matrices: their norm times that of their inverse.

    Parameters
    ----------
    x : array_like
        ``(..., m, n)``; square unless ``p`` is None, 2 or -2.
    p : optional
        The order of the norm, as for `norm`; by default 2.

    Returns
    -------
    array
        ``(...)``; infinite for singular matrices.

    Examples
    --------
    >>> cond(np.diag([4.0, 2.0]))
    np.float64(2.0)
    """
    a = as_matrices("cond", x, square=p not in (None, 2, -2))
    if 0 in a.shape[-2:]:
        raise ValueError(f"cond: a matrix without elements has no condition, got shape {a.shape}")
    if p in (None, 2, -2):
        s = svdvals(a)
        first, last = s[..., 0], s[..., -1]
        ratio = ufuncs.divide(last, first) if p == -2 else ufuncs.divide(first, last)
    else:
        ratio = ufuncs.multiply(matrix_norm(a, ord=p), matrix_norm(inv(a), ord=p))
    given = reductions.any(ufuncs.isnan(a), (-2, -1))
    undefined = ufuncs.logical_and(ufuncs.isnan(ratio), ufuncs.logical_not(given))
    return where(undefined, constant_like(ratio, np.inf), ratio)
