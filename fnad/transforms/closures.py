"""Functions that close over traced values, as functions of these values."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any

from fnad.core import tree
from fnad.core.flat_function import function_name
from fnad.core.tracer import Tracer, apply_jaxpr
from fnad.core.tree_registry import Partial
from fnad.core.types import aval_of, is_differentiable
from fnad.primitives.custom import custom_vjp
from fnad.primitives.subprograms import merge, split, trace_function
from fnad.transforms.argument_positions import as_positions, is_single, pick_positions
from fnad.transforms.autodiff import vjp
from fnad.transforms.jit import jit


def _convert(
    fun: Callable[..., Any], args: Sequence[Any], hoist: Callable[[Any], bool]
) -> tuple[Callable[[Sequence[Any], Sequence[Any]], Any], list[Any]]:
    """A function of (arguments, what ``hoist`` picks of the values closed over), and these."""
    leaves, in_tree = tree.flatten((tuple(args), {}))
    avals = [aval_of(leaf) for leaf in leaves]
    kind = f"closure_convert of {function_name(fun)}"
    jaxpr, consts, flat = trace_function(fun, in_tree, avals, kind)
    mask = [hoist(c) for c in consts]
    fixed, hoisted = split(mask, consts)

    def converted(args: Sequence[Any], hoisted: Sequence[Any]) -> Any:
        given, structure = tree.flatten((tuple(args), {}))
        if structure != in_tree:
            raise TypeError(
                f"{kind}: it was converted for arguments of structure {in_tree}, got {structure}"
            )
        outs = apply_jaxpr(jaxpr, [*merge(mask, fixed, hoisted), *given])
        return tree.unflatten(flat.out_tree, outs)

    return converted, hoisted


def closure_convert(
    fun: Callable[..., Any], *example_args: Any
) -> tuple[Callable[..., Any], list[Any]]:
    """Make the traced values that a function closes over arguments of it.

    For functions with custom rules that take functions: those may close over values that are
    differentiated, of which the rule would not know.

    Parameters
    ----------
    fun : callable
        The function.
    *example_args : pytrees of arrays
        Arguments of the types that it will be called with.

    Returns
    -------
    (converted, consts)
        ``converted(*args, *consts)`` is ``fun(*args)``; ``consts`` are the floating and complex
        values being traced that it closes over.

    Examples
    --------
    >>> import numpy as np, fnad
    >>> def derivative(scale):
    ...     converted, consts = fnad.closure_convert(lambda x: x * scale, 1.0)
    ...     return converted(3.0, *consts) * len(consts)
    >>> fnad.grad(derivative)(2.0)
    np.float64(3.0)
    """
    count = len(example_args)

    def is_perturbed(value: Any) -> bool:
        return isinstance(value, Tracer) and is_differentiable(value.aval)

    converted, consts = _convert(fun, example_args, is_perturbed)

    @wraps(fun)
    def of_all(*args: Any) -> Any:
        return converted(args[:count], args[count:])

    return of_all, consts


def custom_gradient(fun: Callable[..., Any]) -> Callable[..., Any]:
    """Give a function a rule for reverse mode that it returns itself.

    Parameters
    ----------
    fun : callable
        Returns ``(out, pull)``; ``pull(cotangent)`` gives the cotangents of the arguments, as a
        tuple, or, of a single argument, by itself. It may close over values of the computation.

    Returns
    -------
    callable
        Returns ``out``. It is a `custom_vjp` function.

    Examples
    --------
    >>> import numpy as np, fnad
    >>> @fnad.custom_gradient
    ... def clipped(x):
    ...     return x**2, lambda ct: np.minimum(ct * 2 * x, 1.0)
    >>> fnad.grad(clipped)(0.25), fnad.grad(clipped)(3.0)
    (np.float64(0.5), np.float64(1.0))
    """

    @custom_vjp
    def wrapped(*args: Any) -> Any:
        return fun(*args)[0]

    wrapped.__name__ = function_name(fun)  # type: ignore[attr-defined]

    def forward(*args: Any) -> tuple[Any, Any]:
        out, pull = fun(*args)
        converted, consts = _convert(pull, (out,), lambda value: True)
        return out, Partial(lambda consts, ct: converted((ct,), consts), consts)

    def backward(pull: Any, cotangent: Any) -> tuple[Any, ...]:
        found = pull(cotangent)
        return found if isinstance(found, tuple) else (found,)

    wrapped.defvjp(forward, backward)
    return wraps(fun)(wrapped)


def fwd_and_bwd(
    fun: Callable[..., Any],
    argnums: int | Sequence[int],
    has_aux: bool = False,
    jitted: bool = True,
) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """The two halves of `vjp` as functions of their own, each compiled once.

    Parameters
    ----------
    fun : callable
        Function to be differentiated.
    argnums : int or sequence of int
        Positional arguments to differentiate with respect to.
    has_aux : bool
        Whether ``fun`` returns ``(out, aux)``.
    jitted : bool
        Whether both are compiled.

    Returns
    -------
    (forward, backward)
        ``forward(*args)`` returns ``(out, residuals)``, with ``has_aux`` ``(out, residuals, aux)``;
        ``backward(residuals, cotangent)`` the cotangent of the argument, or a tuple of them if
        ``argnums`` is a sequence.

    Examples
    --------
    >>> import numpy as np, fnad
    >>> forward, backward = fnad.fwd_and_bwd(lambda x, w: np.tanh(x * w), argnums=(0, 1))
    >>> out, residuals = forward(0.0, 3.0)
    >>> backward(residuals, 1.0)
    (np.float64(3.0), np.float64(0.0))
    """
    what = f"fwd_and_bwd of {function_name(fun)}"
    single, positions = is_single(argnums), as_positions(what, argnums)

    @wraps(fun)
    def forward(*args: Any, **kwargs: Any) -> Any:
        pick_positions(what, positions, len(args))

        def of_picked(*picked: Any) -> Any:
            every = list(args)
            for i, value in zip(positions, picked):
                every[i] = value
            return fun(*every, **kwargs)

        return vjp(of_picked, *(args[i] for i in positions), has_aux=has_aux)

    def backward(residuals: Any, cotangent: Any) -> Any:
        found = residuals(cotangent)
        return found[0] if single else found

    return (jit(forward), jit(backward)) if jitted else (forward, backward)
