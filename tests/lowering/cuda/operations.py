"""Every scalar operation, with inputs to try it on, and kernels that apply them one by one."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import ml_dtypes
import numpy as np

from fnad.core.types import BFLOAT16, is_half, kind_of
from fnad.lowering.cuda.elementary import FLOAT_FUNCTIONS
from fnad.lowering.cuda.library import library_text
from fnad.lowering.cuda.scalars import ScalarBuilder
from fnad.lowering.cuda.writer import BOOL, INT32, INT64, PRELUDE, Function, ctype
from fnad.lowering.llvm import writer as llvm
from fnad.lowering.llvm.target import compile_module
from tests.cuda_emulator.device import EmulatedDevice

INTEGERS = [np.dtype(f"{k}{n}") for k in "iu" for n in (1, 2, 4, 8)]
FLOATS = [np.dtype(np.float16), BFLOAT16, np.dtype(np.float32), np.dtype(np.float64)]
DTYPES = [BOOL, *INTEGERS, *FLOATS]

_ARITHMETIC = ["add", "subtract", "multiply", "divide", "remainder", "minimum", "maximum"]
_COMPARISONS = ["equal", "not_equal", "less", "less_equal", "greater", "greater_equal"]
_BITWISE = ["bitwise_and", "bitwise_or", "bitwise_xor", "left_shift", "right_shift_arithmetic",
            "right_shift_logical"]  # fmt: skip
_ROUNDING = ["floor", "ceil", "trunc", "rint", "sqrt", "is_nan"]


@dataclass(frozen=True)
class Case:
    """An operation of the builder interface on operands of some dtypes."""

    name: str
    operation: Callable[..., Any]
    dtypes: tuple[np.dtype[Any], ...]

    @property
    def symbol(self) -> str:
        """The kernel that applies it."""
        return f"{self.name}_of_{ctype(self.dtypes[-1])}"


def _method(name: str, *dtypes: np.dtype[Any]) -> Case:
    return Case(name, lambda b, *xs: getattr(b, name)(*xs), dtypes)


def _with_constant(name: str, dtype: np.dtype[Any], number: int) -> Case:
    def operation(b: Any, x: Any) -> Any:
        return getattr(b, name)(x, b.constant(number, dtype))

    return Case(f"{name}_{number}".replace("-", "m"), operation, (dtype,))


def _to(name: str, dtype: np.dtype[Any], target: np.dtype[Any]) -> Case:
    def operation(b: Any, x: Any) -> Any:
        return getattr(b, name)(x, target)

    return Case(f"{name}_{ctype(target)}", operation, (dtype,))


def _of_narrow_index(case: Case) -> Case:
    """The operation on int64 values that variables of 32 bits hold."""

    def operation(b: Any, *xs: Any) -> Any:
        xs = tuple(b.convert(b.convert(x, INT32), INT64) for x in xs)
        if isinstance(b, ScalarBuilder):
            xs = tuple(b.f.named("i32", f"(i32){x.ref}", INT64) for x in xs)
        return case.operation(b, *xs)

    return Case(f"narrow_{case.name}", operation, case.dtypes)


def _accumulation(kind: str, dtype: np.dtype[Any]) -> Case:
    return Case(f"accumulate_{kind}", lambda b, x, y: b.accumulate(kind, x, y), (dtype, dtype))


def _constants(dtype: np.dtype[Any]) -> Case:
    """All the special values, as constants of the source."""

    def operation(b: Any, x: Any) -> Any:
        result = x
        for value in special_values(dtype):
            constant = b.constant(value, dtype)
            result = b.where(b.equal(x, constant), constant, result)
        return result

    return Case("constants", operation, (dtype,))


def cases(dtype: np.dtype[Any]) -> list[Case]:
    """Whatever a value of this dtype can be an operand of."""
    kind = kind_of(dtype)
    binary = [*_ARITHMETIC, *_COMPARISONS]
    unary = ["negative", "absolute", "sign"]
    accumulated = ["add", "multiply", "max", "min"]
    found = [Case("where", lambda b, c, x, y: b.where(c, x, y), (BOOL, dtype, dtype))]
    if kind == "f":
        unary += _ROUNDING
        binary.append("copysign")
        if not is_half(dtype):
            found.append(_method("fma", dtype, dtype, dtype))
    else:
        binary += _BITWISE
        unary.append("bitwise_not")
        accumulated += ["and", "or"]
    if kind in "iu":
        binary.append("power")
        numbers = [0, 1, 3, 6, 8 * dtype.itemsize - 1] + ([-1, -3] if kind == "i" else [])
        names = ["divide", "remainder", *_BITWISE]
        found += [_with_constant(name, dtype, n) for name in names for n in numbers]
    found += [_method(name, dtype, dtype) for name in binary]
    found += [_method(name, dtype) for name in unary]
    found += [_accumulation(kind, dtype) for kind in accumulated]
    found += [_to("convert", dtype, target) for target in DTYPES]
    found += [_to("bitcast", dtype, t) for t in DTYPES if t.itemsize == dtype.itemsize]
    return [*found, _constants(dtype)]


def narrow_cases() -> list[Case]:
    """Operations on indices that are held in 32 bits."""
    return [_of_narrow_index(c) for c in cases(INT64) if set(c.dtypes) == {INT64}]


def elementary(dtype: np.dtype[Any]) -> list[Case]:
    """The elementary functions of a float."""
    arity = {"power": 2, "arctan2": 2}
    names = [name for name in FLOAT_FUNCTIONS if name != "remainder"]  # which integers have, too
    return [_method(name, *[dtype] * arity.get(name, 1)) for name in names]


# -- inputs ------------------------------------------------------------------------------------


def special_values(dtype: np.dtype[Any]) -> np.ndarray[Any, Any]:
    """Where operations tend to go wrong."""
    if dtype.kind == "b":
        return np.array([False, True])
    if dtype.kind in "iu":
        info = np.iinfo(dtype)
        near = [info.min, info.min + 1, info.max, info.max - 1, 0, 1, 2, 3, 5, 7, 8, 31, 63, 100]
        return np.array(near + ([-1, -2, -3, -7, -64] if dtype.kind == "i" else []), dtype)
    info = ml_dtypes.finfo(dtype)
    some = [0.0, 0.25, 0.5, 1.0, 1.5, 2.0, 2.5, 3.75, 10.0, 100.0, 2.0**31, 2.0**63]
    some += [float(v) for v in (info.max, info.tiny, info.smallest_subnormal, info.eps)]
    with np.errstate(over="ignore"):
        return np.array([*some, np.inf, *(-v for v in some), -np.inf, np.nan]).astype(dtype)


def _random_values(dtype: np.dtype[Any], rng: np.random.Generator, count: int) -> Any:
    """Random bits, and numbers of moderate size."""
    if dtype.kind == "b":
        return rng.random(count) < 0.5
    bits = rng.integers(0, 256, (count, dtype.itemsize), np.uint8).view(dtype)[:, 0]
    if dtype.kind in "iu":
        return np.concatenate([bits, rng.integers(0, 100, count).astype(dtype)])
    moderate = [
        rng.uniform(-1, 1, count),
        rng.normal(size=count) * 10,
        rng.uniform(-1e3, 1e3, count),
    ]
    return np.concatenate([bits, *(m.astype(dtype) for m in moderate)])


def inputs(case: Case) -> list[np.ndarray[Any, Any]]:
    """All combinations of special values, and random ones."""
    rng = np.random.default_rng(0)
    grids = np.meshgrid(*(special_values(d) for d in case.dtypes))
    random = [_random_values(d, rng, 300) for d in case.dtypes]
    size = min(map(len, random))
    return [np.concatenate([g.ravel(), r[:size]]) for g, r in zip(grids, random)]


# -- what applies them -------------------------------------------------------------------------


def source(found: list[Case]) -> str:
    """CUDA C++ with a kernel for each of the cases, a thread per element."""
    used: dict[str, None] = {}
    kernels = []
    for case in found:
        f = Function()
        f.line("const i64 i = (i64)blockIdx.x * blockDim.x + threadIdx.x;")
        f.line("if (i >= n) return;")
        values = [f.value(f"in{j}[i]", dtype) for j, dtype in enumerate(case.dtypes)]
        result = case.operation(f.b, *values)
        f.line(f"out[i] = {result.ref};")
        used |= f.used
        parameters = [f"const {ctype(dtype)}* in{j}" for j, dtype in enumerate(case.dtypes)]
        kernels.append(f.text(case.symbol, [f"{ctype(result.dtype)}* out", *parameters, "i64 n"]))
    return "\n".join([PRELUDE, library_text(used), *kernels])


def result_dtype(case: Case) -> np.dtype[Any]:
    """What an operation returns."""
    f = Function()
    return case.operation(f.b, *(f.value("", dtype) for dtype in case.dtypes)).dtype


def on_the_device(found: list[Case]) -> dict[str, np.ndarray[Any, Any]]:
    """What the emulated device has for each case."""
    device = EmulatedDevice()
    module = device.module(source(found))
    results = {}
    for case in found:
        arrays = inputs(case)
        size, dtype = len(arrays[0]), result_dtype(case)
        memories = [device.empty(size * dtype.itemsize), *map(device.array, arrays)]
        arguments = [*(m.address for m in memories), size]
        device.launch(module, case.symbol, (-(-size // 256), 1, 1), (256, 1, 1), 0, arguments)
        results[case.name] = memories[0].array(dtype, size)
    return results


def on_the_cpu(found: list[Case]) -> dict[str, np.ndarray[Any, Any]]:
    """What the LLVM backend has for each case."""
    module = llvm.Module()
    for case in found:
        params = ["ptr noalias %out", *(f"ptr noalias %in{j}" for j in range(len(case.dtypes)))]
        f = llvm.Function(module, case.symbol, [*params, "i64 %n"], linkage="")
        with f.loop(llvm.Value("%n", INT64)) as loop:
            values = [
                f.load(f.element(f"%in{j}", dtype, loop.index), dtype)
                for j, dtype in enumerate(case.dtypes)
            ]
            result = case.operation(f.b, *values)
            f.store(result, f.element("%out", result.dtype, loop.index))
        f.ret()
        module.add(f)
    code = compile_module(module.text())
    results = {}
    for case in found:
        arrays = inputs(case)
        out = np.empty(len(arrays[0]), result_dtype(case))
        pointers = [a.ctypes.data for a in (out, *arrays)]
        types = [*[ctypes.c_void_p] * len(pointers), ctypes.c_int64]
        ctypes.CFUNCTYPE(None, *types)(code.address(case.symbol))(*pointers, len(out))
        results[case.name] = out
    return results
