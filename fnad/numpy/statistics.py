"""Means and variances."""

from __future__ import annotations

import math
import operator
from typing import Any

import numpy as np

from fnad.core.dtypes import canonical_dtype, result_type
from fnad.core.tracer import Tracer
from fnad.core.types import computing_dtype, kind_of
from fnad.numpy import ufuncs
from fnad.numpy.complex_numbers import conjugate, real, squared_magnitude
from fnad.numpy.contraction import dot
from fnad.numpy.creation import asarray, full_like
from fnad.numpy.indexing import diagonal
from fnad.numpy.joining import concatenate
from fnad.numpy.operands import (
    Array,
    as_operand,
    convert,
    expand,
    normalize_axes,
    refuse_out,
)
from fnad.numpy.reductions import Axis, sum
from fnad.numpy.selection import clip
from fnad.primitives.complex_numbers import real_dtype
from fnad.primitives.shape import reshape, transpose


def _mean_dtypes(x: Array, dtype: Any) -> tuple[np.dtype[Any], np.dtype[Any]]:
    """The dtypes of a mean: in which it is computed, and of the result."""
    if dtype is not None:
        result = canonical_dtype(dtype)
        return result, result
    result = x.dtype if kind_of(x.dtype) in "fc" else np.dtype(np.float64)
    return computing_dtype(result), result


def _count(x: Array, axes: tuple[int, ...], where: Any, keepdims: bool) -> Any:
    if where is None:
        return as_operand(math.prod(x.shape[i] for i in axes))
    return sum(expand(as_operand(where), x.shape), axes, np.int64, None, keepdims)


def _divide_by_count(total: Array, count: Any) -> Array:
    if not isinstance(count, int):
        count = convert(count, total.dtype)
    elif kind_of(total.dtype) in "fc":
        count = total.dtype.type(count)
    return convert(ufuncs.true_divide(total, count), total.dtype)


def mean(
    a: Any,
    axis: Axis = None,
    dtype: Any = None,
    out: None = None,
    keepdims: bool = False,
    where: Any = None,
) -> Array:
    """Arithmetic mean along axes; float64 for integers, float16 is computed in float32.

    Examples
    --------
    >>> mean(np.array([1, 2]))
    np.float64(1.5)
    """
    refuse_out("mean", out)
    x = asarray(a)
    computed, result = _mean_dtypes(x, dtype)
    axes = normalize_axes(axis, x.ndim)
    total = sum(x, axes, computed, None, keepdims, where=where)
    return convert(_divide_by_count(total, _count(x, axes, where, keepdims)), result)


def average(
    a: Any,
    axis: Axis = None,
    weights: Any = None,
    returned: bool = False,
    keepdims: bool = False,
) -> Any:
    """Weighted mean along axes; with ``returned`` also the sum of the weights.

    Examples
    --------
    >>> average(np.array([1.0, 4.0]), weights=np.array([2.0, 1.0]))
    np.float64(2.0)
    """
    x = asarray(a)
    if weights is None:
        out = mean(x, axis, keepdims=keepdims)
        count = math.prod(x.shape[i] for i in normalize_axes(axis, x.ndim))
        return (out, full_like(out, count)) if returned else out
    w = asarray(weights)
    axes = normalize_axes(axis, x.ndim)
    if w.shape != x.shape:
        if w.ndim != len(axes) or w.shape != tuple(x.shape[i] for i in axes):
            raise ValueError(f"shape of weights {w.shape} must be consistent with {x.shape}")
        w = reshape(w, tuple(n if i in axes else 1 for i, n in enumerate(x.shape)))
        w = expand(w, x.shape)
    dtype = result_type(x, w)
    if x.dtype.kind in "biu":
        dtype = result_type(dtype, np.float64)
    weighted = ufuncs.multiply(convert(x, dtype), convert(w, dtype))
    total = sum(w, axes, weighted.dtype, None, keepdims)
    out = ufuncs.true_divide(sum(weighted, axes, None, None, keepdims), total)
    return (out, convert(total, out.dtype)) if returned else out


def one_ddof(ddof: float, correction: float | None) -> float:
    """``ddof``, of which ``correction`` is another name."""
    if correction is None:
        return ddof
    if ddof:
        raise ValueError(
            f"var, std: ddof and correction are two names of one thing, got {ddof} and {correction}"
        )
    return correction


_mean = mean  # of which `var` has a parameter


def var(
    a: Any,
    axis: Axis = None,
    dtype: Any = None,
    out: None = None,
    ddof: float = 0,
    keepdims: bool = False,
    where: Any = None,
    correction: float | None = None,
    *,
    mean: Any = None,
) -> Array:
    """Variance along axes, the squared deviations being divided by ``count - ddof``.

    That of complex numbers is real: the deviations are distances in the plane. ``mean``, where it
    is known already (with ``keepdims=True``), is not computed again.

    Examples
    --------
    >>> var(np.array([1.0, 3.0])), var(np.array([1.0, 3.0]), ddof=1)
    (np.float64(1.0), np.float64(2.0))
    """
    refuse_out("var", out)
    x = asarray(a)
    ddof = one_ddof(ddof, correction)
    computed, result = _mean_dtypes(x, dtype)
    axes = normalize_axes(axis, x.ndim)
    x = convert(x, computed)
    if mean is None:
        center = _mean(x, axes, keepdims=True, where=where)
    else:
        center = convert(asarray(mean), computed)
    deviation = ufuncs.subtract(x, center)
    # Of complex numbers, the mean of |deviation|**2, which is real.
    computed, result = real_dtype(computed), real_dtype(result)
    total = sum(squared_magnitude(deviation), axes, computed, None, keepdims, where=where)
    count = _count(x, axes, where, keepdims)
    if isinstance(count, int):
        left = computed.type(count - ddof if count > ddof else 0)
    else:
        left = ufuncs.maximum(convert(ufuncs.subtract(count, ddof), computed), 0)
    return convert(ufuncs.true_divide(total, left), result)


