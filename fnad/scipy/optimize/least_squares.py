"""Nonlinear least squares and systems of equations, by the method of Levenberg and Marquardt."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import fnad.numpy as fnp
from fnad.core.types import aval_of, kind_of
from fnad.primitives.control_flow import cond, while_loop
from fnad.primitives.custom.root import custom_root
from fnad.scipy.linalg import solve_triangular
from fnad.scipy.optimize.implicit import by_matrix, certain
from fnad.scipy.vectors import Vectors, check_args, check_function, check_numbers, with_arrays
from fnad.transforms.autodiff import grad as gradient_of
from fnad.transforms.jacobians import jacfwd, jacrev
from fnad.transforms.jit import jit

Array = Any

NOT_FINITE, OUT_OF_EVALUATIONS, SMALL_GRADIENT, SMALL_DECREASE, SMALL_STEP = -1, 0, 1, 2, 3
_RUNNING = -2
_FIRST_DAMPING = 1e-3


class LeastSquaresResults(NamedTuple):
    """What `least_squares` returns: a pytree, with the names of SciPy.

    Attributes
    ----------
    x : like x0
        The point found.
    success : bool
        Whether ``status`` is positive.
    status : int
        1: the gradient, 2: the last decrease, 3: the last step is as small as was asked for; 0: too
        many evaluations; -1: the function is not finite at ``x0``.
    cost : scalar
        Half the sum of squares.
    fun : (m,) array
        The residuals.
    jac : (m, n) array
        Their Jacobian, in the elements of ``x`` in their order.
    grad : like x0
        The gradient of the cost.
    optimality : scalar
        Its greatest element.
    nfev, njev : int
        Evaluations of the function and of the Jacobian.
    """

    x: Any
    success: Any
    status: Any
    cost: Any
    fun: Any
    jac: Any
    grad: Any
    optimality: Any
    nfev: Any
    njev: Any


class Progress(NamedTuple):
    """The state of a search."""

    x: Array
    residuals: Array
    jacobian: Array
    scale: Array  # of each variable: the largest column so far (Moré 1978)
    damping: Array
    growth: Array  # of the damping, where a step fails
    status: Array
    evaluations: Array
    jacobians: Array


class Tolerances(NamedTuple):
    """Bounds of the gradient, of relative decreases and of relative steps."""

    gtol: Any
    ftol: Any
    xtol: Any


def levenberg_marquardt(
    function: Callable[[Array], Array], x: Array, tolerances: Tolerances, most: int
) -> Progress:
    """Minimise the sum of squares of a function from vectors to vectors.

    The damping follows H. B. Nielsen, Damping parameter in Marquardt's method (1999), the scale of
    variables J. J. Moré, The Levenberg-Marquardt algorithm (1978). Steps come of a factorisation
    into Q and R, not of the normal equations, which would square the condition number.
    """
    residuals = function(x)
    slopes = jacfwd(function) if x.size <= residuals.size else jacrev(function)

    def columns(jacobian: Array) -> Array:
        return fnp.sqrt(fnp.sum(jacobian * jacobian, axis=0))

    def is_small(residuals: Array, jacobian: Array) -> Array:
        grad = fnp.matmul(residuals, jacobian)
        return fnp.max(fnp.abs(grad), initial=0.0) <= tolerances.gtol

    def step(p: Progress) -> Progress:
        damped = fnp.concatenate([p.jacobian, fnp.diag(fnp.sqrt(p.damping) * p.scale)])
        right = fnp.concatenate([-p.residuals, fnp.zeros_like(p.x)])
        q, r = fnp.linalg.qr(damped)
        change = solve_triangular(r, fnp.matmul(right, q))
        image = fnp.matmul(p.jacobian, change)
        weighted = p.scale * change
        expected = 0.5 * fnp.dot(image, image) + p.damping * fnp.dot(weighted, weighted)
        x = p.x + change
        residuals = function(x)
        cost = 0.5 * fnp.dot(p.residuals, p.residuals)
        decrease = cost - 0.5 * fnp.dot(residuals, residuals)
        ratio = fnp.where(expected > 0, decrease / fnp.where(expected > 0, expected, 1), -1)
        accepted = (ratio > 0) & fnp.isfinite(decrease)
        jacobian = cond(accepted, slopes, lambda _: p.jacobian, x)
        accepted = accepted & fnp.all(fnp.isfinite(jacobian))
        jacobian = fnp.where(accepted, jacobian, p.jacobian)
        easier = fnp.maximum(1 / 3, 1 - (2 * fnp.where(accepted, ratio, 0) - 1) ** 3)
        flat = accepted & (ratio > 0.25) & (decrease < tolerances.ftol * cost)
        size = fnp.sqrt(fnp.dot(change, change))
        length = fnp.sqrt(fnp.dot(p.x, p.x))
        short = size <= tolerances.xtol * (tolerances.xtol + length)
        x, residuals = fnp.where(accepted, x, p.x), fnp.where(accepted, residuals, p.residuals)
        evaluations = p.evaluations + 1
        status = fnp.where(evaluations >= most, OUT_OF_EVALUATIONS, _RUNNING)
        status = fnp.where(short, SMALL_STEP, status)
        status = fnp.where(flat, SMALL_DECREASE, status)
        status = fnp.where(is_small(residuals, jacobian), SMALL_GRADIENT, status)
        return Progress(
            x,
            residuals,
            jacobian,
            fnp.maximum(p.scale, columns(jacobian)),
            p.damping * fnp.where(accepted, easier, p.growth),
            fnp.where(accepted, 2.0, 2 * p.growth).astype(p.growth.dtype),
            status,
            evaluations,
            p.jacobians + accepted,
        )

    jacobian = slopes(x)
    norms = columns(jacobian)
    one = fnp.ones((), x.dtype)
    status = fnp.where(is_small(residuals, jacobian), SMALL_GRADIENT, _RUNNING)
    finite = fnp.all(fnp.isfinite(residuals)) & fnp.all(fnp.isfinite(jacobian))
    status = fnp.where(finite, status, NOT_FINITE)
    count = fnp.asarray(1)
    start = Progress(
        x,
        residuals,
        jacobian,
        fnp.where(norms > 0, norms, 1),
        _FIRST_DAMPING * one,
        2 * one,
        status,
        count,
        count,
    )
    return while_loop(lambda p: p.status == _RUNNING, step, start)


def vector_function(
    name: str, fun: Callable[..., Any], vectors: Vectors, args: tuple[Any, ...]
) -> Callable[[Array], Array]:
    """``fun`` of a vector, with its real floating residuals, of any shape, as a vector."""

    def function(x: Array) -> Array:
        value = fnp.asarray(fun(vectors.unravel(x), *args))
        if kind_of(aval_of(value).dtype) != "f":
            raise TypeError(
                f"{name}: the function must return real floating numbers, got {aval_of(value)}"
            )
        return fnp.asarray(fnp.ravel(value), vectors.dtype)

    return function


def vectors_like(name: str, x0: Any) -> tuple[Any, Vectors]:
    """A real start, lists as arrays, and its vectors."""
    x0 = with_arrays(x0)
    vectors = Vectors(x0, f"{name}: x0")
    if vectors.dtype.kind == "c":
        raise TypeError(f"{name}: x0 must be real; take real and imaginary parts as two arrays")
    return x0, vectors


def least_squares(
    fun: Callable[..., Any],
    x0: Any,
    args: tuple[Any, ...] = (),
    *,
    ftol: Any = 1e-8,
    xtol: Any = 1e-8,
    gtol: Any = 1e-8,
    max_nfev: int | None = None,
) -> LeastSquaresResults:
    """Minimise half the sum of squares of a function, by the method of Levenberg and Marquardt.

    One compiled program; it can be a part of a function under `jit` or `vmap`.

    Parameters
    ----------
    fun : callable
        ``fun(x, *args)`` returns an array of real residuals. A step to where it is not finite is
        made shorter.
    x0 : pytree of real arrays
        Where the search begins. Integers become float64.
    args : tuple of pytrees of arrays
        What else ``fun`` takes.
    ftol, xtol, gtol : float
        Bounds of the last relative decrease, of the last step relative to ``x``, and of the
        greatest element of the gradient; the search ends with the first that is kept.
    max_nfev : int, optional
        Evaluations after which it ends; by default 100 for each variable.

    Returns
    -------
    LeastSquaresResults
        ``x``, ``cost`` and ``fun`` have derivatives with respect to ``args`` and what ``fun``
        closes over: those of the minimum itself, NaN where the search did not converge. They solve
        a system with the cost's Hessian, second derivatives of ``fun`` included.

    Examples
    --------
    >>> import numpy as np
    >>> t = np.linspace(0.0, 2.0, 9)
    >>> decay = lambda p, y: p[0] * np.exp(-p[1] * t) - y
    >>> least_squares(decay, np.ones(2), (3 * np.exp(-0.5 * t),)).x.round(6)
    array([3. , 0.5])
    """
    check_function("least_squares", "fun", fun)
    check_args("least_squares", args)
    check_numbers("least_squares", ftol=ftol, xtol=xtol, gtol=gtol)
    x0, vectors = vectors_like("least_squares", x0)
    most = 100 * vectors.size if max_nfev is None else max_nfev

    def run(x0: Any, args: tuple[Any, ...], tolerances: Tolerances) -> LeastSquaresResults:
        function = vector_function("least_squares", fun, vectors, args)

        def cost(x: Array) -> Array:
            residuals = function(x)
            return 0.5 * fnp.dot(residuals, residuals)

        def search(_: Any, start: Array) -> tuple[Array, Progress]:
            found = levenberg_marquardt(function, start, tolerances, most)
            return found.x, found

        start = vectors.ravel(x0, vectors.what)
        x, found = custom_root(gradient_of(cost), start, search, by_matrix, has_aux=True)
        success = found.status > 0
        x = certain(x, success)
        residuals = function(x)
        grad = fnp.matmul(found.residuals, found.jacobian)
        return LeastSquaresResults(
            vectors.unravel(x),
            success,
            found.status,
            0.5 * fnp.dot(residuals, residuals),
            residuals,
            found.jacobian,
            vectors.unravel(grad),
            fnp.max(fnp.abs(grad), initial=0.0),
            found.evaluations,
            found.jacobians,
        )

    return jit(run)(x0, args, Tolerances(gtol, ftol, xtol))
