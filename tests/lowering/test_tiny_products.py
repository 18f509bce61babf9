"""Many products of tiny matrices are sums: against NumPy, with their gradients."""

import numpy as np
import pytest

import fnad
import fnad.numpy as fnp
from fnad.lowering.plan import Contraction, Kernel
from tests.lowering.test_plan import kinds, plan_of

RNG = np.random.default_rng(0)
LIMITS = {"f2": 5e-3, "f4": 1e-6, "f8": 1e-14, "c8": 1e-6, "c16": 1e-14}


def data(dtype, *shape):
    values = RNG.normal(size=shape) * 3
    return (values + 1j * values[::-1] if dtype[0] == "c" else values).astype(dtype)


@pytest.mark.parametrize("dtype", [*LIMITS, "i4", "u1"])
@pytest.mark.parametrize("m", [1, 3, 4])
@pytest.mark.parametrize("k", [1, 2, 4, 9])
@pytest.mark.parametrize("n", [1, 4, 8])
def test_products(dtype, m, k, n):
    a, b = data(dtype, 20, m, k), data(dtype, 20, k, n)
    got = fnad.jit(lambda a, b: a @ b)(a, b)
    assert got.dtype == a.dtype
    if dtype in LIMITS:
        wide = "c16" if dtype[0] == "c" else "f8"
        want = a.astype(wide) @ b.astype(wide)
        np.testing.assert_allclose(got, want, atol=LIMITS[dtype] * np.abs(want).max())
    else:
        np.testing.assert_array_equal(got, a @ b)


@pytest.mark.parametrize(
    "spec", ["nij,nj->ni", "nji,nj->ni", "ni,ni->n", "ijn,jkn->nik", "abij,abj->bai"]
)
def test_any_order_of_axes(spec):
    sizes = {"n": 33, "i": 3, "j": 4, "k": 2, "a": 5, "b": 6}
    left, right = spec.split("->")[0].split(",")
    x, y = (RNG.normal(size=[sizes[c] for c in term]) for term in (left, right))
    got = fnad.jit(lambda x, y: fnp.einsum(spec, x, y))(x, y)
    np.testing.assert_allclose(got, np.einsum(spec, x, y), rtol=1e-13, atol=1e-13)


def test_gradients():
    a, b = RNG.normal(size=(40, 3, 3)), RNG.normal(size=(40, 3, 2))
    found = fnad.jit(fnad.grad(lambda a, b: fnp.sum((a @ b) ** 2), argnums=(0, 1)))(a, b)
    product = 2 * (a @ b)
    np.testing.assert_allclose(found[0], product @ b.swapaxes(1, 2), rtol=1e-12)
    np.testing.assert_allclose(found[1], a.swapaxes(1, 2) @ product, rtol=1e-12)


def test_which_products_are_sums():
    def nodes(*shapes):
        plan, _, _ = plan_of(lambda a, b: a @ b, *[np.zeros(s) for s in shapes])
        return kinds(plan)

    assert nodes((20, 4, 4), (20, 4, 4)) == nodes((20, 9, 9), (20, 9, 1)) == [Kernel]
    for shapes in (((20, 8, 8), (20, 8, 8)), ((20, 4, 4), (20, 4, 10)), ((2, 4, 4), (2, 4, 4))):
        assert nodes(*shapes) == [Contraction]


def test_chains_run_together():
    """Rotated, moved and measured: two sums."""
    r, x, t = RNG.normal(size=(500, 3, 3)), RNG.normal(size=(500, 3)), RNG.normal(size=(500, 3))

    def f(r, x, t):
        moved = fnp.einsum("nij,nj->ni", r, x) + t
        return fnp.sum(moved * moved, -1)

    plan, _, _ = plan_of(f, r, x, t)
    assert kinds(plan) == [Kernel, Kernel]
    want = np.sum((np.einsum("nij,nj->ni", r, x) + t) ** 2, -1)
    np.testing.assert_allclose(fnad.jit(f)(r, x, t), want, rtol=1e-13)
