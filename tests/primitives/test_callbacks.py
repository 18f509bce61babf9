"""Python functions called from programs."""

import threading

import numpy as np
import pytest

import fnad
import fnad.numpy as fnp
from fnad import lax

X = np.array([0.5, 1.0, 2.0])


def doubled_sine(x):
    assert isinstance(x, (np.ndarray, np.generic))
    return 2 * np.sin(x)


def f(x):
    return fnad.pure_callback(doubled_sine, x, x) + 1


@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "bool", "bfloat16"])
def test_eager_and_compiled(dtype):
    x = np.array([0, 1, 1], fnp.dtype(dtype))
    same = lambda x: fnad.pure_callback(lambda x: x[::-1], x, x)
    compiled = fnad.jit(same)
    for run in (same, compiled, compiled, compiled):
        y = run(x)
        assert y.dtype == x.dtype
        np.testing.assert_array_equal(y, x[::-1])


def test_scalars_keywords_trees_and_empty_arrays():
    def host(x, *, y):
        assert isinstance(x, np.float64)
        return {"sum": x + y.sum(), "shape": np.array(y.shape), "none": y[:0], "one": 1}

    def g(x, y):
        types = {
            "sum": fnad.ShapeDtypeStruct((), np.float64),
            "shape": fnad.ShapeDtypeStruct((1,), np.int64),
            "none": fnad.ShapeDtypeStruct((0,), np.float64),
            "one": fnad.ShapeDtypeStruct((), np.float32),
        }
        return fnad.pure_callback(host, types, x, y=y)

    for run in (g, fnad.jit(g)):
        out = run(2.0, X)
        assert out["sum"] == 5.5 and out["shape"].tolist() == [3]
        assert out["none"].shape == (0,) and out["one"].dtype == np.float32


def test_complex_numbers():
    def g(z):
        return fnad.pure_callback(lambda z: (1j * z, z.real), (z, z.real), z)

    z = X + 1j * X[::-1]
    for run in (g, fnad.jit(g)):
        turned, real = run(z)
        np.testing.assert_array_equal(turned, 1j * z)
        np.testing.assert_array_equal(real, z.real)


def test_between_kernels_of_several_threads():
    x = np.linspace(0, 1, 300_000)

    def g(x):
        y = fnp.cos(x)
        z = fnad.pure_callback(doubled_sine, y, y)
        return fnp.sum(y * z), z

    total, z = fnad.jit(g)(x)
    np.testing.assert_allclose(z, 2 * np.sin(np.cos(x)), rtol=1e-13)
    np.testing.assert_allclose(total, np.sum(np.cos(x) * z), rtol=1e-12)


def test_a_callback_may_call_compiled_programs():
    inner = fnad.jit(lambda x: fnp.cumsum(fnp.exp(x) @ fnp.ones((300, 300))))
    x = np.ones((300, 300))
    inner(x)
    out = fnad.jit(lambda x: fnad.pure_callback(inner, fnp.zeros(90_000), x * 2))(x)
    np.testing.assert_allclose(out, inner(2 * x))


def test_a_callback_may_keep_its_arguments():
    kept = []

    def keep(x):
        kept.append(x)
        with pytest.raises(ValueError, match="read-only"):
            x[0] = 1
        return x

    g = fnad.jit(lambda x: fnad.pure_callback(keep, x, x * 2) + 1)
    for k in range(5):
        g(np.full(3, float(k)))
    np.testing.assert_array_equal(kept, [[2.0 * k] * 3 for k in range(5)])


def test_within_loops_and_branches():
    add = lambda a, b: fnad.pure_callback(np.add, a, a, b)

    def scan(x):
        return lax.scan(lambda c, a: (add(c, a), c * 2), 0.0, x)

    def loop(x):
        return lax.while_loop(
            lambda c: fnad.pure_callback(lambda c: c < 3.5, np.False_, c), lambda c: add(c, 1.0), x
        )

    def branch(x):
        return lax.cond(x[0] > 1, lambda x: x, lambda x: add(x, x), x)

    total, ys = fnad.jit(scan)(X)
    assert total == 3.5
    np.testing.assert_array_equal(ys, [0, 1, 3])
    assert fnad.jit(loop)(0.0) == loop(0.0) == 4
    np.testing.assert_array_equal(fnad.jit(branch)(X), 2 * X)
    np.testing.assert_array_equal(fnad.jit(branch)(X * 4), 4 * X)


def test_equations_that_nobody_needs_are_not_called():
    calls = []
    g = fnad.jit(lambda x: (fnad.pure_callback(calls.append, x, x), x + 1)[1])
    g(X)
    assert not calls


# -- errors ------------------------------------------------------------------------------------


def fails(x):
    raise KeyError("mine")


def test_exceptions_are_raised_as_they_are():
    g = lambda x: fnad.pure_callback(fails, x, x) + 1
    compiled = fnad.jit(g)
    for run in (g, compiled, compiled, compiled):
        with pytest.raises(KeyError, match="mine") as caught:
            run(X)
        assert run is g or "test_callbacks.py" in "".join(caught.value.__notes__)


