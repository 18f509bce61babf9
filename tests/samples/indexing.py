"""Rows for ``fnad/primitives/indexing.py``: gather, scatter, dynamic slices."""

import numpy as np

from fnad.core.types import computing_dtype, kind_of
from fnad.testing import Sample
from tests.samples.values import BOOLS, INTS, distinct, normal, normal_complex

X = normal(4, 3)
Z = normal_complex(3)
UFUNCS = {"add": np.add, "multiply": np.multiply, "min": np.minimum, "max": np.maximum}
INSIDE = np.array([[2, 0], [3, 2]])
OUTSIDE = np.array([-1, 3, 4, 0, 100])


def fill_value(dtype):
    if kind_of(dtype) in "fc":
        return np.nan
    if dtype.kind == "b":
        return True
    return np.iinfo(dtype).min if dtype.kind == "i" else np.iinfo(dtype).max


def naive_gather(x, indices, mode):
    """Element by element."""
    k = len(indices)
    out = np.empty((*indices[0].shape, *x.shape[k:]), x.dtype)
    for at in np.ndindex(*indices[0].shape):
        where = tuple(int(i[at]) for i in indices)
        inside = all(0 <= w < n for w, n in zip(where, x.shape))
        clipped = tuple(min(max(w, 0), n - 1) for w, n in zip(where, x.shape))
        out[at] = x[clipped] if inside or mode != "fill" else fill_value(x.dtype)
    return out


def naive_scatter(x, updates, indices, kind, mode):
    """Update after update."""
    out = x.astype(computing_dtype(x.dtype))
    for at in np.ndindex(*indices[0].shape):
        where = tuple(int(i[at]) for i in indices)
        if mode == "fill" and not all(0 <= w < n for w, n in zip(where, x.shape)):
            continue
        clipped = tuple(min(max(w, 0), n - 1) for w, n in zip(where, x.shape))
        new = updates[at].astype(out.dtype)
        out[clipped] = new if kind == "set" else UFUNCS[kind](out[clipped], new)
    return out.astype(x.dtype)


def gather(x, *indices, mode="fill", **options):
    indices = tuple(np.asarray(i) for i in indices)
    return Sample(
        (x, *indices),
        {"mode": mode},
        reference=lambda a, *i: naive_gather(a, i, mode),
        **options,
    )


def scatter(x, updates, *indices, kind="set", mode="fill", **options):
    indices = tuple(np.asarray(i) for i in indices)
    return Sample(
        (x, updates, *indices),
        {"kind": kind, "mode": mode},
        reference=lambda a, u, *i: naive_scatter(a, u, i, kind, mode),
        **options,
    )


def place(starts, shape, sizes):
    begins = [min(max(int(s), 0), n - size) for s, n, size in zip(starts, shape, sizes)]
    return tuple(slice(b, b + size) for b, size in zip(begins, sizes))


def dynamic_slice(x, starts, sizes):
    return Sample(
        (x, *starts),
        {"slice_sizes": sizes},
        reference=lambda a, *s: a[place(s, a.shape, sizes)],
    )


def dynamic_update_slice(x, update, starts):
    def reference(a, u, *s):
        out = a.copy()
        out[place(s, a.shape, u.shape)] = u
        return out

    return Sample((x, update, *starts), reference=reference)


# No value is there twice, so that extrema have one winner.
VALUES = distinct(4, 3)
UPDATES = distinct(5, 3) + 0.125
LONG = distinct(21, 2)

SAMPLES = {
    "gather": [
        gather(X, INSIDE),
        gather(X, INSIDE, INSIDE % 3),
        gather(X, np.int64(2)),
        gather(X, OUTSIDE, mode="clip"),
        gather(X, OUTSIDE, mode="promise_in_bounds"),
        gather(X, OUTSIDE, mode="fill", order=0),
        gather(X, np.array([0, 3, 1], np.uint8), np.array([2, 2, 0], np.uint8)),
        gather(X, np.zeros(0, np.int64)),
        gather(INTS, OUTSIDE),
        gather(INTS.astype(np.uint8), OUTSIDE),
        gather(BOOLS, OUTSIDE),
        gather(Z, np.array([2, 0])),
        gather(Z, OUTSIDE, order=0),
    ],
    "lane_value": [
        Sample((x, number), reference=lambda x, number: x[number])
        for x in (X, INTS, BOOLS, Z)
        for number in (np.int64(2), np.int32(0))
    ],
    "scatter": [
        scatter(VALUES, UPDATES[:2], np.array([2, 0])),
        scatter(VALUES, UPDATES[:2, 0], np.array([2, 0]), np.array([1, 1])),
        scatter(VALUES, UPDATES[0], np.int64(3)),
        scatter(VALUES, UPDATES, OUTSIDE),
        scatter(VALUES, UPDATES, OUTSIDE, mode="clip"),
        scatter(VALUES, UPDATES[:3], np.array([1, 1, 2])),
        # Few indices into many places: repeats are found by comparing all with all.
        *(
            scatter(LONG, UPDATES[:4, :2].reshape(2, 2, 2), np.array([[1, 20], [1, 25]]), mode=mode)
            for mode in ("fill", "clip")
        ),
        *(
            scatter(VALUES, UPDATES[0], np.int64(at), kind=kind, mode="fill")
            for kind in ("multiply", "min", "max")
            for at in (1, 7)
        ),
        *(
            scatter(VALUES, UPDATES, np.array(indices), kind=kind, mode=mode)
            for kind in ("add", "multiply", "min", "max")
            for indices, mode in [([0, 1, 1, 3, 1], "fill"), ([-1, 3, 4, 0, 9], "fill")]
        ),
        scatter(VALUES, UPDATES, OUTSIDE, kind="add", mode="clip"),
        scatter(
            VALUES[:, 0], np.array([0.0, 2.0, 0.0, 0.0]), [1, 1, 2, 2], kind="multiply", order=1
        ),
        scatter(VALUES, UPDATES[:0], np.zeros(0, np.int64), kind="add"),
        *(
            scatter(INTS, INTS[:3] * 2, np.array([1, 1, 5]), kind=kind)
            for kind in ("set", "add", "multiply", "min", "max")
        ),
        *(
            scatter(BOOLS, ~BOOLS, np.array([1, 1, 5]), kind=kind)
            for kind in ("set", "add", "multiply", "min", "max")
        ),
        scatter(Z, normal_complex(2), [1, 0]),
        scatter(Z, normal_complex(2), [1, 1], kind="add"),
        *(
            scatter(Z, normal_complex(4), [1, 1, 7, 0], kind=kind)
            for kind in ("multiply", "min", "max")
        ),
    ],
    "dynamic_slice": [
        dynamic_slice(X, (np.int64(1), np.int64(0)), (2, 2)),
        dynamic_slice(X, (np.int32(-5), np.int32(9)), (2, 2)),
        dynamic_slice(X, (np.int64(3), np.int64(1)), (4, 1)),
        dynamic_slice(INTS, (np.uint8(5),), (3,)),
        dynamic_slice(BOOLS, (np.int32(1),), (2,)),
        dynamic_slice(Z, (np.int64(1),), (2,)),
    ],
    "dynamic_update_slice": [
        dynamic_update_slice(X, normal(2, 2), (np.int64(1), np.int64(0))),
        dynamic_update_slice(X, normal(2, 2), (np.int64(-5), np.int64(9))),
        dynamic_update_slice(INTS, INTS[:2], (np.uint8(5),)),
        dynamic_update_slice(BOOLS, ~BOOLS[:2], (np.uint8(1),)),
        dynamic_update_slice(Z, normal_complex(2), (np.int64(1),)),
    ],
}
