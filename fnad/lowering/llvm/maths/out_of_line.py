"""Parts of formulas that programs call: long, seldom used, and compiled once per process."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from fnad.core.errors import InternalError
from fnad.lowering.llvm.maths.notation import Number
from fnad.lowering.llvm.writer import (
    FLOAT64,
    Function,
    Module,
    Value,
    constant_text,
    llvm_type,
    suffix,
)

Formula = Callable[[Number], Number]

_SYMBOL = re.compile(r"fnad\.maths\.(\w+)\.f(32|64)x(\d+)")


def call(name: str, x: Number) -> Number:
    """The float64 that the formula ``name`` of `runtime.FORMULAS` has for ``x``."""
    symbol = f"fnad.maths.{name}.{suffix(x.dtype)}x{x.lanes}"
    kind = llvm_type(FLOAT64, x.lanes)
    x.f.module.declare(
        symbol, f"declare {kind} @{symbol}({x.value.type}) cold nounwind memory(none)"
    )
    return x.call(symbol, FLOAT64)


def require_table(module: Module, symbol: str, numbers: Sequence[float]) -> str:
    """A constant array of float64 to look numbers up in."""
    texts = ", ".join(f"double {constant_text(x, FLOAT64)}" for x in numbers)
    module.declare(symbol, f"@{symbol} = internal constant [{len(numbers)} x double] [{texts}]")
    return symbol


def text_of(symbol: str, formulas: Mapping[str, Formula]) -> str:
    """A module with that function."""
    match = _SYMBOL.fullmatch(symbol)
    if match is None or match[1] not in formulas:
        raise InternalError(f"the mathematical runtime has no function {symbol}")
    bits, lanes = int(match[2]), int(match[3])
    module, x = Module(), Value("%x", np.dtype(f"f{bits // 8}"), lanes)
    kind = llvm_type(FLOAT64, lanes)
    f = Function(module, symbol, [x.typed], kind, "nounwind memory(none)", linkage="")
    f.ret(formulas[match[1]](Number(f, x)).value)
    module.add(f)
    return module.text()
