"""Convolution in groups of one feature, against SciPy's correlation of single images."""

import numpy as np
import pytest
from scipy.signal import correlate2d

from fnad import lax
from fnad.transforms.autodiff import grad
from fnad.transforms.jit import jit

_rng = np.random.default_rng(3)


def _spread_out(x, gaps):
    """An image with zeros between its elements."""
    out = np.zeros([(n - 1) * gap + 1 for n, gap in zip(x.shape, gaps)], x.dtype)
    out[:: gaps[0], :: gaps[1]] = x
    return out


def _reference(lhs, rhs, strides, padding, lhs_dilation, rhs_dilation, groups):
    """The same of images (N, C, H, W) and filters (O, I, H, W), image by image."""
    examples, taken, made = lhs.shape[0], rhs.shape[1], rhs.shape[0] // groups
    planes = {}
    for n in range(examples):
        for o in range(rhs.shape[0]):
            total = 0
            for i in range(taken):
                image = _spread_out(lhs[n, o // made * taken + i], lhs_dilation)
                for axis, (low, high) in enumerate(padding):
                    width = [(0, 0), (0, 0)]
                    width[axis] = (max(low, 0), max(high, 0))
                    image = np.pad(image, width)
                    cut = [slice(None)] * 2
                    cut[axis] = slice(max(-low, 0), image.shape[axis] - max(-high, 0))
                    image = image[tuple(cut)]
                kernel = _spread_out(rhs[o, i], rhs_dilation)
                total = total + correlate2d(image, np.conj(kernel), "valid")
            planes[n, o] = total[:: strides[0], :: strides[1]]
    rows = [[planes[n, o] for o in range(rhs.shape[0])] for n in range(examples)]
    return np.array(rows).astype(lhs.dtype)


OPTIONS = {
    "plain": ((1, 1), ((0, 0), (0, 0)), (1, 1), (1, 1)),
    "padded": ((1, 1), ((1, 1), (2, 0)), (1, 1), (1, 1)),
    "cut": ((1, 1), ((-1, 2), (1, -2)), (1, 1), (1, 1)),
    "strides": ((2, 3), ((1, 1), (1, 1)), (1, 1), (1, 1)),
    "dilated": ((1, 2), ((3, 2), (2, 2)), (2, 1), (2, 3)),
}
# Groups, features that each takes, and makes.
GROUPS = {"one": (1, 1, 1), "each": (4, 1, 1), "more": (3, 1, 2), "fewer": (3, 2, 1)}
LAYOUTS = {
    "NCHW": ("NCHW", "OIHW", "NCHW"),
    "NHWC": ("NHWC", "HWIO", "NHWC"),
    "mixed": ("HNCW", "IHOW", "NWHC"),
}


def _order(letters, wanted):
    return tuple(letters.index(c) for c in wanted)


@pytest.mark.parametrize("groups", GROUPS)
@pytest.mark.parametrize(
    "options, layout",
    [*((name, "NCHW") for name in OPTIONS), ("strides", "NHWC"), ("padded", "mixed")],
)
def test_groups_of_one_feature(options, layout, groups):
    options, layout, (count, taken, made) = OPTIONS[options], LAYOUTS[layout], GROUPS[groups]
    lhs = _rng.normal(size=(2, count * taken, 7, 8))
    rhs = _rng.normal(size=(count * made, taken, 3, 2))
    want = _reference(lhs, rhs, *options, count)

    def convolved(lhs, rhs):
        out = lax.conv_general_dilated(
            lhs.transpose(_order("NCHW", layout[0])),
            rhs.transpose(_order("OIHW", layout[1])),
            *options,
            dimension_numbers=layout,
            feature_group_count=count,
        )
        return out.transpose(_order(layout[2], "NCHW"))

    for function in (convolved, jit(convolved)):
        np.testing.assert_allclose(function(lhs, rhs), want, rtol=1e-12, atol=1e-12)
    # It is linear in each: the derivative along the operand itself is the result.
    weights = _rng.normal(size=want.shape)
    loss = lambda lhs, rhs: (convolved(lhs, rhs) * weights).sum()
    for gradient in (grad(loss, (0, 1)), jit(grad(loss, (0, 1)))):
        for operand, found in zip((lhs, rhs), gradient(lhs, rhs), strict=True):
            np.testing.assert_allclose((found * operand).sum(), (want * weights).sum(), rtol=1e-11)
    step = np.zeros_like(rhs)
    step[-1, -1, 1, 0] = 1.0
    unit = (_reference(lhs, step, *options, count) * weights).sum()
    np.testing.assert_allclose(grad(loss, 1)(lhs, rhs)[-1, -1, 1, 0], unit, rtol=1e-11)
    step = np.zeros_like(lhs)
    step[1, -1, 3, 4] = 1.0
    unit = (_reference(step, rhs, *options, count) * weights).sum()
    np.testing.assert_allclose(grad(loss)(lhs, rhs)[1, -1, 3, 4], unit, rtol=1e-11, atol=1e-14)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.int32, np.complex64])
def test_other_dtypes(dtype):
    lhs = (_rng.normal(size=(2, 3, 6, 6)) * 4).astype(dtype)
    rhs = (_rng.normal(size=(3, 1, 3, 3)) * 4).astype(dtype)
    options = (1, 1), ((1, 1), (1, 1)), (1, 1), (1, 1)
    wide = np.promote_types(dtype, np.float32) if dtype == np.float16 else dtype
    want = _reference(lhs.astype(wide), rhs.astype(wide), *options, 3)
    function = lambda lhs, rhs: lax.conv_general_dilated(lhs, rhs, *options, feature_group_count=3)
    rtol = 2e-3 if dtype == np.float16 else 1e-5  # rounded to 11 bits once
    for found in (function(lhs, rhs), jit(function)(lhs, rhs)):
        assert found.dtype == dtype
        np.testing.assert_allclose(found, want, rtol=rtol, atol=1e-4)


def test_windows_of_many_elements_are_products_of_matrices():
    x, filters = _rng.normal(size=(1, 1, 300)), _rng.normal(size=(1, 1, 81))
    found = jit(lambda x, f: lax.conv_general_dilated(x, f, (1,), "VALID"))(x, filters)
    np.testing.assert_allclose(found[0, 0], np.correlate(x[0, 0], filters[0, 0], "valid"))


def test_filters_that_fit_nowhere():
    lhs, rhs = np.ones((2, 1, 0, 4)), np.ones((1, 1, 2, 2))
    convolve = lambda x, w: lax.conv(x, w, (1, 1), "VALID")
    for run in (convolve, jit(convolve)):
        assert run(lhs, rhs).shape == (2, 1, 0, 3)
        found = grad(lambda x, w, run=run: run(x, w).sum(), (0, 1))(lhs, rhs)
        assert found[0].shape == lhs.shape
        np.testing.assert_array_equal(found[1], np.zeros_like(rhs))
    far = lax.conv_general_dilated(np.ones((1, 1, 3, 3)), rhs, (1, 1), "VALID", None, (9, 9))
    assert far.shape == (1, 1, 0, 0)
