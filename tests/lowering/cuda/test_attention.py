"""Attention as kernels: against the composition in double precision, which tests/nn checks."""

from contextlib import contextmanager

import numpy as np
import pytest

import fnad
from fnad import nn
from fnad.core.types import BFLOAT16
from fnad.lowering.cuda.device import Limits, installed
from tests.cuda_emulator import needs_emulator
from tests.cuda_emulator.card import EmulatedCard
from tests.cuda_emulator.cards import CARDS
from tests.cuda_emulator.toolchain import check, needs_toolchain, supported
from tests.nn.test_attention import reference
from tests.tiers import tiered

pytestmark = needs_emulator

TOLERANCES = {BFLOAT16: 2e-2, "float16": 4e-3, "float32": 4e-6, "float64": 1e-13}


@contextmanager
def card_of(kind, **options):
    """As `tests.cuda_emulator.cards.card_of`, without compiling for all kinds of cards."""
    if kind == "emulated":
        device = EmulatedCard(**options)
    else:
        from fnad.lowering.cuda.cupy_device import cupy_device

        device = cupy_device()
    with installed(device):
        yield device


def operands(dtype, batch, queries, keys, heads, shared, features):
    rng = np.random.default_rng(0)
    shapes = [(queries, heads), (keys, shared), (keys, shared), (queries, heads)]
    return [rng.standard_normal((batch, *s, features)).astype(dtype) for s in shapes]


def both_ways(**options):
    """Attention, and its cotangents of query, key and value."""

    def run(query, key, value, ct, *more):
        def attend(query, key, value):
            given = dict(zip(sorted(set(options.get("names", ()))), more))
            rest = {name: x for name, x in options.items() if name != "names"}
            return nn.dot_product_attention(query, key, value, **given, **rest)

        outs, pull = fnad.vjp(attend, query, key, value)
        return outs, *pull(ct)

    return run


def compare(args, *more, kind="emulated", card=None, expected=True, tolerance=None, **options):
    """Run on a card, compare with double precision on the CPU; returns the results."""
    dtype, f = args[0].dtype, both_ways(**options)
    with card_of(kind, **(card or {})) as device:
        got = fnad.device_get(fnad.jit(f)(*fnad.device_put((*args, *more))))
        if kind == "emulated":
            assert all(("attention_forward" in s) == expected for s in device.sources)
    wide = [x.astype(np.float64) for x in args]
    want = fnad.jit(f)(*wide, *more)
    limit = tolerance or TOLERANCES[dtype if dtype == BFLOAT16 else dtype.name]
    for found, exact in zip(got, want, strict=True):
        assert found.dtype == dtype
        scale = max(1.0, float(np.abs(exact).max()))
        np.testing.assert_allclose(found.astype(np.float64), exact, rtol=0, atol=limit * scale)
    return got


SIZES = [  # batch, queries, keys, heads, shared heads, features
    (1, 16, 16, 1, 1, 16),
    (2, 70, 50, 4, 2, 20),
    (1, 129, 65, 1, 1, 64),
    (1, 64, 130, 2, 1, 37),
    (1, 40, 96, 1, 1, 128),
]


@pytest.mark.parametrize("kind", CARDS)
@tiered("sizes", SIZES, lambda sizes: sizes in (SIZES[1], SIZES[4]))
@pytest.mark.parametrize("dtype", TOLERANCES)
def test_sizes(kind, dtype, sizes):
    features_fit = sizes[-1] * np.dtype(dtype).itemsize <= 512
    compare(operands(dtype, *sizes), kind=kind, expected=features_fit)


@pytest.mark.parametrize("kind", CARDS)
@tiered("queries,keys", [(80, 80), (33, 100), (100, 33)], lambda sizes: sizes[0] < sizes[1])
@pytest.mark.parametrize("dtype", [BFLOAT16, "float32"])
def test_causal(kind, dtype, queries, keys):
    args = operands(dtype, 1, queries, keys, 2, 1, 32)
    compare(args, kind=kind, is_causal=True)


@tiered("window", [5, (3, 0), (0, 40), (200, 7)], lambda window: window == (0, 40))
def test_windows(window):
    compare(operands("float32", 1, 90, 40, 2, 1, 16), local_window_size=window)
    compare(operands("float16", 1, 90, 40, 2, 1, 16), local_window_size=window, is_causal=True)


@pytest.mark.parametrize("features", [136, 192, 256])
def test_large_heads(features):
    compare(operands("float16", 1, 48, 40, 1, 1, features), is_causal=True)


