"""Copies that nobody can change, of arrays small and large."""

from __future__ import annotations

import threading

import numpy as np
import pytest

import fnad
from fnad.core import copying
from fnad.core.copying import _LARGE_BYTES, frozen_copy

LARGE = _LARGE_BYTES // 4 + 12_345  # float32, and not a whole number of pages


def numbers(count, dtype):
    return np.random.default_rng(0).integers(-99, 99, count).astype(dtype)


@pytest.mark.parametrize(
    "array",
    [
        np.arange(6.0).reshape(2, 3).T,
        numbers(LARGE, np.float32),
        numbers(2 * LARGE, np.float32).reshape(2, -1)[:, 7 : 7 + LARGE],
        numbers(LARGE, np.float32)[None].T,
        numbers(2 * LARGE, np.float32).reshape(2, LARGE).T,
        numbers(LARGE * 4 + 3, np.int8)[3:],
        numbers(LARGE, ">f4"),
    ],
    ids=["small", "large", "rows", "column", "transposed", "odd address", "bytes swapped"],
)
def test_a_frozen_copy_is_equal_apart_and_read_only(array):
    copy = frozen_copy(array, array.dtype.newbyteorder("="))
    np.testing.assert_array_equal(copy, array, strict=False)
    assert copy.dtype == array.dtype.newbyteorder("=")
    assert copy.shape == array.shape
    assert copy.flags.c_contiguous
    assert copy.flags.aligned
    assert not np.shares_memory(copy, array)
    holder = copy
    while holder is not None:
        assert not holder.flags.writeable
        holder = holder.base


def test_what_fails_in_the_other_thread_is_raised(monkeypatch):
    failed = threading.Event()

    def move(*_):
        if threading.current_thread() is threading.main_thread():
            assert failed.wait(10)
        else:
            failed.set()
            raise MemoryError("no page")

    monkeypatch.setattr(copying, "_memmove", move)
    with pytest.raises(MemoryError, match="no page"):
        frozen_copy(numbers(LARGE, np.float32), np.dtype(np.float32))


def test_a_large_buffer_that_is_changed_while_tracing_is_read_as_it_was():
    buffer = np.zeros(LARGE, np.float32)

    def f(i):
        picked = []
        for value in range(3):
            buffer[:] = value
            picked.append(fnad.numpy.take(buffer, i))
        return picked

    last = np.int32(LARGE - 1)
    compiled = fnad.jit(f).lower(last).compile()
    buffer[:] = 9
    assert [float(x) for x in compiled(last)] == [0, 1, 2]


def test_a_large_array_that_is_changed_before_the_program_is_compiled_is_read_as_it_was():
    table = np.zeros(LARGE, np.float32)
    last = np.int32(LARGE - 1)
    lowered = fnad.jit(lambda i: fnad.numpy.take(table, i)).lower(last)
    table[:] = 1
    assert lowered.compile()(last) == 0


def test_threads_that_close_over_one_large_array_read_what_each_has_met():
    table = np.zeros(LARGE, np.float32)
    first, last = np.int32(0), np.int32(LARGE - 1)
    met, changed = threading.Event(), threading.Event()

    def f(i):
        before = fnad.numpy.take(table, i)
        met.set()
        assert changed.wait(60)
        return before, fnad.numpy.take(table, i)

    found = []
    other = threading.Thread(target=lambda: found.append(fnad.jit(f)(last)))
    other.start()
    assert met.wait(60)
    table[:] = 1
    mine = fnad.jit(lambda i: fnad.numpy.take(table, i))(first)
    changed.set()
    other.join()
    assert mine == 1
    assert [float(x) for x in found[0]] == [0, 1]


def test_what_a_large_snapshot_closes_over_is_not_copied_again():
    table = numbers(LARGE, np.float32)
    [snapshot] = fnad.make_jaxpr(lambda x: x * table)(2.0).consts
    [again] = fnad.make_jaxpr(lambda x: x * snapshot)(2.0).consts
    assert again is snapshot
