"""What a program takes for granted of the sizes that it is called with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from fnad.core.polynomials import Polynomial, evaluate, text


@dataclass(frozen=True, slots=True)
class Fact:
    """``left relation right`` is ``holds``; the relation is ``==``, ``<`` or ``<=``."""

    left: Polynomial
    relation: str
    right: Polynomial
    holds: bool

    def check(self, sizes: Mapping[str, int]) -> bool:
        """Whether it is so for these sizes."""
        left, right = evaluate(self.left, sizes), evaluate(self.right, sizes)
        return RELATIONS[self.relation](left, right) == self.holds

    def __str__(self) -> str:
        relation = self.relation if self.holds else _OPPOSITE[self.relation]
        return f"{text(self.left)} {relation} {text(self.right)}"


RELATIONS: dict[str, Callable[[int, int], bool]] = {
    "==": lambda x, y: x == y,
    "<": lambda x, y: x < y,
    "<=": lambda x, y: x <= y,
}
_OPPOSITE = {"==": "!=", "<": ">=", "<=": ">"}
