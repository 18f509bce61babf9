"""Schedules against their formulas, and against Optax where it is installed."""

import numpy as np
import pytest

import fnad
from fnad import optim

SCHEDULES = {
    "constant_schedule": [(0.3,)],
    "linear_schedule": [(1.0, 0.1, 10), (0.0, 2.0, 5, 3)],
    "polynomial_schedule": [(1.0, 0.1, 2.0, 10, 2)],
    "exponential_decay": [
        (1.0, 4, 0.5),
        (1.0, 4, 0.5, 2, True),
        (1.0, 4, 0.5, 0, False, 0.2),
        (1.0, 4, 1.5, 0, False, 2.0),
    ],
    "cosine_decay_schedule": [(1.0, 10), (2.0, 10, 0.1, 2.0)],
    "warmup_cosine_decay_schedule": [(0.0, 1.0, 4, 16), (0.1, 1.0, 4, 16, 0.2, 2.0)],
    "piecewise_constant_schedule": [(1.0, {3: 0.5, 8: 0.1}), (1.0,)],
}
CASES = [(name, args) for name, many in SCHEDULES.items() for args in many]


@pytest.mark.parametrize("name, args", CASES)
def test_optax_agrees(name, args):
    optax = pytest.importorskip("optax")
    theirs, ours = getattr(optax, name)(*args), getattr(optim, name)(*args)
    compiled = fnad.jit(ours)
    for count in range(20):
        expected = np.asarray(theirs(count))
        np.testing.assert_allclose(ours(np.int32(count)), expected, rtol=1e-5, atol=1e-7)
        np.testing.assert_allclose(compiled(np.int32(count)), expected, rtol=1e-5, atol=1e-7)


def test_formulas():
    linear = optim.linear_schedule(1.0, 0.0, 4, transition_begin=2)
    assert [float(linear(i)) for i in (0, 2, 3, 6, 9)] == [1.0, 1.0, 0.75, 0.0, 0.0]
    decay = optim.exponential_decay(8.0, 2, 0.25, staircase=True)
    assert [float(decay(i)) for i in (0, 1, 2, 3, 4)] == [8.0, 8.0, 2.0, 2.0, 0.5]
    warm = optim.warmup_cosine_decay_schedule(0.0, 1.0, 2, 6, 0.5)
    np.testing.assert_allclose(
        [float(warm(i)) for i in (0, 1, 2, 4, 6, 7)], [0.0, 0.5, 1.0, 0.75, 0.5, 0.5]
    )


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: optim.linear_schedule(1.0, 0.0, 0), "transition_steps must be positive, got 0"),
        (lambda: optim.linear_schedule(1.0, 0.0, 1, -1), "transition_begin must not be negative"),
        (lambda: optim.exponential_decay(1.0, 1, 0), "decay_rate must not be 0"),
        (lambda: optim.cosine_decay_schedule(1.0, -1), "decay_steps must be positive, got -1"),
        (lambda: optim.join_schedules([], [1]), "0 schedules have -1 boundaries, got 1"),
    ],
)
def test_bad_settings(make, message):
    with pytest.raises(ValueError, match=message):
        make()
