"""The user's wrappers of differentiation: jvp, linearize, vjp, grad and their kin.

All of them trace the function once, rewrite its program, and run the result: evaluated with
NumPy outside other transforms, inlined in the enclosing program inside them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import wraps
from itertools import compress
from typing import Any

import numpy as np

from fnad.core import tree
from fnad.core.flat_function import FlatFunction, function_name
from fnad.core.ir import Jaxpr, Var
from fnad.core.rewrites import Mask
from fnad.core.tracer import apply_jaxpr, trace_to_jaxpr
from fnad.core.tree_registry import Partial
from fnad.core.types import ShapedArray, aval_of, float0, is_differentiable, kind_of
from fnad.primitives.shape import full
from fnad.primitives.subprograms import trace_function
from fnad.transforms.argument_positions import as_positions, is_single, pick_positions
from fnad.transforms.dce import dce_jaxpr
from fnad.transforms.forward import jvp_jaxpr
from fnad.transforms.gradient_conditions import check_inputs, check_output
from fnad.transforms.partial_eval import linearize_jaxpr
from fnad.transforms.transpose import transpose_jaxpr


@dataclass(frozen=True, slots=True)
class _Traced:
    """A traced user function: its program, what it closed over, and its result's structure."""

    flat: FlatFunction
    jaxpr: Jaxpr
    consts: list[Any]
    in_avals: list[ShapedArray]

    @property
    def nonzero(self) -> Mask:
        """Which inputs have tangents: the differentiable arguments, not what is closed over."""
        mask = [False] * len(self.consts) + [is_differentiable(a) for a in self.in_avals]
        return tuple(mask)


def _trace(
    fun: Callable[..., Any], args: Sequence[Any], what: str, has_aux: bool = False
) -> tuple[_Traced, list[Any], Any]:
    leaves, in_tree = tree.flatten((tuple(args), {}))
    avals = [aval_of(leaf) for leaf in leaves]
    flat = FlatFunction(fun, in_tree, has_aux)
    kind = f"{what} of {function_name(fun)}"
    jaxpr, consts = trace_to_jaxpr(flat, avals, kind, leaves)
    return _Traced(flat, jaxpr, consts, avals), leaves, in_tree


def _zeros(aval: ShapedArray) -> Any:
    if not is_differentiable(aval):
        return np.zeros(aval.shape, float0)
    return full(aval.shape, 0, aval.dtype)


def _check_tangents(what: str, avals: Sequence[ShapedArray], tangents: Sequence[Any]) -> None:
    for aval, tangent in zip(avals, tangents, strict=True):
        if isinstance(tangent, np.ndarray) and tangent.dtype == float0:
            got = (tangent.shape, float0)
        else:
            t = aval_of(tangent)
            # A weak scalar takes the dtype of its primal, unless that is real and it is not.
            weak = is_differentiable(aval) and (t.weak_type or aval.weak_type)
            weak = weak and (kind_of(t.dtype) != "c" or kind_of(aval.dtype) == "c")
            got = (t.shape, aval.dtype if weak else t.dtype)
        want = (aval.shape, aval.dtype if is_differentiable(aval) else float0)
        if got != want:
            need = f"have the shape and dtype of the primal, {aval}"
            if not is_differentiable(aval):
                need = f"be np.zeros({aval.shape}, fnad.float0), since the primal is {aval}"
            raise TypeError(f"{what} must {need}, got {np.dtype(got[1]).name}{list(got[0])}")


def _cast(value: Any, aval: ShapedArray) -> Any:
    """Give a Python scalar the dtype of its primal."""
    if isinstance(value, (bool, int, float, complex)):
        return aval.dtype.type(value)
    return value


