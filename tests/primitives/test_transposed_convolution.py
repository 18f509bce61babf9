"""Transposed convolution and patches against JAX and against the convolution they belong to."""

import numpy as np
import pytest

import fnad
import fnad.numpy as fnp
from fnad import lax
from fnad.testing import check_grads

rng = np.random.default_rng(0)
LHS = rng.standard_normal((2, 5, 6, 3))
RHS = rng.standard_normal((3, 2, 3, 4))


@pytest.mark.parametrize("padding", ["SAME", "VALID", "same", ((1, 2), (0, 3))])
@pytest.mark.parametrize("strides", [(1, 1), (2, 3), (4, 1)])
@pytest.mark.parametrize("dilation", [None, (2, 1)])
@pytest.mark.parametrize("consistent", [False, True])
def test_conv_transpose_matches_jax(padding, strides, dilation, consistent):
    jl = pytest.importorskip("jax").lax
    options = {"rhs_dilation": dilation, "use_consistent_padding": consistent}
    lhs, rhs = LHS.astype(np.float32), RHS.astype(np.float32)
    name = padding.upper() if isinstance(padding, str) else padding
    want = jl.conv_transpose(lhs, rhs, strides, name, **options)
    f = lambda lhs, rhs: lax.conv_transpose(lhs, rhs, strides, padding, **options)
    np.testing.assert_allclose(f(lhs, rhs), want, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(fnad.jit(f)(lhs, rhs), want, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("padding", ["SAME", "VALID"])
def test_conv_transpose_is_the_gradient_of_the_convolution(padding):
    """With transpose_kernel it is the transpose in the input, where strides divide lengths."""
    x, strides = rng.standard_normal((2, 4, 6, 4)), (2, 2)
    layout = ("NHWC", "HWIO", "NHWC")
    kernel = rng.standard_normal((2, 2, 4, 3))
    f = lambda x: lax.conv_general_dilated(x, kernel, strides, padding, dimension_numbers=layout)
    y, back = fnad.vjp(f, x)
    ct = rng.standard_normal(y.shape)
    got = lax.conv_transpose(ct, kernel, strides, padding, transpose_kernel=True)
    np.testing.assert_allclose(got, back(ct)[0], rtol=1e-10, atol=1e-12)


def test_conv_transpose_derivatives_and_batches():
    f = lambda x, w: lax.conv_transpose(x, w, (2, 1), "SAME")
    check_grads(f, (LHS[:1, :2, :2], RHS), order=2)
    got = fnad.jit(fnad.vmap(f, (0, None)))(LHS[:, None], RHS)
    np.testing.assert_allclose(got[:, 0], f(LHS, RHS), rtol=1e-12, atol=1e-13)


def test_conv_transpose_of_other_ranks_and_errors():
    jl = pytest.importorskip("jax").lax
    for num in (1, 3):
        x = rng.standard_normal((1, *(4,) * num, 2)).astype(np.float32)
        w = rng.standard_normal((*(3,) * num, 2, 2)).astype(np.float32)
        args = x, w, (2,) * num, "VALID"
        want = jl.conv_transpose(*args)
        np.testing.assert_allclose(lax.conv_transpose(*args), want, rtol=1e-4, atol=1e-5)
    with pytest.raises(ValueError, match="must be 'SAME', 'VALID' or pairs"):
        lax.conv_transpose(LHS, RHS, (1, 1), "FULL")
    with pytest.raises(ValueError, match="give dimension_numbers"):
        lax.conv_transpose(np.ones((1,) * 6), np.ones((1,) * 6), (1,) * 4, "SAME")


@pytest.mark.parametrize("padding", ["SAME", "VALID", ((1, 0), (2, 1))])
@pytest.mark.parametrize("numbers", [None, ("NHWC", "HWIO", "NHWC"), ("HNWC", "OWHI", "CNWH")])
@pytest.mark.parametrize("dilation", [None, (2, 1)])
def test_patches_match_jax(padding, numbers, dilation):
    jl = pytest.importorskip("jax").lax
    x = LHS.astype(np.float32)
    f = lambda m: m.conv_general_dilated_patches(
        x, (2, 1), (1, 2), padding, rhs_dilation=dilation, dimension_numbers=numbers
    )
    np.testing.assert_array_equal(f(lax), f(jl))


def test_patches_times_filters_are_the_convolution():
    kernel = RHS.transpose(3, 2, 0, 1)
    x = LHS.transpose(0, 3, 1, 2)
    with pytest.raises(ValueError, match="one entry for each of the 2 spatial axes"):
        lax.conv_general_dilated_patches(x, (3,), (1, 1), "SAME")
    pads = ((1, 1), (0, 1))
    patches = lambda x: lax.conv_general_dilated_patches(x, (3, 2), (1, 2), pads, (2, 1))
    want = lax.conv_general_dilated(x, kernel, (1, 2), pads, (2, 1))
    product = lambda x: fnp.einsum("npij,op->noij", patches(x), kernel.reshape(4, -1))
    np.testing.assert_allclose(product(x), want, rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(fnad.jit(product)(x), want, rtol=1e-12, atol=1e-13)
    check_grads(patches, (x[:1, :, :2, :3],), order=1)


@pytest.mark.parametrize(
    ("layout", "shapes"),
    [
        (None, ((2, 3, 5, 6), (4, 18, 4, 2))),
        (("NHWC", "HWIO", "NHWC"), ((2, 5, 6, 3), (4, 2, 18, 4))),
        (("NHWC", "WHIO", "CNHW"), ((2, 5, 6, 3), (4, 3, 18, 4))),
    ],
)
def test_filters_of_their_own_for_each_position(layout, shapes):
    jl = pytest.importorskip("jax").lax
    lhs, rhs = (rng.standard_normal(s).astype(np.float32) for s in shapes)
    args = (1, 2), "VALID", (2, 3)
    if layout and layout[1] == "WHIO":
        args = (2, 1), "VALID", (2, 3)
        rhs = rng.standard_normal((3, 3, 18, 4)).astype(np.float32)
    want = jl.conv_general_dilated_local(lhs, rhs, *args, dimension_numbers=layout)
    f = lambda lhs, rhs: lax.conv_general_dilated_local(lhs, rhs, *args, dimension_numbers=layout)
    for got in (f(lhs, rhs), fnad.jit(f)(lhs, rhs)):
        np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-5)


def test_filters_that_do_not_fit_their_positions():
    with pytest.raises(TypeError, match=r"features \* prod\(filter_shape\)"):
        x, w = np.ones((1, 1, 4)), np.ones((1, 2, 4))
        lax.conv_general_dilated_local(x, w, (1,), "VALID", (2,))
