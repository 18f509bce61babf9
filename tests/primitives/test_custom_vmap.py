"""``custom_vmap``: the user's rule is what runs, through every other transform; and its errors."""

import numpy as np
import pytest

import fnad
from fnad import lax
from fnad.custom_batching import custom_vmap, sequential_vmap
from fnad.testing import check_grads
from tests.samples.values import normal


def marked(calls):
    """A function whose rule notes how it is called, and gives twice its second result."""

    @custom_vmap
    def f(x, y):
        return {"a": np.sin(x) * y, "b": x * x}

    @f.def_vmap
    def _(axis_size, in_batched, x, y):
        calls.append((axis_size, tuple(in_batched), np.shape(x), np.shape(y)))
        if not in_batched[0]:
            x = np.broadcast_to(x, (axis_size, *x.shape))
        return {"a": (np.sin(x).T * y.T).T, "b": 2 * x * x}, True

    return f


X = np.linspace(0.1, 1.3, 4)


def test_the_rule_is_what_runs():
    calls = []
    f = marked(calls)
    np.testing.assert_allclose(f(0.5, 3.0)["b"], 0.25)
    assert not calls
    out = fnad.vmap(f, in_axes=(0, None))(X, np.float64(3.0))
    np.testing.assert_allclose(out["a"], 3 * np.sin(X))
    np.testing.assert_allclose(out["b"], 2 * X * X)
    assert calls == [(4, (True, False), (4,), ())]
    compiled = fnad.jit(fnad.vmap(f))(X, X)
    np.testing.assert_allclose(compiled["b"], 2 * X * X)
    inside = fnad.jit(lambda x: fnad.vmap(fnad.jit(f))(x, x))(X)
    np.testing.assert_allclose(inside["b"], 2 * X * X)


def test_derivatives_of_mapped_and_mapped_derivatives_go_through_the_rule():
    f = marked([])
    total = lambda x, y: f(x, y)["a"] + f(x, y)["b"]
    slope = 3 * np.cos(X) + 4 * X
    np.testing.assert_allclose(fnad.vmap(fnad.grad(total), (0, None))(X, 3.0), slope)
    whole = lambda x: fnad.vmap(total, (0, None))(x, 3.0).sum()
    np.testing.assert_allclose(fnad.grad(whole)(X), slope)
    np.testing.assert_allclose(fnad.jit(fnad.grad(whole))(X), slope)
    np.testing.assert_allclose(np.diag(fnad.hessian(whole)(X)), -3 * np.sin(X) + 4)
    second = fnad.vmap(fnad.grad(fnad.grad(total)), (0, None))(X, 3.0)
    np.testing.assert_allclose(second, -3 * np.sin(X) + 4)
    _, dots = fnad.vmap(lambda x, t: fnad.jvp(lambda x: total(x, 3.0), (x,), (t,)))(X, X)
    np.testing.assert_allclose(dots, slope * X)
    # Only the tangent, only the cotangent, has the axis.
    _, dots = fnad.vmap(lambda t: fnad.jvp(lambda x: total(x, 3.0), (0.4,), (t,)))(X)
    np.testing.assert_allclose(dots, (3 * np.cos(0.4) + 1.6) * X)
    pull = fnad.vjp(lambda x: total(x, 3.0), 0.4)[1]
    np.testing.assert_allclose(fnad.vmap(pull)(X)[0], (3 * np.cos(0.4) + 1.6) * X)
    # Of one point, the function itself.
    np.testing.assert_allclose(fnad.grad(total)(0.4, 3.0), 3 * np.cos(0.4) + 0.8)


def test_maps_of_maps_and_of_bodies():
    f = marked([])
    out = fnad.vmap(fnad.vmap(f, (0, None)), (None, 0))(X, X[:3])
    np.testing.assert_allclose(out["a"], np.sin(X) * X[:3, None])
    np.testing.assert_allclose(out["b"], np.broadcast_to(2 * X * X, (3, 4)))

    def looped(x):
        return lax.scan(lambda c, _: (f(c, 1.0)["b"], c), x, None, length=2)[0]

    np.testing.assert_allclose(fnad.vmap(looped)(X), 2 * (2 * X * X) ** 2)
    np.testing.assert_allclose(looped(0.5), 0.5**4)
    branch = lambda x: lax.cond(x > 0.6, lambda x: f(x, 1.0)["b"], lambda x: -x, x)
    np.testing.assert_allclose(fnad.vmap(branch)(X), np.where(X > 0.6, 2 * X * X, -X))


