"""Kernels that run together, row by row, and those that must not."""

from __future__ import annotations

import numpy as np
import pytest

import fnad
import fnad.numpy as fnp
from fnad.lowering.dynamic_rows import has_rows, row_groups


def groups(function, dynamic, *args):
    """How many kernels run together, 0 for nodes whose rows are not local."""
    compiled = fnad.jit(function, dynamic=dynamic)
    compiled(*args)
    [family] = compiled._families.values()
    plan = family.variants[0].run._plan
    scope = next(n.scope for b in plan.buffers for n in b.shape if type(n) is not int)
    with scope.lowered():
        return [len(g) if has_rows(g[0]) else 0 for g in row_groups(plan.body)]


X = np.ones((3, 5), np.float32)


def test_rows_of_softmax_are_done_together():
    assert groups(fnad.nn.softmax, "n d", X) == [4]


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        # Sums of columns need all rows.
        (lambda x: fnp.exp(x) / fnp.sum(fnp.exp(x), 0), [1, 1, 1]),
        # Row i needs row n - 1 - i.
        (lambda x: (y := fnad.nn.softmax(x)) + fnp.cumsum(y[::-1], 1), None),
        # A product between them.
        (lambda x: fnad.nn.softmax(x @ x.T), [0, 4]),
        # One number for all.
        (lambda x: x / fnp.sum(x), [0, 1]),
    ],
)
def test_what_needs_other_rows_waits(function, expected):
    found = groups(function, "n d", X)
    assert expected is None or found == expected
    compiled = fnad.jit(function, dynamic="n d")
    x = np.random.default_rng(0).random((2000, 150)).astype("f4")
    np.testing.assert_allclose(compiled(x), function(x), rtol=1e-4)


def test_elements_added_at_indices_have_no_rows_of_their_own():
    add = lambda x, i: fnp.at(x)[i].add(1.0)
    assert groups(add, ("n _", "m"), X, np.array([0, 0, 2]))[-1] == 0
