"""Elementary functions of our own as device functions: the formulas of the CPU, printed as C++."""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

from fnad.lowering.cuda.scalars import ScalarBuilder
from fnad.lowering.cuda.writer import FLOAT32, FLOAT64, DType, Function, Value, constant_text, ctype
from fnad.lowering.maths import FORMULAS, LONG_FORMULAS
from fnad.lowering.maths.notation import Number


class Definition(NamedTuple):
    """A device function as text, the functions of the library that it calls, and its tables.

    Tables are constant arrays as text, by name; functions may share them.
    """

    text: str
    needs: tuple[str, ...] = ()
    tables: tuple[tuple[str, str], ...] = ()


class FormulaBuilder(ScalarBuilder):
    """What formulas are printed with: `maths.notation.Builder`, where every rounding counts."""

    def __init__(self, function: Function) -> None:
        super().__init__(function)
        self.tables: dict[str, str] = {}

    def multiply(self, x: Value, y: Value) -> Value:
        """A product that compilers do not fuse with a sum."""
        if x.dtype.kind != "f":
            return super().multiply(x, y)
        return self.call("__fmul_rn" if x.dtype == FLOAT32 else "__dmul_rn", x.dtype, x, y)

    def constant_like(self, value: float, x: Value) -> Value:
        return self.constant(value, x.dtype)

    def if_any(
        self, condition: Value, values: Sequence[Value], otherwise: Callable[[], Sequence[Value]]
    ) -> list[Value]:
        results = [self.f.variable(x) for x in values]
        with self.f.block(f"if ({condition.ref})"):
            for result, other in zip(results, otherwise(), strict=True):
                self.f.line(f"{result.ref} = {other.ref};")
        return results

    def library_remainder(self, x: Value, y: Value) -> Value:
        return self.remainder(x, y)

    def lookup(self, table: str, numbers: Sequence[float], index: Value) -> Value:
        name = table.replace(".", "_")
        texts = ", ".join(constant_text(x, FLOAT64) for x in numbers)
        size = len(numbers)
        self.tables[name] = f"__device__ const f64 {name}[{size}] = {{{texts}}};\n"
        return self.f.value(f"{name}[{index.ref}]", FLOAT64)

    def call_formula(self, name: str, x: Value) -> Value:
        return self.library_call(f"{name}_{ctype(x.dtype)}", FLOAT64, x)

    def scale(self, x: Value, n: Value) -> None:
        """There is no such instruction."""

    def split(self, x: Value) -> None:
        """There is no such instruction."""


def definition(name: str) -> Definition | None:
    """The function of this name, such as ``erfc_f32``; None if no formula has it."""
    stem, _, kind = name.rpartition("_")
    dtype = {"f32": FLOAT32, "f64": FLOAT64}.get(kind)
    if dtype is not None and stem in FORMULAS:
        return _function(name, FORMULAS[stem], dtype, dtype, "")
    if dtype is not None and stem in LONG_FORMULAS:
        return _function(name, LONG_FORMULAS[stem], dtype, FLOAT64, "__noinline__ ")
    return None


@functools.cache
def _function(
    name: str, formula: Callable[..., Number], dtype: DType, result: DType, attributes: str
) -> Definition:
    f = Function()
    f.b = b = FormulaBuilder(f)
    args = [Value(f"x{i}", dtype) for i in range(len(inspect.signature(formula).parameters))]
    f.line(f"return {formula(*(Number(b, x) for x in args)).value.ref};")
    parameters = ", ".join(f"{ctype(dtype)} {x.ref}" for x in args)
    head = f"{attributes}__device__ {ctype(result)} {name}({parameters}) {{"
    text = "\n".join([head, *_without_unused(f.lines), "}", ""])
    return Definition(text, tuple(f.used), tuple(b.tables.items()))


_NAME = re.compile(r"\bv\d+\b")
_CONSTANT = re.compile(r"\s*const \w+ (v\d+) = ")


def _without_unused(lines: Sequence[str]) -> list[str]:
    """What is computed and needed: formulas take the half of some pairs."""
    kept: list[str] = []
    used: set[str] = set()
    for line in reversed(lines):
        constant = _CONSTANT.match(line)
        if constant is None or constant[1] in used:
            used.update(_NAME.findall(line))
            kept.append(line)
    return kept[::-1]
