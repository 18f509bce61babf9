"""``odeint`` and ``solve_ivp``: initial value problems, by adaptive steps of Dormand and Prince."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

import fnad.numpy as fnp
from fnad.core import tree
from fnad.core.dtypes import promote
from fnad.core.tree_registry import register_pytree_node_class
from fnad.core.types import aval_of, kind_of
from fnad.numpy.operands import as_operand, promotion_key
from fnad.scipy.integrate.adaptive import OUT_OF_ORDER, Control
from fnad.scipy.integrate.adjoint import equation, states_at, trajectory
from fnad.scipy.integrate.dormand_prince import on_curve
from fnad.scipy.vectors import (
    Vectors,
    check_args,
    check_function,
    check_numbers,
    check_positive,
    check_tolerances,
    pair,
    with_arrays,
)
from fnad.transforms.jit import jit

Array = Any

MESSAGES = {
    0: "the end was reached",
    -1: "steps became too short: the solution may be singular, or the tolerance too small",
    -2: "max_steps was reached before the end",
    -3: "the times are not in order, or outside of t_span",
}


def _time_dtype(vectors: Vectors, *times: Any) -> np.dtype[Any]:
    """Times are real, and at least as precise as states; Python numbers are as precise."""
    keys = [promotion_key(as_operand(t)) for t in times]
    floating = [k for k in keys if isinstance(k, np.dtype) and kind_of(k) == "f"]
    return promote((np.zeros(0, vectors.dtype).real.dtype, *floating))


def odeint(
    func: Callable[..., Any],
    y0: Any,
    t: Any,
    *args: Any,
    rtol: Any = 1.4e-8,
    atol: Any = 1.4e-8,
    mxstep: Any = np.inf,
    hmax: Any = np.inf,
    adjoint: bool = True,
) -> Any:
    """Solve ``dy/dt = func(y, t, *args)`` and return the solution at given times.

    Parameters
    ----------
    func : callable
        ``func(y, t, *args)`` returns the derivative, a pytree like ``y``.
    y0 : pytree of arrays
        The state at ``t[0]``, real or complex. Integers become float64.
    t : (n,) array
        Times, increasing or decreasing.
    *args : pytrees of arrays
        What else ``func`` takes.
    rtol, atol : float
        A step's error is at most ``atol + rtol * abs(y)``, as a root mean square.
    mxstep : int
        A bound of the steps from each time to the next one.
    hmax : float
        A bound of the length of steps.
    adjoint : bool
        Whether derivatives are found by solving the adjoint equation, in reverse mode only;
        otherwise they are those of the steps that were taken, in both modes, and reverse mode
        keeps all of these.

    Returns
    -------
    pytree like y0
        The solution, with the axis of times in front. From the first time on that could not be
        reached it is NaN; all is NaN if the times are not in order.

    Notes
    -----
    Each call traces ``func``: where there are many, let them be a part of a function under `jit`.

    Reverse mode finds cotangents of ``y0``, ``t``, ``args`` and of what ``func`` closes over. They
    are as accurate as the tolerances, not exact derivatives of what is returned, and NaN where the
    adjoint equation could not be solved.

    Examples
    --------
    >>> import numpy as np, fnad
    >>> decay = lambda y, t, rate: -rate * y
    >>> y = odeint(decay, 1.0, np.array([0.0, 1.0, 2.0]), 0.5)
    >>> np.round(y, 6)
    array([1.      , 0.606531, 0.367879])
    >>> last = lambda rate: odeint(decay, 1.0, np.array([0.0, 2.0]), rate)[-1]
    >>> round(float(fnad.grad(last)(0.5)), 6)
    -0.735759
    """
    check_function("odeint", "func", func)
    y0, t = with_arrays(y0), with_arrays(t)
    vectors = Vectors(y0, "odeint: y0")
    dtype = _time_dtype(vectors, t)
    times = aval_of(as_operand(t))
    if len(times.shape) != 1 or not times.shape[0]:
        raise ValueError(f"odeint: t must be a vector of at least one time, got {times}")
    check_positive("odeint", mxstep=mxstep, hmax=hmax)
    check_tolerances("odeint", rtol=rtol, atol=atol)
    bound = 2**62 if isinstance(mxstep, float) and mxstep == np.inf else mxstep
    control = Control(rtol, atol, bound, hmax)

    def run(y0: Any, t: Any, args: Any, control: Control) -> Any:
        def on_vectors(t: Array, y: Array, args: Any) -> Array:
            return vectors.ravel(func(vectors.unravel(y), t, *args), "odeint: what func returns")

        y, times = vectors.ravel(y0, vectors.what), fnp.asarray(t, dtype)
        field, operands = equation(on_vectors, times[0], y, args, "the function of odeint")
        states, _ = states_at(
            field, y, times, None, operands, _typed(control, y, dtype), True, adjoint
        )
        return vectors.unravel(states)

    return jit(run)(y0, t, args, control)


def _tolerance(what: str, given: Any, vectors: Vectors) -> Array:
    """A scalar, or a vector of a pytree like the state."""
    leaves = tree.leaves(given)
    if len(leaves) == 1 and not aval_of(as_operand(leaves[0])).shape:
        return given
    return fnp.real(vectors.ravel(given, f"solve_ivp: {what}"))


def _typed(control: Control, y: Array, time_dtype: np.dtype[Any]) -> Control:
    """Tolerances in the precision of the state, so that they do not promote it."""
    real = fnp.real(y).dtype
    return Control(
        fnp.asarray(control.rtol, real),
        fnp.asarray(control.atol, real),
        fnp.asarray(control.max_steps),
        fnp.maximum(fnp.asarray(control.max_length, time_dtype), 0),
    )


@register_pytree_node_class
class DenseOutput:
    """A solution between its steps: a callable, and a pytree.

    Calling it with times of any shape returns a pytree like the state, with the axes of the times
    behind those of each leaf. Outside of the interval of integration the first or last step is
    continued. Where the integration did not get to, it is NaN.

    Attributes
    ----------
    ts : (max_steps + 1,) array
        Where steps begin and end; behind the last one, the end again.
    curves : (max_steps, 5, n) array
        The polynomials between them.
    count : int
        The number of steps.
    success : bool
        Whether the end was reached.
    """

    def __init__(
        self, ts: Array, curves: Array, count: Array, success: Array, vectors: Vectors
    ) -> None:
        self.ts, self.curves, self.count, self.success = ts, curves, count, success
        self._vectors = vectors

    def tree_flatten(self) -> tuple[tuple[Array, ...], Vectors]:
        return (self.ts, self.curves, self.count, self.success), self._vectors

    @classmethod
    def tree_unflatten(cls, vectors: Vectors, children: Any) -> DenseOutput:
        ts, curves, count, success = children
        return cls(ts, curves, count, success, vectors)

    def __call__(self, t: Any) -> Any:
        times = fnp.asarray(t, self.ts.dtype)
        sign = fnp.where(self.ts[-1] < self.ts[0], -1.0, 1.0).astype(self.ts.dtype)
        at = fnp.searchsorted(sign * self.ts, sign * times, side="left") - 1
        at = fnp.clip(at, 0, fnp.maximum(self.count - 1, 0))
        lost = ~self.success & (sign * times > sign * self.ts[self.count])
        length = self.ts[at + 1] - self.ts[at]
        part = (times - self.ts[at]) / fnp.where(length == 0, 1.0, length)
        values = on_curve(self.curves[at], part[..., None])
        return _times_last(self._vectors, fnp.where(lost[..., None], fnp.nan, values))


def _times_last(vectors: Vectors, states: Array) -> Any:
    """The pytree of vectors whose axes in front become the last ones of each leaf."""
    count = len(states.shape) - 1

    def turn(x: Array) -> Array:
        return fnp.moveaxis(x, tuple(range(count)), tuple(range(-count, 0)))

    return tree.map(turn, vectors.unravel(states))


class OdeResult(NamedTuple):
    """What `solve_ivp` returns: a pytree.

    Attributes
    ----------
    t : (k,) array
        ``t_eval``; without it where steps ended, and behind the last one the end again and again.
    y : pytree like y0
        The solution there, with the axis of times last.
    sol : DenseOutput or None
        The solution as a function of time, if it was asked for; then ``y`` is read off it.
    nfev : int
        Evaluations of the function.
    nsteps : int
        Steps that were accepted, where they are kept, else all that were tried.
    status : int
        0: the end was reached; -1: steps became too short; -2: ``max_steps`` was reached.
    success : bool
        Whether ``status`` is 0.
    """

    t: Any
    y: Any
    sol: Any
    nfev: Any
    nsteps: Any
    status: Any
    success: Any

    @property
    def message(self) -> str:
        """The status in words; it is not known while the program is traced."""
        return MESSAGES[int(self.status)]


def solve_ivp(
    fun: Callable[..., Any],
    t_span: Any,
    y0: Any,
    *,
    method: str = "RK45",
    t_eval: Any = None,
    dense_output: bool = False,
    args: tuple[Any, ...] = (),
    rtol: Any = 1e-3,
    atol: Any = 1e-6,
    max_steps: int = 4096,
    max_step: Any = np.inf,
    first_step: Any = None,
    adjoint: bool = True,
    events: None = None,
) -> OdeResult:
    """Solve ``dy/dt = fun(t, y, *args)`` from one time to another.

    The whole integration is one compiled program; it can be a part of a function under `jit` or
    `vmap`, where each element of the batch has steps of its own.

    Parameters
    ----------
    fun : callable
        ``fun(t, y, *args)`` returns the derivative, a pytree like ``y``. It is not evaluated
        outside of ``t_span``.
    t_span : pair of floats
        Where it begins and ends; the end may lie before the beginning.
    y0 : pytree of arrays
        The state at the beginning, real or complex. Integers become float64.
    method : {"RK45"}
        The pair of Dormand and Prince, of order 5.
    t_eval : (k,) array, optional
        Times of the solution to return, in order and within ``t_span``.
    dense_output : bool
        Whether to keep the solution between the steps, too.
    args : tuple of pytrees of arrays
        What else ``fun`` takes.
    rtol, atol : float
        A step's error is at most ``atol + rtol * abs(y)``, as a root mean square; each may be a
        pytree like ``y0``.
    max_steps : int
        A bound of the steps. Without ``t_eval`` and for dense output there is room for as many.
    max_step : float
        A bound of their length.
    first_step : float, optional
        The length of the first one.
    adjoint : bool
        Whether derivatives are found by solving the adjoint equation, in reverse mode only;
        otherwise they are those of the steps that were taken, in both modes, and reverse mode
        keeps all of these.
    events : None
        Not taken: a time where something happens is a root of a function of ``sol``.

    Returns
    -------
    OdeResult
        ``y`` and ``sol`` are NaN where the integration did not get to; ``status`` says why.

    Raises
    ------
    ValueError
        If there is no such method, or ``t_eval`` is no vector, or a step's length or a tolerance
        makes no sense.

    Notes
    -----
    Each call traces ``fun``: where there are many, let them be a part of a function under `jit`.

    Reverse mode finds cotangents of ``y0``, ``args``, what ``fun`` closes over, ``t_span`` and
    ``t_eval``; times of steps are constants. They are as accurate as the tolerances, not exact
    derivatives of what is returned, and NaN where the adjoint equation could not be solved.

    Examples
    --------
    >>> import numpy as np
    >>> result = solve_ivp(lambda t, y: -y, (0.0, 1.0), np.array([1.0, 2.0]), dense_output=True)
    >>> np.round(result.y[:, -1], 3), int(result.status)
    (array([0.368, 0.736]), 0)
    >>> np.round(result.sol(np.array([0.0, 0.5])), 3)
    array([[1.   , 0.607],
           [2.   , 1.213]])
    """
    if method != "RK45":
        raise ValueError(
            f"solve_ivp: there is no method {method!r}; 'RK45' is for equations that are not stiff"
        )
    check_function("solve_ivp", "fun", fun)
    check_args("solve_ivp", args)
    if events is not None:
        raise TypeError(
            "solve_ivp: there are no events, since shapes do not depend on values; a time where"
            " something happens is a root, for optimize.root_scalar, of a function of sol(t)"
        )
    y0, t_eval = with_arrays(y0), with_arrays(t_eval)
    rtol, atol = with_arrays(rtol), with_arrays(atol)
    vectors = Vectors(y0, "solve_ivp: y0")
    begin, end = pair("solve_ivp", "t_span", t_span)
    check_numbers("solve_ivp", **{"the begin of t_span": begin, "the end of t_span": end})
    dtype = _time_dtype(vectors, begin, end, *([] if t_eval is None else [t_eval]))
    if t_eval is not None and len(aval_of(as_operand(t_eval)).shape) != 1:
        raise ValueError(f"solve_ivp: t_eval must be a vector, got {aval_of(as_operand(t_eval))}")
    if max_steps < 1:
        raise ValueError(f"solve_ivp: max_steps must be at least 1, got {max_steps}")
    check_positive("solve_ivp", max_step=max_step)
    if first_step is not None:
        check_positive("solve_ivp", first_step=first_step)
    check_tolerances("solve_ivp", rtol=rtol, atol=atol)
    control = Control(rtol, atol, max_steps, max_step)

    def run(span: Any, y0: Any, t_eval: Any, args: Any, control: Control, length: Any) -> OdeResult:
        def on_vectors(t: Array, y: Array, args: Any) -> Array:
            return vectors.ravel(fun(t, vectors.unravel(y), *args), "solve_ivp: what fun returns")

        y = vectors.ravel(y0, vectors.what)
        ends = fnp.stack([fnp.asarray(x, dtype) for x in span])
        control = control._replace(
            rtol=_tolerance("rtol", control.rtol, vectors),
            atol=_tolerance("atol", control.atol, vectors),
        )
        control = _typed(control, y, dtype)
        field, operands = equation(on_vectors, ends[0], y, args, "the function of solve_ivp")
        sol: Any = None
        if t_eval is None or dense_output:
            found, outcome = trajectory(
                field, y, ends, length, operands, control, max_steps, dense_output, adjoint
            )
            times, count = found.times, found.count
            values = _times_last(vectors, found.states)
            if dense_output:
                sol = DenseOutput(times, found.curves, count, outcome.status == 0, vectors)
            if t_eval is not None:
                times = fnp.asarray(t_eval, dtype)
                inside = fnp.concatenate([ends[:1], times, ends[1:]])
                in_order = fnp.all(fnp.diff(fnp.where(ends[1] < ends[0], -inside, inside)) >= 0)
                values = tree.map(lambda x: fnp.where(in_order, x, fnp.nan), sol(times))
                status = fnp.where(in_order, outcome.status, OUT_OF_ORDER)
                outcome = outcome._replace(status=status)
        else:
            times = fnp.asarray(t_eval, dtype)
            inside = fnp.concatenate([ends[:1], times, ends[1:]])
            states, outcome = states_at(field, y, inside, length, operands, control, False, adjoint)
            values, count = _times_last(vectors, states[1:-1]), outcome.steps
        return OdeResult(
            times,
            values,
            sol,
            outcome.evaluations,
            count,
            outcome.status,
            outcome.status == 0,
        )

    return jit(run)((begin, end), y0, t_eval, args, control, first_step)
