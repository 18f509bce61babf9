"""Exchanges between lanes of named axes, against jax.lax under vmap."""

import numpy as np
import pytest

import fnad
from fnad import lax
from fnad.testing import check_grads

jax = pytest.importorskip("jax")
jax.config.update("jax_enable_x64", True)

X = np.random.default_rng(0).normal(size=(4, 4, 8))

EXCHANGES = {
    "all_gather": lambda lax, x: lax.all_gather(x, "i"),
    "all_gather last": lambda lax, x: lax.all_gather(x, "i", axis=-1),
    "all_gather tiled": lambda lax, x: lax.all_gather(x, "i", axis=1, tiled=True),
    "ppermute": lambda lax, x: lax.ppermute(x, "i", [(0, 1), (1, 2), (3, 0), (2, 3)]),
    "pshuffle": lambda lax, x: lax.pshuffle(x, "i", [2, 3, 1, 0]),
    "all_to_all": lambda lax, x: lax.all_to_all(x, "i", 0, 1),
    "all_to_all tiled": lambda lax, x: lax.all_to_all(x, "i", 1, 0, tiled=True),
    "pswapaxes": lambda lax, x: lax.pswapaxes(x, "i", 0),
    "psum_scatter": lambda lax, x: lax.psum_scatter(x, "i"),
    "psum_scatter tiled": lambda lax, x: lax.psum_scatter(x, "i", scatter_dimension=1, tiled=True),
    "axis_size": lambda lax, x: x * lax.axis_size("i"),
}


@pytest.mark.parametrize("name", EXCHANGES)
def test_exchange_is_that_of_jax(name):
    theirs = jax.vmap(lambda x: EXCHANGES[name](jax.lax, x), axis_name="i")(X)
    ours = fnad.vmap(lambda x: EXCHANGES[name](lax, x), axis_name="i")
    for got in (ours(X), fnad.jit(ours)(X)):
        np.testing.assert_allclose(got, theirs, rtol=1e-14, atol=1e-15)
    check_grads(lambda x: ours(x[:, :, :4]), (X,), order=1)


@pytest.mark.parametrize("name", EXCHANGES)
def test_exchange_under_another_vmap(name):
    one = fnad.vmap(lambda x: EXCHANGES[name](lax, x), axis_name="i")
    many = np.stack([X, 2 * X, -X])
    wanted = np.stack([one(x) for x in many])
    np.testing.assert_allclose(fnad.vmap(one)(many), wanted, rtol=1e-14)
    inside = fnad.vmap(
        fnad.vmap(lambda x: EXCHANGES[name](lax, x)), in_axes=1, out_axes=1, axis_name="i"
    )
    np.testing.assert_allclose(inside(many), wanted, rtol=1e-14)


def test_lanes_that_are_sent_nothing_have_zeros():
    send = fnad.vmap(lambda x: lax.ppermute(x, "i", [(0, 1), (3, 2)]), axis_name="i")
    np.testing.assert_array_equal(send(X), np.stack([0 * X[0], X[0], X[3], 0 * X[0]]))
    check_grads(send, (X[:, 0, :3],), order=2)


def test_lanes_of_two_axes():
    gathered = lambda x: lax.all_gather(x, ("i", "j"))
    out = fnad.vmap(fnad.vmap(gathered, axis_name="j"), axis_name="i")(X)
    assert out.shape == (4, 4, 16, 8)
    np.testing.assert_array_equal(out[2, 3], X.reshape(16, 8))


def test_what_all_lanes_hold_alike():
    out = fnad.vmap(lambda x: lax.all_gather(np.arange(2.0), "i") + x, axis_name="i")(np.zeros(3))
    np.testing.assert_array_equal(out, np.tile(np.arange(2.0), (3, 3, 1)))
    value = fnad.vmap(lambda x: lax.pbroadcast(x, "i", 2), axis_name="i")(X)
    np.testing.assert_array_equal(value, np.stack([X[2]] * 4))


@pytest.mark.parametrize(
    ("exchange", "message"),
    [
        (lambda x: lax.ppermute(x, "i", [(0, 1), (0, 2)]), "different lanes of 4"),
        (lambda x: lax.pshuffle(x, "i", [0, 1]), "permutation of the 4 lanes"),
        (lambda x: lax.all_to_all(x, "i", 1, 0), "as long as the named axis, 4"),
        (lambda x: lax.psum_scatter(x[:3], "i", tiled=True), "divisible by the named axis"),
        (lambda x: lax.all_gather(x, "i", axis=3), "out of range"),
        (lambda x: lax.pbroadcast(x, "i", 4), "one of 4 lanes"),
    ],
)
def test_what_does_not_fit(exchange, message):
    with pytest.raises(ValueError, match=message):
        fnad.vmap(exchange, axis_name="i")(X)


def test_a_name_that_nothing_binds():
    with pytest.raises(NameError, match="unbound axis name"):
        lax.all_gather(X, "rows")
