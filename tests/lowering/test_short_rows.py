"""Short rows: reduced, and changed by what was reduced, in one loop of vectors across them."""

import re

import numpy as np
import pytest

import fnad
import fnad.numpy as fnp
from fnad import lax
from fnad.lowering.expr import axis, load, make
from fnad.lowering.llvm import host
from fnad.lowering.llvm.interleaved import sorted_apart, sorted_together
from fnad.lowering.plan import Kernel, Reduction, Store
from fnad.lowering.short_rows import block_of_vectors, with_rows
from tests.lowering.test_plan import check

RNG = np.random.default_rng(0)
F8 = np.dtype(np.float64)


def kernels(f, *args):
    """How many kernels a program has."""
    return fnad.jit(lambda *args: f(*args)).lower(*args).as_text("plan").count("kernel [")


def normalised(x):
    return x / fnp.sqrt(fnp.sum(x * x, -1, keepdims=True))


def moved(x, y, weights):
    total = fnp.sum(x * y, -1, keepdims=True)
    return x / (total * total + 1) * weights + y, total


@pytest.mark.parametrize("count", [16, 17, 39, 1003])
@pytest.mark.parametrize(
    ("dtype", "length"), [("f4", 2), ("f4", 3), ("f4", 4), ("f8", 2), ("f8", 3)]
)
def test_rows_are_one_loop(dtype, length, count):
    x, y = (RNG.normal(size=(count, length)).astype(dtype) for _ in range(2))
    weights = RNG.normal(size=length).astype(dtype)
    assert kernels(moved, x, y, weights) == 1
    got, total = fnad.jit(lambda *args: moved(*args))(x, y, weights)
    want, sums = moved(*(v.astype(np.float64) for v in (x, y, weights)))
    rtol = 1e-4 if dtype == "f4" else 1e-12
    np.testing.assert_allclose(total, sums, rtol, atol=rtol)
    np.testing.assert_allclose(got, want, rtol, atol=rtol)


@pytest.mark.parametrize("shape", [(16,), (17,), (5, 103), (3, 1000)])
@pytest.mark.parametrize("times", [2, 3, 4])
@pytest.mark.parametrize("dtype", ["f4", "f8", "c8", "u1"])
def test_rows_of_repeated_elements(dtype, times, shape):
    x = (RNG.normal(size=shape) * 9).astype(dtype)
    weights = np.arange(1, times + 1).astype(dtype)
    compiled = fnad.jit(lambda x, w: (fnp.repeat(x, times, axis=-1), x[..., None] * w))
    repeated, outer = compiled(x, weights)
    np.testing.assert_array_equal(repeated, np.repeat(x, times, axis=-1))
    np.testing.assert_array_equal(outer, x[..., None] * weights)
    if dtype in ("f4", "f8") and x.dtype.itemsize * times <= 24:
        plan = fnad.jit(lambda x: fnp.repeat(x, times, axis=-1)).lower(x).as_text("plan")
        assert f"i0<{x.size}]" in plan


@pytest.mark.parametrize("dtype", ["u1", "i2", "i4", "i8", "f4", "f8"])
def test_rows_of_indices(dtype):
    """Indices are computed with few bits, and stored with more."""
    for shape in [(1, 16, 3), (8, 33, 3), (2, 17, 2), (3, 65, 4)]:
        places = fnad.jit(lambda shape=shape: lax.broadcasted_iota(np.dtype(dtype), shape, 1))()
        want = np.broadcast_to(np.arange(shape[1]).astype(dtype)[:, None], shape)
        np.testing.assert_array_equal(places, want)


@pytest.mark.parametrize("axis", [0, 1, 2, 3])
@pytest.mark.parametrize("shape", [(8, 2, 33, 3), (3, 33, 1, 3), (33, 3, 3, 2)])
def test_gradients_of_sorted_rows(shape, axis):
    x, y = RNG.normal(size=(2, *shape)).astype(np.float32)
    got = fnad.jit(fnad.grad(lambda x: fnp.sum(fnp.sort(x, axis=axis) * y)))(x)
    order = np.argsort(x, axis=axis)
    np.testing.assert_array_equal(np.take_along_axis(got, order, axis), y)


