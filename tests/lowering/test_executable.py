"""The calling convention of executables: arguments, results, threads, text."""

import threading

import numpy as np
import pytest

import fnad
from fnad.core.errors import InternalError
from fnad.core.source import SourceLine
from fnad.lowering.executable import Executable
from fnad.lowering.expr import B, axis, load
from fnad.lowering.llvm.emitter import emit_plan
from fnad.lowering.llvm.target import assembly
from fnad.lowering.pipeline import binary_of
from fnad.lowering.plan import Buffer, Kernel, Origin, Plan, Store

F64 = np.dtype("f8")


def affine_plan(n, origin=None):
    """``out = tmp + y`` with ``tmp = 2 x``: two kernels and a temporary."""
    i = axis(0, n)
    buffers = [
        Buffer(0, (n,), F64, "input"), Buffer(1, (n,), F64, "input"),
        Buffer(2, (n,), F64, "output"), Buffer(3, (n,), F64, "temp", 0),
    ]  # fmt: skip
    double = Kernel(((0, n),), (), (Store(3, i, load(0, i, F64) * 2),), origin=origin)
    total = Kernel(((0, n),), (), (Store(2, i, B.add(load(3, i, F64), load(1, i, F64))),))
    return Plan(tuple(buffers), (0, 1), (2,), (double, total), 8 * n)


def test_strided_unaligned_and_foreign_arrays_are_copied():
    run = Executable(binary_of(affine_plan(4)))
    x, y = np.arange(4.0), np.ones(4)
    unaligned = np.frombuffer(b"\0" + x.tobytes(), F64, offset=1)
    for argument in (np.arange(8.0)[::2] / 2, x.astype(">f8"), unaligned):
        (out,) = run([argument, y])
        np.testing.assert_array_equal(out, 2 * x + 1)
    readonly = x.copy()
    readonly.flags.writeable = False
    np.testing.assert_array_equal(run([readonly, np.broadcast_to(1.0, 4)])[0], 2 * x + 1)


def test_results_are_fresh():
    run = Executable(binary_of(affine_plan(4)))
    first, second = run([np.ones(4), np.ones(4)])[0], run([np.zeros(4), np.zeros(4)])[0]
    assert first.tolist() == [3] * 4 and second.tolist() == [0] * 4


def test_wrong_arguments_are_internal_errors():
    run = Executable(binary_of(affine_plan(4)))
    good = np.ones(4)
    for bad in ([good], [good, np.ones(5)], [good, np.ones(4, "f4")], [good, np.float32(1)]):
        with pytest.raises(InternalError, match="bug in fnad"):
            run(bad)


def test_threads_share_an_executable():
    n = 5000
    run, failures = Executable(binary_of(affine_plan(n))), []

    def work(seed):
        x = np.full(n, float(seed))
        for _ in range(200):
            if not (run([x, x])[0] == 3 * seed).all():
                failures.append(seed)

    threads = [threading.Thread(target=work, args=(s,)) for s in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not failures


def _line_in_a_model() -> SourceLine:
    code = compile("\n" * 11 + "def loss(): pass", "model.py", "exec")
    return SourceLine(code.co_consts[0], 0)


def test_text_names_the_equation_and_the_line():
    emitted = emit_plan(affine_plan(4, Origin("mul", _line_in_a_model())))
    assert "; mul  model.py:12 (loss)\ndefine void @fnad.0.mul(" in emitted.text
    assert "fnad.entry" in assembly(emitted.text)


def test_many_executables_can_come_and_go():
    for n in range(1, 20):
        assert (
            Executable(binary_of(affine_plan(n)))([np.ones(n), np.ones(n)])[0].tolist() == [3] * n
        )


def test_equal_kernels_are_compiled_once():
    def steps(count):
        def net(x, w):
            for _ in range(count):
                x = np.tanh(x @ w)
            return x

        lowered = fnad.jit(net).lower(np.ones((4, 4)), np.ones((4, 4)))
        return lowered.as_text("llvm").count("define internal void @fnad")

    assert steps(20) == steps(5)
