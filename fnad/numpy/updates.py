"""Functional updates: ``fnp.at(x)[index].set(values)`` and its kin."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fnad.core.dtypes import result_type
from fnad.core.tracer import Tracer
from fnad.numpy import ufuncs
from fnad.numpy.creation import asarray
from fnad.numpy.index_parser import IndexPlan, parse_index
from fnad.numpy.indexing import block_slices, mode_named, normalized, read, slice_bounds
from fnad.numpy.masks import (
    MaskedRef,
    has_known_mask,
    has_traced_mask,
    is_masked,
    with_known_masks,
    without_scalars,
)
from fnad.numpy.operands import Array, as_operand, convert, expand, shape_of
from fnad.primitives import shape as lax
from fnad.primitives import slicing
from fnad.primitives.dynamic_slices import dynamic_update_slice_p
from fnad.primitives.indexing import scatter_p
from fnad.primitives.reversal import rev
from fnad.primitives.sizes import index_of

_INT64 = np.dtype(np.int64)


def _update_core(plan: IndexPlan, value: Any, dtype: np.dtype[Any]) -> Array:
    """The update in the shape of the result without its new axes."""
    value = _as_dtype(as_operand(value), dtype)
    own = shape_of(value)
    while len(own) > len(plan.shape) and own[0] == 1:
        value, own = lax.reshape(value, own[1:]), own[1:]
    return lax.reshape(expand(value, plan.shape), plan.core_shape)


def _as_dtype(value: Array, dtype: np.dtype[Any]) -> Array:
    """The value cast to the array's dtype, as an assignment casts it."""
    if isinstance(value, Tracer):
        return convert(value, dtype)
    with np.errstate(all="ignore"):
        return np.asarray(value).astype(dtype)[()] if np.ndim(value) == 0 else convert(value, dtype)


def _write(x: Array, plan: IndexPlan, value: Any, kind: str, mode: str) -> Array:
    update = _update_core(plan, value, x.dtype)
    if kind == "set" and plan.is_basic and all(step == 1 for _, step, _ in plan.slices):
        return _write_block(x, plan, update)
    if kind == "add" and plan.is_basic:
        return _add_block(x, plan, update)
    return _scatter(x, plan, update, kind, mode)


def _write_block(x: Array, plan: IndexPlan, update: Array) -> Array:
    slices = block_slices(plan)
    shape = tuple(length for _, _, length in slices)
    if 0 in shape:
        return x
    block = lax.reshape(update, shape)
    if block.shape == x.shape:
        return block
    return dynamic_update_slice_p.bind(x, block, *(index_of(s) for s, _, _ in slices))


def _add_block(x: Array, plan: IndexPlan, update: Array) -> Array:
    """Add to a strided block: the update is spread out among zeros and added to the whole."""
    slices = block_slices(plan)
    block = lax.reshape(update, tuple(length for _, _, length in slices))
    reversed_axes = tuple(axis for axis, (_, step, _) in enumerate(slices) if step < 0)
    bounds = [slice_bounds(*s) for s in slices]
    if 0 in block.shape:
        return x
    config = [(low, n - high, step - 1) for (low, high, step), n in zip(bounds, x.shape)]
    block = rev(block, reversed_axes) if reversed_axes else block
    spread = slicing.pad(block, x.dtype.type(0), config)
    return ufuncs.add(x, spread)


def _scatter(x: Array, plan: IndexPlan, update: Array, kind: str, mode: str) -> Array:
    """Scatter along the indexed axes and those with a proper slice; whole axes stay blocks."""
    whole = (0, 1)
    sliced = plan.sliced_axes
    partial = [a for a in sliced if plan.slices[a] != (*whole, x.shape[a])]
    full = [a for a in sliced if a not in partial]
    axes = tuple(a for a, _ in plan.advanced) + tuple(partial)
    count = len(plan.advanced_shape)
    shape = plan.advanced_shape + tuple(plan.slices[a][2] for a in partial)
    indices = [
        _spread(normalized(i, x.shape[a], plan.advanced_shape), shape, tuple(range(count)))
        for a, i in plan.advanced
    ]
    for place, a in enumerate(partial):
        start, step, length = plan.slices[a]
        positions = ufuncs.add(ufuncs.multiply(lax.iota(_INT64, length), step), start)
        indices.append(_spread(positions, shape, (count + place,)))
    if not axes:
        # Everything is selected: a length-1 leading axis gives scatter something to index.
        out = _scatter_leading(x[None], update[None], [np.zeros(1, np.int64)], kind, mode)
        return out[0]
    # Axes of the update: advanced ones at plan.position, the others where their axis stands.
    where = {a: i + (count if i >= plan.position else 0) for i, a in enumerate(sliced)}
    order = [plan.position + i for i in range(count)]
    order += [where[a] for a in partial] + [where[a] for a in full]
    permutation = axes + tuple(full)
    out = _scatter_leading(
        lax.transpose(x, permutation), lax.transpose(update, tuple(order)), indices, kind, mode
    )
    return lax.transpose(out, lax.invert_permutation(permutation))


def _spread(index: Array, shape: tuple[int, ...], dims: tuple[int, ...]) -> Array:
    return lax.broadcast_in_dim(index, shape, dims)


def _scatter_leading(x: Array, update: Array, indices: list[Array], kind: str, mode: str) -> Array:
    return scatter_p.bind(x, update, *indices, kind=kind, mode=mode)


