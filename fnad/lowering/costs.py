"""What computing an expression once costs, against storing and reading it back."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from fnad.core.sizes import typical
from fnad.lowering.expr import TRANSCENDENTAL, Expr, axis
from fnad.lowering.interned import FREE
from fnad.lowering.walk import below, postorder

# Above this an element is stored rather than computed twice.
CHEAP = 6
# The same of what is one for a row of fewer than so many elements: vectors do not compute it.
_CHEAP_OF_ROW = 3
_SHORT_ROW = 16
# The same where a kernel is cut and the tensor is larger than a cache.
CHEAP_FAR = 24
FAR_BYTES = 1 << 18
# Above this many operations a kernel is cut.
MAX_EXPRESSIONS = 160
# Two kernels stay apart if they have more operations together.
MAX_FUSED = 320

_COSTS = (
    dict.fromkeys(TRANSCENDENTAL, 20)
    | dict.fromkeys(FREE, 0)
    | {"divide": 4, "remainder": 4, "sqrt": 4}
)


def operations(expr: Expr) -> int:
    """How many operations an expression has, shared ones counted once."""
    count = sum([e.op not in FREE for e in below(expr)])
    # What is built on it will rarely have to be counted.
    expr.weight = count
    return count


def operations_of(exprs: Iterable[Expr]) -> int:
    """The same of several expressions together."""
    return operations_beyond(set(), exprs)


def operations_beyond(seen: set[Expr], exprs: Iterable[Expr]) -> int:
    """How many operations of expressions are not among those ``seen``, which take them up."""
    found = [e for e in dict.fromkeys(exprs) if e not in seen]
    seen.update(found)
    for expr in found:  # grows while it is walked
        for arg in expr.args:
            if arg not in seen:
                seen.add(arg)
                found.append(arg)
    return sum([e.op not in FREE for e in found])


def costs_more(expr: Expr, limit: int) -> bool:
    """Whether `cost` is above a limit; found without a look at all of the expression."""
    found, seen, total = [expr], {expr}, 0
    for e in found:  # grows while it is walked
        if e.op == "reduce":
            return True
        total += _COSTS.get(e.op, 1)
        if total > limit:
            return True
        for arg in e.args:
            if arg not in seen:
                seen.add(arg)
                found.append(arg)
    return False


def cost(expr: Expr) -> int:
    """The cost of an expression in the order of additions."""
    total = 0
    for e in below(expr, into_reductions=False):
        if e.op == "reduce":
            total += (1 + cost(e.args[0])) * max(typical(math.prod(n for _, n in e.attr.axes)), 8)
        else:
            total += _COSTS.get(e.op, 1)
    return total


def cost_of(exprs: Iterable[Expr]) -> int:
    """The cost of expressions that are computed together, reductions in them for nothing."""
    return sum([_COSTS.get(e.op, 1) for e in postorder(exprs)])


def cheap_at(shape: Sequence[int], place: Iterable[Expr]) -> int:
    """What an element may cost that is read at a place, and so computed for each of a shape."""
    if not shape or not 1 < shape[-1] < _SHORT_ROW:
        return CHEAP
    innermost = axis(len(shape) - 1, shape[-1])
    return CHEAP if any(innermost in below(i) for i in place) else _CHEAP_OF_ROW
