"""What is made of singular vectors and has derivatives where they have none.

The derivatives of singular vectors are infinite where any singular values are equal. The unitary
factor does not notice, and those of one singular value are its own as long as that is apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np

from fnad.numpy import ufuncs
from fnad.numpy.complex_numbers import conjugate
from fnad.numpy.contraction import matmul
from fnad.numpy.creation import eye, zeros
from fnad.numpy.dtype_info import finfo
from fnad.numpy.joining import concatenate
from fnad.numpy.manipulation import expand_dims
from fnad.numpy.operands import Array, constant_like, convert
from fnad.numpy.reductions import sum as sum_of
from fnad.numpy.selection import where
from fnad.numpy.solving import adjoint, solve
from fnad.primitives.custom import custom_jvp
from fnad.primitives.custom.linear_solve import solve_apart
from fnad.primitives.linalg import svd as singular
from fnad.primitives.logic import stop_gradient


@custom_jvp
def unitary_factor(a: Array) -> Array:
    """The U of ``A = U P`` with orthonormal columns, for matrices of no more columns than rows."""
    u, _, vt = singular.svd(a, full_matrices=False)
    return matmul(u, vt)


@unitary_factor.defjvp
def _(primals: Sequence[Array], tangents: Sequence[Array]) -> tuple[Array, Array]:
    # U' = U W + (1 - U Uᴴ) A' P⁻¹, where P W + W P = Uᴴ A' - A'ᴴ U.
    (a,), (t,) = primals, tangents
    u = unitary_factor(a)
    inner = matmul(adjoint(u), t)
    p = hermitian_part(matmul(adjoint(u), a))
    skew = ufuncs.subtract(inner, adjoint(inner))
    change = matmul(u, _anticommuted(p, stop_gradient(a), skew))
    if a.shape[-2] > a.shape[-1]:
        outside = ufuncs.subtract(t, matmul(u, inner))
        change = ufuncs.add(change, adjoint(solve(p, adjoint(outside))))
    return u, change


def hermitian_part(a: Array) -> Array:
    """``(A + Aᴴ) / 2``."""
    return ufuncs.multiply(ufuncs.add(a, adjoint(a)), 0.5)


def _anticommuted(p: Array, a: Array, c: Array) -> Array:
    """The W with ``P W + W P = C`` for ``P P = Aᴴ A``: by sums of singular values."""
    _, s, vt = singular.svd(a, full_matrices=False)
    sums = ufuncs.add(expand_dims(s, -1), expand_dims(s, -2))

    def solved(v: Array, c: Array) -> Array:
        inner = ufuncs.divide(matmul(adjoint(v), matmul(c, v)), sums)
        return matmul(v, matmul(inner, adjoint(v)))

    v = adjoint(vt)
    return solve_apart(
        tuple(range(c.ndim - 2)),
        lambda w: ufuncs.add(matmul(p, w), matmul(w, p)),
        c,
        lambda _, c: solved(v, c),
        lambda _, c: solved(conjugate(v), c),
    )


@partial(custom_jvp, nondiff_argnums=(0,))
def extreme_slope(largest: bool, a: Array) -> Array:
    """The derivative of the largest or smallest singular value: ``u vᴴ``, or the mean of several.

    Where they are several it has no derivative, and says NaN.
    """
    u, s, vt = singular.svd(a, full_matrices=False)
    chosen = convert(ufuncs.equal(s, _extreme(largest, s)), s.dtype)
    shares = ufuncs.divide(chosen, sum_of(chosen, -1, keepdims=True))
    return matmul(ufuncs.multiply(u, expand_dims(shares, -2)), vt)


@extreme_slope.defjvp
def _(largest: bool, primals: Sequence[Array], tangents: Sequence[Array]) -> tuple[Array, Array]:
    (a,), (t,) = primals, tangents
    z, m = _extreme_pair(largest, a), a.shape[-2]
    turn = _turn(a, z, t)
    s = singular.svd(stop_gradient(a), compute_uv=False)
    extreme = _extreme(largest, s)
    rounding = 8 * max(a.shape[-2:]) * finfo(s.dtype).eps
    distances = ufuncs.absolute(ufuncs.subtract(s, extreme))
    near = ufuncs.less_equal(distances, ufuncs.multiply(s[..., :1], rounding))
    several = ufuncs.greater(sum_of(convert(near, s.dtype), -1), 1)[..., None, None]
    change = ufuncs.add(
        matmul(turn[..., :m, :], adjoint(z[..., m:, :])),
        matmul(z[..., :m, :], adjoint(turn[..., m:, :])),
    )
    factor = where(several, constant_like(change, np.nan), constant_like(change, 2))
    return extreme_slope(largest, a), ufuncs.multiply(change, factor)


def _extreme(largest: bool, s: Array) -> Array:
    return s[..., :1] if largest else s[..., -1:]


@partial(custom_jvp, nondiff_argnums=(0,))
def _extreme_pair(largest: bool, a: Array) -> Array:
    """Its vectors one above the other, which are an eigenvector of ``[[0, A], [Aᴴ, 0]]``."""
    u, _, vt = singular.svd(a, full_matrices=False)
    i = slice(0, 1) if largest else slice(-1, None)
    pair = concatenate([u[..., i], adjoint(vt)[..., i]], -2)
    return ufuncs.multiply(pair, constant_like(pair, 0.5**0.5))


@_extreme_pair.defjvp
def _(largest: bool, primals: Sequence[Array], tangents: Sequence[Array]) -> tuple[Array, Array]:
    (a,), (t,) = primals, tangents
    z = _extreme_pair(largest, a)
    return z, _turn(a, z, t)


def _turn(a: Array, z: Array, t: Array) -> Array:
    # (H - s) z' = -(1 - z zᴴ) H' z, and zᴴ z' = 0, which z zᴴ makes one regular system of both.
    def dilated(x: Array) -> Array:
        m, n = x.shape[-2:]
        batch = x.shape[:-2]
        above = concatenate([zeros((*batch, m, m), x.dtype), x], -1)
        below = concatenate([adjoint(x), zeros((*batch, n, n), x.dtype)], -1)
        return concatenate([above, below], -2)

    whole, moved = dilated(a), matmul(dilated(t), z)
    s = matmul(adjoint(z), matmul(whole, z))
    outer = matmul(z, adjoint(z))
    unit = eye(whole.shape[-1], dtype=a.dtype)
    system = ufuncs.add(whole, ufuncs.multiply(s, ufuncs.subtract(outer, unit)))
    return solve(system, ufuncs.subtract(matmul(outer, moved), moved))
