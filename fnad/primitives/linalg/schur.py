"""The Schur decomposition, and the equations with triangular matrices that build on it."""

from __future__ import annotations

from typing import Any

import numpy as np

from fnad.core.primitive import Linear, Parts, Primitive, Zero
from fnad.core.types import aval_of
from fnad.primitives.linalg.matrices import (
    check_matrices,
    each,
    is_empty,
    matmul,
    matrix_transpose,
    nan_like,
    routine,
    upper_part,
)
from fnad.primitives.linalg.routines import (
    Given,
    Made,
    Scratch,
    call_complex,
    from_columns,
    in_columns,
    nan_where_it_failed,
    routine_p,
)
from fnad.primitives.shape import broadcast_in_dim, leading_axis_full

_INT32 = np.dtype(np.int32)
# Columns that LAPACK may work on together, given the memory.
_BLOCK = 64

schur_p = Primitive(
    "schur",
    "``A = Z T Zᴴ`` for each matrix ``(..., n, n)``: T, upper triangular, and Z, whose columns are"
    " orthonormal. Of real matrices both are real, and T has blocks of two rows on its diagonal for"
    " conjugate eigenvalues. Floats and complex numbers of single and double precision.",
    multiple_results=True,
)


@schur_p.type_rule
def _(a):
    check_matrices("schur", a, square=True)
    return [a.strong(), a.strong()]


@schur_p.evaluate
def _(a):
    from scipy.linalg import lapack

    if is_empty(*a.shape):
        return [np.zeros(a.shape, a.dtype), np.zeros(a.shape, a.dtype)]
    gees = getattr(lapack, routine("gees", a.dtype))

    def decompose(matrix: np.ndarray) -> list[Any]:
        t, *_, z, _, info = gees(_no_order, matrix, lwork=_BLOCK * len(matrix))
        return [t, z] if info == 0 else [nan_like(t), nan_like(z)]

    return each(decompose, a)


def _no_order(*eigenvalue: Any) -> None:
    """What LAPACK would ask about eigenvalues, were they to be ordered."""


@schur_p.jvp
def _(primals, tangents):
    # The order of the eigenvalues is LAPACK's to choose, and to change with the last bit of A.
    if all(isinstance(t, Zero) for t in tangents):
        outs = schur_p.bind(*primals)
        return outs, [Zero(aval_of(x)) for x in outs]
    raise TypeError(
        "schur: the Schur decomposition has no derivative, since the order of eigenvalues and the"
        " phases of vectors are not determined. What does not depend on them has: sqrtm, expm,"
        " solve_sylvester, eigvals."
    )


@schur_p.batch
def _(args, batched, axis):
    return schur_p.bind(*args), [True, True]


def _arguments(n: int, part: Any, values: tuple[Any, ...], reals: tuple[Any, ...] = ()) -> Any:
    """Of ``gees``, with memory for the eigenvalues, and for reals if it wants some."""
    nothing, size = Scratch(1, _INT32), _BLOCK * n
    work = Scratch(2 * size if reals else size, part)
    head = ("V", "N", nothing, n, Made(0), n, nothing)
    return (*head, *values, Made(1), n, work, size, *reals, nothing, Made(2))


@schur_p.lower_as
def _(a):
    *batch, n, _ = shape = aval_of(a).shape
    if is_empty(*shape):
        return [a, a]
    part = aval_of(a).dtype
    *results, failed = routine_p.bind(
        matrix_transpose(a),
        name=routine("gees", part),
        arguments=_arguments(n, part, (Scratch(n, part), Scratch(n, part))),
        results=(0, (shape, part), (tuple(batch), _INT32)),
        operations=25 * n**3,
    )
    return [nan_where_it_failed(matrix_transpose(x), failed) for x in results]


@schur_p.parts
def _(a):
    *batch, n, _ = shape = aval_of(a.re).shape
    if is_empty(*shape):
        return [a, a]
    part = aval_of(a.re).dtype
    *results, failed = call_complex(
        "gees",
        (in_columns(a),),
        _arguments(n, part, (Scratch(2 * n, part),), (Scratch(n, part),)),
        [0, ((*shape[:-1], 2 * n), part), (tuple(batch), _INT32)],
        25 * n**3,
    )
    return [
        Parts(nan_where_it_failed(x.re, failed), nan_where_it_failed(x.im, failed))
        for x in map(from_columns, results)
    ]


