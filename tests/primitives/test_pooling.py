"""reduce_window against a loop over the windows."""

import itertools

import numpy as np
import pytest

from fnad.primitives.windows import reduce_window, resolve_padding

COMBINE = {"max": np.max, "min": np.min, "add": np.sum, "mul": np.prod}
INIT = {"max": -np.inf, "min": np.inf, "add": 0.0, "mul": 1.0}


def by_loop(x, kind, window, strides, pairs, dilation):
    padded = np.pad(x, pairs, constant_values=INIT[kind])
    spans = [(k - 1) * d + 1 for k, d in zip(window, dilation)]
    counts = [(n - s) // step + 1 for n, s, step in zip(padded.shape, spans, strides)]
    out = np.empty(counts)
    for at in np.ndindex(*counts):
        place = tuple(
            slice(i * step, i * step + span, d)
            for i, step, span, d in zip(at, strides, spans, dilation)
        )
        out[at] = COMBINE[kind](padded[place])
    return out


@pytest.mark.parametrize("kind", COMBINE)
def test_matches_a_loop(kind):
    x = np.random.default_rng(0).normal(size=(2, 5, 6, 3))
    options = itertools.product(
        ["VALID", "SAME", ((0, 0), (1, 0), (2, 1), (0, 0))], [(1, 1), (2, 3)], [1, 2]
    )
    for padding, (sh, sw), d in options:
        window, strides, dilation = (1, 2, 3, 1), (1, sh, sw, 1), (1, d, d, 1)
        spans = [(k - 1) * h + 1 for k, h in zip(window, dilation)]
        pairs = resolve_padding(padding, x.shape, spans, strides)
        got = reduce_window(x, INIT[kind], kind, window, strides, padding, window_dilation=dilation)
        np.testing.assert_allclose(got, by_loop(x, kind, window, strides, pairs, dilation))


def test_same_padding_is_that_of_jax():
    assert resolve_padding("SAME", (5, 6), (2, 3), (1, 2)) == ((0, 1), (0, 1))
    assert resolve_padding("SAME_LOWER", (5, 6), (2, 3), (1, 2)) == ((1, 0), (1, 0))
    assert resolve_padding("valid", (5,), (2,), (1,)) == ((0, 0),)


def test_errors_name_the_shapes():
    x = np.ones((4, 4))
    with pytest.raises(ValueError, match=r"one entry for each axis of the operand of shape"):
        reduce_window(x, 0.0, "add", (2,), (1,), "VALID")
    with pytest.raises(ValueError, match="computation must be one of"):
        reduce_window(x, 0.0, "median", (2, 2), (1, 1), "VALID")
    with pytest.raises(ValueError, match="padding must be"):
        reduce_window(x, 0.0, "add", (2, 2), (1, 1), "FULL")
