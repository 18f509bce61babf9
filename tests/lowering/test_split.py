"""Modules in parts: every symbol defined where it is needed, the same results."""

import re
import sys
import threading
import time

import numpy as np
import pytest

import fnad
from fnad.core.errors import InternalError
from fnad.lowering import lower_jaxpr
from fnad.lowering.executable import Executable
from fnad.lowering.llvm import split as splitting
from fnad.lowering.llvm.compilation import Compilation
from fnad.lowering.llvm.emitter import emit_plan
from fnad.lowering.llvm.once import once
from fnad.lowering.llvm.target import PLAIN
from fnad.lowering.pipeline import binary_of


def model(x, w):
    for i in range(4):
        x = np.tanh(np.cumsum(x, i % 2) @ w) + np.sin(x[::-1] * (i + 1))
        x = np.exp(x - x.max(i % 2, keepdims=True)) / (1 + np.sort(x, axis=i % 2))
    return x.sum(0), np.log1p(x * x)


@pytest.fixture
def plan(rng):
    x, w = rng.normal(size=(30, 30)), rng.normal(size=(30, 30))
    return lower_jaxpr(fnad.make_jaxpr(model)(x, w).jaxpr), (x, w)


def parts_of(plan):
    parts = []
    emit_plan(plan, lambda text, recipe: parts.append((text, recipe)))
    return parts


def test_each_part_defines_or_declares_what_it_names(plan, monkeypatch):
    monkeypatch.setattr(splitting, "_SIZE", 2000)
    parts = parts_of(plan[0])
    assert len(parts) > 8 and parts == parts_of(plan[0])
    assert [recipe for _, recipe in parts].count(PLAIN) == 1 and parts[-1][1] is PLAIN
    defined = []
    for text, _ in parts:
        named = set(re.findall(r"@([\w.$]+)", text))
        known = re.findall(r"^(?:define|declare)\b[^@\n]*@([\w.$]+)\(", text, re.MULTILINE)
        assert named == {*known, *re.findall(r"^@([\w.$]+) =", text, re.MULTILINE)}
        defined += re.findall(r"^define void @([\w.$]+)\(", text, re.MULTILINE)
    assert len(set(defined)) == len(defined) and "fnad.entry" in defined
    whole = emit_plan(plan[0]).text
    assert set(defined) == set(re.findall(r"^define void @([\w.$]+)\(", whole, re.MULTILINE))


def test_parts_compute_what_the_whole_computes(plan, monkeypatch):
    monkeypatch.setattr(splitting, "_SIZE", 10**9)
    binary = binary_of(plan[0])
    assert len(binary.code.object_files) == 2
    whole = Executable(binary)(plan[1])
    monkeypatch.setattr(splitting, "_SIZE", 1000)
    binary = binary_of(plan[0])
    assert len(binary.code.object_files) > 8
    for got, want in zip(Executable(binary)(plan[1]), whole, strict=True):
        np.testing.assert_array_equal(got, want)


def test_the_interpreter_has_its_interval_again(plan):
    before = sys.getswitchinterval()
    with pytest.raises(InternalError, match="nonsense"), Compilation() as compilation:
        assert sys.getswitchinterval() <= before
        compilation.add("declare void @nonsense()", PLAIN)
        compilation.code()
    assert sys.getswitchinterval() == before


def test_threads_wait_for_the_first_that_asks():
    calls = []

    @once
    def slow(key):
        calls.append(key)
        time.sleep(0.05)
        return slow(key - 1) + 1 if key else 0

    results = []
    threads = [threading.Thread(target=lambda: results.append(slow(3))) for _ in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert results == [3] * 8 and sorted(calls) == [0, 1, 2, 3]
