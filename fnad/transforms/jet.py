"""``jet``: Taylor mode for users."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fnad.core import tree
from fnad.core.flat_function import function_name
from fnad.core.tracer import Tracer, apply_jaxpr
from fnad.core.types import ShapedArray, aval_of, float0, is_differentiable
from fnad.primitives.arithmetic import div, mul
from fnad.primitives.shape import full
from fnad.primitives.subprograms import split_terms, trace_function
from fnad.transforms.taylor import jet_jaxpr


def jet(
    fun: Callable[..., Any],
    primals: Sequence[Any],
    series: Sequence[Any],
    factorial_scaled: bool = True,
) -> tuple[Any, Any]:
    """Taylor mode: derivatives of all orders of a function along a curve, at once.

    Of arguments ``h(z)`` that are power series in a number z it gives the power series of
    ``fun(h(z))``, for the price of a product of polynomials an operation; nested `jvp` takes twice
    the time for each further order.

    Parameters
    ----------
    fun : callable
        Function of arrays (or pytrees of them).
    primals : tuple or list
        The point: one entry a positional argument.
    series : tuple or list
        For each argument a list of its coefficients, from the first order on; all lists have one
        length. Each coefficient is like the argument; those of integers are zero, best of dtype
        ``fnad.float0``.
    factorial_scaled : bool
        Whether coefficients are derivatives of the curve (``h'(0), h''(0), ...``), the default, or
        coefficients of the polynomial (``h'(0), h''(0) / 2!, ...``); the same holds of the result.

    Returns
    -------
    (out, out_series)
        ``fun(*primals)``, and a pytree like it with a list of coefficients in place of each leaf.

    Raises
    ------
    TypeError
        If coefficients are not like the arguments that they belong to.
    ValueError
        If there are not as many series as arguments, or their lengths differ.

    Examples
    --------
    The derivatives of sin(z**3) at z = 0.5:

    >>> import numpy as np
    >>> from fnad.jet import jet
    >>> out, (first, second) = jet(np.sin, (0.5**3,), ([3 * 0.5**2, 6 * 0.5],))
    >>> print(round(first, 6), round(second, 6))
    0.744148 2.906463
    """
    order = _check_lengths(primals, series)
    leaves, in_tree = tree.flatten((tuple(primals), {}))
    avals = [aval_of(leaf) for leaf in leaves]
    kind = f"jet of {function_name(fun)}"
    jaxpr, consts, flat = trace_function(fun, in_tree, avals, kind, leaves)
    scales = [math.factorial(k) if factorial_scaled else 1 for k in range(1, order + 1)]
    nonzero = tuple(is_differentiable(a) for a in avals)
    by_argument = [_by_leaf(i, x, terms) for i, (x, terms) in enumerate(zip(primals, series))]
    columns = [column for columns in by_argument for column in columns]
    given: list[Any] = []
    for aval, column, moves in zip(avals, columns, nonzero):
        if moves:
            given += [_scaled(div, _cast(t, aval), s) for t, s in zip(column, scales)]
    mask = (*[False] * len(consts), *nonzero)
    program, nonzero_out = jet_jaxpr(jaxpr, order, mask, (False,) * len(jaxpr.outvars))
    results = apply_jaxpr(program, [*consts, *leaves, *given])
    count = len(jaxpr.outvars)
    found = split_terms(nonzero_out, results[count:], order) if order else [None] * count
    out_series = [
        [full(a.shape, 0, a.dtype) for _ in scales]
        if terms is None
        else [_scaled(mul, t, s) for t, s in zip(terms, scales)]
        for a, terms in zip(jaxpr.out_avals, found)
    ]
    return tree.unflatten(flat.out_tree, results[:count]), tree.unflatten(flat.out_tree, out_series)


def _check_lengths(primals: Any, series: Any) -> int:
    if not isinstance(primals, (tuple, list)) or not isinstance(series, (tuple, list)):
        raise TypeError(
            "jet takes primals and series as tuples with one entry an argument, got"
            f" {type(primals).__name__} and {type(series).__name__}"
        )
    if len(primals) != len(series):
        raise ValueError(
            f"jet: {len(primals)} primals need as many series, got {len(series)}: one list of"
            " coefficients an argument"
        )
    for i, terms in enumerate(series):
        if not isinstance(terms, (tuple, list)):
            raise TypeError(
                f"jet: series[{i}] must be a list of coefficients, got {type(terms).__name__}"
            )
    lengths = [len(terms) for terms in series]
    if len(set(lengths)) > 1:
        raise ValueError(f"jet: the series of all arguments must have one length, got {lengths}")
    return lengths[0] if lengths else 0


def _by_leaf(index: int, argument: Any, terms: Sequence[Any]) -> list[list[Any]]:
    """For each leaf of an argument its coefficients, checked."""
    paths, structure = tree.flatten_with_path(argument)
    columns: list[list[Any]] = [[] for _ in paths]
    for k, term in enumerate(terms):
        leaves, found = tree.flatten(term)
        if found != structure:
            raise TypeError(
                f"jet: series[{index}][{k}] must have the structure of the argument, {structure},"
                f" got {found}"
            )
        for (path, primal), leaf, column in zip(paths, leaves, columns):
            column.append(leaf)
            want = aval_of(primal)
            if not is_differentiable(want):
                still = getattr(leaf, "dtype", None) == float0
                if not still and (isinstance(leaf, Tracer) or np.any(leaf)):
                    raise TypeError(
                        f"jet: series[{index}][{k}]{tree.keystr(path)} belongs to an argument of"
                        f" type {want}, which cannot move along a curve: give"
                        f" np.zeros({want.shape}, fnad.float0), or make the argument floating"
                    )
                continue
            got = aval_of(leaf)
            loose = want.weak_type or got.weak_type
            if got.shape != want.shape or (got.dtype != want.dtype and not loose):
                raise TypeError(
                    f"jet: series[{index}][{k}]{tree.keystr(path)} must be of the type of the"
                    f" argument, {want}, got {got}"
                )
    return columns


def _cast(term: Any, aval: ShapedArray) -> Any:
    """Give a Python scalar the dtype of its primal."""
    return aval.dtype.type(term) if isinstance(term, (bool, int, float, complex)) else term


def _scaled(by: Callable[[Any, Any], Any], term: Any, factor: int) -> Any:
    return term if factor == 1 else by(term, float(factor))
