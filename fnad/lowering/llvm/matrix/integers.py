"""Sizes and offsets in runtime code: 64-bit integers with operators, and loops over them.

The functions of the matrix runtime are written once, with all sizes as run-time values; with
operators their loops read like the loops they are.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from fnad.lowering.llvm.writer import BOOL, INT64, DType, Function, Value, memory_type


@dataclass(frozen=True, slots=True)
class Int:
    """A signed 64-bit integer: a register of ``f``, or a constant."""

    f: Function
    ref: str

    @property
    def value(self) -> Value:
        return Value(self.ref, INT64)

    def _binary(self, instruction: str, other: Int | int) -> Int:
        return Int(self.f, self.f.raw(f"{instruction} i64 {self.ref}, {_ref(other)}"))

    def __add__(self, other: Int | int) -> Int:
        return self._binary("add nsw", other) if _ref(other) != "0" else self

    def __sub__(self, other: Int | int) -> Int:
        return self._binary("sub nsw", other)

    def __mul__(self, other: Int | int) -> Int:
        return self._binary("mul nsw", other) if _ref(other) != "1" else self

    def __floordiv__(self, other: Int | int) -> Int:
        """The quotient of two numbers that are not negative."""
        return self._binary("udiv", other) if _ref(other) != "1" else self

    def __mod__(self, other: Int | int) -> Int:
        """The remainder of two numbers that are not negative."""
        return self._binary("urem", other)

    def __and__(self, other: Int | int) -> Int:
        return self._binary("and", other)

    def _compare(self, condition: str, other: Int | int) -> Value:
        return self.f.value(f"icmp {condition} i64 {self.ref}, {_ref(other)}", BOOL)

    def __lt__(self, other: Int | int) -> Value:
        return self._compare("slt", other)

    def __gt__(self, other: Int | int) -> Value:
        return self._compare("sgt", other)

    def equals(self, other: Int | int) -> Value:
        return self._compare("eq", other)

    def up_to(self, most: Int | int) -> Int:
        """The smaller one of both."""
        return choose(self < most, self, integer(self.f, most))


def _ref(x: Int | int) -> str:
    return str(x) if isinstance(x, int) else x.ref


def integer(f: Function, x: Int | int) -> Int:
    return x if isinstance(x, Int) else Int(f, str(x))


def choose(condition: Value, yes: Int, no: Int | int) -> Int:
    return Int(yes.f, yes.f.raw(f"select {condition.typed}, i64 {yes.ref}, i64 {_ref(no)}"))


def parameters(f: Function, *names: str) -> list[Int]:
    """Parameters of a function that are integers."""
    return [Int(f, f"%{name}") for name in names]


def advance(f: Function, pointer: str, dtype: DType, by: Int) -> str:
    """The address of an element of an array."""
    return f.raw(f"getelementptr inbounds {memory_type(dtype)}, ptr {pointer}, i64 {by.ref}", "p")


@contextmanager
def steps(f: Function, extent: Int, step: Int | int) -> Iterator[Int]:
    """``for i in range(0, extent, step)``."""
    with f.steps(extent.value, integer(f, step).value) as index:
        yield Int(f, index.ref)
