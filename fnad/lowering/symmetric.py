"""Products of a matrix and its own transpose: half of the result is computed, and mirrored.

The square below the diagonal is one product, those beside the halves of the diagonal that are left
are two products of half the size, and so on; the squares on the diagonal are computed whole. With
``x`` of shape ``(1000, 300)``, before and after::

    contract 1 x (1000, 1000, 300)

    contract 1 x (500, 500, 300)
    contract 2 x (250, 250, 300)
    contract 4 x (125, 125, 300)
    contract 8 x (125, 125, 300)
    mirror 1 times (1000, 1000)
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace

from fnad.lowering.access import with_bodies
from fnad.lowering.expr import integer
from fnad.lowering.plan import Contraction, Matrix, Mirror, Node

# Rows of a square on the diagonal, at least, and how often squares are halved, at most.
_ROWS = 64
_LEVELS = 3

# Multiplications below which there is nothing to gain.
_FEW_PRODUCTS = 1 << 22


def halve_symmetric(body: Sequence[Node]) -> list[Node]:
    """Compute half of the symmetric products of a schedule and of those inside its loops."""
    result: list[Node] = []
    for node in body:
        if isinstance(node, Contraction) and _is_symmetric(node):
            result += _halves(node)
        else:
            result.append(with_bodies(node, halve_symmetric))
    return result


def _is_symmetric(c: Contraction) -> bool:
    *batch, row, step = c.left.strides
    count = math.prod(c.batch)
    return (
        c.left.buffer == c.right.buffer
        and c.left.offset is c.right.offset
        and c.right.strides == (*batch, step, row)
        and c.m == c.n >= 2 * _ROWS
        and c.m * c.n * c.k >= _FEW_PRODUCTS
        and c.out.offset is integer(0)
        and c.out.strides == _dense(c)
        and not c.accumulate
        and count > 0
    )


def _dense(c: Contraction) -> tuple[int, ...]:
    shape = (*c.batch, c.m, c.n)
    return tuple(math.prod(shape[i + 1 :]) for i in range(len(shape)))


def _halves(c: Contraction) -> Iterable[Node]:
    levels = min(_LEVELS, int(math.log2(c.n / _ROWS)))
    size = c.n >> levels
    whole = size << levels
    for level in range(1, levels + 1):
        side = whole >> level
        yield _squares(c, 1 << (level - 1), 2 * side, (side, 0), (side, side))
    yield _squares(c, 1 << levels, size, (0, 0), (size, size))
    if whole < c.n:
        yield _squares(c, 1, 0, (whole, 0), (c.n - whole, c.n))
    yield Mirror(c.out.buffer, math.prod(c.batch), c.n, c.origin)


def _squares(
    c: Contraction, count: int, distance: int, start: tuple[int, int], shape: tuple[int, int]
) -> Contraction:
    """``count`` parts of the result of one shape, ``distance`` apart along the diagonal."""
    (row, column), (m, n) = start, shape

    def part(matrix: Matrix, down: int, across: int, step: int) -> Matrix:
        *batch, r, s = matrix.strides
        strides = (*batch, distance * step, r, s) if count > 1 else matrix.strides
        return Matrix(matrix.buffer, matrix.offset + (down * r + across * s), strides)

    return replace(
        c,
        left=part(c.left, row, 0, c.left.strides[-2]),
        right=part(c.right, 0, column, c.right.strides[-1]),
        out=part(c.out, row, column, c.out.strides[-2] + c.out.strides[-1]),
        batch=(*c.batch, count) if count > 1 else c.batch,
        m=m,
        n=n,
    )
