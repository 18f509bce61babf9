"""Loops that update a few elements of a large carry: no step passes over all of it."""

import math

import numpy as np
import pytest

import fnad.numpy as fnp
from fnad import grad, jit, jvp, lax, make_jaxpr, tree, vmap
from fnad.lowering import lower_jaxpr
from fnad.lowering.access import node_bodies
from fnad.lowering.early_reads import read_early
from fnad.lowering.expr import axis, integer, load
from fnad.lowering.plan import Branch, Buffer, Copy, For, Kernel, Store, While

N, STEPS = 5000, 40
F32 = np.dtype(np.float32)
ZERO = integer(0)


def place(i):
    return i * 7919 % N


def _loop(step):
    return lambda x: lax.fori_loop(0, STEPS, step, x)


def _branches(i, x):
    return lax.cond(
        i % 2 == 0,
        lambda x: x.at[place(i)].set(2 * x[place(i + 1)]),
        lambda x: x.at[place(i)].add(1.0),
        x,
    )


def _swapped(i, x):
    a, b = place(i), place(i + 1)
    return x.at[a].set(x[b]).at[b].set(x[a])


def _window(i, x):
    window = lax.dynamic_slice(x, (place(i),), (4,))
    return lax.dynamic_update_slice(x, fnp.sin(window), (place(i) + 3,))


def _read_after(x):
    def step(i, state):
        x, total = state
        y = x.at[place(i)].set(2 * x[place(i + 1)])
        return y, total + y[place(i + 2)] * x[place(i)]

    return lax.fori_loop(0, STEPS, step, (x, 0.0))


def _stacked(x):
    def step(x, i):
        return x.at[i].set(fnp.sin(x[i])), x[i]

    return lax.scan(step, x, place(np.arange(STEPS)))


def _while(x):
    def step(state):
        i, x = state
        return i + 1, x.at[place(i)].set(fnp.sin(x[place(i + 1)]))

    return lax.while_loop(lambda state: state[0] < STEPS, step, (0, x))[1]


