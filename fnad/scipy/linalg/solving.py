"""Linear equations, by the factors of matrices."""

from __future__ import annotations

from typing import Any

import numpy as np

import fnad.numpy as fnp
from fnad import lax
from fnad.numpy.operands import Array, broadcast_shapes, convert, expand
from fnad.numpy.solving import as_matrices
from fnad.primitives.custom.linear_solve import solve_apart
from fnad.primitives.linalg import cholesky as factorisation
from fnad.primitives.linalg import lu as exchanging
from fnad.primitives.linalg.permutations import permute_rows
from fnad.primitives.linalg.schur import schur, triangular_sylvester_p
from fnad.primitives.linalg.triangular import triangular_solve
from fnad.scipy.linalg.operands import adjoint, of_one_dtype, solved

_TRANSPOSITIONS = {0: 0, 1: 1, 2: 2, "N": 0, "T": 1, "C": 2}
_STRUCTURES = {
    "gen": ("gen", "general"),
    "sym": ("sym", "symmetric"),
    "her": ("her", "hermitian"),
    "pos": ("pos", "positive definite"),
    "diagonal": ("diagonal",),
    "tridiagonal": ("tridiagonal",),
    "banded": ("banded",),
    "upper triangular": ("upper triangular",),
    "lower triangular": ("lower triangular",),
}


def cholesky(
    a: Any, lower: bool = False, overwrite_a: bool = False, check_finite: bool = True
) -> Array:
    """The Cholesky factors of symmetric or Hermitian positive definite matrices.

    Parameters
    ----------
    a : array_like
        ``(..., n, n)``, of which one triangle is read.
    lower : bool
        Whether the lower triangle is read, and L with ``a = L Lᴴ`` returned; else the upper one,
        and U with ``a = Uᴴ U``.
    overwrite_a, check_finite : bool
        For the sake of SciPy's signature: arrays are never changed, NaN goes through. So in all
        functions of this module.

    Returns
    -------
    array
        Triangular. A matrix that is not positive definite gives NaN.

    Examples
    --------
    >>> cholesky(np.array([[4.0, 2.0], [2.0, 2.0]]))
    array([[2., 1.],
           [0., 1.]])
    """
    del overwrite_a, check_finite
    a = as_matrices("cholesky", a, square=True)
    factor = factorisation.cholesky(a if lower else adjoint(a), symmetrize_input=False)
    return factor if lower else adjoint(factor)


def cho_factor(
    a: Any, lower: bool = False, overwrite_a: bool = False, check_finite: bool = True
) -> tuple[Array, bool]:
    """A Cholesky factor for `cho_solve`, and which triangle it is.

    Parameters are those of `cholesky`. Unlike SciPy's, the other triangle of the factor is zero.

    Examples
    --------
    >>> c, lower = cho_factor(np.array([[4.0, 2.0], [2.0, 2.0]]))
    >>> cho_solve((c, lower), np.array([2.0, 2.0]))
    array([0., 1.])
    """
    return cholesky(a, lower, overwrite_a, check_finite), lower


def cho_solve(
    c_and_lower: tuple[Any, bool],
    b: Any,
    overwrite_b: bool = False,
    check_finite: bool = True,
) -> Array:
    """Solve ``a x = b`` by the result of `cho_factor` for ``a``.

    Parameters
    ----------
    c_and_lower : tuple
        A factor ``(..., n, n)``, and whether it is the lower one.
    b : array_like
        ``(n,)`` or ``(..., n, k)``.

    Examples
    --------
    >>> cho_solve((np.array([[2.0, 1.0], [0.0, 1.0]]), False), np.array([2.0, 2.0]))
    array([0., 1.])
    """
    del overwrite_b, check_finite
    c, lower = c_and_lower
    return solved("cho_solve", c, b, lambda c, b: _by_cholesky(c, b, lower))


def _by_cholesky(c: Array, b: Array, lower: bool) -> Array:
    options: dict[str, Any] = {"left_side": True, "lower": lower}
    for adjoint_first in (not lower, lower):
        b = triangular_solve(c, b, transpose_a=adjoint_first, conjugate_a=adjoint_first, **options)
    return b


