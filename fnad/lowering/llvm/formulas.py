"""Elementary functions inline in IR, for vectors of any width.

Each formula of `fnad.lowering.maths` becomes a function marked ``alwaysinline`` that a module
contains once.
"""

from __future__ import annotations

import functools
import inspect

from fnad.core.errors import InternalError
from fnad.lowering.llvm import integer_powers
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
from fnad.lowering.maths import FORMULAS
from fnad.lowering.maths.notation import Number


def require(module: Module, name: str, dtype: DType, lanes: int = 1) -> str:
    """Make an elementary function available in ``module``; returns its symbol.

    It takes and returns vectors of ``lanes`` lanes.
    """
    if name == "integer_power" and dtype.kind in "iu":
        return integer_powers.require_power(module, dtype, lanes)
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
