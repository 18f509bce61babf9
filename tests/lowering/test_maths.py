"""Elementary functions in IR against mpmath: the whole range, special values, every width."""

import ctypes

import mpmath
import numpy as np
import pytest

import fnad
import fnad.numpy as fnp
from benchmarks.accuracy import FUNCTIONS, measure, spacing, sweep, wrong_special_values
from fnad import lax
from fnad.core.errors import InternalError
from fnad.lowering.llvm import formulas, host
from fnad.lowering.llvm.target import compile_module
from fnad.lowering.llvm.writer import FLOAT32, FLOAT64, Function, Module
from fnad.lowering.maths import FORMULAS
from tests.tiers import tiered

WIDTHS = (1, 2, 3, 4, 8, 16)


def evaluate(name, lanes, *arrays):
    """One call of a function, a method of builders or another, for ``lanes`` lanes."""
    dtype, module = arrays[0].dtype, Module()
    parameters = ["ptr %out", *(f"ptr %in{i}" for i in range(len(arrays)))]
    f = Function(module, "entry", parameters, linkage="")
    xs = [f.load(f"%in{i}", dtype, lanes) for i in range(len(arrays))]
    f.store(getattr(f.b, name)(*xs) if isinstance(name, str) else name(f.b, *xs), "%out")
    f.ret()
    module.add(f)
    out = np.empty(lanes, dtype)
    code = compile_module(module.text())
    arguments = [out.ctypes.data, *(a.ctypes.data for a in arrays)]
    ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * len(arguments))(code.address("entry"))(*arguments)
    return out


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_errors(name, dtype):
    function = FUNCTIONS[name]
    worst = measure(function, dtype, 120)
    assert worst.error <= function.limit, worst


@pytest.mark.parametrize("name", [name for name in FUNCTIONS if FUNCTIONS[name].arity == 1])
def test_errors_all_over_float32(name):
    """A million numbers of every size; a bound that is missed here and there shows up."""
    worst = sweep(FUNCTIONS[name], 4001)
    assert worst.error <= FUNCTIONS[name].limit, worst


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_special_values(name, dtype):
    assert wrong_special_values(FUNCTIONS[name], dtype) == []


@tiered("dtype", [FLOAT32, FLOAT64], lambda dtype: dtype == FLOAT32)
@pytest.mark.parametrize("name", sorted(FORMULAS))
def test_every_width_gives_the_same_bits(name, dtype):
    arity = 2 if name in ("power", "arctan2", "remainder") else 1
    rng = np.random.default_rng(1)
    x = rng.uniform(-4, 4, (arity, 16)).astype(dtype)
    x[:, ::5] = [-np.inf, np.nan, 1e30, -0.0]
    want = np.array([evaluate(name, 1, *(v[i : i + 1].copy() for v in x))[0] for i in range(16)])
    for lanes in WIDTHS:
        got = evaluate(name, lanes, *x)
        np.testing.assert_array_equal(got, want[:lanes])
        number = ~np.isnan(got)
        np.testing.assert_array_equal(np.signbit(got)[number], np.signbit(want[:lanes])[number])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("lanes", [1, 8])
def test_remainders_are_exact(dtype, lanes):
    rng, info = np.random.default_rng(2), np.finfo(dtype)
    size = 1 << 14
    y = np.ldexp(rng.uniform(1, 2, size), rng.integers(-30, 30, size)).astype(dtype)
    x = (y * np.ldexp(rng.uniform(1, 2, size), rng.integers(-3, info.nmant + 4, size))).astype(
        dtype
    )
    x[::3] = (y * rng.integers(1, 1 << 12, size))[::3].astype(dtype)  # next to whole quotients
    x[1::9] = np.nextafter(x[1::9], dtype(0))
    x *= rng.choice([-1, 1], size).astype(dtype)
    special = [
        0.0,
        -0.0,
        1.5,
        info.max,
        info.tiny,
        info.smallest_subnormal,
        np.inf,
        -np.inf,
        np.nan,
    ]
    pairs = np.array([(a, b) for a in special for b in special], dtype)[
        : len(special) ** 2 // 8 * 8
    ]
    x, y = np.concatenate([x, pairs[:, 0]]), np.concatenate([y, pairs[:, 1]])
    with np.errstate(invalid="ignore"):
        want = np.fmod(x, y)
    got = fnad.jit(lax.rem)(x.reshape(-1, lanes), y.reshape(-1, lanes)).ravel()
    np.testing.assert_array_equal(got, want)
    number = ~np.isnan(want)
    np.testing.assert_array_equal(np.signbit(got)[number], np.signbit(want)[number])


