"""Optimisers against their formulas, written as loops over NumPy arrays."""

import numpy as np
import pytest

import fnad
from fnad import optim, tree

STEPS = 5


def start(dtype=np.float64):
    rng = np.random.default_rng(0)
    return {
        "w": rng.standard_normal((3, 2)).astype(dtype),
        "b": [rng.standard_normal(2).astype(dtype), None],
    }


def gradients(params, i):
    return tree.map(lambda p: (2 * p + np.cos(i + p)).astype(p.dtype), params)


def run(optimizer, params, jit=False):
    update = fnad.jit(optimizer.update) if jit else optimizer.update
    state = optimizer.init(params)
    for i in range(STEPS):
        updates, state = update(gradients(params, i), state, params)
        params = optim.apply_updates(params, updates)
    return params


def sgd(p, lr=0.1):
    for i in range(STEPS):
        p = p - lr * gradients(p, i)
    return p


def momentum(p, lr=0.1, decay=0.9, nesterov=False):
    t = np.zeros_like(p)
    for i in range(STEPS):
        g = gradients(p, i)
        t = g + decay * t
        p = p - lr * (g + decay * t if nesterov else t)
    return p


def adam(p, lr=0.1, b1=0.9, b2=0.999, eps=1e-8, decay=0.0):
    m, v = np.zeros_like(p), np.zeros_like(p)
    for i in range(STEPS):
        g = gradients(p, i)
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * g**2
        m_hat, v_hat = m / (1 - b1 ** (i + 1)), v / (1 - b2 ** (i + 1))
        p = p - lr * (m_hat / (np.sqrt(v_hat) + eps) + decay * p)
    return p


def rmsprop(p, lr=0.1, decay=0.9, eps=1e-8, inside=True, centered=False, heavy=0.0):
    m, v, t = np.zeros_like(p), np.zeros_like(p), np.zeros_like(p)
    for i in range(STEPS):
        g = gradients(p, i)
        m = decay * m + (1 - decay) * g
        v = decay * v + (1 - decay) * g**2
        square = v - m**2 if centered else v
        root = np.sqrt(square + eps) if inside else np.sqrt(square) + eps
        t = -lr * g / root + heavy * t
        p = p + t
    return p


def adagrad(p, lr=0.1, total=0.1, eps=1e-7):
    for i in range(STEPS):
        g = gradients(p, i)
        total = total + g**2
        p = p - lr * g / np.sqrt(total + eps)
    return p


CASES = {
    "sgd": (optim.sgd(0.1), sgd),
    "momentum": (optim.sgd(0.1, momentum=0.9), momentum),
    "nesterov": (optim.sgd(0.1, 0.9, True), lambda p: momentum(p, nesterov=True)),
    "adam": (optim.adam(0.1), adam),
    "adam_settings": (optim.adam(0.1, 0.8, 0.9, 1e-3), lambda p: adam(p, 0.1, 0.8, 0.9, 1e-3)),
    "adamw": (optim.adamw(0.1, weight_decay=0.3), lambda p: adam(p, decay=0.3)),
    "rmsprop": (optim.rmsprop(0.1), rmsprop),
    "rmsprop_outside": (
        optim.rmsprop(0.1, eps=1e-2, eps_in_sqrt=False),
        lambda p: rmsprop(p, eps=1e-2, inside=False),
    ),
    "rmsprop_centered": (
        optim.rmsprop(0.1, eps=1e-2, centered=True, momentum=0.9),
        lambda p: rmsprop(p, eps=1e-2, centered=True, heavy=0.9),
    ),
    "adagrad": (optim.adagrad(0.1), adagrad),
}


@pytest.mark.parametrize("jit", [False, True], ids=["eager", "jit"])
@pytest.mark.parametrize("name", CASES)
def test_optimizer_is_its_formula(name, jit):
    optimizer, formula = CASES[name]
    found = run(optimizer, start(), jit)
    tree.map(lambda f, p: np.testing.assert_allclose(f, formula(p), rtol=1e-10), found, start())


@pytest.mark.parametrize("jit", [False, True], ids=["eager", "jit"])
@pytest.mark.parametrize("name", CASES)
def test_dtype_is_kept(name, jit):
    optimizer, formula = CASES[name]
    params = start(np.float32)
    update = fnad.jit(optimizer.update) if jit else optimizer.update
    state = optimizer.init(params)
    updates, new = update(gradients(params, 0), state, params)
    assert {leaf.dtype.name for leaf in tree.leaves(updates)} == {"float32"}
    dtypes = tree.map(lambda leaf: np.dtype(leaf.dtype).name, state)
    assert tree.map(lambda leaf: np.dtype(leaf.dtype).name, new) == dtypes
    found = run(optimizer, params, jit)
    tree.map(lambda f, p: np.testing.assert_allclose(f, formula(p), rtol=1e-4), found, params)


