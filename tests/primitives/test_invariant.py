"""What leaves loops because every turn would find it the same."""

import numpy as np
import pytest

import fnad
import fnad.lax as lax
import fnad.numpy as fnp
from fnad.core.ir import sub_jaxprs
from fnad.core.tracer import trace_to_jaxpr
from fnad.core.types import aval_of
from fnad.lowering.simplify import simplify


def simplified(function, *args):
    def flat(*xs):
        out = function(*xs)
        return list(out) if isinstance(out, (tuple, list)) else [out]

    return simplify(trace_to_jaxpr(flat, [aval_of(a) for a in args], "a test")[0])


def names(jaxpr):
    return [eqn.primitive.name for eqn in jaxpr.eqns]


def loop_of(jaxpr, name="while"):
    [loop] = [eqn for eqn in jaxpr.eqns if eqn.primitive.name == name]
    return loop


X, C = np.random.default_rng(0).normal(size=(2, 50))


def damped(x, c, n):
    """x times 0.9 plus the sine of c, n times, unless the sum exceeds that of exp(c)."""

    def body(carry):
        k, x = carry
        return k + 1, x * 0.9 + fnp.sin(c)

    limit = lambda carry: (carry[0] < n) & (fnp.sum(carry[1]) < fnp.sum(fnp.exp(c)))
    return lax.while_loop(limit, body, (0, x))


def test_body_and_condition_lose_what_depends_on_constants_only():
    jaxpr = simplified(damped, X, C, 5)
    loop = loop_of(jaxpr)
    assert "sin" in names(jaxpr) and "sin" not in names(loop.params["body_jaxpr"])
    assert "exp" in names(jaxpr) and "exp" not in names(loop.params["cond_jaxpr"])
    assert names(loop.params["cond_jaxpr"]).count("reduce_sum") == 1


@pytest.mark.parametrize("turns", [0, 1, 2, 7])
def test_results_are_those_of_the_loop_as_written(turns):
    k, got = fnad.jit(damped)(X, C, turns)
    want = X
    for _ in range(turns):
        want = want * 0.9 + np.sin(C)
    assert k == turns
    np.testing.assert_allclose(got, want, rtol=1e-14, atol=1e-15)


def test_scalars_are_not_worth_a_kernel():
    f = lambda a, x: lax.while_loop(lambda x: x < a * 2.0, lambda x: x + fnp.exp(a), x)
    jaxpr = simplified(f, 3.0, 1.0)
    assert names(jaxpr) == ["while"]


def test_carries_that_stay_are_constants():
    def f(a, x, n):
        def body(i, carry):
            a, x = carry
            return a, fnp.tanh((a @ a.T) @ x)

        return lax.fori_loop(0, n, body, (a, x))

    a = np.random.default_rng(1).normal(size=(50, 50)) / 10
    loop = loop_of(simplified(f, a, X, 3))
    assert [v.aval.shape for v in loop.outvars] == [(), (50,)]
    assert names(loop.params["body_jaxpr"]).count("dot_general") == 1
    got_a, got = fnad.jit(f)(a, X, 3)
    want = X
    for _ in range(3):
        want = np.tanh((a @ a.T) @ want)
    np.testing.assert_array_equal(got_a, a)
    np.testing.assert_allclose(got, want, rtol=1e-12)


def test_carries_of_a_scan_that_stay_are_constants():
    def f(a, x):
        step = lambda c, _: ((c[0], c[1] * fnp.exp(c[0])), c[0])
        (a, x), stacked = lax.scan(step, (a, x), length=3)
        return a, x, stacked

    jaxpr = simplified(f, C, X)
    loop = loop_of(jaxpr, "scan")
    assert loop.params["num_carry"] == 1
    assert "exp" in names(jaxpr)
    got_a, got, stacked = fnad.jit(f)(C, X)
    np.testing.assert_array_equal(got_a, C)
    np.testing.assert_array_equal(stacked, [C] * 3)
    np.testing.assert_allclose(got, X * np.exp(C) ** 3, rtol=1e-14)


def test_a_loop_without_an_end_stays_where_it_is_never_reached():
    def f(x, n):
        def body(carry):
            k, x = carry
            return k + 1, x + lax.while_loop(lambda y: y[0] > -1e9, lambda y: y + 1, C)

        return lax.while_loop(lambda c: c[0] < n, body, (0, x))

    loop = loop_of(simplified(f, X, 0))
    assert any(True for eqn in loop.params["body_jaxpr"].eqns for _ in sub_jaxprs(eqn))
    np.testing.assert_array_equal(fnad.jit(f)(X, 0)[1], X)


def test_a_carry_that_stays_a_number_is_that_number():
    def f(x):
        return lax.while_loop(lambda c: c[0] < 10.0, lambda c: (c[0] * c[1], c[1]), (x, 3.0))

    assert fnad.jit(f)(np.float64(2.0)) == (18.0, 3.0)
