"""Sizes that are known only when a program is called: polynomials over names of axes.

A `Size` stands where a shape has an integer. It passes for one: what handles shapes runs with it,
and sums, products and quotients of it know what they are in terms of the names. What is asked of it
(``n == 1``, ``n < m``) is answered for all sizes where that is possible, else for those that the
program is made for, its hints, and written down as a `Fact`: what was made of the answer serves the
calls of which the facts hold.

There is no integer in it that C code (``range``, NumPy) could take. So nothing depends on the hints
but the facts.
"""

from __future__ import annotations

import math
import operator
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from numbers import Number
from types import FrameType
from typing import Any

import numpy as np

from fnad.core.errors import FnadError
from fnad.core.facts import RELATIONS, Fact, Known
from fnad.core.polynomials import (
    Polynomial,
    difference,
    evaluate,
    names,
    product,
    quotient,
    sign_of,
    sum_of,
    text,
)
from fnad.core.source import SourceLine, user_line

# Sizes are less than this: more elements no memory holds.
_MOST = 2**62
# What names stand for in `typical`.
_TYPICAL = 1009
# From here on, what is lowered takes a size to be larger than a constant (in 32 bits, say).
_WIDE = 2**31 - 64


class Scope:
    """Where sizes belong: the making of one program with one set of hints.

    Sizes of different scopes are never equal, so that nothing that is kept (types, expressions)
    goes from one to the other. While a program is ``lowered``, which is right for any size that
    its equations are right for, two sizes are equal if they are so for all values of the names,
    and no facts are noted of that. Once this is ``settled``, facts of order that are noted later do
    not tell that a loop has one turn: its variable stands in expressions by then.
    """

    __slots__ = ("facts", "hints", "known", "lowering", "settled", "shown", "strict")

    def __init__(self, hints: Mapping[str, int], strict: bool = False) -> None:
        self.hints = dict(hints)
        self.strict = strict  # whether nothing is to depend on the hints
        self.facts: list[Fact] = []
        self.known = Known()
        self.settled: Known | None = None  # what equalities follow from while planning
        self.lowering = False
        self.shown: SourceLine | None = None  # where the text of a size was taken

    def size(self, name: str) -> Size:
        """The size that has this name."""
        return Size._new(self.hints[name], (((name,), 1),), self)

    @contextmanager
    def lowered(self) -> Iterator[None]:
        """Inside, code that is right for any size compares without facts."""
        self.lowering = True
        try:
            yield
        finally:
            self.lowering = False

    def settle(self) -> None:
        """From now on, code that is lowered gets the same answer each time it asks for equality."""
        self.settled = self.known.copy()

    def ask(self, left: Size | int, relation: str, right: Size | int, own: bool = True) -> bool:
        """Whether a relation holds; noted if it does not do so for all sizes.

        ``own`` questions are those of fnad, to which sizes are different unless they are known to
        be equal.
        """
        p, q = polynomial(left), polynomial(right)
        equality = self.lowering and relation == "=="
        known = self.settled if equality and self.settled is not None else self.known
        answer = known.answer(p, relation, q)
        if answer is not None:
            return answer
        if equality:
            return False
        bounds = type(left) is Bound or type(right) is Bound
        far = _far(left, relation, right, _WIDE if self.lowering and not bounds else _MOST)
        if far is not None:
            return far
        if bounds:
            return False
        if self.strict:
            if own and relation == "==":
                return False
            raise SizeError(
                f"whether {text(p)} {relation} {text(q)} is not known for all sizes: say which it"
                " is by constraints of fnad.symbolic_shape, or use the function with arrays"
            )
        fact = Fact(p, relation, q, RELATIONS[relation](hint(left), hint(right)))
        self.take(fact)
        return fact.holds

    def take(self, fact: Fact) -> None:
        """Take a fact for granted."""
        self.facts.append(fact)
        self.known.add(fact)


