"""Lazy tensors: what an element of one reads of others."""

import numpy as np
import pytest

from fnad.lowering.expr import B, axis, integer
from fnad.lowering.planner import Planner
from fnad.lowering.tensors import generic_index, linear, unravel
from fnad.lowering.walk import rebuild

F32 = np.dtype(np.float32)


def planner_with_input(shape):
    p = Planner()
    return p, p.stored(shape, F32, "input")


def chain(p, t, length):
    made = []
    for _ in range(length):
        last = t
        t = p.compute(last.shape, F32, lambda index, last=last: B.sin(last.at(index)))
        made.append(t)
    return made


def test_elements_at_the_same_index_are_aligned():
    p, x = planner_with_input((4, 3))
    made = chain(p, x, 5)
    index = generic_index((4, 3))
    expansion = made[-1].expanded(index)
    assert expansion.plain and expansion.odd() == {}
    assert list(expansion.reads()) == [(t, index) for t in made[:-1]]


def test_elements_elsewhere_are_odd_with_all_that_they_read():
    p, x = planner_with_input((4, 4))
    a, b, c = chain(p, x, 3)
    index, crossed = generic_index((4, 4)), generic_index((4, 4))[::-1]
    both = p.compute((4, 4), F32, lambda index: B.add(a.at(index), c.at(index[::-1])))
    expansion = both.expanded(index)
    assert not expansion.plain
    assert list(expansion.odd()) == [(a, crossed), (b, crossed), (c, crossed)]
    assert list(expansion.reads()) == [(a, index), (a, crossed), (b, crossed), (c, crossed)]
    after = p.compute((4, 4), F32, lambda index: B.sin(both.at(index)))
    assert after.expanded(index).odd() == expansion.odd()


def test_what_a_reduction_reads_is_counted_for_each_of_its_turns():
    p, x = planner_with_input((4, 5))
    a, b = chain(p, x, 2)
    total = p.reduce((4,), F32, (5,), "add", lambda index, rindex: b.at((*index, *rindex)))
    times = {t: n for (t, _), n in total.expanded(generic_index((4,))).odd().items()}
    assert times == {a: 5, b: 5}


def test_readers_of_a_tensor_that_gets_a_buffer_read_that():
    p, x = planner_with_input((4,))
    a, b, c = chain(p, x, 3)
    index = generic_index((4,))
    assert [t for t, _ in c.reads(index)] == [a, b]
    p.materialize(b)
    assert c.reads(index) == {}
    assert c.at(index).args[0].op == "load"


@pytest.mark.parametrize("shape", [(7,), (2, 3), (5, 1, 4), (3, 4, 1, 2, 6), (2, 2, 2, 2)])
def test_unraveled_offsets_are_those_of_numpy(shape):
    size = int(np.prod(shape))
    variable = axis(0, size)
    index = unravel(variable, shape)
    for offset in range(size):
        got = rebuild(index, lambda e, offset=offset: integer(offset) if e is variable else None)
        assert tuple(int(i.attr) for i in got) == np.unravel_index(offset, shape)
        assert linear(tuple(got), shape) is integer(offset)
