"""Changing shapes, splitting, repeating."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import Any

import numpy as np

from fnad.core.errors import TracerIntegerConversionError
from fnad.core.sizes import Size, as_size
from fnad.core.tracer import Tracer
from fnad.numpy import ufuncs
from fnad.numpy.creation import asarray
from fnad.numpy.operands import (
    Array,
    as_operand,
    broadcast_shapes,
    distinct_axes,
    expand,
    normalize_axes,
    own,
    shape_of,
)
from fnad.primitives import shape as lax
from fnad.primitives import slicing
from fnad.primitives.reversal import rev


def reshape(
    a: Any, shape: int | Sequence[int], order: str = "C", *, copy: bool | None = None
) -> Array:
    """The same elements in row-major order (``order="C"``) under another shape.

    Parameters
    ----------
    a : array_like
        Any shape.
    shape : int or sequence of int
        One entry may be -1: it is inferred.
    order : "C" or "F"
        Whether the last or the first index runs fastest.
    copy : bool, optional
        Whether the result is to have memory of its own; False is an error where it must.

    Examples
    --------
    >>> reshape(np.arange(4), (2, -1))
    array([[0, 1],
           [2, 3]])
    """
    x = asarray(a)
    if copy is not None and isinstance(x, np.ndarray):
        plain: Any = np.reshape  # its overloads cannot take an order that is not literal
        return plain(x, lax.int_tuple(shape), order=order, copy=copy)
    sizes = _infer(lax.int_tuple(shape), x.size, x.shape)
    if order == "F":
        return transpose(lax.reshape(transpose(x), sizes[::-1]))
    if order not in ("C", "A", "K"):
        raise ValueError(f"reshape: order must be 'C' or 'F', got {order!r}")
    return lax.reshape(x, sizes)


def _infer(sizes: tuple[int, ...], total: int, shape: tuple[int, ...]) -> tuple[int, ...]:
    if sizes.count(-1) > 1:
        raise ValueError("can only specify one unknown dimension")
    known = math.prod(n for n in sizes if n != -1)
    if -1 in sizes and known and total % known == 0:
        sizes = tuple(total // known if n == -1 else n for n in sizes)
    if math.prod(sizes) != total or any(n < 0 for n in sizes):
        raise ValueError(f"cannot reshape array of shape {shape} into shape {sizes}")
    return sizes


def ravel(a: Any, order: str = "C") -> Array:
    """All elements along one axis.

    Examples
    --------
    >>> ravel(np.ones((2, 1)))
    array([1., 1.])
    """
    return reshape(a, (-1,) if math.prod(shape_of(asarray(a))) else (0,), order)


def transpose(a: Any, axes: int | Sequence[int] | None = None) -> Array:
    """Permute axes; reverse them by default.

    Examples
    --------
    >>> transpose(np.ones((2, 3))).shape
    (3, 2)
    """
    x = asarray(a)
    order = range(x.ndim)[::-1] if axes is None else normalize_axes(axes, x.ndim)
    if len(order) != x.ndim:
        raise ValueError(f"axes {tuple(order)} don't match an array of shape {x.shape}")
    return lax.transpose(x, tuple(order))


permute_dims = transpose


def matrix_transpose(x: Any, /) -> Array:
    """Swap the last two axes.

    Examples
    --------
    >>> matrix_transpose(np.ones((4, 2, 3))).shape
    (4, 3, 2)
    """
    return swapaxes(x, -1, -2)


def swapaxes(a: Any, axis1: int, axis2: int) -> Array:
    """Exchange two axes.

    Examples
    --------
    >>> swapaxes(np.ones((2, 3, 4)), 0, 2).shape
    (4, 3, 2)
    """
    x = asarray(a)
    i, j = lax.canonicalize_axis(axis1, x.ndim), lax.canonicalize_axis(axis2, x.ndim)
    order = list(range(x.ndim))
    order[i], order[j] = order[j], order[i]
    return lax.transpose(x, tuple(order))


def moveaxis(a: Any, source: Any, destination: Any) -> Array:
    """Move axes to new places, the others keeping their order.

    Examples
    --------
    >>> moveaxis(np.ones((2, 3, 4)), 0, -1).shape
    (3, 4, 2)
    """
    x = asarray(a)
    sources, targets = distinct_axes(source, x.ndim), distinct_axes(destination, x.ndim)
    if len(sources) != len(targets):
        raise ValueError(
            "`source` and `destination` arguments must have the same number of elements"
        )
    return lax.moveaxis(x, sources, targets)


def rollaxis(a: Any, axis: int, start: int = 0) -> Array:
    """Move one axis to the place before ``start``.

    Examples
    --------
    >>> rollaxis(np.ones((2, 3, 4)), 2).shape
    (4, 2, 3)
    """
    x = asarray(a)
    axis = lax.canonicalize_axis(axis, x.ndim)
    start = start + x.ndim if start < 0 else start
    return lax.moveaxis(x, axis, start - 1 if axis < start else start)


def expand_dims(a: Any, axis: int | Sequence[int]) -> Array:
    """Insert axes of length 1.

    Examples
    --------
    >>> expand_dims(np.ones(2), 0).shape
    (1, 2)
    """
    x = asarray(a)
    count = len(axis) if isinstance(axis, (tuple, list)) else 1
    return lax.expand_dims(x, distinct_axes(axis, x.ndim + count))


def squeeze(a: Any, axis: Any = None) -> Array:
    """Drop axes of length 1.

    Examples
    --------
    >>> squeeze(np.ones((1, 2, 1))).shape
    (2,)
    """
    x = asarray(a)
    if axis is None:
        axis = tuple(i for i, n in enumerate(x.shape) if n == 1)
    return lax.squeeze(x, normalize_axes(axis, x.ndim))


def broadcast_to(array: Any, shape: int | Sequence[int]) -> Array:
    """Repeat an array along new and length-1 axes.

    Examples
    --------
    >>> broadcast_to(np.array([1, 2]), (2, 2))
    array([[1, 2],
           [1, 2]])
    """
    return expand(asarray(array), lax.int_tuple(shape))


def broadcast_arrays(*args: Any) -> tuple[Array, ...]:
    """Broadcast arrays to their common shape.

    Examples
    --------
    >>> [x.shape for x in broadcast_arrays(np.ones(2), np.ones((3, 1)))]
    [(3, 2), (3, 2)]
    """
    xs = [asarray(a) for a in args]
    if not xs:
        return ()
    shape = broadcast_shapes([x.shape for x in xs], "broadcast_arrays")
    return tuple(expand(x, shape) for x in xs)


# -- splitting and repeating --------------------------------------------------------------


def array_split(ary: Any, indices_or_sections: Any, axis: int = 0) -> list[Array]:
    """Cut an array at indices, or into nearly equal parts.

    Examples
    --------
    >>> array_split(np.arange(5), 2)
    [array([0, 1, 2]), array([3, 4])]
    """
    x = asarray(ary)
    axis = lax.canonicalize_axis(axis, x.ndim)
    length = x.shape[axis]
    if np.ndim(indices_or_sections) == 0:
        sections = operator.index(indices_or_sections)
        if sections <= 0:
            raise ValueError(f"array_split: needs at least one section, got {sections}")
        # The first sections are longer by one where there is a remainder.
        counts = ((length + sections - 1 - i) // sections for i in range(sections))
        ends = list(accumulate(counts, initial=0))
    else:
        ends = [0, *map(as_size, indices_or_sections), length]
    return [slicing.slice_in_dim(x, lo, hi, 1, axis) for lo, hi in pairwise(ends)]


def split(ary: Any, indices_or_sections: Any, axis: int = 0) -> list[Array]:
    """Cut an array at indices, or into equal parts.

    Examples
    --------
    >>> split(np.arange(4), 2)
    [array([0, 1]), array([2, 3])]
    """
    x = asarray(ary)
    length = x.shape[lax.canonicalize_axis(axis, x.ndim)]
    if np.ndim(indices_or_sections) == 0:
        sections = operator.index(indices_or_sections)
        if sections > 0 and length % sections:
            raise ValueError(
                f"split: an axis of length {length} cannot be cut into {sections} equal parts; see"
                " array_split"
            )
    return array_split(x, indices_or_sections, axis)


def vsplit(ary: Any, indices_or_sections: Any) -> list[Array]:
    """Cut along the first axis.

    Examples
    --------
    >>> [x.shape for x in vsplit(np.ones((4, 2)), 2)]
    [(2, 2), (2, 2)]
    """
    return split(ary, indices_or_sections, 0)


def dsplit(ary: Any, indices_or_sections: Any) -> list[Array]:
    """Cut along the third axis.

    Examples
    --------
    >>> [x.shape for x in dsplit(np.ones((1, 2, 4)), 2)]
    [(1, 2, 2), (1, 2, 2)]
    """
    if len(shape_of(asarray(ary))) < 3:
        raise ValueError("dsplit only works on arrays of 3 or more dimensions")
    return split(ary, indices_or_sections, 2)


def hsplit(ary: Any, indices_or_sections: Any) -> list[Array]:
    """Cut along the second axis (the first of vectors).

    Examples
    --------
    >>> [x.shape for x in hsplit(np.ones((4, 2)), 2)]
    [(4, 1), (4, 1)]
    """
    return split(ary, indices_or_sections, 0 if len(shape_of(asarray(ary))) == 1 else 1)


def repeat(
    a: Any,
    repeats: Any,
    axis: int | None = None,
    *,
    total_repeat_length: int | None = None,
) -> Array:
    """Repeat each element.

    Parameters
    ----------
    a : array_like
        Any shape.
    repeats : int or array_like of int
        How often, for all elements along the axis or for each.
    axis : int, optional
        Which axis; that of the flattened array by default.
    total_repeat_length : int, optional
        How long the axis of the result is, which ``repeats`` decide otherwise; needed where they
        are traced. What is too much is cut off, and the last element fills what lacks.

    Examples
    --------
    >>> repeat(np.array([1, 2]), 2)
    array([1, 1, 2, 2])
    >>> repeat(np.array([1, 2]), np.array([1, 2]), total_repeat_length=5)
    array([1, 2, 2, 2, 2])
    """
    from fnad.numpy.indexing import take

    x = asarray(a)
    if axis is None or x.ndim == 0:
        x, axis = ravel(x), axis or 0
    axis = lax.canonicalize_axis(axis, x.ndim)
    if total_repeat_length is not None:
        index = _repeated(x.shape[axis], asarray(repeats), operator.index(total_repeat_length))
        return take(x, index, axis)
    if isinstance(repeats, Tracer):
        repeats = _known_repeats(repeats)
    if np.ndim(repeats) == 0:
        count, shape = as_size(repeats), x.shape
        wide = (*shape[: axis + 1], count, *shape[axis + 1 :])
        dims = tuple(i for i in range(len(wide)) if i != axis + 1)
        out = lax.broadcast_in_dim(x, wide, dims)
        return lax.reshape(out, (*shape[:axis], shape[axis] * count, *shape[axis + 1 :]))
    return take(x, np.repeat(np.arange(x.shape[axis]), repeats), axis)


def _known_repeats(repeats: Tracer) -> Any:
    try:
        return repeats.concretize(TracerIntegerConversionError)
    except TracerIntegerConversionError as error:
        error.add_note(
            "repeat: traced repeats fix the length of the result; say how long it is:"
            " fnp.repeat(x, repeats, total_repeat_length=n)"
        )
        raise


def _repeated(length: int, repeats: Array, total: int) -> Array:
    """Which element stands at each of ``total`` places."""
    from fnad.numpy.reductions import cumsum
    from fnad.numpy.sorting import searchsorted

    if repeats.dtype.kind not in "biu":
        raise TypeError(f"repeat: repeats must be integers, got {repeats.dtype}")
    if not length and total:
        raise ValueError("repeat: an empty axis has no element to repeat")
    ends = cumsum(expand(repeats, (length,)))
    index = searchsorted(ends, lax.iota(ends.dtype, total), "right")
    return ufuncs.minimum(index, max(length - 1, 0))


def tile(A: Any, reps: int | Sequence[int]) -> Array:  # noqa: N803
    """Repeat the whole array ``reps`` times along each axis.

    Examples
    --------
    >>> tile(np.array([1, 2]), 2)
    array([1, 2, 1, 2])
    """
    x, counts = asarray(A), lax.int_tuple(reps)
    ndim = max(x.ndim, len(counts))
    counts = (1,) * (ndim - len(counts)) + counts
    shape = (1,) * (ndim - x.ndim) + x.shape
    wide = tuple(n for pair in zip(counts, shape) for n in pair)
    out = lax.broadcast_in_dim(lax.reshape(x, shape), wide, tuple(range(1, 2 * ndim, 2)))
    return lax.reshape(out, tuple(c * n for c, n in zip(counts, shape)))


def flip(m: Any, axis: Any = None) -> Array:
    """Reverse the order of elements along axes (all by default).

    Examples
    --------
    >>> flip(np.array([1, 2]))
    array([2, 1])
    """
    x = asarray(m)
    return rev(x, normalize_axes(axis, x.ndim))


def fliplr(m: Any) -> Array:
    """Reverse the second axis.

    Examples
    --------
    >>> fliplr(np.array([[1, 2]]))
    array([[2, 1]])
    """
    return flip(m, 1)


def flipud(m: Any) -> Array:
    """Reverse the first axis.

    Examples
    --------
    >>> flipud(np.array([1, 2]))
    array([2, 1])
    """
    return flip(m, 0)


def rot90(m: Any, k: int = 1, axes: tuple[int, int] = (0, 1)) -> Array:
    """Rotate by quarter turns in the plane of two axes.

    Examples
    --------
    >>> rot90(np.array([[1, 2]]))
    array([[2],
           [1]])
    """
    x = asarray(m)
    first, second = normalize_axes(tuple(axes), x.ndim)
    k %= 4
    if k == 0:
        return x
    if k == 2:
        return flip(x, (first, second))
    if k == 1:
        return swapaxes(flip(x, second), first, second)
    return flip(swapaxes(x, first, second), second)


def _shifts(shift: Any) -> tuple[Any, ...]:
    if isinstance(shift, (tuple, list)):
        return tuple(shift)
    shape = shape_of(as_operand(shift))
    if len(shape) > 1:
        raise ValueError(f"roll: shift must be a number or have one axis, got shape {shape}")
    return tuple(shift[i] for i in range(shape[0])) if shape else (shift,)


def roll(a: Any, shift: Any, axis: Any = None) -> Array:
    """Rotate elements along axes; what leaves at the end comes in at the start.

    ``shift`` and ``axis`` are numbers, or have one entry each for every turn.

    Examples
    --------
    >>> roll(np.arange(3), 1)
    array([2, 0, 1])
    """
    from fnad.numpy.indexing import take
    from fnad.numpy.ufuncs import remainder, subtract

    x = asarray(a)
    if axis is None:
        return reshape(roll(ravel(x), shift, 0), x.shape)
    axes = tuple(axis) if isinstance(axis, (tuple, list)) else (axis,)
    shifts = _shifts(shift)
    if len(shifts) == 1:
        shifts *= len(axes)
    elif len(axes) == 1:
        axes *= len(shifts)
    if len(shifts) != len(axes):
        raise ValueError(f"roll: {len(shifts)} shifts {shift} for {len(axes)} axes {axis}")
    for amount, ax in zip(shifts, axes):
        ax = lax.canonicalize_axis(ax, x.ndim)
        length = x.shape[ax]
        if length == 0:
            continue
        if isinstance(amount, Tracer) or type(length) is Size:
            moved = remainder(subtract(lax.iota(np.int64, length), amount), length)
            x = take(x, moved, ax)
            continue
        cut = -operator.index(amount) % length
        pieces = [
            slicing.slice_in_dim(x, cut, length, 1, ax),
            slicing.slice_in_dim(x, 0, cut, 1, ax),
        ]
        x = slicing.concatenate(pieces, ax) if cut else x
    return own(x, a)
