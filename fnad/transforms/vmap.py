"""``vmap``: the user's wrapper of batching."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any

import numpy as np

from fnad.core import tree
from fnad.core.axes import named_axis
from fnad.core.flat_function import FlatFunction, function_name, hide_float0, is_float0
from fnad.core.rewrites import BatchAxis
from fnad.core.tracer import Unknown, apply_jaxpr
from fnad.core.types import ShapedArray, aval_of, float0
from fnad.primitives.shape import moveaxis
from fnad.primitives.subprograms import broadcast_batch, trace_function
from fnad.transforms.batching import batch_jaxpr


def vmap(
    fun: Callable[..., Any],
    in_axes: Any = 0,
    out_axes: Any = 0,
    axis_name: Any = None,
    axis_size: int | None = None,
) -> Callable[..., Any]:
    """Map a function over an axis of its arguments, as one program on whole batches.

    Parameters
    ----------
    fun : callable
        Function of single examples.
    in_axes : int, None, or pytree of them
        The axis of each argument to map over, None for arguments that are shared. A sequence
        has one entry a positional argument, each an int, None, or a pytree that is a prefix
        of the argument. Keyword arguments are mapped over axis 0.
    out_axes : int, None, or pytree of them
        Where the mapped axis stands in the results.
    axis_name : hashable, optional
        Name of the axis for `fnad.lax.psum` and its kin.
    axis_size : int, optional
        Length of the axis; needed only if no argument is mapped.

    Returns
    -------
    callable
        Takes and returns batches.

    Raises
    ------
    ValueError
        If mapped axes have different lengths, an axis is out of range, ``in_axes`` or
        ``out_axes`` do not fit, or an unmapped result depends on the mapped axis.

    Examples
    --------
    >>> import numpy as np, fnad
    >>> fnad.vmap(np.dot, in_axes=(0, None))(np.ones((2, 3)), np.arange(3.0))
    array([3., 3.])
    """
    if isinstance(in_axes, list):
        in_axes = tuple(in_axes)
    name = function_name(fun)

    @wraps(fun)
    def mapped(*args: Any, **kwargs: Any) -> Any:
        leaves, in_tree = tree.flatten((args, kwargs))
        axes = _flat_in_axes(name, in_axes, args, kwargs)
        size = _mapped_size(name, args, kwargs, leaves, axes, axis_size)
        if any(map(is_float0, leaves)):
            leaves, axes, in_tree = _without_float0(leaves, axes, in_tree)
        leaves = [a if ax is None else moveaxis(a, ax, 0) for a, ax in zip(leaves, axes)]
        avals = [_example_aval(a, ax) for a, ax in zip(leaves, axes)]
        unknown = Unknown(f"vmap of {name}")
        values = [a if ax is None else unknown for a, ax in zip(leaves, axes)]
        with named_axis(axis_name, size):
            jaxpr, consts, flat = trace_function(fun, in_tree, avals, f"vmap of {name}", values)
        batched = (False,) * len(consts) + tuple(ax is not None for ax in axes)
        program, batched_out = batch_jaxpr(
            jaxpr, BatchAxis(size, axis_name), batched, (False,) * len(jaxpr.outvars)
        )
        outs = apply_jaxpr(program, [*consts, *leaves])
        if flat.has_float0:
            return _place_axes_and_float0(outs, batched_out, out_axes, flat, size, name)
        out_spec = _prefix_axes("out_axes", out_axes, flat.out_tree, name)
        outs = [
            _place_axis(o, b, ax, size, name)
            for o, b, ax in zip(outs, batched_out, out_spec, strict=True)
        ]
        return tree.unflatten(flat.out_tree, outs)

    return mapped


def _without_float0(
    leaves: Sequence[Any], axes: Sequence[int | None], in_tree: Any
) -> tuple[list[Any], list[int | None], Any]:
    """Make arrays of float0, without the mapped axis, part of the structure of the arguments."""
    examples = [
        np.zeros(leaf.shape if axis is None else np.delete(leaf.shape, axis), float0)
        if is_float0(leaf)
        else leaf
        for leaf, axis in zip(leaves, axes, strict=True)
    ]
    others, structure = tree.flatten(hide_float0(tree.unflatten(in_tree, examples)))
    return others, [ax for leaf, ax in zip(leaves, axes) if not is_float0(leaf)], structure


def _example_aval(value: Any, axis: int | None) -> ShapedArray:
    aval = aval_of(value)
    return aval if axis is None else aval.update(shape=aval.shape[1:])


def _flat_in_axes(
    name: str, in_axes: Any, args: Sequence[Any], kwargs: dict[str, Any]
) -> list[int | None]:
    if isinstance(in_axes, tuple):
        if len(in_axes) != len(args):
            raise ValueError(
                f"vmap of {name}: in_axes has {len(in_axes)} entries but the function was called"
                f" with {len(args)} positional arguments; in_axes={in_axes!r}"
            )
        per_arg = in_axes
    else:
        per_arg = (in_axes,) * len(args)
    flat: list[int | None] = []
    for i, (spec, arg) in enumerate(zip(per_arg, args)):
        flat += _prefix_axes(f"in_axes[{i}]", spec, tree.structure(arg), name)
    for key in sorted(kwargs):
        flat += [0] * len(tree.leaves(kwargs[key]))
    return flat


def _is_axis(spec: Any) -> bool:
    return spec is None or isinstance(spec, int)


def _prefix_axes(what: str, spec: Any, structure: Any, name: str) -> list[int | None]:
    """Spread ``spec``, a tree prefix of axes, over the leaves of ``structure``."""
    if _is_axis(spec):
        return [spec] * structure.num_leaves
    whole = tree.unflatten(structure, list(range(structure.num_leaves)))
    try:
        per_leaf: list[int | None] = []
        tree.map(
            lambda axis, sub: per_leaf.extend([axis] * len(tree.leaves(sub))),
            spec,
            whole,
            is_leaf=_is_axis,
        )
    except ValueError as error:
        raise ValueError(
            f"vmap of {name}: {what} must be an int, None, or a pytree of them that is a prefix"
            f" of the corresponding value; got {spec!r} for a value of structure {structure}."
            f" {error}"
        ) from None
    for axis in per_leaf:
        if not _is_axis(axis):
            raise TypeError(f"vmap of {name}: {what} must hold ints or None, got {axis!r}")
    return per_leaf


def _mapped_size(
    name: str,
    args: Sequence[Any],
    kwargs: dict[str, Any],
    leaves: Sequence[Any],
    axes: Sequence[int | None],
    axis_size: int | None,
) -> int:
    paths = [p for p, _ in tree.flatten_with_path((tuple(args), kwargs))[0]]
    sizes: dict[str, int] = {}
    for path, leaf, axis in zip(paths, leaves, axes, strict=True):
        if axis is None:
            continue
        shape = leaf.shape if is_float0(leaf) else aval_of(leaf).shape
        where = _argument_name(path)
        if not -len(shape) <= axis < len(shape):
            raise ValueError(
                f"vmap of {name}: in_axes asks for axis {axis} of the argument at {where}, which"
                f" has shape {shape}; give None in in_axes for arguments that are not mapped"
            )
        sizes[where] = shape[axis]
    if axis_size is not None:
        sizes["axis_size"] = axis_size
    if not sizes:
        raise ValueError(
            f"vmap of {name}: no argument is mapped (in_axes is None for all of them); map at"
            " least one, or give axis_size"
        )
    if len(set(sizes.values())) > 1:
        listing = ", ".join(f"{k}: {v}" for k, v in sizes.items())
        raise ValueError(
            f"vmap of {name}: the mapped axes have different lengths ({listing}); they must agree"
        )
    return next(iter(sizes.values()))


def _argument_name(path: Any) -> str:
    """Name a leaf of ``(args, kwargs)`` as the caller of the function would."""
    kind, first, *rest = path
    return f"{('args', 'kwargs')[kind.idx]}{tree.keystr((first, *rest))}"


def _place_axes_and_float0(
    outs: Sequence[Any],
    batched: Sequence[bool],
    out_axes: Any,
    flat: FlatFunction,
    size: int,
    name: str,
) -> Any:
    """Place the axis in results some of which are float0, and so part of the structure."""
    leaves, structure = tree.flatten(tree.unflatten(flat.out_tree, list(range(len(outs)))))
    spec = _prefix_axes("out_axes", out_axes, structure, name)
    placed = []
    for leaf, axis in zip(leaves, spec, strict=True):
        if not is_float0(leaf):
            placed.append(_place_axis(outs[leaf], batched[leaf], axis, size, name))
            continue
        shape = list(leaf.shape)
        if axis is not None:
            shape.insert(axis if axis >= 0 else len(shape) + 1 + axis, size)
        placed.append(np.zeros(shape, float0))
    return tree.unflatten(structure, placed)


def _place_axis(out: Any, is_batched: bool, axis: int | None, size: int, name: str) -> Any:
    if axis is None:
        if is_batched:
            raise ValueError(
                f"vmap of {name}: out_axes is None for a result that depends on the mapped axis;"
                " give the position at which the axis shall stand"
            )
        return out
    if not is_batched:
        out = broadcast_batch(out, size)
    ndim = len(aval_of(out).shape)
    if not -ndim <= axis < ndim:
        raise ValueError(
            f"vmap of {name}: out_axes asks for axis {axis} of a result with {ndim} axes"
        )
    return moveaxis(out, 0, axis)
