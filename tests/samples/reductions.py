"""Rows for ``fnad/primitives/reductions.py``, cumulative functions and sorting."""

import numpy as np

from fnad.core.types import computing_dtype
from fnad.testing import Sample, roll
from tests.samples.values import BOOLS, INTS, distinct, normal, normal_complex

X = distinct(2, 3, 4)
Z = normal_complex(2, 3)
# Equal real parts, which leave the order to the imaginary ones.
TIES = np.array([[1 + 2j, 1 - 1j, 0.5 + 9j], [1 + 1j, 2 - 5j, 2 - 6j]])
NANS = np.array([[1.0, np.nan, 3.0], [-np.inf, 2.0, np.inf]])
COMPLEX_NANS = np.array(
    [[1.0, complex(np.nan, 1), complex(0, np.nan)], [2j, complex(3, np.nan), complex(-np.inf, 1)]]
)
FLAGS = np.array([[True, False, True], [True, True, True]])
SUM = {"rtol": 1e-11, "atol": 1e-13, "reason": "another order of summation, with cancellation"}


def over_axes(reference, x, choices=((0,), (2,), (0, 2), (0, 1, 2), ()), **options):
    rows = []
    for axes in choices:
        ref = lambda a, axes=axes: reference(a, axis=axes)
        rows.append(Sample((x,), {"axes": axes}, reference=ref, **options))
    return rows


def along_axis(reference, x, name="axis", extra=None, **options):
    return [
        Sample(
            (x,),
            {name: axis, **(extra or {})},
            reference=lambda a, axis=axis: reference(a, axis=axis),
            **options,
        )
        for axis in range(x.ndim)
    ]


def cumulative(reference, x, **options):
    rows = along_axis(reference, x, extra={"reverse": False}, **options)
    rows.append(
        Sample(
            (x,),
            {"axis": 1, "reverse": True},
            reference=lambda a: np.flip(reference(np.flip(a, 1), axis=1), 1),
            **options,
        )
    )
    return rows


def cumlogsumexp(x, axis):
    return np.logaddexp.accumulate(x, axis=axis)


def in_own_dtype(function):
    """NumPy sums small integers in int64, where the primitive keeps their dtype."""
    return lambda x, axis: function(x, axis=axis, dtype=x.dtype)


INDEX = {"index_dtype": np.dtype(np.int64)}
SMALL = {"reference_dtype": False}

