"""Rows for contraction, convolution, windows and random bits."""

import functools
import itertools
import math

import numpy as np

from fnad.core.types import is_half
from fnad.primitives.convolution import ConvDimensionNumbers
from fnad.testing import Sample
from tests.samples.values import BOOLS, INTS, normal, normal_complex

SUM = {"rtol": 1e-11, "atol": 1e-12, "reason": "another order of summation, with cancellation"}


def dot(equation, a, b, preferred=None, **options):
    """A row of dot_general from an einsum equation: batch axes, free of a, free of b."""
    (la, lb), out = equation.split("->")[0].split(","), equation.split("->")[1]
    contract = [c for c in la if c in lb and c not in out]
    batch = [c for c in out if c in la and c in lb]
    numbers = tuple(
        (tuple(la.index(c) for c in cs), tuple(lb.index(c) for c in cs)) for cs in (contract, batch)
    )
    params = {"dimension_numbers": numbers, "preferred_element_type": preferred}

    def reference(x, y):
        target = preferred or x.dtype
        inner = np.float32 if is_half(x.dtype) else np.result_type(x.dtype, target)
        return np.einsum(equation, x.astype(inner), y.astype(inner)).astype(target)

    return Sample((a, b), params, reference=reference, **{**SUM, **options})


def masked(row, which, axes, seed=0, taken=True, spoiled=False, wrt=2, shape=None):
    """A row of a masked product, of a row of the product; operand ``which`` has random lanes.

    Those that are not taken must be zero. Derivatives by differences would move these: second
    derivatives of products behind a select test them. Where ``spoiled``, what meets no live lane
    is NaN.
    """
    lanes, other = row.args[which], row.args[1 - which]
    mask = np.random.default_rng(seed).random([lanes.shape[i] for i in axes]) < 0.5
    live = np.expand_dims(mask == taken, [i for i in range(lanes.ndim) if i not in axes])
    lanes = np.where(live, lanes, lanes.dtype.type(0))
    ordered = lambda lanes, other: (lanes, other)[:: 1 - 2 * which]
    given = other
    if spoiled:
        ones = np.broadcast_to(live, lanes.shape).astype(np.float64)
        # An element meets live lanes if the product is other than without it.
        given = other.copy()
        for i in np.ndindex(other.shape):
            one = np.zeros(other.shape)
            one[i] = 1.0
            if not row.reference(*ordered(ones, one)).any():
                given[i] = np.nan
        assert np.isnan(given).any()
    clean = np.where(np.isnan(given), 0, other).astype(other.dtype)

    def reference(mask, x, y):
        return row.reference(*(each.astype(x.dtype) for each in ordered(lanes, clean)))

    slots = [slot for slot in range(3) if slot != wrt]
    params = {"wrt": wrt, "masked": slots[which], "taken": taken, "axes": axes}
    params["shape"] = row.reference(*row.args).shape if shape is None else shape
    operands = (mask, *ordered(lanes, given))
    return Sample(operands, {**row.params, **params}, reference=reference, order=0, **SUM)


def masked_dot(equation, a, b, which, axes, seed=0, taken=True, spoiled=False):
    return masked(dot(equation, a, b), which, axes, seed, taken, spoiled)


