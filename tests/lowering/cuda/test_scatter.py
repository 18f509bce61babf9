"""Writes at computed places on the emulated device, against NumPy's ufunc.at and loops."""

import numpy as np
import pytest

import fnad
import fnad.lax as lax
from fnad.lowering import lower_jaxpr
from fnad.lowering.cuda import radix, scatter
from fnad.lowering.cuda.scatter import scatter_of
from fnad.lowering.expr import B, axis, integer, load
from fnad.lowering.plan import Kernel, Store
from fnad.primitives.indexing import scatter as write
from tests.lowering.cuda.running import (
    compile_for_device,
    needs_emulator,
    needs_toolchain,
    plan_of,
    run_plan,
)
from tests.tiers import tiered

UFUNCS = {"add": np.add, "multiply": np.multiply, "min": np.minimum, "max": np.maximum}
KINDS = ["set", *UFUNCS]
DTYPES = ["?", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f2", "f4", "f8"]
F32, I64 = np.dtype(np.float32), np.dtype(np.int64)


def operand(shape, dtype, seed=0):
    rng = np.random.default_rng(seed)
    if np.dtype(dtype).kind in "iub":
        return rng.integers(0, 2 if dtype == "?" else 100, shape).astype(dtype)
    return rng.uniform(-1.5, 1.5, shape).astype(dtype)


def reference(x, updates, indices, kind):
    """What points do one after the other, those out of bounds being left out."""
    out = (
        x.astype(np.float32) if x.dtype == np.float16 and kind in ("add", "multiply") else x.copy()
    )
    with np.errstate(all="ignore"):
        for point in np.ndindex(indices[0].shape):
            place = tuple(int(i[point]) for i in indices)
            if all(0 <= i < n for i, n in zip(place, x.shape)):
                new = updates[point].astype(out.dtype)
                out[place] = new if kind == "set" else UFUNCS[kind](out[place], new)
    return out.astype(x.dtype)


def plan_for(x, updates, indices, kind, mode="fill"):
    def fun(x, updates, *indices):
        return write(x, updates, *indices, kind=kind, mode=mode)

    return lower_jaxpr(fnad.make_jaxpr(fun)(x, updates, *indices).jaxpr)


def run(x, updates, indices, kind, seed=0, mode="fill"):
    args, plan = [x, updates, *indices], plan_for(x, updates, indices, kind, mode)
    return run_plan(plan, args, seed, races=seed == 0)


@pytest.fixture
def many(monkeypatch):
    """Few points count as many."""
    monkeypatch.setattr(scatter, "FEW", 0)
    monkeypatch.setattr(scatter, "RUN", 8)
    monkeypatch.setattr(radix, "SIZES", radix.Sizes(threads=64, items=2))


# Shapes of the array, the number of indices, the points: elements and rows; alone and in grids.
CASES = [((13,), 1, (90,)), ((9, 6), 1, (70,)), ((5, 4), 2, (11, 5)), ((4, 3, 5), 2, (50,))]
CASES += [((3, 2), 1, ()), ((1,), 1, (200,)), ((1000,), 1, (300,))]


def case(shape, number, points, dtype):
    x = operand(shape, dtype)
    rng = np.random.default_rng(1)
    indices = [rng.integers(-1, shape[i] + 1, points) for i in range(number)]
    return x, operand((*points, *shape[number:]), dtype, seed=2), indices


def check(dtype, kind, shape, number, points):
    x, updates, indices = case(shape, number, points, dtype)
    want = reference(x, updates, indices, kind)
    for seed in range(2):
        [got], launches = run(x, updates, indices, kind, seed)
        np.testing.assert_array_equal(got, want)
    return launches


@needs_emulator
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape, number, points", CASES)
def test_few_points_in_order(kind, shape, number, points):
    assert len(check("f4", kind, shape, number, points)) == 2  # a copy, the points


@needs_emulator
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_dtypes_of_few_points(kind, dtype):
    check(dtype, kind, (9, 6), 1, (70,))


@needs_emulator
@pytest.mark.parametrize("kind", ["set", "min", "max"])
@pytest.mark.parametrize("dtype", ["i4", "f4", "f8"])
@pytest.mark.parametrize("shape, number, points", CASES)
def test_many_points_exactly(kind, dtype, shape, number, points, many):
    assert len(check(dtype, kind, shape, number, points)) == (4 if kind == "set" else 2)


@needs_emulator
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_dtypes_of_many_points(kind, dtype, many):
    x, updates, indices = case((9, 6), 1, (70,), dtype)
    [got], _ = run(x, updates, indices, kind)
    want = reference(x, updates, indices, kind)
    np.testing.assert_allclose(got, want, rtol=2e-3 if dtype == "f2" else 1e-5)


@needs_emulator
@pytest.mark.parametrize("kind", ["add", "multiply"])
@pytest.mark.parametrize("shape, number, points", CASES)
def test_sums_of_many_floats(kind, shape, number, points, many):
    x, updates, indices = case(shape, number, points, "f8")
    results = [run(x, updates, indices, kind, seed)[0][0] for seed in range(3)]
    np.testing.assert_allclose(results[0], reference(x, updates, indices, kind), rtol=1e-12)
    for result in results[1:]:  # not a bit depends on the order of threads
        np.testing.assert_array_equal(result, results[0])


@needs_emulator
def test_runs_that_are_not_cut_are_added_in_order(many, monkeypatch):
    monkeypatch.setattr(scatter, "RUN", 1000)
    x, updates, indices = case((13, 5), 1, (90,), "f4")
    np.testing.assert_array_equal(
        run(x, updates, indices, "add")[0][0], reference(x, updates, indices, "add")
    )


@needs_emulator
@pytest.mark.parametrize("kind", ["min", "max"])
@pytest.mark.parametrize("dtype", ["f2", "f4", "f8"])
def test_nan_wins(kind, dtype, many):
    x, updates, indices = case((9, 6), 1, (70,), dtype)
    x[2, 3], x[4], updates[::9] = np.nan, -np.nan, np.nan
    updates[1::7, :2], updates[2::7, :2] = np.inf, -np.inf
    [got], _ = run(x, updates, indices, kind)
    np.testing.assert_array_equal(got, reference(x, updates, indices, kind))


@needs_emulator
@pytest.mark.parametrize("kind", ["min", "max"])
def test_sign_of_a_zero_does_not_depend_on_threads(kind, many):
    x = np.full(3, np.inf if kind == "min" else -np.inf, np.float32)
    updates, indices = np.tile(np.array([0.0, -0.0], np.float32), 60), np.arange(120) % 3
    for seed in range(3):
        [got], _ = run(x, updates, [indices], kind, seed)
        np.testing.assert_array_equal(got, 0)
        assert np.all(np.signbit(got) == (kind == "min"))


@needs_emulator
@pytest.mark.parametrize("mode", ["clip", "promise_in_bounds"])
def test_modes_without_conditions(mode, many):
    x, updates, [rows] = case((9, 6), 1, (70,), "f4")
    for kind in KINDS:
        [got], _ = run(x, updates, [rows], kind, mode=mode)
        want = reference(x, updates, [np.clip(rows, 0, 8)], kind)
        np.testing.assert_allclose(got, want, rtol=1e-5)


@needs_emulator
def test_usual_sizes():
    x, updates, indices = case((50, 8), 1, (2000,), "f4")
    [got], launches = run(x, updates, indices, "add", seed=1)
    assert len(launches) > 5
    np.testing.assert_allclose(got, reference(x, updates, indices, "add"), rtol=1e-4, atol=1e-5)


@needs_emulator
def test_in_a_loop():
    x, updates, [rows] = case((9, 6), 1, (4, 70), "f8")

    def fun(x, updates, rows):
        return lax.fori_loop(0, 4, lambda k, x: write(x, updates[k], rows[k], kind="add"), x)

    plan = lower_jaxpr(fnad.make_jaxpr(fun)(x, updates, rows).jaxpr)
    [got], _ = run_plan(plan, [x, updates, rows])
    np.testing.assert_allclose(got, reference(x, updates, [rows], "add"), rtol=1e-12)


@needs_emulator
def test_what_reads_what_it_writes_runs_in_order():
    # Element i + 1 of buffer 1 becomes twice element i of it, element 0 that of buffer 0.
    i = axis(0, 9)
    first = load(0, integer(0), F32)
    before = B.where(B.equal(i, integer(0)), first, load(1, i, F32))
    stores = Store(1, integer(0), first), Store(1, i + 1, B.multiply(before, B.constant(2, F32)))
    kernel = Kernel(((0, 9),), (), stores, sequential=True)
    x = np.array([3.0], np.float32)
    [got], launches = run_plan(plan_of(kernel, [x], [np.zeros(10, np.float32)]), [x])
    np.testing.assert_array_equal(got, 3 * 2.0 ** np.arange(10))
    assert len(launches) == 1


# -- loops told apart --------------------------------------------------------------------------


def told_apart(offset, axes, value=None, when=None):
    value = B.constant(1, F32) if value is None else value
    return scatter_of(
        Kernel(axes, (), (Store(1, offset, value, "add", when),), sequential=True), 999
    )


def test_columns_are_found():
    place = B.minimum(B.maximum(load(0, axis(0, 100), I64), integer(0)), integer(9))
    row, column = axis(1, 4), axis(2, 8)
    axes = ((0, 100), (1, 4), (2, 8))
    s = told_apart(place * 32 + row * 8 + column, axes)
    assert (s.points, s.columns, s.place, s.places) == (axes[:1], axes[1:], place, 10)
    s = told_apart(place * 64 + row * 8 + column + 3, axes)
    assert (s.columns, s.place, s.places) == (axes[1:], place, 10)
    s = told_apart(place * 8 + row * 8 + column, axes)  # rows of one point meet those of others
    assert (s.points, s.columns, s.place, s.places) == (axes[:2], axes[2:], place + row, 13)
    s = told_apart(place * 31 + row * 8 + column, axes)
    assert (s.columns, s.place, s.places) == ((), place * 31 + row * 8 + column, 999)


def test_columns_do_not_decide_the_place_otherwise():
    both = B.minimum(B.maximum(load(0, axis(0, 100) + axis(1, 4), I64), integer(0)), integer(9))
    axes = ((0, 100), (1, 4))
    assert told_apart(both * 4 + axis(1, 4), axes).columns == ()
    place = B.minimum(B.maximum(load(0, axis(0, 100), I64), integer(0)), integer(9))
    when = B.less(load(0, axis(1, 4), I64), integer(5))
    assert told_apart(place * 4 + axis(1, 4), axes).columns == axes[1:]
    assert told_apart(place * 4 + axis(1, 4), axes, when=when).columns == ()
    assert told_apart(place * 4 + axis(1, 4), axes, load(1, place, F32)) is None


@needs_toolchain
@pytest.mark.parametrize("kind", KINDS)
@tiered(
    "dtype", ["?", "u1", "i4", "i8", "u8", "f2", "f4", "f8"], lambda dtype: dtype in ("u1", "f4")
)
def test_compiles_for_the_device(kind, dtype):
    for points in (100, 10_000):
        args = case((50, 8), 1, (points,), dtype)
        compile_for_device(plan_for(*args, kind))
