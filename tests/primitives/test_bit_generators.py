"""Random bits from a state: JAX's, bit for bit."""

import zlib

import numpy as np
import pytest

import fnad
import fnad.numpy as fnp
from fnad import lax

# States, shapes, dtypes, and checksums of what JAX gives: of Threefry's bits, and of Philox's.
CASES = [
    ([0, 0, 0, 0], (9,), "uint64", 2078772962, 221108122),
    ([1, 2, 3, 4], (2, 3), "uint32", 3285028455, 37310057),
    ([1, 2, 2**32 - 1, 2**32 - 1], (3, 5), "uint16", 676020471, 3048417117),
    ([2**32 - 1] * 4, (5, 3, 2), "uint8", 1686421408, 1624555822),
    ([1, 2, 3, 4], (3, 3, 5), "uint32", 1336948717, 3072514608),
    ([5, 6, 7, 8], (), "uint32", 3006444371, 1308376252),
    ([5, 6, 7, 8], (0,), "uint32", 0, 0),
]


@pytest.mark.parametrize("words, shape, dtype, threefry, philox", CASES)
def test_bits_are_those_that_jax_gave(words, shape, dtype, threefry, philox):
    for algorithm, want in enumerate((philox, threefry, philox)):
        _, bits = lax.rng_bit_generator(np.array(words, np.uint32), shape, dtype, algorithm)
        assert bits.shape == shape and bits.dtype == dtype
        assert zlib.crc32(bits.tobytes()) == want


@pytest.mark.slow  # JAX compiles for seconds
@pytest.mark.parametrize("algorithm", list(lax.RandomAlgorithm))
def test_bits_are_those_of_jax(algorithm):
    jax = pytest.importorskip("jax")
    for words, shape, dtype, *_ in CASES:
        key = np.array(words, np.uint32)
        with jax.enable_x64(True):
            theirs = jax.lax.RandomAlgorithm(int(algorithm))
            want = jax.lax.rng_bit_generator(key, shape, np.dtype(dtype), theirs)
        got = lax.rng_bit_generator(key, shape, dtype, algorithm)
        for x, y in zip(got, want, strict=True):
            assert x.dtype == y.dtype and x.shape == y.shape
            np.testing.assert_array_equal(x, np.asarray(y))


@pytest.mark.parametrize("algorithm", list(lax.RandomAlgorithm))
def test_compiled(algorithm):
    f = lambda key: lax.rng_bit_generator(key, (3, 5), np.uint32, algorithm)
    for key in (np.array([1, 2, 3, 4], np.uint32), np.array([7, 2**64 - 2], np.uint64)):
        for got, want in zip(fnad.jit(f)(key), f(key), strict=True):
            np.testing.assert_array_equal(got, want)


def test_states_of_wide_words_and_batches():
    narrow = np.array([[1, 2, 3, 4], [5, 6, 7, 8]], np.uint32)
    wide = narrow.view(np.uint64)
    after, bits = fnad.jit(fnad.vmap(lambda key: lax.rng_bit_generator(key, (4,))))(wide)
    for k in range(2):
        one, its = lax.rng_bit_generator(narrow[k], (4,))
        np.testing.assert_array_equal(after[k], one.view(np.uint64))
        np.testing.assert_array_equal(bits[k], its)


def test_the_next_bits_continue():
    key = np.array([1, 2, 3, 4], np.uint32)
    after, first = lax.rng_bit_generator(key, 8)
    _, second = lax.rng_bit_generator(after, 8)
    np.testing.assert_array_equal([*first, *second], lax.rng_bit_generator(key, 16)[1])


def test_what_is_wrong_is_said():
    with pytest.raises(TypeError, match=r"type u32\[4\] or u64\[2\], got u32\[2\]"):
        lax.rng_bit_generator(np.zeros(2, np.uint32), 3)
    with pytest.raises(TypeError, match="dtype must be an unsigned integer"):
        lax.rng_bit_generator(np.zeros(4, np.uint32), 3, np.int32)
    with pytest.raises(ValueError, match="7 is not a valid RandomAlgorithm"):
        lax.rng_bit_generator(np.zeros(4, np.uint32), 3, np.uint32, 7)


# -- rng_uniform ---------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16", "int8", "uint64"])
def test_uniform_numbers_lie_within_their_bounds(dtype):
    low, high = np.array([3, 10], fnp.dtype(dtype))
    f = lambda a, b: lax.rng_uniform(a, b, (100, 10))
    for run in (f, fnad.jit(f)):
        x = run(low, high)
        assert x.dtype == fnp.dtype(dtype) and x.shape == (100, 10)
        assert np.all((low <= x) & (x < high))
        assert len(np.unique(x)) >= 7
        assert not np.array_equal(x, run(low, high))
    if low.dtype.kind == "f":
        assert abs(x.mean() - 6.5) < 0.4 and abs(x.std() - 7 / 12**0.5) < 0.3


def test_uniform_numbers_of_each_call_and_lane_are_others():
    f = fnad.jit(lambda a: lax.rng_uniform(a, 1.0, ()) - lax.rng_uniform(a, 1.0, ()))
    assert f(0.0) != 0
    assert len(np.unique(fnad.vmap(lambda a: lax.rng_uniform(a, 1.0, 3))(np.zeros(4)))) == 12
    assert fnad.grad(lambda a: a * a + lax.rng_uniform(a, 1.0, ()))(0.5) == 1.0


def test_bounds_of_uniform_numbers():
    with pytest.raises(TypeError, match=r"two scalars of one dtype, .* got f32\[\] and f64\[\]"):
        lax.rng_uniform(np.float32(0), np.float64(1), 3)
