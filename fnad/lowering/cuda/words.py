"""Words of up to 16 bytes: which neighbouring elements one instruction may read or write.

An offset that has coefficient 1 on the innermost axis names neighbours. How many of them make a
word depends on what else is in it: every other term, and the constant, must be a multiple of the
word's length, for buffers begin at multiples of 16 bytes.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence

from fnad.lowering.cuda.writer import DType, Function, Value, ctype
from fnad.lowering.expr import Expr, affine_parts
from fnad.lowering.walk import below, postorder

_WORD_BYTES = 16
# Bytes of one buffer that a thread reads at once.
_VECTOR_BYTES = 32


def most_lanes(dtypes: Sequence[DType]) -> int:
    """How many neighbours a thread should take of elements of these types at once."""
    sizes = [dtype.itemsize for dtype in dtypes] or [_WORD_BYTES]
    return min(_WORD_BYTES // min(sizes), _VECTOR_BYTES // max(sizes))


def neighbours(offset: Expr, inner: Expr) -> bool:
    """Whether an offset names neighbouring elements as ``inner`` runs."""
    terms, _ = affine_parts(offset)
    if terms.get(inner) != 1:
        return False
    return not any(t.args and t is not inner and inner in below(t) for t in terms)


def word_length(itemsize: int, most: int) -> int:
    """How many of ``most`` neighbours the longest word has."""
    return min(_WORD_BYTES // itemsize, most)


def length_of(offset: Expr, inner: Expr, itemsize: int, most: int) -> int:
    """How many elements a word has, if ``most`` neighbours along ``inner`` are accessed.

    ``inner`` is a multiple of ``most``, both are powers of two. 1 if they are no neighbours.
    """
    if not neighbours(offset, inner):
        return 1
    terms, constant = affine_parts(offset)
    others = [c for t, c in terms.items() if t is not inner]
    return math.gcd(_WORD_BYTES // itemsize, most, constant, *others)


def varying(roots: Iterable[Expr], axes: Collection[Expr]) -> set[Expr]:
    """What of expressions depends on axes (or on other expressions that are given as such)."""
    found = set(axes)
    for e in postorder(roots, lambda e: e in axes):
        if not found.isdisjoint(e.args):
            found.add(e)
    return found


def uniform(roots: Sequence[Expr], moving: Collection[Expr]) -> list[Expr]:
    """The largest parts of expressions that do not depend on any of ``moving``; no leaves."""
    found = varying(roots, moving)
    inside = postorder(roots, lambda e: e in moving or e not in found)
    parts = dict.fromkeys(a for e in inside for a in e.args)
    return [e for e in dict.fromkeys([*roots, *parts]) if e not in found and e.args]


class Words:
    """Neighbouring elements that a thread holds, ``lanes`` in each of ``turns``, as words.

    Before ``p0[i] .. p0[i + 3]``, after ``const f32x4 word = *(const f32x4*)(p0 + i)``.
    """

    def __init__(self, f: Function, dtype: DType, lanes: int, length: int, turns: int = 1) -> None:
        self.f, self.dtype = f, dtype
        self.length = length
        self.name = f.fresh("word")
        self._count = lanes // length
        self._turns = turns
        self.type = ctype(dtype) if length == 1 else f.use(f"{ctype(dtype)}x{length}")
        dimensions = [f"[{n}]" for n in (turns, self._count) if n > 1]
        f.line(f"{self.type} {self.name}{''.join(dimensions)};")

    def element(self, turn: str, lane: str) -> Value:
        """An element, by the texts of its turn and of its number."""
        if self._count == 1:
            number, inside = "0", lane
        elif self.length == 1:
            number, inside = lane, "0"
        else:
            number, inside = f"{lane} / {self.length}", f"{lane} % {self.length}"
        text = self._word(turn, number) + (f".at[{inside}]" if self.length > 1 else "")
        return Value(text, self.dtype)

    def _word(self, turn: str, number: str) -> str:
        text = self.name
        if self._turns > 1:
            text += f"[{turn}]"
        return text if self._count == 1 else f"{text}[{number}]"

    def fill(self, pointer: str, offset: Value, turn: str = "0") -> None:
        """Read the words of a turn from an offset on."""
        for k in range(self._count):
            place = self._place(pointer, offset, k, "const ")
            self.f.line(f"{self._word(turn, str(k))} = {place};")

    def flush(self, pointer: str, offset: Value, turn: str = "0") -> None:
        """Write the words of a turn from an offset on."""
        for k in range(self._count):
            self.f.line(f"{self._place(pointer, offset, k)} = {self._word(turn, str(k))};")

    def _place(self, pointer: str, offset: Value, k: int, constant: str = "") -> str:
        index = f"{offset.ref} + {k * self.length}" if k else offset.ref
        if self.length == 1:
            return f"{pointer}[{index}]"
        return f"*({constant}{self.type}*)({pointer} + {index})"
