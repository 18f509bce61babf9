"""The size of an axis as a number: what ``x.shape[0]`` is to arithmetic in a dynamic program."""

from __future__ import annotations

from typing import Any

import numpy as np

from fnad.core.primitive import Primitive, remember
from fnad.core.sizes import Size, install_numbers
from fnad.core.types import ShapedArray
from fnad.primitives.logic import convert_element_type

_INT64 = np.dtype(np.int64)

size_p = Primitive("size", "The size ``size`` of an axis, as a Python integer would be (int64).")


@size_p.type_rule
@remember
def _(*, size):
    return ShapedArray((), _INT64, True)


@size_p.evaluate
def _(*, size):
    return np.int64(size.__index__())  # nobody has its value while nothing runs


@size_p.lower
def _(p, *, size):
    return p.compute((), _INT64, lambda index: p.b.constant(size, _INT64))


def known(value: int, dtype: np.dtype[Any]) -> Any:
    """An integer, which may be a size, as a scalar."""
    if type(value) is Size:
        return convert_element_type(size_of(value), dtype)
    return dtype.type(value)


def index_of(value: int) -> Any:
    """An integer, which may be a size, as an index of 64 bits."""
    return size_of(value) if type(value) is Size else np.int64(value)


def size_of(size: Size) -> Any:
    """A size as an operand of arithmetic."""
    return size_p.bind(size=size)


install_numbers(size_of)
