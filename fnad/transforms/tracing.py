"""Looking at programs: ``make_jaxpr`` and ``eval_shape``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any

from fnad.core import tree
from fnad.core.flat_function import FlatFunction, function_name
from fnad.core.ir import ClosedJaxpr, Jaxpr
from fnad.core.types import ShapeDtypeStruct, aval_of
from fnad.primitives.subprograms import fix_arguments, trace_function


def _trace(
    fun: Callable[..., Any], args: Sequence[Any], kwargs: dict[str, Any], what: str
) -> tuple[Jaxpr, list[Any], FlatFunction]:
    leaves, in_tree = tree.flatten((tuple(args), kwargs))
    kind = f"{what} of {function_name(fun)}"
    return trace_function(fun, in_tree, [aval_of(leaf) for leaf in leaves], kind)


def make_jaxpr(
    fun: Callable[..., Any],
    static_argnums: int | Sequence[int] = (),
    return_shape: bool = False,
) -> Callable[..., Any]:
    """Make a function that returns the program of ``fun`` instead of its value.

    Parameters
    ----------
    fun : callable
        Any function of arrays, transformed or not.
    static_argnums : int or sequence of int
        Positional arguments that are no arrays and stay as they are.
    return_shape : bool
        Whether to return also the result's structure, as a pytree of `ShapeDtypeStruct`.

    Returns
    -------
    callable
        Takes the arguments of ``fun``, or `ShapeDtypeStruct` in place of arrays, and returns
        a ``ClosedJaxpr``; printing it shows the program.

    Examples
    --------
    >>> import numpy as np, fnad
    >>> fnad.make_jaxpr(lambda x: np.sin(x) * 2)(np.float32(1.0))
    { lambda ; a:f32[]. let
        b:f32[] = sin a
        c:f32[] = mul b 2.0:f32[]
      in (c,) }
    """
    static = (static_argnums,) if isinstance(static_argnums, int) else tuple(static_argnums)

    @wraps(fun)
    def jaxpr_maker(*args: Any, **kwargs: Any) -> Any:
        of_others, others = fix_arguments(fun, static, args)
        jaxpr, consts, flat = _trace(of_others, others, kwargs, "make_jaxpr")
        closed = ClosedJaxpr(jaxpr, tuple(consts))
        return (closed, _shapes(jaxpr, flat)) if return_shape else closed

    return jaxpr_maker


def eval_shape(fun: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Shapes and dtypes of a function's results, without computing them.

    Parameters
    ----------
    fun : callable
        The function.
    *args, **kwargs : pytrees of arrays or ShapeDtypeStruct
        Its arguments.

    Returns
    -------
    pytree of ShapeDtypeStruct

    Examples
    --------
    >>> import numpy as np, fnad
    >>> x = fnad.ShapeDtypeStruct((1000, 3), np.float32)
    >>> fnad.eval_shape(lambda x: x @ x.T, x)
    ShapeDtypeStruct(shape=(1000, 1000), dtype=float32)
    """
    jaxpr, _, flat = _trace(fun, args, kwargs, "eval_shape")
    return _shapes(jaxpr, flat)


def _shapes(jaxpr: Jaxpr, flat: FlatFunction) -> Any:
    shapes = [ShapeDtypeStruct(a.shape, a.dtype, a.weak_type) for a in jaxpr.out_avals]
    return tree.unflatten(flat.out_tree, shapes)
