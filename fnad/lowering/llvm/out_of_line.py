"""What formulas need of LLVM besides arithmetic: branches, tables, and calls of long parts.

Those parts are seldom used, and compiled once per process.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from fnad.core.errors import InternalError
from fnad.lowering.llvm.target import VECTOR_CODE, Recipe
from fnad.lowering.llvm.writer import (
    BOOL,
    FLOAT64,
    Function,
    Module,
    Value,
    constant_text,
    llvm_type,
    suffix,
)
from fnad.lowering.maths import LONG_FORMULAS
from fnad.lowering.maths.notation import Number

if TYPE_CHECKING:
    from fnad.lowering.llvm.scalars import ScalarBuilder

_SYMBOL = re.compile(r"fnad\.maths\.(\w+)\.f(32|64)x(\d+)")


def call(b: ScalarBuilder, name: str, x: Value) -> Value:
    """The float64 that the formula ``name`` of `maths.LONG_FORMULAS` has for ``x``."""
    symbol = f"fnad.maths.{name}.{suffix(x.dtype)}x{x.lanes}"
    kind = llvm_type(FLOAT64, x.lanes)
    b.f.module.declare(symbol, f"declare {kind} @{symbol}({x.type}) cold nounwind memory(none)")
    return b.f.value(f"call {kind} @{symbol}({x.typed})", FLOAT64, x.lanes)


def lookup(b: ScalarBuilder, table: str, numbers: Sequence[float], index: Value) -> Value:
    """``numbers[index]`` of a constant array of float64."""
    f, symbol = b.f, f"fnad.{table}"
    texts = ", ".join(f"double {constant_text(x, FLOAT64)}" for x in numbers)
    f.module.declare(symbol, f"@{symbol} = internal constant [{len(numbers)} x double] [{texts}]")
    if index.lanes == 1:
        return f.load(f.element(f"@{symbol}", FLOAT64, index), FLOAT64)
    return f.gather(f"@{symbol}", FLOAT64, index)


def if_any(
    b: ScalarBuilder,
    condition: Value,
    values: Sequence[Value],
    otherwise: Callable[[], Sequence[Value]],
) -> list[Value]:
    """``values``, replaced by others if a rare condition holds in any lane."""
    f = b.f
    rare, after = f.fresh("rare"), f.fresh("after")
    any_lane = _any_lane(f, condition)
    before = f.block
    f.branch(any_lane, rare, after)
    f.label(rare)
    others, rare_end = otherwise(), f.block
    f.jump(after)
    f.label(after)
    return [
        f.value(f"phi {x.type} [ {x.ref}, %{before} ], [ {y.ref}, %{rare_end} ]", x.dtype, x.lanes)
        for x, y in zip(values, others, strict=True)
    ]


def _any_lane(f: Function, condition: Value) -> Value:
    """Whether the condition holds in any lane, as one bit to branch on."""
    ref, lanes = f.raw(f"freeze {condition.typed}"), condition.lanes
    if lanes == 1:
        return Value(ref, BOOL)
    word = f.raw(f"bitcast {condition.type} {ref} to i{lanes}")
    return f.value(f"icmp ne i{lanes} {word}, 0", BOOL)


def source_of(symbol: str) -> tuple[str, Recipe]:
    """A module with the function of that name; `own_functions` loads it."""
    match = _SYMBOL.fullmatch(symbol)
    if match is None or match[1] not in LONG_FORMULAS:
        raise InternalError(f"the mathematical runtime has no function {symbol}")
    bits, lanes = int(match[2]), int(match[3])
    module, x = Module(), Value("%x", np.dtype(f"f{bits // 8}"), lanes)
    kind = llvm_type(FLOAT64, lanes)
    f = Function(module, symbol, [x.typed], kind, "nounwind memory(none)", linkage="")
    f.ret(LONG_FORMULAS[match[1]](Number(f.b, x)).value)
    module.add(f)
    return module.text(), VECTOR_CODE
