"""Matrix products: calls of BLAS where it can take the operands, plain loops elsewhere."""

from __future__ import annotations

from dataclasses import dataclass

from fnad.core.errors import InternalError
from fnad.lowering.llvm.writer import (
    FLOAT16,
    FLOAT32,
    FLOAT64,
    INT64,
    DType,
    Function,
    Value,
    constant_text,
    llvm_type,
    suffix,
)

# Below this many multiplications the call of BLAS costs more than the product.
_SMALL = 2000


@dataclass(frozen=True, slots=True)
class MatrixOperand:
    """A stack of matrices in memory: element strides of the batch, row and column axes."""

    pointer: str
    strides: tuple[int, int, int]

    def leading_dimension(self, rows: int, columns: int) -> tuple[bool, int] | None:
        """``(transposed, ld)`` as BLAS wants it for row-major storage, or None if it cannot."""
        _, row, column = self.strides
        if (column == 1 or columns == 1) and (row >= columns or rows == 1):
            return False, max(row if rows > 1 else columns, columns, 1)
        if (row == 1 or rows == 1) and (column >= rows or columns == 1):
            return True, max(column if columns > 1 else rows, rows, 1)
        return None


@dataclass(frozen=True, slots=True)
class Product:
    """``(batch, m, k) x (batch, k, n) -> (batch, m, n)``; rows of the result are contiguous."""

    batch: int
    m: int
    k: int
    n: int
    dtype: DType
    out_dtype: DType
    a: MatrixOperand
    b: MatrixOperand
    out: MatrixOperand


def emit_product(f: Function, p: Product) -> None:
    """Emit a stack of matrix products."""
    if 0 in (p.batch, p.m, p.n):
        return
    a, b = p.a.leading_dimension(p.m, p.k), p.b.leading_dimension(p.k, p.n)
    blas = (
        p.dtype in (FLOAT32, FLOAT64)
        and p.out_dtype == p.dtype
        and p.out.strides[2] == 1
        and p.k > 0
        and a is not None
        and b is not None
        and p.m * p.k * p.n >= _SMALL
        and max(p.m, p.k, p.n, a[1], b[1]) < 2**31
    )
    with f.loop(p.batch) as i:
        a_at = _advance(f, p.a.pointer, p.dtype, i.index, p.a.strides[0])
        b_at = _advance(f, p.b.pointer, p.dtype, i.index, p.b.strides[0])
        out_at = _advance(f, p.out.pointer, p.out_dtype, i.index, p.out.strides[0])
        if not blas:
            _emit_loops(f, p, a_at, b_at, out_at)
        elif p.m == 1 or (p.n == 1 and p.out.strides[1] > 0):
            _emit_gemv(f, p, a_at, b_at, out_at)
        else:
            assert a is not None and b is not None
            _emit_gemm(f, p, a, b, (a_at, b_at, out_at))


def _advance(f: Function, pointer: str, dtype: DType, index: Value, stride: int) -> str:
    if stride == 0:
        return pointer
    return f.element(pointer, dtype, f.b.multiply(index, f.b.constant(stride, INT64)))


# -- BLAS ---------------------------------------------------------------------------------------


def _global_int(f: Function, value: int) -> str:
    """The address of an integer constant: Fortran takes all arguments by reference."""
    if not 0 <= value < 2**31:
        raise InternalError(f"the dimension {value} does not fit BLAS")
    name = f"@fnad.int.{value}"
    f.module.declare(name, f"{name} = private constant i32 {value}")
    return name


def _global_number(f: Function, value: float, dtype: DType) -> str:
    name = f"@fnad.{int(value)}.{suffix(dtype)}"
    text = f"{name} = private constant {llvm_type(dtype)} {constant_text(value, dtype)}"
    f.module.declare(name, text)
    return name


def _global_char(f: Function, char: str) -> str:
    name = f"@fnad.char.{char}"
    f.module.declare(name, f"{name} = private constant i8 {ord(char)}")
    return name


def _call_blas(f: Function, routine: str, dtype: DType, *arguments: str) -> None:
    letter = "s" if dtype == FLOAT32 else "d"
    symbol = f"fnad.blas.{letter}{routine}"
    f.module.declare(
        symbol, f"declare void @{symbol}({', '.join(['ptr'] * len(arguments))}) nounwind"
    )
    f.emit(f"call void @{symbol}({', '.join('ptr ' + a for a in arguments)})")


