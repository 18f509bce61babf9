"""Factorisations and triangular systems in blocks, most of whose work is products of matrices.

LAPACK would do it with threads of its own, which look for more work, and take it from those of the
pool, for tens of milliseconds after each call. The halves of a matrix are worked on one after the
other, each in halves again; of what is no wider than a panel, and of the products in between, every
task writes elements of its own. So the bits do not depend on the number of threads. Before and
after, of 200 columns::

    1 calls of dlu: %1, %2

    1 calls of dpanel: %1, %2
    1 calls of dexchange: %1 from %2
    1 calls of dsolve: %1, %3
    contract 1 x (100, 100, 100)
    1 calls of dpanel: %1, %2
    1 calls of dexchange: %1 from %2

Recursion: Toledo (1997), "Locality of reference in LU decomposition with partial pivoting"; Elmroth
and Gustavson (2000).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fnad.lowering.access import with_bodies
from fnad.lowering.expr import integer
from fnad.lowering.plan import BlockStep, Contraction, Matrix, Node, Origin, Part, Routine, Share

# Columns of a panel, at most.
_PANEL = 64

# Right sides of a task, and columns of which a task exchanges rows.
_SIDES = 64

# Rows for which blocks are the faster way, at least.
_LEAST = 96

NewBuffer = Callable[[Sequence[int], np.dtype[Any]], int]


def in_blocks(dtype: np.dtype[Any], shape: Sequence[int]) -> bool:
    """Whether factorisations of a stack of matrices of a shape are split."""
    *batch, m, n = shape
    if not all(type(x) is int for x in shape):  # sizes that are known at a call only
        return False
    return dtype.kind == "f" and not any(x != 1 for x in batch) and min(m, n) >= _LEAST


def split_factorizations(body: Sequence[Node], new_buffer: NewBuffer) -> list[Node]:
    """Split those of a schedule and of those inside it."""
    result: list[Node] = []
    for node in body:
        if isinstance(node, Routine) and node.name[0] in "sd" and node.name[1:] in _SPLITS:
            result += _SPLITS[node.name[1:]](node, new_buffer)
        else:
            result.append(with_bodies(node, lambda inner: split_factorizations(inner, new_buffer)))
    return result


@dataclass(frozen=True, slots=True)
class _Block:
    """Part of a matrix in a buffer: where it begins, the steps to the next row and column."""

    buffer: int
    offset: int
    row: int
    column: int

    def at(self, i: int, j: int) -> _Block:
        return _Block(
            self.buffer, self.offset + i * self.row + j * self.column, self.row, self.column
        )

    def backwards(self, rows: int, columns: int) -> _Block:
        """From the last one of rows and columns to the first one; one of them stays as it is."""
        last = self.at(rows - 1, columns - 1)
        column = self.column if columns == 1 else -self.column
        return _Block(self.buffer, last.offset, -self.row, column)

    @property
    def transposed(self) -> _Block:
        return _Block(self.buffer, self.offset, self.column, self.row)

    def part(self, step: int = 0) -> Part:
        """As an argument, for each further task ``step`` elements behind."""
        return Part(self.buffer, self.offset, step)

    @property
    def matrix(self) -> Matrix:
        return Matrix(self.buffer, integer(self.offset), (self.row, self.column))


@dataclass(frozen=True, slots=True)
class _Steps:
    """The nodes that take the place of a routine."""

    dtype: np.dtype[Any]
    origin: Origin | None

    def call(
        self, name: str, arguments: Sequence[int | Part | Share], outs: Sequence[int], work: int,
        count: int = 1,
    ) -> BlockStep:  # fmt: skip
        """``count`` tasks of a function of `llvm.block_lapack`."""
        name = ("s" if self.dtype.itemsize == 4 else "d") + name
        given = tuple(arguments)
        return BlockStep(name, given, tuple(outs), count, self.dtype, work, self.origin)

    def add_product(
        self, out: _Block, left: _Block, right: _Block, sizes: tuple[int, int, int]
    ) -> Contraction:
        """``out += left @ right``, of (rows, columns, terms)."""
        m, n, k = sizes
        matrices = (left.matrix, right.matrix, out.matrix)
        return Contraction(*matrices, (), m, n, k, self.dtype, self.origin, accumulate=True)

    def solve(
        self, a: _Block, b: _Block, negated: _Block, n: int, columns: int, divides: bool
    ) -> Iterator[Node]:
        """``A X = B`` for lower triangular A in place of B, and ``-X``.

        Right sides lie side by side, or one below the other: then ``X`` and ``B`` are transposed.
        """
        if n > _PANEL:
            h = _half(n)
            yield from self.solve(a, b, negated, h, columns, divides)
            rest, below = b.at(h, 0), a.at(h, 0)
            if b.column == 1:
                yield self.add_product(rest, below, negated, (n - h, columns, h))
            else:
                sizes = (columns, n - h, h)
                yield self.add_product(rest.transposed, negated.transposed, below.transposed, sizes)
            yield from self.solve(a.at(h, h), rest, negated.at(h, 0), n - h, columns, divides)
            return
        arguments: list[int | Part | Share] = [
            n,
            Share(columns, _SIDES),
            a.part(),
            a.row,
            a.column,
            int(divides),
        ]
        arguments += [b.part(_SIDES * b.column), b.row if b.column == 1 else b.column]
        arguments += [negated.part(_SIDES), negated.row]
        name, writes = "solve" if b.column == 1 else "across", [b.buffer, negated.buffer]
        yield self.call(name, arguments, writes, n * n * min(columns, _SIDES), _tasks(columns))

    def exchange(self, a: _Block, pivots: int, first: int, count: int, columns: int) -> Node:
        """Exchange rows of whole columns: row ``first + k`` and row ``pivots[first + k] - 1``."""
        rows = Part(pivots, first)
        arguments = (Share(columns, _SIDES), a.part(_SIDES), a.row, first, count, rows)
        return self.call("exchange", arguments, [a.buffer], count * _SIDES, _tasks(columns))


def _tasks(columns: int) -> int:
    return -(-columns // _SIDES)


def _half(n: int) -> int:
    """Whole panels of the first half."""
    panels = -(-n // _PANEL)
    return (panels + 1) // 2 * _PANEL


def _sizes(node: Routine) -> list[int]:
    """The arguments that are integers."""
    return [x for x in node.arguments if isinstance(x, int)]


# -- the three of them --------------------------------------------------------------------------


def _solve(node: Routine, new_buffer: NewBuffer) -> Iterator[Node]:
    """LAPACK's ``trsm``: for matrices in rows, whose sides are changed."""
    side, triangle, transposed, diagonal = node.arguments[:4]
    [x], [a] = node.outs, node.sources
    columns, rows, *_ = _sizes(node)
    n, count = (rows, columns) if side == "R" else (columns, rows)
    matrix, lower = _Block(a, 0, n, 1), triangle == "U"
    sides = _Block(x, 0, columns, 1)
    if side == "L":  # op(A)ᵀ Xᵀ = Bᵀ
        sides = sides.transposed
    if (transposed == "T") != (side == "L"):
        matrix, lower = matrix.transposed, not lower
    # Unknowns that lie side by side are found from the first one on only.
    if not in_blocks(node.dtype, (node.count, n, n)) or (side == "L" and not lower):
        yield node
        return
    negated = _Block(new_buffer((n, count), node.dtype), 0, count, 1)
    if not lower:
        matrix, sides = matrix.backwards(n, n), sides.backwards(n, 1)
    steps = _Steps(node.dtype, node.origin)
    yield from steps.solve(matrix, sides, negated, n, count, diagonal == "N")