@pytest.mark.parametrize("shape", [(12, 3), (2000,), (3, 2000), (40, 9), (7, 4, 3)])
def test_other_shapes_stay_apart_and_right(shape):
    x = RNG.normal(size=shape)
    compiled = fnad.jit(lambda x: normalised(x))
    np.testing.assert_allclose(compiled(x), normalised(x), rtol=1e-12)


def test_rows_of_several_axes_and_parts_of_arrays():
    x, y = RNG.normal(size=(6, 40, 3)), RNG.normal(size=(40, 3))

    def f(x, y):
        z = x[1:] - y
        return z * fnp.max(z, -1, keepdims=True), normalised(x[:, ::2]), normalised(y[:, ::-1])

    for got, want in zip(fnad.jit(f)(x, y), f(x, y), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-12)


def test_all_of_a_row_is_read_before_it_is_written():
    x = RNG.normal(size=(100, 3))
    want = normalised(x)
    given = x.copy()
    np.testing.assert_allclose(fnad.jit(normalised, donate_argnums=0)(given), want, rtol=1e-12)

    def step(x, _):
        return normalised(x + 1), None

    got, _ = fnad.jit(lambda x: fnad.lax.scan(step, x, None, 3))(x)
    want = x
    for _ in range(3):
        want = normalised(want + 1)
    np.testing.assert_allclose(got, want, rtol=1e-12)


def test_what_reads_other_rows_stays_behind():
    x = RNG.normal(size=(64, 3))

    def f(x):
        total = fnp.sum(x, -1)
        return x * fnp.sin(total)[::-1, None], x + total[:, None]

    for got, want in zip(fnad.jit(f)(x), f(x), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-12)


def test_gradients_and_complex_rows():
    x = RNG.normal(size=(50, 3))
    z = (x + 1j * x[::-1])[:, :2]

    def loss(x):
        return fnp.sum(fnp.exp(normalised(x)) ** 3)

    def turned(z):
        return z / fnp.sum(z * z, -1, keepdims=True)

    np.testing.assert_allclose(fnad.jit(fnad.grad(loss))(x), fnad.grad(loss)(x), rtol=1e-10)
    np.testing.assert_allclose(fnad.jit(turned)(z), turned(z), rtol=1e-12)


def test_a_select_among_rows_needs_no_mask_in_memory():
    x = np.abs(RNG.normal(size=(100, 3)))
    x[::7] = 0

    def f(x):
        norm = fnp.sqrt(fnp.sum(x**2, axis=1))
        return fnp.sum(fnp.where(norm > 0.5, norm, fnp.ones_like(norm)))

    compiled = fnad.jit(fnad.grad(f))
    assert kernels(fnad.grad(f), x) == 1
    assert "temp" not in compiled.lower(x).as_text("plan")
    norm = np.sqrt(np.sum(x**2, axis=1, keepdims=True))
    with np.errstate(all="ignore"):
        np.testing.assert_allclose(compiled(x), np.where(norm > 0.5, x / norm, 0), rtol=1e-12)


def _rows(buffer, row, element):
    return load(buffer, row * 3 + element, F8)


def _two_kernels(rows, shift=0, combine=None):
    row, element = axis(0, rows), axis(1, 3)
    total = make("reduced", (), F8, 0)
    sums = Reduction("add", ((1, 3),), _rows(0, row, element), F8, F8)
    first = Kernel(((0, rows),), (sums,), (Store(1, row, total),))
    value = _rows(0, row, element) * load(1, row + shift, F8)
    second = Kernel(((0, rows), (1, 3)), (), (Store(2, row * 3 + element, value, combine),))
    return first, second


