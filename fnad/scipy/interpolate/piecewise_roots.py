"""Where piecewise polynomials are 0, in arrays of sizes that do not depend on coefficients.

Zeros of a polynomial between two numbers are found between those of its derivative, where it is
monotone, by bisection; these are found likewise. That takes polynomials whose first coefficients
are 0 as they are, and knows how many there can be. Zeros outside of the outer pieces are inverses
of those of the polynomial with coefficients in the other order.
"""

from __future__ import annotations

from typing import Any

import numpy as np

import fnad.numpy as fnp
from fnad.primitives.control_flow import fori_loop
from fnad.primitives.logic import stop_gradient

Array = Any


def all_zeros(c: Array, x: Array, discontinuity: bool, outside: bool) -> tuple[Array, Array]:
    """Places ``(slots, ...)`` in ascending order, and which of them are zeros.

    A piece that is 0 everywhere has its beginning and a NaN.
    """
    more = [1] * (c.ndim - 2)
    h = fnp.reshape(fnp.diff(x), (-1, *more))
    begin = fnp.reshape(x, (-1, *more))
    degree = c.shape[0] - 1
    parts = [c[degree - power] * h**power for power in range(degree + 1)]  # in part of the piece
    fixed = [stop_gradient(part) for part in parts]
    constant = fixed[0] == 0
    for part in fixed[1:]:
        constant = constant & (part == 0)

    def placed(part: Array, piece: slice) -> Array:
        refined = _refined([p[piece] for p in parts], [p[piece] for p in fixed], part)
        return begin[:-1][piece] + refined * h[piece]

    zeros = _zeros_within(fixed)
    inner = [(placed(part, slice(None)), found & ~constant) for part, found in zeros]
    # At an end: zeros of either piece, or a jump over 0.
    left, right = fixed[0], _values(fixed, fnp.ones_like(fixed[0]))
    jump = (left[1:] == 0) | (right[:-1] == 0)
    if discontinuity:
        jump = jump | (fnp.sign(left[1:]) * fnp.sign(right[:-1]) < 0)
    ends = fnp.concatenate([left[:1] == 0, jump & ~constant[:-1] & ~constant[1:], right[-1:] == 0])
    ends = fnp.concatenate([ends[:-1] | constant, ends[-1:] & ~constant[-1:]])
    shape = (x.size, *c.shape[2:])
    ends_at = fnp.broadcast_to(begin, shape)
    # A piece of which one end is a zero up to rounding errors may have one next to it.
    inner = [(at, found & (at != ends_at[:-1]) & (at != ends_at[1:])) for at, found in inner]
    nothing = fnp.where(constant, fnp.full_like(ends_at[:-1], np.nan), 0)
    rows = [
        (ends_at[:-1], ends[:-1]),
        (nothing, constant),
        *inner,
    ]
    slots = [fnp.stack([row[which] for row in rows], axis=1) for which in (0, 1)]
    at, found = (fnp.reshape(v, (-1, *shape[1:])) for v in slots)
    at, found = fnp.concatenate([at, ends_at[-1:]]), fnp.concatenate([found, ends[-1:]])
    if not outside:
        return at, found
    first, last = slice(0, 1), slice(-1, None)
    mirrored = [part[first] * (-1) ** power for power, part in enumerate(fixed)]
    behind = _inverses(_zeros_within([p[last] for p in fixed][::-1]))
    near = _zeros_within(mirrored)
    far = _inverses(_zeros_within(mirrored[::-1]))
    one = fnp.ones_like(mirrored[0])
    turn = [(one, _values(mirrored, one) == 0)]
    before = [(-part, ok) for part, ok in (*far, *turn, *near[::-1])]
    before = [(placed(part, first), ok & ~constant[first]) for part, ok in before]
    behind = [(placed(part, last), ok & ~constant[last]) for part, ok in behind[::-1]]
    before = [(v, ok & (v != begin[0])) for v, ok in before]
    behind = [(v, ok & (v != begin[-1])) for v, ok in behind]
    at = fnp.concatenate([*[v for v, _ in before], at, *[v for v, _ in behind]])
    return at, fnp.concatenate([*[ok for _, ok in before], found, *[ok for _, ok in behind]])


def _inverses(zeros: list[tuple[Array, Array]]) -> list[tuple[Array, Array]]:
    return [(1 / fnp.where(found, at, 1), found) for at, found in zeros]


def _horner(parts: list[Array], at: Array) -> Array:
    """With the lowest power first."""
    value = parts[-1]
    for part in parts[-2::-1]:
        value = value * at + part
    return value


def _values(parts: list[Array], at: Array) -> Array:
    """For ``at >= 0``; 0, where rounding errors may be all that there is."""
    value = _horner(parts, at)
    sizes = _horner([fnp.abs(part) for part in parts], at)
    return fnp.where(fnp.abs(value) <= 8 * np.finfo(value.dtype).eps * sizes, 0, value)


def _slope(parts: list[Array]) -> list[Array]:
    return [power * part for power, part in enumerate(parts)][1:]


def _zeros_within(parts: list[Array]) -> list[tuple[Array, Array]]:
    """Zeros in (0, 1) in ascending order, as many as the degree, and which of them there are."""
    zero, one = fnp.zeros_like(parts[0]), fnp.ones_like(parts[0])
    if len(parts) == 1:
        return []
    turns = [at for at, _ in _zeros_within(_slope(parts))]
    ends = [zero, *turns, one]
    found = []
    values = [_values(parts, end) for end in ends]
    for low, high, at_low, at_high in zip(ends, ends[1:], values, values[1:]):
        crossing = fnp.sign(at_low) * fnp.sign(at_high) < 0
        at = _bisected(parts, low, high, fnp.sign(at_high), crossing)
        touching = (at_high == 0) & (low < high) & (high < 1)
        inside = (at > 0) & (at < 1)
        found.append((at, (crossing & inside) | touching))
    return found


def _bisected(parts: list[Array], low: Array, high: Array, sign: Array, crossing: Array) -> Array:
    """The zero between two numbers, or the second one, where there is none."""
    low = fnp.where(crossing, low, high)
    steps = 30 if low.dtype.itemsize == 4 else 60

    def halve(_: Any, ends: tuple[Array, Array]) -> tuple[Array, Array]:
        low, high = ends
        middle = 0.5 * (low + high)
        above = _horner(parts, middle) * sign > 0
        return fnp.where(above, low, middle), fnp.where(above, middle, high)

    return fori_loop(0, steps, halve, (low, high))[1]


def _refined(parts: list[Array], fixed: list[Array], at: Array) -> Array:
    """Newton's steps: accurate where zeros are far away, and differentiable in coefficients."""
    slope = _slope(fixed)
    if not slope:
        return at
    for which in (fixed, parts):
        down = _horner(slope, at)
        scale = fnp.maximum(fnp.abs(at), 1)
        safe = fnp.abs(_horner(fixed, at)) < 1e-6 * fnp.abs(down) * scale
        at = at - fnp.where(safe, _horner(which, at) / fnp.where(safe, down, 1), 0)
    return at
