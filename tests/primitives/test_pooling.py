"""reduce_window against a loop over the windows."""

import itertools

import numpy as np
import pytest

import fnad
import fnad.numpy as fnp
from fnad import lax
from fnad.primitives.windows import reduce_window, resolve_padding
from fnad.testing import check_grads

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


FUNCTIONS = {"max": np.maximum, "min": lax.min, "add": lambda a, b: a + b, "mul": fnp.multiply}


@pytest.mark.parametrize("kind", COMBINE)
def test_functions_are_recognised(kind):
    x = np.random.default_rng(1).normal(size=(5, 6))
    f = lambda x: lax.reduce_window(x, INIT[kind], FUNCTIONS[kind], (2, 3), padding="SAME")
    pairs = resolve_padding("SAME", x.shape, (2, 3), (1, 1))
    want = by_loop(x, kind, (2, 3), (1, 1), pairs, (1, 1))
    np.testing.assert_allclose(f(x), want)
    np.testing.assert_allclose(fnad.jit(f)(x), want)
    np.testing.assert_allclose(lax.reduce_window(x, INIT[kind], FUNCTIONS[kind], (1, 1)), x)


def test_any_function_with_base_dilation_matches_jax():
    jax = pytest.importorskip("jax")
    x = np.random.default_rng(2).uniform(1, 2, (5, 6)).astype(np.float32)
    norm = lambda sqrt: lambda a, b: sqrt(a * a + b * b)
    options = (2, 3), (2, 1), ((1, 0), (-1, 2)), (1, 2), (2, 1)
    f = lambda x: lax.reduce_window(x, np.float32(0), norm(fnp.sqrt), *options)
    want = jax.lax.reduce_window(x, np.float32(0), norm(jax.numpy.sqrt), *options)
    np.testing.assert_allclose(f(x), want, rtol=1e-6)
    np.testing.assert_allclose(fnad.jit(fnad.vmap(f))(x[None])[0], want, rtol=1e-6)
    smooth = lambda x: lax.reduce_window(x, 0.1, norm(fnp.sqrt), (2, 3), (2, 1))
    check_grads(smooth, (x.astype(float),), order=1)


@pytest.mark.parametrize("padding", ["SAME", "SAME_LOWER", "VALID"])
def test_padding_in_words_with_base_dilation_is_that_of_jax(padding):
    jax = pytest.importorskip("jax")
    x = np.random.default_rng(2).uniform(1, 2, (5, 6)).astype(np.float32)
    options = (2, 3), (2, 1), padding, (3, 2), (2, 1)
    want = jax.lax.reduce_window(x, np.float32(0), jax.lax.add, *options)
    np.testing.assert_allclose(lax.reduce_window(x, np.float32(0), "add", *options), want, 1e-6)


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
    with pytest.raises(ValueError, match=r"window_strides must be positive, got \(1, 0\)"):
        reduce_window(x, 0.0, "add", (2, 2), (1, 0), "SAME")


@pytest.mark.parametrize(("kind", "init"), [("max", 2.0), ("min", 0.5), ("add", 3.0), ("mul", 0.5)])
def test_combination_begins_with_init_in_every_window_and_padding_adds_none(kind, init):
    x = np.random.default_rng(0).normal(size=7) * 3
    want = [COMBINE[kind]([init, *x[max(at, 0) : at + 3]]) for at in range(-1, 6)]
    for given in (init, np.asarray(init)):
        got = fnad.jit(lambda x, given=given: reduce_window(x, given, kind, (3,), (1,), "SAME"))(x)
        np.testing.assert_allclose(got, want, rtol=1e-14)
    traced = fnad.jit(lambda x, init: reduce_window(x, init, kind, (3,), (1,), "SAME"))(x, init)
    np.testing.assert_allclose(traced, want, rtol=1e-14)
    check_grads(lambda x: reduce_window(x, init, kind, (3,), (1,), "SAME"), (x,))


def test_several_operands():
    x = np.random.default_rng(0).normal(size=(5, 6))
    place = np.arange(30).reshape(5, 6)

    def larger(a, b):
        first = a[0] >= b[0]
        return lax.select(first, a[0], b[0]), lax.select(first, a[1], b[1])

    def largest(x, place):
        inits = (-np.inf, np.int64(-1))
        return reduce_window((x, place), inits, larger, (2, 3), (1, 2), "SAME")

    values, places = fnad.jit(largest)(x, place)
    np.testing.assert_array_equal(values, reduce_window(x, -np.inf, "max", (2, 3), (1, 2), "SAME"))
    np.testing.assert_array_equal(x.ravel()[places], values)
    check_grads(lambda x: largest(x, place)[0], (x,))
    with pytest.raises(TypeError, match="1 init_values for 2 operands"):
        reduce_window((x, place), (0.0,), larger, (2, 3))
    with pytest.raises(ValueError, match=r"one shape, got \(5, 6\), \(4, 6\)"):
        reduce_window((x, place[1:]), (0.0, 0), larger, (2, 3))