def schur(x: Any, *, compute_schur_vectors: bool = True) -> tuple[Any, ...]:
    """The Schur decomposition of square matrices, ``x = z t zᴴ``.

    It has no derivative.

    Parameters
    ----------
    x : array
        ``(..., n, n)``, floats or complex numbers of single or double precision.
    compute_schur_vectors : bool
        Whether to return z.

    Returns
    -------
    t : array
        As ``x``: upper triangular, but for blocks of two rows on the diagonal of real matrices,
        which stand for conjugate eigenvalues.
    z : array
        As ``x``, with orthonormal columns.

    Examples
    --------
    >>> t, z = schur(np.array([[1.0, 2.0], [0.0, 3.0]]))
    >>> t
    array([[1., 2.],
           [0., 3.]])
    """
    t, z = schur_p.bind(x)
    return (t, z) if compute_schur_vectors else (t,)


triangular_sylvester_p = Primitive(
    "triangular_sylvester",
    "The X with ``op(S) X + X op(T) = C`` for upper triangular matrices S ``(..., m, m)`` and T"
    " ``(..., n, n)`` and matrices C with equal leading axes. op transposes if ``transposed``. What"
    " is below the diagonals is not read. X is NaN where S and -T have an eigenvalue in common."
    " Complex numbers of single and double precision.",
)


@triangular_sylvester_p.type_rule
def _(s, t, c, *, transposed):
    for x in (s, t, c):
        check_matrices("triangular_sylvester", x, square=x is not c)
    shapes = {s.shape[:-2], t.shape[:-2], c.shape[:-2]}
    fit = c.shape[-2:] == (s.shape[-1], t.shape[-1]) and len(shapes) == 1
    if not fit or len({s.dtype, t.dtype, c.dtype}) > 1 or c.dtype.kind != "c":
        raise TypeError(
            f"triangular_sylvester: {s}, {t} and {c} do not go together: they need one complex"
            " dtype, equal leading axes, and as many rows and columns of c as s and t have"
        )
    return c.strong()


@triangular_sylvester_p.evaluate
def _(s, t, c, *, transposed):
    from scipy.linalg import lapack

    if is_empty(*c.shape):
        return np.zeros(c.shape, c.dtype)
    trsyl = getattr(lapack, routine("trsyl", c.dtype))

    def solve(left: np.ndarray, right: np.ndarray, matrix: np.ndarray) -> list[Any]:
        if not transposed:
            x, scale, info = trsyl(left, right, matrix)
            return [x / c.dtype.type(scale) if info == 0 else nan_like(x)]
        # LAPACK knows the conjugate transposes of complex matrices alone.
        x, scale, info = trsyl(left, right, np.conj(matrix), trana="C", tranb="C")
        return [np.conj(x) / c.dtype.type(scale) if info == 0 else nan_like(x)]

    return each(solve, s, t, c)[0]


@triangular_sylvester_p.jvp
def _(primals, tangents, *, transposed):
    # op(S) X' + X' op(T) = C' - op(S') X - X op(T').
    s, t, c = primals
    ts, tt, tc = tangents
    x = triangular_sylvester_p.bind(s, t, c, transposed=transposed)
    change = None if isinstance(tc, Zero) else tc
    for tangent, on_the_left in ((ts, True), (tt, False)):
        if isinstance(tangent, Zero):
            continue
        moved = upper_part(tangent)
        moved = matrix_transpose(moved) if transposed else moved
        product = matmul(moved, x) if on_the_left else matmul(x, moved)
        change = -product if change is None else change - product
    if change is None:
        return x, Zero(aval_of(x))
    return x, triangular_sylvester_p.bind(s, t, change, transposed=transposed)


@triangular_sylvester_p.transpose
def _(ct, s, t, c, *, transposed):
    assert isinstance(c, Linear)
    return [None, None, triangular_sylvester_p.bind(s, t, ct, transposed=not transposed)]


@triangular_sylvester_p.batch
def _(args, batched, axis, *, transposed):
    args = [leading_axis_full(x, full, axis.size) for x, full in zip(args, batched)]
    return triangular_sylvester_p.bind(*args, transposed=transposed), True


@triangular_sylvester_p.parts
def _(s, t, c, *, transposed):
    *batch, m, n = shape = aval_of(c.re).shape
    part = aval_of(c.re).dtype
    if is_empty(*shape):
        return c
    op = "C" if transposed else "N"
    right = Parts(c.re, -c.im) if transposed else c
    found, scale, info = call_complex(
        "trsyl",
        (in_columns(right), in_columns(s), in_columns(t)),
        (op, op, 1, m, n, Given(1), m, Given(2), n, Made(0), m, Made(1), Made(2)),
        [0, (tuple(batch), part), (tuple(batch), _INT32)],
        m * n * (m + n),
    )
    x = from_columns(found)
    scale = broadcast_in_dim(scale, shape, tuple(range(len(batch))))
    re, im = (nan_where_it_failed(y / scale, info) for y in (x.re, x.im))
    return Parts(re, -im if transposed else im)
