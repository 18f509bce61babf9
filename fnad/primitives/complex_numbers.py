"""Complex numbers: their parts, conjugates, and how they are made of real ones.

The convention is JAX's. A tangent of a complex number is a complex number; a map of complex
numbers that is not holomorphic is linear over the reals only. A cotangent ``ct`` stands for the
linear form ``v -> Re(ct * v)``, without conjugation: so the gradient of a real function ``u`` of
``x + iy`` is ``du/dx - i du/dy``, and transposed products need no conjugates.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fnad.core.primitive import Zero
from fnad.core.types import aval_of, kind_of
from fnad.primitives.elementwise import broadcast_scalar, elementwise, matched
from fnad.primitives.logic import bitwise_or, eq, select

_COMPLEX: dict[np.dtype[Any], np.dtype[Any]] = {
    np.dtype(np.float32): np.dtype(np.complex64),
    np.dtype(np.float64): np.dtype(np.complex128),
}
_REAL = {made: part for part, made in _COMPLEX.items()}


def real_dtype(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """The dtype of the parts of complex numbers; any other dtype itself.

    Examples
    --------
    >>> real_dtype(np.dtype(np.complex64)), real_dtype(np.dtype(np.int8))
    (dtype('float32'), dtype('int8'))
    """
    return _REAL.get(dtype, dtype)


def complex_dtype(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """The dtype of complex numbers whose parts have ``dtype``, float32 or float64.

    Examples
    --------
    >>> complex_dtype(np.dtype(np.float32))
    dtype('complex64')
    """
    try:
        return _COMPLEX[dtype]
    except KeyError:
        raise TypeError(
            f"complex: there are no complex numbers with parts of {dtype}; convert them to float32"
            " or float64"
        ) from None


def _zero(x: Any) -> Any:
    return aval_of(x).dtype.type(0)


# -- parts --------------------------------------------------------------------------------------

real_p = elementwise(
    "real",
    "The real part of complex numbers. Its transpose gives ct + 0i.",
    lambda b, x: b.real(x),
    derivatives=[lambda t, ans, x: real(t)],
    transpose=[lambda ct, x: complex(ct, _zero(ct))],
    kinds="c",
    result=real_dtype,
)

imag_p = elementwise(
    "imag",
    "The imaginary part of complex numbers. Its transpose gives 0 - i ct.",
    lambda b, x: b.imag(x),
    derivatives=[lambda t, ans, x: imag(t)],
    transpose=[lambda ct, x: complex(_zero(ct), -ct)],
    kinds="c",
    result=real_dtype,
)


def real(x: Any) -> Any:
    """The real part of complex numbers.

    Examples
    --------
    >>> real(np.array([1 + 2j, 3j]))
    array([1., 0.])
    """
    return real_p.bind(x)


def imag(x: Any) -> Any:
    """The imaginary part of complex numbers.

    Examples
    --------
    >>> imag(np.array([1 + 2j, 3j]))
    array([2., 3.])
    """
    return imag_p.bind(x)


# -- numbers made of parts ----------------------------------------------------------------------

complex_p = elementwise(
    "complex",
    "x + iy, of float32 or float64.",
    lambda b, x, y: b.complex(x, y),
    transpose=[lambda ct, x, y: real(ct), lambda ct, x, y: -imag(ct)],
    kinds="f",
    result=complex_dtype,
)


@complex_p.jvp
def _(primals: Sequence[Any], tangents: Sequence[Any]) -> tuple[Any, Any]:
    ans = complex_p.bind(*primals)
    if all(isinstance(t, Zero) for t in tangents):
        return ans, Zero(aval_of(ans).strong())
    parts = [_zero(x) if isinstance(t, Zero) else t for x, t in zip(primals, tangents)]
    return ans, broadcast_scalar(complex(*parts), aval_of(ans).shape)


def complex(x: Any, y: Any) -> Any:
    """The complex numbers ``x + iy``.

    Parameters
    ----------
    x, y : array
        Both float32 or both float64, of one shape; either may be a scalar.

    Examples
    --------
    >>> complex(np.array([1.0, 2.0]), 3.0)
    array([1.+3.j, 2.+3.j])
    """
    return complex_p.bind(*matched("complex", x, y))


# -- conjugates ---------------------------------------------------------------------------------

conj_p = elementwise(
    "conj",
    "The complex conjugate, x - iy of x + iy. It is linear over the reals and its own transpose.",
    lambda b, x: b.conjugate(x),
    derivatives=[lambda t, ans, x: conj(t)],
    transpose=[lambda ct, x: conj(ct)],
    kinds="c",
)


@conj_p.simplify
def _(eqn, definition):
    inner = definition(eqn.invars[0])
    return inner.invars[0] if inner is not None and inner.primitive is conj_p else None


def conj(x: Any) -> Any:
    """The complex conjugate; of real numbers, themselves as complex ones (as in `jax.lax`).

    Examples
    --------
    >>> conj(np.array([1 + 2j, 3j]))
    array([1.-2.j, 0.-3.j])
    """
    if kind_of(aval_of(x).dtype) == "c":
        return conj_p.bind(x)
    return complex(x, _zero(x))


def one_infinity(x: Any) -> Any:
    """All infinite complex numbers as the real one, and any other number as it is.

    NumPy's quotients by numbers that are infinite in both parts are NaN, and roots of many infinite
    numbers are such; where a function has the same limit in all directions, this finds it.

    Examples
    --------
    >>> import numpy as np
    >>> one_infinity(np.array([complex(-np.inf, np.inf), 1 + 2j]))
    array([inf+0.j,  1.+2.j])
    """
    if aval_of(x).dtype.kind != "c":
        return x
    re, im = real(x), imag(x)
    infinite = bitwise_or(_is_infinite(re), _is_infinite(im))
    return complex(select(infinite, np.inf, re), select(infinite, 0, im))


def _is_infinite(x: Any) -> Any:
    return bitwise_or(eq(x, np.inf), eq(x, -np.inf))
