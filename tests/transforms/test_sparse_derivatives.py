"""Sparse Jacobians and Hessians against dense ones, and what they cost."""

import time

import numpy as np
import pytest
import scipy.sparse as sp

import fnad
from fnad import lax
from fnad import numpy as fnp


def bratu(u):
    """Residual of -laplace(u) = exp(u) on a square grid, u = 0 around it."""
    p = fnp.pad(u, 1)
    neighbors = p[2:, 1:-1] + p[:-2, 1:-1] + p[1:-1, 2:] + p[1:-1, :-2]
    return 4.0 * u - neighbors - np.exp(u) / len(u) ** 2


def burgers(u):
    """Residual of a step of the viscous Burgers equation with periodic ends."""
    left, right = np.roll(u, 1), np.roll(u, -1)
    return u + 0.1 * (u * (right - left) - (right - 2.0 * u + left))


def rosenbrock(x):
    return np.sum(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2)


def values(shape, dtype=np.float64):
    return np.random.default_rng(0).normal(size=shape).astype(dtype)


def compare(fun, x, colors=None, **options):
    jacobian = fnad.jacobian_sparse(fun, **options)
    found, dense = jacobian(x), fnad.jacrev(fun)(x)
    assert isinstance(found, sp.csr_array) and found.has_sorted_indices
    assert found.dtype == dense.dtype
    tolerance = 1e-12 if found.dtype == np.float64 else 1e-5
    np.testing.assert_allclose(found.toarray(), dense.reshape(found.shape), tolerance, tolerance)
    if colors is not None:
        assert jacobian.compression(x).num_colors == colors
    jacobian.check(x)
    return jacobian


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_residuals_of_differential_equations(dtype):
    compare(bratu, values((9, 8), dtype), 5)
    compare(burgers, values(30, dtype), 3)
    compare(burgers, values(31, dtype), 4)  # not a multiple of three, around a circle


def test_reverse_mode_where_it_takes_fewer_products():
    def fun(x):  # a full row
        return fnp.concatenate([x**2, np.sum(x)[None]])

    assert compare(fun, values(20), 2).compression(values(20)).mode == "reverse"
    jacobian = compare(lambda x: x[0] * x[::2].reshape(2, 5) ** 2, values(20), 2)  # a full column
    assert jacobian.compression(values(20)).mode == "forward"
    jacobian = compare(lambda x: x.reshape(4, 5).prod(1), values(20), 1)
    assert jacobian.compression(values(20)).mode == "reverse"
    compare(lambda x: x.reshape(4, 5).prod(1), values(20), 5, mode="forward")
    compare(burgers, values(30), 3, mode="reverse")


def test_functions_without_forward_mode_use_reverse_mode():
    @fnad.custom_vjp
    def cube(x):
        return x**3

    cube.defvjp(lambda x: (x**3, x), lambda x, ct: (3.0 * x * x * ct,))
    jacobian = compare(lambda x: cube(x)[1:] * x[:-1], values(8), 2)
    assert jacobian.compression(values(8)).mode == "reverse"


def test_random_programs():
    rng = np.random.default_rng(1)
    for _ in range(4):
        n = 12
        first, second = (rng.normal(size=(n, n)) * (rng.random((n, n)) < 0.2) for _ in range(2))
        index = rng.integers(0, n, n)

        def fun(x, first=first, second=second, index=index):
            return np.sin(first @ x) * x[index] + second @ np.tanh(x)

        pattern = fnad.jacobian_sparse(fun).compression(values(n)).pattern
        assert pattern.nnz < 0.7 * n * n
        compare(fun, values(n))


def test_structure_that_depends_on_data_counts_as_any():
    def fun(x):
        order = np.argsort(x)
        return x[order] * x

    assert compare(fun, values(6)).compression(values(6)).pattern.nnz == 36
    x = values(6)
    jacobian = fnad.jacobian_sparse(fun)
    for point in (x, -x):  # the same pattern serves both
        np.testing.assert_allclose(jacobian(point).toarray(), fnad.jacfwd(fun)(point))


def test_loops_and_branches():
    def diffuse(u):
        step = lambda i, u: 0.5 * u + 0.25 * (np.roll(u, 1) + np.roll(u, -1)) ** 2
        return lax.fori_loop(0, 2, step, u)

    compare(diffuse, values(20), 5)
    compare(lambda x: lax.cond(x[0] > 0, np.sin, lambda x: np.roll(x, 1), x), values(12), 2)
    compare(lambda x: lax.map(lambda r: np.cumsum(r**2), x), values((6, 3)), 3)


def test_arguments_and_results_are_laid_one_after_the_other():
    def fun(a, tree, scale=1.0):
        return {"x": a * scale, "y": tree["b"] * tree["c"] * a[0]}

    a, tree = values(3), {"b": values((2, 2)), "c": np.float32(3.0)}
    found = fnad.jacobian_sparse(fun, argnums=(1, 0))(a, tree, scale=2.0).toarray()
    dense = fnad.jacfwd(fun, argnums=(1, 0))(a, tree, scale=2.0)
    blocks = [
        [dense["x"][0]["b"].reshape(3, 4), dense["x"][0]["c"].reshape(3, 1), dense["x"][1]],
        [
            dense["y"][0]["b"].reshape(4, 4),
            dense["y"][0]["c"].reshape(4, 1),
            dense["y"][1].reshape(4, 3),
        ],
    ]
    np.testing.assert_allclose(found, np.block(blocks))
    assert fnad.jacobian_sparse(lambda x: x[:0])(a).shape == (0, 3)
    assert fnad.jacobian_sparse(lambda x: np.ones(2))(a).nnz == 0
    assert fnad.jacobian_sparse(lambda x: np.sum(x) ** 2)(a[:0]).shape == (1, 0)