def jvp(
    fun: Callable[..., Any], primals: Sequence[Any], tangents: Sequence[Any], has_aux: bool = False
) -> tuple[Any, ...]:
    """Value and directional derivative (Jacobian-vector product, forward mode).

    Parameters
    ----------
    fun : callable
        Function of arrays (or pytrees of them).
    primals, tangents : tuple or list
        The point and the direction: one entry a positional argument, of the same structure,
        shapes and dtypes. Tangents of integer inputs have dtype ``fnad.float0``.
    has_aux : bool
        Whether ``fun`` returns ``(out, aux)``; then ``aux`` is returned third.

    Returns
    -------
    (out, out_tangent) or (out, out_tangent, aux)

    Examples
    --------
    >>> import numpy as np, fnad
    >>> fnad.jvp(np.sin, (0.0,), (1.0,))
    (np.float64(0.0), np.float64(1.0))
    """
    if not isinstance(primals, (tuple, list)) or not isinstance(tangents, (tuple, list)):
        raise TypeError(
            "jvp takes primals and tangents as tuples with one entry an argument, got"
            f" {type(primals).__name__} and {type(tangents).__name__}"
        )
    tangent_leaves, tangent_tree = tree.flatten((tuple(tangents), {}))
    if tree.structure((tuple(primals), {})) != tangent_tree:
        raise TypeError(
            "jvp: primals and tangents must have the same pytree structure, got"
            f" {tree.structure(tuple(primals))} and {tree.structure(tuple(tangents))}"
        )
    traced, leaves, _ = _trace(fun, primals, "jvp", has_aux)
    _check_tangents("jvp: each tangent", traced.in_avals, tangent_leaves)
    num_outs = len(traced.jaxpr.outvars)
    program, nonzero_out = jvp_jaxpr(traced.jaxpr, traced.nonzero, (False,) * num_outs)
    given = [
        _cast(t, a)
        for t, a in zip(tangent_leaves, traced.in_avals, strict=True)
        if is_differentiable(a)
    ]
    results = apply_jaxpr(program, [*traced.consts, *leaves, *given])
    outs, dots = results[:num_outs], iter(results[num_outs:])
    out_dots = [
        next(dots) if nz else _zeros(v.aval)
        for v, nz in zip(traced.jaxpr.outvars, nonzero_out, strict=True)
    ]
    flat = traced.flat
    out = tree.unflatten(flat.out_tree, outs[: flat.num_out])
    out_dot = tree.unflatten(flat.out_tree, out_dots[: flat.num_out])
    if has_aux:
        return out, out_dot, tree.unflatten(flat.aux_tree, outs[flat.num_out :])
    return out, out_dot


@dataclass(frozen=True, slots=True, eq=False)
class _LinearPart:
    """The linear part of a function at a point: a program that takes its residuals first."""

    in_tree: Any
    out_tree: Any
    in_avals: list[ShapedArray]
    out_avals: list[ShapedArray]  # of the results, without aux
    linear: Jaxpr
    nonzero_out: Mask

    def pushforward(self, residuals: Sequence[Any], *tangents: Any) -> Any:
        """Map tangents of the arguments to the tangent of the result."""
        leaves, structure = tree.flatten((tangents, {}))
        if structure != self.in_tree:
            raise TypeError(
                "a linearized function takes tangents of the structure of its arguments,"
                f" {self.in_tree}, got {structure}"
            )
        avals = self.in_avals
        _check_tangents("linearized function: each tangent", avals, leaves)
        given = [_cast(t, a) for t, a in zip(leaves, avals) if is_differentiable(a)]
        dots = iter(apply_jaxpr(self.linear, [*residuals, *given]))
        outs = [
            next(dots) if nz else _zeros(aval) for aval, nz in zip(self.out_avals, self.nonzero_out)
        ]
        return tree.unflatten(self.out_tree, outs)

    def pullback(self, residuals: Sequence[Any], cotangent: Any) -> tuple[Any, ...]:
        """Map a cotangent of the result to cotangents of the arguments, as a tuple."""
        leaves, structure = tree.flatten(cotangent)
        if structure != self.out_tree:
            raise TypeError(
                "the cotangent given to a vjp function must have the structure of the result,"
                f" {self.out_tree}, got {structure}"
            )
        _check_tangents("vjp function: each cotangent", self.out_avals, leaves)
        return tree.unflatten(self.in_tree, self.pull_leaves(residuals, leaves))[0]

    def pull_leaves(self, residuals: Sequence[Any], cotangents: Sequence[Any]) -> list[Any]:
        """Pull back flat cotangents; integer arguments get zeros of dtype ``float0``."""
        given = [
            _cast(ct, aval)
            for ct, aval, nz in zip(cotangents, self.out_avals, self.nonzero_out)
            if nz
        ]
        num_in = len(self.linear.invars) - len(residuals)
        program, nonzero_in = transpose_jaxpr(
            self.linear,
            (False,) * len(residuals) + (True,) * num_in,
            (True,) * len(self.linear.outvars),
            (False,) * num_in,
        )
        cts = iter(apply_jaxpr(program, [*residuals, *given]))
        has_ct = iter(nonzero_in)
        return [
            next(cts) if is_differentiable(aval) and next(has_ct) else _zeros(aval)
            for aval in self.in_avals
        ]


