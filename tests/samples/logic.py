"""Rows for ``fnad/primitives/logic.py``: comparisons, bits, choice, conversion."""

import numpy as np

from fnad.testing import Sample
from tests.samples.values import (
    BOOLS,
    EDGES,
    INTS,
    UINTS,
    binary,
    edge_pairs,
    integers,
    normal,
    normal_complex,
    unary,
)

X = normal(2, 3)
Y = np.where(X > 0, X, normal(2, 3, seed=3))
Z = normal_complex(4)
PRED = np.array([[True, False, True], [False, False, True]])


def comparison(reference):
    rows = [*binary(reference, X, Y), edge_pairs(reference), *integers(reference)]
    rows.append(Sample((BOOLS, BOOLS[::-1].copy()), reference=reference))
    # Equal ones, equal real parts, and others; NaN in either part compares false.
    other = np.array([Z[0], Z[1] + 0.5j, Z[2] - 1, complex(Z[3].real, np.nan)])
    rows.append(Sample((Z, other), reference=reference))
    return rows


def bitwise(reference):
    return [*integers(reference), Sample((BOOLS, ~BOOLS), reference=reference)]


def shifts(reference):
    x = np.array([0, 1, -1, 7, -8, 100, -127])
    return [
        Sample((x.astype(dtype), np.full(7, k, dtype)), reference=reference)
        for dtype in (np.int64, np.int32, np.int8, np.uint8)
        for k in (0, 3, 7, 8)
    ]


def shift_left(x, y):
    return np.where(y < x.dtype.itemsize * 8, np.left_shift(x, y), 0).astype(x.dtype)


def shift_right_logical(x, y):
    unsigned = x.view(f"u{x.dtype.itemsize}")
    shifted = np.right_shift(unsigned, y.astype(unsigned.dtype))
    return np.where(y < x.dtype.itemsize * 8, shifted, 0).astype(unsigned.dtype).view(x.dtype)


def masked(mask, x, y, axes=(0, 1), taken=True, **options):
    params = {"axes": axes[: max(np.ndim(x), np.ndim(y))], "taken": taken}

    def reference(mask, x, y):
        product = x * y
        lanes = np.reshape(mask, [n if i in axes else 1 for i, n in enumerate(product.shape)])
        return np.where(lanes == taken, product, 0).astype(product.dtype)

    return Sample((mask, x, y), params, reference=reference, **options)


def convert(x, dtype, reference=None, **options):
    params = {"new_dtype": np.dtype(dtype), "weak_type": False}
    return Sample((x,), params, reference=reference or (lambda a: a.astype(dtype)), **options)


SATURATED = np.array([1.7, -2.7, 300.0, -300.0, np.nan, np.inf])

SAMPLES = {
    "eq": comparison(np.equal),
    "ne": comparison(np.not_equal),
    "lt": comparison(np.less),
    "le": comparison(np.less_equal),
    "gt": comparison(np.greater),
    "ge": comparison(np.greater_equal),
    "is_finite": unary(np.isfinite, X),
    "and": bitwise(np.bitwise_and),
    "or": bitwise(np.bitwise_or),
    "xor": bitwise(np.bitwise_xor),
    "not": [Sample((a,), reference=np.invert) for a in (INTS, INTS.astype(np.int8), UINTS, BOOLS)],
    "shift_left": shifts(shift_left),
    "shift_right_logical": shifts(shift_right_logical),
    "shift_right_arithmetic": shifts(lambda x, y: np.right_shift(x, y)),
    "select": [
        Sample((PRED, X, Y), reference=np.where),
        Sample((np.bool_(True), X, Y), reference=np.where),
        Sample((PRED, X[0, 0], Y), reference=np.where),
        Sample((PRED, X[0, 0], Y[0, 0]), reference=np.where),
        Sample((PRED, INTS[:6].reshape(2, 3), -INTS[:6].reshape(2, 3)), reference=np.where),
        Sample((BOOLS, BOOLS, ~BOOLS), reference=np.where),
        Sample((BOOLS, Z[:3], 2 * Z[:3]), reference=np.where),
    ],
    "masked_mul": [
        masked(PRED, X, Y),
        masked(PRED, X, Y[0, 0], taken=False),
        masked(np.bool_(True), X[0, 0], Y, axes=()),
        masked(np.bool_(True), X, Y, axes=(), taken=False),
        masked(PRED[:, 0], X, Y, axes=(0,)),
        masked(PRED[0], X, Y, axes=(1,), taken=False),
        masked(PRED[0], normal(2, 3, 4), normal(2, 3, 4, seed=3), axes=(1,)),
        masked(PRED, normal(2, 3, 4), normal(2, 3, 4, seed=3), axes=(0, 1), taken=False),
        masked(PRED[:0], X[:0], Y[:0]),
        masked(BOOLS, Z[:3], 2 * Z[:3]),
        masked(PRED[:, 0], Z.reshape(2, 2), Z.reshape(2, 2), axes=(0,)),
        # What the mask leaves out is zero, whatever it is times what.
        masked(PRED, np.where(PRED, X, np.inf), np.where(PRED, Y, 0), order=0),
    ],
    "convert_element_type": [
        convert(X, np.float64),
        convert(X, np.float32),
        convert(EDGES, np.float16, order=0),
        convert(X, np.complex128),
        convert(Z, np.complex64),
        convert(Z, np.float64, lambda a: a.real.astype(np.float64)),
        convert(Z, np.bool_),
        convert(INTS, np.complex64),
        convert(X * 10, np.int64),
        convert(X * 10, np.bool_),
        convert(INTS, np.float32),
        convert(INTS, np.int8),
        convert(INTS, np.uint8),
        convert(INTS, np.bool_),
        convert(UINTS, np.float16),
        convert(BOOLS, np.float64),
        convert(BOOLS, np.int32),
        convert(SATURATED, np.int8, lambda a: np.array([1, -2, 127, -128, 0, 127], np.int8)),
        convert(SATURATED, np.uint8, lambda a: np.array([1, 0, 255, 0, 0, 255], np.uint8)),
    ],
    "stop_gradient": [
        Sample((X,), order=0, reference=lambda x: x),
        Sample((INTS,), reference=lambda x: x),
        Sample((BOOLS,), reference=lambda x: x),
        Sample((Z,), order=0, reference=lambda x: x),
    ],
}
