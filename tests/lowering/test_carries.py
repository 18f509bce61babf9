"""Carries of loops without copies: which copies go, which must stay, and what comes out."""

import sys

import numpy as np
import pytest

import fnad
import fnad.lax as lax
import fnad.numpy as fnp
from fnad.lowering import carries
from fnad.lowering.access import node_bodies
from fnad.lowering.carries import settle_carries
from fnad.lowering.expr import B, axis, counter, integer, load
from fnad.lowering.llvm.emitter import emit_plan
from fnad.lowering.plan import Branch, Buffer, Copy, For, Kernel, Store, While
from fnad.lowering.planning import plan_jaxpr
from fnad.lowering.simplify import simplify

F32 = np.dtype(np.float32)
N = 2000  # more than lives in registers, and worth two turns in one
I0, ZERO = axis(0, N), integer(0)


def buffers(*roles):
    return [Buffer(k, (N,), F32, role) for k, role in enumerate(roles)]


def kernel(out, value, offset=I0):
    return Kernel(((0, N),), (), (Store(out, offset, value),))


def at(number, offset=I0):
    return load(number, offset, F32)


def whole(source, out):
    return Copy(source, out, ZERO, ZERO, N)


def settled(body, roles, extent=10):
    return settle_carries([For(0, extent, tuple(body))], buffers(*roles))


def test_elementwise_update_is_written_over_the_carry():
    [loop] = settled([kernel(1, B.sin(at(0))), whole(1, 0)], ["output", "temp"])
    assert loop.body == (kernel(0, B.sin(at(0))),)


def test_what_reads_other_elements_takes_two_turns_in_one():
    flipped = at(0, (N - 1) - I0)
    [loop] = settled([kernel(1, flipped), whole(1, 0)], ["output", "temp"])
    assert loop.extent == 5
    assert loop.body == (kernel(1, flipped), kernel(0, at(1, (N - 1) - I0)))


def test_the_last_turn_of_an_odd_number_copies():
    turn = B.convert(counter(0, 11), F32)
    body = [kernel(1, at(0, (N - 1) - I0) + turn), whole(1, 0)]
    loop, last, copy = settled(body, ["output", "temp"], 11)
    assert (loop.extent, copy) == (5, whole(1, 0))
    assert last == kernel(1, at(0, (N - 1) - I0) + B.convert(integer(10), F32))


def test_a_later_reader_of_the_old_value_keeps_the_copy():
    body = [kernel(1, B.sin(at(0))), kernel(2, at(0) + at(1)), whole(1, 0)]
    [loop] = settle_carries([For(0, 1, tuple(body))], buffers("output", "temp", "output"))
    assert loop.body == tuple(body)


def test_the_copy_stays_if_the_target_changes_while_the_source_is_read():
    body = [kernel(1, at(2)), whole(1, 0), kernel(0, at(2) + at(2)), kernel(3, at(0) + at(1))]
    roles = ["output", "temp", "input", "output"]
    assert settle_carries(body, buffers(*roles)) == body


def test_the_copy_stays_if_the_source_changes_while_the_target_is_read():
    body = [kernel(1, at(2)), whole(1, 0), kernel(1, at(2) + at(2)), kernel(3, at(0) + at(1))]
    roles = ["output", "temp", "input", "output"]
    assert settle_carries(body, buffers(*roles)) == body


def test_update_of_one_element_in_place():
    single = Kernel((), (), (Store(1, integer(3), at(0, integer(5))),))
    [loop] = settled([whole(0, 1), single, whole(1, 0)], ["output", "temp"])
    assert loop.body == (Kernel((), (), (Store(0, integer(3), at(0, integer(5))),)),)


def test_a_value_that_goes_two_ways_still_reaches_readers_outside():
    taken = (kernel(1, B.sin(at(0))), whole(1, 2), whole(1, 3))
    body = [Branch(4, ((), taken)), kernel(5, at(2))]
    roles = ["input", "temp", "temp", "output", "input", "output"]
    branch, _ = settle_carries(body, buffers(*roles))
    assert branch.branches[1] == (kernel(2, B.sin(at(0))), whole(2, 3))


def test_a_stacked_result_is_written_in_its_place():
    place = counter(0, 10) * N
    roles = [Buffer(0, (N,), F32, "input"), Buffer(1, (N,), F32, "temp")]
    stack = Buffer(2, (10, N), F32, "output")
    body = (kernel(1, B.sin(at(0))), Copy(1, 2, ZERO, place, N))
    [loop] = settle_carries([For(0, 10, body)], [*roles, stack])
    assert loop.body == (kernel(2, B.sin(at(0)), place + I0),)


