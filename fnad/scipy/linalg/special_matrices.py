"""Matrices with a structure, or with a name."""

from __future__ import annotations

from typing import Any

import numpy as np

import fnad.numpy as fnp
from fnad.numpy.operands import Array, convert
from fnad.numpy.ranges import positions
from fnad.scipy.linalg.operands import as_int


def block_diag(*arrs: Any) -> Array:
    """Matrices side by side along the diagonal, zeros elsewhere.

    Parameters
    ----------
    *arrs : array_like
        Of up to two axes; vectors are rows.

    Examples
    --------
    >>> block_diag(np.array([[1, 2]]), 3)
    array([[1, 2, 0],
           [0, 0, 3]])
    """
    blocks = [fnp.asarray(x) for x in arrs] or [np.zeros((1, 0))]
    for i, x in enumerate(blocks):
        if x.ndim > 2:
            raise ValueError(
                f"block_diag: takes arrays of up to two axes, got shape {x.shape} at position {i}"
            )
    dtype = fnp.result_type(*blocks)
    blocks = [convert(fnp.atleast_2d(x), dtype) for x in blocks]
    width, start, rows = sum(x.shape[1] for x in blocks), 0, []
    for x in blocks:
        rows.append(fnp.pad(x, [(0, 0), (start, width - start - x.shape[1])]))
        start += x.shape[1]
    return fnp.concatenate(rows)


def _along(x: Array, index: Array) -> Array:
    """``x[..., index]`` for a matrix of indices."""
    return fnp.take(x, index, -1)


def toeplitz(c: Any, r: Any = None) -> Array:
    """Matrices with constant diagonals.

    Parameters
    ----------
    c : array_like
        ``(..., m)``, the first column.
    r : array_like, optional
        ``(..., n)``, the first row, whose first element is not read; by default the conjugate of
        ``c``.

    Returns
    -------
    array
        ``(..., m, n)``.

    Examples
    --------
    >>> toeplitz([1, 2], [1, 5, 6])
    array([[1, 5, 6],
           [2, 1, 5]])
    """
    c = fnp.atleast_1d(fnp.asarray(c))
    r = fnp.conjugate(c) if r is None else fnp.atleast_1d(fnp.asarray(r))
    m, n = c.shape[-1], r.shape[-1]
    values = _joined(c[..., ::-1], r[..., 1:])
    return _along(values, m - 1 - positions(0, m)[:, None] + positions(0, n))


def hankel(c: Any, r: Any = None) -> Array:
    """Matrices with constant antidiagonals.

    Parameters
    ----------
    c : array_like
        ``(..., m)``, the first column.
    r : array_like, optional
        ``(..., n)``, the last row, whose first element is not read; by default zeros.

    Examples
    --------
    >>> hankel([1, 2], [2, 5, 6])
    array([[1, 2, 5],
           [2, 5, 6]])
    """
    c = fnp.atleast_1d(fnp.asarray(c))
    r = fnp.zeros_like(c) if r is None else fnp.atleast_1d(fnp.asarray(r))
    m, n = c.shape[-1], r.shape[-1]
    values = _joined(c, r[..., 1:])
    return _along(values, positions(0, m)[:, None] + positions(0, n))


def _joined(first: Array, second: Array) -> Array:
    batch = fnp.broadcast_shapes(first.shape[:-1], second.shape[:-1])
    return fnp.concatenate(
        [fnp.broadcast_to(x, (*batch, x.shape[-1])) for x in (first, second)], -1
    )


def circulant(c: Any) -> Array:
    """Matrices ``(..., n, n)`` whose columns are turns of the first, ``(..., n)``.

    Examples
    --------
    >>> circulant([1, 2, 3])
    array([[1, 3, 2],
           [2, 1, 3],
           [3, 2, 1]])
    """
    c = fnp.atleast_1d(fnp.asarray(c))
    n = c.shape[-1]
    return _along(c, (positions(0, n)[:, None] - positions(0, n)) % max(n, 1))


