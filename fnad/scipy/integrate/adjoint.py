"""Gradients through solutions of differential equations: the adjoint equation, backwards in time.

R. T. Q. Chen, Y. Rubanova, J. Bettencourt, D. Duvenaud, Neural ordinary differential equations,
NeurIPS 2018, appendix B and C. Between two times for which there are cotangents, state, adjoint and
the cotangents of the parameters are integrated together, beginning with the state that was found
on the way forward. What the backward rule integrates has the same rule, and so on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any, NamedTuple

import fnad.numpy as fnp
from fnad.core import tree
from fnad.core.tracer import apply_jaxpr
from fnad.core.types import ShapedArray, aval_of, float0, is_differentiable
from fnad.primitives.control_flow import scan
from fnad.primitives.custom.vjp import custom_vjp
from fnad.primitives.subprograms import merge, split, trace_function
from fnad.scipy.integrate.adaptive import (
    Control,
    Outcome,
    Trajectory,
    rms_norm,
    through_steps,
    through_times,
)
from fnad.scipy.integrate.dormand_prince import step
from fnad.scipy.vectors import Vectors
from fnad.transforms.autodiff import vjp
from fnad.transforms.vmap import vmap

Array = Any
# In the error of forward mode.
_NAME = "odeint or solve_ivp with adjoint=True (with adjoint=False it does)"
# Of time, state, the parameters that have derivatives, and the others.
Rhs = Callable[[Array, Array, Any, Any], Array]
# A backward rule: cotangents by residuals and cotangents.
Backward = Callable[[Any, Any], tuple[Any, ...]]


class Equation(NamedTuple):
    """A right-hand side on vectors, and the sizes of the parts whose errors are bounded."""

    rhs: Rhs
    sizes: Sequence[int]


class Operands(NamedTuple):
    """What a right-hand side is given besides time and state."""

    params: Sequence[Array]
    fixed: Sequence[Array]


def equation(
    on_vectors: Callable[[Array, Array, Any], Array],
    time: Array,
    y: Array,
    args: Any,
    what: str,
) -> tuple[Equation, Operands]:
    """Trace a right-hand side once; arrays that it closes over become operands."""
    leaves, structure = tree.flatten(((time, y, args), {}))
    avals = [aval_of(x) for x in leaves]
    avals[:2] = [a.strong() for a in avals[:2]]
    program, consts, _ = trace_function(on_vectors, structure, avals, what)
    operands = [*consts, *leaves[2:]]
    moving = tuple(is_differentiable(aval_of(x)) for x in operands)
    at, state_type = len(consts), ShapedArray(y.shape, y.dtype)

    def rhs(t: Array, y: Array, params: Any, fixed: Any) -> Array:
        given = merge(moving, fixed, params)
        (out,) = apply_jaxpr(program, [*given[:at], t, y, *given[at:]])
        return out.astype(state_type.dtype)

    fixed, params = split(moving, operands)
    return Equation(rhs, (y.size,)), Operands(params, fixed)


def _direction(times: Array) -> Array:
    return fnp.where(times[-1] < times[0], -1.0, 1.0).astype(times.dtype)


def _forwards(equation: Equation, operands: Operands, direction: Array) -> Callable[..., Array]:
    """The right-hand side in a time that increases."""

    def f(t: Array, y: Array) -> Array:
        slope = equation.rhs(direction * t, y, *operands)
        return direction.astype(fnp.real(slope).dtype) * slope

    return f


def _inner(cotangent: Array, slope: Array, dtype: Any) -> Array:
    """The cotangent of a time: the sum of products over the last axis, as a real number."""
    return fnp.real(fnp.sum(cotangent * slope, -1)).astype(dtype)


def _nothing_of_zeros(backward: Backward) -> Backward:
    """A backward rule whose results are zero where they would not be finite, for zeros alone.

    It is linear, but its loop does not show it: so members of a batch of which a select takes
    nothing contribute nothing (`fnad.primitives.strong_zeros`), whatever their states are.
    """

    def pulled(residuals: Any, cotangents: Any) -> tuple[Any, ...]:
        cts = [ct for ct in tree.leaves(cotangents) if ct.dtype != float0]
        nothing = reduce(fnp.logical_and, [fnp.all(ct == 0) for ct in cts])

        def cleared(x: Any) -> Any:
            return fnp.where(nothing & ~fnp.isfinite(x), 0, x)

        return tree.map(cleared, backward(residuals, cotangents))

    return pulled


def states_at(
    equation: Equation,
    y: Array,
    times: Array,
    length: Array | None,
    operands: Operands,
    control: Control,
    each: bool,
    adjoint: bool,
) -> tuple[Array, Outcome]:
    """States at times, a row each; see `through_times`. With ``adjoint`` there is reverse
    mode, by the adjoint equation; without, derivatives are those of the steps."""

    def solve(y: Array, times: Array, params: Any, rest: Any) -> tuple[Array, Outcome]:
        fixed, length, control = rest
        direction = _direction(times)
        f = _forwards(equation, Operands(params, fixed), direction)
        norm = rms_norm(equation.sizes)
        return through_times(f, y, direction * times, length, control, norm, each)

    rest = (operands.fixed, length, control)
    if not adjoint:
        return solve(y, times, operands.params, rest)

    def forward(y: Array, times: Array, params: Any, rest: Any) -> tuple[Any, Any]:
        states, outcome = wrapped(y, times, params, rest)
        return (states, outcome), (states, times, params, rest, outcome.length)

    def backward(residuals: Any, cotangents: Any) -> tuple[Any, ...]:
        states, times, params, (fixed, _, control), length = residuals
        cts, _ = cotangents
        given = Operands(params, fixed)
        ct, param_cts, start_ct = _pull_back(equation, states, times, cts, given, control, length)
        slopes = vmap(lambda t, y: equation.rhs(t, y, params, fixed))(times[1:], states[1:])
        time_cts = _inner(cts[1:], slopes, times.dtype)
        return ct, fnp.concatenate([start_ct[None], time_cts]), param_cts, None

    solve.__name__ = _NAME
    wrapped = custom_vjp(solve)
    wrapped.defvjp(forward, _nothing_of_zeros(backward))
    result: tuple[Array, Outcome] = wrapped(y, times, operands.params, rest)
    return result


def trajectory(
    equation: Equation,
    y: Array,
    ends: Array,
    length: Array | None,
    operands: Operands,
    control: Control,
    room: int,
    curves: bool,
    adjoint: bool,
) -> tuple[Trajectory, Outcome]:
    """All steps between two times; see `through_steps`. Their times have no derivatives, but the
    states at the end depend on where it is."""

    def solve(y: Array, ends: Array, params: Any, rest: Any) -> tuple[Trajectory, Outcome]:
        fixed, length, control = rest
        direction = _direction(ends)
        f = _forwards(equation, Operands(params, fixed), direction)
        norm, at = rms_norm(equation.sizes), direction * ends
        found, outcome = through_steps(f, y, (at[0], at[1]), length, control, norm, room, curves)
        return found._replace(times=direction * found.times), outcome

    rest = (operands.fixed, length, control)
    if not adjoint:
        return solve(y, ends, operands.params, rest)

    def forward(y: Array, ends: Array, params: Any, rest: Any) -> tuple[Any, Any]:
        found, outcome = wrapped(y, ends, params, rest)
        return (found, outcome), (found.times, found.states, ends, params, rest, outcome.length)

    def backward(residuals: Any, cotangents: Any) -> tuple[Any, ...]:
        times, states, ends, params, (fixed, _, control), length = residuals
        (_, cts, curve_cts, _), _ = cotangents

        def slope(t: Array, y: Array, params: Any) -> Array:
            return equation.rhs(t, y, params, fixed)

        more = None
        if curves:

            def curve(t: Array, y: Array, h: Array, params: Any) -> Array:
                f = lambda t, y: slope(t, y, params)  # noqa: E731
                return step(f, t, y, f(t, y), h).curve

            def all_curves(states: Array, params: Any) -> Array:
                return vmap(curve, (0, 0, 0, None))(
                    times[:-1], states, times[1:] - times[:-1], params
                )

            state_cts, more = vjp(all_curves, states[:-1], params)[1](curve_cts)
            cts = cts + fnp.concatenate([state_cts, fnp.zeros_like(cts[:1])])
        given = Operands(params, fixed)
        ct, param_cts, start_ct = _pull_back(equation, states, times, cts, given, control, length)
        if more is not None:
            param_cts = tree.map(fnp.add, param_cts, more)
        at_end = fnp.where((times == ends[1])[:, None], cts, 0.0)
        end_ct = _inner(fnp.sum(at_end, 0), slope(ends[1], states[-1], params), ends.dtype)
        return ct, fnp.stack([start_ct, end_ct]), param_cts, None

    solve.__name__ = _NAME
    wrapped = custom_vjp(solve)
    wrapped.defvjp(forward, _nothing_of_zeros(backward))
    result: tuple[Trajectory, Outcome] = wrapped(y, ends, operands.params, rest)
    return result


def _pull_back(
    equation: Equation,
    states: Array,
    times: Array,
    cts: Array,
    operands: Operands,
    control: Control,
    length: Array,
) -> tuple[Array, Any, Array]:
    """Cotangents of the first state, of the parameters, and of the first time."""
    zeros = tree.map(fnp.zeros_like, list(operands.params))
    whole = Vectors((states[0], states[0], zeros), "the adjoint state")
    n = states.shape[1]

    def rhs(t: Array, z: Array, params: Any, fixed: Any) -> Array:
        y, ct, _ = whole.unravel(z)
        slope, pull = vjp(lambda y, p: equation.rhs(t, y, p, fixed), y, params)
        y_ct, param_cts = pull(ct)
        return whole.ravel((slope, -y_ct, tree.map(fnp.negative, list(param_cts))), "the adjoint")

    adjoint = Equation(rhs, (*equation.sizes, n, whole.size - 2 * n))

    def of_whole(tolerance: Array) -> Array:
        if not aval_of(tolerance).shape:
            return tolerance
        others = fnp.full((whole.size - n,), fnp.min(tolerance, initial=fnp.inf))
        return fnp.concatenate([tolerance, others])

    control = control._replace(rtol=of_whole(control.rtol), atol=of_whole(control.atol))

    def to_last(carry: Any, at: Any) -> tuple[Any, None]:
        ct, param_cts, length = carry
        state, more, begin, end = at
        z = whole.ravel((state, ct + more, param_cts), "the adjoint")
        found, outcome = states_at(
            adjoint, z, fnp.stack([begin, end]), length, operands, control, each=True, adjoint=True
        )
        _, ct, param_cts = whole.unravel(found[1])
        return (ct, param_cts, outcome.length), None

    start = (fnp.zeros_like(states[0]), zeros, length)
    (ct, param_cts, _), _ = scan(
        to_last, start, (states[1:], cts[1:], times[1:], times[:-1]), reverse=True
    )
    start_ct = -_inner(ct, equation.rhs(times[0], states[0], *operands), times.dtype)
    return ct + cts[0], param_cts, start_ct