SAMPLES = {
    "reduce_sum": [
        *over_axes(in_own_dtype(np.sum), X, **SUM),
        *over_axes(in_own_dtype(np.sum), INTS.reshape(7, 1), ((0,), (0, 1))),
        *over_axes(in_own_dtype(np.sum), Z, ((0,), (0, 1)), **SUM),
        *over_axes(in_own_dtype(np.sum), np.zeros((0, 3)), ((0,), (1,))),
        *over_axes(in_own_dtype(np.sum), NANS, ((0,), (1,)), order=0),
    ],
    "reduce_prod": [
        *over_axes(in_own_dtype(np.prod), normal(2, 3, 4), **SUM),
        *over_axes(
            in_own_dtype(np.prod), np.array([[0.0, 2.0, 3.0], [0.0, 0.0, 1.5]]), ((1,), (0,)), **SUM
        ),
        *over_axes(in_own_dtype(np.prod), INTS[1:5].reshape(2, 2), ((0,), (0, 1))),
        *over_axes(in_own_dtype(np.prod), np.zeros((0, 3)), ((0,),)),
        *over_axes(in_own_dtype(np.prod), Z, ((0,), (0, 1)), **SUM),
    ],
    "reduce_max": [
        *over_axes(np.max, X),
        *over_axes(np.max, INTS, ((0,),)),
        *over_axes(np.max, FLAGS, ((1,),)),
        *over_axes(np.max, NANS, ((1,),), order=0),
        *over_axes(np.max, Z, ((0,), (0, 1))),
        *over_axes(np.max, TIES, ((0,), (1,), (0, 1)), order=0),
        *over_axes(np.max, COMPLEX_NANS, ((1,),), order=0),
    ],
    "reduce_min": [
        *over_axes(np.min, X),
        *over_axes(np.min, INTS, ((0,),)),
        *over_axes(np.min, FLAGS, ((1,),)),
        *over_axes(np.min, NANS, ((1,),), order=0),
        *over_axes(np.min, Z, ((0,), (0, 1))),
        *over_axes(np.min, TIES, ((0,), (1,), (0, 1)), order=0),
        *over_axes(np.min, COMPLEX_NANS, ((1,),), order=0),
    ],
    "reduce_and": [
        *over_axes(np.all, FLAGS, ((0,), (1,), (0, 1), ())),
        *over_axes(np.bitwise_and.reduce, INTS[1:].reshape(2, 3), ((0,), (0, 1))),
        *over_axes(np.bitwise_and.reduce, np.zeros((0, 3), int), ((0,), (1,))),
    ],
    "all_finite": [
        Sample((x,), reference=lambda x: np.isfinite(x).all(), order=0)
        for x in (X, NANS, NANS[0], np.array([np.inf]), COMPLEX_NANS, Z, X[0, 0, 0], X[:0])
    ],
    "reduce_or": [
        *over_axes(np.any, FLAGS, ((0,), (1,), (0, 1), ())),
        *over_axes(np.bitwise_or.reduce, INTS[1:].reshape(2, 3), ((0,), (0, 1))),
        *over_axes(np.bitwise_or.reduce, np.zeros((0, 3), int), ((0,), (1,))),
    ],
    "argmax": [
        *along_axis(np.argmax, X, extra=INDEX),
        *along_axis(np.argmax, NANS, extra=INDEX),
        *along_axis(np.argmax, INTS % 3, extra=INDEX),
        *along_axis(np.argmax, TIES, extra=INDEX),
        *along_axis(np.argmax, COMPLEX_NANS, extra=INDEX),
        *along_axis(np.argmax, BOOLS, extra={"index_dtype": np.dtype(np.int32)}, **SMALL),
    ],
    "argmin": [
        *along_axis(np.argmin, X, extra=INDEX),
        *along_axis(np.argmin, NANS, extra=INDEX),
        *along_axis(np.argmin, INTS % 3, extra=INDEX),
        *along_axis(np.argmin, TIES, extra=INDEX),
        *along_axis(np.argmin, COMPLEX_NANS, extra=INDEX),
        *along_axis(np.argmin, BOOLS, extra={"index_dtype": np.dtype(np.int32)}, **SMALL),
    ],
    "cumsum": [
        *cumulative(in_own_dtype(np.cumsum), X, **SUM),
        *along_axis(in_own_dtype(np.cumsum), INTS, extra={"reverse": False}),
        *cumulative(in_own_dtype(np.cumsum), Z, **SUM),
    ],
    "cumprod": [
        *cumulative(in_own_dtype(np.cumprod), normal(2, 3, 4), **SUM),
        *along_axis(in_own_dtype(np.cumprod), INTS, extra={"reverse": False}),
        *cumulative(in_own_dtype(np.cumprod), Z, **SUM),
    ],
    "cummax": [
        *cumulative(np.maximum.accumulate, X),
        *along_axis(np.maximum.accumulate, INTS, extra={"reverse": False}),
        *along_axis(np.maximum.accumulate, BOOLS, extra={"reverse": False}),
        *cumulative(np.maximum.accumulate, Z),
        *cumulative(np.maximum.accumulate, TIES, order=0),
    ],
    "cummin": [
        *cumulative(np.minimum.accumulate, X),
        *along_axis(np.minimum.accumulate, INTS, extra={"reverse": False}),
        *along_axis(np.minimum.accumulate, BOOLS, extra={"reverse": False}),
        *cumulative(np.minimum.accumulate, Z),
        *cumulative(np.minimum.accumulate, TIES, order=0),
    ],
    "cumlogsumexp": cumulative(cumlogsumexp, normal(2, 3, 4), **SUM),
    "sort": [
        Sample(
            (X,),
            {"dimension": axis, "num_keys": 1, "is_stable": True},
            reference=lambda a, axis=axis: [np.sort(a, axis)],
        )
        for axis in range(3)
    ]
    + [
        Sample(
            (np.array([3.0, np.nan, -1.0, -np.inf, 0.5]),),
            {"dimension": 0, "num_keys": 1, "is_stable": True},
            # NumPy sorts NaN of bfloat16 to the front.
            reference=lambda a: [np.sort(a.astype(computing_dtype(a.dtype))).astype(a.dtype)],
            order=0,
        ),
        *(
            Sample(
                (z,),
                {"dimension": 1, "num_keys": 1, "is_stable": True},
                reference=lambda a: [np.sort(a, 1)],
                order=order,
            )
            for z, order in ((Z, 2), (TIES, 0), (COMPLEX_NANS, 0))
        ),
        Sample(
            (np.array([2, 1, 2, 1, 0]), np.array([1j, 2, 1, 1 + 1j, 0]), np.arange(5)),
            {"dimension": 0, "num_keys": 2, "is_stable": True},
            reference=lambda k, v, i: [a[np.lexsort((v, k))] for a in (k, v, i)],
            vary=roll,
        ),
        Sample(
            (np.array([2, 1, 2, 1, 0]), np.arange(5.0), np.arange(5)),
            {"dimension": 0, "num_keys": 1, "is_stable": True},
            reference=lambda k, v, i: [a[np.argsort(k, kind="stable")] for a in (k, v, i)],
            vary=roll,
        ),
        Sample(
            (np.array([2, 1, 2, 1, 0]), np.array([5.0, 4.0, 3.0, 2.0, 1.0]), np.arange(5)),
            {"dimension": 0, "num_keys": 2, "is_stable": True},
            reference=lambda k, v, i: [a[np.lexsort((v, k))] for a in (k, v, i)],
            vary=roll,
        ),
        # What is carried along may be of any dtype.
        *(
            Sample(
                operands,
                {"dimension": 0, "num_keys": 1, "is_stable": True},
                reference=lambda *xs: [a[np.argsort(xs[0], kind="stable")] for a in xs],
                order=0,
            )
            for operands in [
                (np.array([True, False, True, True, False]), normal(5), np.arange(5) % 2 == 0),
                (np.array([2, 1, 2, 1, 0]), np.arange(5) % 3 == 0, normal_complex(5)),
                (np.array([2.0, 1.0, 2.0, 1.0, 0.0]), np.arange(5), normal(5)),
            ]
        ),
    ],
}
