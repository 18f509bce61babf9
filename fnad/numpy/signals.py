"""Convolution, correlation and window functions of signals of one axis."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from fnad.core.dtypes import canonical_dtype, result_type
from fnad.numpy.complex_numbers import conjugate
from fnad.numpy.creation import asarray
from fnad.numpy.operands import Array, convert, to_inexact
from fnad.primitives import shape as lax
from fnad.primitives.convolution import conv_general_dilated
from fnad.primitives.precision import check_precision
from fnad.primitives.reversal import rev
from fnad.primitives.slicing import pad


def _signals(name: str, a: Any, v: Any, dtype: Any) -> tuple[Array, Array]:
    x, y = asarray(a), asarray(v)
    for signal in (x, y):
        if signal.ndim > 1 or 0 in signal.shape:
            raise ValueError(
                f"{name}: takes two signals of one axis, neither empty, got shapes {x.shape} and"
                f" {y.shape}; use fnad.vmap for stacks of signals"
            )
    common = result_type(x, y) if dtype is None else canonical_dtype(dtype)
    return tuple(convert(lax.reshape(s, (s.size,)), common) for s in (x, y))


def _slide(name: str, x: Array, window: Array, mode: str) -> Array:
    """The products of ``window`` with the stretches of a signal that is at least as long."""
    n = window.size
    overlaps = {"full": (n - 1, n - 1), "same": (n // 2, n - n // 2 - 1), "valid": (0, 0)}
    if mode not in overlaps:
        raise ValueError(f"{name}: mode must be 'full', 'same' or 'valid', got {mode!r}")
    if x.dtype.kind == "b":
        counts = _slide(name, convert(x, np.dtype(int)), convert(window, np.dtype(int)), mode)
        return convert(counts, np.dtype(bool))
    low, high = overlaps[mode]
    x = pad(x, x.dtype.type(0), [(low, high, 0)])
    images = lax.reshape(x, (1, 1, x.size)), lax.reshape(window, (1, 1, n))
    out = conv_general_dilated(*images, (1,), "VALID")
    return lax.reshape(out, (out.size,))


def convolve(
    a: Any, v: Any, mode: str = "full", *, precision: Any = None, preferred_element_type: Any = None
) -> Array:
    """The convolution of two signals, ``sum(a[m] * v[n - m] for m)``.

    Parameters
    ----------
    a, v : array_like
        Shapes ``(M,)`` and ``(N,)``.
    mode : {"full", "same", "valid"}
        All ``M + N - 1`` results, the middle ``max(M, N)``, or those where the signals overlap
        completely.
    precision : optional
        Taken for compatibility with JAX; products are always computed in full precision.
    preferred_element_type : dtype, optional
        The dtype to compute in.

    Examples
    --------
    >>> convolve(np.array([1, 2, 3]), np.array([0, 1, 0.5]))
    array([0. , 1. , 2.5, 4. , 1.5])
    """
    check_precision("convolve", precision)
    x, y = _signals("convolve", a, v, preferred_element_type)
    x, y = (x, y) if x.size >= y.size else (y, x)
    return _slide("convolve", x, rev(y, (0,)), mode)


def correlate(
    a: Any,
    v: Any,
    mode: str = "valid",
    *,
    precision: Any = None,
    preferred_element_type: Any = None,
) -> Array:
    """The correlation of two signals, ``sum(a[n + k] * conj(v[n]) for n)``.

    Modes as in `convolve`.

    Examples
    --------
    >>> correlate(np.array([1, 2, 3]), np.array([0, 1, 0.5]), "same")
    array([2. , 3.5, 3. ])
    """
    check_precision("correlate", precision)
    x, y = _signals("correlate", a, v, preferred_element_type)
    y = conjugate(y) if y.dtype.kind == "c" else y
    if x.size >= y.size:
        return _slide("correlate", x, y, mode)
    return rev(_slide("correlate", y, x, mode), (0,))


def bartlett(M: int) -> Array:  # noqa: N803
    """The triangular window that is zero at its ends.

    Examples
    --------
    >>> bartlett(5)
    array([0. , 0.5, 1. , 0.5, 0. ])
    """
    return np.bartlett(operator.index(M))


def blackman(M: int) -> Array:  # noqa: N803
    """The Blackman window: three terms of a cosine series.

    Examples
    --------
    >>> blackman(5).round(2) + 0.0
    array([0.  , 0.34, 1.  , 0.34, 0.  ])
    """
    return np.blackman(operator.index(M))


def hamming(M: int) -> Array:  # noqa: N803
    """The Hamming window, a raised cosine that does not reach zero.

    Examples
    --------
    >>> hamming(3)
    array([0.08, 1.  , 0.08])
    """
    return np.hamming(operator.index(M))


def hanning(M: int) -> Array:  # noqa: N803
    """The Hann window, a raised cosine that is zero at its ends.

    Examples
    --------
    >>> hanning(5)
    array([0. , 0.5, 1. , 0.5, 0. ])
    """
    return np.hanning(operator.index(M))


def i0(x: Any) -> Array:
    """The modified Bessel function of the first kind of order 0.

    Examples
    --------
    >>> i0(np.array([0.0, 1.0])).round(6)
    array([1.      , 1.266066])
    """
    from fnad.scipy.special import i0 as bessel  # it is made of this package's functions

    return bessel(to_inexact(asarray(x)))


def kaiser(M: int, beta: float) -> Array:  # noqa: N803
    """The Kaiser window of shape ``beta``, a number.

    Examples
    --------
    >>> kaiser(3, 0.0)
    array([1., 1., 1.])
    """
    return np.kaiser(operator.index(M), float(beta))
