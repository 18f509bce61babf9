"""Matrix products on the emulated device, against NumPy."""

from dataclasses import replace

import numpy as np
import pytest

from fnad.core.types import BFLOAT16, computing_dtype
from fnad.lowering.cuda import products, tiles
from fnad.lowering.cuda.emitter import emit_plan
from fnad.lowering.cuda.executable import CudaExecutable
from fnad.lowering.cuda.product_kernels import in_parts, operands, product_kernel
from fnad.lowering.cuda.program import Launch, Product
from fnad.lowering.plan import Kernel
from tests.cuda_emulator.card import EmulatedCard
from tests.lowering.cuda.multiplying import Operand, assert_close, contraction, numbers, product
from tests.lowering.cuda.running import (
    compile_for_device,
    needs_emulator,
    needs_toolchain,
    plan_of,
    run_plan,
)

DTYPES = ["b1", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f2", BFLOAT16, "f4", "f8"]


def product_kernel_of(node):
    return product_kernel(node, *operands(node, dict.fromkeys((0, 1), node.dtype)))


def multiplied(node, args, out, library=False, device=None):
    """The result of a node on the device."""
    device = device or EmulatedCard()
    plan = plan_of(node, args, [out])
    program = emit_plan(plan, library)
    [found] = CudaExecutable(program, device)(args)
    return found.get(), program


def check(left, right, out=None, dtype="f4"):
    (*batch, m, _), n = left.shape, right.shape[-1]
    out = out or Operand((*batch, m, n))
    node, a, b, expected = product(left, right, out, dtype)
    got, program = multiplied(node, [a, b], np.empty(out.size, dtype))
    assert_close(out.view(got), expected, left.shape[-1])
    return program


def use_tile(monkeypatch, tile):
    for name in ("NARROW_TILES",) if tile.cores else ("TILES", "WIDE_TILES"):
        monkeypatch.setattr(tiles, name, (tile,))


# -- tiles -------------------------------------------------------------------------------------


@needs_emulator
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_dtypes(dtype):
    check(Operand((33, 19)), Operand((19, 41)), dtype=dtype)


@needs_emulator
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_vectors_of_dtypes(dtype):
    check(Operand((48, 32)), Operand((32, 32)), dtype=dtype)
    check(Operand((48, 32), (1, 0)), Operand((32, 32), (1, 0)), dtype=dtype)


@needs_emulator
@pytest.mark.parametrize("shape", [(20, 150, 24), (150, 20, 24), (129, 129, 17), (128, 64, 16)])
@pytest.mark.parametrize("tile", tiles.TILES, ids=lambda t: f"{t.rows}x{t.columns}")
def test_tiles(tile, shape, monkeypatch):
    use_tile(monkeypatch, tile)
    m, n, k = shape
    check(Operand((m, k)), Operand((k, n)))
    if tile in products_of_doubles():
        check(Operand((m, k)), Operand((k, n)), dtype="f8")


def products_of_doubles():
    return tiles.TILES[1:]


@needs_emulator
@pytest.mark.parametrize("dtype", ["f2", BFLOAT16], ids=str)
@pytest.mark.parametrize("tile", tiles.NARROW_TILES, ids=lambda t: f"{t.rows}x{t.columns}")
def test_tensor_cores(tile, dtype, monkeypatch):
    use_tile(monkeypatch, tile)
    check(Operand((129, 40)), Operand((40, 70)), dtype=dtype)
    check(Operand((64, 64), (1, 0)), Operand((64, 136), (1, 0)), dtype=dtype)
    check(Operand((2, 20, 17)), Operand((2, 17, 30)), Operand((2, 20, 30), (0, 2, 1)), dtype=dtype)


def test_tensor_cores_multiply_what_has_16_bits_on_both_sides():
    node = contraction(Operand((33, 19)), Operand((19, 41)), Operand((33, 41)), "f4")
    for dtypes, cores in (("f2", "f2"), True), (("f2", "f4"), False), (("f4", "f4"), False):
        given = {i: np.dtype(dtype) for i, dtype in enumerate(dtypes)}
        found = tiles.matrix_product(product_kernel(node, *operands(node, given)))
        assert tiles.tile_of(found).cores is cores


@needs_emulator
@pytest.mark.parametrize("dtype", ["f4", "f2"])
def test_no_races(dtype):
    node, a, b, expected = product(Operand((40, 50)), Operand((50, 36)), Operand((40, 36)), dtype)
    [got], _ = run_plan(plan_of(node, [a, b], [np.empty((40, 36), dtype)]), [a, b], 1, races=True)
    assert_close(got, expected, 50)


@needs_emulator
@pytest.mark.parametrize("left", [(0, 1), (1, 0)])
@pytest.mark.parametrize("right", [(0, 1), (1, 0)])
@pytest.mark.parametrize("out", [(0, 1), (1, 0)])
@pytest.mark.parametrize("shape", [(32, 48, 16), (33, 37, 23)])
def test_transposes(left, right, out, shape):
    m, n, k = shape
    check(Operand((m, k), left), Operand((k, n), right), Operand((m, n), out))


@needs_emulator
@pytest.mark.parametrize("padding", [1, 2, 4])
@pytest.mark.parametrize("start", [0, 3, 4])
def test_parts_of_larger_arrays(padding, start):
    place = {"padding": padding, "start": start}
    check(Operand((20, 16), **place), Operand((16, 24), **place), Operand((20, 24), **place))


@needs_emulator
def test_batches():
    check(Operand((3, 18, 12)), Operand((3, 12, 20)))
    check(Operand((2, 3, 18, 12), (1, 2, 0, 3)), Operand((2, 3, 12, 20), (1, 0, 3, 2)))
    check(Operand((18, 12)).repeated(0, 3), Operand((3, 12, 20)))
    check(Operand((2, 18, 12)).repeated(1, 3), Operand((3, 12, 20)).repeated(0, 2))


@needs_emulator
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_added_to_what_is_there(dtype):
    left, right, out = Operand((17, 9)), Operand((9, 18)), Operand((17, 18))
    node, a, b, expected = product(left, right, out, dtype, accumulate=True)
    start = numbers(out.size, dtype, 2)
    wide = expected.dtype
    with np.errstate(all="ignore"):
        expected = start.reshape(out.shape).astype(wide) + expected
    plan = replace(plan_of(node, [a, b], [start]), inputs=(0, 1, 2))
    [found] = CudaExecutable(emit_plan(plan), EmulatedCard())([a, b, start])
    assert_close(found.get().reshape(out.shape), expected, 9)


@needs_emulator
def test_results_do_not_depend_on_the_order_of_threads():
    left, right, out = Operand((40, 50)), Operand((50, 40)), Operand((40, 40))
    node, a, b, _ = product(left, right, out, "f4")
    results = [
        multiplied(node, [a, b], np.empty(out.size, "f4"), device=EmulatedCard(seed))[0]
        for seed in range(3)
    ]
    assert all(np.array_equal(results[0], other) for other in results[1:])


def test_many_tiles_fill_the_card():
    def tile(m, n, k=512):
        kernel = product_kernel_of(
            contraction(Operand((m, k)), Operand((k, n)), Operand((m, n)), "f4")
        )
        return tiles.tile_of(tiles.matrix_product(kernel))

    assert tile(4096, 4096) == tiles.TILES[0]
    assert tile(1 << 15, 16).columns == 16
    assert tile(16, 1 << 15).rows == 16
    assert tile(256, 256).rows == 32


# -- small ones --------------------------------------------------------------------------------


@needs_emulator
@pytest.mark.parametrize(
    "shape", [(1, 1, 1), (1, 1, 300), (30, 1, 40), (1, 30, 40), (3, 5, 7), (40, 40, 1), (17, 33, 5)]
)
@pytest.mark.parametrize("dtype", ["b1", "i1", "i8", "f2", "f4"])
def test_small_products(shape, dtype):
    m, n, k = shape
    check(Operand((m, k)), Operand((k, n)), dtype=dtype)
    check(Operand((m, k), (1, 0)), Operand((k, n), (1, 0)), dtype=dtype)


@needs_emulator
def test_batches_of_small_products():
    check(Operand((5, 3, 4)), Operand((5, 4, 2)))
    check(Operand((5, 3, 4)), Operand((4, 2)).repeated(0, 5))


# -- long sums ---------------------------------------------------------------------------------


@needs_emulator
@pytest.mark.parametrize("shape", [(20, 20, 1024), (17, 18, 1031), (1, 1, 1031), (2, 3, 4096)])
@pytest.mark.parametrize("dtype", ["b1", "u1", "f2", "f4", "f8"])
def test_long_sums_are_divided(shape, dtype):
    m, n, k = shape
    program = check(Operand((m, k)), Operand((k, n)), dtype=dtype)
    assert [type(step) for step in program.steps] == [Launch, Launch]


@needs_emulator
def test_beyond_the_end_there_are_zeros_whatever_the_last_term_is():
    left, right, out = Operand((17, 1031)), Operand((1031, 18)), Operand((17, 18))
    node, a, b, expected = product(left, right, out, "f8")
    a = a.copy()
    left.view(a)[3, -1] = np.inf
    expected[3] = left.view(a)[3, -1] * right.view(b)[-1]
    got, _ = multiplied(node, [a, b], np.empty(out.size))
    np.testing.assert_allclose(out.view(got), expected, rtol=1e-9, atol=1e-9)


def parts(m, n, k, dtype="f4"):
    node = contraction(Operand((m, k)), Operand((k, n)), Operand((m, n)), dtype)
    count = []
    kernels = in_parts(product_kernel_of(node), lambda shape, dtype: count.append(shape[0]) or 9)
    assert len(kernels) == 1 + len(count)
    return count[0] if count else 1


def test_into_as_many_parts_as_keep_the_card_busy():
    assert parts(2048, 2048, 2048) == 1
    assert parts(512, 512, 128) == 1
    assert parts(128, 576, 65536) >= 16  # the gradient of a convolution's filters
    assert parts(64, 64, 4096) > 8
    assert parts(1, 1, 1 << 20) == 64


# -- which form --------------------------------------------------------------------------------


def form(m, n, k, dtype, batch=()):
    shapes = (*batch, m, k), (*batch, k, n), (*batch, m, n)
    arrays = [np.empty(shape, dtype) for shape in shapes]
    plan = plan_of(contraction(*map(Operand, shapes), dtype), arrays[:2], arrays[2:])
    return {type(step) for step in emit_plan(plan).steps}


def test_large_floating_products_are_the_library_s():
    assert form(512, 512, 512, "f4") == {Product}
    assert form(64, 64, 64, "f2", batch=(64,)) == {Product}
    assert form(512, 512, 512, "i4") == {Launch}
    assert form(32, 32, 32, "f4") == {Launch}
    assert form(1, 2048, 2048, "f4") == {Launch}


def test_arranged_plans_hold_kernels_alone():
    node, a, b, _ = product(Operand((64, 512)), Operand((512, 64)), Operand((64, 64)), "f4")
    plan = plan_of(node, [a, b], [np.empty((64, 64), "f4")])
    arranged = products.arrange_products(plan, library=False)
    assert all(isinstance(n, Kernel) for n in arranged.body)
    assert products.arrange_products(arranged) is arranged


# -- other ways to write products ----------------------------------------------------------------


def test_sums_are_in_the_accumulator_s_dtype():
    kernel = product_kernel_of(
        contraction(Operand((17, 9)), Operand((9, 18)), Operand((17, 18)), "f2")
    )
    found = tiles.matrix_product(kernel)
    assert found.wide == found.dtype == computing_dtype(np.dtype("f2"))
    assert found.stores[0].value.dtype == np.float16


def test_what_is_no_product():
    kernel = product_kernel_of(
        contraction(Operand((17, 9)), Operand((9, 18)), Operand((17, 18)), "f4")
    )
    assert tiles.matrix_product(kernel) is not None
    assert tiles.matrix_product(replace(kernel, sequential=True)) is None
    assert tiles.matrix_product(replace(kernel, axes=kernel.axes[::-1])) is not None
    [reduction] = kernel.reductions
    greatest = replace(reduction, kind="max")
    assert tiles.matrix_product(replace(kernel, reductions=(greatest,))) is None


# -- the source --------------------------------------------------------------------------------


@needs_toolchain
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_tiles_compile(dtype):
    left, right, out = Operand((130, 40)), Operand((40, 200)), Operand((130, 200))
    node, a, b, _ = product(left, right, out, dtype)
    compile_for_device(plan_of(node, [a, b], [np.empty(out.size, dtype)]))
