"""Derivatives against central differences, and forward mode against reverse mode."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
from ml_dtypes import finfo

import fnad
from fnad.core import tree
from fnad.core.types import float0, kind_of
from fnad.testing.compare import assert_allclose

_DEFAULT_TOLERANCE = {2: 1e-1, 4: 5e-3, 8: 1e-6}
_DEFAULT_EPS = {2: 3e-2, 4: 5e-3, 8: 1e-4}


def itemsize(values: Any) -> int:
    """Bytes of the least precise real component among the leaves."""
    dtypes = [np.asarray(v).dtype for v in tree.leaves(values)]
    return min((finfo(d).dtype.itemsize for d in dtypes if kind_of(d) in "fc"), default=8)


def _is_inexact(value: Any) -> bool:
    return kind_of(np.asarray(value).dtype) in "fc"


def random_tangent(rng: np.random.Generator, value: Any) -> Any:
    """A tangent for each leaf: normal numbers for floats, ``float0`` for all others."""

    def leaf(x: Any) -> Any:
        array = np.asarray(x)
        if kind_of(array.dtype) not in "fc":
            return np.zeros(array.shape, float0)
        direction = rng.standard_normal(array.shape)
        if array.dtype.kind == "c":
            direction = direction + 1j * rng.standard_normal(array.shape)
        return np.asarray(direction).astype(array.dtype)[()]

    return tree.map(leaf, value)


def inner_product(xs: Any, ys: Any) -> float:
    """Real part of the sum of products of all pairs of leaves; ``float0`` leaves count nothing."""
    total = 0.0
    for x, y in zip(tree.leaves(xs), tree.leaves(ys), strict=True):
        if _is_inexact(x) and _is_inexact(y):
            wide = np.result_type(np.asarray(x).dtype, np.float64)
            total += float(np.sum(np.asarray(x, wide) * np.asarray(y, wide)).real)
    return total


def numerical_jvp(
    f: Callable[..., Any], args: Sequence[Any], tangents: Sequence[Any], eps: float | None = None
) -> Any:
    """Directional derivative by central differences of fourth order.

    Parameters
    ----------
    f : callable
        Function of arrays or pytrees of them.
    args, tangents : sequences
        The point and the direction, one entry an argument.
    eps : float, optional
        Step; by default 1e-4 in double precision.

    Returns
    -------
    pytree like ``f(*args)``
        Integer leaves are zeros of dtype ``float0``.

    Examples
    --------
    >>> import numpy as np
    >>> round(float(numerical_jvp(np.sin, (0.0,), (1.0,))), 9)
    1.0
    """

    def moved(distance: float) -> list[Any]:
        def move(x: Any, t: Any) -> Any:
            return np.asarray(x + distance * t).astype(np.asarray(x).dtype)[()]

        shifted = tree.map(lambda x, t: move(x, t) if _is_inexact(x) else x, args, tangents)
        return tree.leaves(f(*shifted))

    args, tangents = tuple(args), tuple(tangents)
    outs, structure = tree.flatten(f(*args))
    step = _DEFAULT_EPS[itemsize((args, outs))] if eps is None else eps
    far_up, up, down, far_down = (moved(k * step) for k in (2, 1, -1, -2))
    derivatives: list[Any] = []
    for i, out in enumerate(outs):
        array = np.asarray(out)
        if not _is_inexact(out):
            derivatives.append(np.zeros(array.shape, float0))
            continue
        wide = np.result_type(array.dtype, np.float64)
        a, b, c, d = (np.asarray(values[i], wide) for values in (far_up, up, down, far_down))
        slope = (8 * (b - c) - (a - d)) / (12 * step)
        derivatives.append(np.asarray(slope).astype(array.dtype)[()])
    return tree.unflatten(structure, derivatives)


def _tolerances(values: Any, atol: float | None, rtol: float | None) -> tuple[float, float]:
    default = _DEFAULT_TOLERANCE[itemsize(values)]
    return default if atol is None else atol, default if rtol is None else rtol


def check_jvp(
    f: Callable[..., Any],
    f_jvp: Callable[[tuple[Any, ...], tuple[Any, ...]], Any],
    args: Sequence[Any],
    atol: float | None = None,
    rtol: float | None = None,
    eps: float | None = None,
    err_msg: str = "",
) -> None:
    """Check ``f_jvp(args, tangents)`` against ``f`` and its central differences.

    Raises
    ------
    AssertionError
        If the value or the tangent differs.

    Examples
    --------
    >>> import numpy as np, fnad
    >>> from functools import partial
    >>> check_jvp(np.sin, partial(fnad.jvp, np.sin), (1.0,))
    """
    args = tuple(args)
    tangents = random_tangent(np.random.default_rng(0), args)
    out, out_tangent = f_jvp(args, tangents)
    atol, rtol = _tolerances((args, out), atol, rtol)
    lead = f"{err_msg}: " if err_msg else ""
    message = f"{lead}the value that forward mode returns disagrees with the function"
    assert_allclose(out, f(*args), atol=atol, rtol=rtol, message=message)
    expected = numerical_jvp(f, args, tangents, eps)
    message = f"{lead}forward mode disagrees with central differences"
    assert_allclose(out_tangent, expected, atol=atol, rtol=rtol, message=message)


def check_vjp(
    f: Callable[..., Any],
    f_vjp: Callable[..., Any],
    args: Sequence[Any],
    atol: float | None = None,
    rtol: float | None = None,
    eps: float | None = None,
    err_msg: str = "",
) -> None:
    """Check ``f_vjp(*args)``, a pair (value, pullback), against central differences of ``f``.

    The pullback of a random cotangent must have the inner product with a random tangent that
    the cotangent has with the directional derivative.

    Raises
    ------
    AssertionError
        If the value or the inner products differ.

    Examples
    --------
    >>> import numpy as np, fnad
    >>> from functools import partial
    >>> check_vjp(np.sin, partial(fnad.vjp, np.sin), (1.0,))
    """
    args = tuple(args)
    rng = np.random.default_rng(0)
    tangents = random_tangent(rng, args)
    out, pullback = f_vjp(*args)
    atol, rtol = _tolerances((args, out), atol, rtol)
    lead = f"{err_msg}: " if err_msg else ""
    message = f"{lead}the value that reverse mode returns disagrees with the function"
    assert_allclose(out, f(*args), atol=atol, rtol=rtol, message=message)
    cotangent = random_tangent(rng, out)
    expected = inner_product(cotangent, numerical_jvp(f, args, tangents, eps))
    actual = inner_product(pullback(cotangent), tangents)
    message = f"{lead}reverse mode disagrees with central differences"
    assert_allclose(actual, expected, atol=atol, rtol=rtol, message=message)


def check_grads(
    f: Callable[..., Any],
    args: Sequence[Any],
    order: int = 2,
    modes: Sequence[str] = ("fwd", "rev"),
    atol: float | None = None,
    rtol: float | None = None,
    eps: float | None = None,
) -> None:
    """Check the derivatives of a function up to ``order`` against central differences.

    Parameters
    ----------
    f : callable
        Function of arrays or pytrees of them. Of complex numbers it need not be holomorphic: they
        are moved in directions of the plane, and derivatives are linear over the reals.
    args : sequence
        Where to check it; integer arguments are held fixed.
    order : int
        Highest order to check.
    modes : sequence of str
        ``"fwd"``, ``"rev"`` or both; all mixed compositions are checked.
    atol, rtol, eps : float, optional
        Tolerances and step; by default they follow from the dtype.

    Raises
    ------
    AssertionError
        If a derivative is wrong; the text says which composition of modes.

    Examples
    --------
    >>> import numpy as np
    >>> check_grads(lambda x, y: np.sin(x) * y, (1.0, 2.0), order=2)
    """
    unknown = set(modes) - {"fwd", "rev"}
    if unknown or not modes:
        raise ValueError(f"modes must be some of 'fwd' and 'rev', got {modes!r}")
    _check_order(f, tuple(args), order, tuple(modes), (atol, rtol, eps), "")


def _check_order(
    f: Callable[..., Any],
    args: tuple[Any, ...],
    order: int,
    modes: tuple[str, ...],
    limits: tuple[float | None, float | None, float | None],
    path: str,
) -> None:
    if order == 0:
        return
    rng = np.random.default_rng(order)
    if "fwd" in modes:
        here = f"jvp{path}"
        check_jvp(f, partial(fnad.jvp, f), args, *limits, err_msg=here)
        tangents = random_tangent(rng, args)

        def pushed(*primals: Any) -> Any:
            return _inexact_leaves(fnad.jvp(f, primals, tangents)[1])

        _check_order(pushed, args, order - 1, modes, limits, f" of {here}")
    if "rev" in modes:
        here = f"vjp{path}"
        check_vjp(f, partial(fnad.vjp, f), args, *limits, err_msg=here)
        cotangent = random_tangent(rng, f(*args))

        def pulled(*primals: Any) -> Any:
            return _inexact_leaves(fnad.vjp(f, *primals)[1](cotangent))

        _check_order(pulled, args, order - 1, modes, limits, f" of {here}")


def _inexact_leaves(values: Any) -> list[Any]:
    """The leaves that have derivatives of their own (not the ``float0`` ones)."""
    return [leaf for leaf in tree.leaves(values) if leaf.dtype != float0]
