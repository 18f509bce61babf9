"""Steps whose lengths follow the error: to given times, or from one end to the other.

The controller is that of HNW II.4 with the stabilisation of IV.2 (K. Gustafsson, Control of
error and convergence in ODE solvers, 1992).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import fnad.numpy as fnp
from fnad.primitives.control_flow import scan, while_loop
from fnad.primitives.logic import stop_gradient
from fnad.scipy.integrate.dormand_prince import (
    CURVE_TERMS,
    EVALUATIONS,
    Field,
    Norm,
    constant_curve,
    first_step,
    on_curve,
    step,
)

Array = Any

REACHED, TOO_SHORT, TOO_MANY, OUT_OF_ORDER = 0, -1, -2, -3

_SAFETY, _SHRINK, _GROW = 0.9, 0.2, 10.0
_PROPORTIONAL, _INTEGRAL = 0.17, 0.04  # exponents; 0.2 and 0 without stabilisation
_STRETCH = 1.01  # a last step may be longer by this, so that no tiny one is left


class Control(NamedTuple):
    """What bounds errors and steps; ``rtol`` and ``atol`` are scalars, or vectors like the state.

    ``max_steps`` counts rejected steps, too.
    """

    rtol: Array
    atol: Array
    max_steps: Array
    max_length: Array


class Outcome(NamedTuple):
    """How an integration ended, what it took, and the length of a next step."""

    status: Array
    evaluations: Array
    steps: Array
    length: Array


class _State(NamedTuple):
    t: Array
    y: Array
    slope: Array
    length: Array  # to try next
    last_t: Array  # of the last step that was accepted, with its length and curve
    last_length: Array
    curve: Array
    last_error: Array
    rejected: Array  # the step before was
    status: Array
    evaluations: Array
    steps: Array
    accepted: Array


def rms_norm(sizes: Sequence[int]) -> Norm:
    """The largest root mean square of a vector's parts: many of one kind do not hide others."""

    def norm(x: Array) -> Array:
        start, norms = 0, []
        for size in sizes:
            part = x[start : start + size]
            start += size
            if size:
                norms.append(fnp.sqrt(fnp.mean(fnp.square(fnp.abs(part)))))
        largest = norms[0] if norms else fnp.zeros((), fnp.real(x).dtype)
        for other in norms[1:]:
            largest = fnp.maximum(largest, other)
        return largest

    return norm


def _begin(
    f: Field, t: Array, y: Array, length: Array | None, control: Control, norm: Norm
) -> _State:
    slope = f(t, y)
    known = length is not None
    if length is None:
        length = first_step(f, t, y, slope, (control.rtol, control.atol), norm)
    length = fnp.where(fnp.isfinite(length) & (length > 0), length, 1e-6)
    zero = fnp.asarray(0)
    return _State(
        t,
        y,
        slope,
        stop_gradient(length),
        t,
        fnp.ones_like(t),
        constant_curve(y),
        fnp.full((), 1e-4, t.dtype),
        fnp.asarray(False),
        fnp.asarray(REACHED),
        fnp.asarray(1 if known else 2),
        zero,
        zero,
    )


def _step(f: Field, s: _State, end: Array, control: Control, norm: Norm) -> _State:
    """Try one step; ``end`` is never passed."""
    length = fnp.minimum(s.length, control.max_length)
    last = s.t + _STRETCH * length >= end
    length = fnp.where(last, end - s.t, length)
    new = step(f, s.t, s.y, s.slope, length)
    scale = control.atol + control.rtol * fnp.maximum(fnp.abs(s.y), fnp.abs(new.y))
    error = stop_gradient(norm(new.error / scale)).astype(s.t.dtype)
    accepted = error <= 1

    tame = fnp.maximum(error, 1e-10)
    factor = _SAFETY * tame**-_PROPORTIONAL * s.last_error**_INTEGRAL
    factor = fnp.clip(factor, _SHRINK, _GROW)
    factor = fnp.where(s.rejected, fnp.minimum(factor, 1.0), factor)
    again = fnp.maximum(_SAFETY * tame**-0.2, _SHRINK)
    again = fnp.where(fnp.isfinite(error), again, _SHRINK)
    proposed = stop_gradient(length) * fnp.where(accepted, factor, again)
    shortest = 10 * (fnp.nextafter(fnp.abs(s.t), fnp.asarray(fnp.inf, s.t.dtype)) - fnp.abs(s.t))
    too_short = ~accepted & ~(proposed >= stop_gradient(shortest))
    too_short = too_short | ((s.t + length == s.t) & ~last)

    def choose(a: Array, b: Array) -> Array:
        return fnp.where(accepted, a, b)

    return _State(
        choose(fnp.where(last, end, s.t + length), s.t),
        choose(new.y, s.y),
        choose(new.slope, s.slope),
        proposed,
        choose(s.t, s.last_t),
        choose(length, s.last_length),
        choose(new.curve, s.curve),
        choose(fnp.maximum(error, 1e-4), s.last_error),
        ~accepted,
        fnp.where(too_short, TOO_SHORT, s.status),
        s.evaluations + EVALUATIONS,
        s.steps + 1,
        s.accepted + accepted,
    )


