"""Scans and reductions with an associative function of the user's, as trees of calls."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

from fnad.core import tree
from fnad.core.ir import Jaxpr
from fnad.core.primitive import Primitive
from fnad.core.rewrites import BatchAxis, get_rewrites
from fnad.core.sizes import Size
from fnad.core.tracer import apply_jaxpr
from fnad.core.types import ShapedArray, aval_of
from fnad.primitives.arithmetic import add_p, max_p, min_p, mul_p
from fnad.primitives.control_flow.scan import scan
from fnad.primitives.logic import and_p, or_p, xor_p
from fnad.primitives.reductions import (
    reduce_and,
    reduce_max,
    reduce_min,
    reduce_or,
    reduce_prod,
    reduce_sum,
)
from fnad.primitives.reversal import rev
from fnad.primitives.shape import (
    broadcast_in_dim,
    canonicalize_axis,
    expand_dims,
    int_tuple,
    moveaxis,
    reshape,
    squeeze,
)
from fnad.primitives.slicing import concatenate, slice_in_dim
from fnad.primitives.subprograms import cast, describe_difference, every, none, trace_function

# -- associative_scan ----------------------------------------------------------------------


def associative_scan(
    fn: Callable[[Any, Any], Any], elems: Any, reverse: bool = False, axis: int = 0
) -> Any:
    """All prefixes of ``elems`` combined with an associative function, in few large steps.

    Unlike `scan` it takes ``2 log2(n)`` calls of ``fn``, each on whole arrays, and computes
    ``fn`` of about ``2 n`` pairs (R. E. Ladner, M. J. Fischer, Parallel prefix computation,
    J. ACM 27, 1980): neighbours are combined, the prefixes of these pairs are those of every
    second element, and one more call makes the others of them.

    Parameters
    ----------
    fn : callable
        ``fn(a, b)`` of two pytrees like ``elems``, in which ``axis`` has any length, elementwise
        along that axis; it must be associative. ``a`` stands before ``b`` (behind, if
        ``reverse``).
    elems : pytree of arrays
        Arrays of one length along ``axis``.
    reverse : bool
        Whether to begin at the end.
    axis : int
        The axis to scan along.

    Returns
    -------
    pytree of arrays
        As ``elems``: element ``i`` combines the elements up to ``i``.

    Raises
    ------
    TypeError
        If ``fn`` returns another structure, or other shapes or dtypes, than it gets.
    ValueError
        If the lengths along ``axis`` differ, or there are no arrays.

    Examples
    --------
    >>> import numpy as np
    >>> associative_scan(lambda a, b: a * b, np.array([1.0, 2.0, 3.0, 4.0]))
    array([ 1.,  2.,  6., 24.])
    """
    leaves, structure = tree.flatten(elems)
    if not leaves:
        raise ValueError("associative_scan: elems holds no arrays, so there is nothing to scan")
    axes = [canonicalize_axis(axis, aval_of(x).ndim) for x in leaves]
    lengths = {aval_of(x).shape[a] for x, a in zip(leaves, axes)}
    if len(lengths) > 1:
        raise ValueError(
            f"associative_scan: all arrays must have one length along axis {axis}, got shapes"
            f" {[aval_of(x).shape for x in leaves]}"
        )

    def combine(a: Sequence[Any], b: Sequence[Any]) -> list[Any]:
        got = fn(tree.unflatten(structure, list(a)), tree.unflatten(structure, list(b)))
        out, out_structure = tree.flatten(got)
        want = [aval_of(x) for x in a]
        problem = describe_difference(out_structure, [aval_of(x) for x in out], structure, want)
        if problem:
            raise TypeError(
                f"associative_scan: fn must return what it gets, elementwise along axis {axis},"
                f" but its result has another type: {problem}"
            )
        return out

    def part(xs: Sequence[Any], start: int, stop: int | None, stride: int = 1) -> list[Any]:
        return [slice_in_dim(x, start, stop, stride, a) for x, a in zip(xs, axes)]

    def prefixes(xs: Sequence[Any], n: int) -> Sequence[Any]:
        if n < 2:
            return xs
        later = prefixes(combine(part(xs, 0, n - 1, 2), part(xs, 1, None, 2)), n // 2)
        first = part(xs, 0, 1)
        if n == 2:
            return _joined(first, later, axes)
        rest = combine(part(later, 0, (n - 1) // 2), part(xs, 2, None, 2))
        earlier = _joined(first, rest, axes)
        if n % 2 == 0:
            return _interleaved(earlier, later, axes)
        last = part(earlier, n // 2, None)
        return _joined(_interleaved(part(earlier, 0, n // 2), later, axes), last, axes)

    if reverse:
        leaves = [rev(x, (a,)) for x, a in zip(leaves, axes)]
    length = lengths.pop()
    if type(length) is Size:
        out = _one_by_one(combine, leaves, axes)
    else:
        out = prefixes(leaves, length)
    if reverse:
        out = [rev(x, (a,)) for x, a in zip(out, axes)]
    return tree.unflatten(structure, list(out))


def _one_by_one(
    combine: Callable[[Sequence[Any], Sequence[Any]], list[Any]],
    leaves: Sequence[Any],
    axes: Sequence[int],
) -> list[Any]:
    """Prefixes along axes whose length is known when the program is called: a loop."""

    def step(before: list[Any], xs: list[Any]) -> tuple[list[Any], list[Any]]:
        here = [expand_dims(x, (axis,)) for x, axis in zip(xs, axes)]
        after = combine(before, here)
        return after, [squeeze(x, (axis,)) for x, axis in zip(after, axes)]

    first = [slice_in_dim(x, 0, 1, 1, axis) for x, axis in zip(leaves, axes)]
    rest = [moveaxis(slice_in_dim(x, 1, None, 1, a), a, 0) for x, a in zip(leaves, axes)]
    later = scan(step, first, rest)[1]
    return _joined(first, [moveaxis(x, 0, axis) for x, axis in zip(later, axes)], axes)


def _joined(xs: Sequence[Any], ys: Sequence[Any], axes: Sequence[int]) -> list[Any]:
    return [concatenate((x, y), a) for x, y, a in zip(xs, ys, axes)]


def _interleaved(xs: Sequence[Any], ys: Sequence[Any], axes: Sequence[int]) -> list[Any]:
    """x0 y0 x1 y1 ... along each axis."""
    out = []
    for x, y, axis in zip(xs, ys, axes):
        shape = aval_of(x).shape
        single = (*shape[: axis + 1], 1, *shape[axis + 1 :])
        both = concatenate((reshape(x, single), reshape(y, single)), axis + 1)
        out.append(reshape(both, (*shape[:axis], 2 * shape[axis], *shape[axis + 1 :])))
    return out


# -- reduce --------------------------------------------------------------------------------

_KNOWN: dict[Primitive, Callable[[Any, Sequence[int]], Any]] = {
    add_p: reduce_sum,
    mul_p: reduce_prod,
    max_p: reduce_max,
    min_p: reduce_min,
    and_p: reduce_and,
    or_p: reduce_or,
}


def reduce(
    operands: Any,
    init_values: Any,
    computation: Callable[[Any, Any], Any],
    dimensions: Sequence[int],
) -> Any:
    """Combine the elements along axes with an associative function.

    A function that only adds, multiplies, takes a maximum or minimum, a bitwise and or a bitwise
    or becomes the reduction of that name. Any other is applied to neighbours, then to
    neighbouring results, and so on: ``log2(n)`` times.

    Parameters
    ----------
    operands : pytree of arrays
        Of one shape.
    init_values : pytree of scalars
        As ``operands``, of their dtypes: what the elements are combined with.
    computation : callable
        ``computation(a, b)`` of two pytrees of scalars; it must be associative.
    dimensions : sequence of int
        The axes that vanish.

    Returns
    -------
    pytree of arrays
        As ``operands``, without ``dimensions``.

    Raises
    ------
    TypeError
        If structures, shapes or dtypes do not fit together.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.array([[1.0, 2.0], [3.0, 4.0]])
    >>> reduce(x, 0.0, lambda a, b: a + b, (0,))
    array([4., 6.])
    >>> float(reduce(x, 0.0, lambda a, b: (a**2 + b**2) ** 0.5, (0, 1)))
    5.477225575051661
    """
    leaves, structure = tree.flatten(operands)
    inits, init_structure = tree.flatten(init_values)
    scalars = [ShapedArray((), aval_of(x).dtype) for x in leaves]
    inits = [cast(x, a) if aval_of(x).weak_type else x for x, a in zip(inits, scalars)]
    problem = describe_difference(init_structure, [aval_of(x) for x in inits], structure, scalars)
    if problem:
        raise TypeError(f"reduce: init_values must be one scalar for each operand: {problem}")
    shapes = [aval_of(x).shape for x in leaves]
    if len(set(shapes)) != 1:
        raise TypeError(f"reduce: operands must be arrays of one shape, got shapes {shapes}")
    shape = shapes[0]
    axes = tuple(sorted(canonicalize_axis(a, len(shape)) for a in int_tuple(dimensions)))
    kept = tuple(n for i, n in enumerate(shape) if i not in axes)

    pair = tree.flatten(((tree.unflatten(structure, leaves),) * 2, {}))[1]
    program, consts, flat = trace_function(computation, pair, [*scalars, *scalars], "reduce")
    problem = describe_difference(flat.out_tree, program.out_avals, structure, scalars)
    if problem:
        raise TypeError(f"reduce: computation must return what it gets: {problem}")

    width = prod(kept)

    def combine(a: Sequence[Any], b: Sequence[Any]) -> list[Any]:
        """Apply the function to arrays of shape (count, width)."""
        size = aval_of(a[0]).shape[0] * width
        count = len(leaves)
        mask = (*none(len(consts)), *every(2 * count))
        batched, _ = get_rewrites().batch(program, BatchAxis(size), mask, every(count))
        outs = apply_jaxpr(batched, [*consts, *(reshape(x, (size,)) for x in (*a, *b))])
        return [reshape(x, (size // width, width)) for x in outs]

    starts = [reshape(broadcast_in_dim(x, (width,), ()), (1, width)) for x in inits]
    n = prod(shape[a] for a in axes)
    if n and width:
        known = _KNOWN.get(_only_primitive(program)) if len(leaves) == 1 else None
        if known is not None:
            totals = [reshape(known(leaves[0], axes), (1, width))]
        else:
            front = tuple(range(len(axes)))
            totals = [reshape(moveaxis(x, axes, front), (n, width)) for x in leaves]
            totals = _tree(combine, totals, n)
        starts = combine(starts, totals)
    return tree.unflatten(structure, [reshape(x, kept) for x in starts])


def _only_primitive(program: Jaxpr) -> Any:
    """The primitive, if all that a program does is to apply it to its two inputs."""
    if len(program.eqns) != 1 or len(program.invars) != 2:
        return None
    (eqn,) = program.eqns
    whole = set(eqn.invars) == set(program.invars) and program.outvars == eqn.outvars
    return eqn.primitive if whole else None


def _tree(
    combine: Callable[[Sequence[Any], Sequence[Any]], list[Any]], xs: list[Any], n: int
) -> list[Any]:
    """Combine the rows of arrays to one, always neighbours, so that their order is kept."""
    while n > 1:
        even = n - n % 2
        first, second = ([slice_in_dim(x, start, even, 2) for x in xs] for start in (0, 1))
        rest = [slice_in_dim(x, even, None) for x in xs] if n % 2 else None
        xs = combine(first, second)
        if rest is not None:
            xs = [concatenate((x, r), 0) for x, r in zip(xs, rest)]
        n -= n // 2
    return xs


def reduce_xor(operand: Any, axes: int | Sequence[int]) -> Any:
    """Logical (bool) or bitwise (integers) exclusive or over ``axes``.

    Examples
    --------
    >>> import numpy as np
    >>> reduce_xor(np.array([1, 2, 4, 1]), 0)
    np.int64(6)
    """
    zero = aval_of(operand).dtype.type(0)
    return reduce(operand, zero, xor_p.bind, int_tuple(axes))
