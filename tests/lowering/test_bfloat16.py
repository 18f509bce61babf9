"""bfloat16: 16 bits in memory, float32 in between, rounded to nearest even."""

import subprocess
import sys

import ml_dtypes
import numpy as np
import pytest

import fnad
import fnad.numpy as fnp
from fnad import lax

B = np.dtype(ml_dtypes.bfloat16)
EVERY = np.arange(1 << 16, dtype=np.uint16).view(B)
RNG = np.random.default_rng(0)
X, Y = (RNG.standard_normal((37, 19)).astype(B) for _ in range(2))


def equal(got, want):
    """Of one dtype and bit by bit equal, but for what NaN holds."""
    got, want = np.asarray(got), np.asarray(want)
    assert got.dtype == want.dtype and got.shape == want.shape
    nan = np.isnan(want)
    np.testing.assert_array_equal(np.isnan(got), nan)
    np.testing.assert_array_equal(got[~nan].view(np.uint16), want[~nan].view(np.uint16))


def close(got, want):
    """Within one rounding of what was computed in higher precision."""
    assert got.dtype == B
    want = np.asarray(want, np.float64)
    np.testing.assert_allclose(got.astype(np.float64), want, rtol=2.0**-7, atol=1e-30)


def test_from_float32_rounds_to_nearest_even():
    upper = np.arange(1 << 16, dtype=np.uint32) << 16
    lower = np.array([0, 1, 0x7FFF, 0x8000, 0x8001, 0xFFFF], np.uint32)
    x = (upper[:, None] | lower).view(np.float32)
    with np.errstate(all="ignore"):
        want = x.astype(B)
    equal(fnad.jit(lambda x: x.astype(B))(x), want)


def test_to_float32_is_exact():
    got = fnad.jit(lambda x: x.astype(np.float32))(EVERY)
    np.testing.assert_array_equal(got, EVERY.astype(np.float32))