@pytest.mark.parametrize("length", [1, 2, 5, 8])
def test_rolling(length):
    x = np.random.default_rng(0).normal(size=(60, 50))
    run = fnad.jit(
        lambda x: lax.scan(
            lambda c, _: (fnp.roll(c, 1, 0) + fnp.roll(c, 2, 1), None), x, length=length
        )
    )
    want = x
    for _ in range(length):
        want = np.roll(want, 1, 0) + np.roll(want, 2, 1)
    np.testing.assert_allclose(run(x)[0], want)


@pytest.mark.parametrize("length", [1, 3, 4])
def test_carries_that_change_places(length):
    a, b = np.random.default_rng(0).normal(size=(2, N))

    def step(carry, _):
        x, y = carry
        return (y + 1, x[::-1] * 2), x

    (got_a, got_b), got = fnad.jit(lambda a, b: lax.scan(step, (a, b), length=length))(a, b)
    want = []
    for _ in range(length):
        want.append(a)
        a, b = b + 1, a[::-1] * 2
    np.testing.assert_allclose(got_a, a)
    np.testing.assert_allclose(got_b, b)
    np.testing.assert_allclose(got, want)


def test_nested_loops():
    x = np.random.default_rng(0).normal(size=N)

    def inner(c, k):
        return fnp.roll(c, 1) * k, c[0]

    def outer(c, _):
        c, firsts = lax.scan(inner, c, fnp.arange(1.0, 4.0))
        return fnp.tanh(c[::-1]), firsts

    got, firsts = fnad.jit(lambda x: lax.scan(outer, x, length=3))(x)
    want, seen = x, []
    for _ in range(3):
        row = []
        for k in (1.0, 2.0, 3.0):
            row.append(want[0])
            want = np.roll(want, 1) * k
        seen.append(row)
        want = np.tanh(want[::-1])
    np.testing.assert_allclose(got, want)
    np.testing.assert_allclose(firsts, seen)


def test_while_loop_updates_a_large_carry_in_place():
    def body(carry):
        k, x = carry
        start = (k * 7) % N
        x = lax.dynamic_update_slice(x, x[:1] + fnp.sum(x), (start,))
        return k + 1, x

    x = np.random.default_rng(0).normal(size=N) / N
    _, got = fnad.jit(lambda x: lax.while_loop(lambda c: c[0] < 9, body, (0, x)))(x)
    want = x.copy()
    for k in range(9):
        want[k * 7 % N] = want[0] + np.sum(want)
    np.testing.assert_allclose(got, want)


def test_a_while_loop_takes_two_turns_in_one():
    flag = Buffer(2, (), np.dtype(np.bool_), "temp")
    test = Kernel((), (), (Store(2, ZERO, B.less(at(0, ZERO), at(0, integer(1)))),))
    body = (kernel(1, at(0, (N - 1) - I0)), whole(1, 0))
    numbered = [*buffers("output", "temp"), flag]
    [loop] = settle_carries([While((test,), 2, body)], numbered)
    first, again, choose, branch = loop.body
    assert first == kernel(1, at(0, (N - 1) - I0))
    assert again.stores[0].value is B.less(at(1, ZERO), at(1, integer(1)))
    assert branch.branches == ((whole(1, 0),), (kernel(0, at(1, (N - 1) - I0)),))
    assert numbered[branch.index].dtype == np.int32
    assert choose.stores[0].buffer == branch.index


def test_copies_that_must_stay_do_not_keep_the_others():
    body = [kernel(1, at(0, (N - 1) - I0)), whole(2, 3), whole(1, 0)]
    [loop] = settled(body, ["output", "temp", "input", "output"])
    flipped = kernel(0, at(1, (N - 1) - I0))
    assert loop.body == (body[0], whole(2, 3), flipped, whole(2, 3))


@pytest.mark.parametrize("turns", [0, 1, 2, 3, 8])
@pytest.mark.parametrize("threads", [1, 3])
def test_while_loop_of_large_carries(turns, threads):
    a, b = np.random.default_rng(0).normal(size=(2, 3, 4 * N))
    fnad.config.num_threads, before = threads, fnad.config.num_threads

    def body(carry):
        k, x, y, z = carry
        return k + 1, fnp.roll(x, 1, 1) * 0.5 + y, z[::-1], x

    try:
        got = fnad.jit(lambda a, b, n: lax.while_loop(lambda c: c[0] < n, body, (0, a, b, b)))(
            a, b, turns
        )
    finally:
        fnad.config.num_threads = before
    x, y, z = a, b, b
    for _ in range(turns):
        x, y, z = np.roll(x, 1, 1) * 0.5 + y, z[::-1], x
    for value, want in zip(got, (turns, x, y, z), strict=True):
        np.testing.assert_array_equal(value, want)


