"""Modules in parts: every symbol defined where it is needed, the same results."""

import ctypes
import re
import threading
import time

import numpy as np
import pytest

import fnad
from fnad.lowering import lower_jaxpr
from fnad.lowering.binary import binary_of
from fnad.lowering.executable import Executable
from fnad.lowering.llvm import split as splitting
from fnad.lowering.llvm.emitter import emit_plan
from fnad.lowering.llvm.once import once
from fnad.lowering.llvm.split import split
from fnad.lowering.llvm.target import compile_module


def model(x, w):
    for i in range(4):
        x = np.tanh(np.cumsum(x, i % 2) @ w) + np.sin(x[::-1] * (i + 1))
        x = np.exp(x - x.max(i % 2, keepdims=True)) / (1 + np.sort(x, axis=i % 2))
    return x.sum(0), np.log1p(x * x)


@pytest.fixture
def plan(rng):
    x, w = rng.normal(size=(30, 30)), rng.normal(size=(30, 30))
    return lower_jaxpr(fnad.make_jaxpr(model)(x, w).jaxpr), (x, w)


def test_each_part_defines_or_declares_what_it_names(plan, monkeypatch):
    monkeypatch.setattr(splitting, "_SIZE", 2000)
    definitions = emit_plan(plan[0]).definitions
    parts = split(definitions)
    assert len(parts) == 9 and sum("@fnad.entry(" in part for part in parts) == 1
    assert parts == split(definitions)
    tasks = re.compile(r"^define (?:internal )?void @([\w.$]+\.task)\(", re.MULTILINE)
    whole = tasks.findall("\n".join(definitions))
    assert sorted(t for part in parts for t in tasks.findall(part)) == sorted(whole)
    for part in parts:
        code = "\n".join(line.split(" ; ")[0] for line in part.split("\n"))
        named = set(re.findall(r"@([\w.$]+)", code))
        known = re.findall(r"^(?:define|declare)\b[^@\n]*@([\w.$]+)\(", code, re.MULTILINE)
        assert named == {*known, *re.findall(r"^@([\w.$]+) =", code, re.MULTILINE)}


def test_parts_compute_what_the_whole_computes(plan, monkeypatch):
    monkeypatch.setattr(splitting, "_MOST", 1)
    whole = Executable(binary_of(plan[0]))(plan[1])
    monkeypatch.setattr(splitting, "_MOST", 6)
    monkeypatch.setattr(splitting, "_SIZE", 1000)
    binary = binary_of(plan[0])
    assert len(binary.code.object_files) == 7
    for got, want in zip(Executable(binary)(plan[1]), whole, strict=True):
        np.testing.assert_array_equal(got, want)


def test_modules_without_tasks_stay_whole():
    text = "define i64 @f() {\n  ret i64 7\n}"
    (part,) = split([text, "; " + "x" * 100_000])
    module = compile_module(part)
    assert ctypes.CFUNCTYPE(ctypes.c_int64)(module.address("f"))() == 7


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
