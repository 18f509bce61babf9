"""The LLVM scalar builder against NumPy, on edge values, for every dtype."""

import ctypes
import itertools
import operator

import numpy as np
import pytest
import scipy.special

from fnad.lowering.llvm.folding import converted, folded, integer_of
from fnad.lowering.llvm.target import compile_module
from fnad.lowering.llvm.writer import INT64, Function, Module, Value

INTEGERS = [np.dtype(f"{k}{n}") for k in "iu" for n in (1, 2, 4, 8)]
FLOATS = [np.dtype(f"f{n}") for n in (2, 4, 8)]
BOOL = np.dtype(bool)


LANES = 8


def compiled(operation, *arrays):
    """Apply ``operation(b, *values)`` to every element, one by one and as masked vectors.

    Both must give the same bits.
    """
    size = len(arrays[0])
    module = Module()
    params = ["ptr noalias %out", *(f"ptr noalias %in{i}" for i in range(len(arrays)))]
    f = Function(module, "scalar", params, linkage="")
    with f.loop(size) as loop:
        values = [
            f.load(f.element(f"%in{i}", a.dtype, loop.index), a.dtype) for i, a in enumerate(arrays)
        ]
        result = operation(f.b, *values)
        f.store(result, f.element("%out", result.dtype, loop.index))
    f.ret()
    module.add(f)
    dtype = result.dtype
    f = Function(module, "vector", params, linkage="")
    with f.loop(-(-size // LANES)) as loop:
        start = f.b.multiply(loop.index, f.b.constant(LANES, INT64))
        lanes = f.b.add(f.b.iota(INT64, LANES), start)
        mask = f.b.less(lanes, f.b.constant(size, INT64))
        values = [
            f.load(f.element(f"%in{i}", a.dtype, start), a.dtype, LANES, mask)
            for i, a in enumerate(arrays)
        ]
        result = f.b.splat(operation(f.b, *values), LANES)
        f.store(result, f.element("%out", dtype, start), mask)
    f.ret()
    module.add(f)
    code = compile_module(module.text())
    outs = [np.empty(size, dtype) for _ in range(2)]
    for name, out in zip(("scalar", "vector"), outs):
        pointers = [a.ctypes.data for a in (out, *arrays)]
        ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * len(pointers))(code.address(name))(*pointers)
    np.testing.assert_array_equal(outs[1], outs[0])
    return outs[1]


def edge_values(dtype):
    """Values where operations tend to go wrong, and some ordinary ones."""
    if dtype == BOOL:
        return np.array([False, True])
    if dtype.kind in "iu":
        info = np.iinfo(dtype)
        near = [info.min, info.min + 1, info.max, info.max - 1, 0, 1, 2, 3, 5, 7, 8, 31, 63, 100]
        return np.array(near + ([-1, -2, -3, -7, -64] if dtype.kind == "i" else []), dtype)
    info = np.finfo(dtype)
    some = [0.0, 0.25, 0.5, 1.0, 1.5, 2.0, 2.5, 3.7, 10.0, 100.0, info.max, info.tiny]
    some += [info.smallest_subnormal, info.eps, np.inf]
    return np.array([*some, *(-v for v in some), np.nan], dtype)


def pairs(dtype):
    x, y = np.meshgrid(edge_values(dtype), edge_values(dtype))
    return x.ravel(), y.ravel()


def assert_same(got, want):
    assert got.dtype == want.dtype
    np.testing.assert_array_equal(got, want)
    if want.dtype.kind == "f":
        number = ~np.isnan(want)
        np.testing.assert_array_equal(np.signbit(got[number]), np.signbit(want[number]))


def assert_close(got, want, ulps):
    assert got.dtype == want.dtype
    np.testing.assert_array_equal(np.isnan(got), np.isnan(want))
    finite = np.isfinite(want)
    np.testing.assert_array_equal(got[~finite], want[~finite])
    with np.errstate(all="ignore"):
        error = np.abs(got[finite].astype("f8") - want[finite].astype("f8"))
        assert (error <= ulps * np.spacing(np.abs(want[finite]))).all()


@pytest.mark.parametrize("dtype", [*INTEGERS, *FLOATS], ids=str)
@pytest.mark.parametrize("name", ["add", "subtract", "multiply", "minimum", "maximum"])
def test_arithmetic(name, dtype):
    x, y = pairs(dtype)
    with np.errstate(all="ignore"):
        want = getattr(np, name)(x, y)
    got = compiled(lambda b, p, q: getattr(b, name)(p, q), x, y)
    np.testing.assert_array_equal(got, want)  # the sign of max(0, -0) is not specified


@pytest.mark.parametrize("name", ["equal", "not_equal", "less", "less_equal", "greater",
                                  "greater_equal"])  # fmt: skip
@pytest.mark.parametrize("dtype", [BOOL, *INTEGERS, *FLOATS], ids=str)
def test_comparisons(name, dtype):
    x, y = pairs(dtype)
    got = compiled(lambda b, p, q: getattr(b, name)(p, q), x, y)
    assert_same(got, getattr(np, name)(x, y))


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
def test_float_division(dtype):
    x, y = pairs(dtype)
    with np.errstate(all="ignore"):
        assert_same(compiled(lambda b, p, q: b.divide(p, q), x, y), x / y)
        assert_same(compiled(lambda b, p, q: b.remainder(p, q), x, y), np.fmod(x, y))


@pytest.mark.parametrize("dtype", INTEGERS, ids=str)
def test_integer_division_never_traps(dtype):
    x, y = pairs(dtype)
    width = dtype.itemsize * 8

    def wrap(value):
        value %= 2**width
        return value - 2**width if dtype.kind == "i" and value >= 2 ** (width - 1) else value

    def truncated(a, b):
        return 0 if b == 0 else abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1)

    items = [(int(a), int(b)) for a, b in zip(x, y)]
    quotient = np.array([wrap(truncated(a, b)) for a, b in items], dtype)
    rest = np.array([0 if b == 0 else a - truncated(a, b) * b for a, b in items], dtype)
    assert_same(compiled(lambda b, p, q: b.divide(p, q), x, y), quotient)
    assert_same(compiled(lambda b, p, q: b.remainder(p, q), x, y), rest)


