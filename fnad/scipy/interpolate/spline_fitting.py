"""B-splines through points, close to points, and smooth ones."""

from __future__ import annotations

from operator import index
from typing import Any

import numpy as np

import fnad.numpy as fnp
from fnad.core.tracer import Tracer
from fnad.numpy.operands import convert
from fnad.scipy.interpolate.banded import solve_banded
from fnad.scipy.interpolate.bsplines import BSpline, design_matrix, knots_of
from fnad.scipy.interpolate.de_boor import basis
from fnad.scipy.interpolate.piecewise import data_of
from fnad.scipy.linalg.solving import solve_triangular

Array = Any
Condition = tuple[int, Array]

_NAMED = {"clamped": (1, 0.0), "natural": (2, 0.0)}


def make_interp_spline(
    x: Any,
    y: Any,
    k: int = 3,
    t: Any = None,
    bc_type: Any = None,
    axis: int = 0,
    check_finite: bool = True,
) -> BSpline:
    """The spline of degree ``k`` through points.

    Parameters
    ----------
    x : array_like
        ``(n,)``, the nodes, strictly ascending.
    y : array_like
        Values, real or complex, n of them along ``axis``.
    k : int
        The degree.
    t : array_like, optional
        The knots: as many as nodes and conditions at the ends, and ``k + 1`` more. Each node must
        lie within the B-spline of its number (Schoenberg and Whitney); where it does not, the
        result is NaN if they are traced, and an error if not.
    bc_type : str or pair, optional
        What holds at the ends: "not-a-knot" or None, "clamped" (the first derivative is 0),
        "natural" (the second one is 0), "periodic" (``y`` ends with its first value). In a pair,
        for both ends, also sequences of ``(order, value)``, with arrays of the shape of ``y``
        without its axis. All together, there must be ``k - 1`` conditions of this kind, or none,
        where knots are not given.
    axis : int
        The axis of nodes.
    check_finite : bool
        Whether NaN and infinities in ``y``, where it is known, are errors.

    Returns
    -------
    BSpline

    Raises
    ------
    ValueError
        If shapes, knots and conditions do not go together.

    Notes
    -----
    Takes ``n k**2`` operations; of a period ``n**3``.

    Examples
    --------
    >>> import numpy as np
    >>> f = make_interp_spline(np.arange(5.0), np.arange(5.0) ** 3)
    >>> print(f"{f(2.5):.3f}, {f(2.0, 1):.3f}, {f.integrate(0.0, 4.0):.3f}")
    15.625, 12.000, 64.000
    """
    name = "make_interp_spline"
    k = index(k)
    if k < 0:
        raise ValueError(f"{name}: the degree k must not be negative, got {k}")
    x, axis, y = data_of(name, x, y, axis)
    if check_finite and not isinstance(y, Tracer) and not np.isfinite(y).all():
        raise ValueError(f"{name}: y has NaN or infinities")
    if isinstance(bc_type, str) and bc_type == "periodic":
        return _periodic(x, y, k, t, axis)
    left, right = _conditions(bc_type, y)
    if k < 2 and (left or right):
        raise ValueError(f"{name}: a spline of degree {k} takes no conditions at the ends")
    if t is None:
        t = _default_knots(x, k, bool(left or right))
    t = knots_of(name, convert(fnp.asarray(t), x.dtype), k)
    n = t.size - k - 1
    if n != x.size + len(left) + len(right):
        raise ValueError(
            f"{name}: {t.size} knots make {n} B-splines of degree {k}, but there are"
            f" {x.size} values and {len(left)} + {len(right)} conditions at the ends"
        )
    c = _coefficients(t, k, x, y, left, right) if k else y
    return BSpline.construct_fast(t, c, k, True, axis)


