"""Linear maps with a transpose of their own."""

import numpy as np
import pytest

import fnad
import fnad.numpy as fnp
from fnad.primitives.custom.linear_call import linear_call
from fnad.testing import check_grads
from tests.samples.values import normal, normal_complex

A, X = normal(3, 2), normal(2)


def product(a, x):
    return linear_call(lambda x: a @ x, lambda ct: a.T @ ct, x)


def test_values_and_derivatives():
    for f in (product, fnad.jit(product)):
        np.testing.assert_allclose(f(A, X), A @ X)
    check_grads(product, (A, X), order=3)
    loss = lambda a, x: fnp.sum(fnp.sin(product(a, x)))
    plain = lambda a, x: fnp.sum(fnp.sin(a @ x))
    for argnum in (0, 1):
        got = fnad.jit(fnad.hessian(loss, argnum))(A, X)
        np.testing.assert_allclose(got, fnad.hessian(plain, argnum)(A, X), atol=1e-14)


def test_the_transpose_is_the_given_one():
    doubled = lambda x: linear_call(lambda x: 2 * x, lambda ct: 3 * ct, x)
    assert fnad.grad(doubled)(1.0) == 3
    assert fnad.jvp(doubled, (1.0,), (1.0,))[1] == 2
    assert fnad.jvp(fnad.grad(lambda x: doubled(x) ** 2 / 2), (1.0,), (1.0,))[1] == 6
    back = fnad.linear_transpose(doubled, 1.0)
    assert fnad.linear_transpose(lambda ct: back(ct)[0], 1.0)(1.0)[0] == 2


@pytest.mark.parametrize("axes", [(0, None), (None, 0), (0, 0)])
def test_batches(axes):
    given = [x if axis is None else np.stack([x, 2 * x, x - 1]) for x, axis in zip((A, X), axes)]
    for run in (product, fnad.grad(lambda a, x: fnp.sum(product(a, x) ** 2), (0, 1))):
        got = fnad.jit(fnad.vmap(run, axes))(*given)
        for i in range(3):
            each = run(*(x if axis is None else x[i] for x, axis in zip(given, axes)))
            one = fnad.tree.map(lambda x, i=i: x[i], got)
            fnad.tree.map(lambda x, y: np.testing.assert_allclose(x, y), one, each)


def test_complex_numbers():
    a, x = normal_complex(3, 2), normal_complex(2)
    loss = lambda f: lambda a, x: fnp.sum(fnp.abs(f(a, x)) ** 2)
    for i in (0, 1):
        got = fnad.jit(fnad.grad(loss(product), i))(a, x)
        np.testing.assert_allclose(got, fnad.grad(loss(fnp.matmul), i)(a, x))


def test_a_transpose_of_another_type_is_refused():
    with pytest.raises(TypeError, match="linear_call: what transpose returns must be like x"):
        linear_call(lambda x: A @ x, lambda ct: ct, X)
