"""Cotangents that are scattered onto others, in place of zeros."""

import numpy as np

import fnad.numpy as fnp
from fnad import grad, lax, make_jaxpr
from fnad.primitives.accumulation import accumulate_in_place

X = np.arange(6.0)
PLACES = np.array([4, 1, 4])


def _names(f, *args):
    jaxpr = make_jaxpr(f)(*args).jaxpr
    return [eqn.primitive.name for eqn in accumulate_in_place(jaxpr).eqns]


def _zeros():
    return fnp.zeros(6)


def test_a_scatter_into_zeros_is_added_in_place():
    f = lambda a, v: a + _zeros().at[PLACES].add(v)
    names = _names(f, X, np.ones(3))
    assert "scatter" in names and "add" not in names and "broadcast_in_dim" not in names


def test_slices_are_added_to_what_is_there():
    f = lambda a, v, i: lax.dynamic_update_slice(_zeros(), v, (i,)) + a
    names = _names(f, X, np.ones(2), 1)
    assert names[-3:] == ["dynamic_slice", "add", "dynamic_update_slice"]


def test_sums_of_several_wait_for_the_array():
    def f(a, v, w, i):
        first = _zeros().at[PLACES].add(v)
        return a + (first + lax.dynamic_update_slice(_zeros(), w, (i,)))

    names = _names(f, X, np.ones(3), np.ones(2), 1)
    assert [n for n in names if n in ("scatter", "dynamic_slice", "dynamic_update_slice")] == [
        "scatter",
        "dynamic_slice",
        "dynamic_update_slice",
    ]
    assert "broadcast_in_dim" not in names


def test_it_sees_through_what_it_has_written():
    def f(a, v, w, i):
        first = _zeros().at[PLACES].add(v).at[PLACES + 1].add(v)
        window = lax.dynamic_slice(first, (i,), (2,))
        return a + lax.dynamic_update_slice(first, window + w, (i,))

    names = _names(f, X, np.ones(3), np.ones(2), np.uint8(1))
    assert names[-5:] == ["scatter", "scatter", "dynamic_slice", "add", "dynamic_update_slice"]
    assert "broadcast_in_dim" not in names


def test_what_others_read_stays():
    def f(a, v):
        placed = _zeros().at[PLACES].add(v)
        return a + placed, placed

    assert "add" in _names(f, X, np.ones(3))


def test_only_zeros_are_left_out():
    f = lambda a, v: a + fnp.ones(6).at[PLACES].add(v)
    assert "add" in _names(f, X, np.ones(3))


def test_values():
    def f(x, i):
        window = lax.dynamic_slice(x, (i,), (2,))
        return fnp.sum(x[PLACES] * x[PLACES + 1]) + fnp.sum(x * x) + window[0] * window[1]

    got = grad(f)(X, 4)
    want = 2 * X
    for p in PLACES:
        want[p] += X[p + 1]
        want[p + 1] += X[p]
    want[4] += X[5]
    want[5] += X[4]
    np.testing.assert_allclose(got, want)
