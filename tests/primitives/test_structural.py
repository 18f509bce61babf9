"""The functions for users of the structural primitives, and their errors.

The rules of the primitives are checked from the rows in ``tests/samples``.
"""

import numpy as np
import pytest

import fnad
from fnad.primitives import (
    contraction,
    convolution,
    dynamic_slices,
    indexing,
    reductions,
    reversal,
    shape,
    slicing,
    sorting,
)

X = np.arange(24.0).reshape(2, 3, 4)


def test_shape_functions_match_numpy():
    np.testing.assert_array_equal(shape.broadcast(X, (5,)), np.broadcast_to(X, (5, 2, 3, 4)))
    np.testing.assert_array_equal(shape.expand_dims(X, (0, -1)), np.expand_dims(X, (0, -1)))
    np.testing.assert_array_equal(shape.squeeze(X[:1], (0,)), X[0])
    np.testing.assert_array_equal(shape.collapse(X, 1), X.reshape(2, 12))
    np.testing.assert_array_equal(shape.collapse(X, 0, 2), X.reshape(6, 4))
    np.testing.assert_array_equal(reversal.rev(X, (0, 2)), np.flip(X, (0, 2)))
    for source, destination in [(0, 2), ((0, 1), (1, 0)), (-1, 0), ((2, 0), (0, 1))]:
        np.testing.assert_array_equal(
            shape.moveaxis(X, source, destination), np.moveaxis(X, source, destination)
        )


def test_full_has_the_dtype_of_the_value_or_the_one_given():
    assert shape.full((2,), np.float32(1)).dtype == np.float32
    assert shape.full((2,), 1, np.float16).dtype == np.float16
    assert shape.full((), 3.0) == 3.0
    assert shape.full_like(X, 2).dtype == np.float64
    with pytest.raises(TypeError, match="fill_value must be a scalar"):
        shape.full((2,), np.ones(2))


def test_slicing_functions_match_numpy():
    np.testing.assert_array_equal(slicing.slice_in_dim(X, 1, None, 2, -1), X[..., 1::2])
    np.testing.assert_array_equal(slicing.slice_in_dim(X, -2, -1, axis=1), X[:, -2:-1])
    np.testing.assert_array_equal(slicing.index_in_dim(X, -1, 1, keepdims=False), X[:, -1])
    pieces = slicing.split(X, [1, 3], 2)
    for got, want in zip(pieces, np.split(X, [1], 2), strict=True):
        np.testing.assert_array_equal(got, want)
    with pytest.raises(IndexError, match="out of bounds for axis 1 with size 3"):
        slicing.index_in_dim(X, 3, 1)


def test_dot_and_conv_in_a_preferred_dtype():
    x = (X + 1 / 3).astype(np.float16)
    got = contraction.dot(x[0], x[0].T.copy(), preferred_element_type=np.float32)
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, x[0].astype("f4") @ x[0].T.astype("f4"), rtol=1e-6)
    numbers = (((2,), (2,)), ((0,), (0,)))
    np.testing.assert_allclose(
        contraction.dot(X, X, dimension_numbers=numbers), np.einsum("nik,njk->nij", X, X)
    )
    lhs, rhs = x[None], np.stack([x[:, :2], x[:, 1:]])
    got = convolution.conv_general_dilated(
        lhs, rhs, (1, 1), "SAME", preferred_element_type=np.float64
    )
    want = convolution.conv(lhs.astype("f8"), rhs.astype("f8"), (1, 1), "SAME")
    assert got.dtype == np.float64
    np.testing.assert_array_equal(got, want)


def test_results_do_not_share_a_read_only_broadcast():
    out = shape.broadcast_in_dim(np.float64(1), (3,), ())
    out += 1
    np.testing.assert_array_equal(out, [2, 2, 2])


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: shape.reshape(X, (5, 5)), TypeError, "24 elements, which do not fill"),
        (lambda: shape.transpose(X, (0, 1)), TypeError, "not a permutation of the axes"),
        (lambda: shape.broadcast_in_dim(X, (2, 3), (0, 1)), ValueError, "does not fit into"),
        (lambda: shape.squeeze(X, (0,)), ValueError, "do not all have length 1"),
        (lambda: slicing.slice(X, (0, 0, 0), (9, 3, 4)), TypeError, "do not lie within"),
        (lambda: slicing.pad(X, 0.0, [(0, 0, 0)]), ValueError, "for each axis of the operand"),
        (lambda: slicing.concatenate([X, X[:, :2]], 0), TypeError, "must agree, got shapes"),
        (lambda: slicing.concatenate([X, X.astype("f4")], 0), TypeError, "dtypes differ"),
        (lambda: reductions.reduce_max(X[:0], 0), ValueError, "no identity to return"),
        (lambda: reductions.argmax(X[:0], 0), ValueError, "no elements along axis 0"),
        (lambda: contraction.dot(X[0], X[0]), TypeError, "contracting axes have lengths"),
        (lambda: contraction.dot(X[0], X[0].astype("f4")), TypeError, "must have one dtype"),
        (lambda: indexing.gather(X, np.ones(2)), TypeError, "indices must be integers"),
        (lambda: indexing.scatter(X, X, np.zeros(1, int)), TypeError, "updates must be of type"),
        (
            lambda: dynamic_slices.dynamic_slice(X, (0, 0), (1, 1, 1)),
            TypeError,
            "one start for each",
        ),
        (lambda: sorting.top_k(X, 9), ValueError, "k must be from 0 to 4"),
    ],
)
def test_errors_say_what_does_not_fit(call, error, words):
    with pytest.raises(error, match=words):
        call()


