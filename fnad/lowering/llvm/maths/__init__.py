"""Elementary functions: formulas inline in IR, for vectors of any width.

A formula has no branches or tables, only arithmetic and selects; where a lane has an argument that
takes more (a huge angle, a negative one of lgamma), it calls a function of `runtime`. Each is
written in the operators of `notation`, and becomes a function marked ``alwaysinline`` that a module
contains once. ``benchmarks/accuracy.py`` tabulates their errors against mpmath; special values are
those of C.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable

from fnad.core.errors import InternalError
from fnad.lowering.llvm.maths import (
    error_functions,
    exponentials,
    gamma,
    integers,
    inverse_trigonometry,
    logarithms,
    powers,
    roots,
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

FORMULAS: dict[str, Callable[..., Number]] = {
    "exp": exponentials.exp, "exp2": exponentials.exp2, "expm1": exponentials.expm1,
    "sinh": exponentials.sinh, "cosh": exponentials.cosh, "tanh": exponentials.tanh,
    "log": logarithms.log, "log2": logarithms.log2, "log10": logarithms.log10,
    "log1p": logarithms.log1p, "arcsinh": logarithms.arcsinh, "arccosh": logarithms.arccosh,
    "arctanh": logarithms.arctanh, "power": powers.power, "erf": error_functions.erf,
    "sin": trigonometry.sin, "cos": trigonometry.cos, "tan": trigonometry.tan,
    "arcsin": inverse_trigonometry.arcsin, "arccos": inverse_trigonometry.arccos,
    "arctan": inverse_trigonometry.arctan, "arctan2": inverse_trigonometry.arctan2,
    "cbrt": roots.cbrt, "erfc": error_functions.erfc, "erfinv": error_functions.erfinv,
    "lgamma": gamma.lgamma, "digamma": gamma.digamma,
}  # fmt: skip

FLOAT_FUNCTIONS = sorted(FORMULAS)


def require(module: Module, name: str, dtype: DType, lanes: int = 1) -> str:
    """Make an elementary function available in ``module``; returns its symbol.

    It takes and returns vectors of ``lanes`` lanes.
    """
    if name == "integer_power" and dtype.kind in "iu":
        return integers.require_power(module, dtype, lanes)
    if name not in FORMULAS or dtype not in (FLOAT32, FLOAT64):
        raise InternalError(f"the LLVM backend has no function {name} of dtype {dtype}")
    for symbol, text in formula(name, dtype, lanes).items():
        module.declare(symbol, text)
    return _symbol(name, dtype, lanes)


def _symbol(name: str, dtype: DType, lanes: int) -> str:
    return f"fnad.{name}.{suffix(dtype)}" + (f"x{lanes}" if lanes > 1 else "")


@functools.cache
def formula(name: str, dtype: DType, lanes: int) -> dict[str, str]:
    """A formula as the texts of a function and of what it needs, by symbol."""
    scratch, function = Module(), FORMULAS[name]
    arity = len(inspect.signature(function).parameters)
    args = [Value(f"%x{i}", dtype, lanes) for i in range(arity)]
    kind, symbol = llvm_type(dtype, lanes), _symbol(name, dtype, lanes)
    f = Function(scratch, symbol, [x.typed for x in args], kind, "alwaysinline nounwind")
    f.ret(function(*(Number(f.b, x) for x in args)).value)
    scratch.add(f)
    return scratch.parts()
