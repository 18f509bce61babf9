"""``jit(f, dynamic=...)`` of complex numbers and Fourier transforms."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import scipy.fft

import fnad
import fnad.numpy as fnp
import fnad.scipy.linalg as linalg
from fnad import lax

SIZES = (5, 1, 2, 8, 33, 0)
rng = np.random.default_rng(0)


def array(*shape):
    return rng.standard_normal(shape)


def numbers(*shape, dtype="c16"):
    return (array(*shape) + 1j * array(*shape)).astype(dtype)


def hermitian(*shape):
    x = numbers(*shape, shape[-1])
    return x @ x.conj().swapaxes(-1, -2) + 3 * np.eye(shape[-1])


def compare(function, dynamic, make, sizes=SIZES, rtol=1e-12, programs=3):
    """Compare with evaluation by NumPy, and with a static program for the first size."""
    compiled = fnad.jit(function, dynamic=dynamic)
    for n in sizes:
        args = make(n)
        found = fnad.tree.leaves(compiled(*args))
        for other in (function, fnad.jit(function)) if n == sizes[0] else (function,):
            for a, b in zip(found, fnad.tree.leaves(other(*args)), strict=True):
                assert np.shape(a) == np.shape(b) and a.dtype == b.dtype, n
                scale = np.abs(b).max(initial=1)
                np.testing.assert_allclose(a, b, rtol=rtol, atol=rtol * scale, err_msg=f"n={n}")
    assert 1 <= compiled.num_programs <= programs


def gradient(function):
    return fnad.grad(
        lambda *args: sum(fnp.sum(fnp.sin(abs(y))) for y in fnad.tree.leaves(function(*args)))
    )


def elementwise(x):
    return x * 1j + x.real, abs(x), fnp.exp(x) * fnp.sqrt(x), x.conj() / (x + 2), fnp.angle(x)


FUNCTIONS = {
    "elementwise": (elementwise, "n m", lambda n: (numbers(n, n // 2 + 1),)),
    "gradient": (gradient(elementwise), "n", lambda n: (numbers(n),)),
    "of real numbers": (lambda x: x * 1j + 1, "n m", lambda n: (array(n, 3),)),
    "sums": (lambda x: (fnp.sum(x, 0), fnp.mean(x), fnp.var(x, 1)), "n m",
             lambda n: (numbers(n + 1, n // 2 + 1),)),
    "products of matrices": (lambda x, y: x @ y, ("n k", "k m"),
                             lambda n: (numbers(n, n // 2), numbers(n // 2, 3))),
    "pieces": (lambda x: fnp.concatenate([x, x[::-1].conj()]).reshape(2, -1).T, "n",
               lambda n: (numbers(n),)),
    "sorted": (lambda x: (fnp.sort(x, 0), fnp.cumsum(x, 0)), "n m", lambda n: (numbers(n, 2),)),
    "scan": (lambda x: lax.scan(lambda c, a: (c * a, c), x[0], x), "n _",
             lambda n: (numbers(n + 1, 2),)),
    "convolution": (lambda x, w: lax.conv(x, w, (1, 1), "SAME"), ("n ...", None),
                    lambda n: (numbers(n, 2, 5, 4), numbers(3, 2, 2, 2))),
}  # fmt: skip


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_of_complex_numbers(name):
    compare(*FUNCTIONS[name])


def test_single_precision():
    compare(lambda x: fnp.cos(x) * x, "n", lambda n: (numbers(n, dtype="c8"),), rtol=1e-5)


def test_products_of_many_factors_are_loops():
    compare(lambda x: fnp.prod(x, 0), "n m", lambda n: (numbers(n + 1, 3),), (5, 2, 9, 100))
    compare(
        fnad.grad(lambda x: fnp.sum(fnp.prod(x, 0) + fnp.cumprod(x, 0)[-1])),
        "n m",
        lambda n: (1 + array(n + 1, 3) / 9,),
        (5, 2, 9, 30),
    )
    compare(
        lambda x: lax.associative_scan(lambda a, b: a * b, x, axis=1),
        "n m",
        lambda n: (numbers(2, n + 1),),
        (5, 2, 9, 30),
    )


LINEAR = {
    "cholesky": (fnp.linalg.cholesky, hermitian),
    "inv": (fnp.linalg.inv, hermitian),
    "slogdet": (fnp.linalg.slogdet, hermitian),
    "eigh": (fnp.linalg.eigh, hermitian),
    "qr": (fnp.linalg.qr, lambda *shape: numbers(*shape, shape[-1] // 2 + 1)),
    "svd": (lambda x: fnp.linalg.svd(x, compute_uv=False), hermitian),
    "eig": (fnp.linalg.eig, lambda *shape: array(*shape, shape[-1])),
    "eigvals": (fnp.linalg.eigvals, lambda *shape: numbers(*shape, shape[-1])),
    "schur": (lambda x: linalg.schur(x, "complex"), lambda *shape: numbers(*shape, shape[-1])),
}  # fmt: skip


@pytest.mark.parametrize("name", LINEAR)
def test_linear_algebra(name):
    function, make = LINEAR[name]
    dynamic = "b n m" if name == "qr" else "b n n"
    compare(function, dynamic, lambda n: (make(n % 3 + 1, n),), (5, 1, 8, 0), programs=4)


def test_a_gradient_of_complex_equations():
    derivative = gradient(fnp.linalg.solve)
    compare(derivative, ("n n", "n m"), lambda n: (hermitian(n), numbers(n, 2)), (5, 2, 8))


TRANSFORMS = {
    "fft": (fnp.fft.fft, scipy.fft.fft, numbers),
    "ifft": (fnp.fft.ifft, scipy.fft.ifft, numbers),
    "rfft": (fnp.fft.rfft, scipy.fft.rfft, array),
    "irfft": (fnp.fft.irfft, scipy.fft.irfft, numbers),
    "fft2": (fnp.fft.fft2, scipy.fft.fft2, numbers),
}


@pytest.mark.parametrize("name", TRANSFORMS)
@pytest.mark.parametrize("shape", [(6, 10), (3, 17), (2, 96)])
def test_transforms_of_any_number_of_signals(name, shape):
    function, reference, make = TRANSFORMS[name]
    compiled = fnad.jit(function, dynamic="n ...")
    for n in (5, 1, 2, 33):
        x = make(n, *shape)
        expected = reference(x)
        np.testing.assert_allclose(compiled(x), expected, atol=1e-13 * abs(expected).max())
    assert compiled(make(0, *shape)).shape == (0, *expected.shape[1:])
    assert compiled.num_programs == 1


def test_lanes_behind_the_transformed_axis():
    compiled = fnad.jit(lambda x: fnp.fft.fft(x, axis=0), dynamic="_ n")
    for n in (1, 3, 8, 20, 65):
        x = numbers(48, n)
        np.testing.assert_allclose(compiled(x), np.fft.fft(x, axis=0), atol=1e-12)


def test_gradients_of_transforms():
    compare(gradient(fnp.fft.fft), "n _", lambda n: (numbers(n, 12),), (5, 1, 8), programs=1)
    compare(gradient(fnp.fft.rfft), "n _", lambda n: (array(n, 12),), (5, 1, 8), programs=1)


def test_transforms_of_what_is_cut_to_a_length():
    compiled = fnad.jit(lambda x: fnp.fft.fft(x, 64), dynamic="n")
    for n in (5, 64, 100):
        x = numbers(n)
        np.testing.assert_allclose(compiled(x), np.fft.fft(x, 64), atol=1e-12)


GUARDED = """
import ctypes, mmap
import numpy as np
import fnad, fnad.numpy as fnp
page = mmap.PAGESIZE
memory = mmap.mmap(-1, 5 * page)
whole = np.frombuffer(memory, np.uint8)
protect = ctypes.CDLL(None).mprotect
for place in (0, 4):
    assert protect(ctypes.c_void_p(whole.ctypes.data + place * page), ctypes.c_size_t(page), 0) == 0
functions = [fnp.fft.fft, fnp.fft.irfft, fnp.fft.fft2]
functions += [lambda x: x * 1j + x[..., ::-1], lambda x: x[:, ::2].real]
for f in functions:
    compiled = fnad.jit(f, dynamic="n _")
    for n in (1, 3, 8):
        for start in (page, 4 * page - 16 * 6 * n):
            x = whole[start : start + 16 * 6 * n].view(complex).reshape(n, 6)
            x[:] = np.arange(x.size).reshape(x.shape) * (1 - 2j)
            np.testing.assert_allclose(compiled(x), f(x), atol=1e-12)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="protects pages")
def test_nothing_outside_of_arrays_is_read():
    subprocess.run([sys.executable, "-W", "ignore", "-c", GUARDED], check=True)
