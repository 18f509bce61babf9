"""The rules that optimisers are chained of; formulas and names are Optax's."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

import fnad.numpy as fnp
from fnad import tree
from fnad.extend import picklable
from fnad.optim.arguments import check_number
from fnad.optim.base import (
    EmptyState,
    GradientTransformation,
    masked,
    require_params,
    stateless,
)
from fnad.optim.schedules import Schedule


class TraceState(NamedTuple):
    """State of `trace`: the running sum of the updates."""

    trace: Any


class ScaleByScheduleState(NamedTuple):
    """State of `scale_by_schedule`: the number of past steps."""

    count: Any


class ScaleByAdamState(NamedTuple):
    """State of `scale_by_adam`: number of steps, running means of updates and their squares."""

    count: Any
    mu: Any
    nu: Any


class ScaleByRmsState(NamedTuple):
    """State of `scale_by_rms`: the running mean of the squared updates."""

    nu: Any


class ScaleByRStdDevState(NamedTuple):
    """State of `scale_by_stddev`: the running means of updates and their squares."""

    mu: Any
    nu: Any


class ScaleByRssState(NamedTuple):
    """State of `scale_by_rss`: the sum of the squared updates."""

    sum_of_squares: Any


@picklable
def scale(step_size: float) -> GradientTransformation:
    """Multiply by a constant.

    Examples
    --------
    >>> rule = scale(-0.5)
    >>> rule.update(np.array([1.0, -2.0]), rule.init(np.zeros(2)))[0]
    array([-0.5,  1. ])
    """
    check_number("scale", "step_size", step_size)
    return stateless(lambda updates, params: tree.map(lambda u: step_size * u, updates))


@picklable
def scale_by_schedule(step_size_fn: Schedule) -> GradientTransformation:
    """Multiply by ``step_size_fn(number of past steps)``.

    Examples
    --------
    >>> rule = scale_by_schedule(lambda count: 1 / (1 + count))
    >>> rule.update(np.array([1.0, -2.0]), rule.init(np.zeros(2)))[0]
    array([ 1., -2.])
    """

    def init(params: Any) -> ScaleByScheduleState:
        return ScaleByScheduleState(np.zeros((), np.int32)[()])

    def update(
        updates: Any, state: ScaleByScheduleState, params: Any = None
    ) -> tuple[Any, ScaleByScheduleState]:
        step_size = step_size_fn(state.count)
        updates = tree.map(lambda u: fnp.asarray(step_size, u.dtype) * u, updates)
        return updates, ScaleByScheduleState(_increment(state.count))

    return GradientTransformation(init, update)


@picklable
def scale_by_learning_rate(
    learning_rate: float | Schedule, *, flip_sign: bool = True
) -> GradientTransformation:
    """Multiply by the (negative) learning rate, a number or a schedule.

    Examples
    --------
    >>> rule = scale_by_learning_rate(0.5)
    >>> rule.update(np.array([1.0, -2.0]), rule.init(np.zeros(2)))[0]
    array([-0.5,  1. ])
    """
    if not callable(learning_rate):
        check_number("scale_by_learning_rate", "learning_rate", learning_rate)
    sign = -1 if flip_sign else 1
    if callable(learning_rate):
        schedule = learning_rate
        return scale_by_schedule(lambda count: sign * schedule(count))
    return scale(sign * learning_rate)


@picklable
def trace(decay: float, nesterov: bool = False) -> GradientTransformation:
    """Momentum: ``trace = update + decay * trace``.

    Parameters
    ----------
    decay : float
    nesterov : bool
        Whether to give out ``update + decay * trace`` in place of the trace.

    Examples
    --------
    >>> rule = trace(0.9)
    >>> state = rule.init(np.zeros(1))
    >>> for _ in range(3):
    ...     updates, state = rule.update(np.ones(1), state)
    >>> updates
    array([2.71])
    """
    check_number("trace", "decay (momentum)", decay, -1, 1)

    def init(params: Any) -> TraceState:
        return TraceState(tree.map(fnp.zeros_like, params))

    def update(updates: Any, state: TraceState, params: Any = None) -> tuple[Any, TraceState]:
        new = tree.map(lambda u, t: u + decay * t, updates, state.trace)
        updates = tree.map(lambda u, t: u + decay * t, updates, new) if nesterov else new
        return updates, TraceState(new)

    return GradientTransformation(init, update)


@picklable
def scale_by_adam(
    b1: float = 0.9,
    b2: float = 0.999,
    eps: float = 1e-8,
    eps_root: float = 0.0,
    *,
    nesterov: bool = False,
) -> GradientTransformation:
    """Adam (Kingma and Ba, 2015): the running mean over the root of the mean square.

    Parameters
    ----------
    b1, b2 : float
        Decay of the mean and of the mean square.
    eps, eps_root : float
        Added to the root, and below it.
    nesterov : bool
        Nesterov momentum (Dozat, 2016).

    Examples
    --------
    >>> rule = scale_by_adam()
    >>> rule.update(np.array([1.0, -2.0]), rule.init(np.zeros(2)))[0].round(6)
    array([ 1., -1.])
    """
    for name, value in (("b1", b1), ("b2", b2)):
        check_number("scale_by_adam", name, value, 0, below=1)
    for name, value in (("eps", eps), ("eps_root", eps_root)):
        check_number("scale_by_adam", name, value, 0)

    def init(params: Any) -> ScaleByAdamState:
        zeros = tree.map(fnp.zeros_like, params)
        return ScaleByAdamState(np.zeros((), np.int32)[()], zeros, zeros)

    def update(
        updates: Any, state: ScaleByAdamState, params: Any = None
    ) -> tuple[Any, ScaleByAdamState]:
        mu = _running_mean(b1, updates, state.mu)
        nu = _running_mean(b2, _squares(updates), state.nu)
        count = _increment(state.count)
        if nesterov:
            mu_hat = tree.map(
                lambda m, u: b1 * m + (1 - b1) * u,
                _correct_bias(b1, count + 1, mu),
                _correct_bias(b1, count, updates),
            )
        else:
            mu_hat = _correct_bias(b1, count, mu)
        nu_hat = _correct_bias(b2, count, nu)
        updates = tree.map(lambda m, v: m / (fnp.sqrt(v + eps_root) + eps), mu_hat, nu_hat)
        return updates, ScaleByAdamState(count, mu, nu)

    return GradientTransformation(init, update)


@picklable
def scale_by_rms(
    decay: float = 0.9, eps: float = 1e-8, initial_scale: float = 0.0, eps_in_sqrt: bool = True
) -> GradientTransformation:
    """Divide by the root of the running mean square.

    Parameters
    ----------
    decay : float
    eps : float
        Added to the mean square, or to its root.
    initial_scale : float
        The mean square at the start.
    eps_in_sqrt : bool
        Where ``eps`` is added.

    Examples
    --------
    >>> rule = scale_by_rms()
    >>> rule.update(np.array([1.0, -2.0]), rule.init(np.zeros(2)))[0].round(6)
    array([ 3.162278, -3.162278])
    """
    check_number("scale_by_rms", "decay", decay, 0, below=1)
    check_number("scale_by_rms", "eps", eps, 0)
    check_number("scale_by_rms", "initial_scale", initial_scale, 0)

    def init(params: Any) -> ScaleByRmsState:
        return ScaleByRmsState(tree.map(lambda p: fnp.full_like(p, initial_scale), params))

    def update(
        updates: Any, state: ScaleByRmsState, params: Any = None
    ) -> tuple[Any, ScaleByRmsState]:
        nu = _running_mean(decay, _squares(updates), state.nu)
        updates = tree.map(lambda u, v: u / _root(v, eps, eps_in_sqrt), updates, nu)
        return updates, ScaleByRmsState(nu)

    return GradientTransformation(init, update)


@picklable
def scale_by_stddev(
    decay: float = 0.9, eps: float = 1e-8, initial_scale: float = 0.0, eps_in_sqrt: bool = True
) -> GradientTransformation:
    """Divide by the running standard deviation; parameters as in `scale_by_rms`.

    Examples
    --------
    >>> rule = scale_by_stddev()
    >>> rule.update(np.array([1.0, -2.0]), rule.init(np.zeros(2)))[0].round(6)
    array([ 3.333333, -3.333333])
    """
    check_number("scale_by_stddev", "decay", decay, 0, below=1)
    check_number("scale_by_stddev", "eps", eps, 0)
    check_number("scale_by_stddev", "initial_scale", initial_scale, 0)

    def init(params: Any) -> ScaleByRStdDevState:
        nu = tree.map(lambda p: fnp.full_like(p, initial_scale), params)
        return ScaleByRStdDevState(tree.map(fnp.zeros_like, params), nu)

    def update(
        updates: Any, state: ScaleByRStdDevState, params: Any = None
    ) -> tuple[Any, ScaleByRStdDevState]:
        mu = _running_mean(decay, updates, state.mu)
        nu = _running_mean(decay, _squares(updates), state.nu)
        updates = tree.map(lambda u, m, v: u / _root(v - m * m, eps, eps_in_sqrt), updates, mu, nu)
        return updates, ScaleByRStdDevState(mu, nu)

    return GradientTransformation(init, update)


@picklable
def scale_by_rss(
    initial_accumulator_value: float = 0.1, eps: float = 1e-7
) -> GradientTransformation:
    """Divide by the root of the sum of all squares so far; where the sum is 0 give 0.

    Examples
    --------
    >>> rule = scale_by_rss(0.0)
    >>> rule.update(np.array([1.0, -2.0]), rule.init(np.zeros(2)))[0].round(6)
    array([ 1., -1.])
    """
    check_number("scale_by_rss", "initial_accumulator_value", initial_accumulator_value, 0)
    check_number("scale_by_rss", "eps", eps, 0)

    def init(params: Any) -> ScaleByRssState:
        start = tree.map(lambda p: fnp.full_like(p, initial_accumulator_value), params)
        return ScaleByRssState(start)

    def update(
        updates: Any, state: ScaleByRssState, params: Any = None
    ) -> tuple[Any, ScaleByRssState]:
        total = tree.map(lambda s, t: s + t, _squares(updates), state.sum_of_squares)
        updates = tree.map(
            lambda u, t: fnp.where(t > 0, u / fnp.sqrt(fnp.where(t > 0, t, 1) + eps), 0),
            updates,
            total,
        )
        return updates, ScaleByRssState(total)

    return GradientTransformation(init, update)


@picklable
def add_decayed_weights(weight_decay: float = 0.0, mask: Any = None) -> GradientTransformation:
    """Add ``weight_decay * params``.

    Parameters
    ----------
    weight_decay : float
    mask : pytree of bool, or callable, optional
        Which parameters decay; see `masked`. All by default.

    Examples
    --------
    >>> rule = add_decayed_weights(0.5)
    >>> params = np.array([2.0, 4.0])
    >>> rule.update(np.zeros(2), rule.init(params), params)[0]
    array([1., 2.])
    """
    check_number("add_decayed_weights", "weight_decay", weight_decay)

    def update(updates: Any, state: EmptyState, params: Any = None) -> tuple[Any, EmptyState]:
        require_params(params, "add_decayed_weights")
        return tree.map(lambda u, p: u + weight_decay * p, updates, params), state

    rule = GradientTransformation(lambda params: EmptyState(), update)
    return rule if mask is None else masked(rule, mask)


def _increment(count: Any) -> Any:
    """One more, without overflow."""
    top = np.iinfo(np.int32).max
    return fnp.where(count < top, count + 1, top)


def _squares(updates: Any) -> Any:
    return tree.map(lambda u: u * u, updates)


def _running_mean(decay: float, updates: Any, means: Any) -> Any:
    return tree.map(lambda u, m: (1 - decay) * u + decay * m, updates, means)


def _correct_bias(decay: float, count: Any, means: Any) -> Any:
    """Undo the bias of a running mean to its start at 0."""
    weight = 1 - decay ** fnp.asarray(count, np.float64)
    return tree.map(lambda m: m / fnp.asarray(weight, m.dtype), means)


def _root(square: Any, eps: float, eps_in_sqrt: bool) -> Any:
    return fnp.sqrt(square + eps) if eps_in_sqrt else fnp.sqrt(square) + eps
