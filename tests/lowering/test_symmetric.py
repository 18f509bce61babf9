"""Products of a matrix and its own transpose."""

import re

import numpy as np
import pytest

import fnad
import fnad.numpy as fnp


def gram(a):
    return fnp.matmul(a, fnp.swapaxes(a, -1, -2))


def covariance(a):
    return fnp.matmul(fnp.swapaxes(a, -1, -2), a)


def plan_of(function, x):
    lines = fnad.jit(function).lower(x).as_text("plan").splitlines()
    found = [re.sub(r"\s*#.*", "", line).strip() for line in lines]
    return [line.split(":")[0] for line in found if line.startswith(("contract", "mirror"))]


def test_squares_below_the_diagonal():
    assert plan_of(gram, np.zeros((1003, 300))) == [
        "contract 1 x (500, 500, 300) f64",
        "contract 2 x (250, 250, 300) f64",
        "contract 4 x (125, 125, 300) f64",
        "contract 8 x (125, 125, 300) f64",
        "contract 1 x (3, 1003, 300) f64",
        "mirror 1 times (1003, 1003)",
    ]


def test_what_is_computed_whole():
    assert len(plan_of(gram, np.zeros((100, 1000)))) == 1
    assert len(plan_of(lambda a: a @ a, np.zeros((512, 512)))) == 1
    assert len(plan_of(lambda a: a[:256] @ a[256:].T, np.zeros((512, 512)))) == 1


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8"])
@pytest.mark.parametrize("function", [gram, covariance])
@pytest.mark.parametrize("shape", [(200, 200), (517, 64), (2, 130, 257), (3, 5, 150, 190)])
def test_results(shape, function, dtype):
    x = np.random.default_rng(0).normal(size=shape).astype(dtype)
    got = fnad.jit(function)(x)
    np.testing.assert_array_equal(got, np.swapaxes(got, -1, -2))
    wide = x.astype(np.float64)
    scale = function(np.abs(wide))
    assert np.all(np.abs(got - function(wide)) <= 8 * np.finfo(dtype).eps * scale)


def test_threads_do_not_change_a_bit():
    x = np.random.default_rng(0).normal(size=(333, 200)).astype(np.float32)
    before, results = fnad.config.num_threads, []
    try:
        for threads in (1, 2, 7):
            fnad.config.num_threads = threads
            results.append(fnad.jit(gram)(x))
    finally:
        fnad.config.num_threads = before
    for result in results[1:]:
        np.testing.assert_array_equal(result, results[0])


def test_in_a_loop():
    x = np.random.default_rng(0).normal(size=(150, 200))

    def step(carry, _):
        return carry * 0.5, gram(carry)

    _, got = fnad.jit(lambda a: fnad.lax.scan(step, a, None, length=3))(x)
    want = np.stack([x @ x.T / 4.0**i for i in range(3)])
    np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-12)