def test_jax_agrees():
    jax = pytest.importorskip("jax")
    from jax.custom_batching import custom_vmap as jax_custom_vmap

    def made(decorate):
        @decorate
        def f(x, n):
            return x**2, n + 1

        @f.def_vmap
        def _(axis_size, in_batched, x, n):
            return (3 * x**2, n + axis_size), tuple(in_batched)

        return f

    ours, theirs = made(custom_vmap), made(jax_custom_vmap)
    x, n = X.astype(np.float32), np.int32(5)
    for axis in (None, 0):
        args = x, n if axis is None else np.arange(4, dtype=np.int32)
        mine, yours = fnad.vmap(ours, (0, axis)), jax.vmap(theirs, (0, axis))
        for got, want in zip(mine(*args), yours(*args), strict=True):
            np.testing.assert_allclose(got, want, rtol=1e-6)
        _, (dots, _) = fnad.jvp(mine, args, (x, float0_like(args[1])))
        _, (want, _) = jax.jvp(yours, args, (x, float0_like(args[1])))
        np.testing.assert_allclose(dots, want, rtol=1e-6)


def float0_like(x):
    return np.zeros(np.shape(x), fnad.float0)


def test_unmapped_results_and_prefixes():
    @custom_vmap
    def f(x):
        return x, (x * 0 + 7.0, np.float64(1.0))

    @f.def_vmap
    def _(axis_size, in_batched, x):
        return (x, (np.float64(7.0), np.float64(1.0))), (True, False)

    x, (seven, one) = fnad.vmap(f)(X)
    np.testing.assert_array_equal(x, X)
    np.testing.assert_array_equal(seven, np.full(4, 7.0))
    np.testing.assert_array_equal(one, np.ones(4))


def test_sequential_vmap():
    @sequential_vmap
    def f(x, tree):
        return np.exp(-((x[:, None] - x) ** 2)).sum() * tree["s"]

    x = normal(3, 5)
    want = [np.exp(-((row[:, None] - row) ** 2)).sum() * 2 for row in x]
    mapped = fnad.vmap(f, (0, None))
    np.testing.assert_allclose(mapped(x, {"s": 2.0}), want)
    np.testing.assert_allclose(fnad.jit(mapped)(x, {"s": 2.0}), want)
    assert "scan" in str(fnad.make_jaxpr(mapped)(x, {"s": 2.0}))
    check_grads(lambda x: fnad.vmap(f, (0, None))(x, {"s": 2.0}), (x,), order=2)
    gradients = fnad.vmap(fnad.grad(f), (0, None))(x, {"s": 2.0})
    np.testing.assert_allclose(
        gradients, [fnad.grad(f)(row, {"s": 2.0}) for row in x], rtol=1e-10, atol=1e-12
    )


def ruled(rule):
    @custom_vmap
    def f(x):
        return np.sin(x)

    if rule is not None:
        f.def_vmap(rule)
    return f


def test_errors():
    with pytest.raises(AttributeError, match="give it one with def_vmap"):
        ruled(None)(1.0)
    with pytest.raises(TypeError, match="takes a function"):
        ruled(3)
    with pytest.raises(TypeError, match="must return a pair"):
        fnad.vmap(ruled(lambda n, b, x: np.sin(x)))(X)
    with pytest.raises(TypeError, match="returned an output of structure"):
        fnad.vmap(ruled(lambda n, b, x: ([np.sin(x)], True)))(X)
    with pytest.raises(TypeError, match="no prefix of its output"):
        fnad.vmap(ruled(lambda n, b, x: (np.sin(x), (True, True))))(X)
    with pytest.raises(TypeError, match="with the mapped axis of 4"):
        fnad.vmap(ruled(lambda n, b, x: (np.sin(x[:2]), True)))(X)
    with pytest.raises(TypeError, match="without the mapped axis"):
        fnad.vmap(ruled(lambda n, b, x: (np.sin(x), False)))(X)

    def closing(x, y):
        @custom_vmap
        def f(x):
            return x * y

        f.def_vmap(lambda n, b, x: (x, True))
        return f(x)

    np.testing.assert_allclose(fnad.vmap(closing, (0, None))(X, 2.0), X)
    with pytest.raises(TypeError, match="closes over a value"):
        fnad.vmap(closing)(X, X)

    def rule_closes(x, y):
        return ruled(lambda n, b, x: (x * y, True))(x)

    with pytest.raises(fnad.errors.RuleError, match="make it an argument"):
        fnad.vmap(lambda x: fnad.grad(lambda y: rule_closes(x, y))(1.0))(X)
