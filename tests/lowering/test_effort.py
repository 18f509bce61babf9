"""Which kernels are compiled in a hurry, and that they give the same bits."""

import numpy as np
import pytest

import fnad
import fnad.numpy as fnp
from fnad.lowering.expr import axis, load
from fnad.lowering.llvm import effort, emitter, work
from fnad.lowering.llvm.effort import hurried
from fnad.lowering.plan import For, Kernel, Plan, Store
from tests.lowering.test_llvm import buffer

F32 = np.dtype("f4")


def doubling(source, out, size):
    i = axis(0, size)
    return Kernel(((0, size),), (), (Store(out, i, load(source, i, F32) * 2),))


def plan_of(sizes, body):
    """A plan whose kernel k doubles as many elements as ``sizes`` says."""
    buffers = [buffer(k, (size,), F32, "temp") for k, size in enumerate(sizes)]
    kernels = [doubling(k, k, size) for k, size in enumerate(sizes)]
    return Plan(tuple(buffers), (), (), tuple(body(kernels)), 0), kernels


def test_what_takes_a_small_part_of_the_time_is_compiled_in_a_hurry():
    plan, (large, small, tiny) = plan_of([1_000_000, 2_000, 10], lambda kernels: kernels)
    assert hurried(plan) == {id(tiny)}
    plan, (large, small, tiny) = plan_of([10_000_000, 2_000, 10], lambda kernels: kernels)
    assert hurried(plan) == {id(small), id(tiny)}
    assert id(large) not in hurried(plan)


def test_many_small_kernels_are_a_large_part():
    plan, kernels = plan_of([100_000, *[100] * 50], lambda kernels: kernels)
    assert not hurried(plan)
    times = [work.nanoseconds(k, {b.number: b for b in plan.buffers}) for k in kernels]
    assert times[1] < effort._SHARE * times[0]  # one alone would be


def test_what_loops_repeat_is_optimised():
    plan, _ = plan_of([1_000_000, 10], lambda kernels: [kernels[0], For(0, 5, (kernels[1],))])
    assert not hurried(plan)


def test_looking_at_few_kernels_finds_what_looking_at_all_does(rng, monkeypatch):
    for share in (0.0, 0.001, 0.01, 0.1, 0.5):
        monkeypatch.setattr(effort, "_SHARE", share)
        sizes = [int(size) for size in 10 ** rng.uniform(0, 6, 60)]
        plan, kernels = plan_of(sizes, lambda kernels: kernels)
        buffers = {b.number: b for b in plan.buffers}
        budget = share * effort._time(plan.body)
        taken = set()
        for time, k in sorted((work.nanoseconds(k, buffers), i) for i, k in enumerate(kernels)):
            budget -= time
            if budget < 0:
                break
            taken.add(id(kernels[k]))
        same_time = {work.nanoseconds(k, buffers) for k in kernels}
        assert len(same_time) == len(set(sizes))  # equal sizes are all taken or none
        assert hurried(plan) <= taken
        left = [sizes[i] for i, k in enumerate(kernels) if id(k) in taken - hurried(plan)]
        assert len(set(left)) <= 1


def program(x):
    y = fnp.sin(x) @ x.T
    rows = fnp.sum(fnp.exp(-y * y), 1)
    order = fnp.where(rows > 0.5, fnp.cumsum(rows), fnp.max(y, 0))
    return fnp.tril(y), order, fnp.concatenate([rows, order[::-1]]).astype("f2"), fnp.argmin(y, 1)


@pytest.mark.parametrize("rows", [5, 37])
def test_the_same_bits_in_a_hurry(rows, rng, monkeypatch):
    x = rng.normal(size=(rows, 21)).astype("f4")
    want = fnad.jit(program)(x)
    monkeypatch.setattr(effort, "_SHARE", 1e9)
    found = []
    monkeypatch.setattr(emitter, "hurried", lambda plan: found.append(hurried(plan)) or found[-1])
    got = fnad.jit(lambda x: program(x))(x)
    assert len(found) == 1 and len(found[0]) > 3
    for one, other in zip(got, want, strict=True):
        np.testing.assert_array_equal(one, other)