def test_the_program_works_again_after_an_exception():
    def host(x):
        if x[0] < 0:
            raise ValueError("negative")
        return np.sqrt(x)

    g = fnad.jit(lambda x: fnad.pure_callback(host, x, x))
    for _ in range(3):
        with pytest.raises(ValueError, match="negative"):
            g(-X)
        np.testing.assert_array_equal(g(X), np.sqrt(X))


def test_an_exception_ends_loops_that_wait_for_a_result():
    g = fnad.jit(
        lambda x: lax.while_loop(lambda c: c < 3, lambda c: fnad.pure_callback(fails, c, c), x)
    )
    with pytest.raises(KeyError, match="mine"):
        g(0.0)
    calls = []

    def once(c):
        calls.append(c)
        raise KeyError("mine")

    h = fnad.jit(lambda x: lax.fori_loop(0, 5, lambda _, c: fnad.pure_callback(once, c, c), x))
    with pytest.raises(KeyError, match="mine"):
        h(0.0)
    assert len(calls) == 1


@pytest.mark.parametrize("compiled", [False, True])
def test_results_of_other_types_are_errors(compiled):
    for result, message in [
        (X[:2], r"returned f64\[2\] where result_shape_dtypes says f64\[3\]"),
        (X.astype(np.float32), r"returned f32\[3\] where"),
        ((X, X), "returned .* but result_shape_dtypes says"),
    ]:
        g = lambda x, result=result: fnad.pure_callback(lambda x: result, x, x)
        with pytest.raises(TypeError, match=message):
            (fnad.jit(g) if compiled else g)(X)


def test_what_is_wrong_is_said():
    with pytest.raises(TypeError, match="first argument must be a function, got 3"):
        fnad.pure_callback(3, X, X)
    with pytest.raises(TypeError, match="has a shape and a dtype"):
        fnad.pure_callback(np.sin, np.float64, X)
    with pytest.raises(ValueError, match="vmap_method is one of 'sequential'"):
        fnad.pure_callback(np.sin, X, X, vmap_method="loop")


def test_threads():
    barrier = threading.Barrier(4)

    def host(x):
        barrier.wait(20)  # all four are in their programs at the same time
        if x[0] == 2:
            raise KeyError("mine")
        return x + 1

    g = fnad.jit(lambda x: fnad.pure_callback(host, x, x))
    found = {}

    def run(k):
        try:
            found[k] = g(np.full(3, float(k)))[0]
        except KeyError as error:
            found[k] = error

    threads = [threading.Thread(target=run, args=(k,)) for k in range(4)]
    g.lower(X).compile()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert isinstance(found.pop(2), KeyError)
    assert found == {0: 1.0, 1: 2.0, 3: 4.0}


# -- transforms --------------------------------------------------------------------------------


def test_derivatives_are_those_that_are_given():
    for g in (fnad.grad(lambda x: fnp.sum(f(x))), fnad.jit(fnad.grad(lambda x: fnp.sum(f(x))))):
        with pytest.raises(TypeError, match=r"doubled_sine .* with fnad.custom_jvp or"):
            g(X)

    @fnad.custom_jvp
    def known(x):
        return fnad.pure_callback(doubled_sine, x, x)

    known.defjvps(lambda t, ans, x: 2 * fnp.cos(x) * t)
    slope = fnad.grad(lambda x: fnp.sum(known(x)))
    for g in (slope, fnad.jit(slope)):
        np.testing.assert_allclose(g(X), 2 * np.cos(X), rtol=1e-14)


def test_constants_of_a_derivative():
    g = lambda x: fnp.sum(fnad.pure_callback(doubled_sine, x, lax.stop_gradient(x)) * x)
    for slope in (fnad.grad(g), fnad.jit(fnad.grad(g))):
        np.testing.assert_allclose(slope(X), 2 * np.sin(X), rtol=1e-14)


@pytest.mark.parametrize("compiled", [False, True])
def test_methods_of_vmap(compiled):
    shapes = []

    def host(x, y):
        shapes.append((np.shape(x), np.shape(y)))
        return x + y

    seen = {
        "sequential": [((3,), (3,))] * 2,
        "sequential_unrolled": [((3,), (3,))] * 2,
        "expand_dims": [((2, 3), (1, 3))],
        "broadcast_all": [((2, 3), (2, 3))],
        "legacy_vectorized": [((2, 3), (3,))],
    }
    x = np.arange(6.0).reshape(2, 3)
    for method, want in seen.items():
        g = fnad.vmap(
            lambda x, y, method=method: fnad.pure_callback(host, x, x, y, vmap_method=method),
            in_axes=(0, None),
        )
        shapes.clear()
        np.testing.assert_array_equal((fnad.jit(g) if compiled else g)(x, X), x + X)
        assert shapes == want


def test_vmap_of_vmap_and_without_a_method():
    x = np.arange(12.0).reshape(2, 2, 3)
    for method in ("sequential", "expand_dims", "broadcast_all"):
        g = lambda x: fnad.pure_callback(doubled_sine, x, x, vmap_method=method)  # noqa: B023
        np.testing.assert_array_equal(fnad.vmap(fnad.vmap(g))(x), doubled_sine(x))
    with pytest.raises(ValueError, match="doubled_sine under vmap needs vmap_method="):
        fnad.vmap(f)(X)