class IndexedRef:
    """An array together with an index: ``fnp.at(x)[index]``. Its methods return new arrays.

    ``indices_are_sorted`` and ``unique_indices`` are JAX's promises. They are not needed: what a
    method returns does not depend on them.
    """

    __slots__ = ("_shape", "array", "index")

    def __init__(self, array: Array, index: Any) -> None:
        self._shape = array.shape
        self.array, self.index = without_scalars(array, index)

    def _plan(self) -> IndexPlan:
        return parse_index(self.index, self.array.shape, check_arrays=False)

    def _update(self, values: Any, kind: str, mode: str | None) -> Array:
        out = _write(self.array, self._plan(), values, kind, mode_named(mode, "fill"))
        # An update of everything, or of nothing, may hand back an operand itself.
        return lax.reshape(out.copy() if isinstance(out, np.ndarray) else out, self._shape)

    def _product(self, values: Any, mode: str | None) -> Array:
        """The values, or where indices may be equal the product of those for the same element."""
        plan, factors = self._plan(), as_operand(values)
        if not plan.advanced_shape:
            return factors
        ones = lax.full(self.array.shape, 1, result_type(factors))
        product = _write(ones, plan, factors, "multiply", mode_named(mode, "fill"))
        return read(product, plan, "clip", None)

    def get(
        self,
        *,
        mode: str | None = None,
        fill_value: Any = None,
        indices_are_sorted: bool = False,
        unique_indices: bool = False,
    ) -> Array:
        """The elements; out of bounds ``mode`` says ``"clip"`` (default) or ``"fill"``."""
        return read(self.array, self._plan(), mode_named(mode, "clip"), fill_value)

    def set(
        self,
        values: Any,
        *,
        mode: str | None = None,
        indices_are_sorted: bool = False,
        unique_indices: bool = False,
    ) -> Array:
        """The array with the elements replaced; of equal indices one wins."""
        return self._update(values, "set", mode)

    def add(
        self,
        values: Any,
        *,
        mode: str | None = None,
        indices_are_sorted: bool = False,
        unique_indices: bool = False,
    ) -> Array:
        """The array with ``values`` added; equal indices add up."""
        return self._update(values, "add", mode)

    def subtract(
        self,
        values: Any,
        *,
        mode: str | None = None,
        indices_are_sorted: bool = False,
        unique_indices: bool = False,
    ) -> Array:
        """The array with ``values`` subtracted."""
        return self._update(ufuncs.negative(values), "add", mode)

    def multiply(
        self,
        values: Any,
        *,
        mode: str | None = None,
        indices_are_sorted: bool = False,
        unique_indices: bool = False,
    ) -> Array:
        """The array with the elements multiplied by ``values``."""
        return self._update(values, "multiply", mode)

    mul = multiply

    def divide(
        self,
        values: Any,
        *,
        mode: str | None = None,
        indices_are_sorted: bool = False,
        unique_indices: bool = False,
    ) -> Array:
        """The array with the elements divided by ``values``; for equal indices by all of them."""
        quotient = ufuncs.true_divide(self.get(), self._product(values, mode))
        return self.set(quotient, mode=mode)

    def min(
        self,
        values: Any,
        *,
        mode: str | None = None,
        indices_are_sorted: bool = False,
        unique_indices: bool = False,
    ) -> Array:
        """The array with the elements replaced by ``values`` where those are smaller."""
        return self._update(values, "min", mode)

    def max(
        self,
        values: Any,
        *,
        mode: str | None = None,
        indices_are_sorted: bool = False,
        unique_indices: bool = False,
    ) -> Array:
        """The array with the elements replaced by ``values`` where those are larger."""
        return self._update(values, "max", mode)

    def power(
        self,
        values: Any,
        *,
        mode: str | None = None,
        indices_are_sorted: bool = False,
        unique_indices: bool = False,
    ) -> Array:
        """The array with the elements raised to ``values``; for equal indices to all of them."""
        return self.set(ufuncs.power(self.get(), self._product(values, mode)), mode=mode)

    def apply(
        self,
        function: Callable[[Array], Array],
        *,
        mode: str | None = None,
        indices_are_sorted: bool = False,
        unique_indices: bool = False,
    ) -> Array:
        """The array with ``function`` applied to the elements, once where indices are equal."""
        return self.set(function(self.get()), mode=mode)


class At:
    """What ``fnp.at(x)`` returns: index it, then say what to do with the elements."""

    __slots__ = ("array",)

    def __init__(self, array: Array) -> None:
        self.array = array

    def __getitem__(self, index: Any) -> Any:
        if is_masked(index):
            index = with_known_masks(index)
            if has_traced_mask(index):
                return MaskedRef(self.array, index, At)
        selected = IndexedRef(self.array, index)
        return MaskedRef(self.array, index, At, selected) if has_known_mask(index) else selected


def at(x: Any) -> At:
    """Updates of an array that return a new one: ``at(x)[index].set(values)`` and its kin.

    Works on NumPy arrays and traced arrays (which also have it as ``x.at``). Updates out of
    bounds are dropped; reads are clamped (``mode=`` says otherwise). The methods are ``get``,
    ``set``, ``add``, ``subtract``, ``multiply``, ``divide``, ``power``, ``min``, ``max``,
    ``apply``.

    Examples
    --------
    >>> x = np.array([1, 2, 3])
    >>> at(x)[1:].set(0), at(x)[np.array([0, 0])].add(5), x
    (array([1, 0, 0]), array([11,  2,  3]), array([1, 2, 3]))
    """
    return At(asarray(x))
