"""What ``dynamic=`` of `fnad.jit` says of the axes of arguments, and the sizes of a call."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fnad.core.polynomials import Polynomial, evaluate, names, text
from fnad.core.sizes import Scope, Size

# The axes of a leaf: None where they are static, and whether more axes may follow.
Axes = tuple[tuple[Polynomial | None, ...], bool]


# -- what the user writes ------------------------------------------------------------------------


def parse_axes(spec: str) -> Axes:
    """The axes of an argument: names, expressions of them, ``_`` for static ones.

    Examples
    --------
    >>> axes, more = parse_axes("n 2*n+1 _ ...")
    >>> [axis and text(axis) for axis in axes], more
    (['n', '2*n + 1', None], True)
    """
    if not isinstance(spec, str):
        raise _not_axes(spec)
    tokens = spec.replace(",", " ").split()
    more = bool(tokens) and tokens[-1] == "..."
    scope = Scope(dict.fromkeys(_names_in(spec), 1009))
    axes = []
    for token in tokens[: len(tokens) - more]:
        value = None if token == "_" else evaluated(ast.parse(token, mode="eval").body, scope)
        # A number says nothing that the type of the argument does not say.
        axes.append(value.polynomial if isinstance(value, Size) else None)
    return tuple(axes), more


def _names_in(spec: str) -> list[str]:
    try:
        tokens = [t for t in spec.replace(",", " ").split() if t not in ("_", "...")]
        nodes = [n for t in tokens for n in ast.walk(ast.parse(t, mode="eval"))]
    except SyntaxError:
        raise _not_axes(spec) from None
    return list(dict.fromkeys(n.id for n in nodes if isinstance(n, ast.Name)))


def evaluated(node: ast.expr, scope: Scope) -> Any:
    """The size that an expression of names stands for."""
    if isinstance(node, ast.Name):
        return scope.size(node.id)
    if isinstance(node, ast.Constant) and type(node.value) is int:
        return node.value
    if isinstance(node, ast.BinOp) and type(node.op) in _OPERATIONS:
        left, right = evaluated(node.left, scope), evaluated(node.right, scope)
        return _OPERATIONS[type(node.op)](left, right)
    raise ValueError(
        f"{ast.unparse(node)!r} is no size: sizes are names, integers, and + - * // % of them"
    )


_OPERATIONS: Mapping[type, Callable[[Any, Any], Any]] = {
    ast.Add: lambda x, y: x + y,
    ast.Sub: lambda x, y: x - y,
    ast.Mult: lambda x, y: x * y,
    ast.FloorDiv: lambda x, y: x // y,
    ast.Mod: lambda x, y: x % y,
}


def _not_axes(spec: Any) -> ValueError:
    return ValueError(
        f"jit: dynamic={spec!r} does not name axes: write one entry for each axis, separated by"
        " blanks: a name (n), an expression without blanks (2*n+1), or _ for an axis of fixed size;"
        " ... at the end stands for further such axes"
    )


# -- sizes of a call -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Place:
    """An axis of a leaf with what it is, and how to speak of it."""

    leaf: int
    axis: int
    size: Polynomial
    where: str


def solve(function: str, places: Sequence[Place], leaves: Sequence[Any]) -> dict[str, int]:
    """The values of names from the shapes of the arguments.

    Raises
    ------
    ValueError
        If two axes disagree, or no value of a name gives the size that an axis has.
    """
    found: dict[str, int] = {}
    sources: dict[str, Place] = {}
    rest = []
    for place in places:
        own, n = names(place.size), np.shape(leaves[place.leaf])[place.axis]
        slope = _slope(place.size) if len(own) == 1 else None
        if slope is None:
            rest.append((place, n))
            continue
        [name] = own
        factor, constant = slope
        value, remainder = divmod(n - constant, factor)
        if remainder or value < 0:
            raise ValueError(
                f"jit of {function}: {place.where} has size {n}, but it is"
                f" {text(place.size)} for no {name}"
            )
        if found.setdefault(name, value) != value:
            raise ValueError(
                f"jit of {function}: {place.where} has size {n}, so {name} is {value}, but"
                f" {sources[name].where} says that {name} is {found[name]}"
            )
        sources.setdefault(name, place)
    for place, n in rest:
        unknown = names(place.size) - found.keys()
        if unknown:
            raise ValueError(
                f"jit of {function}: {place.where} is {text(place.size)}, but no axis says what"
                f" {', '.join(sorted(unknown))} is: name it where it stands alone"
            )
        expected = evaluate(place.size, found)
        if expected != n:
            known = ", ".join(f"{k} = {v} ({sources[k].where})" for k, v in found.items())
            raise ValueError(
                f"jit of {function}: {place.where} has size {n}, but {text(place.size)} is"
                f" {expected}: {known}"
            )
    return found


def shown_sizes(places: Sequence[Place], sizes: Mapping[str, int]) -> str:
    """The values of names, and where each is seen: ``n is 3 (axis 0 of x)``."""
    seen = {name: p.where for p in reversed(places) for name in names(p.size)}
    return ", ".join(f"{name} is {n} ({seen[name]})" for name, n in sizes.items())


def _slope(terms: Polynomial) -> tuple[int, int] | None:
    """Factor and constant of a linear form of one name."""
    constant = dict(terms).get((), 0)
    others = [(factors, c) for factors, c in terms if factors]
    if len(others) == 1 and len(others[0][0]) == 1 and isinstance(others[0][0][0], str):
        return (others[0][1], constant) if others[0][1] > 0 else None
    return None
