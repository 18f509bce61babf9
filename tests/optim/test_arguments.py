"""What rules and schedules are made with is checked where they are made."""

from __future__ import annotations

import numpy as np
import pytest

import fnad
from fnad import optim

MISTAKES = {
    "a rate that is NaN": (lambda: optim.sgd(np.nan), ValueError, "learning_rate must be a number"),
    "a rate that is text": (lambda: optim.adam("0.1"), TypeError, "learning_rate .*'0.1'"),
    "no rate": (lambda: optim.sgd(None), TypeError, "learning_rate must be a number"),
    "NaN": (lambda: optim.sgd(float("nan")), ValueError, "got nan"),
    "momentum": (lambda: optim.sgd(0.1, momentum=2.0), ValueError, "momentum"),
    "b1": (lambda: optim.adam(0.1, b1=1.0), ValueError, "b1 must be at least 0 and below 1"),
    "b2": (lambda: optim.adam(0.1, b2=-1.0), ValueError, "b2 must be at least 0 and below 1"),
    "eps": (lambda: optim.adam(0.1, eps=-1), ValueError, "eps must be at least 0"),
    "decay": (lambda: optim.rmsprop(0.1, decay=1.5), ValueError, "decay must be .* below 1"),
    "weight decay": (lambda: optim.adamw(0.1, weight_decay="a"), TypeError, "weight_decay"),
    "a bound below 0": (lambda: optim.clip(-1.0), ValueError, "max_delta must be at least 0"),
    "a norm below 0": (lambda: optim.clip_by_global_norm(-1), ValueError, "max_norm"),
    "steps": (lambda: optim.cosine_decay_schedule(0.1, "a"), TypeError, "decay_steps"),
    "a rate of decay": (lambda: optim.exponential_decay(0.1, 10, -2.0), ValueError, "decay_rate"),
    "a value": (lambda: optim.linear_schedule("a", 1, 10), TypeError, "init_value"),
    "a boundary": (
        lambda: optim.piecewise_constant_schedule(0.1, {"a": 1}), TypeError, "boundary .*'a'",
    ),
    "no schedule": (
        lambda: optim.join_schedules([0.1, 0.2], [3]), TypeError, "constant_schedule",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes(name):
    make, kind, words = MISTAKES[name]
    with pytest.raises(kind, match=words):
        make()


def test_rates_may_be_traced_or_arrays():
    def loss(rate):
        rule = optim.chain(optim.trace(rate), optim.scale_by_learning_rate(rate))
        updates, _ = rule.update(np.ones(2), rule.init(np.ones(2)), np.ones(2))
        return updates.sum()

    assert fnad.jit(fnad.grad(loss))(0.5) == -2
    assert loss(np.array(0.5)) == -1
