"""Shapes and dtypes known beforehand, against jax.lax and against what the functions give."""

import itertools

import numpy as np
import pytest

import fnad
from fnad import lax

jl = pytest.importorskip("jax").lax

LAYOUTS = [("NHWC", "HWIO", "NHWC"), ("NCHW", "OIHW", "NCHW"), ("CNWH", "WOIH", "HWCN")]


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("padding", ["SAME", "VALID", ((1, 2), (0, 3))])
@pytest.mark.parametrize("strides", [(1, 1), (2, 3), (4, 1)])
def test_shapes_of_convolutions(layout, padding, strides):
    sizes = {"N": 2, "C": 4, "H": 7, "W": 6}, {"O": 5, "I": 4, "H": 3, "W": 2}
    lhs, rhs = (tuple(n[c] for c in spec) for n, spec in zip(sizes, layout))
    options = strides, padding
    got = lax.conv_general_shape_tuple(lhs, rhs, *options, layout)
    x, w = np.ones(lhs, np.float32), np.ones(rhs, np.float32)
    assert got == lax.conv_general_dilated(x, w, *options, dimension_numbers=layout).shape
    got = lax.conv_transpose_shape_tuple(lhs, rhs, *options, layout)
    assert got == lax.conv_transpose(x, w, *options, dimension_numbers=layout).shape
    assert lax.conv_general_permutations(layout) == jl.conv_general_permutations(layout)


def test_conv_shape_tuple():
    for padding, groups in itertools.product(["SAME", "VALID", ((1, 2), (0, 3))], [1, 2]):
        args = (4, 3, 8, 9), (6, 3, 3, 2), (2, 3), padding, groups
        assert lax.conv_shape_tuple(*args) == tuple(jl.conv_shape_tuple(*args))
    with pytest.raises(ValueError, match="must divide the batch 4"):
        lax.conv_shape_tuple((4, 3, 8), (6, 3, 3), (1,), "SAME", 3)
    with pytest.raises(ValueError, match="two axes more than strides"):
        lax.conv_shape_tuple((4, 3, 8), (6, 3, 3), (1, 1), "SAME")


@pytest.mark.parametrize("padding", ["SAME", "SAME_LOWER", "VALID"])
def test_padtype_to_pads(padding):
    args = np.array([5, 4, 7]), np.array([2, 3, 1]), np.array([1, 2, 3]), padding
    assert lax.padtype_to_pads(*args) == [tuple(p) for p in jl.padtype_to_pads(*args)]


def test_reduce_window_shape_tuple():
    for base, holes in [(None, None), ((2, 1), (1, 3))]:
        args = (8, 9), (2, 3), (3, 1), ((1, 0), (2, 2)), base, holes
        assert lax.reduce_window_shape_tuple(*args) == tuple(jl.reduce_window_shape_tuple(*args))


def test_dtype():
    assert lax.dtype(np.ones(2, np.float32)) == np.float32
    assert lax.dtype(1.0) == np.float64
    assert lax.dtype(np.int8) == lax.dtype("int8") == np.int8
    seen = []
    fnad.jit(lambda x: seen.append(lax.dtype(x)) or x)(np.float16(1))
    assert seen[0] == np.float16
