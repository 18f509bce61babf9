"""Functions of matrices by their eigenvalues."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import fnad.numpy as fnp
from fnad import lax
from fnad.core.dtypes import result_type
from fnad.numpy.operands import Array, constant_like, convert
from fnad.numpy.solving import as_matrices
from fnad.primitives.complex_numbers import real_dtype
from fnad.primitives.custom import custom_jvp
from fnad.primitives.linalg.eigh import eigh
from fnad.primitives.linalg.schur import schur
from fnad.primitives.linalg.triangular import triangular_solve
from fnad.scipy.linalg.divided_differences import Method, matrix_function
from fnad.scipy.linalg.operands import adjoint, as_complex
from fnad.scipy.linalg.solving import solve_sylvester
from fnad.transforms.closures import closure_convert
from fnad.transforms.tracing import eval_shape


@custom_jvp
def _root(a: Array) -> Array:
    t, z = schur(a)

    def system(r: Array, j: Array, before: Array) -> tuple[Array, Array, Array]:
        return r, fnp.take(_diagonal(r), j, -1), fnp.take(t, j, -1)

    return z @ _by_columns(t, fnp.sqrt(_diagonal(t)), system, checked=True) @ adjoint(z)


@_root.defjvp
def _(primals: Sequence[Array], tangents: Sequence[Array]) -> tuple[Array, Array]:
    # R R' + R' R = A'.
    root = _root(*primals)
    return root, solve_sylvester(root, root, tangents[0])


def sqrtm(A: Any, blocksize: int = 1) -> Array:  # noqa: N803
    """The principal square roots of matrices, by Schur decompositions.

    Björck and Hammarling (1983), "A Schur method for the square root of a matrix".

    Parameters
    ----------
    A : array_like
        ``(..., n, n)``.
    blocksize : int
        For the sake of SciPy's signature.

    Returns
    -------
    array
        Complex, since dtypes do not depend on values: the eigenvalues' real parts are not negative.
        NaN for singular matrices that have no root. The derivative is that of ``R R = A``, of any
        order; it is NaN where A is singular.

    Examples
    --------
    >>> sqrtm(np.array([[4.0, 0.0], [0.0, -9.0]]))
    array([[2.+0.j, 0.+0.j],
           [0.+0.j, 0.+3.j]])
    """
    del blocksize
    return _root(as_complex("sqrtm", A))


def funm(
    A: Any,  # noqa: N803
    func: Callable[[Array], Array],
    disp: bool = True,
    *,
    hermitian: bool = False,
) -> Any:
    """A function of matrices, by their eigenvalues.

    Of symmetric and Hermitian matrices it is ``V diag(func(w)) Vᴴ``. Its derivatives, of any order,
    are right also where eigenvalues are equal or close to each other, where those of `eigh` are not
    finite: write rebuilt matrices and sums over eigenvalues, ``trace(funm(A, func))``, with it.

    Of other matrices it is found by a Schur decomposition, and by eigenvectors or, where those are
    nearly dependent, Parlett's recurrence, which loses digits where eigenvalues are close to each
    other, and is NaN where they are equal. Derivatives, of any order, are NaN where the matrix has
    no basis of eigenvectors, or one so badly conditioned that half of the digits would be lost.

    Derivatives take those of ``func``. It may close over values that are differentiated, too, but
    what is differentiated in reverse mode with respect to these and then again with respect to
    ``A`` is NaN where eigenvalues are equal, and takes ``hermitian``.

    Parameters
    ----------
    A : array_like
        ``(..., n, n)``.
    func : callable
        The function of eigenvalues, an array ``(..., n)`` of complex numbers, or of real ones if
        ``hermitian``, element by element.
    disp : bool
        Whether to return the values alone, else also an estimate of the relative error.
    hermitian : bool
        Whether the matrices are symmetric or Hermitian; ``(A + Aᴴ) / 2`` is then taken.

    Returns
    -------
    array
        Complex, since dtypes do not depend on values; if ``hermitian``, what ``func`` and ``A``
        promote to. Without ``disp`` a pair of it and ``(...)`` errors.

    Examples
    --------
    >>> funm(np.array([[1.0, 4.0], [0.0, 2.0]]), lambda x: x * x).real.round(12)
    array([[ 1., 12.],
           [ 0.,  4.]])
    >>> from fnad import hessian
    >>> def f(s):
    ...     return fnp.trace(funm(s * np.eye(2), fnp.exp, hermitian=True))
    >>> hessian(f)(0.0)
    np.float64(2.0)
    """
    if hermitian:
        a = as_matrices("funm", A, square=True)
        a = (a + adjoint(a)) / 2
        method = Method(_hermitian_basis, _hermitian_function)
    else:
        a = as_complex("funm", A)
        method = Method(_general_basis, _general_function)

    def floating(x: Array) -> Array:
        out = fnp.asarray(func(x))
        if out.shape != x.shape:
            raise ValueError(
                f"funm: func must return numbers for eigenvalues of shape {x.shape}, got shape"
                f" {out.shape}"
            )
        return convert(out, result_type(out, x))

    # In one dtype, as the transposes of derivatives are.
    a = convert(a, result_type(a, eval_shape(floating, _eigenvalues_like(a, hermitian)).dtype))
    converted, consts = closure_convert(floating, _eigenvalues_like(a, hermitian))
    whole = matrix_function(method, lambda x, consts: converted(x, *consts), a, consts)
    if disp:
        return whole
    t, z = schur(convert(a, result_type(a, np.complex64)))
    return whole, _parlett_error(t, adjoint(z) @ whole @ z)


def _eigenvalues_like(a: Array, hermitian: bool) -> Array:
    return fnp.zeros(a.shape[:-1], real_dtype(a.dtype) if hermitian else a.dtype)


def _hermitian_basis(a: Array) -> tuple[Array, Array, Array]:
    v, w = eigh(a, symmetrize_input=False)
    return w, v, adjoint(v)


def _hermitian_function(func: Callable[[Array], Array], a: Array) -> Array:
    w, v, inverse = _hermitian_basis(a)
    return (v * func(w)[..., None, :]) @ inverse


def _general_basis(a: Array) -> tuple[Array, Array, Array]:
    t, z = schur(a)
    x, inverse, condition = _triangular_basis(t)
    usable = (condition * np.finfo(a.dtype).eps ** 0.5 <= 1)[..., None, None]
    return _diagonal(t), fnp.where(usable, z @ x, constant_like(x, np.nan)), inverse @ adjoint(z)


def _triangular_basis(t: Array) -> tuple[Array, Array, Array]:
    """The X, upper triangular, with ``T X = X diag(T)``, its inverse, and its condition."""
    n, w = t.shape[-1], _diagonal(t)
    unit = np.eye(n, dtype=bool)
    # Differences of eigenvalues below the rounding errors of T are taken to be as large as those.
    # If the matrix has a basis, what joins equal ones is not larger: any mixture of them will do.
    least = np.finfo(t.dtype).eps * fnp.max(fnp.abs(t), (-2, -1), initial=0)
    least = fnp.where(least == 0, constant_like(least, 1), least)[..., None]

    def system(_: Array, j: Array, before: Array) -> tuple[Array, Array, Array]:
        apart = w - fnp.take(w, j, -1)[..., None]
        apart = fnp.where(fnp.abs(apart) < least, least, apart)
        upper = fnp.where(unit, apart[..., None, :], t)
        return upper, fnp.zeros_like(w[..., 0]), -fnp.take(t, j, -1)

    x = _by_columns(t, fnp.ones_like(w), system)
    identity = convert(fnp.broadcast_to(unit, t.shape), t.dtype)
    inverse = triangular_solve(x, identity, left_side=True)
    sizes = (fnp.sum(fnp.abs(y), (-2, -1)) for y in (x, inverse))
    return x, inverse, math.prod(sizes)


def _general_function(func: Callable[[Array], Array], a: Array) -> Array:
    t, z = schur(a)
    values = func(_diagonal(t))
    x, inverse, condition = _triangular_basis(t)
    # Parlett's recurrence divides by differences of eigenvalues, but needs no basis.
    usable = (condition * np.finfo(a.dtype).eps ** 0.25 <= 1)[..., None, None]
    inner = fnp.where(usable, (x * values[..., None, :]) @ inverse, _parlett(t, values))
    return z @ inner @ adjoint(z)


def _parlett(t: Array, values: Array) -> Array:
    """The function of an upper triangular matrix that has these values on its diagonal."""
    joins = fnp.triu(t, 1)

    def system(f: Array, j: Array, before: Array) -> tuple[Array, Array, Array]:
        column, value = fnp.take(t, j, -1), fnp.take(_diagonal(f), j, -1)
        inner = fnp.where(before[:, None] & before, f, 0)
        right = (inner @ column[..., None])[..., 0] - value[..., None] * column
        # Of equal eigenvalues it would take derivatives of the function, if something joins them.
        own = fnp.take(_diagonal(t), j, -1)
        joined = fnp.any((joins != 0) & before, -1) | (column != 0)
        lost = (_diagonal(t) == own[..., None]) & joined
        return t, -own, fnp.where(lost, constant_like(right, np.nan), right)

    return _by_columns(t, values, system)


def _parlett_error(t: Array, f: Array) -> Array:
    """The estimate of Golub and Van Loan, "Matrix Computations", algorithm 9.1.1."""
    w, n = _diagonal(t), t.shape[-1]
    distances = fnp.abs(w[..., :, None] - w[..., None, :])
    least = fnp.min(distances + fnp.where(fnp.eye(n, dtype=bool), np.inf, 0), (-2, -1), initial=1)
    eps = np.finfo(t.dtype).eps
    error = fnp.maximum(
        eps,
        eps
        / fnp.maximum(least, np.finfo(t.dtype).tiny)
        * fnp.linalg.norm(fnp.triu(t, 1), 1, (-2, -1)),
    )
    finite = fnp.all(fnp.isfinite(f), (-2, -1))
    return fnp.where(finite, fnp.minimum(error, 1), np.inf)


def _diagonal(a: Array) -> Array:
    return fnp.diagonal(a, axis1=-2, axis2=-1)


def _by_columns(
    t: Array,
    diagonal: Array,
    system: Callable[[Array, Array, Array], tuple[Array, Array, Array]],
    *,
    checked: bool = False,
) -> Array:
    """An upper triangular matrix with this diagonal, its columns found one after the other.

    Of column j, the rows above the diagonal solve ``(U + shift) x = right`` with those rows and
    columns of an upper triangular U; ``system(found, j, rows < j)`` is U, shift and right. Where
    that says ``0 x = 0``, x is 0; where it says ``0 x = 1``, it is NaN.
    """
    n = t.shape[-1]
    rows = fnp.arange(n)

    def column(j: Array, found: Array) -> Array:
        before = fnp.less(rows, j)
        upper, shift, right = system(found, j, before)
        upper = fnp.where(before[:, None] & before, upper, 0)
        shifted = fnp.where(before, _diagonal(upper) + shift[..., None], 1)
        free = shifted == 0
        divisors = fnp.where(free, 1, shifted)
        matrix = fnp.where(fnp.eye(n, dtype=bool), divisors[..., None, :], upper)
        x = triangular_solve(matrix, fnp.where(before, right, 0), left_side=True)
        if checked:
            x = fnp.where(free & (x != 0), constant_like(x, np.nan), x)
        here = before[:, None] & (rows == j)
        return fnp.where(here, x[..., :, None], found)

    start = fnp.where(fnp.eye(n, dtype=bool), diagonal[..., None, :], 0)
    if n == 0:
        return convert(start, t.dtype)
    return lax.fori_loop(1, n, column, convert(start, t.dtype))