def _emit_gemm(
    f: Function,
    p: Product,
    a: tuple[bool, int],
    b: tuple[bool, int],
    pointers: tuple[str, str, str],
) -> None:
    """Row-major C = A B is column-major C^T = B^T A^T, so the operands swap places."""
    a_at, b_at, out_at = pointers
    _call_blas(
        f, "gemm", p.dtype,
        _global_char(f, "T" if b[0] else "N"), _global_char(f, "T" if a[0] else "N"),
        _global_int(f, p.n), _global_int(f, p.m), _global_int(f, p.k),
        _global_number(f, 1, p.dtype), b_at, _global_int(f, b[1]), a_at, _global_int(f, a[1]),
        _global_number(f, 0, p.dtype), out_at, _global_int(f, max(p.out.strides[1], p.n)),
    )  # fmt: skip


def _emit_gemv(f: Function, p: Product, a_at: str, b_at: str, out_at: str) -> None:
    """Matrix times vector; for m = 1 the matrix is B^T."""
    if p.n == 1:
        rows, (_, row, column) = p.m, p.a.strides
        matrix, vector, step, out_step = a_at, b_at, p.b.strides[1], max(p.out.strides[1], 1)
    else:
        rows, (_, column, row) = p.n, p.b.strides
        matrix, vector, step, out_step = b_at, a_at, p.a.strides[2], 1
    # The matrix has `rows` rows and k columns with these strides; BLAS stores by columns.
    if column == 1 or p.k == 1:
        flag, height, width, leading = "T", p.k, rows, max(row, p.k)
    else:
        flag, height, width, leading = "N", rows, p.k, max(column, rows)
    _call_blas(
        f, "gemv", p.dtype,
        _global_char(f, flag), _global_int(f, height), _global_int(f, width),
        _global_number(f, 1, p.dtype), matrix, _global_int(f, leading),
        vector, _global_int(f, max(step, 1)),
        _global_number(f, 0, p.dtype), out_at, _global_int(f, out_step),
    )  # fmt: skip


# -- loops --------------------------------------------------------------------------------------


def _emit_loops(f: Function, p: Product, a_at: str, b_at: str, out_at: str) -> None:
    """Rows of the result as sums of rows of B if those are contiguous, else inner products."""
    contiguous = p.b.strides[2] == 1 and p.out.strides[2] == 1 and p.n > 1
    rows = contiguous and p.dtype == p.out_dtype and p.dtype != FLOAT16
    with f.loop(p.m) as i:
        (_emit_row if rows else _emit_inner_products)(f, p, i.index, (a_at, b_at, out_at))


def _at(f: Function, p: Product, pointer: str, strides: tuple[int, int], i: Value, j: Value) -> str:
    b = f.b
    offset = b.add(
        b.multiply(i, b.constant(strides[0], INT64)), b.multiply(j, b.constant(strides[1], INT64))
    )
    return f.element(pointer, p.dtype, offset)


def _emit_row(f: Function, p: Product, i: Value, pointers: tuple[str, str, str]) -> None:
    a_at, b_at, out_at = pointers
    row = _advance(f, out_at, p.dtype, i, p.out.strides[1])
    with f.loop(p.n) as j:
        f.store(f.b.constant(0, p.dtype), f.element(row, p.dtype, j.index))
    if p.k == 0:
        return
    with f.loop(p.k) as k:
        x = f.load(_at(f, p, a_at, p.a.strides[1:], i, k.index), p.dtype)
        with f.loop(p.n) as j:
            y = f.load(_at(f, p, b_at, p.b.strides[1:], k.index, j.index), p.dtype)
            place = f.element(row, p.dtype, j.index)
            f.store(f.b.add(f.load(place, p.dtype), f.b.multiply(x, y)), place)


def _emit_inner_products(f: Function, p: Product, i: Value, pointers: tuple[str, str, str]) -> None:
    a_at, b_at, out_at = pointers
    wide = FLOAT32 if p.out_dtype == FLOAT16 else p.out_dtype
    row = _advance(f, out_at, p.out_dtype, i, p.out.strides[1])
    zero = f.b.constant(0, wide)
    with f.loop(p.n) as j:
        total = _inner_product(f, p, (i, j.index), (a_at, b_at), zero) if p.k else zero
        place = _advance(f, row, p.out_dtype, j.index, p.out.strides[2])
        f.store(f.b.convert(total, p.out_dtype), place)


def _inner_product(
    f: Function, p: Product, ij: tuple[Value, Value], pointers: tuple[str, str], zero: Value
) -> Value:
    (i, j), (a_at, b_at) = ij, pointers
    with f.loop(p.k, [zero]) as k:
        x = f.load(_at(f, p, a_at, p.a.strides[1:], i, k.index), p.dtype)
        y = f.load(_at(f, p, b_at, p.b.strides[1:], k.index, j), p.dtype)
        term = f.b.multiply(f.b.convert(x, zero.dtype), f.b.convert(y, zero.dtype))
        k.carried = [f.b.accumulate("add", k.carried[0], term)]
    return k.carried[0]
