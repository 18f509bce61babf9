"""What becomes a part of a matrix product: what makes its operands, what maps its result."""

import numpy as np
import pytest

from fnad import grad, jit, lax, make_jaxpr
from fnad import numpy as fnp
from fnad.lowering.cuda import products
from fnad.lowering.cuda.emitter import emit_plan
from fnad.lowering.cuda.executable import CudaExecutable
from fnad.lowering.cuda.products import arrange_products
from fnad.lowering.cuda.target import CARD
from fnad.lowering.cuda.tiles import matrix_product
from fnad.lowering.plan import Contraction, Kernel
from fnad.lowering.planning import plan_jaxpr
from fnad.lowering.simplify import simplify
from tests.cuda_emulator.card import EmulatedCard
from tests.lowering.cuda.programs import plan_program
from tests.lowering.cuda.running import needs_emulator
from tests.lowering.plan_interpreter import Machine

RNG = np.random.default_rng(0)
X, W, V, B, C = (RNG.standard_normal(s) for s in ((33, 20), (20, 20), (20, 30), (20,), (30,)))
H, K = X.astype(np.float16), W.astype(np.float16)


def numbers(*shape, dtype=np.float64):
    return RNG.standard_normal(shape).astype(dtype)


def arranged_plan(function, *args, library=False):
    return arrange_products(plan_program(function, *args), library)


def assert_close(results, function, args, tolerance):
    expected = jit(function)(*args)
    expected = expected if isinstance(expected, tuple) else (expected,)
    for a, b in zip(results, expected, strict=True):
        a, b = a.astype(np.float64), np.asarray(b, np.float64)
        np.testing.assert_allclose(a, b, tolerance, tolerance)


def check(function, *args, library=False, tolerance=1e-9):
    """The arranged plan, which gives what the plan gives."""
    arranged = arranged_plan(function, *args, library=library)
    assert_close(Machine(arranged, args).run(), function, args, tolerance)
    return arranged


def check_on_card(function, *args, tolerance=1e-9):
    program = emit_plan(plan_program(function, *args), library=False)
    outs = CudaExecutable(program, EmulatedCard())(list(args))
    assert_close([out.get() for out in outs], function, args, tolerance)


def names(plan):
    """``product`` for kernels with tiles, ``library`` for products that are none, and others."""
    found = []
    for node in plan.body:
        if isinstance(node, Contraction):
            found.append("library")
        else:
            is_product = isinstance(node, Kernel) and matrix_product(node) is not None
            found.append("product" if is_product else type(node).__name__.lower())
    return found


@pytest.fixture
def all_in_library(monkeypatch):
    monkeypatch.setattr(products, "_LIBRARY_OPERATIONS", 1)
    monkeypatch.setattr(products, "_LIBRARY_SIDE", 2)


# -- epilogues -----------------------------------------------------------------------------------


def dense(x, w, b):
    return fnp.maximum(x @ w + b, 0)


EPILOGUES = {
    "bias and activation": (dense, X, V, C),
    "of the transposed result": (lambda x, w, b: ((x @ w).T + b).copy(), X, V, numbers(33)),
    "residual": (lambda x, w: x + fnp.sin(x @ w), X, W),
    "batch": (lambda x, w: (x @ w) * 2, numbers(3, 17, 9), numbers(3, 9, 18)),
    "vector": (lambda x, w, b: fnp.maximum(x @ w + b, 0), X, numbers(20), numbers(33)),
    "integers": (lambda x, w: 3 * (x @ w) + 1, np.arange(99).reshape(33, 3), np.tri(3, dtype=int)),
    "16 bits": (lambda x, w: fnp.maximum(x @ w, 0), H, K),
}  # fmt: skip


@pytest.mark.parametrize("name", EPILOGUES)
def test_epilogues(name):
    arranged = check(*EPILOGUES[name], tolerance=3e-3 if name == "16 bits" else 1e-9)
    assert len(arranged.body) == 1
    assert arranged.arena_size == 0


@needs_emulator
@pytest.mark.parametrize("name", EPILOGUES)
def test_epilogues_on_the_card(name):
    check_on_card(*EPILOGUES[name], tolerance=3e-3 if name == "16 bits" else 1e-9)


def test_a_result_that_others_read_is_stored_too():
    arranged = check(lambda x, w: (x @ w + 1, (x @ w).sum(0)), X, W)
    product, _ = arranged.body
    assert len(product.stores) == 2


def test_chains():
    arranged = check(lambda x, w, v, b: dense(dense(x, w, b), v, 0.0), X, W, V, B)
    assert names(arranged) == ["product", "product"]