OTHERS = ["bool", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64"]
OTHERS += ["float16", "float64"]


@pytest.mark.parametrize("other", OTHERS)
def test_conversions(other):
    finite = EVERY[np.isfinite(EVERY.astype(np.float32))]
    to, back = fnad.jit(lambda x: x.astype(other)), fnad.jit(lambda x: x.astype(B))
    if np.dtype(other).kind in "iu":
        info = np.iinfo(other)
        wide = np.clip(finite.astype(np.float64), info.min, float(info.max))
        inside = wide < float(info.max)
        np.testing.assert_array_equal(to(finite)[inside], np.trunc(wide[inside]).astype(other))
        assert (to(finite)[~inside] == info.max).all()
        numbers = RNG.integers(info.min, info.max, 1000, other, endpoint=True)
    else:
        with np.errstate(all="ignore"):
            np.testing.assert_array_equal(to(finite), finite.astype(np.float32).astype(other))
        numbers = (RNG.standard_normal(1000) * 100).astype(other)
    equal(back(numbers), numbers.astype(np.float32).astype(B))


@pytest.mark.parametrize(
    "function",
    [np.exp, np.tanh, np.sqrt, np.sin, np.log1p, np.floor, np.rint, np.negative, np.abs, np.sign,
     np.square, np.reciprocal],
)  # fmt: skip
def test_functions_of_one_number(function):
    """Of every number: as computed in float32 and rounded once, or its neighbour."""
    with np.errstate(all="ignore"):
        want = function(EVERY.astype(np.float32)).astype(B)
    got = fnad.jit(lambda x: getattr(fnp, function.__name__)(x))(EVERY)
    nan = np.isnan(want)
    np.testing.assert_array_equal(np.isnan(got), nan)
    bits = [v[~nan].view(np.int16).astype(int) for v in (got, want)]
    difference = np.abs(bits[0] - bits[1])
    assert difference.max() <= 1 and (difference > 0).mean() < 0.01


def test_every_operation_is_rounded():
    """Results are those of one operation after another, whatever a kernel fuses."""
    got = fnad.jit(lambda x, y: (x * y + x) / 3 - y)(X, Y)
    step = lambda f, *xs: f(*[np.asarray(x, B).astype(np.float32) for x in xs]).astype(B)
    want = step(np.add, step(np.multiply, X, Y), X)
    want = step(np.subtract, step(np.divide, want, 3), Y)
    equal(got, want)


def test_comparisons_and_choices():
    x, y = X.copy(), Y.copy()
    x[::5], y[::7], x[3], y[4] = np.nan, np.inf, 0.0, -0.0
    wide = x.astype(np.float32), y.astype(np.float32)
    got = fnad.jit(lambda x, y: (x < y, x == y, fnp.isnan(x), fnp.argmax(x), fnp.sort(y, 0)))(x, y)
    want = wide[0] < wide[1], wide[0] == wide[1], np.isnan(wide[0]), np.argmax(wide[0])
    for a, b in zip(got, want):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(got[4].astype(np.float32), np.sort(wide[1], 0))
    equal(fnad.jit(fnp.maximum)(x, y), np.maximum(*wide).astype(B))
    equal(fnad.jit(fnp.sort)(x), np.sort(wide[0]).astype(B))


def test_sums_are_taken_in_float32():
    """In bfloat16 the sum would stop at 256."""
    ones = np.ones((3, 1000), B)
    out = fnad.jit(lambda x: (x.sum(), x.sum(1), x.mean(), fnp.cumsum(x, 1)[:, -1], x @ x.T))(ones)
    for got, want in zip(out, (3000, [1000] * 3, 1, [1000] * 3, np.full((3, 3), 1000))):
        equal(got, np.asarray(want, np.float32).astype(B))


@pytest.mark.parametrize("dtype", [B, np.dtype(np.float16)])
def test_scattered_sums_are_taken_in_float32(dtype):
    places = np.arange(3001) % 3
    add = fnad.jit(lambda x: fnp.at(x)[places].add(dtype.type(1)))
    np.testing.assert_array_equal(add(np.zeros(4, dtype)), np.array([1001, 1000, 1000, 0], dtype))


@pytest.mark.parametrize(
    "shapes", [((5, 7), (7, 3)), ((2, 40, 70), (2, 70, 33)), ((130, 300), (300,))]
)
def test_products(shapes):
    a, b = (RNG.standard_normal(s).astype(B) for s in shapes)
    want = np.matmul(a.astype(np.float64), b.astype(np.float64))
    size = np.matmul(np.abs(a.astype(np.float64)), np.abs(b.astype(np.float64)))
    got = fnad.jit(fnp.matmul)(a, b)
    assert got.dtype == B
    error = np.abs(got.astype(np.float64) - want)
    assert (error <= 2.0**-8 * np.abs(want) + 1e-6 * size).all()


def test_derivatives():
    f = lambda x: (fnp.tanh(x) * x).sum()
    wide = np.asarray(fnad.grad(f)(X.astype(np.float64)))
    got = fnad.jit(fnad.grad(f))(X)
    assert got.dtype == B
    np.testing.assert_allclose(got.astype(np.float64), wide, rtol=0.03, atol=0.02)
    assert fnad.jit(fnad.grad(lambda w: ((X @ w.T) ** 2).mean()))(Y).dtype == B
    each = fnad.jit(fnad.vmap(lambda x, y: fnp.dot(x, y)))(X, Y)
    close(each, np.sum(X.astype(np.float32) * Y.astype(np.float32), 1))


def test_loops_carry_it():
    carry, ys = fnad.jit(lambda x: lax.scan(lambda c, z: (c + z, c * z), x[0], x))(X)
    want, parts = X[0].astype(np.float32), []
    for row in X.astype(np.float32):
        parts.append((want * row).astype(B))
        want = (want + row).astype(B).astype(np.float32)
    equal(carry, want.astype(B))
    equal(ys, np.stack(parts))


def test_scalars_and_bits():
    f = fnad.jit(lambda s: (s * s, s + 1, lax.bitcast_convert_type(s, np.uint16)))
    for _ in range(3):
        square, more, bits = f(B.type(1.5))
        assert (type(square), type(more)) == (B.type, B.type)
        assert (float(square), float(more), int(bits)) == (2.25, 2.5, 0x3FC0)


def test_random_numbers():
    """JAX's for this key, which fill the significand from 8 bits."""
    key = fnad.random.PRNGKey(3)
    draws = fnad.jit(lambda k: fnad.random.uniform(k, (1000,), B))(key)
    assert draws.dtype == B
    np.testing.assert_array_equal(draws.astype(np.float32) * 128 % 1, 0)
    assert draws.min() >= 0 and draws.max() < 1
    expected = [0.4921875, 0.765625, 0.8671875, 0.1875, 0.6796875, 0.390625, 0.1171875, 0.1796875]
    np.testing.assert_array_equal(draws[:8].astype(np.float32), expected)


PROGRAM = """
import numpy as np, fnad, fnad.numpy as fnp
f = fnad.jit(lambda x: (fnp.exp(x) @ x.T, x[:, ::2].T.copy()))
x = np.arange(12).reshape(3, 4).astype(fnp.bfloat16)
for _ in range(3):
    a, b = f(x)
assert a.dtype == b.dtype == fnp.bfloat16
print(a.astype(float).tolist(), b.astype(float).tolist())
"""


def test_later_processes_find_the_machine_code(tmp_path):
    env = {"FNAD_CACHE_DIR": str(tmp_path), "PYTHONPATH": ":".join(sys.path)}
    outs, counts = [], []
    for _ in range(2):
        run = [sys.executable, "-c", PROGRAM]
        outs.append(subprocess.run(run, env=env, capture_output=True, text=True, check=True).stdout)
        counts.append(sum(path.is_file() for path in tmp_path.rglob("*")))
    assert outs[0] == outs[1] and counts[0] == counts[1] > 0
