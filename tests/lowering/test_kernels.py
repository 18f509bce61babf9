"""Kernels as vector code: against NumPy, over awkward extents, whole and in any parts."""

import ctypes
import itertools
import re

import numpy as np
import pytest

import fnad
import fnad.numpy as fnp
from fnad import lax
from fnad.core.types import BFLOAT16
from fnad.lowering.access import kernel_exprs
from fnad.lowering.llvm import work
from fnad.lowering.llvm.domains import boxes
from fnad.lowering.llvm.expressions import ExpressionPrinter
from fnad.lowering.llvm.kernels import emit_kernel
from fnad.lowering.llvm.target import VECTOR_CODE, compile_module
from fnad.lowering.llvm.writer import INT64, Function, Module, Value
from fnad.lowering.plan import Copy, Group, Kernel
from fnad.lowering.walk import postorder
from fnad.primitives.indexing import scatter_p
from tests.lowering.test_plan import plan_of
from tests.tiers import tiered

RNG = np.random.default_rng(0)
EXTENTS = [1, 2, 3, 15, 16, 17, 31, 33, 1000]
DTYPES = [np.dtype(c) for c in "?bBhHiIqQefd"]


def data(shape, dtype):
    if dtype.kind == "b":
        return RNG.random(shape) < 0.5
    if dtype.kind in "iu":
        return RNG.integers(0, 100, shape).astype(dtype)
    return RNG.standard_normal(shape).astype(dtype)


def compile_kernel(kernel, buffers, known):
    """The kernel as ``run(begin, end)``; with ``known``, for all tasks, bounds as constants."""
    used = [e.attr for e in postorder(kernel_exprs(kernel)) if e.op == "load"]
    used = list(dict.fromkeys(used + [s.buffer for s in kernel.stores]))
    tasks = kernel.axes[0][1] if kernel.axes else 1
    parameters = [f"ptr %b{n}" for n in used] + ["i64 %begin", "i64 %end"]
    module = Module()
    f = Function(module, "run", parameters, linkage="")
    p = ExpressionPrinter(f, {n: f"%b{n}" for n in used}, {})
    bounds = (0, tasks) if known else ("%begin", "%end")
    emit_kernel(f, p, kernel, *[Value(str(v), INT64) for v in bounds])
    f.ret()
    module.add(f)
    code = compile_module(module.text(), VECTOR_CODE)
    types = [ctypes.c_void_p] * len(used) + [ctypes.c_int64] * 2
    function = ctypes.CFUNCTYPE(None, *types)(code.address("run"))
    addresses = [buffers[n].ctypes.data for n in used]

    def run(begin, end):
        assert code and addresses is not None
        function(*addresses, begin, end)

    return run, tasks


def kernels_in(nodes):
    for node in nodes:
        if isinstance(node, Group):
            yield from (member.node for member in node.members)
        else:
            yield node


def run_plan(plan, args, parts, known=False):
    """Run a plan of kernels and copies, ``parts(tasks)`` saying how each kernel is cut."""
    buffers = {b.number: np.zeros(b.size, b.dtype) for b in plan.buffers}
    for number, arg in zip(plan.inputs, args, strict=True):
        buffers[number] = np.array(arg).ravel()
    for node in kernels_in(plan.body):
        if isinstance(node, Copy):
            source = buffers[node.source][int(node.source_offset.attr) :][: node.size]
            buffers[node.out][int(node.out_offset.attr) :][: node.size] = source
            continue
        assert isinstance(node, Kernel)
        run, tasks = compile_kernel(node, buffers, known)
        cuts = [0, tasks] if node.sequential or known else parts(tasks)
        for begin, end in reversed([*itertools.pairwise(cuts)]):
            run(begin, end)
    return [buffers[n] for n in plan.outputs]