def lu_factor(a: Any, overwrite_a: bool = False, check_finite: bool = True) -> tuple[Array, Array]:
    """The LU factorisation with exchanges of rows, packed, for `lu_solve`.

    Parameters
    ----------
    a : array_like
        ``(..., m, n)``.

    Returns
    -------
    lu : array
        L below the diagonal, whose own diagonal is ones, and U in the rest.
    piv : array of int32
        Row ``piv[i]`` was exchanged with row i, in order.

    Examples
    --------
    >>> lu_factor(np.array([[1.0, 5.0], [2.0, 4.0]]))[1]
    array([1, 1], dtype=int32)
    """
    del overwrite_a, check_finite
    factors, pivots, _ = exchanging.lu(as_matrices("lu_factor", a))
    return factors, pivots


def lu_solve(
    lu_and_piv: tuple[Any, Any],
    b: Any,
    trans: int = 0,
    overwrite_b: bool = False,
    check_finite: bool = True,
) -> Array:
    """Solve ``a x = b`` by the result of `lu_factor` for ``a``.

    Parameters
    ----------
    lu_and_piv : tuple
        Factors ``(..., n, n)`` and pivots ``(..., n)``.
    b : array_like
        ``(n,)`` or ``(..., n, k)``.
    trans : {0, 1, 2}
        Whether to solve with ``a``, its transpose, or its conjugate transpose.

    Examples
    --------
    >>> lu_solve(lu_factor(np.array([[1.0, 5.0], [2.0, 4.0]])), np.array([6.0, 6.0]))
    array([1., 1.])
    """
    del overwrite_b, check_finite
    factors, pivots = lu_and_piv
    kind = _transposition("lu_solve", trans)
    order = lax.linalg.lu_pivots_to_permutation(fnp.asarray(pivots), fnp.shape(factors)[-1])

    def solve(factors: Array, b: Array) -> Array:
        rows = expand(order, (*b.shape[:-2], order.shape[-1]))
        if kind == 0:
            return exchanging.lu_solve(factors, rows, b)
        turned = {"left_side": True, "transpose_a": True, "conjugate_a": kind == 2}
        b = triangular_solve(factors, b, **turned)
        b = triangular_solve(factors, b, lower=True, unit_diagonal=True, **turned)
        return permute_rows(b, fnp.argsort(rows, -1))

    return solved("lu_solve", factors, b, solve)


def _transposition(name: str, trans: Any) -> int:
    if not isinstance(trans, (int, str, np.integer)) or trans not in _TRANSPOSITIONS:
        raise ValueError(f"{name}: trans must be 0, 1 or 2 ('N', 'T' or 'C'), got {trans!r}")
    return _TRANSPOSITIONS[trans]


def solve_triangular(
    a: Any,
    b: Any,
    trans: int | str = 0,
    lower: bool = False,
    unit_diagonal: bool = False,
    overwrite_b: bool = False,
    debug: Any = None,
    check_finite: bool = True,
) -> Array:
    """Solve ``a x = b`` for triangular matrices.

    Parameters
    ----------
    a : array_like
        ``(..., n, n)``, of which one triangle is read.
    b : array_like
        ``(n,)`` or ``(..., n, k)``.
    trans : {0, 1, 2, "N", "T", "C"}
        Whether to solve with ``a``, its transpose, or its conjugate transpose.
    lower : bool
        Which triangle is read.
    unit_diagonal : bool
        Whether the diagonal counts as ones.

    Examples
    --------
    >>> a = np.array([[2.0, 0.0], [1.0, 4.0]])
    >>> solve_triangular(a, np.array([2.0, 9.0]), lower=True)
    array([1., 2.])
    """
    del overwrite_b, debug, check_finite
    kind = _transposition("solve_triangular", trans)

    def solve(a: Array, b: Array) -> Array:
        return triangular_solve(
            a,
            b,
            left_side=True,
            lower=lower,
            transpose_a=kind > 0,
            conjugate_a=kind == 2,
            unit_diagonal=unit_diagonal,
        )

    return solved("solve_triangular", a, b, solve)


def solve(
    a: Any,
    b: Any,
    lower: bool = False,
    overwrite_a: bool = False,
    overwrite_b: bool = False,
    debug: bool = False,
    check_finite: bool = True,
    assume_a: str = "gen",
) -> Array:
    """Solve ``a x = b`` for square matrices.

    Parameters
    ----------
    a : array_like
        ``(..., n, n)``.
    b : array_like
        ``(n,)`` or ``(..., n, k)``.
    lower : bool
        Which triangle is read of positive definite matrices.
    assume_a : str
        What is known of ``a``: "pos" solves by a Cholesky factor, "upper triangular" and "lower
        triangular" by substitution, all else ("gen", "sym", "her", "diagonal", "tridiagonal",
        "banded") by LU.

    Examples
    --------
    >>> solve(np.array([[2.0, 1.0], [1.0, 2.0]]), np.array([3.0, 3.0]), assume_a="pos").round(12)
    array([1., 1.])
    """
    del overwrite_a, overwrite_b, debug, check_finite
    kind = next((k for k, names in _STRUCTURES.items() if assume_a in names), None)
    if kind is None:
        raise ValueError(f"solve: assume_a must be one of {list(_STRUCTURES)}, got {assume_a!r}")
    if kind == "pos":
        return solved("solve", a, b, lambda a, b: _solve_positive(a, b, lower))
    if kind.endswith("triangular"):
        return solve_triangular(a, b, lower=kind.startswith("lower"))
    return fnp.linalg.solve(a, b)