def leslie(f: Any, s: Any) -> Array:
    """Leslie's matrix of fecundities ``(..., n)`` and survivals ``(..., n - 1)``.

    Examples
    --------
    >>> leslie([0.1, 2.0], [0.5])
    array([[0.1, 2. ],
           [0.5, 0. ]])
    """
    f, s = fnp.asarray(f), fnp.asarray(s)
    if f.ndim == 0 or s.ndim == 0 or f.shape[-1] != s.shape[-1] + 1 or s.shape[-1] == 0:
        raise ValueError(
            "leslie: needs fecundities (..., n) and survivals (..., n - 1), n at least 2, got"
            f" shapes {f.shape} and {s.shape}"
        )
    return _first_row_and_below(f, s)


def companion(a: Any) -> Array:
    """The companion matrix ``(..., n, n)`` of polynomials ``(..., n + 1)``, highest power first.

    Examples
    --------
    >>> companion([1, -10, 31, -30])
    array([[ 10., -31.,  30.],
           [  1.,   0.,   0.],
           [  0.,   1.,   0.]])
    """
    a = fnp.asarray(a)
    if a.ndim == 0 or a.shape[-1] < 2:
        raise ValueError(f"companion: needs at least two coefficients, got shape {a.shape}")
    row = -a[..., 1:] / (1.0 * a[..., :1])
    return _first_row_and_below(row, fnp.ones_like(row[..., 1:]))


def _first_row_and_below(row: Array, below: Array) -> Array:
    n = row.shape[-1]
    dtype = fnp.result_type(row, below)
    below = fnp.pad(convert(below, dtype), [(0, 0)] * (below.ndim - 1) + [(0, 1)])
    rest = fnp.where(np.eye(n, k=-1, dtype=bool), below[..., None, :], 0)
    return fnp.where(np.arange(n)[:, None] == 0, convert(row, dtype)[..., None, :], rest)


def fiedler(a: Any) -> Array:
    """The matrices of ``|a[i] - a[j]|``, for numbers ``(..., n)``.

    Examples
    --------
    >>> fiedler([1, 4])
    array([[0, 3],
           [3, 0]])
    """
    a = fnp.atleast_1d(fnp.asarray(a))
    return fnp.abs(a[..., :, None] - a[..., None, :])


def fiedler_companion(a: Any) -> Array:
    """Fiedler's pentadiagonal companion matrix of polynomials, highest power first.

    Examples
    --------
    >>> fiedler_companion([1.0, -16.0, 86.0, -176.0])
    array([[ 16., -86.,   1.],
           [  1.,   0.,   0.],
           [  0., 176.,   0.]])
    """
    a = fnp.asarray(a)
    if a.ndim == 0 or a.shape[-1] < 2:
        raise ValueError(f"fiedler_companion: needs at least two coefficients, got shape {a.shape}")
    a = a / (1.0 * a[..., :1])
    n = a.shape[-1] - 1
    # Which coefficient is where, and where ones are: Fiedler (2003), "A note on companion
    # matrices".
    places, ones = np.zeros((2, n, n), np.int64)
    for i in range(0, n, 2):
        places[i, max(i - 1, 0)] = i + 1
        places[i, i + 1 : i + 2] = i + 2
        ones[i, i + 2 : i + 3] = 1
    for i in range(1, n, 2):
        ones[i, max(i - 2, 0)] = 1
    return fnp.where(places > 0, -_along(a, places), convert(fnp.asarray(ones), a.dtype))