def _state_at(s: _State, time: Array) -> Array:
    """The state where ``time`` is the state's own, with its derivative by that."""
    slope = fnp.where(fnp.isfinite(s.slope), s.slope, 0)
    return s.y + (time - s.t).astype(fnp.real(slope).dtype) * slope


def _outcome(s: _State) -> Outcome:
    return Outcome(s.status, s.evaluations, s.steps, s.length)


def through_times(
    f: Field,
    y: Array,
    times: Array,
    length: Array | None,
    control: Control,
    norm: Norm,
    each: bool,
) -> tuple[Array, Outcome]:
    """States at increasing times, the first of which is where ``y`` is given.

    They lie on the curves of steps that only the last time cuts short. What could not be reached is
    NaN, and so is all if the times do not increase. With ``each``, ``max_steps`` counts anew from
    each time on.
    """
    end = times[-1]

    def to_next(s: _State, time: Array) -> tuple[_State, Array]:
        bound = control.max_steps + (s.steps if each else 0)

        def goes_on(s: _State) -> Array:
            # A time behind the end is out of order.
            return (s.t < fnp.minimum(time, end)) & (s.status == REACHED) & (s.steps < bound)

        s = while_loop(goes_on, lambda s: _step(f, s, end, control, norm), s)
        there = s.t >= time
        s = s._replace(status=fnp.where(~there & (s.status == REACHED), TOO_MANY, s.status))
        inside = on_curve(s.curve, (time - s.last_t) / s.last_length)
        y = fnp.where(time == s.t, _state_at(s, time), inside)
        return s, fnp.where(s.status == REACHED, y, fnp.nan)

    start = _begin(f, times[0], y, length, control, norm)
    last, states = scan(to_next, start, times[1:])
    in_order = fnp.all(times[1:] >= times[:-1])
    states = fnp.where(in_order, states, fnp.nan)
    last = last._replace(status=fnp.where(in_order, last.status, OUT_OF_ORDER))
    return fnp.concatenate([y[None], states]), _outcome(last)


class Trajectory(NamedTuple):
    """All steps of an integration: their ends, and the curves in between.

    Behind the last one the end again, or if it was not reached, NaN; then the very last state is
    NaN in any case.
    """

    times: Array
    states: Array
    curves: Array | None
    count: Array


def through_steps(
    f: Field,
    y: Array,
    ends: tuple[Array, Array],
    length: Array | None,
    control: Control,
    norm: Norm,
    room: int,
    curves: bool,
) -> tuple[Trajectory, Outcome]:
    """The steps from one end to the other, ``room`` of them at most."""
    t, end = ends
    times = fnp.full((room + 1,), t, t.dtype)
    states = fnp.broadcast_to(y, (room + 1, y.size))
    rows = fnp.zeros((room, CURVE_TERMS, y.size), y.dtype) if curves else None

    def goes_on(carry: Any) -> Array:
        s = carry[0]
        return (
            (s.t < end)
            & (s.status == REACHED)
            & (s.steps < control.max_steps)
            & (s.accepted < room)
        )

    def turn(carry: Any) -> Any:
        s, times, states, rows = carry
        new = _step(f, s, end, control, norm)
        place = new.accepted  # that of a rejected step is where it began
        times = times.at[place].set(new.t)
        states = states.at[place].set(new.y)
        if rows is not None:
            rows = rows.at[fnp.maximum(place - 1, 0)].set(new.curve)
        return new, times, states, rows

    start = _begin(f, t, y, length, control, norm)
    s, times, states, rows = while_loop(goes_on, turn, (start, times, states, rows))
    s = s._replace(status=fnp.where((s.t < end) & (s.status == REACHED), TOO_MANY, s.status))
    s = s._replace(status=fnp.where(fnp.isnan(t + end), OUT_OF_ORDER, s.status))
    reached, places = s.status == REACHED, fnp.arange(room + 1)
    behind = (places > s.accepted) | ~reached & (places == room)
    times = fnp.where(behind, end, times)
    rest = fnp.where(reached, _state_at(s, end), fnp.nan)
    states = fnp.where(behind[:, None], rest, states)
    if rows is not None:
        rows = fnp.where(behind[1:, None, None], constant_curve(rest), rows)
    return Trajectory(times, states, rows, s.accepted), _outcome(s)
