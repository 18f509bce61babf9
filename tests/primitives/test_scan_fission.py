"""Work that leaves a scan when it is lowered: which, and that nothing changes but the speed."""

import numpy as np
import pytest

import fnad
import fnad.lax as lax
import fnad.numpy as fnp
from fnad.core.tracer import trace_to_jaxpr
from fnad.core.types import aval_of
from fnad.lowering.simplify import simplify

T, B, D, H = 7, 8, 24, 32


def arrays(*shapes, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.normal(size=s) / 4 for s in shapes]


def simplified(function, *args):
    def flat(*xs):
        out = function(*xs)
        return list(out) if isinstance(out, (tuple, list)) else [out]

    return simplify(trace_to_jaxpr(flat, [aval_of(a) for a in args], "a test")[0])


def names(jaxpr):
    return [eqn.primitive.name for eqn in jaxpr.eqns]


def bodies(jaxpr):
    return [eqn.params["jaxpr"] for eqn in jaxpr.eqns if eqn.primitive.name == "scan"]


def rnn(w, u, b, v, h, xs):
    def step(h, x):
        h = fnp.tanh(x @ w + h @ u + fnp.exp(b))
        return h, h @ v

    return lax.scan(step, h, xs)


def unrolled(w, u, b, v, h, xs):
    ys = []
    for x in xs:
        h = np.tanh(x @ w + h @ u + np.exp(b))
        ys.append(h @ v)
    return h, np.stack(ys)


ARGS = arrays((D, H), (H, H), (H,), (H, 40), (B, H), (T, B, D))


def test_one_product_stays_in_the_loop():
    jaxpr = simplified(rnn, *ARGS)
    [body] = bodies(jaxpr)
    assert names(body).count("dot_general") == 1
    assert names(jaxpr).count("dot_general") == 2
    assert "exp" not in names(body) and "exp" in names(jaxpr)


def test_results_are_those_of_the_unrolled_loop():
    for got, want in zip(fnad.jit(rnn)(*ARGS), unrolled(*ARGS), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("reverse", [False, True])
def test_gradients_of_weights_are_products_behind_the_loop(reverse):
    def loss(*args):
        w, u, b, v, h, xs = args

        def step(h, x):
            h = fnp.tanh(x @ w + h @ u + b)
            return h, fnp.sin(h @ v)

        h, ys = lax.scan(step, h, xs, reverse=reverse)
        return fnp.sum(ys) + fnp.sum(h * h)

    every = tuple(range(len(ARGS)))
    for body in bodies(simplified(fnad.grad(loss, every), *ARGS)):
        assert names(body).count("dot_general") == 1
    got = fnad.jit(fnad.grad(loss, every))(*ARGS)

    def plain(*args):  # the same loop, in which nothing can be moved
        w, u, b, v, h, xs = args
        total = 0.0
        for x in list(xs)[::-1] if reverse else list(xs):
            h = fnp.tanh(x @ w + h @ u + b)
            total = total + fnp.sum(fnp.sin(h @ v))
        return total + fnp.sum(h * h)

    for g, want in zip(got, fnad.grad(plain, every)(*ARGS), strict=True):
        np.testing.assert_allclose(g, want, rtol=1e-10, atol=1e-12)


def test_products_under_vmap():
    xs = np.stack([ARGS[5], ARGS[5] * 2])
    f = fnad.vmap(rnn, in_axes=(None, None, None, None, None, 0))
    for k, (h, ys) in enumerate(zip(*fnad.jit(f)(*ARGS[:5], xs), strict=True)):
        want = unrolled(*ARGS[:5], xs[k])
        np.testing.assert_allclose(h, want[0], rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(ys, want[1], rtol=1e-12, atol=1e-12)


def test_what_reads_the_total_keeps_it_in_the_loop():
    a, b = arrays((T, 20, 30), (T, 20, 40))

    def step(total, x):
        total = total + x[0].T @ x[1]
        return total, fnp.sum(total)

    run = fnad.jit(lambda a, b: lax.scan(step, fnp.zeros((30, 40)), (a, b)))
    totals = np.cumsum(np.einsum("tij,tik->tjk", a, b), axis=0)
    got, sums = run(a, b)
    np.testing.assert_allclose(got, totals[-1], rtol=1e-12)
    np.testing.assert_allclose(sums, totals.sum((1, 2)), rtol=1e-11)


def test_sums_of_several_products():
    a, b, c = arrays((T, 20, 30), (T, 20, 40), (30, 40))

    def step(total, x):
        left, right = x
        return total + left.T @ right + (left * 2).T @ fnp.sin(right), None

    def run(a, b, c):
        return lax.scan(step, c, (a, b))[0]

    assert "add" not in names(bodies(simplified(run, a, b, c))[0])
    want = c + np.einsum("tij,tik->jk", a, b) + np.einsum("tij,tik->jk", 2 * a, np.sin(b))
    np.testing.assert_allclose(fnad.jit(run)(a, b, c), want, rtol=1e-12)


def test_scan_without_a_carry_maps_products():
    w, x = arrays((30, 40), (T, 20, 30))
    run = fnad.jit(lambda w, x: lax.map(lambda row: fnp.tanh(row @ w) + 1, x))
    np.testing.assert_allclose(run(w, x), np.tanh(x @ w) + 1, rtol=1e-12)


def test_a_large_map_is_not_done_at_once():
    rows = np.ones((1000, 200))

    def run(rows):
        return lax.map(lambda row: fnp.sum(row[:, None] @ row[None, :]), rows)

    [body] = bodies(simplified(run, rows))
    assert "dot_general" in names(body)
    np.testing.assert_allclose(fnad.jit(run)(rows), np.full(1000, 200.0 * 200))


def test_an_outer_product_of_constants_is_not_kept():
    a, b = arrays((500,), (500,))

    def step(total, _):
        return total + fnp.sum(a[:, None] * b[None, :] * total), None

    run = fnad.jit(lambda: lax.scan(step, np.float64(1e-3), None, length=3)[0])
    outer, want = np.sum(a[:, None] * b[None, :]), 1e-3
    for _ in range(3):
        want += outer * want
    np.testing.assert_allclose(run(), want, rtol=1e-10)


def test_cheap_residuals_are_computed_again():
    def step(h, x):
        gate = 1 / (1 + fnp.exp(-(x * h)))
        h = gate * fnp.tanh(x) + (1 - gate) * h
        return h, h * h

    def loss(h, xs):
        h, ys = lax.scan(step, h, xs)
        return fnp.sum(ys) + fnp.sum(h)

    h, xs = arrays((B,), (T, B))
    forward, backward = bodies(simplified(fnad.grad(loss, (0, 1)), h, xs))
    assert len(forward.outvars) <= 6 and "exp" not in names(backward)
    got = fnad.jit(fnad.grad(loss, (0, 1)))(h, xs)
    step_size = 1e-6
    for k, g in enumerate(got):
        direction = np.random.default_rng(1).normal(size=g.shape)
        args = [h, xs]
        ends = []
        for sign in (1, -1):
            args[k] = (h, xs)[k] + sign * step_size * direction
            ends.append(loss(*args))
        np.testing.assert_allclose(
            np.sum(g * direction), (ends[0] - ends[1]) / (2 * step_size), rtol=1e-6
        )
