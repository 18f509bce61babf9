"""What a program takes for granted of the sizes that it is called with, and what follows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from fnad.core.polynomials import (
    Polynomial,
    decided,
    difference,
    evaluate,
    product,
    sign_of,
    sum_of,
    text,
    upper,
)


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


class Known:
    """What is known of polynomials: signs for all sizes, facts, and what follows from them."""

    __slots__ = ("_not_positive", "_unequal")

    def __init__(self) -> None:
        self._not_positive: list[Polynomial] = []
        self._unequal: set[Polynomial] = set()

    def copy(self) -> Known:
        """What is known by now."""
        new = Known()
        new._not_positive, new._unequal = list(self._not_positive), set(self._unequal)
        return new

    def add(self, fact: Fact) -> None:
        """Take a fact for granted."""
        d = difference(fact.left, fact.right)
        if fact.relation != "==":
            most = _at_most(d, fact.relation)
            self._not_positive.append(most if fact.holds else difference(_ONE, most))
        elif fact.holds:
            self._not_positive += [d, difference(_ZERO, d)]
        else:
            self._unequal |= {d, difference(_ZERO, d)}
            for one in (d, difference(_ZERO, d)):
                if self._bounded(difference(_ZERO, one)):  # not less than 0, so not less than 1
                    self._not_positive.append(difference(_ONE, one))

    def answer(self, left: Polynomial, relation: str, right: Polynomial) -> bool | None:
        """Whether ``left relation right``; None if that depends on the sizes."""
        d = difference(left, right)
        answer = decided(sign_of(d), relation)
        if answer is not None:
            return answer
        if relation != "==":
            most = _at_most(d, relation)
            if self._bounded(most):
                return True
            return False if self._bounded(difference(_ONE, most)) else None
        opposite = difference(_ZERO, d)
        if d in self._unequal or any(self._bounded(sum_of(x, _ONE)) for x in (d, opposite)):
            return False
        return (self._bounded(d) and self._bounded(opposite)) or None

    def _bounded(self, terms: Polynomial) -> bool:
        """Whether a polynomial is known to be at most 0, with a multiple of another that is."""
        for most in dict.fromkeys((terms, upper(terms))):
            if sign_of(most)[3]:
                return True
            given = dict(most)
            for known in self._not_positive:
                for times in {given.get(f, 0) // c for f, c in known if f}:
                    if times > 0 and sign_of(difference(most, _times(known, times)))[3]:
                        return True
        return False


_ZERO: Polynomial = ()
_ONE: Polynomial = (((), 1),)


def _times(terms: Polynomial, times: int) -> Polynomial:
    return product((((), times),), terms)


def _at_most(d: Polynomial, relation: str) -> Polynomial:
    """What is at most 0 if ``d relation 0``: integers less than 0 are at most -1."""
    return sum_of(d, _ONE) if relation == "<" else d
