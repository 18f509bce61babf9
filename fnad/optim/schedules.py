"""Schedules: functions from the number of past steps to a value, as in Optax."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import fnad.numpy as fnp
from fnad.extend import picklable
from fnad.optim.arguments import check_number

Schedule = Callable[[Any], Any]


@picklable
def constant_schedule(value: float) -> Schedule:
    """Always ``value``.

    Examples
    --------
    >>> constant_schedule(0.1)(1000)
    0.1
    """
    check_number("constant_schedule", "value", value)
    return lambda count: value


@picklable
def polynomial_schedule(
    init_value: float,
    end_value: float,
    power: float,
    transition_steps: int,
    transition_begin: int = 0,
) -> Schedule:
    """From ``init_value`` to ``end_value`` along a power of the remaining fraction of steps.

    Raises
    ------
    ValueError
        If ``transition_steps`` is not positive or ``transition_begin`` is negative.

    Examples
    --------
    >>> schedule = polynomial_schedule(1.0, 0.0, 2, 4)
    >>> [float(schedule(i)) for i in (0, 2, 4, 9)]
    [1.0, 0.25, 0.0, 0.0]
    """
    for name, value in (("init_value", init_value), ("end_value", end_value), ("power", power)):
        check_number("polynomial_schedule", name, value)
    _check_positive("polynomial_schedule", "transition_steps", transition_steps)
    if transition_begin < 0:
        raise ValueError(
            f"polynomial_schedule: transition_begin must not be negative, got {transition_begin}"
        )

    def schedule(count: Any) -> Any:
        done = fnp.clip(count - transition_begin, 0, transition_steps)
        remaining = 1 - done / transition_steps
        return (init_value - end_value) * remaining**power + end_value

    return schedule


def linear_schedule(
    init_value: float, end_value: float, transition_steps: int, transition_begin: int = 0
) -> Schedule:
    """From ``init_value`` to ``end_value`` in equal steps.

    Examples
    --------
    >>> schedule = linear_schedule(1.0, 0.0, 4)
    >>> [float(schedule(i)) for i in (0, 1, 4, 9)]
    [1.0, 0.75, 0.0, 0.0]
    """
    return polynomial_schedule(init_value, end_value, 1, transition_steps, transition_begin)


@picklable
def exponential_decay(
    init_value: float,
    transition_steps: int,
    decay_rate: float,
    transition_begin: int = 0,
    staircase: bool = False,
    end_value: float | None = None,
) -> Schedule:
    """``init_value * decay_rate ** ((count - transition_begin) / transition_steps)``.

    Parameters
    ----------
    init_value : float
    transition_steps : int
        In this number of steps the value is multiplied by ``decay_rate`` once.
    decay_rate : float
    transition_begin : int
        The value stays the initial one so long.
    staircase : bool
        Whether to round the exponent down to whole numbers.
    end_value : float, optional
        Where the decay stops.

    Raises
    ------
    ValueError
        If ``transition_steps`` is not positive or ``decay_rate`` is 0.

    Examples
    --------
    >>> schedule = exponential_decay(1.0, 10, 0.5)
    >>> [float(schedule(i)) for i in (0, 10, 20)]
    [1.0, 0.5, 0.25]
    """
    _check_positive("exponential_decay", "transition_steps", transition_steps)
    check_number("exponential_decay", "init_value", init_value)
    check_number("exponential_decay", "decay_rate", decay_rate, 0)
    if decay_rate == 0:
        raise ValueError("exponential_decay: decay_rate must not be 0")
    bound = fnp.maximum if decay_rate < 1 else fnp.minimum

    def schedule(count: Any) -> Any:
        exponent = (count - transition_begin) / transition_steps
        if staircase:
            exponent = fnp.floor(exponent)
        decayed = init_value * fnp.power(decay_rate, exponent)
        value = fnp.where(count <= transition_begin, init_value, decayed)
        return value if end_value is None else bound(value, end_value)

    return schedule


@picklable
def cosine_decay_schedule(
    init_value: float, decay_steps: int, alpha: float = 0.0, exponent: float = 1.0
) -> Schedule:
    """Half a cosine from ``init_value`` to ``alpha * init_value`` (Loshchilov, Hutter, 2017).

    Examples
    --------
    >>> schedule = cosine_decay_schedule(1.0, 10)
    >>> [round(float(schedule(i)), 3) for i in (0, 5, 10, 20)]
    [1.0, 0.5, 0.0, 0.0]
    """
    for name, value in (("init_value", init_value), ("alpha", alpha), ("exponent", exponent)):
        check_number("cosine_decay_schedule", name, value)
    _check_positive("cosine_decay_schedule", "decay_steps", decay_steps)

    def schedule(count: Any) -> Any:
        done = fnp.minimum(count, decay_steps) / decay_steps
        fraction = 0.5 * (1 + fnp.cos(math.pi * done))
        return init_value * ((1 - alpha) * fraction**exponent + alpha)

    return schedule


def warmup_cosine_decay_schedule(
    init_value: float,
    peak_value: float,
    warmup_steps: int,
    decay_steps: int,
    end_value: float = 0.0,
    exponent: float = 1.0,
) -> Schedule:
    """A straight line up to ``peak_value``, then half a cosine down to ``end_value``.

    Parameters
    ----------
    init_value, peak_value : float
    warmup_steps : int
        Length of the line.
    decay_steps : int
        Length of the whole, with the line.
    end_value : float
    exponent : float
        Of the cosine.

    Examples
    --------
    >>> schedule = warmup_cosine_decay_schedule(0.0, 1.0, 10, 30)
    >>> [round(float(schedule(i)), 3) for i in (0, 5, 10, 20, 30)]
    [0.0, 0.5, 1.0, 0.5, 0.0]
    """
    _check_positive("warmup_cosine_decay_schedule", "decay_steps", decay_steps - warmup_steps)
    alpha = 0.0 if peak_value == 0 else end_value / peak_value
    decay = cosine_decay_schedule(peak_value, decay_steps - warmup_steps, alpha, exponent)
    if warmup_steps == 0:
        return decay
    return join_schedules(
        [linear_schedule(init_value, peak_value, warmup_steps), decay], [warmup_steps]
    )


@picklable
def piecewise_constant_schedule(
    init_value: float, boundaries_and_scales: Mapping[int, float] | None = None
) -> Schedule:
    """Multiply the value by a factor at each boundary.

    Examples
    --------
    >>> schedule = piecewise_constant_schedule(1.0, {10: 0.5, 20: 0.1})
    >>> [float(schedule(i)) for i in (0, 9, 10, 20)]
    [1.0, 1.0, 0.5, 0.05]
    """
    for boundary, scale in (boundaries_and_scales or {}).items():
        check_number("piecewise_constant_schedule", "a boundary", boundary)
        check_number("piecewise_constant_schedule", f"the scale at {boundary}", scale)
    steps = sorted((boundaries_and_scales or {}).items())

    def schedule(count: Any) -> Any:
        value: Any = init_value
        for boundary, scale in steps:
            value = fnp.where(count < boundary, value, value * scale)
        return value

    return schedule


@picklable
def join_schedules(schedules: Sequence[Schedule], boundaries: Sequence[int]) -> Schedule:
    """One schedule after the other, each counting from its own begin.

    Parameters
    ----------
    schedules : sequence of schedules
    boundaries : sequence of int
        The counts at which the second and later ones begin.

    Examples
    --------
    >>> schedule = join_schedules([constant_schedule(1.0), linear_schedule(1.0, 0.0, 4)], [10])
    >>> [float(schedule(i)) for i in (0, 10, 12, 14)]
    [1.0, 1.0, 0.5, 0.0]
    """
    for i, each in enumerate(schedules):
        if not callable(each):
            raise TypeError(
                f"join_schedules: entry {i} is no schedule, a function of the number of steps, but"
                f" {each!r}; constant_schedule({each!r}) is one"
            )
    if len(boundaries) != len(schedules) - 1:
        raise ValueError(
            f"join_schedules: {len(schedules)} schedules have {len(schedules) - 1} boundaries,"
            f" got {len(boundaries)}"
        )

    def schedule(count: Any) -> Any:
        value = schedules[0](count)
        for boundary, later in zip(boundaries, schedules[1:]):
            value = fnp.where(count < boundary, value, later(count - boundary))
        return value

    return schedule


def _check_positive(schedule: str, name: str, value: int) -> None:
    check_number(schedule, name, value)
    if value <= 0:
        raise ValueError(f"{schedule}: {name} must be positive, got {value}")
