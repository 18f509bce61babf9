"""Python functions made functions of arrays: along an axis, over axes, elementwise."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Collection, Sequence
from typing import Any

from fnad.numpy.creation import asarray
from fnad.numpy.manipulation import expand_dims
from fnad.numpy.operands import Array, broadcast_shapes, expand
from fnad.primitives.shape import canonicalize_axis, int_tuple
from fnad.transforms.vmap import vmap

_CORE = r"\((\w+(?:,\w+)*)?\)"
_LIST = rf"{_CORE}(?:,{_CORE})*"


def apply_along_axis(
    func1d: Callable[..., Any], axis: int, arr: Any, *args: Any, **kwargs: Any
) -> Array:
    """``func1d`` of every vector along an axis; what it returns takes the place of the axis.

    Examples
    --------
    >>> import numpy as np
    >>> apply_along_axis(lambda v: v[::-1] * 2, 1, np.array([[1, 2], [3, 4]]))
    array([[4, 2],
           [8, 6]])
    """
    x = asarray(arr)
    axis = canonicalize_axis(axis, x.ndim)

    def function(v: Array) -> Array:
        return asarray(func1d(v, *args, **kwargs))

    # The axes in front stay in front; those behind the axis go behind the result.
    for _ in range(x.ndim - axis - 1):
        function = vmap(function, -1, -1)
    for _ in range(axis):
        function = vmap(function, 0, 0)
    return function(x)


def apply_over_axes(func: Callable[[Array, int], Any], a: Any, axes: int | Sequence[int]) -> Array:
    """``func(x, axis)`` over one axis after the other; axes that it drops stay with length 1.

    Examples
    --------
    >>> import numpy as np
    >>> apply_over_axes(np.sum, np.ones((2, 3)), (0, 1))
    array([[6.]])
    """
    x = asarray(a)
    for axis in int_tuple(axes):
        axis = canonicalize_axis(axis, x.ndim)
        out = asarray(func(x, axis))
        if out.ndim not in (x.ndim, x.ndim - 1):
            raise ValueError(
                f"apply_over_axes: the function turned shape {x.shape} into {out.shape}; it must"
                " keep the number of axes or drop one"
            )
        x = out if out.ndim == x.ndim else expand_dims(out, axis)
    return x


def _parse(signature: str) -> tuple[list[tuple[str, ...]], list[tuple[str, ...]]]:
    """The names of the core axes of operands and results: ``"(m,n),(n)->(m)"``."""
    text = signature.replace(" ", "")
    if not re.fullmatch(rf"{_LIST}->{_LIST}", text):
        raise ValueError(f"vectorize: {signature!r} is no signature like '(m,n),(n)->(m)'")
    sides = [re.findall(r"\(([^)]*)\)", side) for side in text.split("->")]
    ins, outs = [[tuple(filter(None, core.split(","))) for core in side] for side in sides]
    return ins, outs


def _sizes(xs: Sequence[Array], cores: Sequence[tuple[str, ...]]) -> dict[str, int]:
    """How long the core axes are, by name; a number must be the length itself."""
    sizes: dict[str, int] = {}
    for place, (x, core) in enumerate(zip(xs, cores)):
        if x.ndim < len(core):
            raise ValueError(
                f"vectorize: argument {place} of shape {x.shape} lacks core axes {core}"
            )
        for name, length in zip(core, x.shape[x.ndim - len(core) :]):
            known = int(name) if name.isdigit() else sizes.setdefault(name, length)
            if known != length:
                raise ValueError(
                    f"vectorize: core axis {name!r} is {known} long, and {length} in argument"
                    f" {place}"
                )
    return sizes


def vectorize(
    pyfunc: Callable[..., Any],
    *,
    excluded: Collection[int | str] = frozenset(),
    signature: str | None = None,
) -> Callable[..., Any]:
    """``pyfunc`` with NumPy's broadcasting, by `fnad.vmap`.

    Parameters
    ----------
    pyfunc : callable
        Function of scalars, or of arrays with the core axes that the signature names.
    excluded : set of int or str
        Positions and names of arguments that are passed on as they are; arguments by name
        always are.
    signature : str, optional
        Such as ``"(m,n),(n)->(m)"``; scalars by default.

    Returns
    -------
    callable
        The axes of its arguments before the core axes broadcast.

    Examples
    --------
    >>> import numpy as np
    >>> dot = vectorize(lambda x, y: (x * y).sum(), signature="(n),(n)->()")
    >>> dot(np.ones((2, 3)), np.array([1.0, 2.0, 3.0]))
    array([6., 6.])
    """
    ins, outs = _parse(signature) if signature is not None else (None, None)

    @functools.wraps(pyfunc)
    def vectorized(*args: Any, **kwargs: Any) -> Any:
        mapped = [i for i in range(len(args)) if i not in excluded]
        cores = [()] * len(mapped) if ins is None else ins
        if len(cores) != len(mapped):
            raise TypeError(
                f"vectorize: {signature!r} takes {len(cores)} arguments, got {len(mapped)}"
            )
        xs = [asarray(args[i]) for i in mapped]
        sizes = _sizes(xs, cores)

        def function(*values: Any) -> Any:
            full = list(args)
            for i, value in zip(mapped, values):
                full[i] = value
            result = pyfunc(*full, **kwargs)
            if outs is not None:
                _check_results(result, outs, sizes)
            return result

        fronts = [x.shape[: x.ndim - len(core)] for x, core in zip(xs, cores)]
        front = broadcast_shapes(fronts, "vectorize") if fronts else ()
        wide = [expand(x, front + x.shape[len(own) :]) for x, own in zip(xs, fronts)]
        for _ in front:
            function = vmap(function)
        return function(*wide)

    return vectorized


def _check_results(result: Any, outs: Sequence[tuple[str, ...]], sizes: dict[str, int]) -> None:
    results = result if isinstance(result, tuple) else (result,)
    if len(results) != len(outs):
        raise TypeError(f"vectorize: {len(outs)} results in the signature, got {len(results)}")
    known = dict(sizes)
    for out, core in zip(results, outs):
        shape = asarray(out).shape
        if len(shape) != len(core) or any(
            (int(d) if d.isdigit() else known.setdefault(d, n)) != n for d, n in zip(core, shape)
        ):
            raise ValueError(
                f"vectorize: a result of shape {shape} does not fit core axes {core} of lengths"
                f" {known}"
            )
