"""Derivatives of functions of matrices, of any order, also where eigenvalues are equal.

With ``A = V diag(w) V⁻¹``, the derivative of f(A) in the direction E is ``V (F * V⁻¹ E V) V⁻¹``,
where ``F[i, j]`` is the divided difference ``f[w[i], w[j]]``, which is ``f'(w[i])`` where the two
are equal: Daleckii and Krein (1965). The k-th derivative has divided differences of k + 1
eigenvalues, and sums over the orders of its directions. Derivatives of V, which are infinite there,
do not occur.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from itertools import permutations
from typing import Any, NamedTuple

import numpy as np

import fnad.numpy as fnp
from fnad import lax
from fnad.numpy.operands import Array, constant_like
from fnad.primitives.complex_numbers import real_dtype
from fnad.primitives.custom import custom_jvp
from fnad.primitives.custom.linear_call import linear_call
from fnad.transforms.autodiff import jvp
from fnad.transforms.vmap import vmap

# Of numbers and of the values that a function closes over: its values, and those of the function
# that it is a derivative of with respect to what is closed over.
Pair = tuple[Array, Array]
Function = Callable[[Array, Any], Pair]

# On [0, 1], where eight points are exact to the last digit as far as quotients of differences lose
# more than one of them.
_POINTS, _WEIGHTS = np.polynomial.legendre.leggauss(8)
_POINTS, _WEIGHTS = (_POINTS + 1) / 2, _WEIGHTS / 2
# Roundings of a quotient of differences, in those of its terms.
_ROUNDINGS = 16


class Method(NamedTuple):
    """How a function of matrices is computed, and its derivatives.

    ``basis`` gives w, V and V⁻¹ of a matrix, ``value`` the function itself.
    """

    basis: Callable[[Array], tuple[Array, Array, Array]]
    value: Callable[[Callable[[Array], Array], Array], Array]


def matrix_function(
    method: Method, func: Callable[[Array, Any], Array], a: Array, consts: Sequence[Array]
) -> Array:
    """``func(a, consts)``, which can be differentiated with respect to both."""

    def pair(x: Array, consts: Any) -> Pair:
        out = func(x, consts)
        return out, out

    return _derivative(method, pair, a, list(consts), [])


@partial(custom_jvp, nondiff_argnums=(0, 1))
def _derivative(
    method: Method, func: Function, a: Array, consts: Any, directions: Sequence[Array]
) -> Array:
    """The derivative with respect to the matrix in as many directions as there are."""
    if not directions:
        return method.value(lambda w: func(w, consts)[0], a)
    w, v, inverse = method.basis(a)
    inner = [inverse @ e @ v for e in directions]
    factors = _divided_differences(lambda x: func(x, consts), w, len(inner))
    return v @ sum(_chain(factors, order) for order in permutations(inner)) @ inverse


@_derivative.defjvp
def _(
    method: Method, func: Function, primals: Sequence[Any], tangents: Sequence[Any]
) -> tuple[Array, Array]:
    (a, consts, directions), (change, changes, turns) = primals, tangents
    out = _derivative(method, func, a, consts, directions)

    def along(turn: Array, others: Sequence[Array]) -> Array:
        # tr(D[E1, ..., Ek] C) is the same for all orders of the E and C: hence the transpose.
        def derivative(e: Array) -> Array:
            return _derivative(method, func, a, consts, [*others, e])

        def transpose(ct: Array) -> Array:
            return fnp.matrix_transpose(derivative(fnp.matrix_transpose(ct)))

        return linear_call(derivative, transpose, turn)

    total = along(change, directions)
    for i, turn in enumerate(turns):
        total = total + along(turn, [*directions[:i], *directions[i + 1 :]])
    if consts:
        total = total + _derivative(method, _pushed(func), a, (consts, changes), directions)
    return out, total


def _pushed(func: Function) -> Function:
    def pushed(x: Array, consts: Any) -> Pair:
        consts, changes = consts
        (_, base), (change, _) = jvp(lambda c: func(x, c), (consts,), (changes,))
        return change, base

    return pushed


def _chain(factors: Array, directions: Sequence[Array]) -> Array:
    """The sums over i1, i2, ... of ``factors[i0, i1, ..., ik] E1[i0, i1] E2[i1, i2] ...``."""
    count = len(directions)
    n = factors.shape[-1]
    for i, e in enumerate(directions):
        shape = [*e.shape[:-2], *(n if j in (i, i + 1) else 1 for j in range(count + 1))]
        factors = factors * fnp.reshape(e, shape)
    return fnp.sum(factors, tuple(range(-count, -1)))


def _divided_differences(func: Callable[[Array], Pair], w: Array, order: int) -> Array:
    """``f[w[i0], ..., w[ik]]``, ``(..., n, ..., n)``."""
    shape = w.shape
    batch, n = shape[:-1], shape[-1]

    def everywhere(x: Array) -> Pair:
        """For each of the eigenvalues, of which ``func`` takes as many, at all points beside it."""
        x = fnp.broadcast_to(x, (*shape, *x.shape[len(shape) :]))
        beside = x.shape[len(shape) :]
        columns = fnp.reshape(x, (*shape, math.prod(beside)))
        out, base = vmap(func, -1, -1)(columns)
        return fnp.reshape(out, x.shape), fnp.reshape(base, x.shape)

    def at(axis: int) -> Array:
        return fnp.reshape(w, (*batch, *(n if i == axis else 1 for i in range(order + 1))))

    function = everywhere
    for axis in range(order):
        function = partial(_divided, function, at(axis))
    return function(at(order))[0]


def _divided(func: Callable[[Array], Pair], a: Array, b: Array) -> Pair:
    """``f[a, b]``: the mean of the derivative between a and b, or the quotient of differences.

    The mean if it is within the rounding errors of the quotient, which are large where a and b are
    close: so a function needs not be smooth in between.
    """
    a = fnp.reshape(a, (*a.shape, *[1] * (b.ndim - a.ndim)))
    part = real_dtype(a.dtype)
    step = b - a
    points = a[..., None] + step[..., None] * _POINTS.astype(part)
    _, slopes = jvp(func, (points,), (fnp.ones_like(points),))
    ends = func(a), func(b)
    (first, last), (_, base_slopes) = (x[1] for x in ends), slopes
    weights = _WEIGHTS.astype(part)
    largest = fnp.max(fnp.abs(base_slopes), -1)
    rounding = _ROUNDINGS * np.finfo(part).eps
    size = fnp.abs(first) + fnp.abs(last) + (fnp.abs(a) + fnp.abs(b)) * largest
    same = step == 0
    difference = fnp.abs(base_slopes @ weights * step - (last - first))
    smooth = lax.stop_gradient(same | (difference <= rounding * size))
    divisor = fnp.where(same, constant_like(step, 1), step)

    def chosen(slopes: Array, first: Array, last: Array) -> Array:
        return fnp.where(smooth, slopes @ weights, (last - first) / divisor)

    out, base = (chosen(*x) for x in zip(slopes, *ends))
    return out, base
