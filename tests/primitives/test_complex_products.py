"""Compiled products of complex matrices with vectors: real ones on the memory of the matrix."""

import numpy as np
import pytest

import fnad
import fnad.numpy as fnp
from fnad.testing import check_grads
from tests.samples.values import normal_complex

A, B = normal_complex(24, 40), normal_complex(24, 40, seed=1)
X, Y = normal_complex(40, seed=2), normal_complex(24, seed=3)
T = normal_complex(5, 6, 24, seed=4)

PRODUCTS = {
    "matrix, vector": lambda: A @ X,
    "vector, matrix": lambda: Y @ A,
    "column": lambda: A @ X[:, None],
    "row": lambda: Y[None] @ A,
    "transposed": lambda: A.T @ Y,
    "adjoint": lambda: A.conj().T @ Y,
    "computed": lambda: (A * B + 1) @ X,
    "every other row and column": lambda: A[:, ::2] @ X[:20],
    "swapped parts": lambda: fnp.asarray(A * 1j) @ X,
    "real parts": lambda: (A.real + 1j * B.imag) @ X,
    "two axes": lambda: fnp.einsum("ijk,jk->i", T.transpose(2, 0, 1), T[..., 0].T.T),
    "last axis": lambda: fnp.einsum("ijk,k->ji", T, Y),
    "first axis": lambda: fnp.einsum("ijk,i->jk", T, Y[:5]),
    "inner axis": lambda: fnp.einsum("ijk,j->ik", T, Y[:6]),
}


@pytest.mark.parametrize("dtype", [np.complex64, np.complex128])
@pytest.mark.parametrize("name", PRODUCTS)
def test_products_with_vectors(name, dtype):
    names = "ABXYT"
    arrays = [globals()[n].astype(dtype) for n in names]
    body = PRODUCTS[name].__code__

    def function(*given):
        scope = dict(globals()) | dict(zip(names, given, strict=True))
        return eval(body, scope)

    want, got = function(*arrays), fnad.jit(function)(*arrays)
    assert got.dtype == want.dtype
    tolerance = 50 * np.finfo(dtype).eps
    np.testing.assert_allclose(got, want, rtol=tolerance, atol=tolerance * 10)
    for order in ("F", "C"):
        laid = [np.asarray(a, order=order) for a in arrays]
        np.testing.assert_allclose(
            fnad.jit(function)(*laid), want, rtol=tolerance, atol=tolerance * 10
        )


def test_the_matrix_is_read_where_it_lies():
    for function, x in ((lambda a, x: a @ x, X), (lambda a, y: y @ a, Y)):
        text = fnad.jit(function).lower(A, x).as_text("simplified")
        product = next(line for line in text.splitlines() if "dot_general" in line)
        assert "a" in product.split("]")[-1].split()  # the first argument itself
    turned = fnad.jit(lambda a, y: a.T @ y).lower(A, Y).as_text("simplified")
    assert "f64[40,24,2] = transpose" in turned


def test_derivatives():
    check_grads(lambda a, x: a @ x, (A, X), order=1)
    check_grads(lambda a, y: y @ a, (A, Y), order=1)
    slope = fnad.jit(fnad.grad(lambda a: fnp.sum(fnp.abs(a @ X) ** 2)))(A)
    np.testing.assert_allclose(slope, 2 * np.conj((A @ X)[:, None] * np.conj(X)), rtol=1e-12)
