"""Convolutions of arrays whose positions are innermost: a product an example, or one of all."""

import numpy as np
import pytest

import fnad
from fnad.lax import conv_general_dilated

RNG = np.random.default_rng(0)
FEATURES_LAST = ("NHWC", "HWIO", "NHWC")
# Of each: the shapes of images and filters, the strides, and how many products there are.
CASES = {
    "one product an example": ((3, 6, 20, 15), (8, 6, 3, 2), (1, 1), "contract 3 x (8, 300, 36)"),
    "strides": ((3, 6, 20, 15), (8, 6, 3, 2), (2, 1), "contract 3 x (8, 150, 36)"),
    "few positions": ((3, 16, 2, 3), (16, 16, 3, 3), (1, 1), "contract 1 x (18, 16, 144)"),
    "blocks of rows": ((2, 8, 20, 32), (8, 8, 3, 3), (1, 1), "contract 2x2 x (8, 320, 72)"),
    "groups": ((2, 8, 12, 10), (6, 4, 3, 3), (1, 1), "contract 2x2 x (3, 120, 36)"),
    "groups and blocks": ((2, 8, 9, 70), (6, 4, 3, 3), (1, 1), "contract 2x2x3 x (3, 210, 36)"),
}


def features_last(x, w, strides, groups):
    x, w = x.transpose(0, 2, 3, 1), w.transpose(2, 3, 1, 0)
    out = conv_general_dilated(x, w, strides, "SAME", None, None, FEATURES_LAST, groups)
    return out.transpose(0, 3, 1, 2)


@pytest.mark.parametrize("name", CASES)
def test_values_and_gradients(name):
    shape, filters, strides, product = CASES[name]
    x, w = RNG.normal(size=shape), RNG.normal(size=filters)
    groups = shape[1] // filters[1]
    positions_last = fnad.jit(
        lambda x, w: conv_general_dilated(x, w, strides, "SAME", feature_group_count=groups)
    )
    assert product in positions_last.lower(x, w).as_text("plan")
    want = features_last(x, w, strides, groups)
    np.testing.assert_allclose(positions_last(x, w), want, rtol=0, atol=1e-11)

    def gradients(convolve):
        return fnad.grad(lambda x, w: (convolve(x, w) ** 2).sum(), (0, 1))

    got = fnad.jit(gradients(positions_last))(x, w)
    want = gradients(lambda x, w: features_last(x, w, strides, groups))(x, w)
    for a, b in zip(got, want, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-12 * np.abs(b).max())


def test_products_are_written_where_they_are_wanted():
    x, w = RNG.normal(size=(2, 8, 9, 70)), RNG.normal(size=(6, 4, 3, 3))
    convolve = fnad.jit(
        lambda x, w: conv_general_dilated(x, w, (1, 1), "SAME", feature_group_count=2)
    )
    *_, last = convolve.lower(x, w).as_text("plan").splitlines()
    # The batch of groups and blocks is three axes of the result.
    assert "contract 2x2x3 x (3, 210, 36) f64: %5[0; 3780x1890x210x630x1] =" in last
