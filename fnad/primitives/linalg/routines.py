"""Calls of LAPACK on the memory of complex matrices, for `parts` rules.

Compiled programs hold the parts of complex matrices. For LAPACK they are put together: a matrix
``(..., m, n)`` becomes the real array ``(..., m, 2 n)`` that its memory is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from fnad.core.primitive import Parts, Primitive
from fnad.core.types import ShapedArray, aval_of
from fnad.primitives.complex_parts import interleaved, parts_of_interleaved
from fnad.primitives.linalg.matrices import matrix_transpose, routine
from fnad.primitives.logic import eq, select
from fnad.primitives.shape import broadcast_in_dim, full_like, reshape


class Given(NamedTuple):
    """An argument: the memory of an operand, which is read."""

    position: int


class Made(NamedTuple):
    """An argument: the memory of a result."""

    position: int


class Scratch(NamedTuple):
    """An argument: memory for so many complex or other numbers."""

    size: int
    dtype: np.dtype[Any]


routine_p = Primitive(
    "routine",
    "A function of LAPACK or BLAS, called for each matrix of stacks. ``arguments`` are letters,"
    " integers, `Given`, `Made` and `Scratch`; each of ``results`` is the type of memory that is"
    " written, or the number of an operand whose copy is overwritten. Only lowering makes it.",
    multiple_results=True,
)


@routine_p.type_rule
def _(*operands, name, arguments, results, operations):
    return [operands[r] if isinstance(r, int) else ShapedArray(*r) for r in results]


@routine_p.lower
def _(p, *operands, name, arguments, results, operations):
    outs = [p.copied(operands[r]) if isinstance(r, int) else p.stored(*r) for r in results]
    read = [operands[x.position] for x in arguments if isinstance(x, Given)]

    def argument(x: Any) -> Any:
        if isinstance(x, Given):
            return operands[x.position]
        if isinstance(x, Made):
            return outs[x.position]
        return p.workspace(*x) if isinstance(x, Scratch) else x

    p.call(name, [argument(x) for x in arguments], read, outs, operations)
    return outs


def call_complex(
    name: str,
    operands: Sequence[Any],
    arguments: Sequence[Any],
    results: Sequence[Any],
    operations: int,
) -> list[Any]:
    """Call ``zpotrf`` (or ``cpotrf``) for ``name`` potrf: see `routine_p`.

    The first operand is memory of complex numbers; results come as memory.
    """
    part = aval_of(operands[0]).dtype
    whole = np.result_type(part, np.complex64)
    # A complex operation is four of real numbers.
    return list(
        routine_p.bind(
            *operands,
            name=routine(name, whole),
            arguments=tuple(arguments),
            results=tuple(results),
            operations=4 * operations,
        )
    )


def memory(x: Parts) -> Any:
    """The memory ``(..., m, 2 n)`` of complex matrices ``(..., m, n)``."""
    *batch, m, n = aval_of(x.re).shape
    return reshape(interleaved(x), (*batch, m, 2 * n))


def in_columns(x: Parts) -> Any:
    """The memory of complex matrices in Fortran's order, one column after the other."""
    return memory(Parts(matrix_transpose(x.re), matrix_transpose(x.im)))


def from_memory(x: Any) -> Parts:
    """The parts of the complex matrices ``(..., m, n)`` whose memory is ``(..., m, 2 n)``."""
    *batch, m, n = aval_of(x).shape
    return parts_of_interleaved(reshape(x, (*batch, m, n // 2, 2)))


def from_columns(x: Any) -> Parts:
    """The parts of complex matrices from memory in Fortran's order."""
    parts = from_memory(x)
    return Parts(matrix_transpose(parts.re), matrix_transpose(parts.im))


def nan_where_it_failed(x: Any, info: Any) -> Any:
    """A real array of matrices or vectors, NaN in those that LAPACK gave up."""
    good = eq(info, np.int32(0))
    shape = aval_of(x).shape
    good = broadcast_in_dim(good, shape, tuple(range(aval_of(info).ndim)))
    return select(good, x, full_like(x, np.nan))
