"""Fourier transforms: short ones, into which factors long ones fall, and how exact they are."""

from fractions import Fraction

import numpy as np
import pytest

import fnad
from fnad import lax
from fnad.primitives.fft.butterflies import dft, root_of_unity, roots_of_unity
from fnad.primitives.fft.factors import (
    RADICES,
    even_factors,
    factors,
    fast_length,
    halves,
    is_smooth,
    row_factors,
)
from tests.samples.values import normal_complex

EPSILON = {"complex64": 2.0**-23, "complex128": 2.0**-52}


def relative(actual, expected):
    """The relative error in the l2 norm, measured in extended precision."""
    return float(np.linalg.norm(actual - expected) / np.linalg.norm(expected))


def precise(x, axis=-1):
    return np.fft.fft(x.astype(np.clongdouble), axis=axis)


# -- what transforms are made of ---------------------------------------------------------------


@pytest.mark.parametrize("n", [1, *sorted(RADICES), 18, 20, 24, 25, 27, 32])
def test_short_transforms_are_exact_to_a_few_ulp(n):
    z = normal_complex(n, 40)
    pairs = dft([(row.real, row.imag) for row in z])
    found = np.array([re + 1j * im for re, im in pairs])
    assert relative(found, precise(z, 0)) < 2 * 2.0**-53 * max(1, np.log2(n)) ** 0.5


def test_short_transforms_need_few_operations():
    class Counted:
        count = 0

        def operate(self, *_):
            Counted.count += 1
            return self

        __add__ = __sub__ = __mul__ = operate

        def __neg__(self):
            return self  # becomes part of an addition

    def operations(n):
        Counted.count = 0
        dft([(Counted(), Counted())] * n)
        return Counted.count

    # Of the split radix algorithm, which needs the fewest: 16, 52, 144 for powers of two.
    assert operations(2) == 4
    assert operations(4) == 16
    assert operations(8) <= 52 + 4
    assert operations(16) <= 174
    assert operations(5) <= 48


