"""Branches and loops of batches whose lanes go different ways."""

import numpy as np
import pytest

import fnad.numpy as fnp
from fnad import grad, hessian, jit, jvp, lax, make_jaxpr, vmap
from fnad.core.ir import sub_jaxprs
from fnad.testing import check_grads

RNG = np.random.default_rng(0)
SOME, NOBODY, ALL = [True, False, True], [False] * 3, [True] * 3


def _primitives(jaxpr):
    for eqn in jaxpr.eqns:
        yield eqn.primitive.name
        for inner in sub_jaxprs(eqn):
            yield from _primitives(inner)


def _names(f, *args):
    return set(_primitives(make_jaxpr(f)(*args).jaxpr))


def _lines(f, *args):
    return str(make_jaxpr(f)(*map(np.asarray, args))).splitlines()


def _halvings(x):
    """How often a power of two can be halved; endless for what is none."""
    return lax.while_loop(lambda s: s[0] != 1.0, lambda s: (s[0] / 2, s[1] + 1), (x, 0))[1]


def _solved(matrix, x):
    return fnp.linalg.solve(matrix, fnp.sqrt(x))


def _same_as_loop(f, *args):
    lanes = [f(*lane) for lane in zip(*args)]
    for run in (vmap(f), jit(vmap(f))):
        for got, want in zip(run(*args), zip(*lanes)):
            np.testing.assert_allclose(got, np.stack(want), rtol=1e-12)


@pytest.mark.parametrize("takes", [SOME, NOBODY, ALL])
@pytest.mark.parametrize("wrap", [lambda f: f, jit])
def test_a_loop_of_a_branch_does_not_run_for_lanes_that_do_not_take_it(takes, wrap):
    f = wrap(vmap(lambda p, x: lax.cond(p, _halvings, lambda x: -1, x)))
    x = np.where(takes, [8.0, 1.0, 32.0], 3.0)
    np.testing.assert_array_equal(f(np.array(takes), x), np.where(takes, [3, 0, 5], -1))


def test_nested_batches():
    f = vmap(vmap(lambda p, x: lax.cond(p, _halvings, lambda x: -1, x)))
    takes = np.array([[True, False], [False, False], [False, True]])
    x = np.where(takes, 4.0, 3.0)
    for run in (f, jit(f)):
        np.testing.assert_array_equal(run(takes, x), np.where(takes, 2, -1))


@pytest.mark.parametrize("wrap", [lambda f: f, jit])
def test_an_inner_loop_may_end_only_while_the_outer_one_goes_on(wrap):
    def doubled(x, limit):
        def body(x):  # counts up to 2 x: forever, if x is negative
            return lax.while_loop(lambda s: s[0] != 2 * s[1], lambda s: (s[0] + 1, s[1]), (x, x))[0]

        return lax.while_loop(lambda x: x < limit, body, x)

    out = wrap(vmap(doubled))(np.array([1, 2, -5]), np.array([10, 50, -5]))
    np.testing.assert_array_equal(out, [16, 64, -5])


def test_switch_of_loops_and_light_branches():
    branches = [_halvings, lambda x: 7, lambda x: _halvings(x) * 10, lambda x: 8]
    f = lambda k, x: lax.switch(k, branches, x)
    x = np.array([4.0, 3.0, 8.0, 5.0, 16.0])
    for run in (vmap(f), jit(vmap(f))):
        np.testing.assert_array_equal(run(np.array([0, 1, 2, 9, -3]), x), [2, 7, 30, 8, 4])


def test_a_scalar_predicate_stays_a_branch():
    f = vmap(lambda p, x: lax.cond(p, fnp.sin, lambda x: -x, x), in_axes=(None, 0))
    names = _names(f, True, np.ones(3))
    assert "cond" in names and "select" not in names


def test_light_branches_are_computed_for_all_lanes():
    f = vmap(lambda p, x: lax.cond(p, lambda x: fnp.sin(x) * x, lambda x: -x, x))
    names = _names(f, np.array(SOME), np.ones((3, 4)))
    assert "select" in names and "cond" not in names


def test_heavy_branches_are_branches():
    f = vmap(lambda p, x: lax.cond(p, fnp.sort, lambda x: -x, x))
    assert "cond" in _names(f, np.array(SOME), np.ones((3, 4)))
    x = RNG.normal(size=(3, 4))
    np.testing.assert_array_equal(f(np.array(SOME), x), [np.sort(x[0]), -x[1], np.sort(x[2])])


