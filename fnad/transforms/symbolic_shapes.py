"""Shapes of names, for programs that are looked at and not run."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence

from fnad.core.facts import Fact
from fnad.core.sizes import Scope, polynomial
from fnad.transforms.dynamic_axes import evaluated

# Nothing depends on it.
_HINT = 1009


def symbolic_shape(shape_spec: str, *, constraints: Sequence[str] = ()) -> tuple[int, ...]:
    """Sizes that stand for all integers from 1 on, for the shapes of `ShapeDtypeStruct`.

    `eval_shape` and `make_jaxpr` then tell the shapes of a function in terms of names.

    Parameters
    ----------
    shape_spec : str
        Names, expressions of names without blanks (``2*n+1``), and integers, separated by blanks.
    constraints : sequence of str, optional
        What else is known of the sizes: comparisons of such expressions, ``"n >= 8"``.

    Returns
    -------
    tuple of sizes
        Sizes of different calls have nothing to do with one another.

    Raises
    ------
    SizeError
        Later, where a function asks what is not the same for all such sizes, but for whether two
        of them match: they do not unless they are known to be equal.

    Examples
    --------
    >>> import numpy as np, fnad
    >>> n, d = fnad.symbolic_shape("n d")
    >>> x = fnad.ShapeDtypeStruct((n, d), np.float32)
    >>> fnad.eval_shape(lambda x: (x @ x.T).reshape(-1), x)
    ShapeDtypeStruct(shape=(n*n,), dtype=float32)
    >>> (half,) = fnad.symbolic_shape("n", constraints=["n >= 5"])
    >>> fnad.eval_shape(lambda x: x[5:], fnad.ShapeDtypeStruct((half,), np.float32))
    ShapeDtypeStruct(shape=(n - 5,), dtype=float32)
    """
    tokens = shape_spec.replace(",", " ").split()
    trees = [_parsed(text) for text in (*tokens, *constraints)]
    nodes = [node for tree in trees for node in ast.walk(tree)]
    names = dict.fromkeys(node.id for node in nodes if isinstance(node, ast.Name))
    scope = Scope(dict.fromkeys(names, _HINT), strict=True)
    for name in names:
        scope.take(Fact(polynomial(1), "<=", polynomial(scope.size(name)), True))
    for tree in trees[len(tokens) :]:
        scope.take(_constraint(tree, scope))
    return tuple([evaluated(tree, scope) for tree in trees[: len(tokens)]])


def _parsed(text: str) -> ast.expr:
    try:
        tree = ast.parse(text, mode="eval").body
    except SyntaxError:
        raise ValueError(
            f"symbolic_shape: {text!r} is no size, and no comparison of sizes"
        ) from None
    if any(isinstance(node, ast.Name) and node.id == "_" for node in ast.walk(tree)):
        raise ValueError("symbolic_shape: '_' names no size; give each axis a name or an integer")
    return tree


def _constraint(node: ast.expr, scope: Scope) -> Fact:
    """A comparison as the user writes it."""
    relation = _RELATIONS.get(type(node.ops[0])) if isinstance(node, ast.Compare) else None
    if not isinstance(node, ast.Compare) or len(node.ops) != 1 or relation is None:
        raise ValueError(
            f"symbolic_shape: the constraint {ast.unparse(node)!r} does not compare two sizes, as"
            " 'n >= 2*m' does"
        )
    left, right = (polynomial(evaluated(side, scope)) for side in (node.left, node.comparators[0]))
    name, swapped, holds = relation
    return Fact(right, name, left, holds) if swapped else Fact(left, name, right, holds)


# The relation of a `Fact`, whether its sides are swapped, whether it holds.
_RELATIONS: Mapping[type, tuple[str, bool, bool]] = {
    ast.Eq: ("==", False, True),
    ast.NotEq: ("==", False, False),
    ast.Lt: ("<", False, True),
    ast.LtE: ("<=", False, True),
    ast.Gt: ("<", True, True),
    ast.GtE: ("<=", True, True),
}
