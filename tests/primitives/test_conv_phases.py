"""Convolutions of operands with gaps: the phases of the result have filters of their own."""

import numpy as np
import pytest

import fnad
from fnad.lax import conv_general_dilated

RNG = np.random.default_rng(0)
# Of each: the lengths of images and filters, the gaps, the padding, and the groups.
CASES = {
    "of a stride": ((5, 4), (3, 3), (2, 2), ((1, 2), (1, 1)), 1),
    "filters of whole gaps": ((5, 4), (4, 6), (2, 3), ((2, 2), (0, 5)), 1),
    "filters shorter than gaps": ((5, 4), (1, 2), (2, 3), ((0, 0), (1, 1)), 1),
    "one axis": ((5, 4), (3, 2), (1, 3), ((1, 1), (2, 2)), 1),
    "groups": ((5, 4), (3, 4), (2, 2), ((2, 1), (1, 1)), 2),
    "cut off": ((7,), (3,), (2,), ((-1, -3),), 1),
    "three axes": ((3, 2, 3), (2, 3, 2), (2, 2, 3), ((0, 1), (1, 1), (2, 0)), 1),
}


def reference(x, w, gaps, padding, groups):
    """By the definition: zeros between, zeros around, and the sum over each window."""
    examples, features, *lengths = x.shape
    within = np.zeros((examples, features, *((n - 1) * d + 1 for n, d in zip(lengths, gaps))))
    within[(..., *(slice(None, None, d) for d in gaps))] = x
    around = np.pad(within, [(0, 0), (0, 0), *((max(a, 0), max(b, 0)) for a, b in padding)])
    kept = (slice(max(-a, 0), n + min(b, 0)) for (a, b), n in zip(padding, around.shape[2:]))
    around = around[(..., *(slice(k.start, k.stop if k.stop else None) for k in kept))]
    axes = tuple(range(2, x.ndim))
    windows = np.lib.stride_tricks.sliding_window_view(around, w.shape[2:], axes)
    letters = "uvw"[: len(gaps)]
    sums = f"ni{letters.upper()}{letters},oi{letters}->no{letters.upper()}"
    parts = zip(np.split(windows, groups, 1), np.split(w, groups, 0), strict=True)
    return np.concatenate([np.einsum(sums, *part) for part in parts], 1)


@pytest.mark.parametrize("name", CASES)
def test_values_and_gradients(name):
    lengths, taps, gaps, padding, groups = CASES[name]
    x = RNG.normal(size=(2, 2 * groups, *lengths))
    w = RNG.normal(size=(3 * groups, 2, *taps))

    def convolve(x, w):
        ones = (1,) * len(gaps)
        return conv_general_dilated(x, w, ones, padding, gaps, feature_group_count=groups)

    want = reference(x, w, gaps, padding, groups)
    np.testing.assert_allclose(convolve(x, w), want, rtol=0, atol=1e-13)
    np.testing.assert_allclose(fnad.jit(convolve)(x, w), want, rtol=0, atol=1e-13)

    # The operation is linear in each operand, so its transposes have the same bilinear form.
    ct = RNG.normal(size=want.shape)
    x_ct, w_ct = fnad.jit(lambda x, w, ct: fnad.vjp(convolve, x, w)[1](ct))(x, w, ct)
    dx, dw = RNG.normal(size=x.shape), RNG.normal(size=w.shape)
    np.testing.assert_allclose(
        (x_ct * dx).sum(), (ct * reference(dx, w, gaps, padding, groups)).sum(), rtol=1e-11
    )
    np.testing.assert_allclose(
        (w_ct * dw).sum(), (ct * reference(x, dw, gaps, padding, groups)).sum(), rtol=1e-11
    )


@pytest.mark.parametrize("name", CASES)
def test_an_infinity_reaches_what_its_filters_reach(name):
    lengths, taps, gaps, padding, groups = CASES[name]
    x, w = np.ones((1, 2 * groups, *lengths)), np.ones((groups, 2, *taps))
    x[(0, 0, *(n // 2 for n in lengths))] = np.inf
    ones = (1,) * len(gaps)
    convolve = fnad.jit(
        lambda x, w: conv_general_dilated(x, w, ones, padding, gaps, feature_group_count=groups)
    )
    np.testing.assert_array_equal(convolve(x, w), reference(x, w, gaps, padding, groups))


def test_gaps_are_not_multiplied():
    x, w = np.ones((1, 8, 6, 6), np.float32), np.ones((5, 8, 4, 4), np.float32)
    convolve = fnad.jit(lambda x, w: conv_general_dilated(x, w, (1, 1), [(2, 2)] * 2, (2, 2)))
    plan = convolve.lower(x, w).as_text("plan")
    assert "x (20, 49, 32)" in plan  # four phases, windows of two by two
