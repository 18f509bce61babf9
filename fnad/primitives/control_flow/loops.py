"""Loops that are made of `scan` and `while_loop`."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from fnad.core.tracer import Tracer
from fnad.core.types import aval_of
from fnad.primitives.control_flow.scan import scan
from fnad.primitives.control_flow.while_loop import while_loop
from fnad.primitives.subprograms import cast, weakly_fits


def fori_loop(
    lower: Any,
    upper: Any,
    body_fun: Callable[[Any, Any], Any],
    init_val: Any,
    *,
    unroll: int | None = None,
) -> Any:
    """Repeat a step for a range of integers.

    It computes what this Python loop does, as one equation of the program::

        for i in range(lower, upper):
            val = body_fun(i, val)
        return val

    With bounds that are not traced it is a `scan`, and reverse mode goes through it; otherwise
    it is a `while_loop`.

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
    lower, upper = _common_bounds(lower, upper)
    if not isinstance(lower, Tracer) and not isinstance(upper, Tracer):
        length = max(0, operator.index(upper) - operator.index(lower))

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

    return while_loop(lambda state: state[0] < state[1], body, (lower, upper, init_val))[2]


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


def map(f: Callable[[Any], Any], xs: Any) -> Any:
    """Apply a function to the slices of arrays one after the other.

    Like ``vmap(f)(xs)``, but with the memory of one example and the time of a loop.

    Parameters
    ----------
    f : callable
        Function of one slice (a pytree like ``xs``).
    xs : pytree of arrays
        Arrays of one leading length.

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
    _, ys = scan(lambda _, x: ((), f(x)), (), xs)
    return ys
