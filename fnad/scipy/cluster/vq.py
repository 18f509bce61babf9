"""Vector quantisation."""

from __future__ import annotations

from typing import Any

import numpy as np

import fnad.numpy as fnp
from fnad.numpy.operands import Array, convert, to_inexact


def vq(obs: Any, code_book: Any, check_finite: bool = True) -> tuple[Array, Array]:
    """The nearest codes of observations, and how far they are away.

    Parameters
    ----------
    obs : array_like
        ``(m, n)``, or ``(m,)`` for numbers.
    code_book : array_like
        ``(k, n)``, or ``(k,)``.
    check_finite : bool
        For the sake of SciPy's signature: what is not finite has no nearest code, and is not
        looked for.

    Returns
    -------
    code : array
        ``(m,)``, int32; the first of equally near ones.
    distances : array
        ``(m,)``, Euclidean.

    Raises
    ------
    ValueError
        If observations and codes have different numbers of features.

    Examples
    --------
    >>> code, distances = vq(np.array([[1.0, 1.0], [0.0, 5.0]]), np.array([[0.0, 1.0], [0.0, 4.0]]))
    >>> code, distances
    (array([0, 1], dtype=int32), array([1., 1.]))
    """
    del check_finite
    x, codes = (to_inexact(fnp.asarray(a)) for a in (obs, code_book))
    if x.ndim != codes.ndim or x.ndim not in (1, 2) or x.shape[1:] != codes.shape[1:]:
        raise ValueError(
            "vq: observations (m, n) and codes (k, n), or (m,) and (k,), must have as many"
            f" features, got shapes {x.shape} and {codes.shape}"
        )
    if not codes.size:
        raise ValueError(f"vq: there are no codes in an array of shape {codes.shape}")
    dtype = fnp.result_type(x, codes)
    shape = (1,) if x.ndim == 1 else x.shape[1:]
    x = fnp.reshape(convert(x, dtype), (x.shape[0], 1, *shape))
    codes = fnp.reshape(convert(codes, dtype), (1, codes.shape[0], *shape))
    squares = fnp.sum(fnp.abs(x - codes) ** 2, -1)
    code = fnp.argmin(squares, 1)
    nearest = fnp.take_along_axis(squares, code[:, None], 1)[:, 0]
    # The root of 0 has no slope; a distance of 0 is given that of 0.
    apart = nearest > 0
    distances = fnp.where(apart, fnp.sqrt(fnp.where(apart, nearest, 1)), nearest)
    return convert(code, np.dtype(np.int32)), distances


__all__ = ["vq"]
