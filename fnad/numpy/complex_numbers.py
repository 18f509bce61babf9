"""Complex numbers: parts, conjugates, angles, and which arrays are complex."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fnad.core.tracer import Tracer
from fnad.core.types import kind_of
from fnad.numpy import ufuncs
from fnad.numpy.creation import asarray, full
from fnad.numpy.operands import (
    Array,
    as_operand,
    convert,
    dtype_of,
    promotion_key,
    resolve_dtypes,
)
from fnad.numpy.reductions import all as all_of
from fnad.numpy.sorting import sort
from fnad.primitives import complex_numbers as lax

_COMPLEX64, _COMPLEX128 = np.dtype(np.complex64), np.dtype(np.complex128)


def real(val: Any) -> Array:
    """The real part: the array itself, unless it is complex.

    Examples
    --------
    >>> real(np.array([1 + 2j, 3.0]))
    array([1., 3.])
    """
    x = as_operand(val)
    if not isinstance(x, Tracer):
        return np.real(x)
    return lax.real(x) if x.dtype.kind == "c" else x


def imag(val: Any) -> Array:
    """The imaginary part: zeros, unless the array is complex.

    Examples
    --------
    >>> imag(np.array([1 + 2j, 3.0]))
    array([2., 0.])
    """
    x = as_operand(val)
    if not isinstance(x, Tracer):
        return np.imag(x)
    return lax.imag(x) if x.dtype.kind == "c" else full(x.shape, 0, x.dtype)


def conjugate(x: Any, /) -> Array:
    """The complex conjugate: the array itself, unless it is complex.

    Examples
    --------
    >>> conjugate(np.array([1 + 2j, 3.0]))
    array([1.-2.j, 3.-0.j])
    """
    x = as_operand(x)
    if not isinstance(x, Tracer):
        return np.conjugate(x)
    if x.dtype.kind == "c":
        return lax.conj(x)
    return convert(x, resolve_dtypes(np.conjugate, promotion_key(x))[0])


conj = conjugate


def angle(z: Any, deg: bool = False) -> Array:
    """The angle of complex numbers, in (-pi, pi]; that of negative real numbers is pi.

    Parameters
    ----------
    z : array_like
        Any shape; real or complex.
    deg : bool
        Whether it is wanted in degrees.

    Examples
    --------
    >>> angle(np.array([1j, -1.0]))
    array([1.57079633, 3.14159265])
    """
    x = as_operand(z)
    y = imag(x) if dtype_of(x).kind == "c" else 0
    out = ufuncs.arctan2(y, real(x))
    return ufuncs.multiply(out, 180 / math.pi) if deg else out


def squared_magnitude(x: Array) -> Array:
    """``|x|**2``, real and smooth, also where ``x`` is 0."""
    if kind_of(x.dtype) != "c":
        return ufuncs.multiply(x, x)
    re, im = real(x), imag(x)
    return ufuncs.add(ufuncs.multiply(re, re), ufuncs.multiply(im, im))


# -- which are complex --------------------------------------------------------------------------


def iscomplex(x: Any) -> Array:
    """Whether the imaginary part of each element is not zero.

    Examples
    --------
    >>> iscomplex(np.array([1 + 2j, 3.0]))
    array([ True, False])
    """
    return ufuncs.not_equal(imag(x), 0)


def isreal(x: Any) -> Array:
    """Whether the imaginary part of each element is zero.

    Examples
    --------
    >>> isreal(np.array([1 + 2j, 3.0]))
    array([False,  True])
    """
    return ufuncs.equal(imag(x), 0)


def iscomplexobj(x: Any) -> bool:
    """Whether an array has a complex dtype.

    Examples
    --------
    >>> iscomplexobj(np.zeros(2, complex)), iscomplexobj(1.0)
    (True, False)
    """
    return bool(asarray(x).dtype.kind == "c")


def isrealobj(x: Any) -> bool:
    """Whether an array has no complex dtype.

    Examples
    --------
    >>> isrealobj(np.zeros(2, complex)), isrealobj(1.0)
    (False, True)
    """
    return not iscomplexobj(x)


def real_if_close(a: Any, tol: float = 100) -> Array:
    """The real part, if all imaginary parts are close to zero; else the array itself.

    The dtype of the result depends on values, so it cannot be compiled: under `fnad.jit` it raises
    the error of a branch on a traced value. Take `real` there.

    Parameters
    ----------
    a : array_like
        Any shape.
    tol : float
        How small imaginary parts must be: below ``tol`` itself, or, if it is larger than 1, below
        so many times the machine epsilon.

    Examples
    --------
    >>> real_if_close(np.array([1 + 1e-16j, 2.0]))
    array([1., 2.])
    """
    x = asarray(a)
    if x.dtype.kind != "c":
        return x
    bound = tol * float(np.finfo(x.dtype).eps) if tol > 1 else tol
    close = all_of(ufuncs.less(ufuncs.absolute(imag(x)), bound))
    return real(x) if close else x


def sort_complex(a: Any) -> Array:
    """Sort along the last axis, as complex numbers: by real parts, then by imaginary ones.

    Examples
    --------
    >>> sort_complex(np.array([2, 1]))
    array([1.+0.j, 2.+0.j])
    """
    x = asarray(a)
    if x.dtype.kind != "c":
        short = x.dtype.kind in "iu" and x.dtype.itemsize < 4
        x = convert(x, _COMPLEX64 if short else _COMPLEX128)
    return sort(x)
