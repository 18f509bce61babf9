"""NumPy's own functions on traced arrays, and what refuses to be traced."""

import numpy as np
import pytest

import fnad
import fnad.numpy as fnp
from fnad.core.errors import TracerArrayConversionError
from tests.numpy.helpers import run_traced

X = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], np.float32)


@pytest.mark.parametrize(
    "function",
    [
        np.sin, lambda x: np.float32(2) * x, lambda x: X + x, lambda x: X @ x.T, lambda x: x @ X.T,
        lambda x: [1, 2, 3] + x,  # noqa: RUF005
        lambda x: np.add.reduce(x), lambda x: np.add.outer(x[0], x[1]),
        lambda x: np.multiply.accumulate(x, axis=1), lambda x: np.where(x > 2, x, 0),
        lambda x: np.concatenate([x, X]), lambda x: np.stack([x, x]), lambda x: np.sum(x, axis=0),
        lambda x: np.linalg.norm(x, axis=1), lambda x: np.einsum("ij->j", x), lambda x: x.T,
        lambda x: np.mean(x), lambda x: np.max(x, axis=1), lambda x: np.reshape(x, (3, 2)),
        lambda x: np.clip(x, 2, 4), lambda x: np.zeros_like(x), lambda x: np.dot(x, X.T),
        lambda x: np.expand_dims(x, 0), lambda x: np.sort(x), lambda x: np.cumsum(x, axis=1),
        lambda x: x.sum(axis=0), lambda x: x.mean(), lambda x: x.var(axis=1), lambda x: x.std(),
        lambda x: x.reshape(-1), lambda x: x.reshape(3, 2), lambda x: x.transpose(1, 0),
        lambda x: x.astype(np.int32), lambda x: x.trace(), lambda x: x.max(axis=1),
        lambda x: np.float64(2) * x, lambda x: x.flatten(), lambda x: x.ravel(), lambda x: x.mT,
        lambda x: np.vstack([x, x]), lambda x: np.tensordot(x, X.T, 1), lambda x: x.argmax(axis=1),
        lambda x: np.maximum(X, x), lambda x: np.arctan2(x, 1.0), lambda x: np.matmul(X, x.T),
        lambda x: sum(row for row in x), lambda x: np.round(x / 3, 1), lambda x: np.pad(x, 1),
    ],
)  # fmt: skip
def test_numpy_functions_trace(function):
    expected = function(X)
    assert_same_enough(run_traced(function, X), expected)


def assert_same_enough(actual, expected):
    assert (actual.dtype, actual.shape) == (expected.dtype, expected.shape)
    np.testing.assert_allclose(actual, expected, rtol=1e-5)


def test_namespace():
    assert run_traced(lambda x: x * (x.__array_namespace__() is fnp), X[0]).all()


def assign(x):
    array = np.zeros(3)
    array[0] = x[0, 0]
    return x


@pytest.mark.parametrize(
    "function, error, words",
    [
        (lambda x: np.array([x[0], x[1]]), TracerArrayConversionError, "fnp.stack"),
        (np.asarray, TracerArrayConversionError, "fnad.numpy"),
        (assign, ValueError, "setting an array element"),
        (lambda x: np.add(X, x, out=np.zeros_like(X)), TypeError, "out="),
        (lambda x: np.add.at(x, 0, 1), TypeError, "fnp.at"),
        (lambda x: np.busday_count(x, x), TypeError, "traced: it would need dates"),
        (lambda x: np.unique(x), TypeError, "size=n"),
        (lambda x: np.divmod.outer(x, x), TypeError, "cannot be traced"),
        (lambda x: np.sum(x, out=np.zeros(())), TypeError, "out="),
        (lambda x: x.sort(), TypeError, "fnp.sort"),
    ],
)  # fmt: skip
def test_what_cannot_be_traced_says_so(function, error, words):
    with pytest.raises(error, match=words):
        run_traced(function, X)


def test_assigning_a_known_traced_value_to_an_array_does_not_cut_the_gradient():
    import fnad

    def function(x):
        array = np.zeros(2)
        array[0] = x
        return float(x) * x

    with pytest.raises(ValueError, match="setting an array element") as raised:
        fnad.grad(function)(2.0)
    assert "fnp.at" in str(raised.value.__cause__)


@pytest.mark.parametrize(
    "call",
    [
        lambda x: np.sum(x, 0, None, None, True),
        lambda x: np.std(x, 0, None, None, 1),
        lambda x: np.histogram(x, 4, None, True)[0],
        lambda x: np.clip(x, 0.5, 1.5),
        lambda x: np.median(x, 0, None, False, True),
        lambda x: np.zeros_like(x, np.int32, "C", True, (2,)),
        lambda x: np.linalg.matrix_rank(x @ x.T, 1e9),
        lambda x: np.linalg.matmul(x, x.T),
        lambda x: np.linalg.pinv(x, 0.1, False),
        lambda x: np.take(x, np.array([0, 9]), 1, None, "clip"),
        lambda x: np.concatenate([x, x], 1, None),
        lambda x: np.einsum("ij->j", x),
    ],
)
def test_arguments_by_position_are_numpys(call):
    x = np.arange(12.0).reshape(3, 4) / 4
    np.testing.assert_allclose(fnad.jit(call)(x), call(x), atol=1e-12)


def test_an_argument_by_position_that_fnad_does_not_take():
    with pytest.raises(TypeError, match="with out="):
        fnad.jit(lambda x: np.sum(x, 0, None, np.zeros(())))(np.ones(3))
