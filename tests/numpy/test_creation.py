"""Ranges of numbers with ends that are traced, against NumPy."""

import numpy as np
import pytest

import fnad
import fnad.numpy as fnp
from fnad.testing import check_grads
from tests.numpy.helpers import assert_same

A, B = np.array([1.0, -2.0]), np.array([[100.0, -3.0], [8.0, -0.5]])


@pytest.mark.parametrize("endpoint", [True, False])
@pytest.mark.parametrize("num", [0, 1, 7])
def test_geomspace(num, endpoint):
    for start, stop in [(1.0, 1000.0), (A, B), (-4.0, -0.5), (1j, 1000j), (1 + 1j, 3 - 2j)]:
        start, stop = np.asarray(start), np.asarray(stop)
        for axis in (0, -1):
            expected = np.geomspace(start, stop, num, endpoint, axis=axis)
            space = lambda a, b, axis=axis: fnp.geomspace(a, b, num, endpoint, axis=axis)
            assert_same(space(start, stop), expected)
        got = fnad.jit(space, static_argnames="axis")(start, stop)
        assert got.dtype == expected.dtype
        np.testing.assert_allclose(got, expected, rtol=1e-12)
    with pytest.raises(ValueError, match="zero"):
        fnp.geomspace(0, 1)


def test_spaces_of_single_precision_and_without_a_step():
    ends = np.float32(1), np.float32(3)
    for space in (fnp.geomspace, fnad.jit(fnp.geomspace, static_argnames="num")):
        assert space(*ends, num=5).dtype == np.geomspace(*ends, num=5).dtype == np.float64
    steps = fnad.jit(lambda a, b: fnp.linspace(a, b, 1, retstep=True)[1])
    assert np.isnan(steps(A, B)) and np.isnan(np.linspace(A, B, 1, retstep=True)[1])


@pytest.mark.parametrize("name", ["linspace", "geomspace", "logspace"])
def test_spaces_of_bfloat16(name):
    first, last = np.array([1, 2], fnp.bfloat16), np.array([4, 8], fnp.bfloat16)
    space = lambda a, b: getattr(fnp, name)(a, b, 3)
    expected = getattr(np, name)(first.astype(float), last.astype(float), 3)
    eager, compiled = space(first, last), fnad.jit(space)(first, last)
    assert eager.dtype == compiled.dtype
    for out in (eager, compiled):
        np.testing.assert_allclose(np.asarray(out).astype(float), expected, rtol=2e-2)


def test_indices_of_no_axes():
    assert_same(fnp.indices(()), np.indices(()))


def test_geomspace_and_its_ends():
    check_grads(lambda a, b: fnp.geomspace(a, b, 5), (A, B))
    space = fnad.jit(lambda a, b: fnp.geomspace(a, b, 9))(A, B)
    np.testing.assert_array_equal(space[0], np.broadcast_to(A, B.shape))
    np.testing.assert_array_equal(space[-1], B)
    for dtype in (np.float32, np.int32):
        space = fnad.jit(fnp.geomspace, static_argnames=("num", "dtype"))
        got = space(np.float64(1), 256, num=9, dtype=dtype)
        np.testing.assert_allclose(got, np.geomspace(1, 256, 9, dtype=dtype), atol=1)
        assert got.dtype == dtype


def test_logspace():
    for axis in (0, 1):
        base = np.array([2.0, 3.0])
        expected = np.logspace(A, 3, 4, base=base, axis=axis)
        for function in (fnp.logspace, fnad.jit(fnp.logspace, static_argnames=("num", "axis"))):
            got = function(A, 3, num=4, base=base, axis=axis)
            np.testing.assert_allclose(got, expected, rtol=1e-14)


def test_linspace_of_integers_rounds_down():
    expected = np.linspace(-3, 5, 6, dtype=int)
    got = fnad.jit(lambda a: fnp.linspace(a, 5, 6, dtype=int))(np.float64(-3))
    np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize("k", [-(10**30), -4, -3, 2, 3, 10**30])
def test_diagonals_far_outside(k):
    near = max(-4, min(k, 4))
    assert_same(fnp.eye(3, 4, k), np.eye(3, 4, near))
    assert_same(fnp.tri(3, 4, k), np.tri(3, 4, near))
    assert_same(fnp.triu(np.ones((3, 4)), k), np.triu(np.ones((3, 4)), near))


def test_open_grids():
    for got, expected in zip(fnp.indices((2, 3), sparse=True), np.indices((2, 3), sparse=True)):
        assert_same(got, expected)


def test_lists_of_traced_arrays_are_arrays():
    def rotation(angle):
        c, s = fnp.cos(angle), fnp.sin(angle)
        return fnp.array([[c, -s, 0], [s, c, 0], [0.0, 0.0, 1.0]])

    for angle in (0.3, np.float32(0.3)):
        c, s = np.cos(angle), np.sin(angle)
        expected = np.array([[c, -s, 0], [s, c, 0], [0.0, 0.0, 1.0]])
        np.testing.assert_allclose(fnad.jit(rotation)(angle), expected, rtol=1e-6, strict=True)
    derivative = fnad.jacfwd(rotation)(0.3)
    np.testing.assert_allclose(derivative[:2, 0], [-np.sin(0.3), np.cos(0.3)])
    rows = fnad.jit(lambda x: fnp.array([x, x + 1, [5, 6, 7]], np.float32))(np.arange(3))
    np.testing.assert_array_equal(rows, np.float32([[0, 1, 2], [1, 2, 3], [5, 6, 7]]), strict=True)
    assert fnad.jit(lambda x: fnp.sum([x, 2 * x]))(3) == 9


def test_lists_of_traced_arrays_of_different_shapes():
    with pytest.raises(ValueError, match=r"one shape .*\(\), \(2,\)"):
        fnad.jit(lambda x: fnp.array([x, x[0]]))(np.ones(2))