class Size:
    """An integer that has other values in other calls.

    To ``isinstance`` it is an ``int``. What would need its value is refused.

    Examples
    --------
    >>> n = Scope({"n": 1009}).size("n")
    >>> n * 2 + 1, (n * 6) // 3, n == 1009 + n
    (2*n + 1, 2*n, False)
    """

    __slots__ = ("_hint", "polynomial", "scope")

    _hint: int
    polynomial: Polynomial
    scope: Scope

    @classmethod
    def _new(cls, value: int, terms: Polynomial, scope: Scope) -> Size:
        self = object.__new__(cls)
        self._hint, self.polynomial, self.scope = value, terms, scope
        return self

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        """What ``isinstance(n, int)`` goes by; ``type(n)`` is the truth."""
        return int

    # -- arithmetic -------------------------------------------------------------------------

    def _made(self, value: int, terms: Polynomial, *others: Any) -> Any:
        if not terms:
            return 0
        if len(terms) == 1 and not terms[0][0]:
            return terms[0][1]
        cls = Bound if type(self) is Bound or any(type(x) is Bound for x in others) else Size
        return cls._new(value, terms, self.scope)

    def __add__(self, other: Any) -> Any:
        if not isinstance(other, int):
            return self._numeric(operator.add, other)
        terms = sum_of(self.polynomial, polynomial(other))
        return self._made(hint(self) + hint(other), terms, other)

    __radd__ = __add__

    def __neg__(self) -> Any:
        return self * -1

    def __pos__(self) -> Any:
        return self

    def __sub__(self, other: Any) -> Any:
        if not isinstance(other, int):
            return self._numeric(operator.sub, other)
        terms = difference(self.polynomial, polynomial(other))
        return self._made(hint(self) - hint(other), terms, other)

    def __rsub__(self, other: Any) -> Any:
        if not isinstance(other, int):
            return self._numeric(operator.sub, other, swapped=True)
        return -(self - other)

    def __mul__(self, other: Any) -> Any:
        if not isinstance(other, int):
            return self._numeric(operator.mul, other)
        terms = product(self.polynomial, polynomial(other))
        return self._made(hint(self) * hint(other), terms, other)

    __rmul__ = __mul__

    def __pow__(self, other: Any, modulus: Any = None) -> Any:
        if type(other) is not int or other < 0 or modulus is not None:
            return self._numeric(operator.pow, other)
        return math.prod([self] * other, start=1)

    def __rpow__(self, other: Any) -> Any:
        return self._numeric(operator.pow, other, swapped=True)

    def _over(self, operation: str, left: Any, right: Any) -> Any:
        divisor = hint(right)
        if isinstance(right, Size) and not self.scope.lowering:
            self.scope.ask(right, "==", 0)
        if divisor == 0 and self.scope.lowering:  # of an index into nothing
            value = 0
        else:
            value = hint(left) // divisor if operation == "//" else hint(left) % divisor
        p, q = polynomial(left), polynomial(right)
        exact = quotient(p, q)
        if exact is None and operation == "//":
            whole = quotient(sum_of(p, (((), 1),)), q)
            if whole is not None:  # (n*m - 1) // m, and m is not 0
                return self._made(value, difference(whole, (((), 1),)), left, right)
        if (
            exact is None
            and operation == "//"
            and sign_of(p)[3]
            and type(right) is int
            and right > 0
        ):
            return -((-left + right - 1) // right)  # quotients of natural numbers have bounds
        if exact is not None:
            return self._made(value, exact, left, right) if operation == "//" else 0
        return self._made(value, ((((operation, p, q),), 1),), left, right)

    def __floordiv__(self, other: Any) -> Any:
        if not isinstance(other, int):
            return self._numeric(operator.floordiv, other)
        return self._over("//", self, other)

    def __rfloordiv__(self, other: Any) -> Any:
        if not isinstance(other, int):
            return self._numeric(operator.floordiv, other, swapped=True)
        return self._over("//", other, self)

    def __mod__(self, other: Any) -> Any:
        if not isinstance(other, int):
            return self._numeric(operator.mod, other)
        return self._over("%", self, other)

    def __rmod__(self, other: Any) -> Any:
        if not isinstance(other, int):
            return self._numeric(operator.mod, other, swapped=True)
        return self._over("%", other, self)

    def __divmod__(self, other: Any) -> Any:
        return self // other, self % other

    def __rdivmod__(self, other: Any) -> Any:
        return other // self, other % self

    def __abs__(self) -> Any:
        return self if self >= 0 else -self

    # -- questions --------------------------------------------------------------------------

    def _asked(self, relation: str, other: Any, swapped: bool = False) -> Any:
        if relation == "==" and isinstance(other, Size) and other.scope is not self.scope:
            return False
        if not isinstance(other, int):
            if isinstance(other, np.integer):
                other = int(other)
            elif isinstance(other, Number):  # 2.0, Fraction(2): their classes would say no
                raise self._refuse(f"a comparison with {other!r}, which is not an integer,")
            else:
                return NotImplemented
        left, right = (other, self) if swapped else (self, other)
        own = not self.scope.strict or _is_own(sys._getframe(2))
        return self.scope.ask(left, relation, right, own)

    def __eq__(self, other: object) -> Any:
        return self._asked("==", other)

    def __ne__(self, other: object) -> Any:
        equal = self._asked("==", other)
        return equal if equal is NotImplemented else not equal

    def __lt__(self, other: Any) -> Any:
        return self._asked("<", other)

    def __le__(self, other: Any) -> Any:
        return self._asked("<=", other)

    def __gt__(self, other: Any) -> Any:
        return self._asked("<", other, swapped=True)

    def __ge__(self, other: Any) -> Any:
        return self._asked("<=", other, swapped=True)

    def __bool__(self) -> bool:
        # What is lowered asks whether a term or a loop can be left out.
        return self != 0

    def __hash__(self) -> int:
        # A set of plain numbers would hold no size, whatever that will be.
        if not _is_own(sys._getframe(1)):
            raise self._refuse("to be an element of a set or the key of a dict")
        return hash((id(self.scope), self.polynomial))

    # -- what would need the value ----------------------------------------------------------

    def _refuse(self, what: str) -> SizeError:
        return SizeError(
            f"{what} was asked of the size {text(self.polynomial)}, which is known only when the"
            " function is called. Arithmetic with it, and functions of fnad.numpy, give sizes and"
            " arrays; other code (range(n), len(x), np.zeros(n), math.sqrt(n), str(n)) needs the"
            " axis to be static."
        )

    def __index__(self) -> int:
        raise self._refuse("a plain integer")

    __int__ = __trunc__ = __floor__ = __ceil__ = __round__ = __index__

    def __float__(self) -> float:
        raise self._refuse("a Python float")

    def __complex__(self) -> complex:
        raise self._refuse("a Python complex number")

    def _bits(self, *_: Any) -> Any:
        raise self._refuse("what depends on its bits")

    __and__ = __rand__ = __or__ = __ror__ = __xor__ = __rxor__ = __invert__ = _bits
    __lshift__ = __rlshift__ = __rshift__ = __rrshift__ = bit_length = bit_count = _bits

    def __reduce__(self) -> Any:
        raise self._refuse("a copy")

    # -- what arrays do ---------------------------------------------------------------------

    def _numeric(
        self, operation: Callable[[Any, Any], Any], other: Any, swapped: bool = False
    ) -> Any:
        """An operation with a number that is no integer: one on arrays."""
        if not isinstance(other, (float, complex)):
            return NotImplemented
        number = _number_of(self)
        return operation(other, number) if swapped else operation(number, other)

    def __truediv__(self, other: Any) -> Any:
        return _number_of(self) / other

    def __rtruediv__(self, other: Any) -> Any:
        return other / _number_of(self)

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        numbers = [_number_of(x) if isinstance(x, Size) else x for x in inputs]
        return getattr(ufunc, method)(*numbers, **kwargs)

    # -- text -------------------------------------------------------------------------------

    def _text(self, asking: FrameType) -> str:
        if not _is_own(asking):
            self.scope.shown = user_line()
        return text(self.polynomial)

    def __repr__(self) -> str:
        return self._text(sys._getframe(1))

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return format(self._text(sys._getframe(1)), spec)


def _is_own(frame: FrameType) -> bool:
    """Whether the code that asked a method of a size is a part of fnad."""
    return str(frame.f_globals.get("__name__")).startswith("fnad.")


def same_shape(one: tuple[int, ...], other: tuple[int, ...]) -> bool:
    """Whether shapes are equal for all sizes; of that, no facts are noted."""
    return hash(one) == hash(other) and one == other


def surely_equal(one: int, other: int) -> bool:
    """Whether two sizes are equal for all values of the names; of that, no facts are noted."""
    if type(one) is Size or type(other) is Size:
        return polynomial(one) == polynomial(other)
    return one == other


def repeats_into(n: int, target: int) -> bool:
    """Whether an axis of length ``n`` can be repeated into one of the length ``target``."""
    return (type(n) is int and n == 1) or n == target or n == 1


def common_shape(*shapes: tuple[int, ...]) -> tuple[int, ...]:
    """`numpy.broadcast_shapes`, of sizes as well."""
    if not any(isinstance(n, Size) for shape in shapes for n in shape):
        return np.broadcast_shapes(*shapes)
    common: list[int] = []  # from the last axis on
    for shape in shapes:
        common += [1] * (len(shape) - len(common))
        for k, n in enumerate(reversed(shape)):
            if type(n) is int and n == 1:
                continue
            if repeats_into(common[k], n):
                common[k] = n
            elif n != 1:
                raise ValueError(f"shapes {', '.join(map(str, shapes))} cannot be broadcast")
    return tuple(reversed(common))


def slice_indices(
    start: int | None, stop: int | None, step: int | None, length: int
) -> tuple[int, int, int]:
    """``slice(start, stop, step).indices(length)``, of sizes as well."""
    if not any(isinstance(x, Size) for x in (start, stop, step, length)):
        return slice(start, stop, step).indices(length)
    step = 1 if step is None else step
    low, high = (0, length) if step > 0 else (-1, length - 1)

    def inside(index: int | None, default: int) -> int:
        if index is None:
            return default
        if index < 0:
            index = index + length
        return low if index < low else high if index > high else index

    forwards = step > 0
    return inside(start, low if forwards else high), inside(stop, high if forwards else low), step


def range_length(start: int, stop: int, step: int) -> int:
    """``len(range(start, stop, step))``, of sizes as well."""
    if not any(isinstance(x, Size) for x in (start, stop, step)):
        return len(range(start, stop, step))
    count = (stop - start + step - 1) // step if step > 0 else (start - stop - step - 1) // -step
    return count if count >= 0 else 0


class Bound(Size):
    """A size between which and another one an index lies; what is not known of it is False.

    So simplifications by bounds are made only where they are right for all sizes, if they ask for
    what they need: ``low >= 0``, never ``not low < 0``.
    """

    __eq__ = Size.__eq__
    __hash__ = Size.__hash__


def bound(value: int) -> int:
    """An integer as the bound of an index."""
    if type(value) is Size:
        return Bound._new(hint(value), value.polynomial, value.scope)
    return value


def _far(left: Size | int, relation: str, right: Size | int, least: int) -> bool | None:
    """What is taken for granted of a size and a constant that is no size of an everyday array."""
    constant, swapped = (right, False) if isinstance(left, Size) else (left, True)
    if isinstance(constant, Size) or abs(constant) < least:
        return None
    below = (constant > 0) == (abs(constant) >= _MOST)  # whether the size is below it
    return below != swapped


# What a size is to arithmetic on arrays; set by `fnad.primitives.sizes`.
_number_of: Callable[[Size], Any]


def install_numbers(function: Callable[[Size], Any]) -> None:
    """Say how a size becomes an operand."""
    global _number_of
    _number_of = function


class SizeError(FnadError):
    """A function needs the value of a size that it does not have while it is traced."""


def as_size(value: Any) -> Any:
    """``operator.index``, which leaves sizes what they are."""
    return value if isinstance(value, Size) else operator.index(value)


def hint(value: Size | int) -> int:
    """The value of a size in this making of the program, of another integer itself."""
    return value._hint if isinstance(value, Size) else value


def typical(value: int) -> int:
    """What decisions that only matter for speed go by: the same in each making of a program."""
    if isinstance(value, Size):
        return evaluate(value.polynomial, dict.fromkeys(names(value.polynomial), _TYPICAL))
    return value


def polynomial(value: Size | int) -> Polynomial:
    """A size, or another integer, in terms of names."""
    if isinstance(value, Size):
        return value.polynomial
    return (((), int(value)),) if value else ()