@pytest.mark.parametrize("kind", CARDS)
@tiered("dtype", [BFLOAT16, "float32"], lambda dtype: dtype == "float32")
def test_masks_and_lengths(kind, dtype):
    args = operands(dtype, 2, 40, 70, 4, 2, 32)
    mask = np.random.default_rng(1).random((2, 1, 40, 70)) < 0.3
    mask[0, 0, 5] = False  # a position that attends to nothing
    compare(args, mask, kind=kind, names=["mask"])
    for lengths in ([70, 33], [0, 64]):
        given = np.array(lengths, np.int32)
        compare(args, given, kind=kind, names=["key_value_seq_lengths"])
        compare(args, given, kind=kind, names=["query_seq_lengths"])


@tiered(
    "shape", [(1, 1, 40, 70), (2, 4, 1, 70), (4, 40, 1), (40, 70)], lambda shape: len(shape) == 3
)
@pytest.mark.parametrize("dtype", ["float16", "float64"])
def test_bias(dtype, shape):
    args = operands(dtype, 2, 40, 70, 4, 2, 16)
    bias = np.random.default_rng(1).standard_normal(shape).astype(dtype)
    mask = np.random.default_rng(2).random((4, 1, 70)) < 0.5
    compare(args, bias, mask, names=["bias", "mask"], scale=0.2, is_causal=True)


@pytest.mark.parametrize("scale", [-0.3, 0.0])
def test_scales_that_are_not_positive(scale):
    compare(operands("float32", 1, 20, 40, 1, 1, 16), scale=scale)


@pytest.mark.parametrize("dtype", ["float16", BFLOAT16])
def test_cards_without_such_cores(dtype):
    limits = Limits(64 << 10, multiplies_halves=False)
    for features in (24, 256):
        args = operands(dtype, 1, 40, 50, 2, 1, features)
        compare(args, card={"limits": limits}, is_causal=True)


@tiered("shared_bytes", [48 << 10, 64 << 10, 99 << 10, 227 << 10], lambda n: n == 64 << 10)
def test_tiles_fit_into_shared_memory(shared_bytes):
    for features in (64, 128, 256):
        args = operands("float16", 1, 20, 40, 1, 1, features)
        compare(args, card={"limits": Limits(shared_bytes)})


def test_results_do_not_depend_on_the_order_of_blocks():
    args = operands("float16", 1, 150, 150, 4, 1, 32)
    first, *others = [compare(args, card={"seed": s}, is_causal=True) for s in (0, 1, 2)]
    for other in others:
        for x, y in zip(first, other, strict=True):
            np.testing.assert_array_equal(x, y)


def test_against_a_slow_reference():
    query, key, value, _ = operands("float32", 2, 20, 30, 4, 2, 16)
    with card_of("emulated"):
        given = fnad.device_put((query, key, value))
        got = fnad.device_get(fnad.jit(nn.dot_product_attention)(*given))
    np.testing.assert_allclose(got, reference(query, key, value), atol=2e-6)


def test_weights_are_nowhere():
    args = operands("float16", 2, 512, 512, 4, 4, 64)
    plan = fnad.jit(both_ways(), backend="cuda").lower(*args).as_text("plan")
    assert "512,512" not in plan
    assert plan.count("attention") >= 3


def test_few_queries_are_composed():
    compare(operands("float32", 1, 3, 40, 2, 1, 16), expected=False)


def test_extreme_logits():
    query, key, value, ct = operands("float32", 1, 32, 48, 1, 1, 16)
    compare([query * 4, key * 4, value, ct], tolerance=1e-4)
    with card_of("emulated"):
        given = fnad.device_put((query * 100, key * 100, value, ct))
        for found in fnad.device_get(fnad.jit(both_ways())(*given)):
            assert np.isfinite(found).all()


def test_other_transforms():
    query, key, value, ct = operands("float32", 3, 20, 24, 2, 1, 8)
    mask = np.random.default_rng(1).random((3, 1, 20, 24)) < 0.8

    def attend(query, key, value, mask):
        return nn.dot_product_attention(query, key, value, mask=mask)

    def loss(*xs):
        return (attend(*xs, mask[:1]) ** 2).sum()

    def work(query, key, value, ct):
        rows = fnad.vmap(attend, (0, 0, 0, None))(query, key, value, mask[0])
        primals, tangents = (query, key, value), (ct, key[::-1], value * 2)
        change = fnad.jvp(lambda *xs: attend(*xs, mask), primals, tangents)
        gradient = fnad.grad(loss, (0, 1, 2))
        second = fnad.jvp(gradient, (query[:1], key[:1], value[:1]), (ct[:1], key[1:2], value[1:2]))
        bias = fnad.grad(lambda b: nn.dot_product_attention(query, key, value, b).sum())
        return rows, change, second, bias(np.ones((2, 20, 24), query.dtype))

    want = work(*(x.astype(np.float64) for x in (query, key, value, ct)))
    with card_of("emulated"):
        got = fnad.device_get(fnad.jit(work)(*fnad.device_put((query, key, value, ct))))
    for found, exact in zip(fnad.tree.leaves(got), fnad.tree.leaves(want), strict=True):
        np.testing.assert_allclose(found, exact, rtol=1e-3, atol=1e-4)