def _conditions(bc_type: Any, y: Array) -> list[list[Condition]]:
    """For both ends, orders and values of the derivatives that are given."""
    name = "make_interp_spline"
    if bc_type is None or isinstance(bc_type, str):
        bc_type = bc_type, bc_type
    if not isinstance(bc_type, (tuple, list)) or len(bc_type) != 2:
        raise ValueError(f"{name}: bc_type must be a name or a pair, got {bc_type!r}")
    found: list[list[Condition]] = []
    for end in bc_type:
        if end is None or (isinstance(end, str) and end == "not-a-knot"):
            found.append([])
            continue
        if isinstance(end, str):
            if end not in _NAMED:
                raise ValueError(
                    f'{name}: bc_type {end!r} is none of "not-a-knot", "clamped", "natural" and,'
                    ' for both ends, "periodic"'
                )
            end = [_NAMED[end]]
        given = []
        for condition in end:
            if not isinstance(condition, (tuple, list)) or len(condition) != 2:
                raise ValueError(f"{name}: a condition must be (order, value), got {condition!r}")
            order, value = index(condition[0]), fnp.asarray(condition[1])
            if value.ndim and value.shape != y.shape[1:]:
                raise ValueError(
                    f"{name}: a derivative of shape {value.shape} in bc_type, where y has shape"
                    f" {y.shape[1:]} without its axis of nodes"
                )
            given.append((order, fnp.broadcast_to(convert(value, y.dtype), y.shape[1:])))
        found.append(sorted(given, key=lambda condition: condition[0]))
    return found


def _repeated(v: Array, count: int) -> Array:
    return fnp.broadcast_to(v, (count,))


def _ended(first: Array, inner: Array, last: Array, k: int) -> Array:
    """Knots with ends of full multiplicity."""
    return fnp.concatenate([_repeated(first, k + 1), inner, _repeated(last, k + 1)])


def inner_knots(x: Array, k: int) -> Array:
    """Those of not-a-knot ends: nodes, or the middles between them, without the outer ones."""
    half = k // 2
    if k % 2:
        return x[half + 1 : x.size - half - 1]
    return (0.5 * (x[1:] + x[:-1]))[half : x.size - 1 - half]


def _default_knots(x: Array, k: int, conditions: bool) -> Array:
    if conditions:
        return _ended(x[0], x[1:-1], x[-1], k)
    if not k:
        return fnp.concatenate([x, x[-1:]])
    if x.size <= k:
        raise ValueError(
            f"make_interp_spline: a spline of degree {k} goes through {k + 1} points at least, or"
            f" has conditions at its ends, but there are {x.size} points"
        )
    return _ended(x[0], inner_knots(x, k), x[-1], k)


def _coefficients(
    t: Array, k: int, x: Array, y: Array, left: list[Condition], right: list[Condition]
) -> Array:
    n = t.size - k - 1
    rows, start = basis(t, k, x)
    # Values at the ends come first and last, then derivatives: so the matrix stays within its band.
    orders = [[order for order, _ in end] for end in (left, right)]
    given = [[value[None] for _, value in end] for end in (left, right)]
    edges = [[basis(t, k, x[e], order) for order in orders[e]] for e in (0, -1)]
    before, after = (
        [found[0][None] for found in edges[0]],
        [found[0][None] for found in edges[1]][::-1],
    )
    rows = fnp.concatenate([rows[:1], *before, rows[1:-1], *after, rows[-1:]])
    firsts = [fnp.reshape(found[1], (1,)) for e in (0, 1) for found in edges[e]]
    start = fnp.concatenate(
        [start[:1], *firsts[: len(left)], start[1:-1], *firsts[len(left) :], start[-1:]]
    )
    values = fnp.concatenate([y[:1], *given[0], y[1:-1], *given[1][::-1], y[-1:]])
    shift = start - np.arange(n) + k
    misplaced = (shift < 0) | (shift > k)
    if not isinstance(misplaced, Tracer) and misplaced.any():
        raise ValueError(
            "make_interp_spline: nodes and knots do not go together: between"
            f" t[i] and t[i + {k + 1}] there must be node i (Schoenberg and Whitney)"
        )
    place = np.arange(2 * k + 1) - shift[:, None]
    inside = (place >= 0) & (place <= k)
    band = fnp.where(inside, fnp.take_along_axis(rows, fnp.clip(place, 0, k), axis=1), 0)
    band = fnp.where(misplaced[:, None], np.nan, band)
    c = solve_banded(band, fnp.reshape(values, (n, -1)), k)
    return fnp.reshape(c, (n, *y.shape[1:]))


