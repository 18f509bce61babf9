"""Walking over expressions, and copying them with parts replaced."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from fnad.lowering.expr import B, Expr, affine, affine_parts, make


def postorder(roots: Iterable[Expr], skip: Callable[[Expr], bool] | None = None) -> Iterator[Expr]:
    """Yield every expression below ``roots`` once, arguments first."""
    seen: set[Expr] = set()
    for root in roots:
        stack: list[Expr | None] = [root]
        while stack:
            expr = stack.pop()
            if expr is None:  # the arguments of the next one have been yielded
                ready = stack.pop()
                assert ready is not None
                yield ready
                continue
            if expr in seen or (skip is not None and skip(expr)):
                continue
            seen.add(expr)
            if expr.args:
                stack += (expr, None, *expr.args[::-1])
            else:
                yield expr


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
        if root.loads is None:
            root.loads = tuple([e for e in postorder((root,)) if e.op == "load"])
        found.update(dict.fromkeys(root.loads))
    return list(found)


def rebuild(roots: Iterable[Expr], leaf: Callable[[Expr], Expr | None]) -> list[Expr]:
    """Copy expressions, ``leaf(e)`` replacing those for which it does not return None."""
    roots = list(roots)
    done: dict[Expr, Expr] = {}
    opened: set[Expr] = set()
    stack = roots[::-1]
    while stack:
        expr = stack[-1]
        if expr in done:
            stack.pop()
        elif expr in opened:
            stack.pop()
            args = tuple([done[a] for a in expr.args])
            done[expr] = expr if args == expr.args else with_args(expr, args)
        else:
            new = leaf(expr)
            if new is not None or not expr.args:
                done[expr] = expr if new is None else new
                stack.pop()
            else:
                opened.add(expr)
                stack += expr.args
    return [done[r] for r in roots]


def with_args(expr: Expr, args: tuple[Expr, ...]) -> Expr:
    """The same operation on other arguments, simplified anew."""
    if expr.op == "affine":
        terms: dict[Expr, int] = {}
        coefficients, constant = expr.attr
        for arg, c in zip(args, coefficients):
            parts, more = affine_parts(arg)
            constant += c * more
            for term, k in parts.items():
                terms[term] = terms.get(term, 0) + c * k
        return affine(terms, constant)
    if expr.op in ("load", "reduce", "constant"):
        return make(expr.op, args, expr.dtype, expr.attr)
    if expr.op in ("convert", "bitcast"):
        return getattr(B, expr.op)(args[0], expr.dtype)
    return getattr(B, expr.op)(*args)
