"""Functions of LAPACK and BLAS for small matrices, in the conventions of Fortran.

What a library does before it begins takes several times as long as a matrix of three rows. These
do nothing before: they are the loops of the textbook (Golub and Van Loan, "Matrix Computations",
algorithms 3.1.1, 3.1.2 and 3.4.1), and as exact as the library's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from fnad.lowering.llvm.matrix.integers import Int, advance, choose, integer
from fnad.lowering.llvm.matrix.variants import Variant
from fnad.lowering.llvm.target import VECTOR_CODE, Recipe
from fnad.lowering.llvm.writer import BOOL, FLOAT32, FLOAT64, INT64, DType, Function, Module, Value
from fnad.lowering.plan import Routine

# Rows and columns for which they are the faster ones, at most.
_MOST = 16

# Right sides that are solved for at once.
_LANES = (4, 2, 1)

# Arguments that must be 1: the factor of the right sides, the step between pivots.
_ONE = {"trsm": 6, "laswp": 6}

_INT32 = np.dtype(np.int32)
_DTYPES = {"s": FLOAT32, "d": FLOAT64}


def is_small(node: Routine) -> bool:
    """Whether there is a function here for a node's matrices."""
    letter, kind = node.name[0], node.name[1:]
    if letter not in _DTYPES or kind not in _FUNCTIONS:
        return False
    sizes = [node.arguments[i] for i in _FUNCTIONS[kind][1]]
    # A size that is known at a call only is not compared: each answer would be another program.
    if not all(type(x) is int and x <= _MOST for x in sizes):
        return False
    return kind not in _ONE or node.arguments[_ONE[kind]] == 1


def source_of(symbol: str) -> tuple[str, Recipe]:
    """A module with the function of that name, ``fnad.small.<name>``; `own_functions` loads it."""
    name = symbol.rpartition(".")[2]
    module, (parameters, _, write) = Module(), _FUNCTIONS[name[1:]]
    places = [f"ptr %{parameter}" for parameter in parameters.split()]
    f = Function(module, symbol, places, linkage="")
    write(f, _DTYPES[name[0]])
    f.ret()
    module.add(f)
    return module.text(), VECTOR_CODE


def _sizes(f: Function, *names: str) -> list[Int]:
    """What integers the parameters point to."""
    loads = [f.raw(f"load i32, ptr %{name}") for name in names]
    return [Int(f, f.raw(f"sext i32 {x} to i64")) for x in loads]


def _is_letter(f: Function, name: str, letter: str) -> Value:
    capital = f.raw(f"and i8 {f.raw(f'load i8, ptr %{name}')}, {0xDF}")
    return f.value(f"icmp eq i8 {capital}, {ord(letter)}", BOOL)


@contextmanager
def _each(f: Function, start: Int | int, end: Int) -> Iterator[Int]:
    """``for i in range(start, end)``."""
    with f.steps((end - start).value, integer(f, 1).value) as turn:
        yield Int(f, turn.ref) + start


def _without_product(f: Function, total: Value, x: Value, y: Value) -> Value:
    """``total - x * y``."""
    x, y = f.b.spread(f.b.negative(x), y)
    return Variant(total.dtype).multiply_add(f, x, y, total)


def _getrf(f: Function, dtype: DType) -> None:
    """Factors with exchanges of rows; the first row among equals is the pivot's."""
    m, n, lda = _sizes(f, "m", "n", "lda")
    zero = f.b.constant(0, dtype)
    f.store(f.b.constant(0, _INT32), "%info")
    with _each(f, 0, m.up_to(n)) as k:
        column = advance(f, "%a", dtype, k * lda)

        def entry(i: Int, column: str = column) -> str:
            return advance(f, column, dtype, i)

        def larger(i: Value, at: Value, most: Value) -> list[Value]:
            x = f.b.absolute(f.load(entry(Int(f, i.ref)), dtype))
            found = f.b.greater(x, most)
            return [(Int(f, i.ref) + 1).value, f.b.where(found, i, at), f.b.where(found, x, most)]

        first = f.b.absolute(f.load(entry(k), dtype))
        _, at, _ = f.repeat(
            [(k + 1).value, k.value, first], lambda i, *_: Int(f, i.ref) < m, larger
        )
        row = Int(f, at.ref)
        f.store(f.b.convert((row + 1).value, _INT32), f.element("%pivots", _INT32, k.value))
        with f.when(k < row):
            _exchange(f, dtype, n, lda, k, row)
        pivot = f.load(entry(k), dtype)
        regular, singular, after = f.fresh("regular"), f.fresh("singular"), f.fresh("end")
        f.branch(f.b.not_equal(pivot, zero), regular, singular)
        f.label(regular)
        with _each(f, k + 1, m) as i:
            f.store(f.b.divide(f.load(entry(i), dtype), pivot), entry(i))
        f.jump(after)
        f.label(singular)
        old = Int(f, f.raw(f"sext i32 {f.raw('load i32, ptr %info')} to i64"))
        info = choose(old > 0, old, k + 1)
        f.store(f.b.convert(info.value, _INT32), "%info")
        f.jump(after)
        f.label(after)
        with _each(f, k + 1, n) as j:
            other = advance(f, "%a", dtype, j * lda)
            y = f.load(advance(f, other, dtype, k), dtype)
            with _each(f, k + 1, m) as i:
                place = advance(f, other, dtype, i)
                x = f.load(entry(i), dtype)
                f.store(_without_product(f, f.load(place, dtype), x, y), place)


