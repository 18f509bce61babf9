"""Keywords that jax.lax has, by JAX's names and with its meaning."""

import numpy as np
import pytest

import fnad
from fnad import lax
from fnad.testing import check_grads

jax = pytest.importorskip("jax")
jax.config.update("jax_enable_x64", True)

RNG = np.random.default_rng(0)
X, W = RNG.normal(size=(1, 2, 6, 5)), RNG.normal(size=(3, 2, 3, 2))

CALLS = {
    "clamp": lambda lax: lax.clamp(min=0.0, x=np.array([-1.0, 0.5, 3.0]), max=2.0),
    "atan2": lambda lax: lax.atan2(x=np.array([1.0, -2.0]), y=np.array([-3.0, 1.0])),
    "nextafter": lambda lax: lax.nextafter(x1=np.array([1.0]), x2=np.array([0.0])),
    "convert_element_type": lambda lax: lax.convert_element_type(operand=X, new_dtype="int32"),
    "bitcast_convert_type": lambda lax: lax.bitcast_convert_type(operand=X, new_dtype="int64"),
    "mul integers": lambda lax: lax.mul(np.int8([100]), np.int8([100]), out_dtype="int32"),
    "mul floats": lambda lax: lax.mul(np.float32([1e30]), np.float32([3e30]), out_dtype="float64"),
    "cond": lambda lax: lax.cond(True, lambda x: x[0], lambda x: x[1], operand=(1.0, 2.0)),
    "switch": lambda lax: lax.switch(1, [lambda x: x, lambda x: 2 * x], operand=3.0),
    "approx_max_k": lambda lax: lax.approx_max_k(X, 2, 3, 0.9, -1, True)[0],
    "conv": lambda lax: lax.conv(X, W, (1, 1), "SAME", lax.Precision.HIGH, np.dtype("f8")),
    "conv_with_general_padding": lambda lax: lax.conv_with_general_padding(
        X, W, (1, 1), [(1, 1), (0, 2)], (1, 2), None, preferred_element_type=np.dtype("f8")
    ),
    "conv_transpose": lambda lax: lax.conv_transpose(
        np.moveaxis(X, 1, -1), W.transpose(2, 3, 1, 0), (2, 2), "SAME", None, None, False, None,
        np.dtype("f8"),
    ),
    "conv_general_dilated_patches": lambda lax: lax.conv_general_dilated_patches(
        X, (2, 2), (1, 1), "VALID", None, None, None, None, np.dtype("f8")
    ),
    "ragged_dot": lambda lax: lax.ragged_dot(
        RNG.normal(size=(0, 2)), np.ones((1, 2, 3)), np.array([0], np.int32), None, np.dtype("f8")
    ),
}  # fmt: skip

SLICES = {
    "dynamic_slice": lambda lax, i: lax.dynamic_slice(
        X, (i, i, i, i), (1, 1, 2, 2), allow_negative_indices=(True, False, True, False)
    ),
    "dynamic_slice_in_dim": lambda lax, i: lax.dynamic_slice_in_dim(
        X, i, 2, 3, allow_negative_indices=False
    ),
    "dynamic_index_in_dim": lambda lax, i: lax.dynamic_index_in_dim(
        X, i, 2, allow_negative_indices=False
    ),
    "dynamic_update_slice": lambda lax, i: lax.dynamic_update_slice(
        X, np.ones((1, 1, 1, 2)), (i, i, i, i), allow_negative_indices=False
    ),
    "dynamic_update_slice_in_dim": lambda lax, i: lax.dynamic_update_slice_in_dim(
        X, np.ones((1, 2, 6, 2)), i, 3, allow_negative_indices=False
    ),
    "dynamic_update_index_in_dim": lambda lax, i: lax.dynamic_update_index_in_dim(
        X, np.ones((1, 2, 6)), i, 3, allow_negative_indices=False
    ),
}


@pytest.mark.parametrize("name", CALLS)
def test_call_is_that_of_jax(name):
    wanted = np.asarray(CALLS[name](jax.lax))
    for got in (CALLS[name](lax), fnad.jit(lambda: CALLS[name](lax))()):
        assert np.asarray(got).dtype == wanted.dtype
        np.testing.assert_allclose(got, wanted, rtol=1e-13, atol=1e-14)


def test_an_operand_by_name_and_by_position():
    with pytest.raises(TypeError, match=r"cond: operand= is the only operand, but there are 1"):
        lax.cond(True, lambda x, y: x, lambda x, y: y, 1.0, operand=2.0)
    assert lax.cond(True, lambda x: x is None, lambda x: False, operand=None)


def test_an_operand_by_name_is_differentiated():
    f = lambda x: lax.switch(1, [lambda x: x, lambda x: x * x], operand=x)
    assert fnad.grad(f)(3.0) == fnad.jit(fnad.grad(f))(3.0) == 6.0
    check_grads(lambda x: lax.mul(x, x, out_dtype="f8"), (np.array([1.0, 2.0]),), order=2)


@pytest.mark.parametrize("start", [-3, 1, 7])
@pytest.mark.parametrize("name", SLICES)
def test_starts_that_do_not_count_from_the_end(name, start):
    wanted = jax.jit(lambda i: SLICES[name](jax.lax, i))(np.int32(start))
    f = lambda i: SLICES[name](lax, i)
    np.testing.assert_array_equal(fnad.jit(f)(np.int32(start)), wanted)
    np.testing.assert_array_equal(fnad.vmap(f)(np.array([start]))[0], wanted)
    if start < 0:
        with pytest.raises(ValueError, match=r"start -3, .* allow_negative_indices=False"):
            f(start)


def test_one_promise_or_one_for_each_axis():
    with pytest.raises(TypeError, match=r"one for each axis of shape \(5,\), got 2"):
        lax.dynamic_slice(np.arange(5), (0,), (2,), allow_negative_indices=(True, True))