@pytest.mark.parametrize("name", ["lgamma_of_negative", "digamma_of_negative"])
@pytest.mark.parametrize("lanes", [1, 8])
def test_lanes_that_are_not_negative_read_within_the_tables_of_zeros(name, lanes):
    # They are computed as -1.3 is; at 11.7 the place in the table was far outside of it.
    x = np.array([11.7, np.nan, 3.0, np.inf, 0.0, -0.0, 1e300, 0.5])
    as_usual = evaluate(lambda b, x: b.call_formula(name, x), 1, np.array([-1.3]))
    for i in range(0, 8, lanes):
        got = evaluate(lambda b, x: b.call_formula(name, x), lanes, x[i : i + lanes].copy())
        np.testing.assert_array_equal(got, np.full(lanes, as_usual[0]))


ON_POWERS_OF_TWO = ["exp", "exp2", "log", "log10", "log1p", "power", "erfc", "lgamma"]


@pytest.mark.parametrize("name", ON_POWERS_OF_TWO)
def test_machines_without_avx512_get_the_same_bits(name, monkeypatch):
    info = np.finfo(np.float64)
    x = np.array([
        info.tiny, info.smallest_subnormal, 2e-310, info.max, 0.0, -0.0, np.inf, np.nan,
        -1.0, 0.3, 1.0, 7.7, -700.0, -744.0, 26.9, 709.5,
    ])  # fmt: skip
    arrays = [x, np.roll(x, 5)] if name == "power" else [x]
    halves = [[v[:8].copy() for v in arrays], [v[8:].copy() for v in arrays]]
    want = [evaluate(name, 8, *half) for half in halves]
    monkeypatch.setattr(host, "vector_bits", lambda: 256)
    formulas.formula.cache_clear()
    got = [evaluate(name, 8, *half) for half in halves]
    formulas.formula.cache_clear()
    np.testing.assert_array_equal(got, want)


# Doubles and floats next to multiples of pi/2 (Muller, Elementary Functions, chapter 11), and the
# largest ones.
NEAR_MULTIPLES = {
    np.float32: [16367173 * 2.0**72, 3.0e38, 2.0**17, -(2.0**64), 252.89820861816406],
    np.float64: [6381956970095103 * 2.0**797, 1.7e308, 2.0**27, -(2.0**200), 91.106186954104],
}


@pytest.mark.parametrize("dtype", NEAR_MULTIPLES)
@pytest.mark.parametrize("name", ["sin", "cos", "tan"])
def test_huge_and_nearly_singular_angles(name, dtype):
    """In vectors with small angles, too, which must not change."""
    large = np.array(NEAR_MULTIPLES[dtype], dtype)
    small = np.linspace(-3, 3, len(large)).astype(dtype)
    together = evaluate(name, 10, np.concatenate([large, small]))
    np.testing.assert_array_equal(together[5:], evaluate(name, 5, small))
    with mpmath.workprec(1500):
        for x, got in zip(large.tolist(), together.tolist()):
            exact = getattr(mpmath, name)(mpmath.mpf(x))
            assert abs(got - exact) <= 2 * spacing(exact, dtype), x


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_results_stay_within_one(dtype):
    """So that arccos(cos(x)) and sqrt(1 - tanh(x)**2) are numbers."""
    near = np.geomspace(1e-17, 0.1, 20000)
    odd = (np.arange(-2000, 2000) + 0.5) * np.pi
    for function, x in [
        (fnp.cos, near),
        (fnp.sin, odd),
        (fnp.tanh, np.linspace(0, 30, 20000)),
        (lax.erf, np.linspace(0, 7, 20000)),
    ]:
        assert np.abs(fnad.jit(function)(x.astype(dtype))).max() <= 1


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_exact_results(dtype):
    """Where the result is a number of the format, it is found, up to where users look."""
    whole = np.arange(-20, 21).astype(dtype)
    powers = np.ldexp(np.ones(41, dtype), whole.astype(int))
    for name, x, want in [
        ("exp2", whole, powers),
        ("log2", powers, whole),
        ("cbrt", whole**3, whole),
        ("log10", np.array([1, 10, 100, 1000, 10000, 100000], dtype), np.arange(6)),
        ("exp", np.zeros(3, dtype), np.ones(3)),
        ("cos", np.array([0, -0.0, 1e-20], dtype), np.ones(3)),
        ("erfc", np.array([0, -0.0, 1e-20], dtype), np.ones(3)),
        ("cosh", np.array([0, -0.0, 1e-20], dtype), np.ones(3)),
        ("lgamma", np.array([1, 2], dtype), np.zeros(2)),
    ]:
        np.testing.assert_array_equal(evaluate(name, len(x), x), want, err_msg=name)
    squares = evaluate("power", 41, whole, np.full(41, 2, dtype))
    np.testing.assert_array_equal(squares, whole**2)


def test_functions_are_defined_for_floats_only():
    with pytest.raises(InternalError, match="no function sin of dtype int32"):
        formulas.require(Module(), "sin", np.dtype(np.int32))


def test_a_module_contains_a_function_once():
    module = Module()
    first = formulas.require(module, "sin", FLOAT32, 8)
    assert formulas.require(module, "sin", FLOAT32, 8) == first
    assert module.text().count(f"@{first}(") == 1
