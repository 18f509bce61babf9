"""Sliding windows, their transpose, and reductions over windows (pooling)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product
from operator import index as as_int
from typing import Any

import numpy as np

from fnad.core import tree
from fnad.core.primitive import Primitive, remember
from fnad.core.tracer import Tracer
from fnad.core.types import ShapedArray, aval_of, computing_dtype, highest, lowest
from fnad.primitives.arithmetic import add, mul
from fnad.primitives.arithmetic import max as maximum
from fnad.primitives.arithmetic import min as minimum
from fnad.primitives.associative import reduce
from fnad.primitives.dependencies import moves, numbers, sums
from fnad.primitives.logic import convert_element_type
from fnad.primitives.ordinary_zeros import ordinary_zeros
from fnad.primitives.reductions import reduce_max, reduce_min, reduce_prod, reduce_sum
from fnad.primitives.shape import broadcast_in_dim, int_tuple, moveaxis, reshape
from fnad.primitives.slicing import pad, slice_in_dim
from fnad.primitives.strong_products import sums_elements


def dilated(size: int, dilation: int) -> int:
    """The length of ``size`` elements with ``dilation - 1`` holes between neighbours."""
    return (size - 1) * dilation + 1 if size else 0


def window_count(size: int, window: int, stride: int, dilation: int) -> int:
    """How many windows fit along an axis."""
    return max(0, (size - dilated(window, dilation)) // stride + 1)


def _counts(sizes: Sequence[int], *options: Sequence[int]) -> tuple[int, ...]:
    return tuple(window_count(*axis) for axis in zip(sizes, *options, strict=True))


def _check_windows(name: str, x: Any, *options: Sequence[int]) -> None:
    if len({len(option) for option in options}) > 1 or len(options[0]) > x.ndim:
        raise ValueError(
            f"{name}: window_dimensions {options[0]}, window_strides {options[1]} and"
            f" window_dilation {options[2]} must have equal lengths, at most the rank of the"
            f" operand of shape {x.shape}"
        )
    if any(n < 1 for option in options for n in option):
        raise ValueError(
            f"{name}: window_dimensions {options[0]}, window_strides {options[1]} and"
            f" window_dilation {options[2]} must be positive"
        )


# -- windows -------------------------------------------------------------------------------

windows_p = Primitive(
    "windows",
    "Sliding windows over the trailing axes, as extra trailing axes:"
    " out[..., t, k] = x[..., t * stride + k * dilation]. The result has shape (leading axes,"
    " number of windows an axis, window_dimensions). Any dtype.",
)


@windows_p.type_rule
@remember
def _(x, *, window_dimensions, window_strides, window_dilation):
    _check_windows("windows", x, window_dimensions, window_strides, window_dilation)
    lead = x.ndim - len(window_dimensions)
    counts = _counts(x.shape[lead:], window_dimensions, window_strides, window_dilation)
    return ShapedArray((*x.shape[:lead], *counts, *window_dimensions), x.dtype)


@windows_p.evaluate
def _(x, *, window_dimensions, window_strides, window_dilation):
    x = np.asarray(x)
    lead = x.ndim - len(window_dimensions)
    counts = _counts(x.shape[lead:], window_dimensions, window_strides, window_dilation)
    steps = x.strides[lead:]
    view = np.lib.stride_tricks.as_strided(
        x,
        (*x.shape[:lead], *counts, *window_dimensions),
        (
            *x.strides[:lead],
            *(step * n for step, n in zip(steps, window_strides)),
            *(step * n for step, n in zip(steps, window_dilation)),
        ),
        writeable=False,
    )
    return view.copy()


windows_p.linear()
moves(windows_p)


@windows_p.transpose
def _(ct, x, *, window_dimensions, window_strides, window_dilation):
    shape = x.aval.shape[x.aval.ndim - len(window_dimensions) :]
    return [fold(ct, shape, window_strides, window_dilation)]


sums_elements(windows_p)


@windows_p.batch
def _(args, batched, axis, **params):
    return windows_p.bind(args[0], **params), True


windows_p.acts_on_parts()


@windows_p.lower
def _(p, x, *, window_dimensions, window_strides, window_dilation):
    num = len(window_dimensions)
    lead = len(x.shape) - num
    counts = _counts(x.shape[lead:], window_dimensions, window_strides, window_dilation)

    def element(index):
        t, k = index[lead : lead + num], index[lead + num :]
        inside = (ti * s + ki * d for ti, ki, s, d in zip(t, k, window_strides, window_dilation))
        return x.at((*index[:lead], *inside))

    return p.compute((*x.shape[:lead], *counts, *window_dimensions), x.dtype, element)


def windows(
    operand: Any,
    window_dimensions: Sequence[int],
    window_strides: Sequence[int] | None = None,
    window_dilation: Sequence[int] | None = None,
) -> Any:
    """Sliding windows over the trailing ``len(window_dimensions)`` axes, as extra trailing axes.

    Examples
    --------
    >>> windows(np.arange(5), (3,), (2,))
    array([[0, 1, 2],
           [2, 3, 4]])
    """
    dimensions = int_tuple(window_dimensions)
    ones = (1,) * len(dimensions)
    return windows_p.bind(
        operand,
        window_dimensions=dimensions,
        window_strides=ones if window_strides is None else int_tuple(window_strides),
        window_dilation=ones if window_dilation is None else int_tuple(window_dilation),
    )


# -- fold ----------------------------------------------------------------------------------

fold_p = Primitive(
    "fold",
    "Sum windows back to where they came from, the transpose of windows: ``shape`` is that of"
    " the trailing axes of the result. Numeric dtypes.",
)


def _split_fold(shape: Sequence[int], num: int) -> tuple[tuple[int, ...], ...]:
    """Split the shape of an array of windows into leading axes, counts and window sizes."""
    lead = len(shape) - 2 * num
    return tuple(shape[:lead]), tuple(shape[lead : lead + num]), tuple(shape[lead + num :])


@fold_p.type_rule
@remember
def _(y, *, shape, window_strides, window_dilation):
    if y.ndim < 2 * len(shape):
        raise ValueError(
            f"fold: an operand of shape {y.shape} does not end with one count and one size of"
            f" windows for each axis of {shape}"
        )
    lead, counts, sizes = _split_fold(y.shape, len(shape))
    _check_windows("fold", y, sizes, window_strides, window_dilation)
    if counts != _counts(shape, sizes, window_strides, window_dilation):
        raise ValueError(
            f"fold: {counts} windows of {sizes} with strides {window_strides} and dilation"
            f" {window_dilation} are not those of an array whose trailing axes are {shape}"
        )
    return ShapedArray((*lead, *shape), y.dtype)


@fold_p.evaluate
def _(y, *, shape, window_strides, window_dilation):
    lead, counts, sizes = _split_fold(y.shape, len(shape))
    wide = computing_dtype(y.dtype)
    out = np.zeros((*lead, *shape), wide)
    axes = list(zip(counts, window_strides, window_dilation, strict=True))
    if 0 in counts:
        return out.astype(y.dtype)
    for k in product(*map(range, sizes)):
        target = tuple(slice(ki * d, ki * d + (n - 1) * s + 1, s) for ki, (n, s, d) in zip(k, axes))
        out[(..., *target)] += y[(..., *k)]
    return out.astype(y.dtype, copy=False)


fold_p.linear()


@fold_p.dependencies
def _(y, *, shape, window_strides, window_dilation):
    lead, _, sizes = _split_fold(y.aval.shape, len(shape))
    whole = numbers((*lead, *shape))
    params = {"window_strides": window_strides, "window_dilation": window_dilation}
    target = windows_p.rule("evaluate")(whole, window_dimensions=sizes, **params)
    return sums(y.pattern, target, whole.size)


@fold_p.transpose
def _(ct, y, *, shape, window_strides, window_dilation):
    sizes = _split_fold(y.aval.shape, len(shape))[2]
    return [windows(ct, sizes, window_strides, window_dilation)]


sums_elements(fold_p)


@fold_p.batch
def _(args, batched, axis, **params):
    return fold_p.bind(args[0], **params), True


fold_p.acts_on_parts()


@fold_p.lower
def _(p, y, *, shape, window_strides, window_dilation):
    b, num = p.b, len(shape)
    lead, counts, sizes = _split_fold(y.shape, num)
    wide = computing_dtype(y.dtype)
    axes = list(zip(counts, sizes, window_strides, window_dilation, strict=True))
    # Along an axis where windows do not overlap, each element lies in at most one of them.
    overlapping = [i for i, (_, k, s, d) in enumerate(axes) if d > 1 or s < k]

    def constant(value):
        return b.constant(value, np.int64)

    def element(index, rindex):
        chosen = dict(zip(overlapping, rindex))
        t, k, checks = [], [], []
        for i, (count, size, stride, dilation) in enumerate(axes):
            at = index[len(lead) + i]
            if i in chosen:
                offset = at - chosen[i] * dilation
                checks.append(offset >= 0)
                offset = b.maximum(offset, constant(0))
                window = b.divide(offset, constant(stride)) if stride > 1 else offset
                if stride > 1:
                    checks.append(b.equal(window * stride, offset))
                inner = chosen[i]
            else:
                window = b.divide(at, constant(stride)) if stride > 1 else at
                inner = at - window * stride
                if stride > size:
                    checks.append(inner < size)
                    inner = b.minimum(inner, constant(size - 1))
            checks.append(window < count)
            # Both sides of the choice below may be computed: the index stays inside.
            t.append(b.minimum(window, constant(count - 1)))
            k.append(inner)
        value = b.convert(y.at((*index[: len(lead)], *t, *k)), wide)
        for check in checks:
            value = b.where(check, value, b.constant(0, wide))
        return value

    out_shape = (*lead, *shape)
    if 0 in counts:
        return p.compute(out_shape, y.dtype, lambda index: b.constant(0, y.dtype))
    if not overlapping:
        return p.compute(out_shape, y.dtype, lambda index: b.convert(element(index, ()), y.dtype))
    extents = tuple(sizes[i] for i in overlapping)
    out = p.reduce(out_shape, wide, extents, "add", element)
    if wide == y.dtype:
        return out
    return p.compute(out_shape, y.dtype, lambda index: b.convert(out.at(index), y.dtype))


def fold(
    operand: Any,
    shape: Sequence[int],
    window_strides: Sequence[int],
    window_dilation: Sequence[int],
) -> Any:
    """Sum windows back to where they came from; the transpose of `windows`.

    Examples
    --------
    >>> fold(np.array([[1, 2, 3], [10, 20, 30]]), (5,), (2,), (1,))
    array([ 1,  2, 13, 20, 30])
    """
    return fold_p.bind(
        operand,
        shape=int_tuple(shape),
        window_strides=int_tuple(window_strides),
        window_dilation=int_tuple(window_dilation),
    )


# -- reductions over windows ---------------------------------------------------------------

_FUNCTIONS = {add: "add", maximum: "max", minimum: "min", mul: "mul"}
# Pooling chooses by the values, between products: as an activation (`ordinary_zeros`).
_REDUCTIONS: dict[str, tuple[Callable[..., Any], Callable[..., Any]]] = {
    "add": (reduce_sum, add),
    "max": (lambda x, axes: reduce_max(ordinary_zeros(x), axes), maximum),
    "min": (lambda x, axes: reduce_min(ordinary_zeros(x), axes), minimum),
    "mul": (reduce_prod, mul),
}


def resolve_padding(
    padding: str | Sequence[tuple[int, int]],
    sizes: Sequence[int],
    window: Sequence[int],
    strides: Sequence[int],
) -> tuple[tuple[int, int], ...]:
    """Turn ``"SAME"``, ``"SAME_LOWER"`` or ``"VALID"`` into pairs (low, high), one an axis.

    ``sizes`` and ``window`` are those after dilation. "SAME" makes ``ceil(size / stride)``
    windows and puts the odd element of padding at the high end, "SAME_LOWER" at the low end.
    """
    if not isinstance(padding, str):
        pairs = tuple((as_int(lo), as_int(hi)) for lo, hi in padding)
        if len(pairs) != len(sizes):
            raise ValueError(
                f"padding {padding} must have one (low, high) for each of {len(sizes)} axes"
            )
        return pairs
    kind = padding.upper()
    if kind == "VALID":
        return ((0, 0),) * len(sizes)
    if kind not in ("SAME", "SAME_LOWER"):
        raise ValueError(f"padding must be 'SAME', 'SAME_LOWER', 'VALID' or pairs, got {padding!r}")
    if any(stride < 1 for stride in strides):
        raise ValueError(f"padding {padding!r}: window_strides must be positive, got {strides}")
    same: list[tuple[int, int]] = []
    for size, width, stride in zip(sizes, window, strides, strict=True):
        total = max(0, (-(-size // stride) - 1) * stride + width - size)
        low = total // 2 if kind == "SAME" else total - total // 2
        same.append((low, total - low))
    return tuple(same)


def _tiles(x: Any, window: Sequence[int]) -> tuple[Any, tuple[int, ...]]:
    """Windows that lie side by side, and their axes: just a reshape, the axes keep their order.

    ``x`` of shape (2 * n + 1, c) and ``window`` (2, 1) give shape (n, 2, c) and axes (1,).
    """
    counts = [n // k for n, k in zip(aval_of(x).shape, window, strict=True)]
    for axis, (n, k) in enumerate(zip(counts, window)):
        if n * k != x.shape[axis]:
            x = slice_in_dim(x, 0, n * k, axis=axis)
    shape: list[int] = []
    axes: list[int] = []
    for n, k in zip(counts, window):
        shape.append(n)
        if k > 1:
            axes.append(len(shape))
            shape.append(k)
    return reshape(x, shape), tuple(axes)


def _window_reduction(
    computation: Any, init_value: Any, dtype: np.dtype[Any]
) -> tuple[Callable[..., Any], Any]:
    """What combines the elements of windows, a function of an array and axes, and what pads."""
    name = computation if isinstance(computation, str) else _FUNCTIONS.get(computation)
    if name is None:
        return lambda x, axes: reduce(x, init_value, computation, axes), init_value
    if name not in _REDUCTIONS:
        raise ValueError(
            f"reduce_window: computation must be one of {list(_REDUCTIONS)} or a function, got"
            f" {name!r}"
        )
    identity = _identity(name, dtype)
    total, function = _REDUCTIONS[name]
    if not isinstance(init_value, Tracer) and np.asarray(init_value, dtype) == identity:
        return total, identity

    def from_init(x: Any, axes: Sequence[int]) -> Any:
        totals = total(x, axes)
        shape = aval_of(totals).shape
        return function(
            totals, broadcast_in_dim(convert_element_type(init_value, dtype), shape, ())
        )

    return from_init, identity


def _identity(name: str, dtype: np.dtype[Any]) -> Any:
    """What leaves other numbers as they are: 0 for "add", the least one for "max" ..."""
    if name in ("add", "mul"):
        return dtype.type(name == "mul")
    return (lowest if name == "max" else highest)(dtype)


def reduce_window(
    operand: Any,
    init_value: Any,
    computation: Any,
    window_dimensions: Sequence[int],
    window_strides: Sequence[int] | None = None,
    padding: str | Sequence[tuple[int, int]] = "VALID",
    base_dilation: Sequence[int] | None = None,
    window_dilation: Sequence[int] | None = None,
) -> Any:
    """Combine ``init_value`` and the elements of each window; padding adds none.

    Parameters
    ----------
    operand : array, or pytree of arrays
        Several arrays must have one shape.
    init_value : scalar, or pytree of scalars
        Where the combination begins in every window. For a function of your own it must be its
        identity (as 0 is for "add").
    computation : {"add", "max", "min", "mul"} or callable
        The function of `fnad.lax` of that name, or any associative function of two scalars, or of
        two pytrees of scalars.
    window_dimensions : sequence of int
        One an axis of the operand.
    window_strides : sequence of int, optional
        One an axis of the operand; by default 1.
    padding : {"SAME", "VALID"} or sequence of (low, high)
        "SAME" pads as much as it would without ``base_dilation``, as in JAX.
    base_dilation, window_dilation : sequence of int, optional

    Examples
    --------
    >>> reduce_window(np.array([1.0, 5.0, 2.0, 3.0]), -np.inf, "max", (2,), (2,), "VALID")
    array([5., 3.])
    """
    leaves, structure = tree.flatten(operand)
    shape, dtype = aval_of(leaves[0]).shape, aval_of(leaves[0]).dtype
    if any(aval_of(x).shape != shape for x in leaves):
        shapes = ", ".join(str(aval_of(x).shape) for x in leaves)
        raise ValueError(f"reduce_window: operands must have one shape, got {shapes}")
    ones = (1,) * len(shape)
    window = int_tuple(window_dimensions)
    strides = ones if window_strides is None else int_tuple(window_strides)
    base = ones if base_dilation is None else int_tuple(base_dilation)
    holes = ones if window_dilation is None else int_tuple(window_dilation)
    if not len(shape) == len(window) == len(strides) == len(base) == len(holes):
        raise ValueError(
            f"reduce_window: window_dimensions {window}, window_strides {strides} and the"
            f" dilations must have one entry for each axis of the operand of shape {shape}"
        )
    spans = [dilated(n, d) for n, d in zip(window, holes)]
    pairs = resolve_padding(padding, shape, spans, strides)
    config = [(lo, hi, d - 1) for (lo, hi), d in zip(pairs, base)]
    if len(leaves) == 1 and leaves[0] is operand:
        combine, padding_value = _window_reduction(computation, init_value, dtype)
        views, axes, back = _views(pad(operand, padding_value, config), window, strides, holes)
        return _moved(combine(views, axes), back)
    inits = tree.leaves(init_value)
    if len(inits) != len(leaves):
        raise TypeError(f"reduce_window: {len(inits)} init_values for {len(leaves)} operands")
    found = [
        _views(pad(x, value, config), window, strides, holes) for x, value in zip(leaves, inits)
    ]
    _, axes, back = found[0]
    every = tree.unflatten(structure, [views for views, _, _ in found])
    return tree.map(lambda y: _moved(y, back), reduce(every, init_value, computation, axes))


Places = tuple[list[int], list[int]]


def _views(
    x: Any, window: tuple[int, ...], strides: tuple[int, ...], holes: tuple[int, ...]
) -> tuple[Any, tuple[int, ...], Places]:
    """The windows of an array, the axes of their elements, and which axes to move back where."""
    ndim = len(window)
    active = [i for i in range(ndim) if (window[i], strides[i]) != (1, 1)]
    if not active:
        return x, (), ([], [])
    if all((window[i], holes[i]) == (strides[i], 1) for i in active):
        return *_tiles(x, window), ([], [])
    trailing = list(range(ndim - len(active), ndim))
    views = windows(
        moveaxis(x, active, trailing),
        [window[i] for i in active],
        [strides[i] for i in active],
        [holes[i] for i in active],
    )
    return views, tuple(range(ndim, ndim + len(active))), (trailing, active)


def _moved(x: Any, places: Places) -> Any:
    return moveaxis(x, *places) if places[0] else x
