"""Functions of complex numbers in compiled programs: edges, branch cuts, magnitudes, accuracy."""

import itertools

import mpmath
import numpy as np
import pytest

import fnad
import fnad.numpy as fnp

# Parts: zeros of either sign, the cuts' ends, what over- and underflows, and what is not finite.
PARTS = {
    np.complex128: [0.0, -0.0, 1.0, -1.0, 0.5, -2.0, 1e-300, 1e300, -1e300, 1e-20, 710.0, -800.0],
    np.complex64: [0.0, -0.0, 1.0, -1.0, 0.5, -2.0, 1e-38, 1e38, -1e38, 1e-10, 89.0, -100.0],
}
EDGES = [np.pi / 2, np.inf, -np.inf, np.nan]

# Of C99's annex G; the signs of zeros that it leaves open are left open here, too.
FUNCTIONS = [
    "exp", "log", "sqrt", "sin", "cos", "tan", "sinh", "cosh", "tanh", "arcsin", "arccos",
    "arctan", "arcsinh", "arccosh", "arctanh", "absolute", "sign", "square", "conjugate",
    "negative",
]  # fmt: skip
OPEN_ZEROS = {"cos", "cosh"}


def edges(dtype):
    parts = PARTS[dtype] + EDGES
    return np.array([complex(a, b) for a, b in itertools.product(parts, parts)], dtype)


def assert_same_parts(got, want, rtol, zeros=True):
    """Compare real and imaginary parts, each by itself, with the signs of zeros."""
    for part in ("real", "imag"):
        a, b = getattr(got, part), getattr(want, part)
        with np.errstate(all="ignore"):
            near = np.abs(a - b) <= rtol * np.abs(b)
        equal = (a == b) & ((np.signbit(a) == np.signbit(b)) | ~zeros)
        wrong = ~(near | equal | (np.isnan(a) & np.isnan(b)))
        assert not wrong.any(), f"{part}: {got[wrong][:4]} for {want[wrong][:4]}"


@pytest.mark.parametrize("dtype", PARTS)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_edges(name, dtype):
    x = edges(dtype)
    with np.errstate(all="ignore"):
        want = getattr(np, name)(x)
    got = fnad.jit(getattr(fnp, name))(x)
    assert got.dtype == want.dtype
    rtol = 1e-14 if dtype == np.complex128 else 5e-6
    zeros = np.isfinite(x.real) & np.isfinite(x.imag) | (name not in OPEN_ZEROS)
    assert_same_parts(got, want, rtol, zeros)


@pytest.mark.parametrize("dtype", PARTS)
@pytest.mark.parametrize("name", ["add", "subtract", "multiply", "divide", "equal", "not_equal"])
def test_edges_of_two(name, dtype):
    x = edges(dtype)
    x, y = (a.ravel() for a in np.meshgrid(x, x[:: 5 if dtype == np.complex64 else 3]))
    with np.errstate(all="ignore"):
        want = getattr(np, name)(x, y)
    got = fnad.jit(getattr(fnp, name))(x, y)
    if want.dtype == np.bool_:
        np.testing.assert_array_equal(got, want)
        return
    # Sums of products are fused, so that what cancels leaves a rounding error.
    size = np.abs(want)
    with np.errstate(all="ignore"):
        same = np.abs(got - want) <= np.finfo(dtype).eps * 4 * size
        for part in ("real", "imag"):
            a, b = getattr(got, part), getattr(want, part)
            close = np.abs(a - b) <= np.finfo(dtype).eps * 4 * np.abs(b)
            same |= (a == b) | close | (np.isnan(a) & np.isnan(b))
            assert np.array_equal(np.isnan(a), np.isnan(b))
            assert np.array_equal(np.isinf(a), np.isinf(b))
    assert same.all()


ORDERED = ["maximum", "minimum", "less", "less_equal", "greater", "greater_equal"]


@pytest.mark.parametrize("name", ORDERED)
def test_order(name):
    x = edges(np.complex128)
    x, y = (a.ravel() for a in np.meshgrid(x, x[::3]))
    want = getattr(np, name)(x, y)
    np.testing.assert_array_equal(fnad.jit(getattr(fnp, name))(x, y), want)


def test_sorting_puts_nan_last(rng):
    x = rng.permutation(edges(np.complex128))
    np.testing.assert_array_equal(fnad.jit(fnp.sort)(x), np.sort(x))
    np.testing.assert_array_equal(fnad.jit(fnp.argsort)(x), np.argsort(x, stable=True))