def test_while_loop_stops_by_what_it_computes():
    def body(carry):
        k, x = carry
        return k + 1, (fnp.roll(x, 1) + fnp.roll(x, -1)) / 2

    for bound in (2.0, 1.0, 0.9, 0.5, 0.1):
        x = want = np.random.default_rng(0).normal(size=5000)
        steps = 0
        while np.max(np.abs(want)) > bound:
            want, steps = (np.roll(want, 1) + np.roll(want, -1)) / 2, steps + 1
        f = lambda x: lax.while_loop(lambda c: fnp.max(fnp.abs(c[1])) > bound, body, (0, x))  # noqa: B023
        got_steps, got = fnad.jit(f)(x)
        assert got_steps == steps
        np.testing.assert_array_equal(got, want)


# -- what comes out of nested bodies -------------------------------------------------------------


def test_what_a_branch_makes_is_written_where_it_is_wanted():
    index = Buffer(3, (), np.dtype(np.int32), "input")
    sides = (kernel(2, B.sin(at(0))), whole(2, 1)), (whole(0, 1),)
    body = [Branch(3, sides), whole(1, 4)]
    found = settle_carries(
        body, [*buffers("input", "temp", "temp"), index, Buffer(4, (N,), F32, "output")]
    )
    assert found == [Branch(3, ((kernel(4, B.sin(at(0))),), (whole(0, 4),)))]


def test_a_copy_of_what_others_read_as_well_stays():
    index = Buffer(2, (), np.dtype(np.int32), "input")
    body = [Branch(2, ((kernel(1, B.sin(at(0))),),)), whole(1, 3), kernel(4, at(1, -I0 + (N - 1)))]
    outside = [Buffer(k, (N,), F32, "output") for k in (3, 4)]
    [branch, reader] = settle_carries(body, [*buffers("input", "temp"), index, *outside])
    assert branch.branches == ((kernel(3, B.sin(at(0))),),)
    assert reader == kernel(4, at(3, -I0 + (N - 1)))


def branches_within_branches(depth):
    def f(x, depth=depth):
        if depth == 0:
            return fnp.sin(x) * x
        return lax.cond(fnp.sum(x) > depth, lambda x: f(x * 1.5, depth - 1), fnp.cos, x)

    return f


def loops_in_branches(depth):
    def f(x, depth=depth):
        if depth == 0:
            return fnp.sin(x)

        def loop(x):
            return lax.fori_loop(0, 3, lambda _, x: f(x * 0.5, depth - 1), x)

        return lax.cond(fnp.sum(x) > depth, loop, fnp.cos, x)

    return f


def loops_in_loops(depth):
    def f(x, depth=depth):
        if depth == 0:
            return fnp.sin(x)

        def step(x, _):
            return f(x * 1.01, depth - 1), fnp.cos(x)

        x, ys = lax.scan(step, x, length=2)
        return x + fnp.sum(ys, 0)

    return f


def count_nodes(body):
    return sum(1 + sum(map(count_nodes, node_bodies(node))) for node in body)


def work_of_planning(f):
    """How many Python functions are called to plan and print a gradient, for each node of it."""
    jaxpr = fnad.make_jaxpr(fnad.grad(lambda x: fnp.sum(f(x))))(np.ones(3))
    program = simplify(jaxpr.jaxpr)
    calls = 0

    def count(frame, event, _):
        nonlocal calls
        calls += event == "call"

    sys.setprofile(count)
    try:
        plan = plan_jaxpr(program)
        emit_plan(plan)
    finally:
        sys.setprofile(None)
    return calls / count_nodes(plan.body)


@pytest.mark.parametrize(
    "nested, depths",
    [
        (branches_within_branches, (4, 8, 16)),
        (loops_in_branches, (2, 4, 8)),
        (loops_in_loops, (2, 4, 8)),
    ],
)
def test_the_work_of_planning_grows_with_the_nodes(nested, depths):
    work_of_planning(nested(depths[-1]))  # fills caches
    works = [work_of_planning(nested(depth)) for depth in depths]
    assert works[2] < 1.5 * works[0]


def test_each_node_of_a_chain_of_updates_is_changed_once(monkeypatch):
    changed = []
    original = carries.redirected
    monkeypatch.setattr(
        carries, "redirected", lambda node, places: changed.append(node) or original(node, places)
    )

    def chain(x):
        for k in range(40):
            x = fnp.at(x)[k].set(x[k + 1] * 2)
        return x

    x = np.arange(50.0)
    closed = fnad.make_jaxpr(chain)(x)
    plan = plan_jaxpr(simplify(closed.jaxpr))
    assert len(changed) < 3 * 40
    assert sum(isinstance(n, Copy) for n in plan.body) <= 1
    np.testing.assert_array_equal(fnad.jit(chain)(x), chain(x))