@functools.cache
def _products(lhs_shape, rhs_shape, strides, padding, lhs_d, rhs_d, numbers, groups):
    """A convolution by its definition: the shape of its result, and which products it sums up.

    Those are three arrays of places in memory, of elements of the result and of both factors.
    """
    x = np.arange(math.prod(lhs_shape)).reshape(lhs_shape).transpose(numbers.lhs_spec)
    w = np.arange(math.prod(rhs_shape)).reshape(rhs_shape).transpose(numbers.rhs_spec)
    spatial = []
    for i, (lo, hi) in enumerate(padding):
        extent = (x.shape[2 + i] - 1) * lhs_d[i] + 1 + lo + hi
        window = (w.shape[2 + i] - 1) * rhs_d[i] + 1
        spatial.append(max((extent - window) // strides[i] + 1, 0))
    canonical = (x.shape[0], w.shape[0], *spatial)
    shape = tuple(canonical[i] for i in np.argsort(numbers.out_spec))
    out = np.arange(math.prod(shape)).reshape(shape).transpose(numbers.out_spec)
    per_group = w.shape[0] // groups
    found = [np.zeros((3, 0), int)]
    for o in range(w.shape[0]):
        features = slice(o // per_group * w.shape[1], (o // per_group + 1) * w.shape[1])
        for at in np.ndindex(*spatial):
            for k in np.ndindex(*w.shape[2:]):
                inside, source = True, []
                for i in range(len(spatial)):
                    position = at[i] * strides[i] + k[i] * rhs_d[i] - padding[i][0]
                    inside &= position % lhs_d[i] == 0
                    inside &= 0 <= position // lhs_d[i] < x.shape[2 + i]
                    source.append(position // lhs_d[i])
                if inside:
                    results = out[(slice(None), o, *at)][:, None]
                    taken = x[(slice(None), features, *source)]
                    weights = w[(o, slice(None), *k)]
                    found.append(
                        np.stack([a.ravel() for a in np.broadcast_arrays(results, taken, weights)])
                    )
    return shape, np.concatenate(found, axis=1)


def products(lhs_shape, rhs_shape, params):
    return _products(lhs_shape, rhs_shape, *params.values())


def summed(shape, dtype, places, x, x_places, y, y_places):
    """Products of elements of ``x`` and ``y``, each added to an element of the result."""
    wide = np.result_type(dtype, np.float64)
    out = np.zeros(math.prod(shape), wide)
    x, y = x.astype(wide).ravel(), y.astype(wide).ravel()
    np.add.at(out, places, x[x_places] * y[y_places])
    return out.reshape(shape).astype(dtype)


def naive_convolution(lhs, rhs, params):
    """Convolution by its definition."""
    shape, (out, x, w) = products(lhs.shape, rhs.shape, params)
    return summed(shape, lhs.dtype, out, lhs, x, rhs, w)


def convolution(
    lhs, rhs, *, strides=None, padding=None, lhs_d=None, rhs_d=None, numbers=None, groups=1
):
    num = lhs.ndim - 2
    identity = tuple(range(lhs.ndim))
    params = {
        "window_strides": strides or (1,) * num,
        "padding": padding or ((0, 0),) * num,
        "lhs_dilation": lhs_d or (1,) * num,
        "rhs_dilation": rhs_d or (1,) * num,
        "dimension_numbers": ConvDimensionNumbers(*(numbers or (identity,) * 3)),
        "feature_group_count": groups,
    }
    return Sample((lhs, rhs), params, reference=lambda x, w: naive_convolution(x, w, params), **SUM)


def masked_convolution(lhs, rhs, wrt, which, axes, seed=0, taken=True, spoiled=False, **options):
    """A row of masked_conv_general_dilated: the convolution, or its cotangent ``wrt`` a factor."""
    row = convolution(lhs, rhs, **options)
    if wrt == 2:
        return masked(row, which, axes, seed, taken, spoiled)
    own, other = (lhs, rhs)[:: 1 - 2 * wrt]
    _, (out, *factors) = products(lhs.shape, rhs.shape, row.params)

    def reference(x, ct):
        """Each element of a cotangent is what it makes, times what that is worth."""
        return summed(own.shape, x.dtype, factors[wrt], x, factors[1 - wrt], ct, out)

    ct = np.roll(row.reference(lhs, rhs), 1)
    product = Sample((other, ct), row.params, reference=reference, **SUM)
    return masked(product, which, axes, seed, taken, spoiled, wrt, own.shape)


NHWC = ((0, 3, 1, 2), (3, 2, 0, 1), (0, 3, 1, 2))


def windows(x, dimensions, strides, dilation):
    params = {
        "window_dimensions": dimensions,
        "window_strides": strides,
        "window_dilation": dilation,
    }
    return Sample((x,), params, reference=lambda a: naive_windows(a, dimensions, strides, dilation))


def naive_windows(x, dimensions, strides, dilation):
    lead = x.ndim - len(dimensions)
    counts = tuple(
        (n - (k - 1) * d - 1) // s + 1
        for n, k, s, d in zip(x.shape[lead:], dimensions, strides, dilation)
    )
    out = np.empty((*x.shape[:lead], *counts, *dimensions), x.dtype)
    for t, k in itertools.product(np.ndindex(*counts), np.ndindex(*dimensions)):
        source = tuple(a * s + b * d for a, b, s, d in zip(t, k, strides, dilation))
        out[(..., *t, *k)] = x[(..., *source)]
    return out


def folded(shape, lead, dimensions, strides, dilation, make=normal):
    counts = naive_windows(np.zeros((*lead, *shape)), dimensions, strides, dilation).shape
    y = make(*counts)

    def reference(a):
        out = np.zeros((*lead, *shape), a.dtype)
        num = len(shape)
        positions = a.shape[len(lead) : len(lead) + num]
        for t, k in itertools.product(np.ndindex(*positions), np.ndindex(*dimensions)):
            target = tuple(i * s + j * d for i, j, s, d in zip(t, k, strides, dilation))
            out[(..., *target)] += a[(..., *t, *k)]
        return out

    params = {"shape": shape, "window_strides": strides, "window_dilation": dilation}
    return Sample((y,), params, reference=reference, **SUM)


def words(*values):
    return tuple(np.array(v, np.uint32) for v in values)


SAMPLES = {
    "dot_general": [
        dot("ij,jk->ik", normal(3, 4), normal(4, 2)),
        dot("ji,jk->ik", normal(4, 3), normal(4, 2)),
        dot("ij,kj->ik", normal(3, 4), normal(2, 4)),
        dot("i,i->", normal(5), normal(5, seed=1)),
        dot("i,j->ij", normal(3), normal(2)),
        dot("bij,bjk->bik", normal(2, 3, 4), normal(2, 4, 2)),
        dot("ibj,jkb->bik", normal(3, 2, 4), normal(4, 2, 2)),
        dot("ijk,kjl->il", normal(2, 3, 4), normal(4, 3, 2)),
        dot("ij,ij->", normal(2, 3), normal(2, 3, seed=1)),
        dot("b,b->b", normal(4), normal(4, seed=1)),
        dot("ij,jk->ik", np.zeros((3, 0)), np.zeros((0, 2))),
        dot("ij,jk->ik", INTS[:6].reshape(2, 3), INTS[:3].reshape(3, 1)),
        dot("ij,jk->ik", INTS[:6].reshape(2, 3) > 0, INTS[:6].reshape(3, 2) > 1),
        dot("ij,jk->ik", normal_complex(2, 3), normal_complex(3, 2)),
        dot("bij,bkj->bik", normal_complex(2, 2, 3), normal_complex(2, 1, 3)),
        dot(
            "ij,jk->ik",
            normal(3, 4),
            normal(4, 2),
            np.dtype(np.float64),
            dtypes=("float32", "float64"),
        ),
    ],
    "masked_dot_general": [
        masked_dot("ij,jk->ik", normal(3, 4), normal(4, 2), 0, (0, 1)),
        masked_dot("ij,jk->ik", normal(3, 4), normal(4, 2), 0, (1,), spoiled=True),
        masked_dot("ij,jk->ik", normal(3, 4), normal(4, 2), 1, (0, 1), taken=False),
        masked_dot("ji,jk->ik", normal(6, 3), normal(6, 2), 1, (0,), spoiled=True),
        masked_dot("bij,bjk->bik", normal(2, 3, 6), normal(2, 6, 4), 0, (0, 2), 1, spoiled=True),
        masked_dot("ibj,jkb->bik", normal(3, 2, 4), normal(4, 5, 2), 1, (0, 2), spoiled=True),
        masked_dot("ijk,kjl->il", normal(20, 9, 5), normal(5, 9, 11), 0, (1, 2), spoiled=True),
        masked_dot("ijk,kjl->il", normal(20, 9, 5), normal(5, 9, 11), 1, (0, 1, 2)),
        masked_dot("i,j->ij", normal(3), normal(2), 0, ()),
        masked_dot("ij,jk->ik", np.zeros((3, 0)), np.zeros((0, 2)), 0, (0, 1)),
        masked_dot("ij,jk->ik", normal_complex(2, 3), normal_complex(3, 2), 0, (1,), spoiled=True),
        masked_dot("ij,jk->ik", normal_complex(20, 30), normal_complex(30, 9), 1, (0, 1)),
    ],
    "conv_general_dilated": [
        convolution(normal(2, 3, 5, 4), normal(4, 3, 3, 2)),
        convolution(
            normal(1, 2, 5, 5), normal(3, 2, 3, 3), strides=(2, 1), padding=((1, 1), (2, 0))
        ),
        convolution(
            normal(1, 2, 4, 3),
            normal(2, 2, 2, 2),
            lhs_d=(2, 1),
            rhs_d=(1, 2),
            padding=((1, 0), (1, 2)),
        ),
        convolution(normal(2, 5, 5, 2), normal(3, 3, 2, 3), numbers=NHWC, padding=((1, 1), (1, 1))),
        convolution(normal(2, 4, 6), normal(6, 2, 3), groups=2, strides=(2,)),
        convolution(normal(1, 4, 4, 4), normal(4, 1, 2, 2), groups=4, padding=((-1, 1), (0, 0))),
        convolution(normal(1, 2, 3, 3, 3), normal(2, 2, 2, 2, 2)),
        convolution(np.arange(20).reshape(2, 2, 5) % 5, np.arange(12).reshape(3, 2, 2) % 3),
        convolution(normal_complex(2, 2, 5), normal_complex(2, 1, 3), groups=2, padding=((1, 0),)),
    ],
    "masked_conv_general_dilated": [
        masked_convolution(normal(2, 2, 4), normal(3, 2, 2), 2, 0, (1, 2), spoiled=True),
        masked_convolution(normal(2, 2, 4), normal(3, 2, 2), 2, 1, (0, 1, 2), taken=False),
        masked_convolution(normal(2, 2, 4), normal(2, 2, 2), 1, 1, (0, 1, 2), spoiled=True),
        masked_convolution(normal(2, 2, 4), normal(3, 2, 2), 1, 0, (1, 2)),
        masked_convolution(normal(1, 2, 4), normal(3, 2, 2), 0, 1, (0, 1, 2), 4, spoiled=True),
        masked_convolution(normal(2, 2, 4), normal(3, 2, 2), 0, 0, (1,), taken=False),
        *(
            masked_convolution(
                normal(2, 4, 3, 3),
                normal(4, 2, 2, 2),
                wrt,
                which,
                (0, 2, 3),
                spoiled=True,
                groups=2,
                strides=(2, 1),
                padding=((1, 0), (2, -1)),
                lhs_d=(1, 2),
                rhs_d=(2, 1),
            )
            for wrt in range(3)
            for which in range(2)
        ),
        *(
            masked_convolution(
                normal(1, 3, 4, 2),
                normal(2, 3, 2, 2),
                wrt,
                1,
                (0, 3),
                1,
                spoiled=True,
                numbers=NHWC,
            )
            for wrt in range(3)
        ),
        masked_convolution(normal_complex(1, 2, 4), normal_complex(2, 2, 2), 1, 1, (0, 1, 2)),
        masked_convolution(normal_complex(1, 2, 4), normal_complex(2, 2, 2), 2, 0, (0, 2)),
    ],
    "windows": [
        windows(normal(2, 6), (3,), (1,), (1,)),
        windows(normal(2, 5, 6), (2, 3), (2, 1), (1, 2)),
        windows(INTS, (2,), (3,), (1,)),
        windows(BOOLS, (2,), (1,), (1,)),
        windows(normal_complex(5), (2,), (1,), (2,)),
    ],
    "fold": [
        folded((6,), (2,), (3,), (1,), (1,)),
        folded((5, 6), (2,), (2, 3), (2, 1), (1, 2)),
        folded((7,), (), (2,), (3,), (1,)),
        folded((5,), (), (2,), (1,), (2,), normal_complex),
        *(
            folded((5,), (), (2,), (1,), (2,), lambda *shape, d=d: (np.ones(shape) * 9).astype(d))
            for d in (np.int64, np.bool_)
        ),
    ],
    # Known answers published with the Random123 library.
    "threefry2x32": [
        Sample(words(0, 0, 0, 0), reference=lambda *_: words(0x6B200159, 0x99BA4EFE)),
        Sample(words(*[0xFFFFFFFF] * 4), reference=lambda *_: words(0x1CB996FC, 0xBB002BE7)),
        Sample(
            words(0x13198A2E, 0x03707344, [0x243F6A88] * 2, [0x85A308D3] * 2),
            reference=lambda *_: words([0xC4923A9C] * 2, [0x483DF7A0] * 2),
        ),
    ],
}