def test_which_kernels_become_one():
    joined = with_rows(*_two_kernels(64))
    assert joined is not None
    assert [s.buffer for s in joined.stores] == [1, 2, 2, 2]
    assert joined.axes == ((0, 64),)
    assert with_rows(*_two_kernels(8)) is None  # too few to fill vectors
    assert with_rows(*_two_kernels(64, combine="add")) is None
    assert with_rows(*_two_kernels(64, shift=1)) is None  # needs what another row gave


def test_plans_do_what_programs_do():
    plan = check(moved, RNG.normal(size=(20, 3)), RNG.normal(size=(20, 3)), np.ones(3))
    assert len(plan.body) == 1


class _Shuffles:
    """Vectors as arrays, for the functions that sort them."""

    lanes = 8

    def __init__(self):
        self.b = self

    def shuffle(self, x, lanes, other=None):
        both = np.concatenate([x, other]) if other is not None else x
        return np.array([-1 if i is None else both[i] for i in lanes]).view(_Vector)


class _Vector(np.ndarray):
    @property
    def lanes(self):
        return len(self)


@pytest.mark.parametrize("masks", [False, True])
@pytest.mark.parametrize("dtype", ["i1", "i2", "i4", "i8"])
@pytest.mark.parametrize("count", range(2, 10))
def test_what_is_sorted_apart_is_sorted_together(monkeypatch, count, dtype, masks):
    monkeypatch.setattr(host, "has_masks", lambda: masks)
    lanes = min(16, 32 // np.dtype(dtype).itemsize)
    elements = np.arange(lanes * count).astype(dtype)  # bytes are 144 at most: all differ
    parts = elements.reshape(count, lanes).view(_Vector)
    columns = sorted_apart(_Shuffles(), list(parts), count)
    np.testing.assert_array_equal(columns, elements.reshape(lanes, count).T)
    np.testing.assert_array_equal(sorted_together(_Shuffles(), columns), parts)


@pytest.mark.parametrize("dtype", ["f4", "f8", "i2"])
@pytest.mark.parametrize("count", [9, 10, 13, 15, 20])
def test_rows_of_more_elements_than_lanes_are_written_by_squares(count, dtype):
    x = (np.arange(101) % 50).astype(dtype)
    found = fnad.jit(lambda x: fnp.stack([x * k for k in range(count)], 1))(x)
    np.testing.assert_array_equal(found, x[:, None] * np.arange(count, dtype=dtype))


@pytest.mark.parametrize("length", [5, 8])
def test_blocks_are_whole_vectors(length):
    x = RNG.normal(size=(20_011, length))
    lowered = fnad.jit(lambda x: normalised(x)).lower(x)
    (block,) = re.findall(r"group 20011 by (\d+)", lowered.as_text("plan"))
    assert int(block) % 16 == 0
    np.testing.assert_allclose(lowered.compile()(x), normalised(x), 1e-12)


@pytest.mark.parametrize("extent", [4_000, 12_500, 20_011, 375_000])
@pytest.mark.parametrize("block", [64, 71, 142, 150, 240])
@pytest.mark.parametrize("row_bytes", [100, 300])
def test_blocks_of_vectors_lie_in_eighths(block, extent, row_bytes):
    found = block_of_vectors(block, extent, row_bytes)
    assert found % 16 == 0
    near = block // 2 if extent * row_bytes > 2**24 else block
    assert 0.75 * near <= found <= 1.125 * near
    eighth = -(-extent // 8)
    chunk = -(-eighth // found) * found  # what a thread takes of eight
    assert chunk <= 1.1 * eighth


def test_blocks_of_few_rows_stay():
    assert block_of_vectors(63, 10_000, 300) == 63


def test_blocks_of_long_rows_stay():
    x = RNG.normal(size=(20_011, 12))
    text = fnad.jit(lambda x: normalised(x)).lower(x).as_text("plan")
    (block,) = re.findall(r"group 20011 by (\d+)", text)
    assert int(block) % 16 != 0
