"""Running sums and their kin in compiled code, against NumPy's accumulate."""

import numpy as np
import pytest

import fnad
import fnad.lax as lax

SHAPES = [(1, 1, 1), (3, 5, 1), (2, 16, 1), (3, 37, 1), (1, 1000, 1), (2, 7, 3), (3, 9, 16)]
SHAPES += [(2, 5, 300), (1, 4, 1025), (2, 3, 512)]
UFUNCS = {
    "sum": np.add,
    "prod": np.multiply,
    "max": np.maximum,
    "min": np.minimum,
    "logsumexp": np.logaddexp,
}


def operand(shape, dtype):
    rng = np.random.default_rng(0)
    if np.dtype(dtype).kind == "f":
        return rng.uniform(0.5, 1.5, shape).astype(dtype)
    return rng.integers(0, 100, shape).astype(dtype)


def reference(kind, x, reverse):
    x = np.flip(x, 1) if reverse else x
    wide = x.astype(np.float64) if x.dtype.kind == "f" else x
    out = UFUNCS[kind].accumulate(wide, axis=1, dtype=wide.dtype)
    return np.flip(out, 1) if reverse else out


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("kind", UFUNCS)
def test_shapes(kind, shape, reverse):
    x = operand(shape, np.float32)
    got = fnad.jit(lambda a: getattr(lax, f"cum{kind}")(a, 1, reverse))(x)
    np.testing.assert_allclose(got, reference(kind, x, reverse), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("shape", [(3, 37, 1), (2, 7, 83)])
@pytest.mark.parametrize("dtype", [np.float16, np.float64, np.int8, np.uint16, np.int32, np.int64])
@pytest.mark.parametrize("kind", ["sum", "max"])
def test_dtypes(kind, dtype, shape, reverse):
    x = operand(shape, dtype)
    got = fnad.jit(lambda a: getattr(lax, f"cum{kind}")(a, 1, reverse))(x)
    assert got.dtype == dtype
    np.testing.assert_allclose(got, reference(kind, x, reverse), rtol=4e-3)


@pytest.mark.parametrize("kind", ["sum", "prod", "max", "min"])
@pytest.mark.parametrize("shape", [(1, 40, 1), (1, 40, 20)])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, -0.0])
def test_special_values(kind, shape, value):
    x = operand(shape, np.float32)
    x[:, 19:21] = value
    with np.errstate(all="ignore"):
        want = UFUNCS[kind].accumulate(x, axis=1)
    np.testing.assert_allclose(fnad.jit(lambda a: getattr(lax, f"cum{kind}")(a, 1))(x), want, 1e-5)


@pytest.mark.parametrize("axis", [0, 1])
def test_sign_of_zero(axis):
    x = np.full((20, 20), -0.0, np.float32)
    assert np.signbit(fnad.jit(lambda a: lax.cumsum(a, axis))(x)).all()


@pytest.mark.parametrize("axis", [0, 1])
def test_threads_do_not_change_a_bit(axis):
    x = np.random.default_rng(1).normal(size=(700, 701)).astype(np.float32)
    before, results = fnad.config.num_threads, []
    try:
        for threads in (1, 2, 7):
            fnad.config.num_threads = threads
            results.append(fnad.jit(lambda a: lax.cumsum(a, axis))(x))
    finally:
        fnad.config.num_threads = before
    for result in results[1:]:
        np.testing.assert_array_equal(result, results[0])