def test_roots_of_unity_are_symmetric():
    for n in (8, 12, 30):
        found = roots_of_unity(np.arange(n), n)
        exact = np.exp(-2j * np.arccos(np.longdouble(-1)) * np.arange(n) / n)
        np.testing.assert_allclose(found, exact.astype(complex), rtol=0, atol=6e-17)
        assert found.tolist() == [complex(*root_of_unity(Fraction(k, n))) for k in range(n)]
        assert found[n // 2] == -1
        assert found[1] == found[-1].conj() == -found[n // 2 - 1].conj()
    assert roots_of_unity(np.arange(5), 4).tolist() == [1, -1j, -1, 1j, 1]


def test_factors_are_small_and_even():
    for n in range(1, 2000):
        if is_smooth(n):
            assert np.prod(factors(n, n), dtype=int) == n
            assert np.prod(even_factors(n), dtype=int) == n
            assert np.prod(row_factors(n), dtype=int) in (n, 1)
            assert np.prod(halves(n)) == n
    assert even_factors(4096) == (16, 16, 16)
    assert factors(64, 64) == (8, 8)
    assert factors(31 * 2, 31 * 2) == (2, 31)
    # Both parts of eight numbers that are far apart do not fit a place of the first cache.
    assert factors(4096, 4096) == (8, 8, 8, 8)
    assert factors(4096, 4096 * 16) == (4, 4, 4, 4, 4, 4)
    # Vectors across rows of 8 and along what they leave.
    assert row_factors(1000) == (8, 5, 5, 5)
    assert row_factors(32)[0] == 4
    assert row_factors(16 * 7)[0] == 8
    assert not is_smooth(37) and not is_smooth(2 * 10007)


def test_fast_lengths_are_close():
    for n in range(1, 3000):
        size = fast_length(n)
        assert n <= size <= 1.34 * n
        assert is_smooth(size)


# -- compiled transforms -----------------------------------------------------------------------


def compiled_error(n, dtype, batch=2):
    z = normal_complex(batch, n).astype(dtype)
    found = fnad.jit(lambda z: lax.fft(z, "FFT", (n,)))(z)
    assert found.dtype == z.dtype
    return relative(found, precise(z)) / EPSILON[dtype]


SOME = [1, 2, 3, 7, 12, 16, 30, 62, 64, 74, 97, 121, 144, 176, 200]


# Other lengths take one precision, by turns: what they are split into does not depend on it.
LENGTHS = [(n, dtype) for n in SOME for dtype in EPSILON] + [
    pytest.param(n, list(EPSILON)[n // 2 % len(EPSILON)], marks=pytest.mark.slow)
    for n in range(1, 201)
    if n not in SOME
]


# The goal is growth with the root of the logarithm of n; pocketfft's errors of these are up to 3.
@pytest.mark.parametrize(("n", "dtype"), LENGTHS)
def test_errors_are_of_the_order_of_rounding(n, dtype):
    assert compiled_error(n, dtype) < 1.8


@pytest.mark.slow
@pytest.mark.parametrize("dtype", EPSILON)
@pytest.mark.parametrize("n", [1000, 1024, 4096, 10007, 2 * 1009, 44100, 65536, 99991, 1000000])
def test_errors_of_long_transforms_are_as_small(n, dtype):
    assert compiled_error(n, dtype) < 2.5


@pytest.mark.parametrize(
    ("shape", "axes"),
    [
        ((3, 16), (1,)),
        ((16, 9), (0,)),
        ((2, 40, 3), (1,)),
        ((37, 9), (0,)),
        ((12, 5, 8), (2, 0)),
        ((5, 256), (1,)),  # a first pass across vectors
        ((3, 176), (1,)),  # 16 x 11: such vectors have a rest
        ((2, 49152), (1,)),  # by blocks of columns, then of rows
        ((2, 128, 272), (1,)),  # by blocks of lanes
    ],
)
def test_compiled_transforms_over_any_axes(shape, axes):
    z = normal_complex(*shape)
    lengths = tuple(shape[axis] for axis in axes)
    bind = fnad.primitives.fft.transform.fft_p.bind

    def all_kinds(z):
        given = {"fft_lengths": lengths, "axes": axes}
        halved = bind(z.real, fft_type="RFFT", **given)
        return (
            bind(z, fft_type="FFT", **given),
            bind(z, fft_type="IFFT", **given),
            halved,
            bind(halved, fft_type="IRFFT", **given),
        )

    expected = (
        np.fft.fftn(z, axes=axes),
        np.fft.ifftn(z, axes=axes),
        np.fft.rfftn(z.real, axes=axes),
        z.real,
    )
    for found, want in zip(fnad.jit(all_kinds)(z), expected, strict=True):
        np.testing.assert_allclose(found, want, rtol=0, atol=1e-14 * np.abs(want).max())


@pytest.mark.parametrize("n", [6, 7])
def test_imaginary_parts_that_must_be_zero_are_not_read(n):
    half = normal_complex(n // 2 + 1)
    without = half.copy()
    ends = [0] if n % 2 else [0, -1]
    without[ends] = half[ends].real
    found = fnad.jit(lambda z: lax.fft(z, "IRFFT", (n,)))(half)
    np.testing.assert_allclose(found, np.fft.irfft(without, n), rtol=0, atol=1e-15)


def test_what_is_not_finite_stays_in_its_row():
    z = normal_complex(3, 20)
    z[1, 3] = np.inf
    found = fnad.jit(lambda z: lax.fft(z, "FFT", (20,)))(z)
    np.testing.assert_allclose(found[::2], np.fft.fft(z[::2]), rtol=1e-13)
    assert not np.isfinite(found[1]).any()


def test_transforms_of_what_is_computed():
    z = normal_complex(6, 32)

    def f(z):
        return lax.fft(fnad.numpy.exp(z) * z, "FFT", (32,)).sum(0)

    np.testing.assert_allclose(fnad.jit(f)(z), f(z), rtol=1e-12)


@pytest.mark.parametrize("n", [4, 12, 37])
def test_transforms_in_loops_and_branches(n):
    x = normal_complex(3, n).real.copy()

    def step(carry, _):
        half = lax.fft(carry, "RFFT", (n,))
        carry = lax.fft(half * 0.5, "IRFFT", (n,)) + 0.1 * carry
        return carry, half.real

    def f(x):
        last, halves = lax.scan(step, x, None, length=5)
        return lax.cond(last.sum() > 0, lambda y: y, lambda y: 2 * y, last), halves

    for found, expected in zip(fnad.jit(fnad.vmap(f))(x), fnad.vmap(f)(x), strict=True):
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-13)


def test_threads_change_no_bit():
    z = normal_complex(128, 512)
    f = fnad.jit(lambda z: lax.fft(z, "FFT", z.shape))
    found = []
    before = fnad.config.num_threads
    try:
        for threads in (1, 2, 3):
            fnad.config.num_threads = threads
            found.append(f(z))
    finally:
        fnad.config.num_threads = before
    assert all((z == found[0]).all() for z in found)


# -- the user's function -----------------------------------------------------------------------


def test_kinds_have_names_and_numbers():
    z = normal_complex(4)
    for kind in ("FFT", "fft", lax.FftType.FFT, 0):
        np.testing.assert_array_equal(lax.fft(z, kind, (4,)), np.fft.fft(z))
    with pytest.raises(ValueError, match="no transform is called 'DCT', there are FFT, IFFT"):
        lax.fft(z, "DCT", (4,))


def test_bad_operands_are_refused():
    z = normal_complex(2, 4)
    with pytest.raises(ValueError, match=r"FFT with fft_lengths \(5,\) is of arrays that have"):
        lax.fft(z, "FFT", (5,))
    with pytest.raises(TypeError, match=r"RFFT is of real numbers, float32 or float64"):
        lax.fft(z, "RFFT", (4,))
    with pytest.raises(TypeError, match=r"FFT is of complex numbers, but its operand is f64"):
        lax.fft(z.real, "FFT", (4,))
    with pytest.raises(ValueError, match="3 fft_lengths for an operand of rank 2"):
        lax.fft(z, "FFT", (1, 2, 4))
    with pytest.raises(ValueError, match="must be positive"):
        lax.fft(z, "FFT", (2, 0))
    with pytest.raises(ValueError, match="0 fft_lengths"):
        lax.fft(z, "FFT", ())
