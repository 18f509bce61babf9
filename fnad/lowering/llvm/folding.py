"""Integers that are known while instructions are printed, and arithmetic on them.

Indices are full of them: the first turn of a loop that has one, the lanes of a mask.
"""

from __future__ import annotations

import operator
from collections.abc import Callable

from fnad.lowering.llvm.writer import DType, Value, constant_text

_ARITHMETIC: dict[str, Callable[[int, int], int]] = {
    "add": operator.add,
    "sub": operator.sub,
    "mul": operator.mul,
    "smin": min,
    "smax": max,
}
# What changes nothing on the right.
_NEUTRAL = {"add": 0, "sub": 0, "mul": 1}


def integer_of(x: Value) -> int | None:
    """The integer that a value is known to be, in all of its lanes."""
    ref = x.ref
    if ref[0] == "%" or x.dtype.kind not in "iu":
        return None
    if ref.startswith("splat ("):  # (i32 7)
        ref = ref[ref.rindex(" ") + 1 : -1]
    signed = ref[0] == "-" and x.dtype.kind == "i"
    return int(ref) if ref[signed:].isdigit() else None


def folded(operation: str, x: Value, y: Value) -> Value | None:
    """What an instruction gives if that is known: a constant, of one lane, or an operand."""
    a, b = integer_of(x), integer_of(y)
    if b is None and a is None:
        return None
    neutral = _NEUTRAL.get(operation)
    if b is not None and b == neutral:
        return x
    if a is not None and a == neutral and operation != "sub":
        return y
    if a is None or b is None or x.dtype.kind != "i" or operation not in _ARITHMETIC:
        return None
    return converted(_ARITHMETIC[operation](a, b), x.dtype)


def converted(number: int | None, dtype: DType) -> Value | None:
    """A known integer under an integer dtype that has it."""
    if number is None or dtype.kind not in "iu":
        return None
    bits = dtype.itemsize * 8
    low, high = (0, 1 << bits) if dtype.kind == "u" else (-(1 << bits - 1), 1 << bits - 1)
    return Value(constant_text(number, dtype), dtype) if low <= number < high else None