def test_dynamic_slices_stay_inside_and_wrap_negative_starts():
    line = np.arange(6)
    np.testing.assert_array_equal(dynamic_slices.dynamic_slice(line, (5,), (3,)), [3, 4, 5])
    np.testing.assert_array_equal(dynamic_slices.dynamic_slice(line, (-6,), (2,)), [0, 1])
    np.testing.assert_array_equal(dynamic_slices.dynamic_slice(line, np.array([-1]), (2,)), [4, 5])
    assert dynamic_slices.dynamic_index_in_dim(line, 2, keepdims=False) == 2
    np.testing.assert_array_equal(
        dynamic_slices.dynamic_update_index_in_dim(X, np.zeros((2, 4)), 1, 1)[:, 1],
        np.zeros((2, 4)),
    )


def test_gather_never_leaves_the_array():
    line = np.arange(3.0)
    where = np.array([-5, -1, 2, 3, 2**62])
    np.testing.assert_array_equal(
        indexing.gather(line, where, mode="fill"), [np.nan, np.nan, 2, np.nan, np.nan]
    )
    np.testing.assert_array_equal(indexing.gather(line, where, mode="clip"), [0, 0, 2, 2, 2])
    far = np.array([2**64 - 1], np.uint64)
    np.testing.assert_array_equal(indexing.gather(line, far, mode="clip"), [2])
    dropped = indexing.scatter(line, np.full(5, 9.0), where, kind="set", mode="fill")
    np.testing.assert_array_equal(dropped, [0, 1, 9])


def test_compiled_writes_at_indices_beyond_int64():
    line, far = np.arange(3.0), np.uint64(2**64 - 1)
    added = fnad.jit(lambda x, i: indexing.scatter(x, 8.0 * x, i, kind="add", mode="clip"))
    np.testing.assert_array_equal(added(line, np.array([far, 0, far], np.uint64)), [8, 1, 18])
    written = fnad.jit(lambda x, i: dynamic_slices.dynamic_update_slice(x, x[:2] + 5, (i,)))
    np.testing.assert_array_equal(written(line, far), [0, 5, 6])


def test_sort_and_top_k_match_numpy():
    x = np.array([[3.0, np.nan, 1.0, 3.0], [0.0, -0.0, 2.0, -1.0]])
    np.testing.assert_array_equal(sorting.sort(x), np.sort(x))
    np.testing.assert_array_equal(sorting.sort(x, 0), np.sort(x, 0))
    _, places = sorting.sort_key_val(x[0], np.arange(4))
    np.testing.assert_array_equal(places, np.argsort(x[0], kind="stable"))
    values, indices = sorting.top_k(np.array([1, 5, 5, 2]), 3)
    np.testing.assert_array_equal(values, [5, 5, 2])
    np.testing.assert_array_equal(indices, [1, 2, 3])


def test_convolution_layouts_and_groups_agree():
    rng = np.random.default_rng(0)
    x, w = rng.normal(size=(4, 6, 5, 4)), rng.normal(size=(8, 3, 3, 2))
    options = {"window_strides": (2, 1), "padding": "SAME", "feature_group_count": 2}
    want = convolution.conv_general_dilated(x, w, **options)
    got = convolution.conv_general_dilated(
        x.transpose(0, 2, 3, 1),
        w.transpose(2, 3, 1, 0),
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        **options,
    )
    np.testing.assert_allclose(got.transpose(0, 3, 1, 2), want, rtol=1e-12)
    halves = [
        convolution.conv(x[:, 3 * i : 3 * i + 3], w[4 * i : 4 * i + 4], (2, 1), "SAME")
        for i in range(2)
    ]
    np.testing.assert_allclose(want, np.concatenate(halves, 1), rtol=1e-12)
    by_batch = convolution.conv_general_dilated(x[:, :3], w, (1, 1), "VALID", batch_group_count=2)
    parts = [
        convolution.conv(x[2 * i : 2 * i + 2, :3], w[4 * i : 4 * i + 4], (1, 1), "VALID")
        for i in range(2)
    ]
    np.testing.assert_allclose(by_batch, np.concatenate(parts, 1), rtol=1e-12)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (
            lambda x, w: convolution.conv(x, w[:, :1], (1, 1), "SAME"),
            TypeError,
            "has 3 features and rhs of shape",
        ),
        (
            lambda x, w: convolution.conv(x, w, (1,), "SAME"),
            ValueError,
            "one entry for each of the 2 spatial axes",
        ),
        (
            lambda x, w: convolution.conv_general_dilated(
                x, w, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHC")
            ),
            ValueError,
            "must be three strings of 4 letters",
        ),
        (
            lambda x, w: convolution.conv_general_dilated(x, w, (1, 1), "SAME", (2, 1)),
            ValueError,
            "says nothing for a transposed convolution",
        ),
    ],
)
def test_convolution_errors(call, error, words):
    with pytest.raises(error, match=words):
        call(np.ones((2, 3, 5, 4)), np.ones((4, 3, 3, 2)))
