"""Roots of functions of one variable and of systems of equations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import fnad.numpy as fnp
from fnad.core.tracer import Tracer
from fnad.core.types import aval_of, kind_of
from fnad.primitives.control_flow import while_loop
from fnad.primitives.custom.root import custom_root
from fnad.scipy.optimize.implicit import by_matrix, certain
from fnad.scipy.optimize.least_squares import (
    Tolerances,
    levenberg_marquardt,
    vector_function,
    vectors_like,
)
from fnad.scipy.vectors import Vectors, check_args, check_function, check_numbers, pair
from fnad.transforms.jit import jit

Array = Any


class RootResults(NamedTuple):
    """What `root` returns: a pytree.

    Attributes
    ----------
    x : like x0
        The root.
    success : bool
        Whether Newton's step there is as small as was asked for.
    fun : array
        The function there.
    nfev : int
        Evaluations of the function.
    """

    x: Any
    success: Any
    fun: Any
    nfev: Any


def root(
    fun: Callable[..., Any],
    x0: Any,
    args: tuple[Any, ...] = (),
    *,
    tol: Any = 1e-10,
    max_nfev: int | None = None,
) -> RootResults:
    """Solve as many equations as there are variables.

    By the method of Levenberg and Marquardt, which ends in Newton's; one compiled program.

    Parameters
    ----------
    fun : callable
        ``fun(x, *args)`` returns an array with as many elements as ``x``, 0 at the root.
    x0 : pytree of real arrays
        Where the search begins. Integers become float64.
    args : tuple of pytrees of arrays
        What else ``fun`` takes.
    tol : float
        The step to stop at, relative to ``x``; at least four roundings.
    max_nfev : int, optional
        Evaluations after which the search ends; by default 100 for each variable.

    Returns
    -------
    RootResults
        ``x`` has derivatives with respect to ``args`` and what ``fun`` closes over, those of the
        root itself; NaN where none was found.

    Examples
    --------
    >>> import numpy as np
    >>> circle = lambda x, r: np.stack([x[0] ** 2 + x[1] ** 2 - r**2, x[0] - x[1]])
    >>> root(circle, np.array([1.0, 2.0]), (5.0,)).x.round(6)
    array([3.535534, 3.535534])
    """
    check_function("root", "fun", fun)
    check_args("root", args)
    check_numbers("root", tol=tol)
    x0, vectors = vectors_like("root", x0)
    most = 100 * vectors.size if max_nfev is None else max_nfev

    def run(x0: Any, args: tuple[Any, ...], tol: Any) -> RootResults:
        function = vector_function("root", fun, vectors, args)
        tol = fnp.maximum(fnp.asarray(tol, vectors.dtype), 4 * fnp.finfo(vectors.dtype).eps)

        def search(_: Any, start: Array) -> tuple[Array, Any]:
            found = levenberg_marquardt(function, start, Tolerances(0.0, 0.0, tol), most)
            step = fnp.linalg.solve(found.jacobian, found.residuals)
            length = fnp.sqrt(fnp.dot(found.x, found.x))
            close = fnp.sqrt(fnp.dot(step, step)) <= fnp.sqrt(tol) * (1 + length)
            close = close & (found.status > 0)
            return fnp.where(close, found.x - step, found.x), (close, found.evaluations)

        start = vectors.ravel(x0, vectors.what)
        size = aval_of(function(start)).shape[0]
        if size != vectors.size:
            raise ValueError(
                f"root: {size} equations for {vectors.size} variables; for other numbers take"
                " least_squares"
            )
        x, (success, count) = custom_root(function, start, search, by_matrix, has_aux=True)
        x = certain(x, success)
        return RootResults(vectors.unravel(x), success, function(x), count)

    return jit(run)(x0, args, tol)


class ScalarRootResults(NamedTuple):
    """What `root_scalar` returns: a pytree, with the names of SciPy.

    Attributes
    ----------
    root : scalar
        The root, NaN where none was found.
    converged : bool
        Whether it was.
    iterations, function_calls : int
        What it took.
    """

    root: Any
    converged: Any
    iterations: Any
    function_calls: Any


class _Bracket(NamedTuple):
    """The root is between ``b``, the best point, and ``c``; ``a`` was the best before."""

    a: Array
    b: Array
    c: Array
    fa: Array
    fb: Array
    fc: Array
    step: Array
    before: Array  # the step before the last one
    count: Array


def root_scalar(
    f: Callable[..., Any],
    args: tuple[Any, ...] = (),
    *,
    bracket: Any,
    xtol: float = 2e-12,
    rtol: float = 8.881784197001252e-16,
    maxiter: int = 100,
) -> ScalarRootResults:
    """Find a root of a real function of one variable between two points of different signs.

    By the method of R. P. Brent, Algorithms for Minimization without Derivatives, 1973, chapter 4;
    one compiled program. Many roots at a time are found under `vmap`.

    Parameters
    ----------
    f : callable
        ``f(x, *args)`` returns a real scalar.
    args : tuple of pytrees of arrays
        What else ``f`` takes.
    bracket : pair of scalars
        Where ``f`` has different signs; where it has not, nothing is found.
    xtol, rtol : float
        The root's absolute and relative error; that of four roundings at least.
    maxiter : int
        Steps after which the search ends.

    Returns
    -------
    ScalarRootResults
        ``root`` has derivatives with respect to ``args`` and what ``f`` closes over.

    Raises
    ------
    ValueError
        If ``f`` has the same sign at both points, and they are known.

    Examples
    --------
    >>> found = root_scalar(lambda x, a: x**3 - a, (8.0,), bracket=(0.0, 10.0))
    >>> round(float(found.root), 9), bool(found.converged)
    (2.0, True)
    """
    check_function("root_scalar", "f", f)
    check_args("root_scalar", args)
    check_numbers("root_scalar", xtol=xtol, rtol=rtol, maxiter=maxiter)
    low, high = pair("root_scalar", "bracket", bracket)
    vectors = Vectors((low, high), "root_scalar: bracket", promoting=(low,))
    if vectors.dtype.kind == "c" or vectors.size != 2:
        raise TypeError("root_scalar: bracket must be two real scalars")

    def of_scalar(x: Array, args: tuple[Any, ...]) -> Array:
        value = fnp.asarray(f(x, *args))
        if aval_of(value).shape != () or kind_of(aval_of(value).dtype) != "f":
            raise TypeError(
                "root_scalar: the function must return a real floating scalar, got"
                f" {aval_of(value)}"
            )
        return fnp.asarray(value, vectors.dtype)

    def run(ends: Array, args: tuple[Any, ...]) -> tuple[ScalarRootResults, Array]:
        def search(function: Callable[[Array], Array], start: Array) -> tuple[Array, Any]:
            return _brent(function, ends[0], ends[1], xtol, rtol, maxiter)

        def moved(linear: Callable[[Array], Array], change: Array) -> Array:
            return change / linear(fnp.ones_like(change))

        x, (found, bracketed, count) = custom_root(
            lambda x: of_scalar(x, args), ends[0], search, moved, has_aux=True
        )
        root = fnp.where(found, certain(x, found), fnp.nan)
        return ScalarRootResults(root, found, count, count + 2), bracketed

    result, bracketed = jit(run)(
        fnp.stack([fnp.asarray(v, vectors.dtype) for v in (low, high)]), args
    )
    if not isinstance(bracketed, Tracer) and not bracketed:
        raise ValueError(
            f"root_scalar: the function does not have different signs at {low} and {high}"
        )
    return result


def _brent(
    function: Callable[[Array], Array],
    low: Array,
    high: Array,
    xtol: float,
    rtol: float,
    maxiter: int,
) -> tuple[Array, Any]:
    eps = fnp.finfo(low.dtype).eps

    def ordered(p: _Bracket) -> _Bracket:
        """With the root between b and c, and the smaller value at b."""
        same = fnp.sign(p.fb) == fnp.sign(p.fc)
        c, fc = fnp.where(same, p.a, p.c), fnp.where(same, p.fa, p.fc)
        step = fnp.where(same, p.b - p.a, p.step)
        before = fnp.where(same, step, p.before)
        swap = fnp.abs(fc) < fnp.abs(p.fb)
        return _Bracket(
            fnp.where(swap, p.b, p.a),
            fnp.where(swap, c, p.b),
            fnp.where(swap, p.b, c),
            fnp.where(swap, p.fb, p.fa),
            fnp.where(swap, fc, p.fb),
            fnp.where(swap, p.fb, fc),
            step,
            before,
            p.count,
        )

    def tolerance(b: Array) -> Array:
        return 0.5 * (xtol + max(rtol, 4 * eps) * fnp.abs(b))

    def goes_on(p: _Bracket) -> Array:
        wide = fnp.abs(p.c - p.b) > 2 * tolerance(p.b)
        return wide & (p.fb != 0) & (p.count < maxiter)

    def step(p: _Bracket) -> _Bracket:
        least, middle = tolerance(p.b), 0.5 * (p.c - p.b)
        s = p.fb / fnp.where(p.fa == 0, 1, p.fa)
        q, r = p.fa / fnp.where(p.fc == 0, 1, p.fc), p.fb / fnp.where(p.fc == 0, 1, p.fc)
        linear = p.a == p.c
        up = fnp.where(
            linear, 2 * middle * s, s * (2 * middle * q * (q - r) - (p.b - p.a) * (r - 1))
        )
        down = fnp.where(linear, 1 - s, (q - 1) * (r - 1) * (s - 1))
        down = fnp.where(up > 0, -down, down)
        up = fnp.abs(up)
        limit = fnp.minimum(3 * middle * down - fnp.abs(least * down), fnp.abs(p.before * down))
        good = (fnp.abs(p.before) >= least) & (fnp.abs(p.fa) > fnp.abs(p.fb)) & (2 * up < limit)
        length = fnp.where(good, up / fnp.where(good, down, 1), middle)
        before = fnp.where(good, p.step, middle)
        taken = fnp.where(fnp.abs(length) > least, length, fnp.copysign(least, middle))
        b = p.b + taken
        return ordered(_Bracket(p.b, b, p.c, p.fb, function(b), p.fc, length, before, p.count + 1))

    f_low, f_high = function(low), function(high)
    bracketed = fnp.sign(f_low) * fnp.sign(f_high) <= 0
    # Where there is no bracket the loop is not entered.
    far = fnp.where(bracketed, low, high)
    width = high - low
    start = _Bracket(low, high, far, f_low, f_high, f_low, width, width, fnp.asarray(0))
    end = while_loop(goes_on, step, ordered(start))
    narrow = fnp.abs(end.c - end.b) <= 2 * tolerance(end.b)
    found = bracketed & (narrow | (end.fb == 0)) & fnp.isfinite(end.fb)
    return end.b, (found, bracketed, end.count)
