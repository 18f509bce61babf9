"""``minimize``: the minimum of a function, by quasi-Newton methods."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

import fnad.numpy as fnp
from fnad.core.types import aval_of, kind_of
from fnad.primitives.custom.linear_solve import custom_linear_solve
from fnad.primitives.custom.root import custom_root
from fnad.scipy.optimize.bounded import Bounds, bounded_quasi_newton, vectors_of
from fnad.scipy.optimize.implicit import by_matrix, certain
from fnad.scipy.optimize.quasi_newton import Dense, Limited, Memory, Settings, quasi_newton
from fnad.scipy.sparse.linalg.krylov import Limits, conjugate_gradients
from fnad.scipy.vectors import Vectors, check_args, check_function, check_numbers, with_arrays
from fnad.transforms.autodiff import grad as gradient_of
from fnad.transforms.autodiff import value_and_grad
from fnad.transforms.jit import jit

Array = Any

MESSAGES = (
    "the gradient, or for L-BFGS the last decrease, is as small as was asked for",
    "maxiter or maxfun was reached",
    "no step downhill was found: the function is at the limit of its precision, or not smooth",
    "the function or its gradient is not finite where the search begins",
)


class OptimizeResults(NamedTuple):
    """What `minimize` returns: a pytree.

    Attributes
    ----------
    x : like x0
        The point found.
    success : bool
        Whether ``status`` is 0.
    status : int
        0: converged; 1: too many iterations or evaluations; 2: no decrease could be found; 3: the
        function is not finite at ``x0``.
    fun : scalar
        The function there.
    jac : like x0
        Its gradient there.
    hess_inv : (n, n) array or None
        BFGS's approximation of the inverse of the Hessian; None for the others.
    nfev, njev : int
        Evaluations of the function and its gradient, which are always made together.
    nit : int
        Iterations.
    """

    x: Any
    success: Any
    status: Any
    fun: Any
    jac: Any
    hess_inv: Any
    nfev: Any
    njev: Any
    nit: Any

    @property
    def message(self) -> str:
        """The status in words; it is not known while the program is traced."""
        return MESSAGES[int(self.status)]


class _Method(NamedTuple):
    """Defaults of a method's options, SciPy's where it has them."""

    gtol: float
    ftol: float
    maxiter_each: int  # for each variable
    maxiter: int  # or altogether
    maxfun: int
    maxls: int


_NO_LIMIT = 2**31 - 1
_METHODS = {
    "BFGS": _Method(1e-5, 0.0, 200, 0, _NO_LIMIT, 40),
    "L-BFGS": _Method(1e-5, 2.220446049250313e-09, 0, 15000, 15000, 40),
}
_METHODS["L-BFGS-B"] = _METHODS["L-BFGS"]
_OPTIONS = {
    "BFGS": ("gtol", "norm", "maxiter", "maxfun", "maxls", "c1", "c2"),
    "L-BFGS": ("gtol", "ftol", "norm", "maxiter", "maxfun", "maxls", "maxcor", "c1", "c2"),
    "L-BFGS-B": ("gtol", "ftol", "norm", "maxiter", "maxfun", "maxls", "maxcor", "c1"),
}


def _method(name: Any) -> str:
    known = {m.upper(): m for m in _METHODS}
    if not isinstance(name, str) or name.upper() not in known:
        raise ValueError(
            f"minimize: there is no method {name!r}; choose one of {', '.join(_METHODS)}"
        )
    return known[name.upper()]


def _norm(order: float) -> Callable[[Array], Array]:
    if order == np.inf:
        return lambda g: fnp.max(fnp.abs(g), initial=0.0)
    return lambda g: fnp.linalg.norm(g, order)


def _settings(
    name: str, size: int, tol: Any, options: Mapping[str, Any] | None
) -> tuple[Settings, Memory]:
    if not isinstance(options, (Mapping, type(None))):
        raise TypeError(f"minimize: options must be a mapping, got {type(options).__name__}")
    given = dict(options or {})
    unknown = sorted(set(given) - set(_OPTIONS[name]))
    if unknown:
        raise ValueError(
            f"minimize: {name} has no option {unknown[0]!r}; it has {', '.join(_OPTIONS[name])}"
        )
    check_numbers("minimize", **given, **({} if tol is None else {"tol": tol}))
    memory = given.get("maxcor", 10)
    if not isinstance(memory, (int, np.integer)) or memory < 1:
        raise ValueError(f"minimize: maxcor must be an integer, at least 1, got {memory!r}")
    method = _METHODS[name]
    gtol, ftol = (method.gtol, method.ftol) if tol is None else (tol, tol if method.ftol else 0.0)
    decrease, curvature = given.get("c1", 1e-4), given.get("c2", 0.9)
    if not 0 < decrease < curvature < 1:
        raise ValueError(
            f"minimize: the line search needs 0 < c1 < c2 < 1, got c1={decrease}, c2={curvature}"
        )
    settings = Settings(
        given.get("gtol", gtol),
        given.get("ftol", ftol),
        _norm(given.get("norm", np.inf)),
        given.get("maxiter", method.maxiter or method.maxiter_each * size),
        given.get("maxfun", method.maxfun),
        given.get("maxls", method.maxls),
        decrease,
        curvature,
    )
    return settings, Dense() if name == "BFGS" else Limited(int(memory))


def minimize(
    fun: Callable[..., Any],
    x0: Any,
    args: tuple[Any, ...] = (),
    *,
    method: str | None = None,
    bounds: Any = None,
    tol: Any = None,
    options: Mapping[str, Any] | None = None,
) -> OptimizeResults:
    """Find a local minimum of a smooth function.

    The whole search is one compiled program; it can be a part of a function under `jit` or
    `vmap`, where each element of the batch stops by itself.

    Parameters
    ----------
    fun : callable
        ``fun(x, *args)`` returns a real scalar. Where it is not finite the line search steps back.
    x0 : pytree of real arrays
        Where the search begins; an array of any shape, as a rule. Integers become float64.
    args : tuple of pytrees of arrays
        What else ``fun`` takes.
    method : {"BFGS", "L-BFGS", "L-BFGS-B"}, optional
        With a matrix of n x n numbers, the default; with the last ``maxcor`` steps; or so between
        bounds, the default where there are some.
    bounds : Bounds or sequence of pairs, optional
        Least and greatest values: `Bounds` of pytrees like ``x0`` or of one number for all, or a
        pair for each element of ``x0``, in which None means that there is none.
    tol : float, optional
        ``gtol``, and for L-BFGS ``ftol``.
    options : mapping, optional
        ``gtol`` (1e-5): the norm of the gradient to stop at; ``norm`` (inf): its order;
        ``maxiter``: iterations, 200 n for BFGS and 15000 for L-BFGS; ``maxfun``: evaluations
        after which no iteration begins; ``maxls`` (40): evaluations on one line; ``c1``, ``c2``
        (1e-4, 0.9): the constants of the Wolfe conditions. L-BFGS also has ``maxcor`` (10) and
        ``ftol`` (2.2e-9): the decrease to stop at, as a part of the value, if that is above 1.

    Returns
    -------
    OptimizeResults
        ``success`` says whether the search converged.

    Raises
    ------
    ValueError
        If there is no such method or option.
    TypeError
        If ``fun`` does not return a real scalar, or ``x0`` is complex.

    Notes
    -----
    Each call traces ``fun``: where there are many, let them be a part of a function under `jit`.

    ``x`` and ``fun`` have derivatives, forwards and backwards and of any order, with respect to
    ``args`` and what ``fun`` closes over: those of the minimum itself, ``dx = -inv(H) d(grad)``
    with the Hessian at ``x``; they are NaN where the search did not converge, and infinite or NaN
    where the Hessian is singular. ``x0`` has no influence. All other results are constants.
    Forward mode must go through the gradient of ``fun`` for that.
    The Hessian is built and solved directly for BFGS and between bounds; L-BFGS multiplies by it
    in conjugate gradients. What a bound holds back moves with that bound.

    Between bounds the line search steps back only, with the constant ``c1``, and ``gtol`` is of the
    gradient without what points out of the bounds.

    Examples
    --------
    >>> import numpy as np, fnad
    >>> def rosenbrock(x, a):
    ...     return np.sum(a * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)
    >>> result = minimize(rosenbrock, np.zeros(2), (100.0,), method="BFGS")
    >>> bool(result.success), np.round(result.x, 4)
    (True, array([1., 1.]))
    >>> closest = lambda a: minimize(lambda x: (x**2 - a) ** 2, 1.0).x
    >>> round(float(fnad.grad(closest)(4.0)), 4)
    0.25
    """
    check_function("minimize", "fun", fun)
    check_args("minimize", args)
    name = _method(("BFGS" if bounds is None else "L-BFGS-B") if method is None else method)
    if bounds is not None and name != "L-BFGS-B":
        raise ValueError(f"minimize: {name} takes no bounds; choose method L-BFGS-B")
    x0 = with_arrays(x0)
    vectors = Vectors(x0, "minimize: x0")
    if vectors.dtype.kind == "c":
        raise TypeError("minimize: x0 must be real; take real and imaginary parts as two arrays")
    settings, memory = _settings(name, vectors.size, tol, options)
    tuned = (settings.gtol, settings.ftol)
    limits = vectors_of(Bounds() if bounds is None else bounds, vectors)

    def run(
        x0: Any, args: tuple[Any, ...], tuned: tuple[Any, Any], limits: tuple[Array, Array]
    ) -> OptimizeResults:
        gtol, ftol = tuned
        lower, upper = limits

        def of_vector(x: Array) -> Array:
            value = fun(vectors.unravel(x), *args)
            aval = aval_of(value)
            if aval.shape != () or kind_of(aval.dtype) != "f":
                raise TypeError(
                    f"minimize: the function must return a real floating scalar, got {aval}"
                )
            return fnp.asarray(value, vectors.dtype)

        def balance(x: Array) -> Array:
            """What is 0 at a minimum."""
            grad = gradient_of(of_vector)(x)
            if name != "L-BFGS-B":
                return grad
            return x - fnp.minimum(fnp.maximum(x - grad, lower), upper)

        def search(_: Any, start: Array) -> tuple[Array, Any]:
            both, tuned = value_and_grad(of_vector), settings._replace(gtol=gtol, ftol=ftol)
            if isinstance(memory, Limited) and name == "L-BFGS-B":
                found = bounded_quasi_newton(both, start, limits, memory, tuned)
            else:
                found = quasi_newton(both, start, memory, tuned)
            return found.x, found

        def moved(linear: Callable[[Array], Array], change: Array) -> Array:
            if name != "L-BFGS":
                return by_matrix(linear, change)
            return custom_linear_solve(linear, change, _by_conjugate_gradients, symmetric=True)

        start = vectors.ravel(x0, vectors.what)
        x, found = custom_root(balance, start, search, moved, has_aux=True)
        success = found.status == 0
        x = certain(x, success)
        return OptimizeResults(
            vectors.unravel(x),
            success,
            found.status,
            of_vector(x),
            vectors.unravel(found.grad),
            found.memory if name == "BFGS" else None,
            found.evaluations,
            found.evaluations,
            found.iterations,
        )

    return jit(run)(x0, args, tuned, limits)


def _by_conjugate_gradients(matvec: Callable[[Array], Array], b: Array) -> Array:
    """The solution, or NaN where it is not found."""
    limits = Limits(0.01 * fnp.finfo(b.dtype).eps ** 0.5, 0.0, 20 * b.size)
    x, info = conjugate_gradients(matvec, b, fnp.zeros_like(b), lambda r: r, limits)
    return fnp.where(info == 0, x, fnp.nan)
