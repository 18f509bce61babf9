"""Random choices among the values that a program has so far."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

# Few sizes, so that most pairs of values broadcast; 0, 1 and sizes about a vector's width included.
_SIZES = (1, 2, 3, 4, 5, 8, 17, 33)
_MOST_ELEMENTS = 3000


class UnfitError(Exception):
    """No value of the program suits the statement that was drawn."""


@dataclass(frozen=True)
class Value:
    """A variable of a random program."""

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    @property
    def size(self) -> int:
        return int(np.prod(self.shape))

    @property
    def ndim(self) -> int:
        return len(self.shape)


class Draw:
    """A source of random choices, and the values to choose from."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng
        self.values: list[Value] = []

    def shape(self, ndim: int) -> tuple[int, ...]:
        while True:
            shape = tuple(int(size) for size in self.rng.choice(_SIZES, ndim))
            if self.chance(0.02) and ndim:
                shape = (0, *shape[1:])
            if np.prod(shape) <= _MOST_ELEMENTS:
                return shape

    def chance(self, probability: float) -> bool:
        return bool(self.rng.random() < probability)

    def integer(self, low: int, high: int) -> int:
        """Return an integer from low to high, both included."""
        return int(self.rng.integers(low, high + 1))

    def among(self, choices: Sequence[Any]) -> Any:
        return choices[self.integer(0, len(choices) - 1)]

    def value(self, kinds: str = "f", ndim: int = 0, most: int = _MOST_ELEMENTS) -> Value:
        """Return a value of one of the kinds, late ones rather than early ones."""
        fit = [
            v for v in self.values if v.dtype.kind in kinds and v.ndim >= ndim and v.size <= most
        ]
        if not fit:
            raise UnfitError
        return fit[-min(self.integer(1, len(fit)), self.integer(1, len(fit)))]

    def like(self, value: Value) -> str:
        """Return the source of another operand: it broadcasts with a value and has its dtype."""
        fit = [
            v
            for v in self.values
            if v is not value
            and v.dtype.kind
            in {"f": "fiu", "i": "iu", "u": "iu", "b": "b", "c": "fc"}[value.dtype.kind]
            and _broadcasts(v.shape, value.shape)
        ]
        if not fit or self.chance(0.1):
            return self.literal(value.dtype)
        other = self.among(fit)
        return other.name if other.dtype == value.dtype else f"{other.name}.astype('{value.dtype}')"

    def literal(self, dtype: np.dtype[Any]) -> str:
        if dtype.kind == "b":
            return str(self.chance(0.5))
        if dtype.kind in "iu":
            return str(self.integer(1, 7))
        if dtype.kind == "c":
            return str(self.among([0.5j, -1.25, 1 + 2j]))
        return str(self.among([0.5, -1.25, 2.0, 0.1, 3.0, -0.75]))

    def axis(self, value: Value) -> int:
        """Return one axis, counted from the front or from the back."""
        if not value.ndim:
            raise UnfitError
        return self.integer(-value.ndim, value.ndim - 1)

    def axes(self, value: Value) -> int | tuple[int, ...] | None:
        """Return what NumPy's reductions take as ``axis``."""
        if not value.ndim or self.chance(0.15):
            return None
        if self.chance(0.6):
            return self.axis(value)
        count = self.integer(1, value.ndim)
        return tuple(int(a) for a in self.rng.choice(value.ndim, count, replace=False))


def _broadcasts(a: tuple[int, ...], b: tuple[int, ...]) -> bool:
    try:
        return bool(np.prod(np.broadcast_shapes(a, b)) <= _MOST_ELEMENTS)
    except ValueError:
        return False