def _periodic(x: Array, y: Array, k: int, t: Any, axis: int) -> BSpline:
    name = "make_interp_spline"
    if t is not None:
        raise ValueError(f"{name}: the knots of a period follow from the nodes: leave out t")
    if not isinstance(y, Tracer) and not np.allclose(y[0], y[-1], rtol=1e-15, atol=1e-15):
        raise ValueError(f"{name}: y must end with its first value for a period")
    n = x.size - 1
    t = periodic_knots(x, k)
    if not k:
        return BSpline.construct_fast(t, y[:-1], k, "periodic", axis)
    rows, start = basis(t, k, x[:-1])
    place = (np.arange(n) - start[:, None]) % n
    matrix = sum(fnp.where(place == j % n, rows[:, j : j + 1], 0) for j in range(k + 1))
    c = fnp.linalg.solve(convert(matrix, y.dtype), fnp.reshape(y[:-1], (n, -1)))
    c = fnp.reshape(c, y[:-1].shape)
    return BSpline.construct_fast(t, c[np.arange(n + k) % n], k, "periodic", axis)


def periodic_knots(x: Array, k: int) -> Array:
    """Nodes, or the middles between them, and k more on either side."""
    n = x.size - 1
    steps = fnp.diff(x)
    inner = x[:-1]
    if k % 2 == 0 and k:
        inner = fnp.concatenate([x[:1], x[1:-1] - 0.5 * steps[:-1]])
    place = np.arange(-k, n + k + 1)
    return inner[place % n] + (place // n) * (x[-1] - x[0])


def make_lsq_spline(
    x: Any,
    y: Any,
    t: Any,
    k: int = 3,
    w: Any = None,
    axis: int = 0,
) -> BSpline:
    """The spline on given knots with the least sum of ``(w (y - spline(x)))**2``.

    Parameters
    ----------
    x : array_like
        ``(m,)``, the nodes, strictly ascending.
    y : array_like
        Values, real or complex, m of them along ``axis``.
    t : array_like
        ``(n + k + 1,)``, the knots, ``n <= m``.
    k : int
        The degree.
    w : array_like, optional
        ``(m,)``, weights.
    axis : int
        The axis of nodes.

    Returns
    -------
    BSpline

    Notes
    -----
    By an orthogonal factorisation of a dense matrix, ``m n**2`` operations. Where knots have no
    nodes between them (Schoenberg and Whitney), coefficients are not finite or meaningless.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.linspace(0.0, 1.0, 9)
    >>> f = make_lsq_spline(x, x**2, [0.0, 0.0, 0.5, 1.0, 1.0], 1)
    >>> print(f"{f(0.5):.4f}")
    0.2054
    """
    name = "make_lsq_spline"
    k = index(k)
    x, axis, y = data_of(name, x, y, axis)
    t = knots_of(name, convert(fnp.asarray(t), x.dtype), k)
    n = t.size - k - 1
    if n > x.size:
        raise ValueError(f"{name}: {n} coefficients for {x.size} values: take fewer knots")
    matrix, values = design_matrix(t, k, x, n), fnp.reshape(y, (x.size, -1))
    if w is not None:
        w = weights_of(name, w, x)
        matrix, values = matrix * w[:, None], values * w[:, None]
    q, r = fnp.linalg.qr(matrix)
    right = fnp.matmul(convert(q.T, y.dtype), values)
    c = solve_triangular(convert(r, y.dtype), right)
    return BSpline.construct_fast(t, fnp.reshape(c, (n, *y.shape[1:])), k, True, axis)


def weights_of(name: str, w: Any, x: Array) -> Array:
    w = convert(fnp.asarray(w), x.dtype)
    if w.shape != x.shape:
        raise ValueError(f"{name}: weights of shape {w.shape} for nodes of shape {x.shape}")
    return w


def make_smoothing_spline(x: Any, y: Any, w: Any = None, lam: Any = None, axis: int = 0) -> BSpline:
    """The function with the least ``sum(w (y - f(x))**2) + lam * integral(f''**2)``.

    It is a natural cubic spline (C. H. Reinsch, Numer. Math. 10, 1967).

    Parameters
    ----------
    x : array_like
        ``(n,)``, the nodes, strictly ascending, 5 at least.
    y : array_like
        Values, real or complex, n of them along ``axis``.
    w : array_like, optional
        ``(n,)``, positive weights, by default 1.
    lam : float
        How much smoothness counts, from 0 on. It is not chosen here: generalised cross-validation
        is a search with `fnad.scipy.optimize` through this function, which is differentiable in
        ``lam``.
    axis : int
        The axis of nodes.

    Returns
    -------
    BSpline

    Examples
    --------
    >>> import numpy as np
    >>> f = make_smoothing_spline(np.arange(5.0), np.array([0.0, 2.0, 1.0, 3.0, 4.0]), lam=1e9)
    >>> print(f"{f(0.0):.3f}, {f(4.0):.3f}")
    0.200, 3.800
    """
    name = "make_smoothing_spline"
    if lam is None:
        raise ValueError(f"{name}: lam is not chosen here; pass how much smoothness counts")
    x, axis, y = data_of(name, x, y, axis)
    if x.size < 5:
        raise ValueError(f"{name}: x must have 5 nodes at least, got {x.size}")
    lam = convert(fnp.asarray(lam), x.dtype)
    if not isinstance(lam, Tracer) and not lam >= 0:
        raise ValueError(f"{name}: lam must not be negative, got {lam}")
    n, h = x.size, fnp.diff(x)
    w = fnp.ones_like(x) if w is None else weights_of(name, w, x)
    # Second derivatives solve (R + lam Q' W^-1 Q) g = Q' y; the values are y - lam W^-1 Q g.
    low, middle, high = 1 / h[:-1], -1 / h[:-1] - 1 / h[1:], 1 / h[1:]
    columns = fnp.stack([low / w[:-2], middle / w[1:-1], high / w[2:]])
    zero = fnp.zeros_like(x[:2])
    main = (h[:-1] + h[1:]) / 3 + lam * (low * columns[0] + middle * columns[1] + high * columns[2])
    next_one = h[1:-1] / 6 + lam * (+low[1:] * columns[1, :-1] + middle[1:] * columns[2, :-1])
    next_two = lam * low[2:] * columns[2, :-2]
    band = fnp.stack(
        [
            fnp.concatenate([zero, next_two]),
            fnp.concatenate([zero[:1], next_one]),
            main,
            fnp.concatenate([next_one, zero[:1]]),
            fnp.concatenate([next_two, zero]),
        ],
        axis=1,
    )
    values = fnp.reshape(y, (n, -1))
    bends = solve_banded(band, fnp.diff(fnp.diff(values, axis=0) / h[:, None], axis=0), 2)
    none = fnp.zeros_like(bends[:1])
    slopes = fnp.diff(fnp.concatenate([none, bends, none]), axis=0) / h[:, None]
    forces = fnp.diff(fnp.concatenate([none, slopes, none]), axis=0)
    smooth = fnp.reshape(values - lam * forces / w[:, None], y.shape)
    spline = make_interp_spline(x, smooth, bc_type="natural")
    return BSpline.construct_fast(*spline.tck, True, axis)


__all__ = ["make_interp_spline", "make_lsq_spline", "make_smoothing_spline"]