def _linearize(
    fun: Callable[..., Any], args: Sequence[Any], what: str, has_aux: bool
) -> tuple[Any, Any, _LinearPart, list[Any]]:
    """Trace, linearize and run the values; returns out, aux, the linear part and its residuals."""
    traced, leaves, in_tree = _trace(fun, args, what, has_aux)
    known, linear, nonzero_out = _linearize_outputs(traced)
    results = apply_jaxpr(known, [*traced.consts, *leaves])
    flat, num_outs = traced.flat, len(traced.jaxpr.outvars)
    out = tree.unflatten(flat.out_tree, results[: flat.num_out])
    aux = tree.unflatten(flat.aux_tree, results[flat.num_out : num_outs]) if has_aux else None
    out_avals = traced.jaxpr.out_avals[: flat.num_out]
    part = _LinearPart(in_tree, flat.out_tree, traced.in_avals, out_avals, linear, nonzero_out)
    return out, aux, part, results[num_outs:]


def _linearize_outputs(traced: _Traced) -> tuple[Jaxpr, Jaxpr, Mask]:
    """Linearize the proper outputs only: aux is not differentiated."""
    known, linear, nonzero_out = linearize_jaxpr(traced.jaxpr, traced.nonzero)
    num_out = traced.flat.num_out
    if not any(nonzero_out[num_out:]):
        return known, linear, nonzero_out[:num_out]
    kept = sum(nonzero_out[:num_out])
    return known, linear.replace(outvars=linear.outvars[:kept]), nonzero_out[:num_out]


def linearize(fun: Callable[..., Any], *primals: Any, has_aux: bool = False) -> tuple[Any, ...]:
    """Value of a function and its derivative at a point, as a linear function.

    Returns
    -------
    (out, f_jvp) or (out, f_jvp, aux)
        ``f_jvp(*tangents)`` gives the tangent of the result without evaluating ``fun`` again.

    Examples
    --------
    >>> import numpy as np, fnad
    >>> y, f_jvp = fnad.linearize(lambda x: x**2, 3.0)
    >>> y, f_jvp(1.0)
    (np.float64(9.0), np.float64(6.0))
    """
    out, aux, part, residuals = _linearize(fun, primals, "linearize", has_aux)
    push = Partial(part.pushforward, residuals)
    return (out, push, aux) if has_aux else (out, push)


def vjp(fun: Callable[..., Any], *primals: Any, has_aux: bool = False) -> tuple[Any, ...]:
    """Value of a function and its vector-Jacobian product (reverse mode).

    Returns
    -------
    (out, f_vjp) or (out, f_vjp, aux)
        ``f_vjp(cotangent)`` returns a tuple with one cotangent a positional argument; those of
        integer arguments are zeros of dtype ``float0``. It can be called any number of times,
        and does not see later in-place changes of the inputs. A complex cotangent ``ct`` stands for
        the linear form ``v -> Re(ct * v)``, without conjugation, as in JAX.

    Examples
    --------
    >>> import numpy as np, fnad
    >>> y, f_vjp = fnad.vjp(lambda x, y: x * y, 2.0, 5.0)
    >>> f_vjp(1.0)
    (np.float64(5.0), np.float64(2.0))
    """
    out, aux, part, residuals = _linearize(fun, primals, "vjp", has_aux)
    pull = Partial(part.pullback, residuals)
    return (out, pull, aux) if has_aux else (out, pull)


def linear_transpose(fun: Callable[..., Any], *primals: Any) -> Callable[[Any], tuple[Any, ...]]:
    """Transpose a function that is linear in all its arguments.

    Parameters
    ----------
    fun : callable
        A linear function.
    *primals : pytrees of arrays or ShapeDtypeStruct
        Only their shapes and dtypes are used.

    Returns
    -------
    callable
        Maps a cotangent of the result to a tuple of cotangents, one an argument.

    Examples
    --------
    >>> import numpy as np, fnad
    >>> fnad.linear_transpose(lambda x: 3 * x, np.float32(0))(np.float32(2))
    (np.float32(6.0),)
    """
    leaves, in_tree = tree.flatten((primals, {}))
    avals = [aval_of(leaf) for leaf in leaves]
    kind = f"linear_transpose of {function_name(fun)}"
    jaxpr, consts, flat = trace_function(fun, in_tree, avals, kind)
    linear = (False,) * len(consts) + (True,) * len(avals)

    def transposed(cotangent: Any) -> tuple[Any, ...]:
        cts, structure = tree.flatten(cotangent)
        if structure != flat.out_tree:
            raise TypeError(
                "the cotangent given to a transposed function must have the structure of the"
                f" result, {flat.out_tree}, got {structure}"
            )
        _check_tangents("transposed function: each cotangent", jaxpr.out_avals, cts)
        try:
            program, _ = transpose_jaxpr(jaxpr, linear, (True,) * len(cts), (True,) * len(avals))
        except Exception as error:
            if "not linear" not in str(error):
                _refuse_nonlinear(kind, jaxpr, linear, error)
            raise
        given = [_cast(ct, a) for ct, a in zip(cts, jaxpr.out_avals)]
        return tree.unflatten(in_tree, apply_jaxpr(program, [*consts, *given]))[0]

    return transposed


