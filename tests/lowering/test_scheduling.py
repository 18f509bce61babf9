"""The order in which long computations are printed."""

import itertools

import numpy as np
import pytest

import fnad
from fnad import lax
from fnad.lowering.expr import axis, load
from fnad.lowering.llvm.scheduling import few_alive
from fnad.lowering.plan import Kernel, Store
from fnad.primitives.fft.butterflies import dft
from tests.lowering.test_kernels import compile_kernel

F64 = np.dtype(np.float64)


class Recorded:
    """A value that notes of what it was computed."""

    def __init__(self, program, *operands):
        self.program, self.number = program, len(program)
        program.append([x.number for x in operands])

    def __add__(self, other):
        return Recorded(self.program, self, *[other] * isinstance(other, Recorded))

    __sub__ = __mul__ = __rmul__ = __add__

    def __neg__(self):
        return Recorded(self.program, self)


def butterflies(length):
    """What each operation of a short transform depends on, and the results."""
    program = []
    operands = [(Recorded(program), Recorded(program)) for _ in range(length)]
    results = [part.number for pair in dft(operands) for part in pair]
    return program, results


def in_order_of(results, program):
    """Operations in the order in which results need them."""
    found = {}

    def visit(node):
        if node not in found:
            for other in program[node]:
                visit(other)
            found[node] = None

    for node in results:
        visit(node)
    return list(found)


def read_again(order, program, registers):
    """How many values have to be read from memory, if registers keep what is used next."""
    uses = {node: [] for node in order}
    for time, node in enumerate(order):
        for other in program[node]:
            uses[other].append(time)
    kept, count = set(), 0
    for time, node in enumerate(order):
        count += len(set(program[node]) - kept) if program[node] else 1
        kept = {n for n in {*kept, *program[node], node} if any(t > time for t in uses[n])}
        while len(kept) > registers:
            kept.remove(max(kept, key=lambda n: next(t for t in uses[n] if t > time)))
    return count


@pytest.mark.parametrize("length", [2, 3, 4, 5, 7, 8, 9, 16])
def test_arguments_come_first(length):
    program, _ = butterflies(length)
    order = few_alive(program)
    assert sorted(order) == list(range(len(program)))
    place = {node: i for i, node in enumerate(order)}
    assert all(place[a] < place[node] for node in order for a in program[node])


def test_parts_that_do_not_meet_are_done_one_by_one():
    chains = [[[], [start], [start + 1], [start + 2]] for start in range(0, 40, 4)]
    program = list(itertools.chain.from_iterable(zip(*chains)))
    numbered = {4 * chain + i: 10 * i + chain for i in range(4) for chain in range(10)}
    program = [[numbered[a] for a in needed] for needed in program]
    assert few_alive(program) == [10 * i + chain for chain in range(10) for i in range(4)]


def test_a_transform_of_sixteen_numbers_is_two_rounds_of_four():
    # With registers for 8 complex numbers, each of 16 is read once for either round.
    program, results = butterflies(16)
    needed = set(in_order_of(results, program))
    order = [node for node in few_alive(program) if node in needed]
    assert read_again(order, program, 16) <= 2 * 32 + 4
    assert read_again(in_order_of(results, program), program, 16) > 3 * 32


@pytest.mark.parametrize("count", [4, 16, 37])
def test_what_is_read_and_written_is_read_first(count):
    i = axis(0, count)
    stores = [Store(0, i + k * count, load(0, i + (9 - k) * count, F64) * k) for k in range(10)]
    x = np.random.default_rng(0).normal(size=(10, count))
    want = x[::-1] * np.arange(10)[:, None]
    run, tasks = compile_kernel(Kernel(((0, count),), (), tuple(stores)), {0: x}, known=False)
    run(0, tasks)
    np.testing.assert_array_equal(x, want)


def test_complex_numbers_side_by_side():
    """Rows of two elements are read and written in masked vectors as well."""
    x = np.random.default_rng(0).normal(size=(16, 5, 2)) @ [1, 1j]
    got = fnad.jit(lambda x: lax.fft(x.T, "FFT", (16,)))(x)
    np.testing.assert_allclose(got, np.fft.fft(x.T), rtol=1e-14, atol=1e-14)


def test_lines_of_the_next_rows_are_fetched_where_they_may_be_far():
    def text(rows):
        x = np.zeros((rows, 256), np.complex64)
        return fnad.jit(lambda x: lax.fft(x, "FFT", (256,))).lower(x).as_text("llvm")

    # A row is read, and written, by vectors of complex numbers, a line each, at 8 places.
    assert text(1000).count("call void @llvm.prefetch") == 2 * 8
    assert "prefetch" not in text(16)
