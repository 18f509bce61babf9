"""Spherical harmonics."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

import fnad.numpy as fnp
from fnad.core.types import is_half, kind_of
from fnad.numpy.operands import as_operand, broadcast_shapes, convert, dtype_of, expand, shape_of
from fnad.primitives.complex_numbers import complex
from fnad.primitives.control_flow import fori_loop
from fnad.scipy.operands import floating, with_partials
from fnad.transforms.blocks import compiled_elementwise


def sph_harm_y(
    n: Any, m: Any, theta: Any, phi: Any, diff_n: int | None = None, n_max: int | None = None
) -> Any:
    """The spherical harmonic of degree ``n`` and order ``m``, elementwise; complex.

    Orthonormal on the sphere, with the phase of Condon and Shortley.

    Parameters
    ----------
    n, m : array of integers
        Degree and order; 0 where ``abs(m) > n``.
    theta, phi : array
        The angle from the pole, in [0, pi], and the azimuth; differentiable in both.
    diff_n : int, optional
        None or 0: derivatives come of `fnad.grad` and kin.
    n_max : int, optional
        Degrees above it are taken as it. By itself the recursion is as long as the greatest degree
        asks for.

    Examples
    --------
    >>> sph_harm_y(1, np.array([0, 1]), 0.5, 0.1).round(4)
    array([ 0.4288+0.j    , -0.1648-0.0165j])
    """
    if diff_n not in (None, 0):
        raise ValueError(
            f"sph_harm_y: diff_n={diff_n!r} is not taken; differentiate with fnad.jvp or"
            " fnad.jacfwd in theta and phi"
        )
    degree, azimuthal = as_operand(n), as_operand(m)
    for name, x in (("n", degree), ("m", azimuthal)):
        if kind_of(dtype_of(x)) not in "iu":
            raise TypeError(f"sph_harm_y: {name} must be integers, got dtype {dtype_of(x)}")
    degree, azimuthal = convert(degree, np.dtype(np.int64)), convert(azimuthal, np.dtype(np.int64))
    if n_max is not None:
        degree = fnp.minimum(degree, n_max)
    theta, phi = floating("sph_harm_y", theta, phi)
    if is_half(dtype_of(theta)):
        theta, phi = (convert(x, np.dtype(np.float32)) for x in (theta, phi))
    operands = (degree, azimuthal, theta, phi)
    shape = broadcast_shapes([shape_of(x) for x in operands], "sph_harm_y")
    return _harmonic_compiled(*[expand(x, shape) for x in operands])


def _harmonic_value(n: Any, m: Any, theta: Any, phi: Any) -> Any:
    order = fnp.abs(m)
    x, sine = fnp.cos(theta), fnp.sin(theta)
    top = fnp.max(n, initial=0)

    # The recursions of normalised functions, by order (DLMF 14.7.10 with 14.30.1) and by degree
    # (14.10.3), in which nothing overflows.
    def diagonal(k: Any, value: Any) -> Any:
        j = k.astype(theta.dtype)
        return fnp.where(k <= order, -fnp.sqrt((2 * j + 1) / (2 * j)) * sine * value, value)

    def upwards(k: Any, carry: Any) -> Any:
        value, below = carry
        active = (k > order) & (k <= n)
        j, d = k.astype(theta.dtype), fnp.where(active, order, 0).astype(theta.dtype)
        outer = fnp.sqrt((4 * j * j - 1) / ((j - d) * (j + d)))
        inner = fnp.sqrt((j - 1 - d) * (j - 1 + d) / (4 * (j - 1) * (j - 1) - 1))
        inner = fnp.where(k > order + 1, inner, 0)
        above = outer * (x * value - inner * below)
        return fnp.where(active, above, value), fnp.where(active, value, below)

    start = fnp.full_like(theta, 0.5 / math.sqrt(math.pi))
    start = fori_loop(1, top + 1, diagonal, start)
    value, _ = fori_loop(1, top + 1, upwards, (start, fnp.zeros_like(theta)))
    value = fnp.where((m < 0) & (m % 2 != 0), -value, value)
    value = fnp.where(order > n, 0, value)
    angle = m.astype(theta.dtype) * phi
    return complex(value * fnp.cos(angle), value * fnp.sin(angle))


def _in_theta(n: Any, m: Any, theta: Any, phi: Any) -> Any:
    """Half the difference of the neighbours in order, which holds at the poles, too."""
    degree, order = n.astype(theta.dtype), m.astype(theta.dtype)
    inside = fnp.abs(m) <= n
    up = fnp.sqrt(fnp.where(inside, (degree - order) * (degree + order + 1), 0))
    down = fnp.sqrt(fnp.where(inside, (degree + order) * (degree - order + 1), 0))
    turn = complex(fnp.cos(phi), fnp.sin(phi))
    above = up * fnp.conj(turn) * _harmonic(n, m + 1, theta, phi)
    return 0.5 * (above - down * turn * _harmonic(n, m - 1, theta, phi))


def _in_phi(n: Any, m: Any, theta: Any, phi: Any) -> Any:
    return 1j * m.astype(theta.dtype) * _harmonic(n, m, theta, phi)


def _zero(n: Any, m: Any, theta: Any, phi: Any) -> Any:
    return fnp.zeros_like(theta)


_harmonic: Any = with_partials(_zero, _zero, _in_theta, _in_phi)(_harmonic_value)
_harmonic_compiled = compiled_elementwise(_harmonic)
