"""Matrix products by cuBLAS, whose matrices have columns that lie dense in memory.

A matrix with dense rows is to cuBLAS a transposed one, and a product into one is that of the
transposed operands the other way round: ``C.T = B.T @ A.T``. Nothing is ever copied for it.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fnad.core.errors import BackendError, InternalError
from fnad.core.types import BFLOAT16
from fnad.lowering.plan import Contraction, Matrix

_INT32_MAX = 2**31 - 1
# cublasMath_t: sums of numbers of 16 bits stay in float32 also between blocks of threads. Without
# more bits float32 is computed as such, not as TF32.
_FLOAT32_SUMS = 16


@dataclass(frozen=True, slots=True)
class Factor:
    """A factor of a call: the left or the right operand, from element ``offset`` on.

    Its columns, or if ``transposed`` its rows, lie dense and ``leading`` elements apart; the
    matrices of a batch lie ``step`` apart.
    """

    side: str
    transposed: bool
    leading: int
    offset: int
    step: int


@dataclass(frozen=True, slots=True)
class Call:
    """``count`` products of ``m`` x ``k`` and ``k`` x ``n``, in cuBLAS's sense of these.

    Columns of results lie ``leading`` elements apart, results ``step``.
    """

    m: int
    n: int
    k: int
    first: Factor
    second: Factor
    offset: int
    leading: int
    step: int
    count: int


def suits(node: Contraction) -> bool:
    """Whether cuBLAS can read and write the matrices where they lie."""
    extents = (node.m, node.k), (node.k, node.n), (node.m, node.n)
    matrices = (node.left, node.right, node.out)
    return all(leading(m, *sizes) is not None for m, sizes in zip(matrices, extents))


def leading(matrix: Matrix, rows: int, columns: int) -> tuple[bool, int] | None:
    """Whether a matrix has dense rows (else dense columns), and how far they are apart."""
    row, column = matrix.strides[-2:]
    for by_row, inner, outer, (length, number) in (
        (True, column, row, (columns, rows)),
        (False, row, column, (rows, columns)),
    ):
        if inner == 1 or length == 1:
            distance = outer if number > 1 else length
            if length <= distance <= _INT32_MAX:
                return by_row, distance
    return None


@functools.lru_cache(maxsize=4096)
def calls_of(node: Contraction) -> tuple[Call, ...]:
    """The calls that compute a product: one batch axis in each, the longest, the others in turn."""
    extents = list(node.batch)
    longest = max(range(len(extents)), key=extents.__getitem__, default=None)
    count = 1 if longest is None else extents[longest]
    outer = [range(extent) for i, extent in enumerate(extents) if i != longest]
    steps = [
        0 if longest is None else m.strides[longest] for m in (node.left, node.right, node.out)
    ]
    calls = []
    for entry in itertools.product(*outer):
        offsets = [_offset(m, entry, longest) for m in (node.left, node.right, node.out)]
        calls.append(_call(node, offsets, steps, count))
    return tuple(calls)


def _offset(matrix: Matrix, entry: Sequence[int], longest: int | None) -> int:
    strides = [s for i, s in enumerate(matrix.strides[:-2]) if i != longest]
    return sum(i * stride for i, stride in zip(entry, strides, strict=True))


def _call(node: Contraction, offsets: Sequence[int], steps: Sequence[int], count: int) -> Call:
    left = leading(node.left, node.m, node.k)
    right = leading(node.right, node.k, node.n)
    out = leading(node.out, node.m, node.n)
    if left is None or right is None or out is None:
        raise InternalError(f"cuBLAS cannot compute {node}")
    by_row, distance = out
    # The result with dense rows is the transposed one: so are its factors, in the other order.
    first, second = (
        Factor(side, place[0] != by_row, place[1], offset, step)
        for side, place, offset, step in zip(("left", "right"), (left, right), offsets, steps)
    )
    m, n = node.m, node.n
    if by_row:
        m, n, first, second = n, m, second, first
    return Call(m, n, node.k, first, second, offsets[2], distance, steps[2], count)


# -- calling ------------------------------------------------------------------------------------


# The names of cublasComputeType_t by `fnad.config.matmul_precision`.
_COMPUTE_TYPES = {
    "float32": "CUBLAS_COMPUTE_32F",
    "tensorfloat32": "CUBLAS_COMPUTE_32F_FAST_TF32",
    "bfloat16": "CUBLAS_COMPUTE_32F_FAST_16BF",
}


def _compute_type(library: Any, given: np.dtype[Any], precision: str) -> int:
    """What cuBLAS computes products of operands of a dtype in."""
    if given == np.float64:
        return int(library.CUBLAS_COMPUTE_64F)
    name = _COMPUTE_TYPES[precision if given == np.float32 else "float32"]
    return int(getattr(library, name))


def product(cupy: Any, node: Contraction, left: int, right: int, out: int, precision: str) -> None:
    """Multiply matrices that begin at the given addresses, on CuPy's current stream."""
    library = _library(cupy)
    handle = cupy.cuda.get_cublas_handle()
    result, given = node.dtype, node.operands or node.dtype
    double = result == np.float64
    one = np.ones((), np.float64 if double else np.float32)
    beta = one if node.accumulate else np.zeros_like(one)
    compute = _compute_type(library, given, precision)
    kinds = [_data_type(cupy, dtype) for dtype in (given, result)]
    bases = {"left": left, "right": right}
    mode = library.getMathMode(handle)
    library.setMathMode(handle, _FLOAT32_SUMS)
    library.setPointerMode(handle, library.CUBLAS_POINTER_MODE_HOST)
    try:
        for call in calls_of(node):
            operands = []
            for factor in (call.first, call.second):
                address = bases[factor.side] + factor.offset * given.itemsize
                operands.append((address, kinds[0], factor.leading, factor.step))
            target = out + call.offset * result.itemsize, kinds[1], call.leading, call.step
            transposed = [int(f.transposed) for f in (call.first, call.second)]
            alone = call.count == 1
            multiply = library.gemmEx if alone else library.gemmStridedBatchedEx
            a, b, c = (x[:3] if alone else x for x in (*operands, target))
            multiply(
                handle,
                *transposed,  # CUBLAS_OP_N is 0, CUBLAS_OP_T is 1
                call.m,
                call.n,
                call.k,
                one.ctypes.data,
                *a,
                *b,
                beta.ctypes.data,
                *c,
                *(() if alone else (call.count,)),
                compute,
                library.CUBLAS_GEMM_DEFAULT,
            )
    finally:
        library.setMathMode(handle, mode)


def _library(cupy: Any) -> Any:
    try:
        return cupy.cuda.cublas
    except ImportError as error:
        raise BackendError(
            f"CuPy does not find cuBLAS ({error}): install the CUDA toolkit, or the package"
            " nvidia-cublas of the CUDA version that CuPy is made for."
        ) from error


def _data_type(cupy: Any, dtype: np.dtype[Any]) -> int:
    """CUDA's number of a dtype."""
    if dtype == BFLOAT16:
        return int(cupy.cuda.runtime.CUDA_R_16BF)
    return int(getattr(cupy.cuda.runtime, f"CUDA_R_{dtype.itemsize * 8}F"))
