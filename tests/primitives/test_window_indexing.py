"""Gather and scatter of windows against jax.lax, for all kinds of dimension numbers."""

import numpy as np
import pytest

import fnad
from fnad import lax
from fnad.testing import check_grads

jax = pytest.importorskip("jax")
jax.config.update("jax_enable_x64", True)

# operand shape, indices shape, GatherDimensionNumbers, slice sizes
GATHERS = {
    "elements": ((5,), (4, 1), ((), (0,), (0,)), (1,)),
    "windows": ((5,), (3, 1), ((1,), (), (0,)), (2,)),
    "rows": ((5, 3), (2, 4, 1), ((2,), (0,), (0,)), (1, 3)),
    "columns": ((5, 3), (4, 1), ((0,), (1,), (1,)), (5, 1)),
    "cut rows": ((5, 3), (4, 1), ((1,), (0,), (0,)), (1, 2)),
    "blocks": ((5, 6, 2), (3, 2), ((0, 2, 3), (), (1, 0)), (2, 3, 2)),
    "blocks of one": ((5, 6), (3, 2), ((0, 2), (), (1, 0)), (2, 1)),
    "one block": ((5, 6), (2,), ((0, 1), (), (0, 1)), (2, 3)),
    "batching": ((4, 5, 3), (4, 2, 1), ((2,), (1,), (1,), (0,), (0,)), (1, 1, 3)),
    "batching last": ((5, 4), (2, 4, 1), ((1,), (), (0,), (1,), (1,)), (3, 1)),
    "no indices": ((3, 4), (2, 0), ((1, 2), (), ()), (2, 4)),
    "none at all": ((3, 4), (0, 1), ((1,), (0,), (0,)), (1, 4)),
    "empty windows": ((3, 4), (2, 1), ((0, 1), (), (0,)), (0, 4)),
    "unmapped collapsed": ((3, 4), (2, 1), ((), (0, 1), (1,)), (1, 1)),
}
DTYPES = ["f4", "f8", "i4", "u1", "?", "c16"]
KINDS = ["scatter", *(f"scatter_{kind}" for kind in ("add", "sub", "mul", "min", "max"))]
MODES = ["clip", "fill", None]


def operand(shape, dtype, seed=0):
    values = np.random.default_rng(seed).normal(size=shape) * 9
    if np.dtype(dtype).kind == "c":
        return (values + 1j * values[::-1]).astype(dtype)
    return abs(values).astype(dtype) if np.dtype(dtype).kind == "u" else values.astype(dtype)


def starts(shape, low=-2, high=7):
    return np.random.default_rng(3).integers(low, high, shape)


def same(got, wanted, **tolerance):
    wanted = np.asarray(wanted)
    assert np.asarray(got).dtype == wanted.dtype and np.shape(got) == wanted.shape
    np.testing.assert_allclose(got, wanted, **(tolerance or {"rtol": 0}))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", GATHERS)
def test_gather_is_that_of_jax(name, mode):
    shape, indices_shape, numbers, sizes = GATHERS[name]
    indices = starts(indices_shape)
    for dtype in DTYPES if name == "blocks" and mode else DTYPES[1:2]:
        x = operand(shape, dtype)
        for fill in (None, 3) if dtype in ("f8", "u1") else (None,):
            theirs = jax.lax.gather(
                x, indices, jax.lax.GatherDimensionNumbers(*numbers), sizes, mode=mode,
                fill_value=fill,
            )  # fmt: skip
            ours = lambda x, i, fill=fill: lax.gather(
                x, i, lax.GatherDimensionNumbers(*numbers), sizes, mode=mode, fill_value=fill
            )
            same(ours(x, indices), theirs)
            same(fnad.jit(ours)(x, indices), theirs)


def scatter_numbers(name):
    offset, collapsed, start, *batching = GATHERS[name][2]
    return offset, collapsed, start, *batching


def updates_for(name, dtype="f8"):
    shape, indices_shape, numbers, sizes = GATHERS[name]
    zeros, indices = np.zeros(shape), np.zeros(indices_shape, int)
    return operand(
        lax.gather(zeros, indices, lax.GatherDimensionNumbers(*numbers), sizes).shape, dtype, 1
    )


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", GATHERS)
def test_scatters_are_those_of_jax(name, mode):
    shape, indices_shape, numbers, _ = GATHERS[name]
    indices = starts(indices_shape)
    for kind in (
        "scatter",
        "scatter_add",
        "scatter_sub",
        "scatter_mul",
        "scatter_min",
        "scatter_max",
    ):
        if kind != "scatter_add" and name not in ("rows", "blocks", "batching"):
            continue
        x, updates = operand(shape, "f8"), updates_for(name)
        theirs = getattr(jax.lax, kind)(
            x, indices, updates, jax.lax.ScatterDimensionNumbers(*numbers), mode=mode
        )
        ours = lambda x, i, u, kind=kind: getattr(lax, kind)(
            x, i, u, lax.ScatterDimensionNumbers(*numbers), mode=mode
        )
        same(ours(x, indices, updates), theirs, rtol=1e-13)
        same(fnad.jit(ours)(x, indices, updates), theirs, rtol=1e-13)


def test_updates_of_an_operand_of_rank_0():
    numbers = lax.ScatterDimensionNumbers((), (), ())
    same(lax.scatter_add(np.float64(1), np.zeros((3, 0), int), np.arange(3.0), numbers), 4.0)


