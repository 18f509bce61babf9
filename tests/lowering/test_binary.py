"""Compiled programs are kept under their fingerprints, and found by later processes."""

import subprocess
import sys

import numpy as np
import pytest

import fnad
import fnad.numpy as fnp
from fnad import lax
from fnad.extend import elementwise
from fnad.lowering import binary, compile_jaxpr, lower_jaxpr, pipeline
from fnad.lowering.binary import Binary, kept_name
from fnad.lowering.executable import Executable
from fnad.lowering.pipeline import binary_of


@pytest.fixture
def folder(tmp_path):
    before = fnad.config.cache_dir
    fnad.config.cache_dir = tmp_path / "cache"
    yield tmp_path / "cache"
    fnad.config.cache_dir = before


def jaxpr_of(fun, *args):
    return fnad.make_jaxpr(fun)(*args).jaxpr


def softmax(x):
    e = fnp.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True), x.sum()


X = np.random.default_rng(0).standard_normal((4, 5)).astype(np.float32)


def same(a, b):
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "complex128"])
def test_bytes_hold_all_of_a_binary(folder, dtype):
    x = X.astype(dtype)
    made = binary_of(lower_jaxpr(jaxpr_of(softmax, x)))
    again = Binary.from_bytes(made.to_bytes())
    assert again.to_bytes() == made.to_bytes()
    for got, want in zip(Executable(again)([x]), Executable(made)([x]), strict=True):
        assert same(got, want)


def test_constants_of_rules_are_kept(folder):
    double = elementwise("double", "2x.", lambda b, x: x + x, kinds="f", derivatives=[None])
    table = np.arange(6.0).reshape(2, 3)

    @double.jvp
    def _(primals, tangents):
        return double.bind(*primals), lax.mul(tangents[0], table)

    program = jaxpr_of(lambda x, t: fnad.jvp(double.bind, (x,), (t,)), table, table)
    made = binary_of(lower_jaxpr(program))
    assert len(made.constants) == 2  # and the table of calls
    again = Binary.from_bytes(made.to_bytes())
    out, tangent = Executable(again)([table, np.ones((2, 3))])
    np.testing.assert_array_equal(out, 2 * table)
    np.testing.assert_array_equal(tangent, table)


@pytest.mark.parametrize("dtype", ["float32", "complex64"])
def test_a_program_is_planned_once_and_then_found(dtype, folder, monkeypatch):
    x = X.astype(dtype)
    want = compile_jaxpr(jaxpr_of(softmax, x))([x])
    monkeypatch.setattr(pipeline, "emit_plan", None)  # nothing is printed any more
    for got, expected in zip(compile_jaxpr(jaxpr_of(softmax, x))([x]), want, strict=True):
        assert same(got, expected)


def test_names_depend_on_program_donation_and_fnad(folder, monkeypatch):
    one, other = jaxpr_of(softmax, X), jaxpr_of(softmax, X[:3])
    names = {kept_name(one, ()), kept_name(other, ()), kept_name(one, (0,))}
    monkeypatch.setattr(binary, "source_fingerprint", lambda: b"another fnad")
    names.add(kept_name(one, ()))
    monkeypatch.setattr(binary, "host", lambda: b"another machine")
    names.add(kept_name(one, ()))
    assert len(names) == 5 and None not in names


def test_primitives_of_users_are_compiled_anew(folder):
    def make(factor):
        own = elementwise("times", "x times a number.", lambda b, x: x * factor, kinds="f")
        return jaxpr_of(own.bind, X)

    assert kept_name(make(2.0), ()) is None
    for factor in (2.0, 3.0):
        np.testing.assert_array_equal(compile_jaxpr(make(factor))([X])[0], factor * X)


def test_damaged_entries_are_made_again(folder):
    want = compile_jaxpr(jaxpr_of(softmax, X))([X])
    for entry in folder.iterdir():
        entry.write_bytes(entry.read_bytes()[:-7] + b"damaged")
    for got, expected in zip(compile_jaxpr(jaxpr_of(softmax, X))([X]), want, strict=True):
        assert same(got, expected)


_PROGRAM = """
import numpy as np, fnad, fnad.numpy as fnp
from fnad.lowering.llvm import target
compiled = []
original = target._emit
target._emit = lambda *args: compiled.append(1) or original(*args)
f = fnad.jit(fnad.value_and_grad(lambda w: fnp.tanh(w @ w.T).sum()))
value, grad = f(np.arange(12, dtype=np.float32).reshape(3, 4) / 10)
print(int(bool(compiled)), value, grad.tolist())
"""


def test_a_second_process_compiles_nothing(folder):
    outs = [
        subprocess.run(
            [sys.executable, "-c", _PROGRAM],
            capture_output=True,
            text=True,
            check=True,
            env={"FNAD_CACHE_DIR": str(folder), "PYTHONPATH": ":".join(sys.path)},
        ).stdout.split(maxsplit=1)
        for _ in range(2)
    ]
    assert [out[0] for out in outs] == ["1", "0"]
    assert outs[0][1] == outs[1][1]
