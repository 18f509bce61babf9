"""Updates at equal indices, behind boolean scalars, and JAX's promises about indices."""

import numpy as np
import pytest

import fnad
import fnad.numpy as fnp
from fnad.testing import check_grads

X = np.array([2.0, 3.0, 5.0])
TWICE = np.array([0, 0, 2])


@pytest.mark.parametrize("kind", ["power", "divide", "multiply", "add"])
def test_equal_indices_take_all_values(kind):
    values = np.array([2.0, 3.0, 4.0])
    expected = X.copy()
    getattr(np, kind).at(expected, TWICE, values)
    update = lambda x, i, v: getattr(fnp.at(x)[i], kind)(v, unique_indices=False)
    for got in (update(X, TWICE, values), fnad.jit(update)(X, TWICE, values)):
        np.testing.assert_allclose(got, expected)
    check_grads(lambda x, v: update(x, TWICE, v), (X, values))


@pytest.mark.parametrize("kind", ["power", "divide"])
def test_one_element_in_a_loop_costs_what_it_does(kind):
    step = lambda i, x: getattr(fnp.at(x)[i], kind)(2.0)
    text = str(fnad.make_jaxpr(lambda x: fnad.lax.fori_loop(0, 3, step, x))(np.ones(77777)))
    assert "scatter" in text and "f64[77777] = broadcast" not in text
    np.testing.assert_array_equal(fnad.lax.fori_loop(0, 2, step, X)[2], 5.0)


@pytest.mark.parametrize(
    "index",
    [
        (True, True),
        (np.True_, False),
        (0, True),
        (slice(None), np.array([1, 0]), True),
        (True, slice(None), np.array([1, 0])),
        (np.array([[True, False], [True, True]]), True),
        ([True, False], slice(None), False),
        (..., [True, False]),
        (0, ..., np.array([0, 1])),
    ],
    ids=str,
)
def test_boolean_scalars_next_to_integers_and_masks(index):
    x = np.arange(12.0).reshape(2, 3, 2)[:, :2]
    np.testing.assert_array_equal(fnad.jit(lambda x: x[index])(x), x[index], strict=True)
    expected, values = x.copy(), -1.0 - np.arange(x[index].size).reshape(x[index].shape)
    expected[index] = values
    set_values = lambda x, v: fnp.at(x)[index].set(v, indices_are_sorted=True)
    for got in (set_values(x, values), fnad.jit(set_values)(x, values)):
        np.testing.assert_array_equal(got, expected, strict=True)
