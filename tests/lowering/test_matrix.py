"""Matrix products of the LLVM backend against NumPy, over shapes, strides, dtypes and ranges."""

import ctypes
import itertools
from dataclasses import replace

import numpy as np
import pytest

from fnad.core.errors import InternalError
from fnad.lowering.expr import integer
from fnad.lowering.llvm.matrix import library
from fnad.lowering.llvm.matrix.contractions import (
    emit_contraction,
    emit_contraction_rows,
    schedule_of,
)
from fnad.lowering.llvm.matrix.schedule import Product, schedule
from fnad.lowering.llvm.matrix.tiles import Tile
from fnad.lowering.llvm.matrix.variants import Variant, tile_shape
from fnad.lowering.llvm.target import compile_module
from fnad.lowering.llvm.writer import INT64, Function, Module, Value
from fnad.lowering.plan import Contraction, Matrix

SHAPES = [
    (1, 1, 1),
    (1, 5, 7),
    (5, 1, 70),
    (3, 4, 100),
    (2, 77, 33),
    (1, 300, 64),
    (64, 10, 128),
    (25, 70, 300),
    (130, 3, 40),
    (3, 130, 40),
    (99, 129, 513),
]
LAYOUTS = ("rows", "columns", "gaps")
DTYPES = ["f8", "f2", "?", *(f"{kind}{2**i}" for kind in "iu" for i in range(4))]
TOLERANCE = {"f": 2e-7, "d": 4e-16, "e": 5e-4}


