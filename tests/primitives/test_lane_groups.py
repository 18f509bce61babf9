"""Collectives over groups of lanes: those of jax.lax over the lanes of each group by themselves."""

import numpy as np
import pytest

import fnad
from fnad import lax
from fnad.testing import check_grads

X = np.random.default_rng(0).normal(size=(6, 3, 6))
PAIRS, TRIPLES = [[0, 3], [4, 1], [2, 5]], [[5, 0, 2], [1, 3, 4]]
UNEQUAL = [[4, 0, 5], [1], [2, 3]]

OF_ANY_SIZE = {
    "psum": lambda x, **groups: lax.psum(x, "i", **groups),
    "pmean": lambda x, **groups: lax.pmean(x, "i", **groups),
    "pmax": lambda x, **groups: lax.pmax(x, "i", **groups),
    "pmin": lambda x, **groups: lax.pmin(x, "i", **groups),
    "number": lambda x, **groups: x * lax.psum(2, "i", **groups),
}
OF_EQUAL_SIZE = {
    "all_gather": lambda x, **groups: lax.all_gather(x, "i", axis=1, **groups),
    "all_gather tiled": lambda x, **groups: lax.all_gather(x, "i", tiled=True, **groups),
    "all_to_all": lambda x, **groups: lax.all_to_all(x, "i", 0, 1, **groups),
    "all_to_all tiled": lambda x, **groups: lax.all_to_all(x, "i", 1, 0, tiled=True, **groups),
    "pswapaxes": lambda x, **groups: lax.pswapaxes(x, "i", 0, **groups),
    "psum_scatter": lambda x, **groups: lax.psum_scatter(x, "i", **groups),
    "psum_scatter tiled": lambda x, **groups: lax.psum_scatter(
        x, "i", scatter_dimension=1, tiled=True, **groups
    ),
}
CASES = [(name, groups) for name in OF_ANY_SIZE for groups in (PAIRS, UNEQUAL)]
CASES += [(name, TRIPLES) for name in OF_EQUAL_SIZE]


@pytest.mark.parametrize(("name", "groups"), CASES)
def test_each_group_is_an_axis_of_its_own(name, groups):
    f = (OF_ANY_SIZE | OF_EQUAL_SIZE)[name]
    ours = fnad.vmap(lambda x: f(x, axis_index_groups=groups), axis_name="i")
    got = ours(X)
    for lanes in groups:
        alone = fnad.vmap(f, axis_name="i")(X[lanes])
        np.testing.assert_allclose(got[lanes], alone, rtol=1e-14)
    np.testing.assert_allclose(fnad.jit(ours)(X), got, rtol=1e-14)
    check_grads(ours, (X,), order=1)


def test_lanes_of_two_axes_are_counted_row_by_row():
    x = np.arange(6).reshape(2, 3)
    groups = [[0, 5], [1, 2, 3], [4]]
    f = lambda x: lax.psum(x, ("i", "j"), axis_index_groups=groups)
    got = fnad.vmap(fnad.vmap(f, axis_name="j"), axis_name="i")(x)
    np.testing.assert_array_equal(got, [[5, 6, 6], [6, 4, 5]])


def test_groups_under_another_vmap_and_of_booleans():
    f = fnad.vmap(lambda x: lax.psum(x > 0, "i", axis_index_groups=UNEQUAL), axis_name="i")
    x = X[:, 0]
    wanted = np.stack([f(column) for column in x.T], -1)
    assert wanted.dtype == np.int64
    np.testing.assert_array_equal(fnad.vmap(f, in_axes=1, out_axes=1)(x), wanted)


@pytest.mark.parametrize("groups", [[[0, 1], [2]], [[0, 1, 2, 3, 4, 4]], [[0, 1, 2, 3, 4, 5], []]])
def test_groups_that_do_not_hold_each_lane_once(groups):
    with pytest.raises(ValueError, match="must hold each of the 6 lanes of 'i' once"):
        fnad.vmap(lambda x: lax.pmean(x, "i", axis_index_groups=groups), axis_name="i")(X)


@pytest.mark.parametrize("name", ["all_gather", "all_to_all", "psum_scatter"])
def test_results_of_one_shape_need_groups_of_one_size(name):
    f = OF_EQUAL_SIZE[name]
    with pytest.raises(ValueError, match=f"{name}: groups must be of one size"):
        fnad.vmap(lambda x: f(x, axis_index_groups=UNEQUAL), axis_name="i")(X)
