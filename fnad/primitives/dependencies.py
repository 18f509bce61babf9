"""Which elements of results depend on which inputs: sparsity patterns, from programs alone.

A pattern is a boolean ``scipy.sparse.csr_array`` with a row for each element of an array, in C
order, and a column for each input. `propagate` carries patterns through a program, equation by
equation (A. Griewank and A. Walther, Evaluating Derivatives, 2nd ed., 2008, section 7.1: index
domains). What is known whatever the inputs are, such as indices and masks that a function closes
over, is computed along with them, and makes patterns sparser. Where nothing better is known a
result depends on all of its operands: patterns may be too large, but never too small.

Primitives that only move elements need no rule of their own beyond `moves`: their evaluation,
applied to the numbers of the elements, tells where each of them went. Values of integer and
boolean type have no derivatives, so nothing depends on an input through them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fnad.core.interpret import evaluate_primitive
from fnad.core.ir import Equation, Jaxpr, Literal, Var, has_sub_jaxprs
from fnad.core.primitive import Primitive
from fnad.core.tracer import suspend_tracing
from fnad.core.types import ShapedArray, is_differentiable

Pattern = Any  # scipy.sparse.csr_array of bool; SciPy's sparse arrays are imported when used

# A pattern of so many entries is no sparse one: it takes 640 MB, and hours to colour.
MOST_ENTRIES = 1 << 27


@dataclass(frozen=True, slots=True)
class Operand:
    """What is known of an array: its type, its value or None, its pattern or None.

    The value is known if it is the same whatever the inputs are. Without a pattern, no element
    depends on any input.
    """

    aval: ShapedArray
    value: Any = None
    pattern: Pattern | None = None


def propagate(jaxpr: Jaxpr, operands: Sequence[Operand]) -> list[Operand]:
    """Carry what is known of a program's inputs to its outputs.

    Raises
    ------
    ValueError
        If a pattern gets more than `MOST_ENTRIES` entries.
    """
    known: dict[Var, Operand] = dict(zip(jaxpr.invars, operands, strict=True))

    def read(atom: Any) -> Operand:
        return Operand(atom.aval, atom.val) if isinstance(atom, Literal) else known[atom]

    with suspend_tracing():
        for eqn in jaxpr.eqns:
            outs = _propagate_equation(eqn, [read(a) for a in eqn.invars])
            known.update(zip(eqn.outvars, outs, strict=True))
    return [read(a) for a in jaxpr.outvars]


def _propagate_equation(eqn: Equation, operands: Sequence[Operand]) -> list[Operand]:
    primitive, avals = eqn.primitive, [v.aval for v in eqn.outvars]
    if all(x.value is not None for x in operands):
        values = evaluate_primitive(primitive, [x.value for x in operands], eqn.params)
        return [Operand(a, v) for a, v in zip(avals, values, strict=True)]
    if all(x.pattern is None for x in operands) and not has_sub_jaxprs(eqn):
        return [Operand(a) for a in avals]
    rule = primitive.rules.get("dependencies")
    if rule is None:
        spread = elementwise_pattern if primitive.is_elementwise else dense_pattern
        patterns = [spread(operands, a.shape) for a in avals]
    else:
        found = rule(*operands, **eqn.params)
        if primitive.multiple_results:
            return [_settled(a, o.value, o.pattern) for a, o in zip(avals, found, strict=True)]
        patterns = [found]
    return [_settled(a, None, p) for a, p in zip(avals, patterns, strict=True)]


def _settled(aval: ShapedArray, value: Any, pattern: Pattern | None) -> Operand:
    return Operand(aval, value, pattern if is_differentiable(aval) else None)


def independent_inputs(avals: Sequence[ShapedArray]) -> list[Operand]:
    """Arrays whose elements are the inputs, numbered one after the other."""
    import scipy.sparse as sp

    total, start, operands = sum(a.size for a in avals), 0, []
    for aval in avals:
        block = sp.eye_array(aval.size, total, k=start, format="csr", dtype=bool)
        operands.append(Operand(aval, None, block))
        start += aval.size
    return operands


# -- arithmetic of patterns -----------------------------------------------------------------


def _check_entries(count: int) -> None:
    if count > MOST_ENTRIES:
        raise ValueError(
            f"sparsity detection: a pattern would have {count} entries, more than"
            f" {MOST_ENTRIES}: some value depends on nearly all inputs. If the derivative itself is"
            " sparse, pass its pattern as sparsity=; if not, use jacfwd, jacrev or hessian."
        )


def numbers(shape: Sequence[int]) -> np.ndarray[Any, Any]:
    """The numbers of an array's elements, in C order."""
    return np.arange(math.prod(shape)).reshape(shape)


def rows(pattern: Pattern, index: np.ndarray[Any, Any]) -> Pattern:
    """The rows at an array of row numbers; a negative one gives an empty row."""
    import scipy.sparse as sp

    index = index.ravel()
    lengths = np.diff(pattern.indptr)
    if index.size and index.min() < 0:
        empty = sp.csr_array((1, pattern.shape[1]), dtype=bool)
        pattern = sp.vstack([pattern, empty], "csr")
        lengths = np.append(lengths, 0)
        index = np.where(index < 0, len(lengths) - 1, index)
    _check_entries(int(lengths[index].sum()))
    return pattern[index]


