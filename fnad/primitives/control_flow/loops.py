"""Loops that are made of `scan` and `while_loop`."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any

from fnad.core import tree
from fnad.core.rewrites import BatchAxis, get_rewrites
from fnad.core.sizes import Size, as_size
from fnad.core.tracer import Tracer, apply_jaxpr
from fnad.core.types import ShapedArray, aval_of
from fnad.primitives.control_flow.scan import scan
from fnad.primitives.control_flow.while_loop import while_loop
from fnad.primitives.shape import reshape
from fnad.primitives.sizes import size_of
from fnad.primitives.slicing import concatenate, slice_in_dim
from fnad.primitives.subprograms import cast, every, none, trace_function, weakly_fits


def fori_loop(
    lower: Any,
    upper: Any,
    body_fun: Callable[[Any, Any], Any],
    init_val: Any,
    *,
    unroll: int | None = None,
    max_steps: int | None = None,
    levels: int = 2,
) -> Any:
    """Repeat a step for a range of integers.

    It computes what this Python loop does, as one equation of the program::

        for i in range(lower, upper):
            val = body_fun(i, val)
        return val

    With bounds that are not traced it is a `scan`, otherwise a `while_loop`.

    Parameters
    ----------
    lower, upper : int or integer scalar
        The range.
    body_fun : callable
        ``body_fun(i, val)`` returns the next value. ``i`` has the dtype of the bounds; if these
        are Python integers it takes the dtype of what it meets, as they do.
    init_val : pytree of arrays
        The first value.
    unroll : int, optional
        Number of steps that the compiler may write out in a row; needs static bounds.
    max_steps, levels : int, optional
        What reverse mode makes of the loop if bounds are traced, as in `while_loop`.

    Returns
    -------
    pytree of arrays
        The last value.

    Raises
    ------
    TypeError
        If the bounds are no integers of one dtype, or ``body_fun`` changes the type of the value.
    ValueError
        If ``unroll`` is given with traced bounds.

    Examples
    --------
    >>> from fnad import lax
    >>> lax.fori_loop(0, 5, lambda i, total: total + i, 0)
    np.int64(10)
    """
    length = _turns(lower, upper)
    lower, upper = (size_of(b) if type(b) is Size else b for b in (lower, upper))
    lower, upper = _common_bounds(lower, upper)
    if length is not None:

        def step(carry: tuple[Any, Any], _: None) -> tuple[tuple[Any, Any], None]:
            i, val = carry
            return (i + 1, body_fun(i, val)), None

        (_, out), _ = scan(step, (lower, init_val), None, length, unroll=unroll or 1)
        return out
    if unroll is not None:
        raise ValueError("fori_loop: unroll needs bounds that are Python integers")

    def body(state: tuple[Any, Any, Any]) -> tuple[Any, Any, Any]:
        i, stop, val = state
        return i + 1, stop, body_fun(i, val)

    def goes_on(state: tuple[Any, Any, Any]) -> Any:
        return state[0] < state[1]

    init = (lower, upper, init_val)
    return while_loop(goes_on, body, init, max_steps=max_steps, levels=levels)[2]


def _turns(lower: Any, upper: Any) -> int | None:
    """How many turns a loop makes, if its bounds are not traced."""
    if isinstance(lower, Tracer) or isinstance(upper, Tracer):
        return None
    if type(lower) is not Size and type(upper) is not Size:
        _common_bounds(lower, upper)
    lower, upper = as_size(lower), as_size(upper)
    return upper - lower if upper >= lower else 0


def _common_bounds(lower: Any, upper: Any) -> tuple[Any, Any]:
    low, up = aval_of(lower), aval_of(upper)
    if low.shape or up.shape or low.dtype.kind not in "iu" or up.dtype.kind not in "iu":
        raise TypeError(f"fori_loop: the bounds must be integer scalars, got {low} and {up}")
    if low == up or (low.weak_type and up.weak_type):
        return lower, upper
    if weakly_fits(low, up) or low.weak_type:
        return cast(lower, up.strong()), upper
    if up.weak_type:
        return lower, cast(upper, low.strong())
    raise TypeError(f"fori_loop: the bounds must have one dtype, got {low} and {up}")


def map(f: Callable[[Any], Any], xs: Any, *, batch_size: int | None = None) -> Any:
    """Apply a function to the slices of arrays one after the other.

    Like ``vmap(f)(xs)``, but with the memory of one example and the time of a loop.

    Parameters
    ----------
    f : callable
        Function of one slice (a pytree like ``xs``).
    xs : pytree of arrays
        Arrays of one leading length.
    batch_size : int, optional
        How many slices to take at a time, as `vmap` does; the last batch may be smaller.

    Returns
    -------
    pytree of arrays
        The results, stacked along a new leading axis.

    Examples
    --------
    >>> import numpy as np
    >>> from fnad import lax
    >>> lax.map(lambda x: x * x, np.array([1.0, 2.0, 3.0]))
    array([1., 4., 9.])
    """
    if batch_size is not None:
        return _map_in_batches(f, xs, batch_size)
    _, ys = scan(lambda _, x: ((), f(x)), (), xs)
    return ys


def _map_in_batches(f: Callable[[Any], Any], xs: Any, batch_size: int) -> Any:
    size = operator.index(batch_size)
    if size < 1:
        raise ValueError(f"map: batch_size must be positive, got {size}")
    leaves, structure = tree.flatten(xs)
    avals = [aval_of(x) for x in leaves]
    if not leaves or any(a.ndim == 0 for a in avals) or len({a.shape[0] for a in avals}) > 1:
        types = ", ".join(str(a) for a in avals)
        raise ValueError(f"map: xs must be arrays of one leading length, got ({types})")
    slices = [ShapedArray(a.shape[1:], a.dtype) for a in avals]
    in_tree = tree.flatten(((tree.unflatten(structure, leaves),), {}))[1]
    program, consts, flat = trace_function(f, in_tree, slices, "map")

    def run(xs: Sequence[Any], count: int) -> list[Any]:
        outs = every(len(program.outvars))
        mask = (*none(len(consts)), *every(len(xs)))
        batched, _ = get_rewrites().batch(program, BatchAxis(count), mask, outs)
        return apply_jaxpr(batched, [*consts, *xs])

    length = avals[0].shape[0]
    whole = length - length % size
    results: list[list[Any]] = []
    if whole:
        blocks = [
            reshape(slice_in_dim(x, 0, whole), (whole // size, size, *a.shape))
            for x, a in zip(leaves, slices)
        ]
        _, ys = scan(lambda _, x: ((), run(x, size)), (), blocks)
        results.append([reshape(y, (whole, *aval_of(y).shape[2:])) for y in ys])
    if length > whole or not whole:
        results.append(run([slice_in_dim(x, whole, None) for x in leaves], length - whole))
    joined = results[0]
    if len(results) == 2:
        joined = [concatenate(pair, 0) for pair in zip(*results)]
    return tree.unflatten(flat.out_tree, joined)
