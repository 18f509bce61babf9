"""Rows for ``fnad/primitives/shape.py``, ``reversal.py`` and ``slicing.py``: elements move."""

import numpy as np

from fnad.testing import Sample
from tests.samples.values import BOOLS, DTYPES, INTS, normal, normal_complex

X = normal(2, 3, 4)
M = normal(2, 3)
Z = normal_complex(2, 3)
FLAGS = X[0, :2] > 0


def broadcast(x, shape, dims, **options):
    return Sample(
        (x,),
        {"shape": shape, "broadcast_dimensions": dims},
        reference=lambda a: np.broadcast_to(
            np.reshape(a, [a.shape[dims.index(i)] if i in dims else 1 for i in range(len(shape))]),
            shape,
        ),
        **options,
    )


def sliced(x, start, limit, strides=None):
    strides = strides or (1,) * len(start)
    index = tuple(slice(*s) for s in zip(start, limit, strides))
    params = {"start_indices": start, "limit_indices": limit, "strides": strides}
    return Sample((x,), params, reference=lambda a: a[index])


def padded(x, value, config):
    def reference(a, v):
        for axis, (low, high, interior) in enumerate(config):
            n = a.shape[axis]
            spread_shape = list(a.shape)
            spread_shape[axis] = max(n + (n - 1) * interior, 0)
            spread = np.full(spread_shape, v, a.dtype)
            at = [slice(None)] * a.ndim
            at[axis] = slice(None, None, interior + 1)
            spread[tuple(at)] = a
            widths = [(0, 0)] * a.ndim
            widths[axis] = (max(low, 0), max(high, 0))
            a = np.pad(spread, widths, constant_values=v)
            at[axis] = slice(max(-low, 0), a.shape[axis] - max(-high, 0))
            a = a[tuple(at)]
        return a

    return Sample((x, value), {"padding_config": config}, reference=reference)


def iota(dtype, shape, dimension):
    def reference():
        column = np.arange(shape[dimension]).astype(dtype)
        return np.broadcast_to(
            column.reshape([-1 if i == dimension else 1 for i in range(len(shape))]), shape
        )

    params = {"dtype": np.dtype(dtype), "shape": shape, "dimension": dimension}
    return Sample((), params, reference=reference)


def joined(dimension, *xs):
    return Sample(xs, {"dimension": dimension}, reference=lambda *a: np.concatenate(a, dimension))


SAMPLES = {
    "broadcast_in_dim": [
        broadcast(np.float64(1.5), (2, 3), ()),
        broadcast(np.float64(1.5), (0, 3), ()),
        broadcast(M, (2, 3), (0, 1)),
        broadcast(M, (4, 2, 5, 3), (1, 3)),
        broadcast(M[:, :1], (2, 3), (0, 1)),
        broadcast(INTS, (2, 7), (1,)),
        broadcast(BOOLS, (3, 2), (0,)),
        broadcast(Z[0], (2, 3), (1,)),
    ],
    "reshape": [
        Sample((x,), {"new_sizes": shape}, reference=lambda a, shape=shape: a.reshape(shape))
        for x, shape in [
            (X, (6, 4)),
            (X, (24,)),
            (X, (2, 1, 12)),
            (M[:1, :1], ()),
            (np.float64(2.0), (1, 1)),
            (INTS, (7, 1)),
            (BOOLS, (3, 1)),
            (Z, (3, 2)),
            (np.zeros((0, 3)), (3, 0)),
        ]
    ],
    "transpose": [
        Sample((x,), {"permutation": p}, reference=lambda a, p=p: a.transpose(p))
        for x, p in [
            (X, (2, 0, 1)),
            (X, (0, 2, 1)),
            (M, (1, 0)),
            (INTS, (0,)),
            (FLAGS, (1, 0)),
            (Z, (1, 0)),
            (np.float64(1.0), ()),
        ]
    ],
    "lay_out": [
        Sample((x,), reference=lambda a: a) for x in (X, M, INTS, FLAGS, Z, np.float64(1.0))
    ],
    "rev": [
        Sample((x,), {"dimensions": d}, reference=lambda a, d=d: np.flip(a, d))
        for x, d in [(X, (0, 2)), (X, ()), (M, (1,)), (INTS, (0,)), (BOOLS, (0,)), (Z, (1,))]
    ],
    "iota": [
        iota(np.int64, (4,), 0),
        iota(np.float32, (2, 3), 1),
        iota(np.float64, (2, 3), 0),
        iota(np.uint8, (0, 3), 1),
        iota(np.float16, (5, 1), 0),
        *(iota(dtype, (4,), 0) for dtype in DTYPES[1:]),
    ],
    "slice": [
        sliced(X, (0, 1, 1), (2, 3, 4)),
        sliced(X, (0, 0, 0), (2, 3, 4), (1, 2, 3)),
        sliced(X, (1, 1, 1), (1, 3, 4)),
        sliced(INTS, (1,), (6,), (2,)),
        sliced(BOOLS, (1,), (3,)),
        sliced(Z, (0, 1), (2, 3)),
    ],
    "pad": [
        padded(M, np.float64(0.5), ((1, 2, 0), (0, 1, 0))),
        padded(M, np.float64(0.5), ((0, 0, 1), (1, 0, 2))),
        padded(M, np.float64(0.5), ((-1, 1, 0), (0, -1, 0))),
        padded(M, np.float64(0.0), ((0, 0, 0), (-1, -1, 1))),
        padded(INTS, np.int64(-1), ((2, 2, 0),)),
        padded(BOOLS, np.bool_(True), ((-1, 2, 1),)),
        padded(Z, np.complex128(0.5 - 2j), ((1, 0, 1), (-1, 2, 0))),
        padded(np.zeros((0, 3)), np.float64(2.0), ((1, 1, 0), (0, 0, 0))),
    ],
    "concatenate": [
        joined(0, M, X[:, :, 0] * 2, M[:1]),
        joined(1, M, M[:, :1]),
        joined(0, INTS, INTS[:2], INTS[:1]),
        joined(0, BOOLS, BOOLS[:2], BOOLS),
        joined(0, M),
        joined(0, M[:0], M),
        joined(1, Z, Z[:, :2] * 1j, Z),
    ],
    "optimization_barrier": [
        Sample(xs, reference=lambda x, y, z: [x, y, z])
        for xs in [(M, INTS, Z), (Z, BOOLS, M), (INTS, Z, BOOLS), (BOOLS, M, INTS)]
    ],
    "ordinary_zeros": [Sample((x,), reference=lambda x: x) for x in (M, INTS, BOOLS, Z)],
    "name": [
        Sample((x,), {"name": "residual"}, reference=lambda x: x) for x in (M, INTS, BOOLS, Z)
    ],
}
