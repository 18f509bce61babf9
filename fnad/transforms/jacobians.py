"""Whole Jacobians and Hessians, by ``vmap`` of pushforwards or pullbacks over a basis."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any

import numpy as np

from fnad.core import tree
from fnad.core.flat_function import function_name
from fnad.core.types import ShapedArray, aval_of, float0, is_differentiable, kind_of
from fnad.primitives.logic import convert_element_type, eq
from fnad.primitives.shape import broadcasted_iota, full, reshape
from fnad.primitives.slicing import slice_in_dim
from fnad.transforms.argument_positions import as_positions, is_single, pick_positions
from fnad.transforms.autodiff import linearize, vjp
from fnad.transforms.vmap import vmap


def jacfwd(
    fun: Callable[..., Any],
    argnums: int | Sequence[int] = 0,
    has_aux: bool = False,
    holomorphic: bool = False,
) -> Callable[..., Any]:
    """Jacobian by forward mode: one pushforward an input element, all in one batch.

    Parameters
    ----------
    fun : callable
        Function whose Jacobian is wanted.
    argnums : int or sequence of int
        Positional arguments to differentiate with respect to.
    has_aux : bool
        Whether ``fun`` returns ``(out, aux)``.
    holomorphic : bool
        Whether ``fun`` is holomorphic; needed for complex arguments. Complex results of real
        arguments have a Jacobian without it.

    Returns
    -------
    callable
        Returns the Jacobian: for each leaf of the result a tree like the argument, with leaves
        of shape ``result.shape + argument.shape``. Those of integer results are zeros of dtype
        ``float0``.

    Raises
    ------
    TypeError
        If an argument has no derivative (integers), or is complex without ``holomorphic``; if
        something is real with it.

    Examples
    --------
    >>> import numpy as np, fnad
    >>> fnad.jacfwd(lambda x: x**2)(np.array([1.0, 2.0]))
    array([[2., 0.],
           [0., 4.]])
    """

    @wraps(fun)
    def jacobian(*args: Any, **kwargs: Any) -> Any:
        partial, picked = _partial("jacfwd", fun, argnums, args, kwargs)
        _check_differentiable("jacfwd", "arguments", picked, "c" if holomorphic else "f")
        out, push, *aux = linearize(partial, picked, has_aux=has_aux)
        if holomorphic:
            _check_differentiable("jacfwd", "results", out, "c")
        avals = [aval_of(leaf) for leaf in tree.leaves(out)]

        def push_floats(tangent: Any) -> list[Any]:
            dots = tree.leaves(push(tangent))
            return [dot for dot, aval in zip(dots, avals) if is_differentiable(aval)]

        columns = iter(vmap(push_floats, out_axes=-1)(_basis(picked)))
        by_leaf = [
            _split_basis(next(columns), -1, picked, aval.shape)
            if is_differentiable(aval)
            else tree.map(lambda x, a=aval: np.zeros(a.shape + np.shape(x), float0), picked)
            for aval in avals
        ]
        jac = tree.unflatten(tree.structure(out), by_leaf)
        return (jac, aux[0]) if has_aux else jac

    return jacobian


def jacrev(
    fun: Callable[..., Any],
    argnums: int | Sequence[int] = 0,
    has_aux: bool = False,
    holomorphic: bool = False,
    allow_int: bool = False,
) -> Callable[..., Any]:
    """Jacobian by reverse mode: one pullback an output element, all in one batch.

    Parameters and result are those of `jacfwd`; it is the better choice when the result has
    fewer elements than the argument. With ``allow_int`` the Jacobian with respect to an
    integer argument is zeros of dtype ``float0``. Without ``holomorphic`` results must be real;
    arguments may be complex, and entries are then ``du/dx - i du/dy``, as `grad` has them.

    Examples
    --------
    >>> import numpy as np, fnad
    >>> fnad.jacrev(lambda x: np.sum(x**2))(np.array([1.0, 2.0]))
    array([2., 4.])
    """

    @wraps(fun)
    def jacobian(*args: Any, **kwargs: Any) -> Any:
        partial, picked = _partial("jacrev", fun, argnums, args, kwargs)
        if holomorphic or not allow_int:
            _check_differentiable("jacrev", "arguments", picked, "c" if holomorphic else "fc")
        out, pull, *aux = vjp(partial, picked, has_aux=has_aux)
        _check_differentiable("jacrev", "results", out, "c" if holomorphic else "f")
        leaves, structure = tree.flatten(picked)
        differentiable = [is_differentiable(aval_of(leaf)) for leaf in leaves]

        def pull_floats(cotangent: Any) -> list[Any]:
            cts = tree.leaves(pull(cotangent))
            return [ct for ct, wanted in zip(cts, differentiable) if wanted]

        rows = iter(vmap(pull_floats)(_basis(out)))
        by_leaf = [
            _split_basis(next(rows), 0, out, aval_of(leaf).shape)
            if wanted
            else tree.map(lambda o, x=leaf: np.zeros(aval_of(o).shape + np.shape(x), float0), out)
            for leaf, wanted in zip(leaves, differentiable)
        ]
        by_input = tree.unflatten(structure, by_leaf)
        jac = tree.transpose(structure, tree.structure(out), by_input)
        return (jac, aux[0]) if has_aux else jac

    return jacobian


def hessian(
    fun: Callable[..., Any],
    argnums: int | Sequence[int] = 0,
    has_aux: bool = False,
    holomorphic: bool = False,
) -> Callable[..., Any]:
    """Hessian of a function: ``jacfwd(jacrev(fun))``.

    Examples
    --------
    >>> import numpy as np, fnad
    >>> fnad.hessian(lambda x: np.sum(x**3))(np.array([1.0, 2.0]))
    array([[ 6.,  0.],
           [ 0., 12.]])
    """
    inner = jacrev(fun, argnums, has_aux, holomorphic)
    return jacfwd(inner, argnums, has_aux, holomorphic)


def _partial(
    what: str,
    fun: Callable[..., Any],
    argnums: int | Sequence[int],
    args: Sequence[Any],
    kwargs: Any,
) -> tuple[Callable[..., Any], Any]:
    """The function of the differentiated arguments alone, and these arguments."""
    what = f"{what} of {function_name(fun)}"
    single = is_single(argnums)
    positions = pick_positions(what, as_positions(what, argnums), len(args))
    picked = args[positions[0]] if single else tuple(args[i] for i in positions)

    @wraps(fun)
    def partial(inner: Any) -> Any:
        full_args = list(args)
        for i, value in zip(positions, (inner,) if single else inner):
            full_args[i] = value
        return fun(*full_args, **kwargs)

    return partial, picked


_OTHER_WAYS = {
    "arguments": "name other arguments in argnums",
    "results": "return it as auxiliary output (has_aux=True)",
}


def _check_differentiable(what: str, which: str, values: Any, kinds: str) -> None:
    """Refuse arguments or results of other kinds than real ("f") and complex ("c") numbers."""
    for leaf in tree.leaves(values):
        aval = aval_of(leaf)
        if not is_differentiable(aval):
            raise TypeError(
                f"{what} needs floating {which}, got {aval}; convert it with .astype(float), or"
                f" {_OTHER_WAYS[which]}"
            )
        kind = kind_of(aval.dtype)
        if kind in kinds:
            continue
        if kind == "f":
            raise TypeError(
                f"{what} with holomorphic=True needs complex {which}, got {aval}; a derivative in"
                " the complex sense exists from complex to complex numbers"
            )
        raise TypeError(
            f"{what} needs real {which}, got {aval}; for the complex derivative of a holomorphic"
            " function of complex arguments pass holomorphic=True, for any other take"
            f" {'jvp' if which == 'arguments' else 'vjp'}, or differentiate real and imaginary"
            " parts apart"
        )


def _basis(value: Any) -> Any:
    """The standard basis of a pytree of arrays: leaves of shape ``(total, *leaf.shape)``."""
    avals = [aval_of(leaf) for leaf in tree.leaves(value)]
    total = sum(a.size for a in avals)
    leaves, start = [], 0
    for aval in avals:
        leaves.append(_basis_rows(total, start, aval))
        start += aval.size
    return tree.unflatten(tree.structure(value), leaves)


def _basis_rows(total: int, start: int, aval: ShapedArray) -> Any:
    if aval.size == 0 or total == 0:
        return full((total, *aval.shape), 0, aval.dtype)
    rows = broadcasted_iota(np.int64, (total, aval.size), 0)
    columns = broadcasted_iota(np.int64, (total, aval.size), 1)
    hit = eq(rows, columns + start)
    return reshape(convert_element_type(hit, aval.dtype), (total, *aval.shape))


def _split_basis(stacked: Any, axis: int, basis_of: Any, shape: tuple[int, ...]) -> Any:
    """Split the basis axis of a Jacobian into the shapes of the tree it is the basis of."""

    leaves, start = [], 0
    for leaf in tree.leaves(basis_of):
        aval = aval_of(leaf)
        piece = slice_in_dim(stacked, start, start + aval.size, axis=axis)
        whole = (*shape, *aval.shape) if axis == -1 else (*aval.shape, *shape)
        leaves.append(reshape(piece, whole))
        start += aval.size
    return tree.unflatten(tree.structure(basis_of), leaves)
