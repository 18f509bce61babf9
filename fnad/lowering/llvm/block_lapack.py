"""The innermost steps of factorisations in blocks: see `fnad.lowering.factorizations`.

They are the loops of the textbook (Golub and Van Loan, "Matrix Computations", algorithms 3.1.1,
3.4.1 and 4.2.1) along vectors, for matrices in rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np

from fnad.lowering.llvm.matrix.integers import Int, advance, integer, parameters, steps
from fnad.lowering.llvm.matrix.packing import transposed
from fnad.lowering.llvm.matrix.variants import Variant
from fnad.lowering.llvm.target import VECTOR_CODE, Recipe
from fnad.lowering.llvm.writer import FLOAT32, FLOAT64, INT64, DType, Function, Module, Value

_INT32 = np.dtype(np.int32)
_DTYPES = {"s": FLOAT32, "d": FLOAT64}

_VECTOR_BYTES = 32

# Vectors of right sides that are solved for together: as many sums as hide their latency.
_SIDES = 8

# Columns of a panel that are eliminated one by one, before the others are.
_TOGETHER = 8


def declaration(name: str) -> str:
    """How another module declares ``fnad.block.<name>``."""
    kinds = (parameter.split()[0] for parameter in _parameters(name))
    return f"declare void @fnad.block.{name}({', '.join(kinds)}) nounwind"


def source_of(symbol: str) -> tuple[str, Recipe]:
    """A module with the function of that name, ``fnad.block.<name>``; `own_functions` loads it.

    Its parameters are pointers, numbers, and a range of tasks.
    """
    name = symbol.rpartition(".")[2]
    module, dtype = Module(), _DTYPES[name[0]]
    arguments, body = _FUNCTIONS[name[1:]]
    f = Function(module, symbol, _parameters(name), linkage="")
    begin, end = parameters(f, "begin", "end")
    given: list[Int | str] = []
    with _each(f, begin, end) as task:
        for argument in arguments.split():
            numbers = parameters(f, *_numbers(argument))
            if argument[0] == "*":
                kind = _INT32 if argument in _INTEGERS else dtype
                at = numbers[0] + task * numbers[1]
                given.append(advance(f, f"%{argument[1:]}", kind, at))
            elif argument[0] == "/":
                given.append((numbers[0] - task * numbers[1]).up_to(numbers[1]))
            else:
                given += numbers
        body(f, dtype, *given)
    f.ret()
    module.add(f)
    return module.text(), VECTOR_CODE


def _parameters(name: str) -> list[str]:
    arguments = _FUNCTIONS[name[1:]][0].split()
    pointers = [f"ptr %{x[1:]}" for x in arguments if x[0] == "*"]
    numbers = [f"i64 %{number}" for x in arguments for number in _numbers(x)]
    return [*pointers, *numbers, "i64 %begin", "i64 %end"]


def _numbers(argument: str) -> list[str]:
    kind, name = argument[0], argument[1:]
    if kind == "*":
        return [f"{name}.at", f"{name}.step"]
    return [f"{name}.total", f"{name}.each"] if kind == "/" else [argument]


# -- loops along vectors ----------------------------------------------------------------------


def _lanes(dtype: DType) -> int:
    return _VECTOR_BYTES // dtype.itemsize


@contextmanager
def _each(f: Function, start: Int | int, end: Int) -> Iterator[Int]:
    """``for i in range(start, end)``."""
    with f.steps((end - start).value, integer(f, 1).value) as turn:
        yield Int(f, turn.ref) + start


def _in_vectors(
    f: Function,
    start: Int | int,
    end: Int,
    widths: Sequence[int],
    body: Callable[[Int, int], None],
) -> None:
    """``body(i, lanes)`` for ``range(start, end)``, with as many of the first widths as fit."""
    i = integer(f, start).value
    for lanes in widths:

        def turn(i: Value, lanes: int = lanes) -> list[Value]:
            body(Int(f, i.ref), lanes)
            return [(Int(f, i.ref) + lanes).value]

        def fits(i: Value, lanes: int = lanes) -> Value:
            return Int(f, i.ref) + (lanes - 1) < end

        [i] = f.repeat([i], fits, turn)


def _without_product(f: Function, total: Value, x: Value, y: Value) -> Value:
    """``total - x * y``."""
    x, y = f.b.spread(f.b.negative(x), y)
    return Variant(total.dtype).multiply_add(f, x, y, total)


def _subtract(
    f: Function, dtype: DType, target: str, factor: Value, source: str, start: Int, end: Int
) -> None:
    """``target[start:end] -= factor * source[start:end]``."""

    def body(i: Int, lanes: int) -> None:
        place = advance(f, target, dtype, i)
        x = f.load(advance(f, source, dtype, i), dtype, lanes)
        f.store(_without_product(f, f.load(place, dtype, lanes), factor, x), place)

    _in_vectors(f, start, end, (2 * _lanes(dtype), 1), body)


def _divide(f: Function, dtype: DType, x: str, divisor: Value, start: Int, end: Int) -> None:
    """``x[start:end] /= divisor``."""

    def body(i: Int, lanes: int) -> None:
        place = advance(f, x, dtype, i)
        f.store(f.b.divide(*f.b.spread(f.load(place, dtype, lanes), divisor)), place)

    _in_vectors(f, start, end, (2 * _lanes(dtype), 1), body)


def _exchanged(f: Function, dtype: DType, places: Sequence[str], lanes: int = 1) -> None:
    x, y = (f.load(place, dtype, lanes) for place in places)
    f.store(y, places[0])
    f.store(x, places[1])


def _transpose(
    f: Function, dtype: DType, source: tuple[str, Int], target: tuple[str, Int], m: Int, n: Int
) -> None:
    """``target[j, i] = source[i, j]`` for matrices in rows of given lengths."""
    (read, read_row), (written, written_row) = source, target

    def part(i: Int, j: Int, height: int, width: int) -> None:
        rows = [
            f.load(advance(f, read, dtype, (i + k) * read_row + j), dtype, width)
            for k in range(height)
        ]
        if height == width > 1:
            for k, x in enumerate(transposed(f, rows)):
                f.store(x, advance(f, written, dtype, (j + k) * written_row + i))
            return
        for k, row in enumerate(rows):
            f.store(row, advance(f, written, dtype, j * written_row + i + k))

    def strip(i: Int, height: int) -> None:
        widths = (height, 1) if height > 1 else (1,)
        _in_vectors(f, 0, n, widths, lambda j, width: part(i, j, height, width))

    _in_vectors(f, 0, m, (_lanes(dtype), 1), strip)


# -- Cholesky ---------------------------------------------------------------------------------


def _lower(
    f: Function, dtype: DType, n: Int, a: str, lda: Int, x: str, ldx: Int, info: str
) -> None:
    """``A = X Xᵀ`` of the lower triangle, of which X takes the place, and Xᵀ lies elsewhere.

    ``info`` becomes 1 if A is not positive definite.
    """
    zero = f.b.constant(0, dtype)
    _transpose(f, dtype, (a, lda), (x, ldx), n, n)
    with _each(f, 0, n) as k:
        row = advance(f, x, dtype, k * ldx)
        place = advance(f, row, dtype, k)
        pivot = f.load(place, dtype)
        with f.when(f.b.bitwise_not(f.b.greater(pivot, zero))):
            f.store(f.b.constant(1, _INT32), info)
        root = f.b.sqrt(pivot)
        f.store(root, place)
        _divide(f, dtype, row, root, k + 1, n)
        with _each(f, k + 1, n) as i:
            factor = f.load(advance(f, row, dtype, i), dtype)
            _subtract(f, dtype, advance(f, x, dtype, i * ldx), factor, row, i, n)
    _transpose(f, dtype, (x, ldx), (a, lda), n, n)


# -- triangular systems -----------------------------------------------------------------------

# A lower triangular matrix: its rows, where it lies, the steps down and to the right, and whether
# the diagonal is divided by, not ones. With negative steps, an upper one.
_System = tuple[Int, str, Int, Int, Int]


def _solved(
    f: Function,
    dtype: DType,
    system: _System,
    columns: Int,
    x: str,
    ldx: Int,
    store: Callable[[Value, Int, Int], None],
) -> None:
    """``A X = B`` in place of B; ``store(x, i, j)`` is told of row i from column j on."""
    n, a, down, right, divides = system

    def sides(j: Int, lanes: int) -> None:
        with _each(f, 0, n) as i:
            row = advance(f, a, dtype, i * down)

            def known(k: Value, total: Value) -> list[Value]:
                factor = f.load(advance(f, row, dtype, Int(f, k.ref) * right), dtype)
                y = f.load(advance(f, x, dtype, Int(f, k.ref) * ldx + j), dtype, lanes)
                return [(Int(f, k.ref) + 1).value, _without_product(f, total, factor, y)]

            place = advance(f, x, dtype, i * ldx + j)
            first = [integer(f, 0).value, f.load(place, dtype, lanes)]
            _, total = f.repeat(first, lambda k, _: Int(f, k.ref) < i, known)
            f.store(total, place)
            with f.when(divides > 0):
                pivot = f.load(advance(f, row, dtype, i * right), dtype)
                f.store(f.b.divide(*f.b.spread(total, pivot)), place)
            store(f.load(place, dtype, lanes), i, j)

    lanes = _lanes(dtype)
    _in_vectors(f, 0, columns, (_SIDES * lanes, lanes, 1), sides)


def _solve(
    f: Function, dtype: DType, n: Int, columns: Int, a: str, down: Int, right: Int, divides: Int,
    b: str, ldb: Int, negated: str, ldn: Int,
) -> None:  # fmt: skip
    """``A X = B`` in place of B; ``-X`` is ``negated``."""

    def store(x: Value, i: Int, j: Int) -> None:
        f.store(f.b.negative(x), advance(f, negated, dtype, i * ldn + j))

    _solved(f, dtype, (n, a, down, right, divides), columns, b, ldb, store)


def _across(
    f: Function, dtype: DType, n: Int, columns: Int, a: str, down: Int, right: Int, divides: Int,
    b: str, ldb: Int, negated: str, ldn: Int,
) -> None:  # fmt: skip
    """``A X = Bᵀ``, and ``Xᵀ`` in place of B; ``-X`` is ``negated``."""
    _transpose(f, dtype, (b, ldb), (negated, ldn), columns, n)
    _solved(f, dtype, (n, a, down, right, divides), columns, negated, ldn, lambda x, i, j: None)
    _transpose(f, dtype, (negated, ldn), (b, ldb), n, columns)
    with _each(f, 0, n) as i:

        def negative(j: Int, lanes: int) -> None:
            place = advance(f, negated, dtype, i * ldn + j)
            f.store(f.b.negative(f.load(place, dtype, lanes)), place)

        _in_vectors(f, 0, columns, (_lanes(dtype), 1), negative)


# -- LU ---------------------------------------------------------------------------------------


def _exchange(
    f: Function, dtype: DType, columns: Int, a: str, lda: Int, first: Int, count: Int, pivots: str
) -> None:
    """Exchange rows of A, in order: row ``first + k`` and row ``pivots[k] - 1``."""
    with _each(f, 0, count) as k:
        pivot = f.b.convert(f.load(f.element(pivots, _INT32, k.value), _INT32), INT64)
        one, other = ((row * lda) for row in (first + k, Int(f, pivot.ref) - 1))

        def body(j: Int, lanes: int, one: Int = one, other: Int = other) -> None:
            _exchanged(f, dtype, [advance(f, a, dtype, at + j) for at in (one, other)], lanes)

        lanes = _lanes(dtype)
        _in_vectors(f, 0, columns, (4 * lanes, lanes, 1), body)


def _panel(
    f: Function,
    dtype: DType,
    m: Int,
    n: Int,
    a: str,
    lda: Int,
    first: Int,
    pivots: str,
    columns: str,
) -> None:
    """Factors of A ``(m, n)``, m at least n, with exchanges of rows; ``first`` is added to them.

    The work is done in columns that are dense: ``columns``.
    """
    _transpose(f, dtype, (a, lda), (columns, m), m, n)

    def column(j: Int) -> str:
        return advance(f, columns, dtype, j * m)

    with steps(f, n, _TOGETHER) as begin:
        end = (begin + _TOGETHER).up_to(n)
        with _each(f, begin, end) as k:
            row = _largest(f, dtype, column(k), k, m)
            number = f.b.convert((first + row + 1).value, _INT32)
            f.store(number, f.element(pivots, _INT32, k.value))
            with f.when(k < row), _each(f, 0, n) as j:
                _exchanged(f, dtype, [advance(f, column(j), dtype, i) for i in (k, row)])
            pivot = f.load(advance(f, column(k), dtype, k), dtype)
            # A column of zeros has no factors.
            with f.when(f.b.not_equal(pivot, f.b.constant(0, dtype))):
                _divide(f, dtype, column(k), pivot, k + 1, m)
            with _each(f, k + 1, end) as j:
                factor = f.load(advance(f, column(j), dtype, k), dtype)
                _subtract(f, dtype, column(j), factor, column(k), k + 1, m)
        with _each(f, end, n) as j:
            with _each(f, begin, end) as k:
                factor = f.load(advance(f, column(j), dtype, k), dtype)
                _subtract(f, dtype, column(j), factor, column(k), k + 1, end)
            # Where there are fewer columns, there is nothing behind them.
            sources = [column(begin + k) for k in range(_TOGETHER)]
            _subtract_many(f, dtype, column(j), begin, sources, end, m)
    _transpose(f, dtype, (columns, m), (a, lda), n, m)


def _largest(f: Function, dtype: DType, column: str, k: Int, m: Int) -> Int:
    """The first of the largest numbers of a column from row k on; a NaN is none."""
    b, lanes = f.b, 2 * _lanes(dtype)
    index = np.dtype(f"i{dtype.itemsize}")

    def larger(i: Value, most: Value, at: Value) -> list[Value]:
        x = b.absolute(f.load(advance(f, column, dtype, Int(f, i.ref)), dtype, most.lanes))
        here = b.add(*b.spread(b.convert(i, index), b.iota(index, most.lanes)))
        found = b.greater(x, most)
        following = (Int(f, i.ref) + most.lanes).value
        return [following, b.where(found, x, most), b.where(found, here, at)]

    def fits(i: Value, most: Value, at: Value) -> Value:
        return Int(f, i.ref) + (most.lanes - 1) < m

    least, start = b.constant(-1, dtype), b.convert(k.value, index)
    i, most, at = f.repeat([k.value, b.splat(least, lanes), b.splat(start, lanes)], fits, larger)
    best, row = b.lane(most, 0), b.lane(at, 0)
    for number in range(1, lanes):
        x, here = b.lane(most, number), b.lane(at, number)
        earlier = b.bitwise_and(b.equal(x, best), b.less(here, row))
        found = b.bitwise_or(b.greater(x, best), earlier)
        best, row = b.where(found, x, best), b.where(found, here, row)
    i, best, row = f.repeat([i, best, row], fits, larger)
    return Int(f, b.convert(row, INT64).ref)


def _subtract_many(
    f: Function, dtype: DType, target: str, at: Int, sources: Sequence[str], start: Int, end: Int
) -> None:
    """Take multiples of columns off a column, whose elements from ``at`` on say how many."""
    factors = [f.load(advance(f, target, dtype, at + k), dtype) for k in range(len(sources))]

    def body(i: Int, lanes: int) -> None:
        place = advance(f, target, dtype, i)
        x = f.load(place, dtype, lanes)
        for factor, source in zip(factors, sources, strict=True):
            x = _without_product(f, x, factor, f.load(advance(f, source, dtype, i), dtype, lanes))
        f.store(x, place)

    _in_vectors(f, start, end, (2 * _lanes(dtype), 1), body)


# Of each function: its arguments, of which those with a star are memory and those with a stroke
# divided among the tasks, and what it does for a task.
_FUNCTIONS: dict[str, tuple[str, Callable[..., None]]] = {
    "lower": ("n *a lda *x ldx *info", _lower),
    "solve": ("n /columns *a down right divides *b ldb *negated ldn", _solve),
    "across": ("n /columns *a down right divides *b ldb *negated ldn", _across),
    "exchange": ("/columns *a lda first count *pivots", _exchange),
    "panel": ("m n *a lda first *pivots *columns", _panel),
}
_INTEGERS = ("*info", "*pivots")
