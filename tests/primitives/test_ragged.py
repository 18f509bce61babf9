"""Products of groups of rows against a loop over the groups and against jax.lax."""

import numpy as np
import pytest

import fnad
from fnad import lax
from fnad.testing import check_grads

rng = np.random.default_rng(0)
LHS, RHS = rng.standard_normal((9, 4)), rng.standard_normal((3, 4, 5))


def looped(lhs, rhs, sizes, offset=0):
    out, begin = np.zeros((len(lhs), rhs.shape[2])), 0
    for group, size in enumerate(sizes):
        if 0 <= group - offset < len(rhs):
            out[begin : begin + size] = lhs[begin : begin + size] @ rhs[group - offset]
        begin += size
    return out


@pytest.mark.parametrize("sizes", [(2, 3, 4), (0, 9, 0), (3, 0, 2), (0, 0, 0)])
@pytest.mark.parametrize("dtype", [np.int32, np.int64])
def test_groups_of_rows(sizes, dtype):
    sizes, wanted = np.array(sizes, dtype), looped(LHS, RHS, sizes)
    for f in (lax.ragged_dot, fnad.jit(lax.ragged_dot)):
        np.testing.assert_allclose(f(LHS, RHS, sizes), wanted, rtol=1e-13, atol=1e-14)
    check_grads(lambda x, y: lax.ragged_dot(x, y, sizes), (LHS, RHS), order=2)


def test_some_of_the_groups():
    sizes = np.array([1, 2, 3, 2, 1])
    for offset in range(3):
        got = lax.ragged_dot(LHS, RHS, sizes, group_offset=np.array([offset]))
        np.testing.assert_allclose(got, looped(LHS, RHS, sizes, offset), rtol=1e-13, atol=1e-14)


def test_is_that_of_jax():
    jl = pytest.importorskip("jax").lax
    sizes, lhs, rhs = np.array([2, 0, 5]), LHS.astype(np.float32), RHS.astype(np.float32)
    wanted = jl.ragged_dot(lhs, rhs, sizes)
    got = lax.ragged_dot(lhs, rhs, sizes)
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, wanted, rtol=1e-5, atol=1e-6)
    assert lax.ragged_dot(lhs, rhs, sizes, preferred_element_type=np.float64).dtype == np.float64


def test_batches():
    sizes = np.array([[2, 3, 4], [9, 0, 0]])
    got = fnad.jit(fnad.vmap(lax.ragged_dot, (None, None, 0)))(LHS, RHS, sizes)
    wanted = np.stack([looped(LHS, RHS, s) for s in sizes])
    np.testing.assert_allclose(got, wanted, rtol=1e-13, atol=1e-14)


def test_what_does_not_fit():
    with pytest.raises(TypeError, match=r"shapes \(m, k\), \(g, k, n\)"):
        lax.ragged_dot(LHS, RHS, np.array([1, 2]))
    with pytest.raises(TypeError, match=r"group_offset must have shape \(1,\)"):
        lax.ragged_dot(LHS, RHS, np.array([1, 2, 3]), group_offset=np.array(1))