@pytest.mark.parametrize("name", ["argmax", "argmin", "max", "min"])
def test_extrema(name, rng):
    for x in (
        rng.integers(-2, 3, (4, 50)) + 1j * rng.integers(-2, 3, (4, 50)),
        np.full((2, 3), -np.inf - 1j * np.inf),
    ):
        np.testing.assert_array_equal(fnad.jit(getattr(fnp, name))(x), getattr(np, name)(x))
        per_row = fnad.jit(lambda x: getattr(fnp, name)(x, axis=1))
        np.testing.assert_array_equal(per_row(x), getattr(np, name)(x, axis=1))
    x = np.array([1, 3, complex(2, np.nan), complex(np.nan, 0)])
    if name.startswith("arg"):
        assert fnad.jit(getattr(fnp, name))(x) == 2
    else:
        assert np.isnan(fnad.jit(getattr(fnp, name))(x))


@pytest.mark.parametrize("name", ["isfinite", "isnan", "isinf"])
def test_classification(name):
    x = edges(np.complex128)
    np.testing.assert_array_equal(fnad.jit(getattr(fnp, name))(x), getattr(np, name)(x))


def test_powers_of_zero():
    x, y = np.meshgrid(np.array([0, 1j, 2.0]), np.array([0, 1, 2, 0.5, -1, 1j, 1 + 1j]))
    with np.errstate(all="ignore"):
        want = x.astype(complex) ** y
    np.testing.assert_allclose(
        fnad.jit(fnp.power)(x.astype(complex), y), want, rtol=1e-14, atol=1e-15
    )


# -- accuracy -------------------------------------------------------------------------------------


def points(rng, dtype):
    """Numbers of all angles and of magnitudes from small to large."""
    low, high = (-12, 12) if dtype == np.complex64 else (-100, 100)
    size = 10.0 ** rng.uniform(low, high, 150)
    spread = size * np.exp(1j * rng.uniform(-np.pi, np.pi, 150))
    near_one = 1 + 10.0 ** rng.uniform(-8, 0, 50) * np.exp(1j * rng.uniform(-np.pi, np.pi, 50))
    near = rng.normal(size=100) * 2 + 2j * rng.normal(size=100)
    return np.concatenate([spread, near_one, -near_one, 1j * near_one, near]).astype(dtype)


EXACT = {
    "exp": mpmath.exp, "expm1": lambda z: mpmath.exp(z) - 1, "log": mpmath.log,
    "log1p": lambda z: mpmath.log(1 + z), "sqrt": mpmath.sqrt, "sin": mpmath.sin,
    "cos": mpmath.cos, "tan": mpmath.tan, "sinh": mpmath.sinh, "cosh": mpmath.cosh,
    "tanh": mpmath.tanh, "arcsin": mpmath.asin, "arccos": mpmath.acos, "arctan": mpmath.atan,
    "arcsinh": mpmath.asinh, "arccosh": mpmath.acosh, "arctanh": mpmath.atanh,
    "abs": abs, "reciprocal": lambda z: 1 / z,
}  # fmt: skip
# Their values for large numbers are of no use: as many digits are lost as the angle has turns.
PERIODIC = {"exp", "expm1", "sin", "cos", "tan", "sinh", "cosh", "tanh"}


@pytest.mark.parametrize("dtype", PARTS)
@pytest.mark.parametrize("name", EXACT)
def test_accuracy(name, dtype, rng):
    z = points(rng, dtype)
    if name in PERIODIC:
        z = z[np.abs(z) < 20]
    got = fnad.jit(getattr(fnp, name))(z).astype(complex)
    with mpmath.workdps(450):
        exact = [EXACT[name](mpmath.mpc(complex(v))) for v in z]
        error = [float(abs(mpmath.mpmathify(complex(g)) - e) / abs(e)) for g, e in zip(got, exact)]
    assert max(error) < 2 * np.finfo(dtype).eps, (z[np.argmax(error)], max(error))


def test_division_neither_over_nor_underflows(rng):
    scales = np.array([1e-290, 1e-150, 1.0, 1e150, 1e290])
    x, y = np.meshgrid(scales * (0.6 + 0.8j), scales * (0.28 - 0.96j))
    np.testing.assert_allclose(fnad.jit(fnp.divide)(x, y), x / y, rtol=1e-15)


FLAT_AT_INFINITY = [
    "log", "log2", "log10", "log1p", "sqrt", "arcsin", "arccos", "arctan", "arcsinh", "arccosh",
    "arctanh",
]  # fmt: skip


@pytest.mark.parametrize("wrap", [lambda f: f, fnad.jit])
@pytest.mark.parametrize("name", FLAT_AT_INFINITY)
def test_derivatives_at_infinity_are_their_limit(name, wrap):
    parts = [np.inf, -np.inf, 0.0, -0.0, 1.0, np.nan]
    x = np.array([complex(a, b) for a, b in itertools.product(parts, parts)])
    x = x[np.isinf(x)]
    slope = wrap(lambda x: fnad.jvp(getattr(fnp, name), (x,), (np.ones_like(x),))[1])(x)
    np.testing.assert_array_equal(slope, 0)
    assert np.isnan(wrap(fnad.grad(getattr(fnp, name), holomorphic=True))(complex(np.nan, 1.0)))
