"""Scalar operations as CUDA C++ give what those of the CPU give, bit by bit."""

import ml_dtypes
import numpy as np
import pytest

from fnad.core.errors import InternalError
from fnad.core.types import BFLOAT16, kind_of
from fnad.lowering.cuda.elementary import FLOAT_FUNCTIONS, cuda_function
from fnad.lowering.cuda.library import library_text
from fnad.lowering.cuda.writer import FLOAT16, FLOAT32, FLOAT64, INT32, Function
from fnad.lowering.expr import Builder
from fnad.lowering.maths import FORMULAS
from tests.cuda_emulator.compiler import compiler_path
from tests.cuda_emulator.toolchain import check, needs_toolchain
from tests.lowering.cuda import operations
from tests.lowering.cuda.operations import DTYPES, FLOATS, Case

needs_emulator = pytest.mark.skipif(compiler_path() is None, reason="the emulator needs g++")


def same_bits(x, y):
    """Where two arrays are the same, signs of zeros included; NaN is like NaN."""
    unsigned = np.dtype(f"u{x.dtype.itemsize}")
    same = x.view(unsigned) == y.view(unsigned)
    if kind_of(x.dtype) != "f":
        return same
    with np.errstate(invalid="ignore"):
        return same | (np.isnan(x) & np.isnan(y))


def assert_like_the_cpu(found):
    device, cpu = operations.on_the_device(found), operations.on_the_cpu(found)
    wrong = {}
    for case in found:
        got, want = device[case.name], cpu[case.name]
        if len(bad := np.flatnonzero(~same_bits(got, want))):
            arguments = [x[bad[0]] for x in operations.inputs(case)]
            wrong[case.name] = len(bad), arguments, got[bad[0]], want[bad[0]]
    assert wrong == {}


@needs_emulator
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_operations(dtype):
    assert_like_the_cpu(operations.cases(dtype))


@needs_emulator
def test_indices_that_are_held_in_32_bits():
    assert_like_the_cpu(operations.narrow_cases())


def is_ours(case):
    return cuda_function(case.name, case.dtypes[0]) is None


@needs_emulator
@pytest.mark.parametrize("dtype", [FLOAT32, FLOAT64], ids=str)
def test_formulas(dtype):
    """They are the CPU's, and so are their roundings."""
    assert_like_the_cpu([case for case in operations.elementary(dtype) if is_ours(case)])


@needs_emulator
@pytest.mark.parametrize("dtype", FLOATS, ids=str)
def test_elementary_functions(dtype):
    """Those of CUDA are libm's in the emulator, others than the CPU's, but not by much."""
    found = operations.elementary(dtype)
    device, cpu = operations.on_the_device(found), operations.on_the_cpu(found)
    for case in found:
        got, want = (results[case.name].astype(np.float64) for results in (device, cpu))
        number = np.isfinite(want)
        np.testing.assert_array_equal(got[~number], want[~number], case.name)
        info = ml_dtypes.finfo(dtype)
        unit = np.maximum(np.abs(want[number]) * float(info.eps), float(info.smallest_subnormal))
        errors = np.abs(got[number] - want[number]) / unit
        assert errors.max() <= 2, case.name
        zeros = want == 0
        np.testing.assert_array_equal(np.signbit(got[zeros]), np.signbit(want[zeros]), case.name)


@needs_emulator
def test_float64_to_float16_rounds_once(monkeypatch):
    rng = np.random.default_rng(0)
    half = rng.integers(0, 0x7C00, 20000).astype(np.uint16).view(np.float16)
    with np.errstate(over="ignore"):
        middle = half.astype(np.float64) + np.spacing(half).astype(np.float64) / 2
    middle = np.append(middle, 65520.0)  # from here on infinite
    x = np.concatenate([middle, np.nextafter(middle, 0), np.nextafter(middle, np.inf), -middle])
    case = Case("convert", lambda b, v: b.convert(v, FLOAT16), (FLOAT64,))
    monkeypatch.setattr(operations, "inputs", lambda case: [x])
    with np.errstate(over="ignore"):
        want = x.astype(np.float16)
    np.testing.assert_array_equal(operations.on_the_device([case])["convert"], want)


@needs_emulator
@pytest.mark.parametrize("dtype", [FLOAT16, BFLOAT16], ids=str)
def test_every_number_of_16_bits_is_kept(dtype, monkeypatch):
    x = np.arange(2**16, dtype=np.uint16).view(dtype)
    there = Case("there", lambda b, v: b.convert(v, FLOAT32), (dtype,))
    back = Case("back", lambda b, v: b.convert(b.convert(v, FLOAT32), dtype), (dtype,))
    monkeypatch.setattr(operations, "inputs", lambda case: [x])
    got = operations.on_the_device([there, back])
    assert same_bits(got["there"], x.astype(np.float32)).all()
    assert same_bits(got["back"], x).all()


@pytest.mark.slow
@needs_toolchain
def test_all_of_it_compiles_for_cards():
    found = [case for dtype in DTYPES for case in operations.cases(dtype)]
    found += [case for dtype in FLOATS for case in operations.elementary(dtype)]
    check(operations.source(found), "sm_80")


def test_the_builder_has_every_operation():
    operation_names = {name for name in vars(Builder) if not name.startswith("_")}
    operation_names.remove("index")  # made of others in plans, which printers then see
    assert all(hasattr(Function().b, name) for name in operation_names)
    assert sorted(FORMULAS) == FLOAT_FUNCTIONS


def test_functions_are_defined_before_they_are_called_and_once():
    text = library_text(["lgamma_f64", "f32_to_f16", "lgamma_f64", "f64_to_f16"])
    calls = text.index("= lgamma_of_negative_f64(")
    assert text.index("lgamma_of_negative_f64(f64 x0) {") < calls < text.index("f16 f32_to_f16(")
    for head in ("f64 lgamma_f64(", "f16 f64_to_f16(", "const f64 zeros_lgamma_high["):
        assert text.count(head) == 1


def test_what_there_is_no_operation_for():
    f = Function()
    x, y = f.value("1", INT32), f.value("1", FLOAT32)
    with pytest.raises(InternalError, match="operands of add differ in dtype: int32, float32"):
        f.b.add(x, y)
    with pytest.raises(InternalError, match="no function sin of dtype int32"):
        f.b.sin(x)
    with pytest.raises(InternalError, match="the CUDA library has no function nothing_f32"):
        library_text(["nothing_f32"])
