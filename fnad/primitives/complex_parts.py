"""Real and imaginary parts of complex arrays where programs are lowered: what rules share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fnad.core.ir import Atom, Equation
from fnad.core.primitive import Parts, Primitive, remember
from fnad.core.types import ShapedArray, aval_of
from fnad.primitives.logic import convert_element_type_p
from fnad.primitives.shape import broadcast_in_dim, reshape, reshape_p, transpose_p
from fnad.primitives.slicing import slice_in_dim, slice_p


def parts_of_interleaved(x: Any) -> Parts:
    """The parts of a complex array whose memory is the real array ``x`` of shape (..., 2)."""
    shape = aval_of(x).shape[:-1]
    re, im = (reshape(slice_in_dim(x, k, k + 1, axis=-1), shape) for k in (0, 1))
    return Parts(re, im)


interleave_p = Primitive(
    "interleave",
    "Two real arrays of one type as one of shape (..., 2): the memory of complex numbers with these"
    " parts. Only lowering makes it.",
)


@interleave_p.type_rule
@remember
def _(re: ShapedArray, im: ShapedArray) -> ShapedArray:
    if re.strong() != im.strong() or re.dtype not in (np.float32, np.float64):
        raise TypeError(f"interleave takes two arrays of one type, float32 or float64: {re}, {im}")
    return ShapedArray((*re.shape, 2), re.dtype)


@interleave_p.evaluate
def _(re: Any, im: Any) -> Any:
    return np.stack([re, im], -1)


@interleave_p.simplify
def _(eqn: Equation, definition: Any) -> Atom | Equation | None:
    # Put together as they were read, parts are the memory that they were read from.
    re, im = eqn.invars
    first, second = definition(re), definition(im)
    if first is None or second is None or first.primitive is not transpose_p:
        return _common_memory(re, im, definition)
    order = first.params["permutation"]
    if second.primitive is not transpose_p or second.params["permutation"] != order:
        return None
    memory = _common_memory(first.invars[0], second.invars[0], definition)
    if memory is None:
        return None
    params = {"permutation": (*order, len(order))}
    return eqn.replace(primitive=transpose_p, invars=(memory,), params=params)


def _common_memory(re: Atom, im: Atom, definition: Any) -> Atom | None:
    memory = _memory_of_part(re, 0, definition)
    return memory if memory is not None and memory is _memory_of_part(im, 1, definition) else None


def _memory_of_part(part: Atom, k: int, definition: Any) -> Atom | None:
    """The memory that a part was read from by `parts_of_interleaved`, if it was."""
    reshaped = definition(part)
    if reshaped is None or reshaped.primitive is not reshape_p:
        return None
    sliced = definition(reshaped.invars[0])
    if sliced is None or sliced.primitive is not slice_p:
        return None
    memory: Atom = sliced.invars[0]
    shape = part.aval.shape
    starts, limits = (sliced.params[name] for name in ("start_indices", "limit_indices"))
    whole = memory.aval.shape == (*shape, 2) and sliced.outvars[0].aval.shape == (*shape, 1)
    return memory if whole and starts[-1] == k and limits[-1] == k + 1 else None


@interleave_p.lower
def _(p: Any, re: Any, im: Any) -> Any:
    return p.interleave(re, im)


def interleaved(x: Parts) -> Any:
    """The memory of a complex array, as a real array of shape (..., 2)."""
    return interleave_p.bind(x.re, x.im)


def product_of_parts(product: Callable[[Any, Any], Any], x: Parts, y: Parts) -> Parts:
    """A product that is linear in both factors, by four products of real numbers."""
    return Parts(
        product(x.re, y.re) - product(x.im, y.im), product(x.re, y.im) + product(x.im, y.re)
    )


def of_type(x: Any, aval: ShapedArray) -> Any:
    """A scalar or an array of the dtype and, unless it is a scalar, the shape of ``aval``."""
    found = aval_of(x)
    if found.weak_type != aval.weak_type:
        x = convert_element_type_p.bind(x, new_dtype=aval.dtype, weak_type=aval.weak_type)
    if found.shape == aval.shape:
        return x
    return broadcast_in_dim(x, aval.shape, ())
