"""LAPACK's and BLAS's functions for small matrices, against those of SciPy."""

import ctypes
import itertools

import numpy as np
import pytest
from scipy.linalg import blas, lapack

import fnad
import fnad.numpy as fnp
from fnad.lowering.llvm.own_functions import address_of

DTYPES = ["f4", "f8"]
SHAPES = [(1, 1), (2, 2), (3, 3), (4, 4), (7, 7), (16, 16), (5, 3), (3, 5), (1, 6), (6, 1)]
RTOL = {"f4": 2e-5, "f8": 1e-13}


def call(name, *arguments):
    """A function of the module; numbers and letters are given by reference."""
    memory = [
        x
        if isinstance(x, np.ndarray)
        else np.array(ord(x) if isinstance(x, str) else x, np.uint8 if isinstance(x, str) else "i4")
        for x in arguments
    ]
    function = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * len(memory))
    function(address_of(f"fnad.small.{name}"))(*[x.ctypes.data for x in memory])


def letter(dtype):
    return "s" if dtype == "f4" else "d"


def factored(a):
    m, n = a.shape
    found = a.copy("F")
    pivots, info = np.zeros(min(m, n), "i4"), np.full((), 7, "i4")
    call(f"{letter(a.dtype.str[1:])}getrf", m, n, found, m, pivots, info)
    return found, pivots - 1, int(info)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_factors(shape, dtype, rng):
    a = rng.normal(size=shape).astype(dtype)
    found, pivots, info = factored(a)
    expected, rows, _ = getattr(lapack, f"{letter(dtype)}getrf")(a)
    np.testing.assert_allclose(found, expected, rtol=0, atol=RTOL[dtype] * np.abs(expected).max())
    np.testing.assert_array_equal(pivots, rows)
    assert info == 0


@pytest.mark.parametrize("dtype", DTYPES)
def test_singular_matrices(dtype):
    a = np.array([[1, 2, 3], [2, 4, 6], [1, 1, 1]], dtype)
    for matrix in (a, np.zeros((3, 3), dtype), a[:, [0, 0, 1]]):
        found, pivots, info = factored(matrix)
        expected, rows, state = getattr(lapack, f"{letter(dtype)}getrf")(matrix)
        np.testing.assert_allclose(found, expected, rtol=RTOL[dtype], atol=RTOL[dtype])
        np.testing.assert_array_equal(pivots, rows)
        assert info == state > 0


def test_nan_stays_where_it_matters(rng):
    a = rng.normal(size=(4, 4))
    a[0, 0] = np.nan
    found, pivots, _ = factored(a)
    assert np.isnan(found[1:, 1:]).all()
    assert ((pivots >= np.arange(4)) & (pivots < 4)).all()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(1, 1), (3, 1), (3, 3), (4, 7), (8, 6), (16, 16)], ids=str)
def test_triangular_systems(shape, dtype, rng):
    m, n = shape
    for side, lower, transposed, unit in itertools.product("LR", "UL", "NT", "NU"):
        size = m if side == "L" else n
        a = (rng.normal(size=(size, size)) + 4 * np.eye(size)).astype(dtype)
        a[np.triu_indices(size, 1) if lower == "L" else np.tril_indices(size, -1)] = np.nan
        if unit == "U":
            np.fill_diagonal(a, np.nan)
            a /= 4
        b = rng.normal(size=shape).astype(dtype)
        a, found = a.copy("F"), b.copy("F")
        factor = np.ones((), dtype)
        name = f"{letter(dtype)}trsm"
        call(name, side, lower, transposed, unit, m, n, factor, a, size, found, m)
        flags = side == "R", lower == "L", transposed == "T", unit == "U"
        expected = getattr(blas, name)(1.0, a, b, *map(int, flags))
        np.testing.assert_allclose(
            found, expected, rtol=0, atol=10 * RTOL[dtype] * np.abs(expected).max()
        )


@pytest.mark.parametrize("columns", [1, 3])
def test_exchanges_of_rows(columns, rng):
    a = np.asfortranarray(rng.normal(size=(6, columns)))
    pivots = np.array([3, 2, 6, 4], "i4")  # counted from 1
    found = a.copy("F")
    call("dlaswp", columns, found, 6, 1, 4, pivots, 1)
    np.testing.assert_array_equal(found, lapack.dlaswp(a, pivots - 1))


@pytest.mark.parametrize(("n", "library"), [(16, "small"), (17, "lapack")])
def test_large_matrices_go_to_the_library(n, library, rng):
    text = fnad.jit(fnp.linalg.inv).lower(rng.normal(size=(3, n, n))).as_text("llvm")
    for name in ("dgetrf", "dtrsm"):
        assert f"@fnad.{library}.{name}(" in text
    assert "@fnad.small.dlaswp(" in text  # of single columns: nothing to gain, and nothing to load


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 8, 16])
def test_stacks(n, dtype, rng):
    a = (rng.normal(size=(6, n, n)) + 3 * np.eye(n)).astype(dtype)
    b = rng.normal(size=(6, n, 2)).astype(dtype)
    wide = a.astype("f8")
    limits = {"rtol": 0, "atol": 300 * np.finfo(dtype).eps * np.linalg.cond(wide).max()}
    inv, solve = (
        fnad.jit(lambda a: fnp.linalg.inv(a)),
        fnad.jit(lambda a, b: fnp.linalg.solve(a, b)),
    )
    np.testing.assert_allclose(inv(a), np.linalg.inv(wide), **limits)
    np.testing.assert_allclose(solve(a, b), np.linalg.solve(wide, b), **limits)
