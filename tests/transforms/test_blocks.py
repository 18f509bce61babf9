"""Functions of elements that are compiled where they are called outside of all traces."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import fnad
import fnad.numpy as fnp
from fnad import lax
from fnad.primitives.control_flow.while_loop import while_p
from fnad.testing import assert_no_recompile
from fnad.transforms.blocks import compiled_by_rows, compiled_elementwise


def _halvings(x):
    """How often a number is halved until it is below 1."""

    def step(carry):
        x, count = carry
        return fnp.where(x >= 1, x / 2, x), fnp.where(x >= 1, count + 1, count)

    return lax.while_loop(lambda carry: fnp.any(carry[0] >= 1), step, (x, fnp.zeros_like(x)))[1]


halvings = compiled_elementwise(_halvings)


def by_frexp(x):
    return np.maximum(np.frexp(x)[1], 0)


@pytest.mark.parametrize("size", [1, 15, 16, 17, 511, 512, 513, 1024, 1100, 131072, 131073, 132000])
def test_all_sizes(size, rng, no_loop_is_evaluated):
    x = rng.uniform(0, 1000, size)
    np.testing.assert_array_equal(halvings(x), by_frexp(x))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(), (3,), (2, 3, 5), (1, 1), (40, 30)])
def test_shape_and_dtype_are_those_of_the_operand(shape, dtype, rng, no_loop_is_evaluated):
    x = np.asarray(rng.uniform(0, 1000, shape), dtype)
    out = halvings(x)
    assert out.shape == shape and out.dtype == dtype
    assert isinstance(out, np.ndarray if shape else np.generic)
    np.testing.assert_array_equal(out, by_frexp(x))


def test_other_layouts(rng, no_loop_is_evaluated):
    x = rng.uniform(0, 1000, (30, 40))
    for view in (x.T, x[::-2, ::3], np.broadcast_to(x[0], (50, 40)), np.asfortranarray(x)):
        np.testing.assert_array_equal(halvings(view), by_frexp(view))


def test_operands_are_not_written_and_results_are_fresh(rng):
    x = rng.uniform(0, 1000, 600)
    kept = x.copy()
    first, second = halvings(x), halvings(x)
    first[:] = -1
    np.testing.assert_array_equal(x, kept)
    np.testing.assert_array_equal(second, by_frexp(x))


def test_no_elements():
    assert halvings(np.zeros((0, 3), np.float32)).shape == (0, 3)


def test_operands_are_broadcast(rng, no_loop_is_evaluated):
    of_product = compiled_elementwise(lambda x, y: _halvings(fnp.multiply(x, y)))
    x, y = rng.uniform(0, 40, (30, 1)), rng.uniform(0, 40, 20)
    np.testing.assert_array_equal(of_product(x, y), by_frexp(x * y))
    np.testing.assert_array_equal(of_product(x, np.float64(3)), by_frexp(x * 3))
    np.testing.assert_array_equal(of_product(np.float64(3), y), by_frexp(y * 3))


def test_several_results_with_axes_before_those_of_the_operands(rng, no_loop_is_evaluated):
    @compiled_elementwise
    def powers(x, n):
        def step(i, carry):
            return fnp.where(i < n, carry * x, carry)

        power = lax.fori_loop(0, 5, step, fnp.ones_like(x))
        return power, fnp.stack([power, -power, x])

    for shape in ((), (7,), (6, 100)):
        x, n = rng.uniform(1, 2, shape), rng.integers(0, 6, shape)
        one, three = powers(np.asarray(x), np.asarray(n))
        np.testing.assert_allclose(one, x**n, rtol=1e-14)
        np.testing.assert_allclose(three, np.stack([x**n, -(x**n), x]), rtol=1e-14)


@pytest.mark.parametrize("size", [1, 30, 700])
def test_rows(size, rng, no_loop_is_evaluated):
    @compiled_by_rows
    def times(rows, n):
        def step(i, rows):
            return fnp.where(i < n[:, None], 2 * rows, rows)

        return lax.fori_loop(0, 5, step, rows)

    rows, n = rng.normal(size=(size, 3)), rng.integers(0, 6, size)
    np.testing.assert_array_equal(times(rows, n), rows * 2.0 ** n[:, None])


def test_traces_see_the_function_itself():
    x = np.linspace(0.0, 9.0, 5)
    for make in (fnad.make_jaxpr, lambda f: fnad.make_jaxpr(fnad.vmap(f))):
        assert str(make(halvings)(x)) == str(make(_halvings)(x))


def test_within_a_trace_arrays_are_not_computed_at_once():
    jaxpr = fnad.make_jaxpr(lambda x: x + halvings(np.linspace(0.0, 9.0, 5)))(1.0)
    assert "while" in str(jaxpr)


def test_disable_jit_and_debug_nans_evaluate(monkeypatch):
    evaluated = []
    rule = while_p.rules["evaluate"]
    monkeypatch.setitem(
        while_p.rules, "evaluate", lambda *a, **k: evaluated.append(1) or rule(*a, **k)
    )
    for block in (fnad.disable_jit, fnad.debug_nans):
        with block():
            assert halvings(np.float64(5.0)) == 3
    assert len(evaluated) == 2


def test_subclasses_of_arrays_are_evaluated():
    class Own(np.ndarray):
        pass

    assert halvings(np.array([5.0, 0.5]).view(Own)).tolist() == [3, 0]


def test_programs_are_no_compilations_of_the_user(rng):
    @compiled_elementwise
    def fresh(x):
        return _halvings(x) + 1

    with assert_no_recompile():
        for size in (3, 5, 700, 1200):
            fresh(rng.uniform(0, 9, size))
            fresh(rng.uniform(0, 9, size).astype(np.float32))


def test_threads(rng):
    @compiled_elementwise
    def fresh(x):
        return _halvings(x) - 2

    xs = [rng.uniform(0, 1000, 40 * n + 1) for n in range(20)]
    with ThreadPoolExecutor(8) as pool:
        for x, out in zip(xs, pool.map(fresh, xs), strict=True):
            np.testing.assert_array_equal(out, by_frexp(x) - 2)