OPTAX = {
    "sgd": ("sgd", (0.1, 0.9, True), {}),
    "adam": ("adam", (0.1,), {}),
    "nadam": ("adam", (0.1,), {"nesterov": True}),
    "adamw": ("adamw", (0.1,), {"weight_decay": 0.1, "mask": {"w": True, "b": False}}),
    "rmsprop": ("rmsprop", (0.1, 0.8, 1e-3), {"momentum": 0.5, "centered": True}),
    "adagrad": ("adagrad", (0.1,), {}),
}


# Optax takes 1 - b2**count in float32, which has a relative error of 6e-5 in the first step.
@pytest.mark.parametrize("name", OPTAX)
def test_optax_agrees(name):
    optax = pytest.importorskip("optax")
    function, args, kwargs = OPTAX[name]
    theirs = getattr(optax, function)(*args, **kwargs)
    params = start(np.float32)
    expected, state = params, theirs.init(params)
    for i in range(STEPS):
        updates, state = theirs.update(gradients(expected, i), state, expected)
        expected = tree.map(np.asarray, optax.apply_updates(expected, updates))
    found = run(getattr(optim, function)(*args, **kwargs), params)
    tree.map(lambda f, e: np.testing.assert_allclose(f, e, rtol=2e-4, atol=1e-5), found, expected)


def test_schedule_as_learning_rate():
    schedule = optim.piecewise_constant_schedule(0.1, {2: 0.5})
    params = np.array([1.0, 2.0])
    expected = params
    for i in range(STEPS):
        expected = expected - (0.1 if i < 2 else 0.05) * gradients(expected, i)
    for jit in (False, True):
        np.testing.assert_allclose(run(optim.sgd(schedule), params, jit), expected, rtol=1e-12)


def test_clip():
    updates, _ = optim.clip(1.0).update({"a": np.array([-3.0, 0.5])}, optim.EmptyState())
    np.testing.assert_array_equal(updates["a"], [-1.0, 0.5])


def test_clip_by_global_norm():
    grads = {"a": np.array([3.0]), "b": np.array([4.0])}
    assert optim.global_norm(grads) == 5
    small, _ = optim.clip_by_global_norm(1.0).update(grads, optim.EmptyState())
    np.testing.assert_allclose(small["a"], 0.6)
    np.testing.assert_allclose(small["b"], 0.8)
    same, _ = optim.clip_by_global_norm(6.0).update(grads, optim.EmptyState())
    assert same == grads
    zeros, _ = optim.clip_by_global_norm(1.0).update({"a": np.zeros(2)}, optim.EmptyState())
    np.testing.assert_array_equal(zeros["a"], 0)


def test_chain_and_masked():
    params = {"w": np.ones(2), "b": np.ones(1)}
    rule = optim.chain(
        optim.masked(optim.scale(10.0), {"w": True, "b": False}), optim.add_decayed_weights(0.5)
    )
    updates, state = rule.update(params, rule.init(params), params)
    np.testing.assert_array_equal(updates["w"], 10.5)
    np.testing.assert_array_equal(updates["b"], 1.5)
    assert isinstance(state[0], optim.MaskedState)


def test_masked_keeps_state_of_chosen_leaves_only():
    params = {"w": np.ones(2), "b": np.ones(1)}
    rule = optim.masked(optim.trace(0.9), lambda p: tree.map(lambda x: x.size > 1, p))
    assert len(tree.leaves(rule.init(params))) == 1


def test_weight_decay_needs_params():
    rule = optim.add_decayed_weights(0.1)
    with pytest.raises(ValueError, match="add_decayed_weights depends on the parameters"):
        rule.update(np.ones(1), rule.init(np.ones(1)))


def test_state_of_another_chain():
    with pytest.raises(ValueError, match="this chain has 2 transformations"):
        optim.sgd(0.1).update(np.ones(1), (), None)
    with pytest.raises(ValueError, match=r"given to update is None; make it with init"):
        optim.sgd(0.1).update(np.ones(1), None)


@pytest.mark.parametrize("entry", [[optim.sgd(0.1)], None, 0.1])
def test_entries_of_a_chain_that_are_no_transformations(entry):
    with pytest.raises(TypeError, match=r"chain: entry 1 is no transformation.*one by one"):
        optim.chain(optim.clip(1.0), entry)
