"""Arrays are the user's own: in-place changes reach neither programs nor other results."""

from __future__ import annotations

import numpy as np
import pytest

import fnad
from fnad import errors, lax

X = np.array([1.0, 2.0, 3.0])


def filled_buffer(x):
    """Reads one buffer three times, changed in between: 0 x + 1 x + 2 x."""
    buffer, total = np.zeros(3), 0.0
    for i in range(3):
        buffer[:] = i
        total = total + buffer * x
    return total.sum()


def test_a_buffer_that_is_changed_while_tracing_is_read_as_it_was():
    assert fnad.jit(filled_buffer)(X) == 18.0
    np.testing.assert_array_equal(fnad.vmap(filled_buffer)(np.stack([X, X])), [18, 18])
    np.testing.assert_array_equal(fnad.grad(fnad.jit(filled_buffer))(X), [3, 3, 3])
    np.testing.assert_array_equal(fnad.grad(filled_buffer)(X), [3, 3, 3])


def test_a_buffer_read_by_an_inner_and_an_outer_function():
    buffer = np.ones(3)

    def f(x):
        inner = fnad.grad(lambda y: (buffer * y).sum())(x)
        buffer[:] = 5
        return inner + buffer * x

    np.testing.assert_array_equal(fnad.jit(f)(X), 1 + 5 * X)


def test_one_array_closed_over_many_times_is_one_constant():
    table = np.arange(3.0)

    def f(x):
        return fnad.vmap(lambda y: y * table)(x * table) + table

    assert len(fnad.make_jaxpr(f)(np.ones((2, 3))).consts) == 1


def test_what_cannot_be_written_is_not_copied():
    table = np.arange(4.0)
    for frozen, is_copied in (
        (table, True),
        (np.broadcast_to(table, (2, 4)), True),  # read-only itself, but not the table
        (np.frombuffer(bytearray(32)).view(), True),
        (np.frombuffer(bytes(32)), False),
    ):
        [const] = fnad.make_jaxpr(lambda x: x * frozen)(2.0).consts  # noqa: B023
        assert np.shares_memory(const, frozen) != is_copied
    table.flags.writeable = False
    for frozen in (table, table[1:], table.reshape(2, 2)[::-1].T):
        [const] = fnad.make_jaxpr(lambda x: x * frozen)(2.0).consts  # noqa: B023
        assert const is frozen
        np.testing.assert_array_equal(fnad.jit(lambda x: x * frozen)(2.0), frozen * 2)  # noqa: B023


def test_results_share_no_memory_with_arguments():
    for results in (
        fnad.jvp(lambda x: x, (X,), (X,)),
        [fnad.vmap(lambda x: x)(X), fnad.vmap(lambda x: x, in_axes=1)(X[None])],
        fnad.vjp(lambda x: (x, x.reshape(3, 1)), X)[0],
        [fnad.linearize(lambda x: x, X)[1](X)],
        fnad.vjp(lambda x: x, X)[1](X),
        [fnad.vjp(lambda x: (x.sum(), x), X, has_aux=True)[2]],
    ):
        for result in results:
            assert result.flags.writeable
            assert not np.shares_memory(result, X)


@pytest.mark.parametrize(
    "loop",
    [
        lambda x: lax.cond(True, lambda y: (y, y), lambda y: (y + 1, y), x),
        lambda x: lax.switch(0, [lambda y: (y, y[:2]), lambda y: (y + 1, y[:2])], x),
        lambda x: lax.while_loop(lambda c: c[0].sum() < 0, lambda c: c, (x, x)),
        lambda x: lax.fori_loop(0, 0, lambda i, c: c, (x, x)),
        lambda x: lax.scan(lambda c, _: (c, c), x, None, length=2),
    ],
    ids=["cond", "switch", "while_loop", "fori_loop", "scan"],
)
def test_results_of_loops_and_branches_without_jit_share_no_memory(loop):
    results = loop(X)
    for i, result in enumerate(results):
        for other in (X, *results[:i]):
            assert not np.shares_memory(result, other)


def test_gradients_share_no_memory_with_each_other():
    g, h = fnad.grad(lambda x, y: (x + y).sum(), (0, 1))(X, X)
    g *= 5
    np.testing.assert_array_equal(h, [1, 1, 1])


def test_conversion_of_a_leaked_tracer_names_the_leak():
    kept = []
    fnad.jit(lambda x: kept.append(x * 2))(X)
    with pytest.raises(errors.UnexpectedTracerError, match="after the tracing of jit"):
        np.asarray(kept[0])