@pytest.mark.parametrize("dtype", INTEGERS, ids=str)
def test_bit_operations(dtype):
    x, y = pairs(dtype)
    for name in ("bitwise_and", "bitwise_or", "bitwise_xor", "left_shift"):
        got = compiled(lambda b, p, q, name=name: getattr(b, name)(p, q), x, y)
        assert_same(got, getattr(np, name)(x, y))
    got = compiled(lambda b, p, q: b.right_shift_arithmetic(p, q), x, y)
    assert_same(got, np.right_shift(x, y))
    unsigned = np.dtype(f"u{dtype.itemsize}")
    got = compiled(lambda b, p, q: b.right_shift_logical(p, q), x, y)
    assert_same(got, np.right_shift(x.view(unsigned), y.view(unsigned)).view(dtype))
    assert_same(compiled(lambda b, p: b.bitwise_not(p), x), ~x)


CONSTANT_OPERANDS = {
    "divide": (3, lambda x, y: np.trunc(x.astype("f8") / y) if x.itemsize < 8 else _quotient(x, y)),
    "remainder": (7, np.fmod),
    "left_shift": (3, np.left_shift),
    "right_shift_arithmetic": (3, np.right_shift),
    "add": (0, np.add),
    "multiply": (1, np.multiply),
}


def _quotient(x, y):
    return np.array([int(v) // int(y) if v >= 0 else -(-int(v) // int(y)) for v in x], x.dtype)


@pytest.mark.parametrize("dtype", INTEGERS, ids=str)
@pytest.mark.parametrize("name", CONSTANT_OPERANDS)
def test_operations_with_a_constant(name, dtype):
    number, reference = CONSTANT_OPERANDS[name]
    x, y = edge_values(dtype), dtype.type(number)
    got = compiled(lambda b, x: getattr(b, name)(x, b.constant(y, dtype)), x)
    assert_same(got, reference(x, y).astype(dtype))


@pytest.mark.parametrize("dtype", INTEGERS, ids=str)
def test_arithmetic_on_constants(dtype):
    """What is known when instructions are printed is exact, or nothing is known."""
    info = np.iinfo(dtype)
    operations = {"add": operator.add, "sub": operator.sub, "mul": operator.mul,
                  "smin": min, "smax": max}  # fmt: skip
    b = Function(Module(), "f", []).b
    numbers = {int(n) for n in (info.min, info.max, 0, 1, 5, 127, -3) if info.min <= n <= info.max}
    for (name, operation), x, y in itertools.product(operations.items(), numbers, numbers):
        got = folded(name, b.constant(x, dtype), b.splat(b.constant(y, dtype), 4))
        exact = operation(x, y)
        if got is not None:
            assert integer_of(got) == exact
        elif dtype.kind == "i":
            assert not info.min <= exact <= info.max
    unknown = Value("%x", dtype)
    assert folded("sub", b.constant(0, dtype), unknown) is None
    assert folded("smin", unknown, b.constant(0, dtype)) is None
    assert folded("mul", b.constant(1, dtype), unknown) is unknown
    for target in INTEGERS:
        for x in numbers:
            inside = np.iinfo(target).min <= x <= np.iinfo(target).max
            known = converted(x, target)
            assert (known and integer_of(known)) == (x if inside else None)


def test_booleans():
    x, y = pairs(BOOL)
    for name in ("bitwise_and", "bitwise_or", "bitwise_xor", "minimum", "maximum", "add",
                 "multiply"):  # fmt: skip
        got = compiled(lambda b, p, q, name=name: getattr(b, name)(p, q), x, y)
        assert_same(got, getattr(np, name)(x, y))
    assert_same(compiled(lambda b, p: b.bitwise_not(p), x), ~x)


@pytest.mark.parametrize("dtype", [*INTEGERS, *FLOATS], ids=str)
@pytest.mark.parametrize("name", ["negative", "absolute", "sign"])
def test_signs(name, dtype):
    x = edge_values(dtype)
    with np.errstate(all="ignore"):
        assert_same(compiled(lambda b, p: getattr(b, name)(p), x), getattr(np, name)(x))


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
@pytest.mark.parametrize("name", ["floor", "ceil", "trunc", "rint", "sqrt"])
def test_rounding(name, dtype):
    x = edge_values(dtype)
    with np.errstate(all="ignore"):
        assert_same(compiled(lambda b, p: getattr(b, name)(p), x), getattr(np, name)(x))


@pytest.mark.parametrize("source", [BOOL, *INTEGERS, *FLOATS], ids=str)
@pytest.mark.parametrize("target", [BOOL, *INTEGERS, *FLOATS], ids=str)
def test_convert(source, target):
    x = edge_values(source)
    if source.kind == "f" and target.kind in "iu":
        info = np.iinfo(target)
        inside = (np.trunc(x.astype("g")) >= info.min) & (np.trunc(x.astype("g")) <= info.max)
        got = compiled(lambda b, p: b.convert(p, target), x)  # the others are defined, no more
        assert_same(got[inside], x[inside].astype(target))
        return
    with np.errstate(all="ignore"):
        assert_same(compiled(lambda b, p: b.convert(p, target), x), x.astype(target))


def test_float64_to_float16_rounds_once():
    rng = np.random.default_rng(0)
    half = rng.integers(0, 0x7C00, 20000).astype(np.uint16).view(np.float16).astype(np.float64)
    with np.errstate(all="ignore"):
        middle = half + np.spacing(half.astype(np.float16)).astype(np.float64) / 2
    x = np.concatenate([middle, np.nextafter(middle, 0), np.nextafter(middle, np.inf), -middle])
    with np.errstate(all="ignore"):
        want = x.astype(np.float16)
    assert_same(compiled(lambda b, p: b.convert(p, np.float16), x), want)


def test_a_block_computes_nothing_twice():
    f = Function(Module(), "f", ["i64 %a", "i64 %b", "ptr %p"], linkage="")
    x, y = Value("%a", INT64), Value("%b", INT64)
    first = f.b.add(x, y)
    assert f.b.add(x, y).ref == first.ref
    assert f.b.add(y, x).ref != first.ref
    assert f.load("%p", INT64).ref != f.load("%p", INT64).ref  # memory may have changed
    with f.loop(3):
        assert f.b.add(x, y).ref != first.ref  # a loop may stand in a branch not taken
    assert f.b.add(x, y).ref != first.ref


def test_bitcast_and_where():
    x = edge_values(np.dtype(np.float32))
    got = compiled(lambda b, p: b.bitcast(p, np.int32), x)
    assert_same(got, x.view(np.int32))
    mask = np.arange(len(x)) % 2 == 0
    assert_same(compiled(lambda b, c, p: b.where(c, p, b.constant(7, p.dtype)), mask, x),
                np.where(mask, x, np.float32(7)))  # fmt: skip
    y = x[::-1].copy()
    assert_same(compiled(lambda b, p, q: b.copysign(p, q), x, y), np.copysign(x, y))


ELEMENTARY = {
    name: getattr(np, name, None) or getattr(scipy.special, name, None)
    for name in (
        *("cbrt", "exp", "exp2", "expm1", "log", "log2", "log10", "log1p", "sin", "cos", "tan"),
        *("arcsin", "arccos", "arctan", "sinh", "cosh", "tanh", "arcsinh", "arccosh", "arctanh"),
        *("erf", "erfc", "erfinv"),
    )
} | {"lgamma": scipy.special.gammaln, "digamma": scipy.special.psi}


@pytest.mark.parametrize("name", ELEMENTARY)
def test_elementary_functions_of_float16(name):
    """They are computed in float32, whose functions `test_maths` tests."""
    rng = np.random.default_rng(0)
    x = np.concatenate([
        edge_values(np.dtype(np.float16)), rng.uniform(-1, 1, 500), rng.uniform(-30, 30, 500),
        np.exp(rng.uniform(-9, 9, 500)), rng.uniform(-800, 800, 100),
    ]).astype(np.float16)  # fmt: skip
    with np.errstate(all="ignore"):
        want = ELEMENTARY[name](x.astype(np.float32)).astype(np.float16)
    assert_close(compiled(lambda b, p: getattr(b, name)(p), x), want, 1)
    if name in ("expm1", "log1p", "tanh", "sin", "erf"):
        zeros = compiled(lambda b, p: getattr(b, name)(p), np.array([0.0, -0.0], np.float16))
        assert np.signbit(zeros).tolist() == [False, True]


def test_logarithms_of_powers_are_exact():
    tens = 10.0 ** np.arange(0, 23)
    twos = 2.0 ** np.arange(-1074, 1024)
    np.testing.assert_array_equal(compiled(lambda b, p: b.log10(p), tens), np.arange(0.0, 23.0))
    np.testing.assert_array_equal(
        compiled(lambda b, p: b.log2(p), twos), np.arange(-1074.0, 1024.0)
    )


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
def test_binary_elementary_functions(dtype):
    x, y = pairs(dtype)
    wide = np.dtype("f4") if dtype == np.float16 else dtype
    for name in ("power", "arctan2"):
        with np.errstate(all="ignore"):
            want = getattr(np, name)(x.astype(wide), y.astype(wide)).astype(dtype)
        got = compiled(lambda b, p, q, name=name: getattr(b, name)(p, q), x, y)
        assert_close(got, want, 2)


@pytest.mark.parametrize("dtype", INTEGERS, ids=str)
def test_integer_power(dtype):
    x, y = pairs(dtype)
    exponent = np.abs(y % 9).astype(dtype)
    got = compiled(lambda b, p, q: b.power(p, q), x, exponent)
    assert_same(got, np.power(x, exponent))
    if dtype.kind == "i":
        ones = np.array([1, -1, -1, 0, 5], dtype)
        negative = np.array([-3, -3, -2, -1, -1], dtype)
        got = compiled(lambda b, p, q: b.power(p, q), ones, negative)
        assert got.tolist() == [1, -1, 1, 0, 0]


@pytest.mark.parametrize("dtype", [BOOL, *INTEGERS, *FLOATS], ids=str)
def test_gather_and_scatter(dtype):
    """Lanes at a vector of indices; masked ones are neither read nor written."""
    source = np.arange(40).astype(dtype) if dtype != BOOL else np.arange(40) % 3 == 0
    places = np.array([3, 39, 0, 17, 5, 10**9, 2, 1], np.int64)
    keep = places < 40
    module = Module()
    f = Function(module, "entry", ["ptr %out", "ptr %in", "ptr %places"], linkage="")
    indices = f.load("%places", INT64, LANES)
    mask = f.b.less(indices, f.b.constant(40, INT64))
    values = f.gather("%in", dtype, indices, mask)
    f.scatter(values, "%out", f.b.subtract(f.b.constant(39, INT64), indices), mask)
    f.ret()
    module.add(f)
    out = np.zeros(40, dtype)
    code = compile_module(module.text())
    ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 3)(code.address("entry"))(
        out.ctypes.data, source.ctypes.data, places.ctypes.data
    )
    want = np.zeros(40, dtype)
    want[39 - places[keep]] = source[places[keep]]
    np.testing.assert_array_equal(out, want)
