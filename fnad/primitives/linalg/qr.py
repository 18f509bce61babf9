"""The QR factorisation."""

from __future__ import annotations

from typing import Any

import numpy as np

from fnad.core.primitive import Parts, Primitive, Zero
from fnad.core.types import ShapedArray, aval_of
from fnad.primitives.linalg.matrices import (
    adjoint,
    check_matrices,
    conjugate,
    identity,
    is_complex,
    is_empty,
    lower_part,
    matmul,
    refuse_completed,
    routine,
    swapped,
    upper_part,
    with_unit_pivot,
    zeros,
)
from fnad.primitives.linalg.routines import (
    Given,
    Made,
    Scratch,
    call_complex,
    from_columns,
    in_columns,
)
from fnad.primitives.linalg.triangular import triangular_solve
from fnad.primitives.shape import full, full_like
from fnad.primitives.slicing import pad, slice_in_dim

# Columns that LAPACK may work on together, given the memory.
_BLOCK = 64

qr_p = Primitive(
    "qr",
    "``A = Q R`` for each matrix ``(..., m, n)``: Q with k orthonormal columns and R ``(k, n)``"
    " upper triangular, where k is m with ``full_matrices``, else min(m, n). Signs are LAPACK's: R"
    " may have negative elements on its diagonal, which is real. Floats and complex numbers of"
    " single and double precision.",
    multiple_results=True,
)


@qr_p.type_rule
def _(a, *, full_matrices):
    check_matrices("qr", a)
    *batch, m, n = a.shape
    k = m if full_matrices else min(m, n)
    return [ShapedArray((*batch, m, k), a.dtype), ShapedArray((*batch, k, n), a.dtype)]


@qr_p.evaluate
def _(a, *, full_matrices):
    *batch, m, n = a.shape
    k = m if full_matrices else min(m, n)
    if is_empty(*a.shape):
        q = np.broadcast_to(np.eye(m, k, dtype=a.dtype), (*batch, m, k))
        return [q.copy(), np.zeros((*batch, k, n), a.dtype)]
    return [*np.linalg.qr(a, "complete" if full_matrices else "reduced")]


@qr_p.jvp
def _(primals, tangents, *, full_matrices):
    # With G = A₁' R₁⁻¹ for the leading columns that R₁ is square over, and the antisymmetric Ω that
    # agrees with Qᴴ G below the diagonal: Q' = G - Q Qᴴ G + Q Ω and R' = Qᴴ A' - Ω R. Seeger et al.
    # (2017), arXiv:1710.08717; Roberts and Roberts (2020), arXiv:2009.10071, for m < n. Of complex
    # matrices, the diagonal of Ω is what makes that of R' real. Of real ones with m <= n, Q' is
    # Q Ω, which does not depend on the last pivot: that may be zero.
    (a,), (t,) = primals, tangents
    q, r = qr_p.bind(a, full_matrices=full_matrices)
    if isinstance(t, Zero):
        return [q, r], [Zero(aval_of(q)), Zero(aval_of(r))]
    m, n = aval_of(a).shape[-2:]
    if full_matrices and m > n:
        refuse_completed("qr", (m, n))
    k = min(m, n)
    leading = slice_in_dim(t, 0, k, 1, aval_of(t).ndim - 1)
    square = slice_in_dim(r, 0, k, 1, aval_of(r).ndim - 1)
    turns_alone = m <= n and not is_complex(a)
    if turns_alone:
        square = with_unit_pivot(square, k - 1)
    across = triangular_solve(square, leading)
    inside = matmul(adjoint(q), across)
    below = lower_part(inside, -1)
    turn = below - adjoint(below)
    if is_complex(inside):
        diagonal = upper_part(lower_part(inside))
        turn = turn + (diagonal - conjugate(diagonal)) * 0.5
    t_q = matmul(q, turn) if turns_alone else across + matmul(q, turn - inside)
    return [q, r], [t_q, upper_part(matmul(adjoint(q), t) - matmul(turn, r))]


@qr_p.batch
def _(args, batched, axis, *, full_matrices):
    return qr_p.bind(*args, full_matrices=full_matrices), [True, True]


