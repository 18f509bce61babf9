"""Elementary functions: formulas inline in IR, for vectors of any width, or library calls.

A formula has no branches or tables, only arithmetic and selects (the trigonometric functions
branch to a called function where any lane is huge). Each is written in the operators of
`notation`, and becomes a function marked ``alwaysinline`` that a module contains once.
``benchmarks/accuracy.py`` tabulates their errors against mpmath; special values are those of C.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable

from fnad.core.errors import InternalError
from fnad.lowering.llvm.maths import (
    error_functions,
    exponentials,
    integers,
    logarithms,
    powers,
    trigonometry,
)
from fnad.lowering.llvm.maths.notation import Number
from fnad.lowering.llvm.writer import (
    FLOAT32,
    FLOAT64,
    DType,
    Function,
    Module,
    Value,
    llvm_type,
    suffix,
)

_FORMULAS: dict[str, Callable[..., Number]] = {
    "exp": exponentials.exp, "exp2": exponentials.exp2, "expm1": exponentials.expm1,
    "sinh": exponentials.sinh, "cosh": exponentials.cosh, "tanh": exponentials.tanh,
    "log": logarithms.log, "log2": logarithms.log2, "log10": logarithms.log10,
    "log1p": logarithms.log1p, "arcsinh": logarithms.arcsinh, "arccosh": logarithms.arccosh,
    "arctanh": logarithms.arctanh, "power": powers.power, "erf": error_functions.erf,
    "sin": trigonometry.sin, "cos": trigonometry.cos, "tan": trigonometry.tan,
}  # fmt: skip

# Names of functions of the C library, called for float64; float32 appends an f.
_LIBM = {
    "cbrt": "cbrt", "arcsin": "asin", "arccos": "acos", "arctan": "atan", "arctan2": "atan2",
    "erfc": "erfc",
}  # fmt: skip

# Functions of scipy.special, by their names there; computed in float64.
_SPECIAL = {"erfinv": "erfinv", "lgamma": "gammaln", "digamma": "psi"}

FLOAT_FUNCTIONS = sorted({*_FORMULAS, *_LIBM, *_SPECIAL})


def require(module: Module, name: str, dtype: DType, lanes: int = 1) -> str:
    """Make an elementary function available in ``module``; returns its symbol.

    It takes and returns vectors of ``lanes`` lanes.
    """
    if name == "integer_power" and dtype.kind in "iu":
        return integers.require_power(module, dtype, lanes)
    if dtype not in (FLOAT32, FLOAT64):
        raise InternalError(f"{name} is not defined for dtype {dtype}")
    if name in _FORMULAS:
        for symbol, text in _formula(name, dtype, lanes).items():
            module.declare(symbol, text)
        return _symbol(name, dtype, lanes)
    if lanes > 1:
        return _define_lanewise(module, name, dtype, lanes)
    if name in _LIBM:
        return _declare_libm(module, name, dtype)
    if name in _SPECIAL:
        return _define_special(module, name, dtype)
    raise InternalError(f"the LLVM backend has no function {name}")


def _symbol(name: str, dtype: DType, lanes: int) -> str:
    return f"fnad.{name}.{suffix(dtype)}" + (f"x{lanes}" if lanes > 1 else "")


def _function(
    module: Module, symbol: str, dtype: DType, arity: int, lanes: int = 1
) -> tuple[Function, list[Value]]:
    args = [Value(f"%x{i}", dtype, lanes) for i in range(arity)]
    function = Function(
        module, symbol, [a.typed for a in args], llvm_type(dtype, lanes), "alwaysinline nounwind"
    )
    return function, args


@functools.cache
def _formula(name: str, dtype: DType, lanes: int) -> dict[str, str]:
    """A formula as the texts of a function and of what it needs, by symbol."""
    scratch, formula = Module(), _FORMULAS[name]
    arity = len(inspect.signature(formula).parameters)
    f, args = _function(scratch, _symbol(name, dtype, lanes), dtype, arity, lanes)
    f.ret(formula(*(Number(f, x) for x in args)).value)
    scratch.add(f)
    return scratch.parts()


def _define_lanewise(module: Module, name: str, dtype: DType, lanes: int) -> str:
    """A vector function that calls a scalar one for each lane."""
    symbol, scalar = _symbol(name, dtype, lanes), require(module, name, dtype)

    def define(module: Module) -> None:
        f, args = _function(module, symbol, dtype, _arity(name), lanes)
        result = Value("poison", dtype, lanes)
        for i in range(lanes):
            operands = ", ".join(f.b.lane(x, i).typed for x in args)
            one = f.value(f"call {llvm_type(dtype)} @{scalar}({operands})", dtype)
            result = f.b.with_lane(result, i, one)
        f.ret(result)
        module.add(f)

    module.require(symbol, define)
    return symbol


def _arity(name: str) -> int:
    return 2 if name in ("power", "arctan2") else 1


def _declare_libm(module: Module, name: str, dtype: DType) -> str:
    symbol = _LIBM[name] + ("f" if dtype == FLOAT32 else "")
    kind = llvm_type(dtype)
    kinds = ", ".join([kind] * _arity(name))
    module.declare(symbol, f"declare {kind} @{symbol}({kinds}) nounwind willreturn memory(none)")
    return symbol


def _define_special(module: Module, name: str, dtype: DType) -> str:
    symbol = f"fnad.{name}.{suffix(dtype)}"
    external = f"fnad.special.{_SPECIAL[name]}"
    module.declare(external, f"declare double @{external}(double, i32) nounwind willreturn")

    def define(module: Module) -> None:
        function, (x,) = _function(module, symbol, dtype, 1)
        wide = function.b.convert(x, FLOAT64)
        result = function.value(f"call double @{external}({wide.typed}, i32 0)", FLOAT64)
        function.ret(function.b.convert(result, dtype))
        module.add(function)

    module.require(symbol, define)
    return symbol