def check(function, reference, *args, rtol=1e-5, atol=1e-5):
    """Compare with NumPy, and the bits of whole runs with those of runs in parts."""
    plan, _, inputs = plan_of(function, *args)
    whole = run_plan(plan, inputs, lambda tasks: [0, tasks])
    pieces = run_plan(plan, inputs, lambda n: sorted({0, 1, n // 3, n // 2, n - 1, n} - {-1}))
    fixed = run_plan(plan, inputs, None, known=True)
    with np.errstate(all="ignore"):
        wanted = reference(*args)
    for got, part, other, want in zip(
        whole, pieces, fixed, wanted if isinstance(wanted, tuple) else (wanted,), strict=True
    ):
        want = np.asarray(want)
        assert got.dtype == want.dtype
        assert got.tobytes() == part.tobytes() == other.tobytes()
        if want.dtype == np.float16:
            rtol, atol = 2e-3, 2e-2
        np.testing.assert_allclose(got, want.ravel(), rtol=rtol, atol=atol)
    return plan


@pytest.mark.parametrize("n", EXTENTS)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_elementwise(dtype, n):
    x, y = data(n, dtype), data(n, dtype)
    check(lambda x, y: fnp.where(x > y, x, y) * x, lambda x, y: np.where(x > y, x, y) * x, x, y)


@pytest.mark.parametrize("n", EXTENTS)
def test_several_dtypes_in_one_kernel(n):
    x, i, h = data(n, np.dtype("f4")), data(n, np.dtype("i1")), data(n, np.dtype("f2"))

    def f(xp, x, i, h):
        return (x * i + h, (x > 0) & (i > 50), i.astype("f8") + xp.arange(n), xp.arange(n) // 3)

    check(lambda *a: f(fnp, *a), lambda *a: f(np, *a), x, i, h)


@pytest.mark.parametrize("n", [2, 16, 17, 100])
@pytest.mark.parametrize("step", [-1, 2, -2, 3, -3, 5, 8, -8, 9])
@pytest.mark.parametrize("dtype", ["f4", "f8", "i1", "?"])
def test_strides(dtype, step, n):
    x = data(abs(step) * n + 1, np.dtype(dtype))
    one = np.ones(1, dtype)[0]

    def f(x):  # reads pairs, from the first element up to the last
        return x[: abs(step) * n][::step] * one, (x[1::step] if step > 0 else x[:-1][::step]) * one

    check(f, f, x)


@pytest.mark.parametrize("n", [2, 16, 100])
@pytest.mark.parametrize("step", [2, 3, -3, 9, -9])
@pytest.mark.parametrize("dtype", ["f4", "f8", "i1"])
def test_strided_writes(dtype, step, n):
    x, u = data(abs(step) * n, np.dtype(dtype)), data(n, np.dtype(dtype))

    def written(x, u):
        x = fnp.asarray(x)
        return x.at[::step].set(u), x.at[::step].add(u)

    want = x.copy(), x.copy()
    want[0][::step] = u
    want[1][::step] += u
    check(written, lambda x, u: want, x, u)


@pytest.mark.parametrize("shape", [(17, 33), (5, 1000), (40, 3), (1, 16), (64, 64)])
def test_axes_and_broadcasting(shape):
    x, row, column = (data(s, np.dtype("f4")) for s in (shape, shape[1:], shape[:1]))
    check(
        lambda x, r, c: (x * r + c[:, None], x.T - r[:, None], x[::-1, ::-1] * 2),
        lambda x, r, c: (x * r + c[:, None], x.T - r[:, None], x[::-1, ::-1] * np.float32(2)),
        x, row, column,
    )  # fmt: skip


@pytest.mark.parametrize("rank", [1, 2])
def test_gather_and_scatter(rank):
    x = data((50, 20)[:rank] if rank == 2 else 500, np.dtype("f4"))
    i = RNG.integers(0, len(x), 300)
    check(lambda x, i: x[i] * 2, lambda x, i: x[i] * np.float32(2), x, i)
    updates = data((300, *x.shape[1:]), np.dtype("f4"))

    def want(x, u, i):
        x = x.copy()
        np.add.at(x, i, u)
        return x

    check(
        lambda x, u, i: scatter_p.bind(x, u, i, kind="add", mode="fill"),
        want,
        x,
        updates,
        i,
        atol=1e-4,
    )


# -- reductions ---------------------------------------------------------------------------------

REDUCTIONS = ["sum", "max", "min", "prod", "argmax", "argmin"]


@pytest.mark.parametrize(
    "shape", [(n,) for n in EXTENTS] + [(4, 37), (37, 4), (70, 100), (3, 5, 90)]
)
@tiered(
    "dtype", ["?", "i1", "u2", "i4", "i8", "f2", "f4", "f8"], lambda d: d not in ("u2", "i8", "f2")
)
def test_reductions(dtype, shape):
    x = data(shape, np.dtype(dtype))
    if dtype[0] in "f":
        x /= np.abs(x).max()

    def f(xp, x, axis):
        if dtype == "?":
            return xp.any(x, axis=axis), xp.all(x, axis=axis), xp.sum(x, axis=axis)
        kept = {"dtype": x.dtype}
        return tuple(
            getattr(xp, name)(x, axis=axis, **(kept if name in ("sum", "prod") else {}))
            for name in REDUCTIONS
        )

    def compare(axis):
        if isinstance(axis, tuple) and dtype != "?":
            check(lambda x: fnp.max(x, axis=axis), lambda x: np.max(x, axis=axis), x)
        else:
            check(lambda x: f(fnp, x, axis), lambda x: f(np, x, axis), x)

    for axis in [None, *range(len(shape)), *([(0, len(shape) - 1)] if len(shape) > 2 else [])]:
        compare(axis)


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("n", [5, 16, 40, 300])
def test_extrema_with_nan_and_ties(dtype, n, axis):
    rows = np.array(RNG.integers(-2, 3, (n, n)), dtype)
    rows[1::3, n // 2] = np.nan
    rows[2::3, n - 1] = np.nan
    rows[2::3, n // 3] = np.nan
    rows[0] = -np.inf
    check(
        lambda x: (fnp.argmax(x, axis), fnp.argmin(x, axis), fnp.max(x, axis)),
        lambda x: (np.argmax(x, axis), np.argmin(x, axis), np.max(x, axis)),
        rows,
    )


@pytest.mark.parametrize("size", [2, 3])
def test_small_windows(size):
    x = data((8 * size, 6 * size, 20), np.dtype("f4"))

    def pool(x):
        return x.reshape(8, size, 6, size, 20).max((1, 3))

    check(pool, pool, x)


# -- conditions on indices ----------------------------------------------------------------------

CUT = {
    "roll": lambda xp, x: xp.roll(x, 3, 0) + xp.roll(x, -2, 1),
    "pad": lambda xp, x: xp.pad(x, ((1, 2), (0, 5))) * 2,
    "edge": lambda xp, x: xp.pad(x, 4, mode="edge") + 1,
    "concatenate": lambda xp, x: xp.concatenate([x, x[:7] * 2, x[::-1]]),
    "columns": lambda xp, x: xp.concatenate([x, x[:, :5] + 1], axis=1),
    "difference": lambda xp, x: xp.pad(x[1:] - x[:-1], ((0, 1), (0, 0))) * x,
    "sums": lambda xp, x: xp.sum(xp.roll(x, 1, 0) * x, axis=1),
    "column sums": lambda xp, x: xp.sum(xp.roll(x, 1, 1) * x, axis=0),
}


@pytest.mark.parametrize("name", CUT)
@pytest.mark.parametrize("shape", [(50, 60), (90, 33), (300, 7)])
def test_conditions_on_indices(name, shape):
    function = CUT[name]
    x = data(shape, np.dtype("f4"))
    check(lambda x: function(fnp, x), lambda x: function(np, x).astype("f4"), x, atol=1e-4)


@pytest.mark.parametrize("name", ["roll", "pad", "concatenate", "columns"])
def test_the_large_boxes_have_no_conditions(name):
    plan, _, _ = plan_of(lambda x: CUT[name](fnp, x), data((64, 64), np.dtype("f4")))
    [kernel] = [node for node in kernels_in(plan.body) if isinstance(node, Kernel)]
    parts = boxes(kernel)
    assert len(parts) > 1
    points = [(np.prod([e for _, e in box.kernel.axes]), box) for box in parts]
    large = max(points, key=lambda item: item[0])[1]
    operations = {e.op for e in postorder(kernel_exprs(large.kernel))}
    assert not operations & {"where", "less", "minimum", "maximum"}
    whole = np.prod([e for _, e in kernel.axes])
    assert sum(count for count, _ in points) == whole


def test_a_condition_that_no_cut_decides_is_no_reason_to_cut():
    """Below the diagonal: the first and the last row are decided, all between are not."""
    x = data((128, 128), np.dtype("f4"))
    plan, _, _ = plan_of(lambda x: fnp.where(fnp.tri(128, dtype=bool), x * 2, 0), x)
    assert [len(boxes(k)) for k in kernels_in(plan.body)] == [1]
    check(fnp.tril, np.tril, x)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n", [3, 40])
def test_a_condition_that_lanes_share_is_no_branch(n, dtype):
    def rows(x):
        largest = fnp.max(x, axis=1, keepdims=True)
        return fnp.where(largest < 1.5, largest * x, -x)

    x = data((37, n), np.dtype(dtype))
    x[3, 0] = np.nan
    np.testing.assert_array_equal(fnad.jit(rows)(x), rows(x))
    # One bit that was stored.
    masked = fnad.jit(lambda x: fnp.where(fnp.max(x, axis=1, keepdims=True) < 1.5, x, -x))
    np.testing.assert_array_equal(masked(x), np.where(np.max(x, 1, keepdims=True) < 1.5, x, -x))
    text = fnad.jit(rows).lower(x).as_text("llvm") + masked.lower(x).as_text("llvm")
    assert re.search("fcmp olt <", text) and not re.search("select i1 [^,]*, <", text)


# -- transposes ---------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["f4", "f8", "i1", "f2", "?"])
@pytest.mark.parametrize("shape", [(16, 16), (9, 8), (33, 50), (100, 17), (8, 1000)])
def test_transposes(shape, dtype):
    x, y = data(shape, np.dtype(dtype)), data(shape[::-1], np.dtype(dtype))
    check(lambda x, y: fnp.where(y > 0, x.T, y), lambda x, y: np.where(y > 0, x.T, y), x, y)


@pytest.mark.parametrize("axes", list(itertools.permutations(range(4))))
def test_permutations(axes):
    x = data((9, 10, 11, 12), np.dtype("f4"))
    check(
        lambda x: fnp.transpose(x, axes) * 2,
        lambda x: np.transpose(x, axes) * np.float32(2),
        x,
    )


@pytest.mark.parametrize("shape", [(100, 100, 100), (1000, 1000), (40, 500, 60)])
def test_threads_take_whole_tiles(shape):
    """Of tiles along the tasks, that is: a part of a tile takes as long as all of it."""
    plan, _, _ = plan_of(lambda x: x.T * 2, data(shape, np.dtype("f4")))
    (kernel,) = kernels_in(plan.body)
    buffers = {b.number: b for b in plan.buffers}
    assert work.chunk(kernel, buffers) % 16 == 0


def test_several_transposed_operands():
    x, y = data((40, 70), np.dtype("f4")), data((40, 70), np.dtype("f4"))
    check(
        lambda x, y: x.T * y.T + x.T[::-1] - y[0, 3],
        lambda x, y: x.T * y.T + x.T[::-1] - y[0, 3],
        x, y,
    )  # fmt: skip


NARROWED = [(np.int32, np.int16), (np.int32, np.int8), (np.int64, np.int32), (np.int64, np.int16)]


@pytest.mark.parametrize("dtypes", [*NARROWED, (np.float32, BFLOAT16), (np.float64, np.float32)])
@pytest.mark.parametrize("n", [17, 33, 129, 257])
def test_a_single_element_after_the_last_vector_is_all_that_is_written(n, dtypes):
    """Rows are written from the last one on, so that what is written too far is seen."""
    wide, narrow = dtypes
    rows = fnad.jit(
        lambda x: lax.scan(lambda c, row: (c, abs(row).astype(narrow)), 0, x, reverse=True)[1]
    )
    x = RNG.integers(-100, 100, (4, n)).astype(wide)
    np.testing.assert_array_equal(rows(x), abs(x).astype(narrow))


def test_what_outer_loops_compute_leaves_short_turns_short():
    """Two vectors in a turn along rows, however much is computed for a row as a whole."""
    x, row = data((1000, 128), np.dtype("f8")), data((1000,), np.dtype("f8"))

    def f(xp, x, row):
        return xp.where((row > 0.5)[:, None], 2 * x * row[:, None], 0)

    lowered = fnad.jit(lambda *args: f(fnp, *args)).lower(x, row)
    assert lowered.as_text("plan").count("kernel [") == 1
    function = re.search(r"define void @fnad\.0.*?\n}", lowered.as_text("llvm"), re.DOTALL)[0]
    assert len(re.findall(r"store <\d+ x double>", function)) == 2
    np.testing.assert_array_equal(lowered.compile()(x, row), f(np, x, row))