def test_operands_that_all_lanes_share_are_used_once():
    matrix = RNG.normal(size=(4, 4)) + 4 * np.eye(4)
    f = lambda p, x: (lax.cond(p, lambda x: fnp.linalg.inv(matrix) @ x, lambda x: -x, x),)
    x = RNG.normal(size=(3, 4))
    _same_as_loop(f, np.array(SOME), x)
    assert any("= lu " in line and "f64[4,4]" in line for line in _lines(vmap(f), SOME, x))


def test_weights_that_all_lanes_share_are_not_repeated_for_derivatives():
    f = lambda p, x, w: lax.cond(p, lambda x: fnp.sort(w @ x), lambda x: -x, x)
    total = lambda x, w: fnp.sum(vmap(f, in_axes=(0, 0, None))(np.array(SOME), x, w))
    lines = _lines(grad(total, (0, 1)), RNG.normal(size=(3, 4)), np.eye(4))
    assert not any("f64[3,4,4]" in line for line in lines)


def test_several_results_and_no_lanes():
    def f(k, x):
        branches = [
            lambda x: (fnp.sort(x), fnp.sum(x), 1),
            lambda x: (fnp.cumsum(x), x[0], 2),
            lambda x: (x, 0.0, 3),
        ]
        return lax.switch(k, branches, x)

    _same_as_loop(f, np.array([0, 2, 1, 1]), RNG.normal(size=(4, 5)))
    empty = vmap(f)(np.zeros(0, int), np.zeros((0, 5)))
    assert [e.shape for e in empty] == [(0, 5), (0,), (0,)]
    one = vmap(f)(np.array([1]), np.ones((1, 5)))
    np.testing.assert_array_equal(one[0], [[1, 2, 3, 4, 5]])


def _chosen(p, x, matrix):
    return lax.cond(p > 0, lambda x: fnp.sum(_solved(matrix, x) * fnp.log(x)), fnp.sum, x)


@pytest.mark.parametrize("signs", [[1.0, -1.0, 1.0], [-1.0] * 3, [1.0] * 3])
def test_gradients(signs):
    matrix = RNG.normal(size=(4, 4)) + 4 * np.eye(4)
    signs = np.array(signs)
    x = RNG.uniform(0.5, 2.0, size=(3, 4))
    x[signs < 0] = 0.0  # where the other branch is singular

    def total(x, matrix):
        return fnp.sum(vmap(_chosen, in_axes=(0, 0, None))(signs, x, matrix))

    lanes = [grad(_chosen, (1, 2))(s, row, matrix) for s, row in zip(signs, x)]
    want = np.stack([g for g, _ in lanes]), np.sum([g for _, g in lanes], axis=0)
    of_lanes = vmap(grad(_chosen, (1, 2)), in_axes=(0, 0, None))
    for run in (grad(total, (0, 1)), jit(grad(total, (0, 1)))):
        for got, expected in zip(run(x, matrix), want):
            np.testing.assert_allclose(got, expected, rtol=1e-9)
    for run in (of_lanes, jit(of_lanes)):
        np.testing.assert_allclose(run(signs, x, matrix)[0], want[0], rtol=1e-9)
        np.testing.assert_allclose(np.sum(run(signs, x, matrix)[1], axis=0), want[1], rtol=1e-9)


def test_derivatives_of_higher_order():
    matrix = RNG.normal(size=(2, 2)) + 4 * np.eye(2)
    signs = np.array([1.0, -1.0, 1.0])
    f = lambda x: fnp.sum(vmap(_chosen, in_axes=(0, 0, None))(signs, x, matrix))
    x = RNG.uniform(0.5, 2.0, size=(3, 2))
    check_grads(f, (x,), order=2)
    x[1] = 0.0
    second = hessian(f)(x)
    assert np.all(np.isfinite(second)) and not np.any(second[1])
    _, tangent = jvp(jit(f), (x,), (np.ones_like(x),))
    assert np.isfinite(tangent)


def test_collectives_see_the_lanes_that_take_other_branches():
    f = lambda p, x: lax.cond(p, lambda x: lax.psum(fnp.sort(x), "i"), lambda x: x, x)
    out = vmap(f, axis_name="i")(np.array(SOME), np.ones((3, 2)))
    np.testing.assert_array_equal(out, [[3, 3], [1, 1], [3, 3]])
