"""``cg``, ``bicgstab`` and ``gmres``: linear systems of which only products are known."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import fnad.numpy as fnp
from fnad.core.types import aval_of, kind_of
from fnad.primitives.custom.linear_solve import custom_linear_solve
from fnad.scipy.sparse.linalg.krylov import (
    Limits,
    conjugate_gradients,
    generalized_minimal_residual,
    stabilized_bi_conjugate_gradients,
)
from fnad.scipy.vectors import Vectors, with_arrays
from fnad.transforms.autodiff import linear_transpose
from fnad.transforms.jit import jit

Array = Any
Map = Callable[[Array], Array]


def _on_vectors(given: Any, vectors: Vectors, what: str) -> Map:
    """A map of vectors: of a function of pytrees, or of a square matrix."""
    if given is None:
        return lambda x: x
    if callable(given):
        return lambda x: vectors.ravel(given(vectors.unravel(x)), f"what {what} returns")
    matrix = fnp.asarray(given)
    if matrix.shape != (vectors.size, vectors.size):
        raise ValueError(
            f"{what} must be a function, or a matrix of shape {(vectors.size, vectors.size)} for b"
            f" with {vectors.size} numbers, got shape {matrix.shape}"
        )
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
    b, x0 = with_arrays(b), with_arrays(x0)
    matrix_dtype = () if callable(A) else (fnp.zeros((), aval_of(fnp.asarray(A)).dtype),)
    vectors = Vectors(b, f"{name}: b", promoting=matrix_dtype)
    limits = Limits(tol, atol, 10 * vectors.size if maxiter is None else maxiter)

    def run(b: Any, x0: Any, limits: Limits) -> tuple[Any, Any]:
        matvec, scaled = (
            _on_vectors(A, vectors, f"{name}: A"),
            _on_vectors(M, vectors, f"{name}: M"),
        )
        rhs = vectors.ravel(b, f"{name}: b")
        start = fnp.zeros_like(rhs) if x0 is None else vectors.ravel(x0, f"{name}: x0")

        def solve(apply: Map, rhs: Array) -> tuple[Array, Array]:
            return method(apply, rhs, start, scaled, limits)

        def solve_transposed(apply: Map, rhs: Array) -> tuple[Array, Array]:
            def turned(x: Array) -> Array:
                return x if M is None else linear_transpose(scaled, x)(x)[0]

            x, info = method(apply, rhs, fnp.zeros_like(rhs), turned, limits)
            # Nobody sees the info of this one.
            return fnp.where(info == 0, x, fnp.nan), info

        symmetric = hermitian and kind_of(vectors.dtype) == "f"
        x, info = custom_linear_solve(
            matvec, rhs, solve, solve_transposed, symmetric=symmetric, has_aux=True
        )
        return vectors.unravel(x), info

    return jit(run)(b, x0, limits)


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
        The linear map; a function takes and returns pytrees like ``b``.
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
    if restart < 1:
        raise ValueError(f"gmres: restart must be at least 1, got {restart}")
    method = partial(generalized_minimal_residual, restart=restart)
    return _solve("gmres", method, False, A, b, x0, tol, atol, maxiter, M)
