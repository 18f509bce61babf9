"""Calls of cuBLAS, by what stands for it: the same products by NumPy from columns in memory."""

import ctypes
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from fnad.core.errors import BackendError, InternalError
from fnad.core.types import BFLOAT16
from fnad.lowering.cuda import cublas
from fnad.lowering.plan import Matrix
from tests.lowering.cuda.multiplying import Operand, assert_close, numbers, product

TYPES = {2: np.dtype("f2"), 14: np.dtype(BFLOAT16), 0: np.dtype("f4"), 1: np.dtype("f8")}
COMPUTE = {68: np.dtype("f4"), 70: np.dtype("f8"), 75: np.dtype("f4"), 77: np.dtype("f4")}


class Library:
    """cuBLAS on the host."""

    CUBLAS_COMPUTE_32F, CUBLAS_COMPUTE_64F = 68, 70
    CUBLAS_COMPUTE_32F_FAST_16BF, CUBLAS_COMPUTE_32F_FAST_TF32 = 75, 77
    CUBLAS_GEMM_DEFAULT, CUBLAS_POINTER_MODE_HOST = -1, 0

    def __init__(self):
        self.mode, self.calls = 3, 0

    def getMathMode(self, handle):  # noqa: N802
        return self.mode

    def setMathMode(self, handle, mode):  # noqa: N802
        self.mode = mode

    def setPointerMode(self, handle, mode):  # noqa: N802
        assert mode == self.CUBLAS_POINTER_MODE_HOST

    def gemmEx(  # noqa: N802
        self, handle, transa, transb, m, n, k, alpha, a, a_type, lda, b, b_type, ldb,
        beta, c, c_type, ldc, compute, algo,
    ):  # fmt: skip
        self.gemmStridedBatchedEx(
            handle, transa, transb, m, n, k, alpha, a, a_type, lda, 0, b, b_type, ldb, 0,
            beta, c, c_type, ldc, 0, 1, compute, algo,
        )  # fmt: skip

    def gemmStridedBatchedEx(  # noqa: N802
        self, handle, transa, transb, m, n, k, alpha, a, a_type, lda, a_step, b, b_type, ldb,
        b_step, beta, c, c_type, ldc, c_step, count, compute, algo,
    ):  # fmt: skip
        assert handle == 7 and self.mode == 16 and algo == self.CUBLAS_GEMM_DEFAULT
        self.calls += 1
        self.compute = compute
        wide = COMPUTE[compute]
        alpha, beta = (columns(p, wide, 1, 1, 1)[0, 0] for p in (alpha, beta))
        for i in range(count):
            x = operand(a, TYPES[a_type], transa, m, k, lda, i * a_step).astype(wide)
            y = operand(b, TYPES[b_type], transb, k, n, ldb, i * b_step).astype(wide)
            z = operand(c, TYPES[c_type], 0, m, n, ldc, i * c_step)
            old = beta * z.astype(wide) if beta else 0
            z[...] = (alpha * (x @ y) + old).astype(z.dtype)


def columns(address, dtype, rows, number, leading, first=0):
    """A matrix of columns that lie ``leading`` elements apart."""
    assert leading >= max(rows, 1)
    address += first * dtype.itemsize
    size = ((number - 1) * leading + rows) * dtype.itemsize
    flat = np.frombuffer((ctypes.c_uint8 * size).from_address(address), np.uint8).view(dtype)
    steps = dtype.itemsize, leading * dtype.itemsize
    return np.lib.stride_tricks.as_strided(flat, (rows, number), steps)


def operand(address, dtype, transposed, rows, number, leading, first):
    if transposed:
        return columns(address, dtype, number, rows, leading, first).T
    return columns(address, dtype, rows, number, leading, first)


def fake_cupy():
    runtime = SimpleNamespace(CUDA_R_16F=2, CUDA_R_16BF=14, CUDA_R_32F=0, CUDA_R_64F=1)
    cuda = SimpleNamespace(runtime=runtime, cublas=Library(), get_cublas_handle=lambda: 7)
    return SimpleNamespace(cuda=cuda)


def multiplied(node, a, b, out, precision="float32", cupy=None):
    """The number of calls that compute a product into an array."""
    cupy = cupy or fake_cupy()
    places = []
    for array, matrix in ((a, node.left), (b, node.right), (out, node.out)):
        places.append(array.ctypes.data + int(matrix.offset.attr) * array.itemsize)
    cublas.product(cupy, node, *places, precision)
    assert cupy.cuda.cublas.mode == 3  # as it was
    return cupy.cuda.cublas.calls


