"""Rows for ``fnad/primitives/bits.py``."""

import numpy as np

from fnad.testing import Sample
from tests.samples.values import EDGES, INTS, UINTS, integers, normal


def population_count(x):
    # Of a negative number NumPy counts the bits of the absolute value.
    return np.bitwise_count(x.view(f"u{x.dtype.itemsize}")).astype(x.dtype)


def clz(x):
    bits = 8 * x.dtype.itemsize
    counts = [bits - (int(n) % 2**bits).bit_length() for n in x.ravel()]
    return np.array(counts, x.dtype).reshape(x.shape)


def mulhi(x, y):
    bits = 8 * x.dtype.itemsize
    pairs = zip(*np.broadcast_arrays(x, y), strict=True)
    return np.array([int(a) * int(b) >> bits for a, b in pairs], x.dtype)


def counted(reference):
    edges = [0, 1, 2, 3, 127, 128, 255, 2**15, 2**31, 2**32, 2**62, 2**63 - 1, -1, -2, -(2**63)]
    every = np.array(edges, np.int64)
    dtypes = (np.int8, np.uint8, np.int16, np.uint16, np.int32, np.uint32, np.int64, np.uint64)
    rows = [Sample((every.astype(d),), reference=reference) for d in dtypes]
    return [*rows, Sample((INTS[3],), reference=reference), Sample((UINTS[:0],))]


LARGE = np.array([2**63 - 1, -(2**63), 2**32 + 1, -(2**32) - 1, 2**31, -1, 0, 12345678901234567])


def as_float16(x):
    wide = x.astype(np.float64)
    with np.errstate(over="ignore"):
        y = wide.astype(np.float16)
    return np.where(abs(y) < np.finfo(np.float16).tiny, np.copysign(0, wide), y).astype(x.dtype)


SAMPLES = {
    "bitcast_convert_type": [
        Sample(
            (normal(2, 3),),
            {"new_dtype": np.dtype(np.int64)},
            dtypes=("float64",),
            reference=lambda x: x.view(np.int64),
        ),
        Sample(
            (EDGES,),
            {"new_dtype": np.dtype(np.uint32)},
            dtypes=("float32",),
            reference=lambda x: x.view(np.uint32),
        ),
        Sample(
            (normal(2, 3),),
            {"new_dtype": np.dtype(np.uint16)},
            dtypes=("float16",),
            reference=lambda x: x.view(np.uint16),
        ),
        *(
            Sample(
                (INTS.astype(dtype),),
                {"new_dtype": np.dtype(new)},
                reference=lambda x, new=new: x.view(new),
            )
            for dtype, new in [
                (np.int64, np.float64),
                (np.int32, np.float32),
                (np.int16, np.float16),
                (np.int8, np.uint8),
            ]
        ),
    ],
    "reduce_precision": [
        # The derivative is that of the identity, rounded: no difference quotient tells it.
        Sample(
            (x,),
            {"exponent_bits": 5, "mantissa_bits": 10},
            dtypes=("float32", "float64"),
            order=0,
            reference=as_float16,
        )
        for x in (normal(3, 4), EDGES, normal(50) * 1e5, normal(50) * 1e-4, np.float64(1 / 3))
    ],
    "population_count": counted(population_count),
    "clz": counted(clz),
    "mulhi": [
        *integers(mulhi, np.int8, np.uint8, np.int16, np.uint16, np.int32, np.uint32),
        *(
            Sample((np.repeat(x, 8), np.tile(x, 8)), reference=mulhi)
            for x in (LARGE, LARGE.view(np.uint64))
        ),
    ],
}
