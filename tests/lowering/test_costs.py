"""Counting the operations of expressions, and what is cheap."""

import numpy as np
import pytest

from fnad.lowering.costs import CHEAP, cheap_at, operations, operations_beyond, operations_of
from fnad.lowering.expr import B, axis, load

F32 = np.dtype(np.float32)


def random_expressions(rng, count):
    """A graph in which most expressions are arguments of several others."""
    made = [load(k, axis(0, 8) * (k + 1), F32) for k in range(3)] + [B.constant(0.5, F32)]
    for _ in range(count):
        x, y = (made[i] for i in rng.integers(0, len(made), 2))
        made.append([B.add, B.multiply, B.power][rng.integers(3)](x, y))
    return made


def counted_one_by_one(exprs):
    seen, left = set(), list(exprs)
    while left:
        expr = left.pop()
        if expr not in seen:
            seen.add(expr)
            left += expr.args
    return len([e for e in seen if e.op not in ("constant", "axis", "affine")])


@pytest.mark.parametrize("seed", range(5))
def test_weights_are_never_too_small(seed):
    for expr in random_expressions(np.random.default_rng(seed), 12):
        count = counted_one_by_one([expr])
        assert expr.weight >= count
        assert operations(expr) == count


@pytest.mark.parametrize("seed", range(5))
def test_what_has_been_seen_is_not_counted_again(seed):
    exprs = random_expressions(np.random.default_rng(seed), 30)
    seen, total = set(), 0
    for start in range(0, len(exprs), 7):
        total += operations_beyond(seen, exprs[start : start + 7])
    assert total == operations_of(exprs + exprs) == counted_one_by_one(exprs)


def test_what_is_one_for_a_short_row_is_stored_sooner():
    row, element = axis(0, 100), axis(1, 5)
    assert cheap_at((100, 5), (row,)) < CHEAP
    assert cheap_at((100, 5), (row, element)) == CHEAP
    assert cheap_at((100, 5), (element,)) == CHEAP
    assert cheap_at((5, 100), (axis(0, 5),)) == CHEAP
    assert cheap_at((), ()) == CHEAP
