"""Profiles name the nodes of a plan, with their times, bytes and operations."""

import time

import numpy as np

import fnad
import fnad.numpy as fnp


def profile(f, *args, **options):
    return fnad.jit(f).lower(*args).compile().profile(*args, **options)


def test_products_and_kernels_are_counted():
    a, b = np.ones((2, 300, 300), np.float32)
    nodes = profile(lambda a, b: np.sort(a @ b, axis=1), a, b)
    product, sort = nodes
    assert product.description == "product 300x300x300 f32"
    assert product.operations == 2 * 300**3
    assert product.num_bytes == 3 * 300 * 300 * 4
    assert sort.description.startswith("sort")
    assert "test_profiling.py" in product.origin


def test_bytes_of_a_kernel_that_reads_a_part():
    table = np.ones((10_000, 8), np.float32)
    (gather,) = profile(lambda t, i: t[i], table, np.arange(5))
    assert gather.num_bytes == 5 * 8 * 4 * 2 + 5 * 8  # elements read and written; indices


def test_operations_of_reductions_and_loops():
    x = np.ones((64, 1000), np.float32)
    (total,) = profile(lambda x: (x * x).sum(axis=1), x)
    assert total.operations >= 2 * x.size
    y = np.ones((5000, 16))
    loop = profile(lambda y: fnad.lax.scan(lambda c, r: (np.sort(c + r), None), y[0], y)[0], y)[-1]
    assert loop.description.startswith("for 5000")
    assert loop.operations >= y.size


def test_times_are_those_of_the_run():
    x = np.ones((1000, 1000))

    def f(x):
        return fnp.exp(np.sort(x, axis=1))

    nodes = profile(f, x, repeats=3)
    compiled = fnad.jit(f)
    compiled(x)
    start = time.perf_counter()
    for _ in range(3):
        compiled(x)
    seconds = (time.perf_counter() - start) / 3
    assert all(node.seconds > 0 for node in nodes)
    assert 0.01 * seconds < sum(node.seconds for node in nodes) < 3 * seconds


def test_donated_arguments_keep_their_values():
    x = np.ones(1000)
    compiled = fnad.jit(lambda x: x + 1, donate_argnums=0).lower(x).compile()
    compiled.profile(x, repeats=3)
    np.testing.assert_array_equal(x, np.ones(1000))