def strides(x):
    return tuple(s // x.itemsize for s in x.strides)


def contraction(a, b, out, accumulate=False):
    (*batch, m, k), n = a.shape, b.shape[-1]
    matrices = [Matrix(i, integer(0), strides(x)) for i, x in enumerate((a, b, out))]
    return Contraction(*matrices, tuple(batch), m, n, k, a.dtype, accumulate=accumulate)


def compiled(node, counts=None):
    """A function of (a, b, out, scratch, begin, end), over tasks or over rows."""
    module = Module()
    names = ["ptr %a", "ptr %b", "ptr %out", "ptr %scratch", "i64 %begin", "i64 %end"]
    f = Function(module, "product", names, linkage="")
    tasks = Value("%begin", INT64), Value("%end", INT64)
    pointers = ("%a", "%b", "%out")
    if counts is None:
        emit_contraction(f, node, pointers, tasks, "%scratch")
    else:
        emit_contraction_rows(f, node, pointers, tasks, "%scratch", counts)
    f.ret()
    module.add(f)
    code = compile_module(module.text())
    signature = [ctypes.c_void_p] * 4 + [ctypes.c_int64] * 2
    return code, ctypes.CFUNCTYPE(None, *signature)(code.address("product"))


def run(a, b, out, ranges=None, accumulate=False, counts=None):
    """``out = a @ b`` by the backend, all tasks (or rows) or the given ranges of them."""
    node = contraction(a, b, out, accumulate)
    keep, call = compiled(node, counts)
    room = np.empty(schedule_of(node).scratch_bytes + 64, np.uint8)
    scratch = room.ctypes.data + -room.ctypes.data % 64
    for begin, end in ranges or [(0, schedule_of(node).tasks)]:
        call(a.ctypes.data, b.ctypes.data, out.ctypes.data, scratch, begin, end)
    del keep
    return out


def filled(rng, shape, dtype):
    kind = np.dtype(dtype).kind
    if kind == "f":
        return rng.standard_normal(shape).astype(dtype)
    return rng.random(shape) < 0.1 if kind == "b" else rng.integers(-100, 100, shape).astype(dtype)


def laid_out(x, layout):
    """The same values by rows, by columns, or with gaps in both directions."""
    if layout == "rows":
        return np.ascontiguousarray(x)
    if layout == "columns":
        return np.ascontiguousarray(x.swapaxes(-1, -2)).swapaxes(-1, -2)
    *batch, m, n = x.shape
    room = np.zeros((*batch, 2 * m, 3 * n), x.dtype)
    room[..., ::2, ::3] = x
    return room[..., ::2, ::3]


def check(found, a, b, start=None):
    kind = a.dtype.kind
    wide = {"f": np.float64, "b": np.int64}.get(kind, a.dtype)
    expected = a.astype(wide) @ b.astype(wide)
    if start is not None:
        expected = expected + start
    if kind == "b":
        np.testing.assert_array_equal(found, expected > 0)
    elif kind == "f":
        scale = np.abs(a.astype(wide)) @ np.abs(b.astype(wide))
        if start is not None:
            scale += np.abs(start)
        bound = TOLERANCE[found.dtype.char] * (a.shape[-1] ** 0.5 + 1) * scale
        assert (np.abs(found - expected) <= bound).all()
    else:
        np.testing.assert_array_equal(found, expected.astype(a.dtype))


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("layouts", list(itertools.product(LAYOUTS, repeat=3)), ids=str)
def test_layouts(shape, layouts, rng):
    m, n, k = shape
    a = laid_out(filled(rng, (m, k), np.float32), layouts[0])
    b = laid_out(filled(rng, (k, n), np.float32), layouts[1])
    out = laid_out(np.full((m, n), np.nan, np.float32), layouts[2])
    check(run(a, b, out), a, b)


WAYS = [
    ("inner products", (3, 130, 200), ("rows", "columns"), lambda s: s.dots and not s.pack_a),
    ("swapped", (130, 5, 200), ("rows", "columns"), lambda s: s.dots and s.swapped),
    ("brought into lines", (130, 5, 200), ("rows", "rows"), lambda s: s.dots and s.pack_a),
    ("vectors along rows", (130, 5, 70), ("columns", "rows"), lambda s: s.swapped and not s.dots),
    ("A and B packed", (512, 200, 1024), ("columns", "rows"), lambda s: s.pack_a and s.pack_b),
    ("B by whole rows", (3, 1100, 300), ("rows", "rows"), lambda s: s.depth < 20),
    ("result by rows", (900, 700, 3), ("columns", "rows"), lambda s: s.part == 1),
    ("single tiles", (12, 33, 20), ("rows", "rows"), lambda s: s.direct),
]


@pytest.mark.parametrize("accumulate", [False, True])
@pytest.mark.parametrize(
    ("shape", "layouts", "taken"), [w[1:] for w in WAYS], ids=[w[0] for w in WAYS]
)
def test_ways_to_compute(shape, layouts, taken, accumulate, rng):
    m, n, k = shape
    a = laid_out(filled(rng, (m, k), "f4"), layouts[0])
    b = laid_out(filled(rng, (k, n), "f4"), layouts[1])
    start = filled(rng, (m, n), "f4")
    assert taken(schedule_of(contraction(a, b, start)))
    found = run(a, b, start.copy(), accumulate=accumulate)
    check(found, a, b, start if accumulate else None)


@pytest.mark.parametrize("layouts", [("rows", "rows"), ("columns", "columns"), ("rows", "columns")])
@pytest.mark.parametrize("dtype", DTYPES)
def test_dtypes(dtype, layouts, rng):
    for m, n, k in ((13, 45, 300), (2, 9, 40), (40, 1, 17)):
        a, b = (
            laid_out(filled(rng, s, dtype), layout) for s, layout in zip(((m, k), (k, n)), layouts)
        )
        out = np.empty((m, n), dtype)
        check(run(a, b, out), a, b)


@pytest.mark.parametrize("dtype", ["f4", "i1", "?"])
@pytest.mark.parametrize(
    "shape", [(3, 20, 40), (70, 33, 600), (30, 2, 50), (1, 100, 40), (2, 50, 30)], ids=str
)
def test_accumulate(dtype, shape, rng):
    m, n, k = shape
    a, b = filled(rng, (m, k), dtype), filled(rng, (k, n), dtype)
    start = filled(rng, (m, n), dtype)
    check(run(a, b, start.copy(), accumulate=True), a, b, start)
    b = laid_out(b, "columns")
    check(run(a, b, start.copy(), accumulate=True), a, b, start)


def test_result_is_not_read_unless_accumulated(rng):
    a, b = filled(rng, (20, 700), "f4"), filled(rng, (700, 40), "f4")
    assert np.isfinite(run(a, b, np.full((20, 40), np.nan, "f4"))).all()


@pytest.mark.parametrize("batch", [(5,), (2, 3), (2, 1, 4, 2)], ids=str)
@pytest.mark.parametrize("shape", [(4, 5, 6), (1, 7, 9), (9, 1, 30), (30, 40, 20)], ids=str)
def test_batches(batch, shape, rng):
    m, n, k = shape
    a, b = filled(rng, (*batch, m, k), "f4"), filled(rng, (*batch, k, n), "f4")
    check(run(a, b, np.empty((*batch, m, n), "f4")), a, b)
    shared = np.broadcast_to(b[(0,) * len(batch)], b.shape)
    check(run(a, shared, np.empty((*batch, m, n), "f4")), a, shared)
    # Batch axes that lie inside of the matrices.
    inner = np.moveaxis(np.ascontiguousarray(np.moveaxis(a, 0, -1)), -1, 0)
    check(run(inner, b, laid_out(np.empty((*batch, m, n), "f4"), "columns")), a, b)


@pytest.mark.parametrize(
    "shape",
    [(500, 1100, 300), (1100, 40, 60), (1635, 16, 144), (1, 3000, 70), (25, 20, 5000)],
    ids=str,
)
@pytest.mark.parametrize("layout", ["rows", "columns"])
def test_any_partition_gives_the_same_bits(shape, layout, rng):
    m, n, k = shape
    a, b = filled(rng, (m, k), "f4"), laid_out(filled(rng, (k, n), "f4"), layout)
    whole = run(a, b, np.empty((m, n), "f4"))
    check(whole, a, b)
    tasks = schedule_of(contraction(a, b, whole)).tasks
    assert tasks > 1
    singly = [(i, i + 1) for i in range(tasks)]
    rng.shuffle(singly)
    np.testing.assert_array_equal(run(a, b, np.empty((m, n), "f4"), singly), whole)
    cut = tasks // 3 + 1
    np.testing.assert_array_equal(
        run(a, b, np.empty((m, n), "f4"), [(cut, tasks), (0, cut)]), whole
    )


@pytest.mark.parametrize("layout", ["rows", "columns", "gaps"])
@pytest.mark.parametrize("shape", [(37, 70, 300), (37, 1, 40), (37, 3, 40), (3, 40, 40)], ids=str)
def test_rows(shape, layout, rng):
    m, n, k = shape
    a, b = filled(rng, (m, k), "f4"), laid_out(filled(rng, (k, n), "f4"), layout)
    whole = run(a, b, laid_out(np.empty((m, n), "f4"), layout))
    for block in (1, 2, 5, 14):
        ranges = [(i, min(i + block, m)) for i in range(0, m, block)]
        counts = {e - b for b, e in ranges}
        found = run(a, b, laid_out(np.empty((m, n), "f4"), layout), ranges, counts=counts)
        np.testing.assert_array_equal(found, whole)


def in_panels(b, width):
    """What lies in memory if the columns of a matrix are in panels; gaps are NaN."""
    k, n = b.shape
    room = np.full((-(-n // width), k, width), np.nan if b.dtype.kind == "f" else 99, b.dtype)
    for j in range(n):
        room[j // width, :, j % width] = b[:, j]
    return room


@pytest.mark.parametrize("dtype", ["f4", "f8", "i4", "i8"])
@pytest.mark.parametrize("layout", ["rows", "columns"])
@pytest.mark.parametrize(
    "shape", [(37, 70, 30), (20, 600, 9), (21, 64, 2100), (2, 300, 7)], ids=str
)
def test_rows_by_a_right_side_in_panels(shape, layout, dtype, rng):
    m, n, k = shape
    width = 128 // np.dtype(dtype).itemsize
    a, b = laid_out(filled(rng, (m, k), dtype), layout), filled(rng, (k, n), dtype)
    panels, out = in_panels(b, width), np.empty((m, n), dtype)
    node = replace(contraction(a, b, out), panel=width, right=Matrix(1, integer(0), (width, k)))
    ranges = [(0, 1), (1, m // 2), (m // 2, m)]
    keep, call = compiled(node, {e - b for b, e in ranges})
    room = np.empty(schedule_of(node, divided=False).scratch_bytes + 64, np.uint8)
    scratch = room.ctypes.data + -room.ctypes.data % 64
    for begin, end in ranges:
        call(a.ctypes.data, panels.ctypes.data, out.ctypes.data, scratch, begin, end)
    del keep
    check(out, a, b)


@pytest.mark.parametrize(
    "shape", [(4096, 3072, 768), (1500, 1500, 1500), (64, 1000, 2500)], ids=str
)
def test_large_products_have_tasks_for_two_and_four_threads(shape):
    m, n, k = shape
    product = Product((), m, n, k, np.dtype("f4"), (k, 1), (n, 1), (n, 1))
    assert schedule(product, divided=True).tasks % 4 == 0
    assert schedule(product, divided=False).tasks <= schedule(product, divided=True).tasks


def test_rows_of_a_batch_are_its_entries(rng):
    a, b = filled(rng, (2, 3, 20, 30), "f4"), filled(rng, (2, 3, 30, 40), "f4")
    found = run(a, b, np.zeros((2, 3, 20, 40), "f4"), [(4, 6), (0, 3)], counts=[2, 3])
    expected = (a @ b).reshape(6, 20, 40)
    expected[3] = 0
    np.testing.assert_allclose(found.reshape(6, 20, 40), expected, rtol=1e-4, atol=1e-4)


def test_memory_around_the_result_is_left_alone(rng):
    for m, n, k in SHAPES:
        room = np.full((m + 2, n + 40), 7, np.float32)
        a, b = filled(rng, (m, k), "f4"), filled(rng, (k, n), "f4")
        check(run(a, b, room[1:-1, 20:-20]), a, b)
        room[1:-1, 20:-20] = 7
        assert (room == 7).all()


@pytest.mark.parametrize("lines", ["rows", "columns"])
@pytest.mark.parametrize("rows", [1, 2, 5, 6])
def test_tiles_that_are_written_out_give_the_same_bits(rows, lines, rng):
    shape = tile_shape(np.dtype("f4"), 32, registers=16)
    module, names = Module(), {"": "fnad.plain", lines: "fnad.written.out"}
    for way, name in names.items():
        Tile(module, Variant(np.dtype("f4")), shape, rows).emit(name, way)
    code = compile_module(module.text())
    number, pointer = ctypes.c_int64, ctypes.c_void_p
    signature = (
        [number, pointer, number, number, pointer, number, pointer] + [number] * 4 + [ctypes.c_bool]
    )
    most = shape.widths(rows)[-1] * shape.lanes
    for k, columns in itertools.product((1, 3, 4, 7, 20), (5, 8, 13, most - 3, most)):
        a = laid_out(filled(rng, (rows, k), "f4"), lines)
        b = filled(rng, (k, columns), "f4")
        found = []
        for name in names.values():
            out = np.empty((rows, columns), "f4")
            call = ctypes.CFUNCTYPE(None, *signature)(code.address(name))
            row, step = strides(a)
            call(
                k, a.ctypes.data, row, step, b.ctypes.data, columns,
                out.ctypes.data, columns, 1, 0, columns, False,
            )  # fmt: skip
            check(out, a, b)
            found.append(out)
        np.testing.assert_array_equal(*found)


@pytest.mark.parametrize("way", ["", "rows", "columns", "strided"])
@pytest.mark.parametrize("accumulate", [False, True])
def test_tiles_leave_rows_before_the_first_one_alone(way, accumulate, rng):
    shape = tile_shape(np.dtype("f4"), 32, registers=16)
    module = Module()
    Tile(module, Variant(np.dtype("f4")), shape, 6).emit(
        "fnad.tile", "" if way == "strided" else way, strided=way == "strided"
    )
    code = compile_module(module.text())
    number, pointer = ctypes.c_int64, ctypes.c_void_p
    call = ctypes.CFUNCTYPE(
        None,
        number,
        pointer,
        number,
        number,
        pointer,
        number,
        pointer,
        *[number] * 4,
        ctypes.c_bool,
    )(code.address("fnad.tile"))
    for first, columns in itertools.product(range(6), (3, 8, 16)):
        a = laid_out(filled(rng, (6, 9), "f4"), way if way == "columns" else "rows")
        b, start = filled(rng, (9, columns), "f4"), filled(rng, (8, columns), "f4")
        room = laid_out(start, "columns" if way == "strided" else "rows").copy("K")
        out = room[1 + first :]
        call(
            9, a.ctypes.data, *strides(a), b.ctypes.data, columns,
            out.ctypes.data, *strides(out), first, columns, accumulate,
        )  # fmt: skip
        check(room[1 + first : 7], a[first:], b, start[1 + first : 7] if accumulate else None)
        np.testing.assert_array_equal(room[: 1 + first], start[: 1 + first])
        np.testing.assert_array_equal(room[7:], start[7:])


@pytest.mark.parametrize("rows", [5, 48, 256, 785])
def test_all_tiles_of_many_rows_are_one_function(rows):
    product = Product((), rows, 200, 300, np.dtype("f4"), (300, 1), (200, 1), (200, 1))
    functions = schedule(product, divided=True).functions()
    assert sum(name is not None and ".tile." in name for name in functions) == 1


def test_functions_have_names_that_say_what_they_are():
    text = library.source_of("fnad.matrix.f32.tile.4")[0]
    assert "define void @fnad.matrix.f32.tile.4(" in text
    with pytest.raises(InternalError, match="no function"):
        library.source_of("fnad.matrix.tile")
