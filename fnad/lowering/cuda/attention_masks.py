"""What of the scores of attention counts: windows, lengths, masks; and the bias added to them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass

import numpy as np

from fnad.lowering.cuda.writer import DType, Function, constant_text
from fnad.lowering.plan import Heads


@dataclass(frozen=True, slots=True)
class Operand:
    """An array that all blocks read: the name of its pointer, and its dtype."""

    pointer: str
    dtype: DType


@dataclass(frozen=True, slots=True)
class Masks:
    """The conditions on scores, of a warp with ``rows`` rows of its own and tiles of ``columns``.

    Own rows are positions, or keys if ``by_keys``. ``extras`` are the operands bias, mask and
    lengths, by name. Names in what is printed: a block's rows begin at ``first``, a warp's at
    ``strip`` behind it; a tile begins at ``row``. Most tiles are within all windows as a whole.
    """

    heads: Heads
    by_keys: bool
    rows: int
    columns: int
    sum: DType
    extras: Mapping[str, Operand]

    @property
    def _window(self) -> tuple[int | None, int | None]:
        """The window, None where it lets through all; no sum with an index overflows."""
        h, most = self.heads, self.heads.queries + self.heads.keys
        before, behind = (None if w is None else max(w, -most) for w in (h.before, h.behind))
        return (
            None if before is None or before >= h.queries - 1 else before,
            None if behind is None or behind >= h.keys - 1 else behind,
        )

    @property
    def _is_scaled_first(self) -> bool:
        """Whether scores are multiplied before the largest is found, not together with it."""
        return "bias" in self.extras or self.heads.scale <= 0

    @property
    def _scale(self) -> float:
        return self.heads.scale * math.log2(math.e)

    @property
    def factor(self) -> float:
        """What makes scores, once they are printed, binary logarithms of weights."""
        return 1.0 if self._is_scaled_first else self._scale

    def print_length(self, f: Function) -> None:
        """Define how many keys there are."""
        if "lengths" in self.extras:
            given = f"(i64){self.extras['lengths'].pointer}[entry]"
            f.line(f"const i32 length = (i32)min(max({given}, 0ll), {self.heads.keys}ll);")

    def range(self, size: int, block: int) -> tuple[str, str]:
        """The first of ``size`` rows that a block of ``block`` rows goes through, and the end."""
        window = self._window
        before, behind = window[::-1] if self.by_keys else window
        begin = "0" if before is None else f"max(first - {_signed(before)}, 0)"
        end = str(size) if behind is None else f"min(first + {block} + {_signed(behind)}, {size})"
        if "lengths" in self.extras:
            end = f"(first < length ? {end} : 0)" if self.by_keys else f"min({end}, length)"
        return begin, end

    def print(self, f: Function, each_score: Callable[[], AbstractContextManager[None]]) -> None:
        """Append what makes scores infinitely small where they do not count."""
        if self.heads.scale <= 0 and "bias" not in self.extras:
            with each_score():
                f.line(f"scores[r][n][i] *= {constant_text(self._scale, self.sum)};")
        single, whole = self._conditions()
        arrays = [name for name in ("bias", "mask") if name in self.extras]
        if not single and not arrays:
            return
        with f.block("" if arrays else f"if (!({' && '.join(whole)}))"), each_score():
            f.line("const i32 own_row = first + strip + r * 16 + i / 2 * 8 + lane / 4;")
            f.line("const i32 other = row + n * 8 + lane % 4 * 2 + i % 2;")
            names = ("other", "own_row") if self.by_keys else ("own_row", "other")
            f.line(f"const i32 position = {names[0]}, key = {names[1]};")
            if arrays:
                h = self.heads
                single = [*single, f"position < {h.queries}", f"key < {h.keys}"]
            f.line(f"bool counts = {' && '.join(single)};")
            if "mask" in self.extras:
                mask = f"{self.extras['mask'].pointer}[{self._place(self.heads.mask)}]"
                f.line(f"counts = counts && {mask};")
            if "bias" in self.extras:
                self._print_bias(f)
            least = constant_text(-np.inf, self.sum)
            f.line(f"scores[r][n][i] = counts ? scores[r][n][i] : {least};")

    def _print_bias(self, f: Function) -> None:
        bias = self.extras["bias"]
        with f.block("if (counts)"):
            element = f.value(f"{bias.pointer}[{self._place(self.heads.bias)}]", bias.dtype)
            added = f.b.convert(element, self.sum).ref
            scale, unit = (constant_text(x, self.sum) for x in (self._scale, math.log2(math.e)))
            f.line(f"scores[r][n][i] = scores[r][n][i] * {scale} + {added} * {unit};")

    def _place(self, shape: tuple[int, ...] | None) -> str:
        """Where an element of bias or mask lies that belongs to a score."""
        assert shape is not None
        terms = []
        for axis, name in enumerate(("entry", "query_head", "position", "key")):
            if shape[axis] > 1:
                step = math.prod(shape[axis + 1 :])
                terms.append(f"(i64){name}{f' * {step}' * (step > 1)}")
        return " + ".join(terms) or "0"

    def _conditions(self) -> tuple[list[str], list[str]]:
        """What a score must meet, and what a tile must, so that all of its scores do."""
        single, whole = [], []
        last_own, last = f"first + strip + {self.rows}", f"row + {self.columns}"
        end_of_keys, end_of_positions = (last_own, last) if self.by_keys else (last, last_own)
        key, position = ("first + strip", "row") if self.by_keys else ("row", "first + strip")
        if "lengths" in self.extras:
            single.append("key < length")
            whole.append(f"{end_of_keys} <= length")
        elif not self.by_keys and self.heads.keys % self.columns:
            single.append(f"key < {self.heads.keys}")
            whole.append(f"{end_of_keys} <= {self.heads.keys}")
        before, behind = self._window
        if before is not None:
            single.append(f"position - key <= {before}")
            whole.append(f"{end_of_positions} - 1 - ({key}) <= {before}")
        if behind is not None:
            single.append(f"key - position <= {behind}")
            whole.append(f"{end_of_keys} - 1 - ({position}) <= {behind}")
        return single, whole


def _signed(value: int) -> str:
    return f"({value})" if value < 0 else str(value)