def _nested(x):
    def outer(i, x):
        def inner(j, x):
            return x.at[place(8 * i + j)].multiply(x[place(8 * i + j + 1)])

        return lax.fori_loop(0, 8, inner, x)

    return lax.fori_loop(0, STEPS // 8, outer, x)


def _several_indices(i, x):
    at = place(i + np.array([0, 1, 0]))
    return x.at[at].set(x[at + 1] * np.array([1.0, 2.0, 3.0]))


LOOPS = {
    "set": _loop(lambda i, x: x.at[place(i)].set(fnp.sin(x[place(i)]))),
    "add": _loop(lambda i, x: x.at[place(i)].add(fnp.sin(x[place(i + 1)]))),
    "multiply": _loop(lambda i, x: x.at[place(i)].multiply(x[place(i + 1)])),
    "max": _loop(lambda i, x: x.at[place(i)].max(x[place(i + 1)])),
    "two": _loop(lambda i, x: x.at[place(i)].set(2 * x[place(i + 1)]).at[place(i + 5)].add(1.0)),
    "several indices": _loop(_several_indices),
    "swap": _loop(_swapped),
    "slices": _loop(_window),
    "branches": _loop(_branches),
    "read after": _read_after,
    "stacked": _stacked,
    "nested": _nested,
    "while": _while,
}


def _passes(body, inside=False):
    """The nodes inside of loops that go over as many elements as the carry has."""
    for node in body:
        if isinstance(node, Copy):
            size = node.size
        elif isinstance(node, Kernel):
            reduced = max((math.prod(n for _, n in r.axes) for r in node.reductions), default=1)
            size = math.prod(n for _, n in node.axes) * reduced
        else:
            size = 0
        if inside and size >= N // 2:
            yield node
        for inner in node_bodies(node):
            yield from _passes(inner, inside or isinstance(node, (For, While)))


def _total(f):
    return lambda x: fnp.sum(fnp.sin(tree.leaves(f(x))[0]))


@pytest.mark.parametrize("name", LOOPS)
def test_no_step_passes_over_the_carry(name):
    f, x = LOOPS[name], np.ones(N)
    rows = np.ones((3, N))
    programs = {
        "forward": (f, x),
        "reverse": (grad(_total(f)), x),
        "vmap": (vmap(f), rows),
        "vmap of grad": (vmap(grad(_total(f))), rows),
        "grad of vmap": (grad(lambda rows: fnp.sum(vmap(_total(f))(rows))), rows),
    }
    for kind, (g, arg) in programs.items():
        plan = lower_jaxpr(make_jaxpr(g)(arg).jaxpr)
        assert list(_passes(plan.body)) == [], kind


@pytest.mark.parametrize("name", LOOPS)
def test_results_and_gradients(name):
    f, total = LOOPS[name], _total(LOOPS[name])
    x, t = np.random.default_rng(0).normal(size=(2, N))
    for got, want in zip(tree.leaves(jit(f)(x)), tree.leaves(f(x)), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-12)
    slope = jit(grad(total))(x)
    np.testing.assert_allclose(slope, grad(total)(x), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(slope @ t, jvp(total, (x,), (t,))[1], rtol=1e-9)
    rows = np.stack([x, t])
    got = jit(vmap(grad(total)))(rows)
    np.testing.assert_allclose(got[0], slope, rtol=1e-9, atol=1e-12)


def test_a_table_that_a_loop_reads():
    steps = np.random.default_rng(0).integers(0, N, STEPS)

    def f(table):
        def step(total, i):
            window = lax.dynamic_slice(table, (i,), (2,))
            return total + fnp.sin(table[i]) * table[i // 2] + window[1], None

        return lax.scan(step, 0.0, steps)[0]

    table = np.random.default_rng(1).normal(size=N)
    slope = jit(grad(f))(table)
    t = np.random.default_rng(2).normal(size=N)
    np.testing.assert_allclose(slope @ t, jvp(f, (table,), (t,))[1], rtol=1e-10)
    assert list(_passes(lower_jaxpr(make_jaxpr(grad(f))(table).jaxpr).body)) == []


# -- the pass itself ---------------------------------------------------------------------------


def _buffers(*roles):
    return [Buffer(k, (N,), F32, role) for k, role in enumerate(roles)]


def _single(out, value, offset=ZERO):
    return Kernel((), (), (Store(out, offset, value),))


def _whole(source, out):
    return Copy(source, out, ZERO, ZERO, N)


def at(number, offset):
    return load(number, offset, F32)


def test_a_node_that_reads_only_the_old_value_moves():
    write, read = _single(1, at(2, ZERO)), _single(3, at(0, integer(5)))
    body = [_whole(0, 1), write, read, _whole(1, 0)]
    buffers = _buffers("output", "temp", "input", "output")
    assert read_early(body, buffers) == [_whole(0, 1), read, write, _whole(1, 0)]


def test_a_node_that_also_writes_is_cut_in_two():
    write, both = _single(1, at(2, ZERO)), _single(1, at(0, integer(5)), integer(7))
    body = [_whole(0, 1), write, both, _whole(1, 0)]
    buffers = _buffers("output", "temp", "input")
    early = _single(3, at(0, integer(5)))
    late = _single(1, at(3, ZERO), integer(7))
    assert read_early(body, buffers) == [_whole(0, 1), early, write, late, _whole(1, 0)]
    assert buffers[3].size == 1


def test_what_decides_on_the_place_must_be_there():
    place = load(3, ZERO, np.dtype(np.int64))
    write, number = _single(1, at(2, ZERO)), _single(3, integer(1))
    both = _single(1, at(0, place), integer(7))
    body = [_whole(0, 1), write, number, both, _whole(1, 0)]
    buffers = [*_buffers("output", "temp", "input"), Buffer(3, (), np.dtype(np.int64), "temp")]
    assert read_early(body, buffers) == body


def test_many_elements_stay_where_they_are():
    write = _single(1, at(2, ZERO))
    both = Kernel(((0, N),), (), (Store(1, axis(0, N), at(0, (N - 1) - axis(0, N))),))
    body = [_whole(0, 1), write, both, _whole(1, 0)]
    assert read_early(body, _buffers("output", "temp", "input")) == body


def test_branches_begin_anew():
    write, both = _single(1, at(2, ZERO)), _single(1, at(0, integer(5)), integer(7))
    branch = Branch(3, ((_whole(0, 1),), (_whole(0, 1), write, both)))
    buffers = [*_buffers("output", "temp", "input"), Buffer(3, (), np.dtype(np.int32), "input")]
    found, _ = read_early([branch, _whole(1, 0)], buffers)
    early, late = _single(4, at(0, integer(5))), _single(1, at(4, ZERO), integer(7))
    assert found.branches[1] == (_whole(0, 1), early, write, late)
