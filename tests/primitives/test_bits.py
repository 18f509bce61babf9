"""nextafter, which is a composition; the primitives are checked from ``tests/samples``."""

import warnings

import ml_dtypes
import numpy as np
import pytest

import fnad
import fnad.numpy as fnp
from fnad import lax

EDGES = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 1.0, -1.0, 0.5, 65504.0, -2.0, 1e-7])


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_nextafter_matches_numpy(dtype):
    info = np.finfo(dtype)
    more = [info.smallest_subnormal, -info.smallest_subnormal, info.tiny, info.max, info.min]
    edges = np.array([*EDGES, *more], dtype)
    x, y = (a.ravel() for a in np.meshgrid(edges, edges))
    unsigned = f"u{x.itemsize}"
    for f in (lax.nextafter, fnad.jit(lambda *xs: lax.nextafter(*xs)), fnad.vmap(lax.nextafter)):
        with np.errstate(over="ignore"):
            want = np.where(x == y, y, np.nextafter(x, y))  # NumPy's float16 gives x there
        got = f(x, y)
        assert got.dtype == dtype
        known = ~np.isnan(want)
        np.testing.assert_array_equal(np.isnan(got), ~known)
        np.testing.assert_array_equal(got.view(unsigned)[known], want.view(unsigned)[known])


def test_nextafter_in_bfloat16():
    x = np.array([1.0, -1.0, 0.0, 3.0], ml_dtypes.bfloat16)
    y = np.array([2.0, 2.0, -1.0, -np.inf], ml_dtypes.bfloat16)
    want = np.nextafter(x, y)
    np.testing.assert_array_equal(lax.nextafter(x, y).view("u2"), want.view("u2"))
    compiled = fnad.jit(lambda x, y: lax.nextafter(x, y))
    np.testing.assert_array_equal(compiled(x, y).view("u2"), want.view("u2"))


def test_nextafter_of_scalars_and_gradient():
    assert lax.nextafter(1.0, 2.0) == np.nextafter(1.0, 2.0)
    np.testing.assert_array_equal(lax.nextafter(EDGES, np.inf), np.nextafter(EDGES, np.inf))
    assert fnad.grad(lambda x: x + lax.nextafter(x, 9.0))(1.0) == 1.0
    with pytest.raises(TypeError, match="nextafter: operands of dtype int64"):
        lax.nextafter(np.arange(3), np.arange(3))


@pytest.mark.parametrize("wide", ["f8", "i8", "u4", "f4"])
@pytest.mark.parametrize("narrow", ["i1", "u2", "f2", "i4"])
def test_bitcast_to_other_widths(wide, narrow):
    if np.dtype(wide).itemsize == np.dtype(narrow).itemsize:
        return
    x = (np.arange(12).reshape(3, 4) * 1234.567).astype(wide)
    count = x.itemsize // np.dtype(narrow).itemsize
    pieces = x.view(narrow).reshape(3, 4, count)
    bits = lambda a: np.asarray(a).view("u1")
    split = lambda x: lax.bitcast_convert_type(x, narrow)
    join = lambda x: lax.bitcast_convert_type(x, wide)
    for f in (split, fnad.jit(split), fnad.vmap(split)):
        assert f(x).dtype == narrow and f(x).shape == pieces.shape
        np.testing.assert_array_equal(bits(f(x)), bits(pieces))
    for f in (join, fnad.jit(join), fnad.vmap(join)):
        assert f(pieces).dtype == wide and f(pieces).shape == x.shape
        np.testing.assert_array_equal(bits(f(pieces)), bits(x))
    with pytest.raises(TypeError, match="the last axis must have that length"):
        join(pieces[..., :1])


@pytest.mark.parametrize("exponent", [3, 5, 8, 11])
@pytest.mark.parametrize("mantissa", [0, 3, 10, 23])
def test_reduce_precision_matches_jax(exponent, mantissa):
    jl = pytest.importorskip("jax").lax
    x = np.random.default_rng(0).standard_normal(200).astype(np.float32)
    x = np.concatenate([x, x * 100, x / 100, EDGES.astype(np.float32)])
    f = lambda x: lax.reduce_precision(x, exponent, mantissa)
    want = np.asarray(jl.reduce_precision(x, exponent, mantissa))
    np.testing.assert_array_equal(f(x), want)
    np.testing.assert_array_equal(fnad.jit(f)(x), want)
    slope = fnad.grad(lambda x: (f(x) * np.float32(4)).sum())(x)
    assert (slope == f(np.float32(4))).all()


def test_reduce_precision_of_half_and_errors():
    x = np.array([1.2345, 3e-4, 65504.0], np.float16)
    np.testing.assert_array_equal(lax.reduce_precision(x, 5, 10), x)
    assert lax.reduce_precision(x, 5, 2).tolist() == [1.25, 1.25 * 2.0**-12, np.inf]
    with pytest.raises(ValueError, match="at least 1 bit of exponent"):
        lax.reduce_precision(x, 0, 2)


def test_scalars_evaluate_without_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert lax.mulhi(np.int64(-(2**63)), np.int64(2**63 - 1)) == -(2**62)
        assert lax.mulhi(np.uint64(2**64 - 1), np.uint64(2**64 - 1)) == 2**64 - 2
        assert lax.population_count(np.uint64(2**64 - 1)) == 64
        assert lax.clz(np.int64(0)) == 64
        for x in (0.0, -0.0, np.nan, np.inf, -np.inf):
            lax.nextafter(np.float64(x), np.float64(1.0))


def test_counts_match_jax():
    jl = pytest.importorskip("jax").lax
    x = np.arange(-130, 130, dtype=np.int32) * 16777259
    for name in ("population_count", "clz"):
        np.testing.assert_array_equal(getattr(lax, name)(x), getattr(jl, name)(x))
    np.testing.assert_array_equal(lax.mulhi(x, x[::-1].copy()), jl.mulhi(x, x[::-1].copy()))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint32, np.uint64])
def test_arithmetic_shifts_of_unsigned_integers_repeat_their_highest_bit(dtype):
    x, y = (np.array(v, dtype) for v in ([128, 129, 3, 255, 0], [1, 200, 1, 0, 9]))
    x = x << dtype(np.iinfo(dtype).bits - 8)
    signed = f"i{x.dtype.itemsize}"
    want = np.where(y < 200, x.view(signed) >> y.view(signed), -1).view(dtype)
    for shift in (lax.shift_right_arithmetic, fnad.jit(lax.shift_right_arithmetic)):
        np.testing.assert_array_equal(shift(x, y), want, strict=True)
    assert fnp.right_shift(dtype(128), 1) == 64
