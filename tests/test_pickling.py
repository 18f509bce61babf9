"""What goes through pickle, and so to other processes: layers, optimisers and their states."""

from __future__ import annotations

import copy
import pickle
from multiprocessing import get_context

import numpy as np
import pytest

import fnad
import fnad.numpy as fnp
from fnad import nn, optim, random
from fnad.core.interpret import eval_jaxpr
from fnad.extend import picklable

X = np.linspace(-1, 1, 18, dtype=np.float32).reshape(1, 3, 3, 2)

MODELS = {
    "dense": nn.Dense(2, 3),
    "an initialiser of one's own choice": nn.Dense(
        2, 3, kernel_init=nn.initializers.variance_scaling(2.0, "fan_out", "uniform")
    ),
    "several": nn.Sequential(
        nn.Conv(2, 4, (3, 3), kernel_init=nn.initializers.orthogonal()),
        nn.LayerNorm(4),
        nn.Activation(nn.relu),
        nn.MaxPool((2, 2)),
    ),
}
RATES = optim.warmup_cosine_decay_schedule(0.0, 0.1, 2, 10)
OPTIMIZERS = {
    "sgd": optim.sgd(0.1, momentum=0.9),
    "adam": optim.adam(1e-3),
    "adamw": optim.adamw(RATES, weight_decay=0.1),
    "rmsprop": optim.rmsprop(0.1),
    "adagrad": optim.adagrad(0.1),
    "chain": optim.chain(optim.clip_by_global_norm(1.0), optim.clip(0.5), optim.scale(-0.1)),
    "masked": optim.masked(optim.scale(0.5), {"w": True, "b": False}),
}


def through_pickle(value):
    return pickle.loads(pickle.dumps(value))


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("copied", [through_pickle, copy.deepcopy, copy.copy])
def test_layers(name, copied):
    model = MODELS[name]
    again = copied(model)
    params, others = (layer.init(random.key(0)) for layer in (model, again))
    for a, b in zip(fnad.tree.leaves(params), fnad.tree.leaves(copied(others)), strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(model.apply(params, X), again.apply(others, X))


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizers_and_their_states(name):
    optimizer = OPTIMIZERS[name]
    params = {"w": np.arange(3.0), "b": np.ones(2)}
    grads = {"w": np.array([1.0, -2.0, 0.5]), "b": np.array([3.0, -1.0])}
    _, state = optimizer.update(grads, optimizer.init(params), params)
    again, kept = through_pickle((optimizer, state))
    one, other = (o.update(grads, s, params) for o, s in ((optimizer, state), (again, kept)))
    assert fnad.tree.structure(one) == fnad.tree.structure(other)
    for a, b in zip(fnad.tree.leaves(one), fnad.tree.leaves(other), strict=True):
        np.testing.assert_array_equal(a, b)


def test_schedules():
    again = through_pickle(RATES)
    assert [again(i) for i in range(12)] == [RATES(i) for i in range(12)]


def applied(model, params):
    return np.asarray(model.apply(params, X))


def test_another_process():
    model = MODELS["dense"]
    params = model.init(random.key(1))
    with get_context("spawn").Pool(1) as pool:
        found = pool.apply(applied, (model, params))
    np.testing.assert_array_equal(found, applied(model, params))


def test_what_cannot_be_pickled_says_why():
    with pytest.raises(TypeError, match="holds primitives"):
        pickle.dumps(fnad.make_jaxpr(lambda x: fnp.sin(x) * 2)(1.0))
    with pytest.raises(TypeError, match="machine code"):
        pickle.dumps(fnad.jit(lambda x: x * 2).lower(1.0).compile())
    with pytest.raises(TypeError, match="machine code"):
        pickle.dumps(fnad.jit(lambda x: x * 2).lower(1.0))


def test_copies_of_programs_run():
    program = copy.deepcopy(fnad.make_jaxpr(lambda x: fnp.sin(x) * 2)(1.0))
    np.testing.assert_allclose(eval_jaxpr(program.jaxpr, [*program.consts, 1.0]), [2 * np.sin(1.0)])


@picklable
def power(n, *, offset=0):
    """A function of a power."""
    return lambda x: x**n + offset


def test_functions_of_factories_of_ones_own():
    again = through_pickle(power(3, offset=1))
    assert again(2) == 9
    assert repr(again) == "power(3, offset=1)"
    assert copy.deepcopy(again) is again
