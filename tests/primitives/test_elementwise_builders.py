"""The elementwise factory, the NumPy builder, and what they promise of dtypes and edge cases."""

import numpy as np
import pytest

import fnad
from fnad import lax
from fnad.core.dtypes import canonical_dtype, result_type
from fnad.core.errors import RuleError
from fnad.primitives import arithmetic, logic, special, transcendental
from fnad.primitives.elementwise import elementwise
from fnad.primitives.numpy_builder import NUMPY

INTEGERS = [np.int8, np.int16, np.int32, np.int64, np.uint8, np.uint16, np.uint32, np.uint64]
FLOATS = [np.float16, np.float32, np.float64]


@pytest.mark.parametrize("dtype", INTEGERS)
def test_integer_division_truncates_and_survives_zero(dtype):
    info = np.iinfo(dtype)
    values = [info.max, 7, 1, 0, *([-1, -7, info.min] if info.min else [])]
    values = np.array(values, dtype)
    x, y = (g.ravel() for g in np.meshgrid(values, values))
    quotient, remainder = lax.div(x, y), lax.rem(x, y)
    for a, b, q, r in zip(x.tolist(), y.tolist(), quotient.tolist(), remainder.tolist()):
        exact = 0 if b == 0 else abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1)
        wrapped = int(np.array(exact % 2 ** (info.bits), f"u{info.bits // 8}").astype(dtype))
        assert q == wrapped
        assert r == (0 if b == 0 else a - b * exact)
    assert quotient.dtype == remainder.dtype == dtype