POSITIONS = np.arange(20)[:, None, None] < np.array([13, 20, 0])[:, None, None, None]
TAKEN = {
    "positions": (POSITIONS, POSITIONS, POSITIONS.any(1, keepdims=True)),
    "heads": (np.array([True, True, False, False])[:, None],) * 3,
    "features": (np.arange(8) % 3 > 0, np.True_, np.True_),
    "elements": (POSITIONS & (np.arange(8) < 7), POSITIONS, POSITIONS.any(1, keepdims=True)),
}


@pytest.mark.parametrize("name", TAKEN)
def test_lanes_that_a_select_left_out(name):
    query, key, value, weights = operands("float32", 3, 20, 24, 4, 2, 8)
    taken, of_queries, of_keys = TAKEN[name]
    of_keys = of_keys[::2] if name == "heads" else of_keys
    of_values = of_keys & taken if name == "features" else of_keys

    def loss(query, key, value):
        outs = nn.dot_product_attention(query, key, value, is_causal=True)
        return (fnad.numpy.where(taken, outs, 0) * weights).sum()

    gradient = fnad.jit(fnad.grad(loss, (0, 1, 2)))
    lanes = of_queries, of_keys, of_values
    spoiled = [np.where(m, x, np.float32(np.nan)) for x, m in zip((query, key, value), lanes)]
    clean = [np.where(m, x, 0.0) for x, m in zip((query, key, value), lanes)]
    want = [x * m for x, m in zip(gradient(*clean), lanes, strict=True)]
    with card_of("emulated") as device:
        got = fnad.device_get(gradient(*fnad.device_put(spoiled)))
        assert "attention_keys" in device.sources[-1]
    for found, exact in zip(got, want, strict=True):
        np.testing.assert_allclose(found, exact, rtol=1e-4, atol=1e-5)
    if name == "features":  # one that was taken shows
        value[1, 5, 0, 1] = np.inf
        with card_of("emulated"):
            of_query, of_key, _ = fnad.device_get(gradient(*fnad.device_put((query, key, value))))
        assert not np.isfinite(of_query[1, 5:, :2]).any()
        assert np.isfinite(of_query[0]).all()
        assert not np.isfinite(of_key[1, :, 0]).any()


def test_in_loops_of_gradients():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((1, 20, 2, 8)).astype(np.float32)
    weights = 0.3 * rng.standard_normal((3, 8, 8)).astype(np.float32)

    def loss(x, weights):
        def layer(x, w):
            hidden = x @ w
            return x + nn.dot_product_attention(hidden, x, hidden, is_causal=True), None

        return (fnad.lax.scan(fnad.checkpoint(layer), x, weights)[0] ** 2).sum()

    step = fnad.value_and_grad(loss, (0, 1))
    with card_of("emulated") as device:
        got = fnad.device_get(fnad.jit(step)(*fnad.device_put((x, weights))))
        assert "attention_keys" in device.sources[-1]
    want = fnad.jit(step)(x.astype(np.float64), weights.astype(np.float64))
    for found, exact in zip(fnad.tree.leaves(got), fnad.tree.leaves(want), strict=True):
        np.testing.assert_allclose(found, exact, rtol=1e-5, atol=1e-3)


def source_of(dtype, features, limits, **options):
    from fnad.lowering.cuda.emitter import emit_plan
    from tests.lowering.cuda.programs import plan_program

    args = operands(dtype, 1, 128, 256, 2, 1, features)
    return emit_plan(plan_program(both_ways(**options), *args), limits=limits).source


@needs_toolchain
@pytest.mark.parametrize("features", [64, 80, 128, 256])
def test_hardly_anything_leaves_the_registers(features):
    limits = {"sm_90": Limits(227 << 10), "sm_80": Limits()}
    for architecture in supported(limits):
        source = source_of(BFLOAT16, features, limits[architecture], is_causal=True)
        for name, usage in check(source, architecture).items():
            assert usage.spilled_bytes <= 128, (name, usage)


@needs_toolchain
@pytest.mark.parametrize("dtype", TOLERANCES)
def test_compiles_for_all_cards(dtype):
    for architecture in supported():
        has_cores = architecture not in ("sm_70", "sm_75")
        shared_bytes = 163 << 10 if has_cores else 64 << 10
        check(source_of(dtype, 64, Limits(shared_bytes, has_cores)), architecture)
