"""Elementwise functions against NumPy: dtypes and values, eager and traced."""

import numpy as np
import pytest

import fnad
import fnad.numpy as fnp
from fnad.numpy.ufuncs import OPERATIONS
from tests.numpy.helpers import assert_same, quiet, run_traced

DTYPES = [np.bool_, np.int8, np.int16, np.int32, np.int64, np.uint8, np.uint16, np.uint32]
DTYPES += [np.uint64, np.float16, np.float32, np.float64]
UNARY = [n for n, op in OPERATIONS.items() if op.ufunc.nin == 1]
BINARY = [n for n, op in OPERATIONS.items() if op.ufunc.nin == 2]


def sample(dtype, values):
    if np.dtype(dtype).kind in "bu":
        values = np.abs(np.nan_to_num(values, posinf=3, neginf=2))
    elif np.dtype(dtype).kind == "i":
        values = np.nan_to_num(values, posinf=3, neginf=2)
    return np.asarray(values).astype(dtype)


X = np.array([0.0, 1, -1, 2.5, -2.5, 3, -7, 0.5, 5, np.inf, -np.inf, np.nan])
Y = np.array([2.0, 1, 2, -2, 3, -1, 2, 0, -3, 2, 1, np.nan])


def check(name, *args):
    function, reference = getattr(fnp, name), getattr(np, name)
    try:
        expected = quiet(reference, *args)
    except (TypeError, ValueError, OverflowError) as error:
        with pytest.raises(type(error)):
            function(*args)
        return
    assert_same(function(*args), expected)
    assert_same(run_traced(function, *args), expected)


@pytest.mark.parametrize("dtype", DTYPES, ids=lambda d: d.__name__)
@pytest.mark.parametrize("name", UNARY)
def test_unary(name, dtype):
    # What NumPy gives for the reciprocal of the integer 0 depends on the processor.
    start = 1 if name == "reciprocal" and np.dtype(dtype).kind in "iu" else 0
    x = sample(dtype, X)[start:]
    if name == "spacing" and np.spacing(x).dtype == np.float16:
        # NumPy gives the other dtypes the sign of x, and float16 that of a step upwards.
        x = x[x >= 0]
    check(name, x[x != 0] if start else x)


@pytest.mark.parametrize("dtype", DTYPES, ids=lambda d: d.__name__)
@pytest.mark.parametrize("name", BINARY)
def test_binary(name, dtype):
    y = sample(dtype, Y)
    if name in {"power", "left_shift", "right_shift"} and y.dtype.kind == "i":
        y = np.abs(y)
    check(name, sample(dtype, X), y)


@pytest.mark.parametrize("right", [np.int8, np.uint8, np.int64, np.float16, np.float32, np.bool_])
@pytest.mark.parametrize("left", [np.bool_, np.uint8, np.int32, np.float16, np.float32])
@pytest.mark.parametrize("name", ["add", "true_divide", "maximum", "less", "floor_divide"])
def test_mixed_dtypes(name, left, right):
    check(name, sample(left, X[:4]), sample(right, Y[:4]))


@pytest.mark.parametrize("scalar", [2, -1, 300, 2.5, True], ids=str)
@pytest.mark.parametrize("dtype", DTYPES, ids=lambda d: d.__name__)
@pytest.mark.parametrize("name", ["add", "multiply", "true_divide", "power", "less", "equal"])
def test_python_scalars_are_weak(name, dtype, scalar):
    x = sample(dtype, np.array([0, 1, 2, 3]))
    try:
        expected = quiet(getattr(np, name), x, scalar)
    except (TypeError, ValueError, OverflowError) as error:
        with pytest.raises(type(error)):
            getattr(fnp, name)(x, scalar)
        return
    assert_same(getattr(fnp, name)(x, scalar), expected)
    assert_same(run_traced(lambda a: getattr(fnp, name)(a, scalar), x), expected)


def test_broadcasting_names_the_function_and_shapes():
    with pytest.raises(ValueError, match=r"add: operands of shapes \(2,\), \(3,\)"):
        fnp.add(np.ones(2), np.ones(3))
    assert_same(fnp.add(np.ones((2, 1)), np.ones(3)), np.full((2, 3), 2.0))


@pytest.mark.parametrize(
    "expression",
    [
        lambda x: x + 1, lambda x: 1 - x, lambda x: x * 2.5, lambda x: x / 3, lambda x: 7 // x,
        lambda x: x % 2, lambda x: x**2, lambda x: 2.0**x, lambda x: -x, lambda x: abs(x),
        lambda x: +x, lambda x: x < 2, lambda x: x == 1, lambda x: x <= 2, lambda x: x != x,
        lambda x: divmod(x, 2)[0], lambda x: divmod(7, x)[1], lambda x: x @ x,
        lambda x: round(x, 1),
    ],
)  # fmt: skip
@pytest.mark.parametrize("dtype", [np.int32, np.float16, np.float32, np.float64])
def test_operators(expression, dtype):
    x = np.array([1, 2, 3], dtype)
    expected = np.round(x, 1) if expression.__code__.co_names == ("round",) else expression(x)
    assert_same(run_traced(expression, x), expected)