def _lu(node: Routine, new_buffer: NewBuffer) -> Iterator[Node]:
    m, n = _sizes(node)
    a, pivots = node.outs
    steps = _Steps(node.dtype, node.origin)
    whole, negated = (_Block(x, 0, n, 1) for x in (a, new_buffer((m, n), node.dtype)))
    columns = _Block(new_buffer((m, min(_PANEL, n)), node.dtype), 0, 1, m)

    def factors(first: int, count: int) -> Iterator[Node]:
        """Those of so many columns, from the diagonal on down."""
        if count <= _PANEL:
            block, rows = whole.at(first, first), Part(pivots, first)
            arguments = (m - first, count, block.part(), n, first, rows, columns.part())
            work = (m - first) * count * count
            yield steps.call("panel", arguments, [a, pivots, columns.buffer], work)
            return
        h = _half(count)
        yield from factors(first, h)
        yield from behind(first, h, first + h, count - h)
        yield from factors(first + h, count - h)
        yield steps.exchange(whole.at(0, first), pivots, first + h, count - h, h)

    def behind(first: int, count: int, start: int, width: int) -> Iterator[Node]:
        """What the factors of columns make of others behind them."""
        yield steps.exchange(whole.at(0, start), pivots, first, count, width)
        block, right, known = (
            whole.at(first, first),
            whole.at(first, start),
            negated.at(first, start),
        )
        yield from steps.solve(block, right, known, count, width, False)
        if first + count < m:
            sizes = (m - first - count, width, count)
            yield steps.add_product(right.at(count, 0), block.at(count, 0), known, sizes)

    square = min(m, n)
    yield from factors(0, square)
    if n > square:
        yield from behind(0, square, square, n - square)


def _cholesky(node: Routine, new_buffer: NewBuffer) -> Iterator[Node]:
    """LAPACK's ``potrf`` of an upper triangle, which is the lower one of rows."""
    n, *_ = _sizes(node)
    a, info = node.outs
    if not in_blocks(node.dtype, (node.count, n, n)):
        yield node
        return
    steps = _Steps(node.dtype, node.origin)
    # Above the diagonal, the negative transpose.
    whole, negated = (_Block(x, 0, n, 1) for x in (a, new_buffer((n, n), node.dtype)))

    def factors(first: int, count: int) -> Iterator[Node]:
        block, square = whole.at(first, first), negated.at(first, first)
        if count <= _PANEL:
            arguments = (count, block.part(), n, square.part(), n, Part(info, 0))
            yield steps.call("lower", arguments, [a, negated.buffer, info], count**3 // 3)
            return
        h = _half(count)
        yield from factors(first, h)
        below, known = block.at(h, 0), square.at(0, h)
        yield from steps.solve(block, below.transposed, known, h, count - h, True)
        yield from without_square(block.at(h, h), below, known, count - h, h)
        yield from factors(first + h, count - h)

    def without_square(
        out: _Block, x: _Block, known: _Block, count: int, terms: int
    ) -> Iterator[Node]:
        """``out -= x xᵀ`` on and below the diagonal."""
        if count <= 2 * _PANEL:
            yield steps.add_product(out, x, known, (count, count, terms))
            return
        h = _half(count)
        yield from without_square(out, x, known, h, terms)
        yield steps.add_product(out.at(h, 0), x.at(h, 0), known, (count - h, h, terms))
        yield from without_square(out.at(h, h), x.at(h, 0), known.at(0, h), count - h, terms)

    yield from factors(0, n)


_SPLITS: dict[str, Callable[[Routine, NewBuffer], Iterator[Node]]] = {
    "trsm": _solve,
    "lu": _lu,
    "potrf": _cholesky,
}
