"""Walking over expressions, and copying them with parts replaced."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from fnad.lowering.expr import B, Expr, integer, make


def postorder(
    roots: Iterable[Expr], skip: Callable[[Expr], bool] = lambda e: False
) -> Iterator[Expr]:
    """Yield every expression below ``roots`` once, arguments first."""
    seen: set[Expr] = set()
    for root in roots:
        stack = [(root, False)]
        while stack:
            expr, ready = stack.pop()
            if ready:
                yield expr
                continue
            if expr in seen or skip(expr):
                continue
            seen.add(expr)
            stack.append((expr, True))
            stack.extend((a, False) for a in reversed(expr.args) if a not in seen)


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


def rebuild(roots: Iterable[Expr], leaf: Callable[[Expr], Expr | None]) -> list[Expr]:
    """Copy expressions, ``leaf(e)`` replacing those for which it does not return None."""
    roots = list(roots)
    done: dict[Expr, Expr] = {}

    def replaced(expr: Expr) -> bool:
        new = leaf(expr)
        if new is not None:
            done[expr] = new
        return new is not None

    for expr in postorder(roots, replaced):
        args = tuple(done[a] for a in expr.args)
        done[expr] = expr if args == expr.args else with_args(expr, args)
    return [done[r] for r in roots]


def with_args(expr: Expr, args: tuple[Expr, ...]) -> Expr:
    """The same operation on other arguments, simplified anew."""
    if expr.op == "affine":
        total = integer(expr.attr[1])
        for arg, c in zip(args, expr.attr[0]):
            total = total + arg * c
        return total
    if expr.op in ("load", "reduce", "constant"):
        return make(expr.op, args, expr.dtype, expr.attr)
    if expr.op in ("convert", "bitcast"):
        return getattr(B, expr.op)(args[0], expr.dtype)
    return getattr(B, expr.op)(*args)
