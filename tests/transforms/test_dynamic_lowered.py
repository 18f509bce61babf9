"""``jit(f, dynamic=...).lower(...)``: a program for many sizes as text, and compiled ahead."""

from __future__ import annotations

import numpy as np
import pytest

import fnad
import fnad.numpy as fnp


def scores(x, w):
    return fnp.tanh(x @ w) / x.shape[0]


TYPES = fnad.ShapeDtypeStruct((3, 5), np.float64), fnad.ShapeDtypeStruct((5,), np.float64)


def test_stages_speak_of_names():
    lowered = fnad.jit(scores, dynamic=("n d", "d")).lower(*TYPES)
    assert "a:f64[n,d] b:f64[d]" in lowered.as_text("jaxpr")
    assert "a:f64[n,d] b:f64[d]" in lowered.as_text("simplified")
    plan = lowered.as_text("plan")
    assert "kernel [i0<n]  # div  test_dynamic_lowered.py" in plan
    assert "slot 0 of 8*n bytes" in plan
    assert lowered.as_text() == lowered.as_text("llvm")
    assert "define void @fnad.entry(ptr %data, ptr %sizes)" in lowered.as_text()
    assert "fnad.entry:" in lowered.as_text("asm")
    with pytest.raises(ValueError, match="no stage 'ptx'"):
        lowered.as_text("ptx")


def test_what_was_lowered_is_compiled_for_all_sizes():
    function = fnad.jit(scores, dynamic=("n d", "d"))
    lowered = function.lower(*TYPES)
    compiled = lowered.compile()
    for n, d in ((1, 1), (4, 7), (0, 3), (100, 33)):
        x, w = np.ones((n, d)), np.ones(d)
        expected = scores(x, w) if n else np.zeros(0)
        np.testing.assert_allclose(compiled(x, w), expected)
        np.testing.assert_array_equal(function(x, w), compiled(x, w))
    assert function.num_programs == 1 and lowered.facts == []
    with pytest.raises(TypeError, match=r"compiled for arguments of types .*called with"):
        compiled(np.ones((2, 3)), np.ones(3, np.float32))


def test_what_a_program_takes_for_granted():
    function = fnad.jit(lambda x: x * 2 if x.shape[0] > 5 else x * 3, dynamic="n")
    lowered = function.lower(np.ones(9))
    assert lowered.facts == ["5 < n"]
    np.testing.assert_array_equal(lowered.compile()(np.ones(6)), np.full(6, 2.0))
    with pytest.raises(ValueError, match=r"for sizes with 5 < n, but in this call n is 2 \(axis 0"):
        lowered.compile()(np.ones(2))
    assert function.lower(np.ones(2)).facts == ["5 >= n"]


def test_sizes_with_a_static_program_are_lowered_to_it():
    lowered = fnad.jit(lambda x: fnp.squeeze(x, 0), dynamic="n").lower(np.ones(1))
    assert "f64[1]" in lowered.as_text("jaxpr")
    assert lowered.compile()(np.ones(1)) == 1
