"""Polynomials over names of axes, with quotients and remainders of such as further factors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Union

# What a polynomial is made of: names, and what is no polynomial of them: ("//", p, q) and so on.
Node = Union[str, "tuple[str, Polynomial, Polynomial]"]
# Pairs of the factors of a term, sorted, and its coefficient, which is not zero.
Polynomial = tuple[tuple[tuple[Node, ...], int], ...]


def evaluate(terms: Polynomial, sizes: Mapping[str, int]) -> int:
    """The value of a polynomial for sizes by name."""
    total = 0
    for factors, coefficient in terms:
        for node in factors:
            coefficient *= sizes[node] if type(node) is str else _value(node, sizes)
        total += coefficient
    return total


def names(terms: Polynomial) -> set[str]:
    """The names in a polynomial."""
    found: set[str] = set()
    for factors, _ in terms:
        for node in factors:
            found |= {node} if isinstance(node, str) else names(node[1]) | names(node[2])
    return found


def text(terms: Polynomial) -> str:
    """A polynomial as the user would write it: ``2*n + 1``."""
    parts = []
    for factors, c in sorted(terms, key=lambda t: (-len(t[0]), repr(t[0]))):
        shown = [_node_text(node) for node in factors]
        if abs(c) != 1 or not factors:
            shown.insert(0, str(abs(c)))
        parts.append(("- " if c < 0 else "+ ") + "*".join(shown))
    joined = " ".join(parts) or "0"
    return joined[2:] if joined.startswith("+ ") else joined.replace("- ", "-", 1)


def _node_text(node: Any) -> str:
    return node if isinstance(node, str) else f"(({text(node[1])}) {node[0]} ({text(node[2])}))"


def _value(node: Any, sizes: Mapping[str, int]) -> int:
    operation, p, q = node
    left, right = evaluate(p, sizes), evaluate(q, sizes)
    return left // right if operation == "//" else left % right


# -- polynomials -------------------------------------------------------------------------------


def _normal(terms: dict[tuple[Node, ...], int]) -> Polynomial:
    return tuple(sorted([(f, c) for f, c in terms.items() if c], key=repr))


def sum_of(p: Polynomial, q: Polynomial) -> Polynomial:
    terms = dict(p)
    for factors, c in q:
        terms[factors] = terms.get(factors, 0) + c
    return _normal(terms)


def difference(p: Polynomial, q: Polynomial) -> Polynomial:
    return sum_of(p, tuple([(factors, -c) for factors, c in q]))


def product(p: Polynomial, q: Polynomial) -> Polynomial:
    terms: dict[tuple[Node, ...], int] = {}
    for f, c in p:
        for g, d in q:
            factors = tuple(sorted([*f, *g], key=repr))
            terms[factors] = terms.get(factors, 0) + c * d
    return _normal(terms)


def quotient(p: Polynomial, q: Polynomial) -> Polynomial | None:
    """The quotient of polynomials if it is one, and the divisor is one term or all of them."""
    if p == q:
        return (((), 1),)
    if len(q) != 1:
        return None
    (divisor, d), terms = q[0], {}
    for factors, c in p:
        left = list(factors)
        for node in divisor:
            if node not in left:
                return None
            left.remove(node)
        if c % d:
            return None
        terms[tuple(left)] = c // d
    return _normal(terms)


def sign_of(terms: Polynomial) -> tuple[bool, bool, bool, bool]:
    """Whether a polynomial is always positive, not negative, negative, not positive."""
    constant = dict(terms).get((), 0)
    others = [c for factors, c in terms if factors]
    if not all(_natural(node) for factors, _ in terms for node in factors):
        return False, False, False, False
    up, down = all(c > 0 for c in others), all(c < 0 for c in others)
    return (
        up and constant > 0,
        up and constant >= 0,
        down and constant < 0,
        down and constant <= 0,
    )


def upper(terms: Polynomial) -> Polynomial:
    """What is never less, without quotients by constants that divide their coefficients.

    ``k * (p // k)`` lies between ``p - k + 1`` and ``p``.
    """
    total: Polynomial = ()
    for factors, c in terms:
        term: Polynomial = ((factors, c),)
        if len(factors) == 1 and not isinstance(factors[0], str):
            operation, p, q = factors[0]
            k = dict(q).get((), 0)
            if operation == "//" and len(q) == 1 and k > 0 and c % k == 0:
                most = p if c > 0 else difference(p, (((), k - 1),) if k > 1 else ())
                term = product((((), c // k),), most)
        total = sum_of(total, term)
    return total


def _natural(node: Any) -> bool:
    """Whether a factor is never negative."""
    if isinstance(node, str):
        return True
    operation, p, q = node
    return sign_of(q)[0] and (operation == "%" or sign_of(p)[1])


def decided(sign: tuple[bool, bool, bool, bool], relation: str) -> bool | None:
    """What is known of ``x relation y`` by the sign of ``x - y``; nodes are never negative."""
    positive, natural, negative, not_positive = sign
    if relation == "==":
        if natural and not_positive:
            return True
        return False if positive or negative else None
    if relation == "<":
        return True if negative else False if natural else None
    return True if not_positive else False if positive else None