def test_parts_of_long_sums_have_the_epilogue_behind():
    arranged = arranged_plan(dense, numbers(20, 2048), numbers(2048, 20), B)
    assert names(arranged) == ["product", "kernel"]


def test_what_is_no_epilogue():
    # It reads other points, it reduces, it is too large, or it writes what the product reads.
    assert len(check(lambda x, w: (x @ w)[::-1] + (x @ w), X, W).body) == 2
    assert len(check(lambda x, w: (x @ w).sum(1), X, W).body) == 2
    assert len(check(lambda x, w: fnp.tanh(fnp.tanh(fnp.tanh(fnp.tanh(x @ w)))), X, W).body) == 2


def test_an_input_that_is_updated_in_place_is_read_before():
    def step(w, x):
        return w - 0.1 * (w @ x)

    w, x = numbers(20, 20), numbers(20, 20)
    jaxpr = simplify(make_jaxpr(step)(w, x).jaxpr)
    plan = plan_jaxpr(jaxpr, donated=(0,), target=CARD)
    [out] = Machine(arrange_products(plan, library=False), [w, x]).run()
    np.testing.assert_allclose(out, step(w, x))


# -- operands ------------------------------------------------------------------------------------

FEATURES_LAST = ("NHWC", "HWIO", "NHWC")


def convolution(strides=(1, 1), padding="SAME", **options):
    return lambda x, w: lax.conv_general_dilated(x, w, strides, padding, **options)


CONVOLUTIONS = {
    "features last": (convolution(dimension_numbers=FEATURES_LAST), (2, 7, 7, 8), (3, 3, 8, 16)),
    "strides": (convolution((2, 2)), (2, 8, 7, 7), (16, 8, 3, 3)),
    "few features": (convolution(padding="VALID"), (2, 3, 7, 7), (16, 3, 3, 3)),
    "groups": (convolution(feature_group_count=2), (2, 32, 5, 5), (32, 16, 3, 3)),
    "dilation": (convolution(rhs_dilation=(2, 1)), (2, 8, 7, 7), (16, 8, 3, 3)),
    "one axis": (convolution((1,), "SAME"), (2, 8, 17), (16, 8, 5)),
}


@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_windows_are_never_in_memory(name):
    function, x, w = CONVOLUTIONS[name]
    arranged = arranged_plan(function, numbers(*x), numbers(*w))
    assert names(arranged).count("product") == 1
    padded = 4 * int(np.prod(x))
    assert all(b.size <= padded for b in arranged.buffers if b.role == "temp")


@needs_emulator
@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_convolutions_on_the_card(name):
    function, x, w = CONVOLUTIONS[name]
    check_on_card(function, numbers(*x), numbers(*w))


@needs_emulator
def test_windows_of_16_bits_by_tensor_cores():
    function, x, w = CONVOLUTIONS["features last"]
    args = numbers(*x, dtype=np.float16), numbers(*w, dtype=np.float16)
    check_on_card(function, *args, tolerance=3e-2)
    source = emit_plan(plan_program(function, *args), library=False).source
    assert "multiply_f16" in source
    assert "const f16x8*" in source  # eight neighbours together


@needs_emulator
def test_gradients_of_convolutions():
    def loss(x, w):
        return (convolution((2, 2))(x, w) ** 2).sum()

    args = numbers(4, 16, 5, 5), numbers(16, 16, 3, 3)
    check_on_card(grad(loss, (0, 1)), *args)
    arranged = arranged_plan(grad(loss, (0, 1)), numbers(8, 32, 16, 16), numbers(32, 32, 3, 3))
    # The result, the gradient by filters, and that by the input, in four phases.
    assert names(arranged).count("product") == 6
    windows = 8 * 32 * 9 * 8 * 8
    assert all(b.size < windows for b in arranged.buffers if b.role == "temp")


def test_windows_are_read_as_vectors():
    x, w = (numbers(*s, dtype=np.float32) for s in ((2, 7, 7, 8), (3, 3, 8, 16)))
    plan = plan_program(convolution(dimension_numbers=FEATURES_LAST), x, w)
    assert "const f32x2*" in emit_plan(plan, library=False).source


def test_loops_read_what_was_made_before_them():
    def run(h, w):
        return lax.fori_loop(0, 3, lambda i, h: fnp.tanh(h @ w), h)

    check(run, X, W)
    check(run, H, K, tolerance=3e-3)
    check(grad(lambda h, w: run(h, w).sum(), (0, 1)), X, W / 5)