def convolution_matrix(a: Any, n: int, mode: str = "full") -> Array:
    """The matrices that convolve vectors of length ``n`` with ``a``.

    Parameters
    ----------
    a : array_like
        ``(..., m)``.
    n : int
        The length of the vectors.
    mode : {"full", "same", "valid"}
        As for `fnad.numpy.convolve`.

    Examples
    --------
    >>> convolution_matrix([1, 2], 2)
    array([[1, 0],
           [2, 1],
           [0, 2]])
    """
    a, n = fnp.asarray(a), as_int("convolution_matrix", "n", n)
    if a.ndim == 0 or a.shape[-1] == 0 or n < 1:
        raise ValueError(
            f"convolution_matrix: needs vectors of at least one element and n at least 1, got shape"
            f" {a.shape} and n {n}"
        )
    m = a.shape[-1]
    first, count = {
        "full": (0, m + n - 1),
        "same": ((min(m, n) - 1) // 2, max(m, n)),
        "valid": (min(m, n) - 1, max(m, n) - min(m, n) + 1),
    }.get(mode, (0, -1))
    if count < 0:
        raise ValueError(
            f"convolution_matrix: mode must be 'full', 'same' or 'valid', got {mode!r}"
        )
    index = first + np.arange(count)[:, None] - np.arange(n)
    inside = (index >= 0) & (index < m)
    return fnp.where(inside, _along(a, np.clip(index, 0, m - 1)), 0)


def _constant(name: str, *arguments: Any, **options: Any) -> Array:
    """A matrix of SciPy's, which nothing traced goes into."""
    from scipy import linalg

    as_int(name, "n", arguments[0])
    try:
        return fnp.asarray(getattr(linalg, name)(*arguments, **options))
    except (ValueError, IndexError) as error:
        raise ValueError(f"{name}: {error}, got {', '.join(map(repr, arguments))}") from error


def hilbert(n: int) -> Array:
    """Hilbert's matrix, ``1 / (i + j + 1)``.

    Examples
    --------
    >>> hilbert(2)
    array([[1.        , 0.5       ],
           [0.5       , 0.33333333]])
    """
    return _constant("hilbert", n)


def invhilbert(n: int) -> Array:
    """The inverse of Hilbert's matrix.

    Examples
    --------
    >>> invhilbert(2)
    array([[ 4., -6.],
           [-6., 12.]])
    """
    return _constant("invhilbert", n)


def pascal(n: int, kind: str | None = None) -> Array:
    """Pascal's triangle as a matrix of doubles.

    Parameters
    ----------
    n : int
        The size.
    kind : {None, "symmetric", "lower", "upper"}
        Which of the matrices; symmetric by default.

    Examples
    --------
    >>> pascal(3)
    array([[1., 1., 1.],
           [1., 2., 3.],
           [1., 3., 6.]])
    """
    return _constant("pascal", n, kind or "symmetric", exact=False).astype(np.float64)


def invpascal(n: int, kind: str | None = None) -> Array:
    """The inverse of `pascal`.

    Examples
    --------
    >>> invpascal(2)
    array([[ 2., -1.],
           [-1.,  1.]])
    """
    return _constant("invpascal", n, kind or "symmetric", exact=False).astype(np.float64)


def hadamard(n: int, dtype: Any = int) -> Array:
    """Hadamard's matrix, of a size that is a power of two.

    Examples
    --------
    >>> hadamard(2)
    array([[ 1,  1],
           [ 1, -1]])
    """
    return _constant("hadamard", n, dtype)


def helmert(n: int, full: bool = False) -> Array:
    """Helmert's matrix, whose rows are orthonormal; with ``full``, with the row of equal numbers.

    Examples
    --------
    >>> helmert(2)
    array([[ 0.70710678, -0.70710678]])
    """
    return _constant("helmert", n, full)


def dft(n: int, scale: str | None = None) -> Array:
    """The matrix of the discrete Fourier transform.

    Parameters
    ----------
    n : int
        The size.
    scale : {None, "sqrtn", "n"}
        Whether it is divided by the square root of n, or by n.

    Examples
    --------
    >>> dft(2).real.round(12)
    array([[ 1.,  1.],
           [ 1., -1.]])
    """
    return _constant("dft", n, scale)
