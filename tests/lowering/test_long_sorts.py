"""Sorts of one long lane in steps, and their merges on vectors of any width."""

import re

import numpy as np
import pytest

import fnad
import fnad.lax as lax
from fnad.lowering.llvm import host


def plan_of(function, *args):
    text = fnad.jit(function).lower(*args).as_text("plan")
    return [re.sub(r"\s*#.*", "", line).strip() for line in text.splitlines() if "sort " in line]


def test_steps():
    assert plan_of(lax.sort, np.zeros(2**16 + 1)) == [
        "sort runs of 16384 (65537): %2 = %0",
        "sort merge of 16384 (65537): %3 = %2",
        "sort merge of 32768 (65537): %2 = %3",
        "sort merge of 65536 (65537): %3 = %2",
        "sort results (65537): %1 = %0, %3",
    ]
    assert plan_of(lax.sort, np.zeros(2**13 + 1))[0] == "sort runs of 4096 (8193): %2 = %0"


def test_what_is_left_whole():
    small, two, digits = np.zeros(2**13 - 1), np.zeros((2, 2**16)), np.zeros(2**16, np.int8)
    for x in (small, two, digits):
        assert len(plan_of(lax.sort, x)) == 1
    assert len(plan_of(lambda a: lax.sort((a, a), num_keys=2), np.zeros(2**16))) == 1


def test_threads_do_not_change_a_bit():
    x = np.random.default_rng(0).integers(-1000, 1000, 100_000) * 0.5
    x[::3] *= -0.0
    before, results = fnad.config.num_threads, []
    try:
        for threads in (1, 2, 7):
            fnad.config.num_threads = threads
            results.append(fnad.jit(lambda a: (lax.sort(a), np.argsort(a)))(x))
    finally:
        fnad.config.num_threads = before
    for values, order in results:
        np.testing.assert_array_equal(order, np.argsort(x, kind="stable"))
        np.testing.assert_array_equal(values.view(np.int64), x[order].view(np.int64))


@pytest.mark.parametrize("bits", [128, 256, 512])
@pytest.mark.parametrize("dtype", ["i4", "f8", "f2"])
@pytest.mark.parametrize("n", [40, 1000, 10_000, 70_000])
def test_vectors_of_any_width(monkeypatch, bits, dtype, n):
    monkeypatch.setattr(host, "vector_bits", lambda: bits)
    monkeypatch.setattr(fnad.config, "cache_dir", None)
    x = (np.random.default_rng(0).normal(size=n) * 1000).astype(dtype)
    values, order = fnad.jit(lambda a: (lax.sort(a), np.argsort(a)))(x)
    np.testing.assert_array_equal(values, np.sort(x))
    np.testing.assert_array_equal(order, np.argsort(x, kind="stable"))


@pytest.mark.parametrize(
    "x", [np.arange(50_000.0), np.arange(50_000.0)[::-1], np.full(50_000, np.inf)]
)
def test_runs_that_end_early(x):
    values, order = fnad.jit(lambda a: (lax.sort(a), np.argsort(a)))(x)
    np.testing.assert_array_equal(values, np.sort(x))
    np.testing.assert_array_equal(order, np.argsort(x, kind="stable"))