def _refuse_nonlinear(kind: str, jaxpr: Jaxpr, linear: Mask, error: Exception) -> None:
    """Raise an error that names the equation that is not linear, if there is one."""
    varying: set[Any] = set(compress(jaxpr.invars, linear))
    for eqn in jaxpr.eqns:
        if varying.isdisjoint(eqn.invars):
            continue
        varying.update(eqn.outvars)
        invars = tuple(dict.fromkeys(a for a in eqn.invars if isinstance(a, Var)))
        moved = tuple(v in varying and is_differentiable(v.aval) for v in invars)
        none = (False,) * len(eqn.outvars)
        program, nonzero_out = jvp_jaxpr(Jaxpr(invars, (eqn,), eqn.outvars), moved, none)
        _, kept = dce_jaxpr(program, (*none, *(True,) * sum(nonzero_out)))
        if any(k and m for k, m in zip(kept, moved)) or not all(nonzero_out):
            raise TypeError(
                f"{kind}: the function is not linear in its arguments: {eqn.primitive.name} of"
                f" what depends on them, at {eqn.source}. Use vjp in place of linear_transpose."
            ) from error


def value_and_grad(
    fun: Callable[..., Any],
    argnums: int | Sequence[int] = 0,
    has_aux: bool = False,
    holomorphic: bool = False,
    allow_int: bool = False,
) -> Callable[..., Any]:
    """Make a function that returns the value and the gradient of a scalar function.

    Parameters
    ----------
    fun : callable
        Function with a scalar result.
    argnums : int or sequence of int
        Positional arguments to differentiate with respect to.
    has_aux : bool
        Whether ``fun`` returns ``(out, aux)``; then the value is the pair.
    holomorphic : bool
        Whether ``fun`` is holomorphic; needed for complex results, which only complex arguments
        may have then. The gradient is the complex derivative. Without it, the gradient of a real
        result ``u`` with respect to ``x + iy`` is ``du/dx - i du/dy``, as in JAX: steepest descent
        goes along minus its conjugate.
    allow_int : bool
        Whether integer arguments may be differentiated (their gradient has dtype ``float0``).

    Returns
    -------
    callable
        Returns ``(value, gradient)``; the gradient has the structure of the argument, or is a
        tuple of them if ``argnums`` is a sequence.

    Raises
    ------
    TypeError
        If the result is not a real scalar, or an argument has no derivative.

    Examples
    --------
    >>> import numpy as np, fnad
    >>> fnad.value_and_grad(lambda x: np.sum(x**2))(np.array([1.0, 2.0]))
    (np.float64(5.0), array([2., 4.]))
    """
    name = function_name(fun)
    single, positions = is_single(argnums), as_positions(f"grad of {name}", argnums)

    @wraps(fun)
    def value_and_grad_fun(*args: Any, **kwargs: Any) -> Any:
        picked = pick_positions(f"grad of {name}", positions, len(args))
        differentiated = tuple(args[i] for i in picked)
        check_inputs(name, picked, differentiated, holomorphic, allow_int)

        def partial(*inner: Any) -> Any:
            full_args = list(args)
            for i, value in zip(picked, inner):
                full_args[i] = value
            return fun(*full_args, **kwargs)

        partial.__name__ = name
        out, aux, part, residuals = _linearize(partial, differentiated, "grad", has_aux)
        one = check_output(name, out, part.out_avals, holomorphic)
        grads = tree.unflatten(part.in_tree, part.pull_leaves(residuals, [one]))[0]
        gradient = grads[0] if single else grads
        return ((out, aux), gradient) if has_aux else (out, gradient)

    return value_and_grad_fun


def grad(
    fun: Callable[..., Any],
    argnums: int | Sequence[int] = 0,
    has_aux: bool = False,
    holomorphic: bool = False,
    allow_int: bool = False,
) -> Callable[..., Any]:
    """Make a function that returns the gradient of a scalar function.

    Parameters are those of `value_and_grad`; with ``has_aux`` the result is
    ``(gradient, aux)``.

    Examples
    --------
    >>> import numpy as np, fnad
    >>> fnad.grad(np.tanh)(0.0)
    np.float64(1.0)
    >>> fnad.grad(fnad.grad(lambda x: x**3))(2.0)
    np.float64(12.0)
    """
    with_value = value_and_grad(fun, argnums, has_aux, holomorphic, allow_int)

    @wraps(fun)
    def grad_fun(*args: Any, **kwargs: Any) -> Any:
        value, gradient = with_value(*args, **kwargs)
        return (gradient, value[1]) if has_aux else gradient

    return grad_fun