@qr_p.lower
def _(p, a, *, full_matrices):
    b = p.b
    *batch, m, n = a.shape
    k = m if full_matrices else min(m, n)
    if is_empty(*a.shape):
        return [identity(p, (*batch, m, k), a.dtype), zeros(p, (*batch, k, n), a.dtype)]
    rank = min(m, n)
    packed, scales = p.copied(swapped(p, a)), p.stored((*batch, rank), a.dtype)
    info = p.stored(batch, np.int32)
    size = _BLOCK * n
    work = (p.workspace(size, a.dtype), size)
    arguments = (m, n, packed, m, scales, *work, info)
    p.call(routine("geqrf", a.dtype), arguments, (), (packed, scales, info), 2 * m * n * rank)

    def column(index: Any) -> Any:
        if k <= n:
            return packed.at(index)
        *first, j, i = index
        element = packed.at((*first, b.minimum(j, b.constant(n - 1, np.int64)), i))
        inside = b.less(j, b.constant(n, np.int64))
        return b.where(inside, element, b.constant(0, a.dtype))

    q = p.copied(p.compute((*batch, k, m), a.dtype, column))
    size = _BLOCK * k
    work = (p.workspace(size, a.dtype), size)
    arguments = (m, k, rank, q, m, scales, *work, info)
    p.call(routine("orgqr", a.dtype), arguments, (scales,), (q, info), 2 * m * k * rank)

    def upper(index: Any) -> Any:
        *first, i, j = index
        value = packed.at((*first, j, i))
        return b.where(b.less_equal(i, j), value, b.constant(0, a.dtype))

    return [swapped(p, q), p.compute((*batch, k, n), a.dtype, upper)]


@qr_p.parts
def _(a, *, full_matrices):
    *batch, m, n = shape = aval_of(a.re).shape
    part = aval_of(a.re).dtype
    k, rank = m if full_matrices else min(m, n), min(m, n)
    if is_empty(*shape):
        r = full((*batch, k, n), 0, part)
        q = full((*batch, m, k), 1, part)
        return [Parts(upper_part(lower_part(q)), full_like(q, 0)), Parts(r, r)]
    info = (tuple(batch), np.dtype(np.int32))
    size = _BLOCK * n
    packed, scales, _ = call_complex(
        "geqrf",
        (in_columns(a),),
        (m, n, Made(0), m, Made(1), Scratch(2 * size, part), size, Made(2)),
        [0, ((*batch, 2 * rank), part), info],
        2 * m * n * rank,
    )
    factors = from_columns(packed)
    columns, rows = [], []
    for x in (factors.re, factors.im):
        whole = pad(x, part.type(0), [(0, 0, 0)] * (x.ndim - 1) + [(0, max(k - n, 0), 0)])
        columns.append(slice_in_dim(whole, 0, k, 1, x.ndim - 1))
        rows.append(upper_part(slice_in_dim(x, 0, k, 1, x.ndim - 2)))
    size = _BLOCK * k
    q, _ = call_complex(
        "ungqr",
        (in_columns(Parts(*columns)), scales),
        (m, k, rank, Made(0), m, Given(1), Scratch(2 * size, part), size, Made(1)),
        [0, info],
        2 * m * k * rank,
    )
    return [from_columns(q), Parts(*rows)]


def qr(x: Any, *, full_matrices: bool = True) -> tuple[Any, Any]:
    """The QR factorisation, ``x = q r``.

    Differentiable unless ``full_matrices`` completes the columns of q, which ``x`` does not
    determine; in the leading columns, as many as there are rows at most, ``x`` must have full rank.

    Parameters
    ----------
    x : array
        ``(..., m, n)``, float32 or float64.
    full_matrices : bool
        Whether q is ``(..., m, m)``; else it has min(m, n) columns.

    Returns
    -------
    q, r : array
        Orthonormal columns, and an upper triangular matrix.

    Examples
    --------
    >>> q, r = qr(np.array([[3.0], [4.0]]), full_matrices=False)
    >>> r
    array([[-5.]])
    """
    q, r = qr_p.bind(x, full_matrices=bool(full_matrices))
    return q, r