def check(left, right, out=None, dtype="f4", calls=1):
    out = out or Operand((*left.shape[:-1], right.shape[-1]))
    node, a, b, expected = product(left, right, out, dtype)
    assert cublas.suits(node)
    got = np.full(out.size, 77, dtype)
    assert multiplied(node, a, b, got) == calls
    assert_close(out.view(got), expected, left.shape[-1])
    return node, got


@pytest.mark.parametrize("left", [(0, 1), (1, 0)])
@pytest.mark.parametrize("right", [(0, 1), (1, 0)])
@pytest.mark.parametrize("out", [(0, 1), (1, 0)])
@pytest.mark.parametrize("shape", [(5, 7, 3), (1, 7, 3), (5, 1, 3), (5, 7, 1), (1, 1, 1)])
def test_orders(left, right, out, shape):
    m, n, k = shape
    check(Operand((m, k), left), Operand((k, n), right), Operand((m, n), out))


@pytest.mark.parametrize("dtype", ["f2", BFLOAT16, "f4", "f8"], ids=str)
def test_dtypes(dtype):
    check(Operand((5, 9)), Operand((9, 6)), dtype=dtype)


def test_parts_of_larger_arrays():
    place = {"padding": 3, "start": 5}
    _, got = check(
        Operand((5, 9), **place), Operand((9, 6), (1, 0), **place), Operand((5, 6), **place)
    )
    assert (got == 77).sum() == 5 + 5 * 3  # what lies around the result is as it was


def test_batches():
    check(Operand((3, 5, 9)), Operand((3, 9, 6)))
    check(Operand((5, 9)).repeated(0, 3), Operand((3, 9, 6)))
    # Heads between positions and features: a call for each of the shorter axis.
    left, right = Operand((2, 3, 5, 9), (0, 2, 1, 3)), Operand((2, 3, 9, 6), (0, 3, 1, 2))
    check(left, right, Operand((2, 3, 5, 6), (0, 2, 1, 3)), calls=2)


def test_added_to_what_is_there():
    out = Operand((2, 5, 6))
    node, a, b, expected = product(Operand((2, 5, 9)), Operand((2, 9, 6)), out, "f4", True)
    got = numbers(out.size, "f4", 2)
    expected = expected + out.view(got)
    multiplied(node, a, b, got)
    assert_close(out.view(got), expected, 9)


def test_operands_of_another_dtype():
    out = Operand((5, 6))
    node, a, b, expected = product(Operand((5, 9)), Operand((9, 6)), out, "f2")
    node = replace(node, dtype=np.dtype("f4"), operands=np.dtype("f2"))
    got = np.empty(out.size, "f4")
    multiplied(node, a, b, got)
    assert_close(out.view(got), expected, 9)


def test_what_cublas_cannot_read_where_it_lies():
    node = product(Operand((5, 9)), Operand((9, 6)), Operand((5, 6)), "f4")[0]
    for strides in ((18, 2), (0, 1), (8, 1), (2**31, 1)):
        odd = replace(node, left=Matrix(0, node.left.offset, strides))
        assert not cublas.suits(odd)
        with pytest.raises(InternalError):
            cublas.calls_of(odd)


@pytest.mark.parametrize(
    ("dtype", "precision", "compute"),
    [
        ("f4", "float32", 68), ("f4", "tensorfloat32", 77), ("f4", "bfloat16", 75),
        ("f2", "tensorfloat32", 68), ("f8", "bfloat16", 70),
    ],
)  # fmt: skip
def test_precision_is_about_float32(dtype, precision, compute):
    node, a, b, _ = product(Operand((5, 9)), Operand((9, 6)), Operand((5, 6)), dtype)
    cupy = fake_cupy()
    multiplied(node, a, b, np.empty(30, dtype), precision, cupy)
    assert cupy.cuda.cublas.compute == compute


def test_no_library():
    class Cuda:
        def get_cublas_handle(self):
            return 7

        @property
        def cublas(self):
            raise ImportError("libcublas.so.12: no such file")

    node = product(Operand((5, 9)), Operand((9, 6)), Operand((5, 6)), "f4")[0]
    with pytest.raises(BackendError, match="cuBLAS"):
        cublas.product(SimpleNamespace(cuda=Cuda()), node, 0, 0, 0, "float32")
