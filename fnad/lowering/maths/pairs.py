"""Numbers of twice the precision: unevaluated sums of two (Dekker 1971).

Each operation errs by some units of the 104th bit of its larger operand or of its result.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from fnad.lowering.maths.notation import Number, fast_two_sum, fma, horner, two_sum


@dataclass(frozen=True, slots=True)
class Pair:
    """``high + low``, where ``high`` is that sum rounded."""

    high: Number
    low: Number

    def __add__(self, other: Pair) -> Pair:
        total, lost = two_sum(self.high, other.high)
        return Pair(*fast_two_sum(total, lost + (self.low + other.low)))

    def __neg__(self) -> Pair:
        return Pair(-self.high, -self.low)

    def __mul__(self, other: Pair) -> Pair:
        product = self.high * other.high
        cross = fma(self.high, other.low, self.low * other.high)
        return Pair(*fast_two_sum(product, fma(self.high, other.high, -product) + cross))

    def __truediv__(self, other: Pair) -> Pair:
        quotient = self.high / other.high
        rest = fma(-quotient, other.high, self.high)  # exact
        rest = rest + fma(-quotient, other.low, self.low)
        return Pair(*fast_two_sum(quotient, rest / other.high))


def split_fraction(x: Fraction) -> tuple[float, float]:
    """The two parts of a constant."""
    high = float(x)
    return high, float(x - Fraction(high))


def constant(model: Number, parts: tuple[float, float]) -> Pair:
    return Pair(*map(model.constant, parts))


def exactly(x: Number) -> Pair:
    """A number as it is."""
    return Pair(x, x.constant(0.0))


def series(x: Pair, coefficients: Sequence[Fraction], precise: int) -> Pair:
    """A polynomial, constant coefficient first.

    Terms from ``precise`` on are so small that one number does for them.
    """
    tail = horner(x.high, [float(c) for c in coefficients[precise:]])
    result = exactly(tail)
    for c in reversed(coefficients[:precise]):
        result = constant(tail, split_fraction(c)) + result * x
    return result
