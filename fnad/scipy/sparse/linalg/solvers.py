"""``cg``, ``bicgstab`` and ``gmres``: linear systems of which only products are known."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

import fnad.numpy as fnp
from fnad.core.types import kind_of
from fnad.primitives.custom.linear_solve import custom_linear_solve
from fnad.scipy.sparse.linalg.krylov import (
    Limits,
    conjugate_gradients,
    generalized_minimal_residual,
    stabilized_bi_conjugate_gradients,
)
from fnad.scipy.vectors import Vectors, check_numbers, with_arrays
from fnad.transforms.autodiff import linear_transpose
from fnad.transforms.jit import jit

Array = Any
Map = Callable[[Array], Array]


def _dtypes(name: str, what: str, given: Any) -> tuple[np.dtype[Any], ...]:
    """The dtype of a matrix; none of a function.

    Raises
    ------
    TypeError
        If it is neither.
    """
    if given is None or callable(given):
        return ()
    try:
        return (given.dtype if hasattr(given, "tocoo") else fnp.asarray(given).dtype,)
    except TypeError as error:
        raise TypeError(
            f"{name}: {what} must be a function or a matrix, got {type(given).__name__}"
        ) from error


def _on_vectors(name: str, what: str, given: Any, vectors: Vectors) -> Map:
    """A map of vectors: of a function of pytrees, or of a square matrix."""
    if given is None:
        return lambda x: x
    if callable(given):
        return lambda x: vectors.ravel(given(vectors.unravel(x)), f"{name}: what {what} returns")
    matrix = given.tocoo() if hasattr(given, "tocoo") else fnp.asarray(given)
    if matrix.shape != (vectors.size, vectors.size):
        raise ValueError(
            f"{name}: {what} must be a function, or a matrix of shape"
            f" {(vectors.size, vectors.size)} for b with {vectors.size} numbers, got shape"
            f" {matrix.shape}"
        )
    if hasattr(given, "tocoo"):
        rows, columns = np.asarray(matrix.row), np.asarray(matrix.col)
        return lambda x: fnp.at(fnp.zeros_like(x))[rows].add(matrix.data * x[columns])
    return lambda x: fnp.matmul(matrix, x)


def _solve(
    name: str,
    method: Callable[..., tuple[Array, Array]],
    hermitian: bool,
    A: Any,  # noqa: N803 - SciPy's name
    b: Any,
    x0: Any,
    tol: Any,
    atol: Any,
    maxiter: Any,
    M: Any,  # noqa: N803 - SciPy's name
) -> tuple[Any, Any]:
    if A is None:
        raise TypeError(f"{name}: A must be a function or a matrix, got None")
    b, x0 = with_arrays(b), with_arrays(x0)
    dtypes = (*_dtypes(name, "A", A), *_dtypes(name, "M", M))
    vectors = Vectors(b, f"{name}: b", promoting=[fnp.zeros((), dtype) for dtype in dtypes])
    maxiter = 10 * vectors.size if maxiter is None else maxiter
    check_numbers(name, tol=tol, atol=atol, maxiter=maxiter)
    limits = Limits(tol, atol, maxiter)

    def run(b: Any, x0: Any, limits: Limits) -> tuple[Any, Any]:
        matvec, scaled = (_on_vectors(name, *m, vectors) for m in (("A", A), ("M", M)))
        rhs = vectors.ravel(b, f"{name}: b")
        start = fnp.zeros_like(rhs) if x0 is None else vectors.ravel(x0, f"{name}: x0")

        def solve(apply: Map, rhs: Array) -> tuple[Array, Array]:
            return _in_range(method, apply, rhs, start, scaled, limits)

        def solve_transposed(apply: Map, rhs: Array) -> tuple[Array, Array]:
            def turned(x: Array) -> Array:
                return x if M is None else linear_transpose(scaled, x)(x)[0]

            x, info = _in_range(method, apply, rhs, fnp.zeros_like(rhs), turned, limits)
            # Nobody sees the info of this one.
            return fnp.where(info == 0, x, fnp.nan), info

        symmetric = hermitian and kind_of(vectors.dtype) == "f"
        x, info = custom_linear_solve(
            matvec, rhs, solve, solve_transposed, symmetric=symmetric, has_aux=True
        )
        return vectors.unravel(x), info

    return jit(run)(b, x0, limits)


def _in_range(
    method: Callable[..., tuple[Array, Array]],
    apply: Map,
    rhs: Array,
    start: Array,
    scaled: Map,
    limits: Limits,
) -> tuple[Array, Array]:
    """``method`` for a right-hand side whose square neither over- nor underflows.

    It is divided by a power of two, and with it all that goes along.
    """
    largest = fnp.max(fnp.abs(rhs), initial=0.0)
    exponent = fnp.frexp(fnp.where(fnp.isfinite(largest), largest, 1.0))[1]
    atol = fnp.ldexp(fnp.asarray(limits.atol, largest.dtype), -exponent)
    x, info = method(
        apply,
        _scaled(rhs, -exponent),
        _scaled(start, -exponent),
        scaled,
        limits._replace(atol=atol),
    )
    return _scaled(x, exponent), info


def _scaled(x: Array, exponent: Array) -> Array:
    """``x * 2 ** exponent``, by two factors: one may be no number of the dtype."""
    half = exponent // 2
    one = fnp.ones((), fnp.real(x).dtype)
    return x * fnp.ldexp(one, half) * fnp.ldexp(one, exponent - half)


def cg(
    A: Any,  # noqa: N803 - SciPy's name
    b: Any,
    x0: Any = None,
    *,
    tol: Any = 1e-5,
    atol: Any = 0.0,
    maxiter: Any = None,
    M: Any = None,  # noqa: N803 - SciPy's name
) -> tuple[Any, Any]:
    """Solve ``A x = b`` for a Hermitian positive definite ``A`` by conjugate gradients.

    Parameters
    ----------
    A : callable or (n, n) array
        The linear map; a function takes and returns pytrees like ``b``. A matrix of `scipy.sparse`
        will do, too.
    b : pytree of arrays
        The right-hand side.
    x0 : pytree like b, optional
        Where the search begins; zero by default.
    tol, atol : float
        Stop at a residual of norm ``max(tol * norm(b), atol)``.
    maxiter : int, optional
        A bound of the iterations, ten for each number of ``b`` by default.
    M : callable or (n, n) array, optional
        The preconditioner: a Hermitian positive definite approximation of the inverse of ``A``.

    Returns
    -------
    x : pytree like b
        The solution.
    info : int
        0, or the number of iterations after which it had not converged.

    Notes
    -----
    Derivatives with respect to ``b`` and what ``A`` is made of are those of the solution, each by
    one more system. Cotangents are NaN where theirs does not converge.

    Examples
    --------
    >>> import numpy as np
    >>> x, info = cg(lambda v: {"a": 2 * v["a"], "b": 4 * v["b"]}, {"a": 1.0, "b": np.ones(2)})
    >>> float(x["a"]), x["b"], int(info)
    (0.5, array([0.25, 0.25]), 0)
    """
    return _solve("cg", conjugate_gradients, True, A, b, x0, tol, atol, maxiter, M)


def bicgstab(
    A: Any,  # noqa: N803 - SciPy's name
    b: Any,
    x0: Any = None,
    *,
    tol: Any = 1e-5,
    atol: Any = 0.0,
    maxiter: Any = None,
    M: Any = None,  # noqa: N803 - SciPy's name
) -> tuple[Any, Any]:
    """Solve ``A x = b`` for any ``A`` by stabilized bi-conjugate gradients.

    Parameters, results and derivatives are those of `cg`; ``M`` approximates the inverse of ``A``.

    Examples
    --------
    >>> import numpy as np
    >>> x, info = bicgstab(np.array([[2.0, 1.0], [0.0, 4.0]]), np.array([4.0, 8.0]))
    >>> np.round(x, 9), int(info)
    (array([1., 2.]), 0)
    """
    method = stabilized_bi_conjugate_gradients
    return _solve("bicgstab", method, False, A, b, x0, tol, atol, maxiter, M)


def gmres(
    A: Any,  # noqa: N803 - SciPy's name
    b: Any,
    x0: Any = None,
    *,
    tol: Any = 1e-5,
    atol: Any = 0.0,
    restart: int = 20,
    maxiter: Any = None,
    M: Any = None,  # noqa: N803 - SciPy's name
) -> tuple[Any, Any]:
    """Solve ``A x = b`` for any ``A`` by generalized minimal residuals, begun again and again.

    Parameters, results and derivatives are those of `cg`; ``M`` approximates the inverse of ``A``.
    It is applied on the right, so that ``tol`` is about the residual of the system itself.

    Parameters
    ----------
    restart : int
        Steps, and vectors that are kept, of one cycle.
    maxiter : int, optional
        A bound of the number of cycles.

    Examples
    --------
    >>> import numpy as np
    >>> x, info = gmres(np.array([[2.0, 1.0], [0.0, 4.0]]), np.array([4.0, 8.0]))
    >>> np.round(x, 9), int(info)
    (array([1., 2.]), 0)
    """
    if not isinstance(restart, (int, np.integer)) or restart < 1:
        raise ValueError(f"gmres: restart must be an integer, at least 1, got {restart!r}")
    method = partial(generalized_minimal_residual, restart=restart)
    return _solve("gmres", method, False, A, b, x0, tol, atol, maxiter, M)
