"""What the backward pass keeps of the forward pass, for people to look at."""

from __future__ import annotations

from collections.abc import Callable
from inspect import Parameter, signature
from typing import Any

from fnad.core import tree
from fnad.core.flat_function import FlatFunction, function_name
from fnad.core.ir import Atom, Equation, Jaxpr, Literal, sub_jaxprs
from fnad.core.tracer import trace_to_jaxpr
from fnad.core.types import ShapedArray, aval_of, is_differentiable
from fnad.primitives.checkpoint import name_p
from fnad.transforms.dce import dce_jaxpr
from fnad.transforms.partial_eval import linearize_jaxpr


def saved_residuals(
    fun: Callable[..., Any], *args: Any, **kwargs: Any
) -> list[tuple[ShapedArray, str]]:
    """The values that reverse mode keeps between its two passes: type and origin of each.

    Parameters
    ----------
    fun : callable
        Function that would be differentiated with respect to all of its floating arguments.
    *args, **kwargs : pytrees of arrays or ShapeDtypeStruct
        Its arguments; only their types count.

    Returns
    -------
    list of (ShapedArray, str)

    Examples
    --------
    >>> import numpy as np
    >>> saved_residuals(lambda x: np.sin(x) * 2.0, np.float32(0))[0][1].split(" from ")[0]
    'output of cos'
    """
    leaves, in_tree = tree.flatten((args, kwargs))
    avals = [aval_of(leaf) for leaf in leaves]
    flat = FlatFunction(fun, in_tree)
    kind = f"saved_residuals of {function_name(fun)}"
    jaxpr, consts = trace_to_jaxpr(flat, avals, kind)
    nonzero = (*[False] * len(consts), *map(is_differentiable, avals))
    known, linear, nonzero_out = linearize_jaxpr(jaxpr, nonzero)
    _, used = dce_jaxpr(linear, (True,) * sum(nonzero_out))
    num_outs = len(jaxpr.outvars)
    paths = [path for path, _ in tree.flatten_with_path((args, kwargs))[0]]
    origins: dict[Atom, str] = {
        **dict.fromkeys(known.invars[: len(consts)], "from a constant"),
        **{
            v: f"from the argument {_argument_name(fun, path)}"
            for v, path in zip(known.invars[len(consts) :], paths)
        },
    }
    kept = [r for r, use in zip(known.outvars[num_outs:], used) if use]
    distinct = dict.fromkeys(r for r in kept if not isinstance(r, Literal))
    return [(r.aval, origins.get(r) or _origin(known, r)) for r in distinct]


def _argument_name(fun: Callable[..., Any], path: Any) -> str:
    """Name a leaf of ``(args, kwargs)`` as the function's signature does, where it has names."""
    kind, first, *rest = path
    name = str(first.key) if kind.idx == 1 else _positional_name(fun, first.idx)
    return f"{name}{tree.keystr(tuple(rest))}"


def _positional_name(fun: Callable[..., Any], index: int) -> str:
    try:
        parameters = list(signature(fun).parameters.values())
    except (TypeError, ValueError):  # some built-in functions have none
        return f"args[{index}]"
    if index < len(parameters) and parameters[index].kind != Parameter.VAR_POSITIONAL:
        return parameters[index].name
    return f"args[{index}]"


def _origin(jaxpr: Jaxpr, residual: Atom) -> str:
    """Which equation made a value; of a call, which equation in its program did."""
    eqn = _maker(jaxpr, residual)
    if eqn is None:
        return "from an argument of a call"
    inner = list(sub_jaxprs(eqn))
    if len(inner) == 1 and len(inner[0].outvars) == len(eqn.outvars):
        made = inner[0].outvars[eqn.outvars.index(residual)]
        if made.aval.shape == residual.aval.shape and _maker(inner[0], made) is not None:
            return _origin(inner[0], made)
    if eqn.primitive is name_p:
        return f"named {eqn.params['name']!r} from {eqn.source}"
    return f"output of {eqn.primitive.name} from {eqn.source}"


def _maker(jaxpr: Jaxpr, atom: Atom) -> Equation | None:
    return next((eqn for eqn in jaxpr.eqns if atom in eqn.outvars), None)


def print_saved_residuals(fun: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
    """Print what `saved_residuals` returns, a line a value.

    Examples
    --------
    >>> import numpy as np, fnad
    >>> print_saved_residuals(fnad.checkpoint(lambda x: np.sin(np.sin(x))), np.ones(3))
    f64[3] from the argument x
    """
    for aval, origin in saved_residuals(fun, *args, **kwargs):
        print(f"{aval} {origin}")
