"""``jit(f, dynamic=...)`` of linear algebra: LAPACK takes its sizes when a program is called."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import scipy.linalg

import fnad
import fnad.numpy as fnp
import fnad.scipy.linalg as linalg
from tests.tiers import tiered

SIZES = (5, 1, 2, 8, 0)
rng = np.random.default_rng(0)


def array(*shape, dtype="f8"):
    return rng.standard_normal(shape).astype(dtype)


def definite(*shape, dtype="f8"):
    """Symmetric positive definite matrices."""
    x = array(*shape, shape[-1], dtype=dtype)
    return x @ x.swapaxes(-1, -2) + 3 * np.eye(shape[-1], dtype=dtype)


def tall(*shape):
    *batch, n = shape
    return array(*batch, n, n // 2 + 1)


def compare(function, dynamic, make, sizes=SIZES, rtol=1e-11):
    """Compare with evaluation by NumPy and SciPy, and with a static program for the first size."""
    compiled = fnad.jit(function, dynamic=dynamic)
    for n in sizes:
        args = make(n)
        found = fnad.tree.leaves(compiled(*args))
        for other in (function, fnad.jit(function)) if n == sizes[0] else (function,):
            for a, b in zip(found, fnad.tree.leaves(other(*args)), strict=True):
                assert np.shape(a) == np.shape(b) and a.dtype == b.dtype, n
                scale = np.abs(b).max(initial=1)
                np.testing.assert_allclose(a, b, rtol=rtol, atol=rtol * scale, err_msg=f"n={n}")
    assert 1 <= compiled.num_programs <= 4


FUNCTIONS = {
    "cholesky": (fnp.linalg.cholesky, definite),
    "inv": (fnp.linalg.inv, definite),
    "det": (fnp.linalg.det, definite),
    "slogdet": (fnp.linalg.slogdet, definite),
    "eigh": (fnp.linalg.eigh, definite),
    "eigvalsh": (fnp.linalg.eigvalsh, definite),
    "matrix_power": (lambda x: fnp.linalg.matrix_power(x, 3), definite),
    "qr": (fnp.linalg.qr, tall),
    "svd": (lambda x: fnp.linalg.svd(x, full_matrices=False), tall),
    "singular values": (lambda x: fnp.linalg.svd(x, compute_uv=False), tall),
    "pinv": (fnp.linalg.pinv, tall),
    "rank": (fnp.linalg.matrix_rank, tall),
    "lu": (linalg.lu, tall),
    "schur": (linalg.schur, definite),
    "expm": (lambda x: linalg.expm(x / (1 + x.shape[-1])), definite),
}


@tiered("name", FUNCTIONS, lambda name: name not in ("expm", "schur", "lu", "pinv", "eigvalsh"))
def test_stacks_and_matrices_of_any_size(name):
    function, make = FUNCTIONS[name]
    if name not in ("expm", "schur", "lu"):
        compare(function, "b _ _", lambda n: (make(n, 4),), (5, 1, 0))
    square = make is definite
    compare(function, "n n" if square else "n m", lambda n: (make(n),))
    compare(function, "b n n" if square else "b n m", lambda n: (make(n % 3 + 1, n),), (7, 1))


@tiered(
    "name",
    ["cholesky", "inv", "slogdet", "eigh", "qr", "svd", "pinv"],
    lambda name: name in ("cholesky", "inv", "eigh"),
)
def test_derivatives(name):
    function, make = FUNCTIONS[name]
    summed = lambda x: sum(fnp.sum(fnp.sin(y)) for y in fnad.tree.leaves(function(x)))
    dynamic = "b n n" if make is definite else "b n m"
    compare(fnad.grad(summed), dynamic, lambda n: (make(n % 3 + 1, n),), (5, 2))


SOLVERS = {
    "solve": fnp.linalg.solve,
    "triangular": lambda a, b: linalg.solve_triangular(a, b, lower=True),
    "cholesky": lambda a, b: linalg.cho_solve((linalg.cholesky(a, lower=True), True), b),
}


@pytest.mark.parametrize("name", SOLVERS)
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_equations(name, dtype):
    solve = SOLVERS[name]
    rtol = 1e-4 if dtype == "f4" else 1e-11

    def make(n):
        return definite(n % 3 + 1, n, dtype=dtype), array(n % 3 + 1, n, n // 2, dtype=dtype)

    compare(solve, ("b n n", "b n m"), make, (6, 2, 1, 17), rtol)
    if dtype == "f8":
        derivative = fnad.grad(lambda a, b: fnp.sum(fnp.sin(solve(a, b))), (0, 1))
        compare(derivative, ("b n n", "b n m"), make, (6, 2))


def test_results_are_those_of_scipy():
    compiled = fnad.jit(
        lambda a, b: (fnp.linalg.solve(a, b), fnp.linalg.cholesky(a), fnp.linalg.lstsq(b, a)[0]),
        dynamic=("n n", "n m"),
    )
    for n in (3, 20, 65):
        a, b = definite(n), array(n, n // 2)
        expected = scipy.linalg.solve(a, b), np.linalg.cholesky(a), np.linalg.lstsq(b, a)[0]
        for x, y in zip(compiled(a, b), expected, strict=True):
            np.testing.assert_allclose(x, y, rtol=1e-9, atol=1e-9)
    assert compiled.num_programs == 1


def test_matrices_that_have_no_factors_are_nan():
    compiled = fnad.jit(fnp.linalg.cholesky, dynamic="b n n")
    x = definite(3, 4)
    x[1] = -x[1]
    found = compiled(x)
    assert np.isnan(found[1][np.tril_indices(4)]).all()
    np.testing.assert_allclose(found[::2], np.linalg.cholesky(x[::2]))


def test_a_gaussian_process_for_any_number_of_points():
    def loss(width, x, y):
        k = fnp.exp(-width * (x[:, None] - x) ** 2) + 0.1 * fnp.eye(x.shape[0])
        return y @ fnp.linalg.solve(k, y) / 2 + fnp.linalg.slogdet(k)[1] / 2

    step = fnad.value_and_grad(loss)
    compare(step, (None, "n", "n"), lambda n: (1.3, array(n), array(n)), (5, 1, 2, 40), 1e-9)


def test_results_do_not_depend_on_threads(monkeypatch):
    compiled = fnad.jit(fnp.linalg.eigh, dynamic="b n n")
    x = definite(70, 20)
    found = []
    for threads in (1, 2, 5):
        monkeypatch.setattr(fnad.config, "num_threads", threads)
        found.append(compiled(x))
    for other in found[1:]:
        for a, b in zip(found[0], other, strict=True):
            np.testing.assert_array_equal(a, b)


GUARDED = """
import ctypes, mmap
import numpy as np
import fnad, fnad.numpy as fnp
import fnad.scipy.linalg as linalg
page = mmap.PAGESIZE
memory = mmap.mmap(-1, 5 * page)
whole = np.frombuffer(memory, np.uint8)
protect = ctypes.CDLL(None).mprotect
for place in (0, 4):
    assert protect(ctypes.c_void_p(whole.ctypes.data + place * page), ctypes.c_size_t(page), 0) == 0
for f in (
    fnp.linalg.cholesky,
    lambda x: linalg.solve_triangular(x, x[..., :1], lower=True),
    lambda x: fnp.linalg.qr(x)[1],
    fnp.linalg.det,
):
    compiled = fnad.jit(f, dynamic="b n n")
    for b, n in ((1, 1), (3, 2), (1, 5)):
        for start in (page, 4 * page - 8 * b * n * n):
            x = whole[start : start + 8 * b * n * n].view(np.float64).reshape(b, n, n)
            x[:] = np.arange(x.size).reshape(x.shape) / 100 + 3 * np.eye(n)
            np.testing.assert_allclose(compiled(x), f(x), rtol=1e-12)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="protects pages")
def test_nothing_outside_of_arrays_is_read():
    subprocess.run([sys.executable, "-W", "ignore", "-c", GUARDED], check=True)