@pytest.mark.parametrize("dtype", ["u1", "i4", "f4"])
def test_dtypes_of_scatters(dtype):
    numbers = ((1,), (0,), (0,))
    x, i, u = operand((5, 3), dtype), starts((4, 1)), operand((4, 3), dtype, 1)
    for kind in ("scatter_add", "scatter_sub", "scatter_max"):
        theirs = getattr(jax.lax, kind)(x, i, u, jax.lax.ScatterDimensionNumbers(*numbers))
        ours = getattr(lax, kind)(x, i, u, lax.ScatterDimensionNumbers(*numbers))
        same(ours, theirs, rtol=1e-6)


@pytest.mark.parametrize("mode", ["clip", "drop"])
@pytest.mark.parametrize("name", ["windows", "blocks", "batching"])
def test_derivatives(name, mode):
    shape, indices_shape, numbers, sizes = GATHERS[name]
    indices, x, updates = starts(indices_shape), operand(shape, "f8"), updates_for(name)
    gathers = lax.GatherDimensionNumbers(*numbers)
    read = lambda x: lax.gather(x, indices, gathers, sizes, mode=mode, fill_value=0)
    check_grads(read, (x,), order=2)
    write = lambda x, u: lax.scatter_add(
        x, indices, u, lax.ScatterDimensionNumbers(*numbers), mode=mode
    )
    check_grads(write, (x, updates), order=2)


def test_vmap_over_operand_and_indices():
    shape, indices_shape, numbers, sizes = GATHERS["blocks"]
    xs, i = operand((3, *shape), "f8"), starts((3, *indices_shape))
    one = lambda x, i: lax.gather(x, i, lax.GatherDimensionNumbers(*numbers), sizes)
    same(fnad.vmap(one)(xs, i), np.stack([one(x, j) for x, j in zip(xs, i)]))
    put = lambda x, i, u: lax.scatter_add(x, i, u, lax.ScatterDimensionNumbers(*numbers))
    u = np.stack([updates_for("blocks")] * 3)
    same(fnad.jit(fnad.vmap(put))(xs, i, u), np.stack([put(*a) for a in zip(xs, i, u)]), rtol=1e-13)


@pytest.mark.parametrize("unique", [True, False])
@pytest.mark.parametrize("mode", ["clip", "drop"])
def test_scatter_apply(unique, mode):
    x = operand((5, 3), "f8")
    i = np.array([[1], [9], [3]]) if unique else np.array([[1], [9], [3], [1], [4], [1]])
    options = {"update_shape": (len(i), 2), "mode": mode, "unique_indices": unique}
    theirs = jax.lax.scatter_apply(
        x, i, jax.numpy.cosh, jax.lax.ScatterDimensionNumbers((1,), (0,), (0,)), **options
    )
    ours = lambda x: lax.scatter_apply(
        x, i, fnad.numpy.cosh, lax.ScatterDimensionNumbers((1,), (0,), (0,)), **options
    )
    same(ours(x / 9), ours(x / 9))
    same(ours(x), theirs, rtol=1e-12)
    same(fnad.jit(ours)(x), theirs, rtol=1e-12)
    check_grads(ours, (x / 9,), order=1)


def test_indices_of_all_integer_dtypes():
    numbers = lax.GatherDimensionNumbers((1,), (), (0,))
    x = np.arange(300.0)
    for dtype in ("i1", "u1", "i2", "u8", "i8"):
        i = np.array([[3], [99], [np.iinfo(dtype).max]], dtype)
        last = min(int(i[2, 0]), 298)
        wanted = [[3, 4], [99, 100], [last, last + 1]]
        same(lax.gather(x, i, numbers, (2,), mode="clip"), np.array(wanted, float))


def test_modes_by_name():
    assert lax.GatherScatterMode.from_any(None) is lax.GatherScatterMode.FILL_OR_DROP
    assert lax.GatherScatterMode.from_any("clip") is lax.GatherScatterMode.CLIP
    mode = lax.GatherScatterMode.PROMISE_IN_BOUNDS
    assert lax.GatherScatterMode.from_any(mode) is mode
    with pytest.raises(ValueError, match=r"mode must be one of .*'clip'.*, got 'wrap'"):
        lax.GatherScatterMode.from_any("wrap")


@pytest.mark.parametrize(
    ("numbers", "indices_shape", "sizes", "message"),
    [
        (((1,), (), (0,)), (3, 2), (2, 1), "last axis of the indices"),
        (((1, 2), (), (0,)), (3, 1), (6, 1), "do not fit"),
        (((1,), (0,), (0,)), (3, 1), (2, 1), "must be 1 long"),
        (((1,), (), (0,)), (3, 1), (2, 1), "offset_dims"),
        (((1,), (0,), (0,)), (3, 1), (1,), "slice_sizes"),
        (((1, 2), (), (7,)), (3, 1), (1, 1), "different axes"),
        (((1,), (), (0,), (1,), (0,)), (3, 1), (2, 1), "same lengths"),
    ],
)
def test_what_does_not_fit(numbers, indices_shape, sizes, message):
    with pytest.raises(TypeError, match=message):
        lax.gather(
            np.ones((5, 4)),
            np.zeros(indices_shape, int),
            lax.GatherDimensionNumbers(*numbers),
            sizes,
        )


def test_updates_that_do_not_fit():
    numbers = lax.ScatterDimensionNumbers((1,), (0,), (0,))
    with pytest.raises(TypeError, match="updates must have the dtype"):
        lax.scatter(np.ones((5, 4)), np.zeros((3, 1), int), np.ones((2, 4)), numbers)
    with pytest.raises(TypeError, match="update_window_dims"):
        lax.scatter(np.ones((5, 4)), np.zeros((3, 1), int), np.ones(3), numbers._replace(
            update_window_dims=()))  # fmt: skip