def std(
    a: Any,
    axis: Axis = None,
    dtype: Any = None,
    out: None = None,
    ddof: float = 0,
    keepdims: bool = False,
    where: Any = None,
    correction: float | None = None,
    *,
    mean: Any = None,
) -> Array:
    """Standard deviation along axes; parameters as for `var`.

    Examples
    --------
    >>> std(np.array([1.0, 3.0]))
    np.float64(1.0)
    """
    refuse_out("std", out)
    variance = var(a, axis, dtype, None, ddof, keepdims, where, correction, mean=mean)
    return ufuncs.sqrt(variance)


def _observations(name: str, m: Any, rowvar: bool, dtype: np.dtype[Any]) -> Array:
    """Variables in rows, observations in columns."""
    x = convert(asarray(m), dtype)
    if x.ndim > 2:
        raise ValueError(f"{name}: variables and observations are two axes, got shape {x.shape}")
    if x.ndim < 2:
        return reshape(x, (1, x.size))
    return x if rowvar else transpose(x, (1, 0))


def _weights(name: str, weights: Any, count: int, dtype: np.dtype[Any]) -> Array:
    w = asarray(weights)
    if w.shape != (count,):
        raise ValueError(f"cov: {name} of shape {w.shape} for {count} observations")
    if name == "fweights" and w.dtype.kind not in "iu":
        raise TypeError(f"cov: fweights count observations, in integers; got {w.dtype}")
    if not isinstance(w, Tracer) and np.any(w < 0):
        raise ValueError(f"cov: {name} must not be negative, got {w.min()}")
    return convert(w, dtype)


def cov(
    m: Any,
    y: Any = None,
    rowvar: bool = True,
    bias: bool = False,
    ddof: int | None = None,
    fweights: Any = None,
    aweights: Any = None,
    dtype: Any = None,
) -> Array:
    """Covariances of variables.

    Parameters
    ----------
    m : array_like
        Of shape (variables, observations), or (observations,).
    y : array_like, optional
        More variables with the same observations.
    rowvar : bool
        Whether variables are rows; otherwise they are columns.
    bias : bool
        Divide by the number of observations, not by one less.
    ddof : int, optional
        What is subtracted from that number; overrides ``bias``.
    fweights : array_like of int, optional
        How often each observation was made, of shape (observations,).
    aweights : array_like, optional
        How much each observation matters, of shape (observations,).
    dtype : dtype, optional
        At least float64 by default.

    Returns
    -------
    array
        Of shape (variables, variables), or () for a single variable.

    Examples
    --------
    >>> cov(np.array([[1.0, 2.0, 3.0], [6.0, 4.0, 2.0]]))
    array([[ 1., -2.],
           [-2.,  4.]])
    """
    given = [asarray(m)] if y is None else [asarray(m), asarray(y)]
    computed = canonical_dtype(dtype) if dtype is not None else result_type(*given, np.float64(0))
    x = concatenate([_observations("cov", v, rowvar, computed) for v in given], 0)
    count = x.shape[1]
    ddof = (0 if bias else 1) if ddof is None else operator.index(ddof)
    # Weights are real, also where the variables are complex.
    exact = np.dtype(np.float64) if kind_of(computed) == "c" else computed
    w: Any = None
    if fweights is not None:
        w = _weights("fweights", fweights, count, exact)
    if aweights is not None:
        a = _weights("aweights", aweights, count, exact)
        w = a if w is None else ufuncs.multiply(w, a)
    total: Any = convert(as_operand(count), exact) if w is None else sum(w)
    # The degrees of freedom, as NumPy counts them for weights of observations.
    lost = ddof if aweights is None else ddof * sum(ufuncs.multiply(w, a)) / total
    center = average(x, 1, w, keepdims=True)
    x = ufuncs.subtract(x, center)
    weighted = x if w is None else ufuncs.multiply(x, w)
    products = dot(weighted, conjugate(transpose(x, (1, 0))))
    divisor = convert(ufuncs.maximum(total - lost, 0), exact)
    out = ufuncs.true_divide(products, convert(divisor, computed))
    return reshape(out, ()) if out.shape == (1, 1) else out


def corrcoef(x: Any, y: Any = None, rowvar: bool = True, dtype: Any = None) -> Array:
    """Correlation coefficients of variables, from -1 to 1; parameters as for `cov`.

    Examples
    --------
    >>> corrcoef(np.array([[1.0, 2.0, 3.0], [6.0, 4.0, 2.0]]))
    array([[ 1., -1.],
           [-1.,  1.]])
    """
    c = cov(x, y, rowvar, dtype=dtype)
    if c.ndim == 0:
        return ufuncs.true_divide(c, c)
    deviation = ufuncs.sqrt(real(diagonal(c)))
    n = deviation.shape[0]
    c = ufuncs.true_divide(c, reshape(deviation, (n, 1)))
    c = ufuncs.true_divide(c, reshape(deviation, (1, n)))
    # Rounding may lead beyond the bounds.
    return clip(c, -1, 1) if kind_of(c.dtype) == "f" else c