def test_operators_on_weak_operands_stay_weak():
    from fnad.core.tracer import trace_to_jaxpr
    from fnad.core.types import aval_of

    def program(x):
        return [x * 2, x / 2, fnp.sin(x), x + np.float32(1)]

    jaxpr, _ = trace_to_jaxpr(program, [aval_of(1)], "the test")
    assert [str(a) for a in jaxpr.out_avals] == ["i64*[]", "f64*[]", "f64[]", "f32[]"]


@pytest.mark.parametrize("wrap", [lambda f: f, fnad.jit], ids=["eager", "jit"])
def test_sums_of_exponentials_are_smooth_where_operands_are_equal(wrap):
    for function, slope in ((fnp.logaddexp, 0.5), (fnp.logaddexp2, 0.5)):
        for x in (-2.0, 0.0, 3.5):
            np.testing.assert_allclose(wrap(fnad.grad(function, (0, 1)))(x, x), (slope, slope))
    softplus = lambda x: fnp.logaddexp(x, 0)
    for n, want in enumerate((0.5, 0.25, 0.0, -0.125)):
        derivative = softplus
        for _ in range(n + 1):
            derivative = fnad.grad(derivative)
        np.testing.assert_allclose(wrap(derivative)(0.0), want, atol=1e-15)
    for x, y in ((1.0, 1.0), (-2.0, 2.0), (0.0, 3.0)):
        second = wrap(fnad.jacfwd(fnad.grad(fnp.hypot, (0, 1)), (0, 1)))(x, y)
        want = np.array([[y * y, -x * y], [-x * y, x * x]]) / np.hypot(x, y) ** 3
        np.testing.assert_allclose(second, want, atol=1e-15)
    total = lambda x: fnad.lax.cumlogsumexp(x * np.array([1.0, 1.0, 2.0]))[-1]
    np.testing.assert_allclose(wrap(fnad.grad(fnad.grad(total)))(0.0), 2 / 9, rtol=1e-12)
    x = np.array([-np.inf, np.inf, -800.0, -1.0, 0.0, 800.0])
    got = wrap(fnad.vmap(fnad.grad(softplus)))(x)
    np.testing.assert_allclose(got, 1 / (1 + np.exp(-np.clip(x, -700, 700))), atol=1e-300)
    assert np.isfinite(wrap(fnad.grad(fnp.logaddexp, (0, 1)))(-np.inf, -np.inf)).all()
    for function in (fnp.logaddexp, fnp.logaddexp2):
        assert np.isnan(wrap(fnad.grad(function, (0, 1)))(np.nan, 1.0)).all()


def test_floor_divide_hands_on_no_derivative():
    """Not even one of zeros, of which a norm, which has none at 0, would make NaN."""
    x = np.array([0.1, 0.5])
    length = lambda x, y: fnp.linalg.norm(fnp.floor_divide(x, y))
    for found in fnad.grad(length, argnums=(0, 1))(x, np.array([1.2, 1.5])):
        np.testing.assert_array_equal(found, np.zeros(2))
    with np.errstate(divide="ignore"):
        np.testing.assert_array_equal(fnp.floor_divide(x, 0.0), x // np.float64(0))


@pytest.mark.parametrize("wrap", [lambda f: f, fnad.jit])
def test_remainders_and_fractions_have_slopes_where_they_are_zero(wrap):
    x = np.array([0.0, -0.0, 4.0, -8.0, 1.0, -5.0])
    for y in (4.0, -4.0):
        got = wrap(fnp.remainder)(x, y)
        np.testing.assert_array_equal(got, x % y)
        np.testing.assert_array_equal(np.signbit(got), np.signbit(x % y))
        slopes = wrap(fnad.grad(lambda x, y: fnp.sum(x % y), argnums=(0, 1)))(x, y)
        np.testing.assert_array_equal(slopes[0], np.ones(6))
        np.testing.assert_array_equal(slopes[1], -np.sum(x // y))
    got = wrap(lambda x: fnp.modf(x)[0])(x)
    np.testing.assert_array_equal(np.signbit(got), np.signbit(np.modf(x)[0]))
    slopes = wrap(fnad.grad(lambda x: fnp.sum(fnp.modf(x)[0])))(x)
    np.testing.assert_array_equal(slopes, np.ones(6))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_power_of_one_half_is_a_root(dtype):
    x = np.array([-np.inf, -0.0, 0.0, np.inf, -1.0, 4.0], dtype)
    for f in (lambda x: fnp.power(x, 0.5), lambda x: fnp.float_power(x, 0.5), lambda x: x**0.5):
        want, root, got = quiet(f, x), quiet(np.sqrt, x), fnad.jit(f)(x)
        np.testing.assert_array_equal(got, root)
        np.testing.assert_array_equal(np.signbit(got), np.signbit(want))