def test_has_aux():
    fun = lambda x: (x**2, np.sum(x))
    jacobian, aux = fnad.jacobian_sparse(fun, has_aux=True)(np.arange(3.0))
    np.testing.assert_array_equal(jacobian.toarray(), np.diag([0.0, 2.0, 4.0]))
    assert aux == 3.0
    hessian, aux = fnad.hessian_sparse(lambda x: (np.sum(x**3), x[0]), has_aux=True)(np.ones(2))
    np.testing.assert_array_equal(hessian.toarray(), 6.0 * np.eye(2))
    assert aux == 1.0
    fnad.hessian_sparse(lambda x: (np.sum(x**3), x[0]), has_aux=True).check(np.ones(2))


def test_given_patterns():
    x = values(10)
    exact = fnad.jacobian_sparse(burgers).compression(x).pattern
    for sparsity in (exact, exact.tocoo(), exact.toarray(), exact.astype(float).toarray().tolist()):
        compare(burgers, x, 4, sparsity=sparsity)
    compare(burgers, x, 10, sparsity=np.ones((10, 10)))
    with pytest.raises(
        ValueError, match=r"sparsity has shape \(9, 10\).*derivative has \(10, 10\)"
    ):
        fnad.jacobian_sparse(burgers, np.ones((9, 10)))(x)
    with pytest.raises(ValueError, match="sparsity must be symmetric"):
        fnad.hessian_sparse(rosenbrock, np.tri(10))(x)


@pytest.mark.parametrize("mode", ["forward", "reverse"])
def test_patterns_that_are_too_small_are_found_by_a_check(mode):
    x = values(10)
    jacobian = fnad.jacobian_sparse(burgers, sparsity=np.eye(10), mode=mode)
    assert jacobian(x).nnz == 10
    with pytest.raises(ValueError, match=r"leaves out entries that are not zero, in 10 of 10"):
        jacobian.check(x)
    with pytest.raises(ValueError, match="leaves out entries"):
        fnad.hessian_sparse(rosenbrock, sparsity=np.eye(10)).check(x)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    "fun, colors",
    [
        (rosenbrock, 3),
        (lambda x: np.sum(np.cosh(x)), 1),
        (lambda x: x[0] * np.sum(x[1:] ** 2), 2),
        (lambda x: np.sum(bratu(x.reshape(4, 5)) ** 2), None),
        (lambda x: np.log(np.sum(np.exp(x))), 20),
        (lambda x: np.sum(x) * 2.0, 1),
    ],
    ids=["chain", "diagonal", "arrow", "grid", "dense", "zero"],
)
def test_hessians(fun, colors, dtype):
    x = values(20, dtype)
    hessian = fnad.hessian_sparse(fun)
    found, dense = hessian(x), fnad.hessian(fun)(x)
    assert found.dtype == dtype
    tolerance = 1e-12 if dtype == np.float64 else 1e-4
    np.testing.assert_allclose(found.toarray(), dense, tolerance, tolerance * abs(dense).max())
    np.testing.assert_array_equal(found.toarray(), found.toarray().T)
    if colors is not None:
        assert hessian.compression(x).num_colors == colors
    hessian.check(x)


def test_the_second_call_runs_what_the_first_compiled():
    count = 0

    def fun(x):
        nonlocal count
        count += 1
        return burgers(x)

    jacobian = fnad.jacobian_sparse(fun)
    jacobian(values(10))
    use, traced = jacobian.compression(values(10)), count
    jacobian(2.0 * values(10))
    assert count == traced
    assert jacobian.compression(values(10)) is use
    jacobian(values(11))
    assert count > traced


def test_entries_alone_go_through_transforms():
    jacobian = fnad.jacobian_sparse(burgers)
    x = values(12)
    data = jacobian(x).data
    np.testing.assert_allclose(fnad.jit(jacobian.data)(x), data)
    np.testing.assert_allclose(fnad.vmap(jacobian.data)(np.stack([x, x]))[1], data)
    slope = fnad.grad(lambda x: np.sum(jacobian.data(x)))(x)
    dense = fnad.grad(lambda x: np.sum(fnad.jacfwd(burgers)(x)))(x)
    np.testing.assert_allclose(slope, dense, atol=1e-12)
    with pytest.raises(TypeError, match=r"cannot be traced.*\.data"):
        fnad.jit(jacobian)(x)


def test_bad_arguments_are_named():
    with pytest.raises(
        TypeError, match=r"jacobian_sparse of burgers needs real.*argument of type i"
    ):
        fnad.jacobian_sparse(burgers)(np.arange(3))
    with pytest.raises(TypeError, match=r"needs real floating arrays.*result of type bool"):
        fnad.jacobian_sparse(lambda x: x > 0)(np.ones(3))
    with pytest.raises(TypeError, match="argnums=1 asks for positional argument 1"):
        fnad.jacobian_sparse(burgers, argnums=1)(np.ones(3))
    with pytest.raises(ValueError, match="mode must be"):
        fnad.jacobian_sparse(burgers, mode="both")
    with pytest.raises(TypeError, match="needs a scalar result"):
        fnad.hessian_sparse(burgers)(np.ones(3))


@pytest.mark.slow
def test_time_grows_with_the_number_of_entries():
    def seconds(n):
        jacobian, x = fnad.jacobian_sparse(burgers), values(n)
        assert jacobian(x).nnz == 3 * n
        begin = time.perf_counter()
        for _ in range(5):
            jacobian(x)
        return time.perf_counter() - begin

    small, large = seconds(10_000), seconds(100_000)
    assert large < 100.0 * small  # ten times the entries; a dense one has a hundred times
