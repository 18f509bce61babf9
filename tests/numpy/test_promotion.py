"""Promotion: the dtypes of every pair are NumPy's, called with arrays, traced and compiled."""

import itertools
import operator

import ml_dtypes
import numpy as np
import pytest

import fnad
import fnad.numpy as fnp
from fnad.testing import assert_allclose

pytestmark = [
    pytest.mark.filterwarnings("ignore::RuntimeWarning"),
    pytest.mark.filterwarnings("ignore::fnad.errors.RecompilationWarning"),
]

DTYPES = [
    *("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
    *("float16", "float32", "float64", "complex64", "complex128"),
]
ARRAYS = {name: np.array([1, 2]).astype(name) for name in DTYPES}
SCALARS = {"True": True, "1": 1, "1.5": 1.5, "1.5j": 1.5j}
OPERANDS = ARRAYS | SCALARS
PAIRS = [
    (left, right)
    for left, right in itertools.product(OPERANDS, repeat=2)
    if left in ARRAYS or right in ARRAYS
]
CONDITION = np.array([True, False])


def where(xp, x, y):
    return xp.where(CONDITION, x, y)


def concatenate(xp, x, y):
    return xp.concatenate([xp.atleast_1d(x), xp.atleast_1d(y)])


def clip(xp, x, y):
    return xp.clip(x, y, y)


def named(name):
    return lambda xp, x, y: getattr(xp, name)(x, y)


FUNCTIONS = {
    name: named(name)
    for name in (
        *("add", "subtract", "multiply", "true_divide", "floor_divide", "remainder", "power"),
        *("float_power", "maximum", "minimum", "fmax", "arctan2", "logaddexp", "copysign"),
        *("equal", "less", "logical_and", "bitwise_and", "left_shift", "gcd"),
        *("outer", "append", "result_type"),
    )
} | {"where": where, "concatenate": concatenate, "clip": clip}
OPERATORS = {
    name: getattr(operator, name)
    for name in ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "eq", "lt", "and_")
}


def outcome(function, *args):
    """The dtype of a result; "refused" if there is none."""
    try:
        out = function(*args)
    except TypeError:
        return "refused"
    return getattr(out, "dtype", out).name


def traced(function, left, right):
    """The dtype of a result of traced arrays; Python scalars stay what they are."""
    arrays = [x for x in (left, right) if isinstance(x, np.ndarray)]

    def call(*given):
        rest = iter(given)
        out = function(*[next(rest) if isinstance(x, np.ndarray) else x for x in (left, right)])
        return np.zeros(0, out) if isinstance(out, np.dtype) else out

    return outcome(lambda: fnad.eval_shape(call, *arrays))


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions(name):
    function = FUNCTIONS[name]
    wrong = {}
    for pair in PAIRS:
        left, right = (OPERANDS[key] for key in pair)
        want = outcome(function, np, left, right)
        got = (
            outcome(function, fnp, left, right),
            traced(lambda x, y: function(fnp, x, y), left, right),
        )
        if got != (want, want):
            wrong[pair] = want, got
    assert not wrong


@pytest.mark.parametrize("name", OPERATORS)
def test_operators_of_traced_arrays(name):
    function = OPERATORS[name]
    wrong = {}
    for pair in PAIRS:
        left, right = (OPERANDS[key] for key in pair)
        want, got = outcome(function, left, right), traced(function, left, right)
        if got != want:
            wrong[pair] = want, got
    assert not wrong


@pytest.mark.parametrize("left", DTYPES)
def test_compiled(left):
    x = ARRAYS[left]
    functions = [FUNCTIONS[n] for n in ("add", "multiply", "true_divide", "maximum", "equal")]
    functions += [FUNCTIONS["power"]] if x.dtype.kind in "fc" else []
    others = [*ARRAYS.values(), *SCALARS.values()]

    def all_of_them(x, *arrays):
        ys = [*arrays, *SCALARS.values()]
        made = [[f(fnp, x, y) for f in functions] for y in ys]
        return [*made, [where(fnp, x, y) for y in ys], [concatenate(fnp, x, y) for y in ys]]

    got = fnad.jit(all_of_them)(x, *ARRAYS.values())
    want = [[f(np, x, y) for f in functions] for y in others]
    want += [[where(np, x, y) for y in others], [concatenate(np, x, y) for y in others]]
    assert_allclose(got, want)


# NumPy knows nothing of bfloat16: these are JAX's rules.
BFLOAT16 = {
    **dict.fromkeys(DTYPES[:9], "bfloat16"),
    "float16": "float32",
    "float32": "float32",
    "float64": "float64",
    "complex64": "complex64",
    "complex128": "complex128",
    "True": "bfloat16",
    "1": "bfloat16",
    "1.5": "bfloat16",
    "1.5j": "complex64",
}


@pytest.mark.parametrize("other", BFLOAT16)
def test_bfloat16(other):
    x, y = np.array([1, 2], ml_dtypes.bfloat16), OPERANDS[other]
    names = ["add", "multiply", "true_divide", "maximum", "power", "where"]
    for f in names + ["concatenate"] * (other in ARRAYS):  # of a scalar it makes an array first
        for left, right in ((x, y), (y, x)):
            assert outcome(FUNCTIONS[f], fnp, left, right) == BFLOAT16[other], f
            assert traced(lambda a, b, f=f: FUNCTIONS[f](fnp, a, b), left, right) == BFLOAT16[other]


def test_jax_has_the_same_rules_for_bfloat16():
    jax = pytest.importorskip("jax")
    with jax.enable_x64(True):
        for other, want in BFLOAT16.items():
            y = OPERANDS[other]
            assert jax.numpy.result_type(jax.numpy.bfloat16, getattr(y, "dtype", y)).name == want


class TestComparisonsOfSigns:
    """No integer dtype holds uint64 and int64, but NumPy compares them exactly."""

    SIGNED = np.array([-(2**63), -1, 0, 1, 2**62 + 1, 2**63 - 1])
    UNSIGNED = np.array([0, 1, 2**62, 2**63 - 1, 2**63, 2**64 - 1], np.uint64)

    @pytest.mark.parametrize(
        "name", ["equal", "not_equal", "less", "less_equal", "greater", "greater_equal"]
    )
    def test_values(self, name):
        signed, unsigned = (g.ravel() for g in np.meshgrid(self.SIGNED, self.UNSIGNED))
        for pair in ((signed, unsigned), (unsigned, signed), (signed[0], unsigned)):
            want = getattr(np, name)(*pair)
            np.testing.assert_array_equal(getattr(fnp, name)(*pair), want)
            np.testing.assert_array_equal(fnad.jit(getattr(fnp, name))(*pair), want)


@pytest.mark.parametrize("name", ["sinc", "trapezoid"])
def test_compositions_keep_bfloat16(name):
    x = np.array([0.0, 0.5, 1.5, -2.5], fnp.bfloat16)
    function = getattr(fnp, name)
    expected = getattr(np, name)(x.astype(float))
    for out in (function(x), fnad.jit(function)(x)):
        assert out.dtype == fnp.bfloat16
        np.testing.assert_allclose(np.asarray(out).astype(float), expected, atol=2e-2)
