"""Several reductions of a kernel: in one loop where they can be, the same numbers everywhere."""

import numpy as np
import pytest

import fnad
import fnad.numpy as fnp
from fnad.lowering.expr import axis, load, make
from fnad.lowering.llvm import host
from fnad.lowering.llvm.reductions import in_loops, sharing_loops
from fnad.lowering.plan import Kernel, Reduction, Store

RNG = np.random.default_rng(0)
F4 = np.dtype(np.float32)


def statistics(xp, x, where):
    x2 = x.astype(np.promote_types(x.dtype, "f4")) ** 2  # no overflow of halves
    return (
        xp.sum(x, where, dtype=x2.dtype), xp.sum(x2, where), xp.max(x, where), xp.min(x, where),
        xp.argmax(x, where), xp.any(x > 2, where), xp.mean(x2, where),
    )  # fmt: skip


@pytest.mark.parametrize("where", [0, 1, None])
@pytest.mark.parametrize("shape", [(3, 5), (17, 33), (40, 9), (9, 40), (300, 257), (2, 1)])
@pytest.mark.parametrize("dtype", ["f4", "f8", "i4", "u1", "f2"])
def test_many_of_one_array(dtype, shape, where):
    x = np.abs(RNG.normal(size=shape) * 3) if dtype == "u1" else RNG.normal(size=shape) * 3
    x = x.astype(dtype)
    got = fnad.jit(lambda x: statistics(fnp, x, where))(x)
    want = statistics(np, x, where)
    scale = np.abs(x.astype("f8")).sum()
    for g, w in zip(got, want, strict=True):
        if np.asarray(w).dtype.kind in "biu":
            np.testing.assert_array_equal(g, w)
        else:
            tolerance = {2: 5e-3, 4: 1e-6, 8: 1e-12}[np.asarray(w).dtype.itemsize]
            np.testing.assert_allclose(g, w, tolerance, atol=tolerance * scale)


@pytest.mark.parametrize("where", [0, 1, (0, 1), (0, 2), 2])
@pytest.mark.parametrize("shape", [(4, 5, 6), (50, 3, 16), (2, 70, 33)])
@pytest.mark.parametrize("dtype", ["c8", "c16"])
def test_sums_of_complex_numbers(dtype, shape, where):
    x = (RNG.normal(size=shape) + 1j * RNG.normal(size=shape)).astype(dtype)
    got = fnad.jit(lambda x: (fnp.sum(x, where), fnp.sum(x * x.conj(), where)))(x)
    wide = x.astype("c16")
    for g, w in zip(got, (wide.sum(where), (wide * wide.conj()).sum(where)), strict=True):
        tolerance = 1e-5 if dtype == "c8" else 1e-12
        np.testing.assert_allclose(g, w, tolerance, atol=tolerance * np.abs(x).sum())


def test_one_that_needs_another_comes_after_it():
    x = RNG.normal(size=(40, 100))

    def spread(xp, x):
        middle = xp.mean(x, 1, keepdims=True)
        return xp.sum((x - middle) ** 2, 1), xp.max(x, 1), xp.sum(xp.abs(x), 1)

    for g, w in zip(fnad.jit(lambda x: spread(fnp, x))(x), spread(np, x), strict=True):
        np.testing.assert_allclose(g, w, 1e-12)


def test_one_of_a_single_element_may_need_another():
    def marked(x):
        for value in (2.0, 3.0):
            x = fnp.where(fnp.arange(1) == fnp.argmax(x * x), x, value)
        return x

    assert fnad.jit(marked)(np.ones(1)) == 1


# -- which share a loop -------------------------------------------------------------------------


def total(number, extent, kind="add", value=None, dtype=F4):
    term = load(0, axis(number, extent), F4) if value is None else value
    return Reduction(kind, ((number, extent),), term, dtype, dtype)


def loops_of(*reductions):
    stores = tuple(
        Store(1, axis(0, 8), make("reduced", (), r.dtype, k)) for k, r in enumerate(reductions)
    )
    kernel = sharing_loops(Kernel(((0, 8),), reductions, stores))
    return [[r.kind for r in together] for together in in_loops(kernel.reductions)]


def test_equal_extents_share():
    assert loops_of(total(1, 50), total(2, 50, "max")) == [["add", "max"]]


def test_other_extents_do_not():
    assert loops_of(total(1, 50), total(2, 51)) == [["add"], ["add"]]


def test_what_one_needs_does_not():
    needed = make("subtract", (load(0, axis(2, 50), F4), make("reduced", (), F4, 0)), F4)
    assert loops_of(total(1, 50), total(2, 50, value=needed)) == [["add"], ["add"]]
    again = loops_of(total(1, 50), total(2, 50, value=needed), total(3, 50, "max"))
    assert again == [["add"], ["add", "max"]]


def test_other_lanes_do_not():
    wide = total(2, 50, value=load(2, axis(2, 50), np.dtype("f8")), dtype=np.dtype("f8"))
    assert loops_of(total(1, 50), wide) == [["add"], ["add"]]


def test_more_than_fit_registers_do_not(monkeypatch):
    some = [total(k, 50) for k in range(1, 8)]
    monkeypatch.setattr(host, "has_masks", lambda: False)
    assert list(map(len, loops_of(*some))) == [3, 3, 1]
    assert loops_of(total(1, 50, "argmax"), total(2, 50, "argmin")) == [["argmax"], ["argmin"]]
    monkeypatch.setattr(host, "has_masks", lambda: True)
    assert list(map(len, loops_of(*some))) == [6, 1]


def test_more_reductions_of_one_kernel_than_a_program_usually_has():
    x = np.random.default_rng(0).standard_normal(300)
    run = fnad.jit(lambda x: [fnp.sum(part) for part in fnp.split(fnp.sin(x), 150)])
    np.testing.assert_allclose(run(x), np.sin(x).reshape(150, 2).sum(1), rtol=1e-13, atol=1e-15)