@pytest.mark.parametrize("dtype", INTEGERS)
def test_shifts_beyond_the_width(dtype):
    bits = np.iinfo(dtype).bits
    x = np.full(4, np.iinfo(dtype).max // 3, dtype)
    if np.iinfo(dtype).min:
        x = -x
    amount = np.array([0, 1, bits - 1, bits]).astype(dtype)
    np.testing.assert_array_equal(lax.shift_left(x, amount), np.left_shift(x, amount))
    np.testing.assert_array_equal(lax.shift_right_arithmetic(x, amount), np.right_shift(x, amount))
    unsigned = x.view(f"u{bits // 8}")
    want = np.right_shift(unsigned, amount.astype(unsigned.dtype)).view(dtype)
    np.testing.assert_array_equal(lax.shift_right_logical(x, amount), want)


@pytest.mark.parametrize("float_dtype", FLOATS)
@pytest.mark.parametrize("dtype", INTEGERS)
def test_conversion_to_integer_saturates(float_dtype, dtype):
    info = np.iinfo(dtype)
    x = np.array([np.nan, np.inf, -np.inf, 1.9, -1.9, 0.0], float_dtype)
    low = 0 if info.min == 0 else -1
    want = np.array([0, info.max, info.min, 1, low, 0], dtype)
    got = lax.convert_element_type(x, dtype)
    assert got.dtype == dtype
    np.testing.assert_array_equal(got, want)


def test_conversion_at_the_edge_of_int64():
    x = np.array([2.0**63, -(2.0**63), 2.0**62, np.nextafter(2.0**63, 0)])
    want = [2**63 - 1, -(2**63), 2**62, 2**63 - 1024]
    assert lax.convert_element_type(x, np.int64).tolist() == want


@pytest.mark.parametrize("dtype", FLOATS)
def test_dtypes_are_kept(dtype):
    x = np.array([0.25, 0.5], dtype)
    for name in ("exp", "log", "sin", "tanh", "logistic", "erf", "lgamma", "digamma", "cbrt"):
        assert getattr(lax, name)(x).dtype == dtype, name
    assert lax.add(x, 1).dtype == dtype
    assert lax.mul(2.0, x).dtype == dtype
    assert lax.select(np.array([True, False]), x, 0.0).dtype == dtype


def test_float16_is_rounded_once():
    # In float16 arithmetic x + x overflows at 65504; 1 / (1 + exp(-x)) does not.
    x = np.array([-11.5, 11.5], np.float16)
    want = (1 / (1 + np.exp(-x.astype(np.float64)))).astype(np.float16)
    np.testing.assert_array_equal(lax.logistic(x), want)


@pytest.mark.parametrize("dtype", [np.int64, np.int8, np.uint8])
def test_integer_power(dtype):
    x = np.array([0, 1, 2, 3, 5, 7], dtype)
    np.testing.assert_array_equal(lax.pow(x, dtype(5)), np.power(x, dtype(5)))
    if np.iinfo(dtype).min:
        x = np.array([1, -1, -1, 2, 0], dtype)
        y = np.array([-3, -3, -2, -1, -1], dtype)
        assert lax.pow(x, y).tolist() == [1, -1, 1, 0, 0]


@pytest.mark.parametrize("y", [-3, -1, 0, 1, 2, 7])
def test_integer_pow(y):
    x = np.array([-2.0, 0.5, 3.0])
    np.testing.assert_allclose(lax.integer_pow(x, y), x ** float(y), rtol=1e-15)


def test_erf_inv_is_accurate():
    from scipy.special import erfinv

    x = np.concatenate([np.linspace(-0.999, 0.999, 500), 1 - 10.0 ** -np.arange(3, 16)])
    np.testing.assert_allclose(lax.erf_inv(x), erfinv(x), rtol=4e-15)
    assert lax.erf_inv(1.0) == np.inf
    assert lax.erf_inv(-1.0) == -np.inf
    assert np.isnan(lax.erf_inv(1.5))


@pytest.mark.parametrize("order", [1, 2, 3])
def test_polygamma_is_accurate(order):
    from scipy.special import polygamma

    x = np.array([-20.3, -5.7, -0.5, 0.1, 0.5, 1.0, 3.0, 50.0, 1e4])
    np.testing.assert_allclose(special.polygamma(order, x), polygamma(order, x), rtol=1e-12)


def test_special_values():
    inf, nan = np.inf, np.nan
    x = np.array([inf, -inf, nan, 0.0])
    np.testing.assert_array_equal(lax.is_finite(x), [False, False, False, True])
    np.testing.assert_array_equal(lax.max(x, 0.0), [inf, 0, nan, 0])
    np.testing.assert_array_equal(lax.min(x, 0.0), [0, -inf, nan, 0])
    np.testing.assert_array_equal(lax.sign(x), [1, -1, nan, 0])
    np.testing.assert_array_equal(lax.logistic(x), [1, 0, nan, 0.5])


SINGULAR = {
    # function, point, derivative: where the limit is one-sided, what JAX gives
    "abs at 0": (arithmetic.abs, 0.0, 1.0),
    "max at a tie": (lambda x: arithmetic.max(x, 1.0), 1.0, 0.5),
    "min at a tie": (lambda x: arithmetic.min(1.0, x), 1.0, 0.5),
    "x**0 at 0": (lambda x: arithmetic.pow(x, 0.0), 0.0, 0.0),
    "x**1 at 0": (lambda x: arithmetic.pow(x, 1.0), 0.0, 1.0),
    "x**2 at 0": (lambda x: arithmetic.pow(x, 2.0), 0.0, 0.0),
    "0**y": (lambda y: arithmetic.pow(0.0, y), 2.0, 0.0),
    "integer_pow 0 at 0": (lambda x: arithmetic.integer_pow(x, 0), 0.0, 0.0),
    "integer_pow 1 at 0": (lambda x: arithmetic.integer_pow(x, 1), 0.0, 1.0),
    "sqrt at 0": (arithmetic.sqrt, 0.0, np.inf),
    "clamp at its bound": (lambda x: arithmetic.clamp(0.0, x, 1.0), 1.0, 0.0),
    "where guards": (
        lambda x: logic.select(
            logic.gt(x, 0.0), transcendental.log(logic.select(logic.gt(x, 0.0), x, 1.0)), 0.0
        ),
        0.0,
        0.0,
    ),
}


@pytest.mark.parametrize("name", SINGULAR)
def test_derivatives_at_singular_points(name):
    function, point, derivative = SINGULAR[name]
    assert fnad.grad(function)(point) == derivative
    assert fnad.jit(fnad.grad(function))(point) == derivative


def test_scalar_operands_next_to_arrays():
    x = np.arange(1.0, 4.0)

    def product(s, x):
        return lax.mul(s, x).sum()

    assert fnad.grad(product)(2.0, x) == x.sum()
    np.testing.assert_array_equal(
        fnad.vmap(lax.mul, in_axes=(0, None))(np.array([1.0, 2.0]), x), np.outer([1, 2], x)
    )
    primal, tangent = fnad.jvp(lambda s: lax.add(s, x), (2.0,), (1.0,))
    assert primal.shape == tangent.shape == (3,)


def test_promotion_is_numpys():
    assert result_type(np.float32(1), 2.0) == np.float32
    assert result_type(np.int8(1), 2) == np.int8
    assert result_type(1, 2.0) == np.float64
    assert result_type(np.zeros(2, np.uint64), np.zeros(2, np.int64)) == np.float64
    with pytest.raises(TypeError, match="not supported"):
        canonical_dtype(object)


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: lax.add(np.zeros(2, np.float32), np.zeros(2)), "equal dtypes"),
        (lambda: lax.add(np.zeros(2), np.zeros(3)), "equal shapes"),
        (lambda: lax.add(np.zeros(2, int), 0.5), "Python scalar"),
        (lambda: lax.exp(np.zeros(2, int)), r"exp: operands of dtype int64 are not supported"),
        (lambda: lax.select(np.zeros(2), 1.0, 2.0), "predicate must be boolean"),
        (lambda: lax.bitcast_convert_type(np.zeros(2), bool), "64 bits"),
        (lambda: lax.convert_element_type(np.zeros(2), "O"), "not supported"),
    ],
)
def test_bad_operands_are_named(call, sentence):
    with pytest.raises(TypeError, match=sentence):
        call()


def test_wrong_rules_are_found_at_definition():
    with pytest.raises(RuleError, match="2 derivatives, but its scalar rule takes 1"):
        elementwise("one", "", lambda b, x: x, derivatives=[None, None])
    with pytest.raises(RuleError, match=r"3 positional arguments \(t, ans, x0\)"):
        elementwise("two", "", lambda b, x: x, derivatives=[lambda t, x: t])


def test_a_result_never_aliases_its_operand():
    x = np.ones(3)
    y = lax.stop_gradient(x)
    x[0] = 7
    assert y[0] == 1


def test_builder_keeps_float32():
    x = np.float32(0.5)
    for name in ("exp", "sqrt", "erf", "lgamma", "digamma", "erfinv", "cbrt", "tanh"):
        assert getattr(NUMPY, name)(x).dtype == np.float32, name


def test_derivative_rules_may_use_arrays():
    w = np.array([1.0, 2.0, 3.0])
    weighted_p = elementwise(
        "weighted", "x.", lambda b, x: x + 0, derivatives=[lambda t, ans, x: t * w], kinds="f"
    )
    x = np.ones(3)
    gradient = fnad.grad(lambda x: weighted_p.bind(x * x).sum())
    np.testing.assert_array_equal(gradient(x), 2 * w)
    np.testing.assert_array_equal(fnad.jit(gradient)(x), 2 * w)
    assert "constant %1:f64[3]" in fnad.jit(gradient).lower(x).as_text("plan")
