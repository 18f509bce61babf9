"""Products of rows and matrices, as sums of rows; sums of long rows that are in no cache."""

import numpy as np
import pytest

import fnad
import fnad.numpy as fnp

EPS = {"f4": 2.0**-23, "f8": 2.0**-52}


def nodes_of(function, *args):
    lines = fnad.jit(function).lower(*args).as_text("plan").splitlines()
    return [line.split()[0] for line in lines if line.split()[0] in ("contract", "kernel")]


def operands(k, n, dtype="f8"):
    rng = np.random.default_rng(0)
    return rng.normal(size=k).astype(dtype), rng.normal(size=(k, n)).astype(dtype)


def test_which_products_are_sums():
    v, a = operands(100, 200)
    w = np.zeros(200)
    assert nodes_of(lambda v, a: v @ a, v, a) == ["kernel"]
    assert nodes_of(lambda v, a: a.T @ v, v, a) == ["kernel"]
    assert nodes_of(lambda v, a: fnp.tanh(v @ a) + 1, v, a) == ["kernel"]
    assert nodes_of(lambda w, a: a @ w, w, a) == ["contract"]
    assert nodes_of(lambda v, a: v @ a, *operands(10, 20)) == ["contract"]


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("shape", [(64, 64), (1000, 7), (333, 1001), (1001, 2500)])
def test_results(shape, dtype):
    v, a = operands(*shape, dtype)
    wide = [x.astype(np.float64) for x in (v, a)]
    bound = 2 * np.sqrt(shape[0]) * EPS[dtype] * (np.abs(wide[0]) @ np.abs(wide[1]))
    for function in (lambda v, a: v @ a, lambda v, a: a.T @ v, lambda v, a: (v[None] @ a)[0]):
        got = fnad.jit(function)(v, a)
        assert got.dtype == dtype
        assert np.all(np.abs(got - wide[0] @ wide[1]) <= bound)


def test_long_rows_are_added_a_few_at_a_time():
    x = np.random.default_rng(0).normal(size=(1009, 2048))
    text = fnad.jit(lambda a: a.sum(0)).lower(x).as_text("plan")
    assert "[i0<126, i1<2048]" in text and "[i2<8]" in text  # and one row by itself
    np.testing.assert_allclose(fnad.jit(lambda a: a.sum(0))(x), x.sum(0), rtol=0, atol=1e-12)
    np.testing.assert_array_equal(fnad.jit(lambda a: a.max(0))(x), x.max(0))


def test_threads_do_not_change_a_bit():
    v, a = operands(1001, 2500, "f4")
    before, results = fnad.config.num_threads, []
    try:
        for threads in (1, 2, 7):
            fnad.config.num_threads = threads
            results.append(fnad.jit(lambda v, a: v @ a)(v, a))
    finally:
        fnad.config.num_threads = before
    for result in results[1:]:
        np.testing.assert_array_equal(result, results[0])