def _solve_positive(a: Array, b: Array, lower: bool) -> Array:
    factor = cholesky(lax.stop_gradient(a), lower)

    def transposed(vecmat: Any, b: Array) -> Array:
        return fnp.conjugate(_by_cholesky(factor, fnp.conjugate(b), lower))

    return lax.custom_linear_solve(
        lambda x: a @ x, b, lambda _, b: _by_cholesky(factor, b, lower), transposed
    )


def inv(a: Any, overwrite_a: bool = False, check_finite: bool = True) -> Array:
    """The inverses of square matrices ``(..., n, n)``; of singular ones, infinities or NaN.

    Examples
    --------
    >>> inv(np.array([[2.0, 0.0], [0.0, 4.0]]))
    array([[0.5 , 0.  ],
           [0.  , 0.25]])
    """
    del overwrite_a, check_finite
    return fnp.linalg.inv(a)


def det(a: Any, overwrite_a: bool = False, check_finite: bool = True) -> Array:
    """The determinants of square matrices ``(..., n, n)``.

    Examples
    --------
    >>> det(np.array([[0.0, 2.0], [2.0, 0.0]]))
    np.float64(-4.0)
    """
    del overwrite_a, check_finite
    return fnp.linalg.det(a)


def solve_sylvester(
    A: Any,  # noqa: N803
    B: Any,  # noqa: N803
    C: Any,  # noqa: N803
) -> Array:
    """Solve ``A X + X B = C``, by Schur decompositions (Bartels and Stewart 1972).

    Parameters
    ----------
    A, B, C : array_like
        ``(..., m, m)``, ``(..., n, n)`` and ``(..., m, n)``; leading axes broadcast.

    Returns
    -------
    array
        ``(..., m, n)``; NaN where A and -B have an eigenvalue in common. Derivatives are those of
        the equation, of any order: those of Schur decompositions are not needed.

    Examples
    --------
    >>> solve_sylvester(np.diag([1.0, 2.0]), np.array([[1.0]]), np.array([[2.0], [6.0]])).round(12)
    array([[1.],
           [2.]])
    """
    a, b, c = of_one_dtype("solve_sylvester", A, B, C)
    a, b = (as_matrices("solve_sylvester", x, square=True) for x in (a, b))
    c = as_matrices("solve_sylvester", c)
    if c.shape[-2:] != (a.shape[-1], b.shape[-1]):
        raise ValueError(
            f"solve_sylvester: C of shape {c.shape} must have as many rows as A of shape {a.shape}"
            f" and as many columns as B of shape {b.shape}"
        )
    batch = broadcast_shapes([x.shape[:-2] for x in (a, b, c)], "solve_sylvester")
    a, b, c = (expand(x, (*batch, *x.shape[-2:])) for x in (a, b, c))
    whole = np.result_type(c.dtype, np.complex64)
    (s, p), (t, q) = (schur(convert(lax.stop_gradient(x), whole)) for x in (a, b))

    def solve(matvec: Any, c: Array) -> Array:
        inner = adjoint(p) @ convert(c, whole) @ q
        return _real_if(
            c, p @ triangular_sylvester_p.bind(s, t, inner, transposed=False) @ adjoint(q)
        )

    def transposed(vecmat: Any, c: Array) -> Array:
        inner = fnp.matrix_transpose(p) @ convert(c, whole) @ fnp.conjugate(q)
        found = triangular_sylvester_p.bind(s, t, inner, transposed=True)
        return _real_if(c, fnp.conjugate(p) @ found @ fnp.matrix_transpose(q))

    return solve_apart(tuple(range(len(batch))), lambda x: a @ x + x @ b, c, solve, transposed)


def _real_if(like: Array, x: Array) -> Array:
    return x if like.dtype.kind == "c" else fnp.real(x)
