"""Updates behind masks that are not known, and boolean scalars as indices, against NumPy."""

import numpy as np
import pytest

import fnad
import fnad.numpy as fnp
from fnad.testing import check_grads

X = np.arange(12.0).reshape(3, 4)
FULL, ROWS, COLUMNS = X > 5, X[:, 0] > 0, X[0] > 1

CASES = {
    "all axes": (FULL, lambda m: m, 7.0),
    "one value, with an axis": (FULL, lambda m: m, np.array([2.0])),
    "rows": (ROWS, lambda m: m, np.arange(4.0)),
    "columns": (COLUMNS, lambda m: (slice(None), m), np.ones((3, 1))),
    "columns from the end": (COLUMNS, lambda m: (..., m), 5.0),
    "rows of one column": (ROWS, lambda m: (m, 0), 5.0),
    "rows of a traced column": (ROWS, lambda m: (m, fnp.sum(m) - 2), 5.0),
    "rows of some columns": (ROWS, lambda m: (m, slice(1, 3)), np.arange(2.0)),
    "a new axis": (FULL, lambda m: (None, m), 3.0),
    "true": (np.True_, lambda m: m, 2.0),
    "false": (np.False_, lambda m: (m, ...), 2.0),
    "none": (FULL & False, lambda m: m, 2.0),
}


def update_of_numpy(mask, index, value, kind):
    x = X.copy()
    if kind == "set":
        x[index(mask)] = value
    else:
        x[index(mask)] += value
    return x


@pytest.mark.parametrize("kind", ["set", "add"])
@pytest.mark.parametrize("case", CASES)
def test_updates_behind_a_traced_mask(case, kind):
    mask, index, value = CASES[case]
    update = lambda x, mask, value: getattr(fnp.at(x)[index(mask)], kind)(value)
    expected = update_of_numpy(mask, index, value, kind)
    np.testing.assert_array_equal(fnad.jit(update)(X, mask, value), expected)
    batched = fnad.jit(fnad.vmap(update, (0, None, None)))(X[None], mask, value)
    np.testing.assert_array_equal(batched[0], expected)


def test_gradients_pass_where_the_mask_says():
    loss = lambda x: fnp.sum(fnp.at(x)[x > 5.5].multiply(3.0) ** 2)
    check_grads(loss, (X,))
    np.testing.assert_array_equal(fnad.jit(fnad.grad(loss))(X), np.where(X > 5.5, 18 * X, 2 * X))


def test_other_updates():
    power = fnad.jit(lambda x, m: fnp.at(x)[m].power(2))(X, FULL)
    np.testing.assert_array_equal(power, np.where(FULL, X**2, X))
    apply = fnad.jit(lambda x, m: fnp.at(x)[m].apply(fnp.negative))(X, FULL)
    np.testing.assert_array_equal(apply, np.where(FULL, -X, X))
    low = fnad.jit(lambda x, m: fnp.at(x)[m].min(7))(X, FULL)
    np.testing.assert_array_equal(low, np.where(FULL, np.minimum(X, 7), X))


def test_a_mask_whose_values_are_known_takes_a_value_for_each():
    loss = lambda x: fnp.sum(fnp.at(x)[x > 9].set(fnp.array([1.0, 2.0])))
    np.testing.assert_array_equal(fnad.grad(loss)(X), X <= 9)


@pytest.mark.parametrize("index", [True, False, (slice(None), True), (..., False), (None, True, 1)])
def test_boolean_scalars(index):
    np.testing.assert_array_equal(fnad.jit(lambda x: x[index])(X), X[index])
    expected = X.copy()
    expected[index] = 5.0
    for got in (fnp.at(X)[index].set(5.0), fnad.jit(lambda x: fnp.at(x)[index].set(5.0))(X)):
        np.testing.assert_array_equal(got, expected)


def test_what_a_traced_mask_cannot_do():
    compiled = lambda f: fnad.jit(f)(X, ROWS)
    with pytest.raises(ValueError, match="differ along the axis of the elements that the mask"):
        compiled(lambda x, m: fnp.at(x)[m].set(x))
    with pytest.raises(fnad.errors.NonConcreteBooleanIndexError, match=r"fnp\.extract"):
        compiled(lambda x, m: fnp.at(x)[m].get())
    with pytest.raises(IndexError, match="the axes it stands for have shape"):
        compiled(lambda x, m: fnp.at(x)[:, m].set(1))
    with pytest.raises(IndexError, match="next to an array of integers"):
        compiled(lambda x, m: fnp.at(x)[m, np.array([0, 1])].set(1))
    with pytest.raises(IndexError, match="two masks in an index"):
        compiled(lambda x, m: fnp.at(x)[m, fnp.any(x > 5, 0)].set(1))
