"""Walking over expressions, and copying them with parts replaced."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable

from fnad.lowering.expr import B, Expr, affine, affine_parts, make


def postorder(roots: Iterable[Expr], skip: Callable[[Expr], bool] | None = None) -> list[Expr]:
    """Every expression below ``roots`` once, arguments first."""
    found: dict[Expr, None] = {}
    for root in roots:
        stack: list[Expr | None] = [root]
        while stack:
            expr = stack.pop()
            if expr is None:  # the arguments of the next one have been found
                ready = stack.pop()
                assert ready is not None
                found[ready] = None
            elif expr not in found and (skip is None or not skip(expr)):
                if expr.args:
                    stack += (expr, None, *expr.args[::-1])
                else:
                    found[expr] = None
    return list(found)


def below(root: Expr, into_reductions: bool = True) -> list[Expr]:
    """An expression and all below it, each once, in no particular order (faster so)."""
    found, seen = [root], {root}
    for expr in found:  # grows while it is walked
        if into_reductions or expr.op != "reduce":
            for arg in expr.args:
                if arg not in seen:
                    seen.add(arg)
                    found.append(arg)
    return found


def loads(roots: Iterable[Expr]) -> list[Expr]:
    """Every load below ``roots``, once."""
    found: dict[Expr, None] = {}
    for root in roots:
        known = _loads(root) if root.loads is None else root.loads
        if known:
            found.update(dict.fromkeys(known))
    return list(found)


def _loads(root: Expr) -> tuple[Expr, ...]:
    found: dict[Expr, None] = {}
    seen: set[Expr] = set()
    stack: list[Expr | None] = [root]
    while stack:
        expr = stack.pop()
        if expr is None:  # the offset of the next one has been looked through
            ready = stack.pop()
            assert ready is not None
            found[ready] = None
        elif expr.loads is not None:
            found.update(dict.fromkeys(expr.loads))
        elif expr.args and expr not in seen:
            seen.add(expr)
            if expr.op == "load":
                stack += (expr, None, expr.args[0])
            else:
                stack += expr.args[::-1]
    root.loads = tuple(found)
    return root.loads


def rebuild(roots: Iterable[Expr], leaf: Callable[[Expr], Expr | None]) -> list[Expr]:
    """Copy expressions, ``leaf(e)`` replacing those for which it does not return None."""
    roots = list(roots)
    done: dict[Expr, Expr] = {}
    stack: list[Expr | None] = [*roots[::-1]]
    while stack:
        expr = stack.pop()
        if expr is None:  # the arguments of the next one are done
            expr = stack.pop()
            assert expr is not None
            args = tuple([done[a] for a in expr.args])
            done[expr] = expr if args == expr.args else with_args(expr, args)
        elif expr not in done:
            new = leaf(expr)
            if new is not None:
                done[expr] = new
            elif expr.args:
                stack += (expr, None, *expr.args)
            else:
                done[expr] = expr
    return [done[r] for r in roots]


def with_args(expr: Expr, args: tuple[Expr, ...]) -> Expr:
    """The same operation on other arguments, simplified anew."""
    op = expr.op
    if op == "affine":
        return _affine(expr.attr, args)
    if op in _AS_THEY_ARE or (expr.dtype.kind == "f" and op not in _SIMPLIFIED):
        return make(op, args, expr.dtype, expr.attr)
    if op in ("convert", "bitcast"):
        return getattr(B, op)(args[0], expr.dtype)
    return getattr(B, op)(*args)


_AS_THEY_ARE = frozenset({"load", "reduce"})
# What the builder may simplify though its result is no index.
_SIMPLIFIED = frozenset({"where", "convert", "bitcast"})


@functools.lru_cache(maxsize=4096)
def _affine(attr: tuple[tuple[int, ...], int], args: tuple[Expr, ...]) -> Expr:
    terms: dict[Expr, int] = {}
    coefficients, constant = attr
    for arg, c in zip(args, coefficients):
        parts, more = affine_parts(arg)
        constant += c * more
        for term, k in parts.items():
            terms[term] = terms.get(term, 0) + c * k
    return affine(terms, constant)