def _exchange(f: Function, dtype: DType, columns: Int, lda: Int, one: Int, other: Int) -> None:
    """Exchange two rows."""
    with _each(f, 0, columns) as j:
        places = [advance(f, "%a", dtype, j * lda + i) for i in (one, other)]
        values = [f.load(place, dtype) for place in places]
        for place, x in zip(places, reversed(values), strict=True):
            f.store(x, place)


def _laswp(f: Function, dtype: DType) -> None:
    """Exchanges of rows, in order."""
    n, lda, first, last = _sizes(f, "n", "lda", "first", "last")
    with _each(f, first - 1, last) as k:
        other = f.load(f.element("%pivots", _INT32, k.value), _INT32)
        row = Int(f, f.b.convert(other, INT64).ref) - 1
        _exchange(f, dtype, n, lda, k, row)


def _trsm(f: Function, dtype: DType) -> None:
    """Triangular systems, by as many right sides at once as lie side by side.

    ``X op(A) = B`` is ``op(A)ᵀ Xᵀ = Bᵀ``: rows and columns of both change places.
    """
    m, n, lda, ldb = _sizes(f, "m", "n", "lda", "ldb")
    left, plain = _is_letter(f, "side", "L"), _is_letter(f, "transposed", "N")
    lower = _is_letter(f, "triangle", "L")
    upright = f.value(f"icmp eq i1 {left.ref}, {plain.ref}", BOOL)
    forwards = f.value(f"icmp eq i1 {upright.ref}, {lower.ref}", BOOL)
    one = integer(f, 1)
    count, sides = choose(left, m, n), choose(left, n, m)
    across = choose(left, ldb, one)
    # In the order in which the unknowns are found: the first one, and the steps to the next ones.
    first, step = choose(forwards, integer(f, 0), count - 1), choose(forwards, one, -1)
    down, right = choose(upright, one, lda) * step, choose(upright, lda, one) * step
    along = choose(left, one, ldb) * step
    a = advance(f, "%a", dtype, first * (lda + 1))
    b = advance(f, "%b", dtype, first * choose(left, one, ldb))
    system = _System(count, a, down, right, along, _is_letter(f, "diagonal", "N"))
    side = integer(f, 0).value
    for lanes in _LANES:
        # One fits wherever it lies, several if they are neighbours.
        last = choose(across.equals(1), sides, 0) if lanes > 1 else sides

        def body(side: Value, lanes: int = lanes) -> list[Value]:
            vector = advance(f, b, dtype, Int(f, side.ref) * across)
            system.solve(f, vector, dtype, lanes)
            return [(Int(f, side.ref) + lanes).value]

        def more(side: Value, lanes: int = lanes, last: Int = last) -> Value:
            return Int(f, side.ref) + (lanes - 1) < last

        [side] = f.repeat([side], more, body)


@dataclass(frozen=True, slots=True)
class _System:
    """A lower triangular system: its size, strides of the matrix and between unknowns."""

    count: Int
    a: str
    down: Int
    right: Int
    along: Int
    divides: Value

    def solve(self, f: Function, vector: str, dtype: DType, lanes: int) -> None:
        """Put the solutions of neighbouring right sides in their place."""
        with _each(f, 0, self.count) as i:
            row = advance(f, self.a, dtype, i * self.down)
            place = advance(f, vector, dtype, i * self.along)

            def rest(k: Value, total: Value) -> list[Value]:
                x = f.load(advance(f, row, dtype, Int(f, k.ref) * self.right), dtype)
                y = f.load(advance(f, vector, dtype, Int(f, k.ref) * self.along), dtype, lanes)
                return [(Int(f, k.ref) + 1).value, _without_product(f, total, x, y)]

            _, total = f.repeat(
                [integer(f, 0).value, f.load(place, dtype, lanes)],
                lambda k, _: Int(f, k.ref) < i,
                rest,
            )
            f.store(total, place)
            with f.when(self.divides):
                pivot = f.load(advance(f, row, dtype, i * self.right), dtype)
                f.store(f.b.divide(*f.b.spread(total, pivot)), place)


# Of each function: its parameters, which of them are sizes, and what it does.
_FUNCTIONS: dict[str, tuple[str, tuple[int, ...], Callable[[Function, DType], None]]] = {
    "getrf": ("m n a lda pivots info", (0, 1), _getrf),
    "laswp": ("n a lda first last pivots step", (0,), _laswp),  # any number of rows
    "trsm": ("side triangle transposed diagonal m n factor a lda b ldb", (4, 5), _trsm),
}