def test_branches_do_not_see_what_others_made():
    def run(x, w):
        return lax.cond(x[0, 0] > 0, lambda x: x.T.copy().T @ w, lambda x: (2 * x) @ w, x)

    check(run, X, W)
    check(run, -X, W)


# -- numbers of 16 bits for the library ------------------------------------------------------------


def test_the_library_gets_16_bits(all_in_library):
    arranged = check(lambda x, w: x @ w, H, K, library=True, tolerance=3e-3)
    [product] = arranged.body
    assert (product.dtype, product.operands) == (np.float16, None)
    assert arranged.arena_size == 0


def test_results_of_32_bits_from_16(all_in_library):
    def product(x, w):
        return lax.dot_general(
            x, w, (((1,), (0,)), ((), ())), preferred_element_type=np.float32
        ) + np.float32(1)

    arranged = check(product, H, K, library=True, tolerance=3e-3)
    found = arranged.body[0]
    assert (found.dtype, found.operands) == (np.float32, np.float16)
    assert "f32 of f16" in str(arranged)


def test_kernels_behind_read_the_rounded_result(all_in_library):
    bias = numbers(20, dtype=np.float16)
    arranged = check(dense, H, K, bias, library=True, tolerance=3e-3)
    assert names(arranged) == ["library", "kernel"]
    assert {b.dtype for b in arranged.buffers} == {np.dtype(np.float16)}


def test_what_kernels_make_of_16_bits_stays_so(all_in_library):
    arranged = check(
        lambda x, w: fnp.maximum(fnp.maximum(x @ w, 0) @ w, 0), H, K, library=True, tolerance=3e-2
    )
    assert names(arranged) == ["library", "kernel", "library", "kernel"]
    assert {b.dtype for b in arranged.buffers} == {np.dtype(np.float16)}


def test_operands_of_16_and_32_bits(all_in_library):
    def product(x, w):
        return x.astype(np.float32) @ w + x.astype(np.float32).sum()

    w = numbers(20, 20, dtype=np.float32)
    arranged = check(product, H, w, library=True, tolerance=1e-4)
    assert "library" in names(arranged)


def test_attention_is_two_products(all_in_library):
    def attention(q, k, v):
        scores = fnp.einsum("bqhd,bkhd->bhqk", q, k)
        return fnp.einsum("bhqk,bkhd->bqhd", scores, v)

    args = [numbers(2, 9, 3, 4, dtype=np.float16) for _ in range(3)]
    arranged = check(attention, *args, library=True, tolerance=3e-2)
    assert names(arranged) == ["library", "library"]
    assert {b.dtype for b in arranged.buffers} == {np.dtype(np.float16)}


def test_groups_between_products_hold_16_bits(all_in_library):
    def attention(q, k, v):
        scores = fnp.einsum("bqhd,bkhd->bhqk", q, k)
        scores = fnp.exp(scores - scores.max(-1, keepdims=True))
        return fnp.einsum("bhqk,bkhd->bqhd", scores / scores.sum(-1, keepdims=True), v)

    args = [numbers(1, 5, 3, 4, dtype=np.float16) for _ in range(3)]
    arranged = check(attention, *args, library=True, tolerance=3e-2)
    assert names(arranged) == ["library", "group", "library"]
    assert {b.dtype for b in arranged.buffers if b.role != "local"} == {np.dtype(np.float16)}


def test_windows_of_16_bits_are_laid_out_as_such(all_in_library):
    function = convolution(dimension_numbers=FEATURES_LAST)
    args = (numbers(*s, dtype=np.float16) for s in ((1, 4, 4, 8), (3, 3, 8, 16)))
    arranged = check(function, *args, library=True, tolerance=3e-2)
    assert names(arranged)[-1] == "library"
    assert {b.dtype for b in arranged.buffers} == {np.dtype(np.float16)}


def test_windows_too_large_for_memory_are_not_laid_out(all_in_library, monkeypatch):
    monkeypatch.setattr(products, "_LARGEST_LAID_OUT", 1000)
    function = convolution(dimension_numbers=FEATURES_LAST)
    args = (numbers(*s, dtype=np.float16) for s in ((2, 7, 7, 8), (3, 3, 8, 16)))
    arranged = arranged_plan(function, *args, library=True)
    assert "library" not in names(arranged)


def test_the_library_s_products_keep_their_kernels(all_in_library):
    assert names(check(dense, X, V, C, library=True)) == ["library", "kernel"]
    windows = CONVOLUTIONS["features last"]
    arranged = arranged_plan(windows[0], *(numbers(*s) for s in windows[1:]), library=True)
    assert names(arranged) == ["kernel", "product"]