def sums(pattern: Pattern, target: np.ndarray[Any, Any], count: int) -> Pattern:
    """A pattern of ``count`` rows: row ``target[i]`` gets what row i has, if it is not negative."""
    import scipy.sparse as sp

    target = target.ravel()
    source = np.flatnonzero(target >= 0)
    ones = np.ones(len(source), bool)
    return through(sp.csr_array((ones, (target[source], source)), (count, len(target))), pattern)


def through(weights: Pattern, pattern: Pattern) -> Pattern:
    """What sums of elements depend on: ``weights`` has a row a sum, a column an element."""
    _check_entries(int(np.diff(pattern.indptr)[weights.indices].sum()))
    return weights @ pattern


def union(patterns: Iterable[Pattern | None]) -> Pattern | None:
    """What depends on anything that one of some patterns (with equally many rows) says."""
    total: Pattern | None = None
    for pattern in patterns:
        if pattern is not None:
            total = pattern if total is None else total + pattern
    return total


def collapse(pattern: Pattern, shape: Sequence[int], axes: Iterable[int]) -> Pattern:
    """Join the rows along some axes of an array, which become 1 long."""
    axes = set(axes)
    small = numbers([1 if i in axes else n for i, n in enumerate(shape)])
    return sums(pattern, np.broadcast_to(small, shape), small.size) if axes else pattern


def spread(pattern: Pattern | None, shape: Sequence[int], target: Sequence[int]) -> Pattern | None:
    """Repeat the rows of an array where NumPy's broadcasting would repeat its elements."""
    if pattern is None or tuple(shape) == tuple(target):
        return pattern
    return rows(pattern, np.broadcast_to(numbers(shape), target))


def elementwise_pattern(operands: Sequence[Operand], shape: Sequence[int]) -> Pattern | None:
    """Each element depends on those in its place."""
    return union(spread(x.pattern, x.aval.shape, shape) for x in operands)


def product_pattern(x: Operand, y: Operand) -> Pattern | None:
    """Each element depends on those in its place, unless the other factor is known to be zero.

    Such factors are masks, stencils and one-hot rows that a function closes over.
    """
    shape = x.aval.shape or y.aval.shape
    return union([_where_nonzero(x, y, shape), _where_nonzero(y, x, shape)])


def _where_nonzero(x: Operand, factor: Operand, shape: Sequence[int]) -> Pattern | None:
    if x.pattern is None or factor.value is None:
        return spread(x.pattern, x.aval.shape, shape)
    places = np.broadcast_to(numbers(x.aval.shape), shape)
    return rows(x.pattern, np.where(np.asarray(factor.value) != 0, places, -1))


def dense_pattern(operands: Sequence[Operand], shape: Sequence[int]) -> Pattern | None:
    """Each element depends on all elements of all operands."""
    given = [x for x in operands if x.pattern is not None]
    one = union(collapse(x.pattern, (x.aval.size,), (0,)) for x in given)
    return None if one is None else rows(one, np.zeros(math.prod(shape), np.int64))


# -- rules that many primitives share ---------------------------------------------------------


def moves(primitive: Primitive) -> None:
    """Say of a primitive that each element of its result is one of an operand's, or a constant.

    Where it went is read off the primitive's evaluation on numbers of elements. Operands of
    integers and booleans (indices, conditions) say where; if their values depend on the inputs,
    each element depends on those in its place (elementwise primitives), or on all.
    """

    @primitive.dependencies
    def _(*operands: Operand, **params: Any) -> Pattern | None:
        return moved(primitive, operands, params)


def moved(
    primitive: Primitive, operands: Sequence[Operand], params: dict[str, Any]
) -> Pattern | None:
    """The pattern of a result all of whose elements are operands' elements or constants."""
    import scipy.sparse as sp

    if any(x.value is None and not is_differentiable(x.aval) for x in operands):
        (aval,) = primitive.out_avals([x.aval for x in operands], params)
        conservative = elementwise_pattern if primitive.is_elementwise else dense_pattern
        return conservative(operands, aval.shape)
    places: list[Any] = []
    patterns: list[Pattern] = []
    start = 1
    for x in operands:
        if x.pattern is not None:
            places.append(numbers(x.aval.shape) + start)
            patterns.append(x.pattern)
            start += x.aval.size
        else:
            has_value = not is_differentiable(x.aval)
            places.append(x.value if has_value else np.zeros(x.aval.shape, np.int64)[()])
    (place,) = evaluate_primitive(primitive, places, params)
    whole = patterns[0] if len(patterns) == 1 else sp.vstack(patterns, "csr")
    return rows(whole, np.asarray(place) - 1)


def mixed(operand: Operand, shape: Sequence[int], axes: Iterable[int]) -> Pattern | None:
    """Each element of a result of ``shape`` depends on the operand's in its place but for axes.

    Along ``axes``, on which the shapes may differ, it depends on all of the operand's elements.
    """
    if operand.pattern is None:
        return None
    axes = tuple(axes)
    one = [1 if i in axes else n for i, n in enumerate(operand.aval.shape)]
    return spread(collapse(operand.pattern, operand.aval.shape, axes), one, shape)
