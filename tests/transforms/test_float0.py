"""Tangents of integers, of dtype float0, through all transforms: as JAX has them."""

import numpy as np
import pytest

import fnad
from fnad import float0

NOTHING = np.zeros((), float0)


def assert_float0(value, shape=()):
    assert isinstance(value, np.ndarray) and value.dtype == float0 and value.shape == shape


def times(x, n):
    return x * n, n + 1


def test_jvp_and_vjp():
    out, dots = fnad.jvp(times, (2.0, 3), (1.0, NOTHING))
    assert out == (6.0, 4) and dots[0] == 3.0
    assert_float0(dots[1])
    out, pull = fnad.vjp(times, 2.0, 3)
    found = pull((1.0, NOTHING))
    assert found[0] == 3.0
    assert_float0(found[1])
    for wrong in (1, 1.0):
        with pytest.raises(TypeError, match=r"must be np.zeros\(\(\), fnad.float0\)"):
            fnad.jvp(times, (2.0, 3), (1.0, wrong))


@pytest.mark.parametrize("transform", [lambda f: f, fnad.jit, fnad.checkpoint])
def test_results_of_transformed_functions(transform):
    found = transform(lambda x, n: fnad.vjp(times, x, n)[1]((1.0, NOTHING)))(2.0, 3)
    assert found[0] == 3.0
    assert_float0(found[1])
    assert_float0(transform(fnad.grad(lambda n: n * 2.0, allow_int=True))(3))


def test_compiled_functions_take_them_again_and_again():
    pull = fnad.jit(lambda x, ct: fnad.vjp(lambda x: times(x, 3), x)[1](ct)[0])
    for x in (1.0, 2.0, 3.0):
        assert pull(x, (1.0, NOTHING)) == 3.0
    forward, backward = fnad.fwd_and_bwd(times, (0, 1))
    for x in (1.0, 2.0, 3.0):
        _, residuals = forward(x, 3)
        found = backward(residuals, (1.0, NOTHING))
        assert found[0] == 3.0
        assert_float0(found[1])


def test_vmap_gives_them_the_axis():
    x, n = np.ones(3), np.arange(3)
    gradient = fnad.grad(lambda x, n: np.sum(x * n), (0, 1), allow_int=True)
    found = fnad.vmap(gradient)(x, n)
    np.testing.assert_array_equal(found[0], n)
    assert_float0(found[1], (3,))
    rows = np.ones((3, 2), int)
    pairs = fnad.vmap(gradient, out_axes=(0, -1))(x, rows)
    assert_float0(pairs[1], (2, 3))
    assert_float0(fnad.vmap(gradient, (0, None), (0, None))(x, 3)[1])
    assert_float0(fnad.jit(fnad.vmap(gradient))(x, n)[1], (3,))


def test_vmap_takes_them_with_the_axis():
    pull = lambda x, ct: fnad.vjp(lambda x: times(x, np.arange(2)), x)[1](ct)[0]
    x = np.arange(3.0)
    cts = (np.ones((3, 2)), np.zeros((3, 2), float0))
    np.testing.assert_array_equal(fnad.vmap(pull)(x, cts), np.ones(3))
    np.testing.assert_array_equal(
        fnad.vmap(pull, (0, (0, None)))(x, (cts[0], np.zeros(2, float0))), np.ones(3)
    )
    with pytest.raises(ValueError, match="different lengths"):
        fnad.vmap(pull)(x, (np.ones((3, 2)), np.zeros((4, 2), float0)))


def test_nested_derivatives():
    inner = lambda x: fnad.grad(lambda x, n: x * x * n, (0, 1), allow_int=True)(x, 3)[0]
    assert fnad.grad(inner)(2.0) == 6.0
    _, dots = fnad.jvp(lambda x: fnad.vjp(times, x, 3)[1]((x, NOTHING)), (2.0,), (1.0,))
    assert dots[0] == 3.0
    assert_float0(dots[1])
