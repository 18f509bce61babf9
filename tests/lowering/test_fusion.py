"""Fused, split and grouped plans against evaluation, with every threshold lowered."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest

import fnad
import fnad.numpy as fnp
from fnad import lax
from fnad.lowering import fusion, groups, lines, panels, pipeline, products, splitting
from fnad.lowering.plan import Contraction, For, Group, Kernel
from fnad.lowering.target import CPU
from tests.lowering.test_plan import PROGRAMS, check, flattened, kinds

RNG = np.random.default_rng(0)
X = RNG.standard_normal((12, 10))
W = RNG.standard_normal((10, 6))
BATCH = RNG.standard_normal((4, 6, 5))
IMAGES, FILTERS = RNG.standard_normal((8, 6, 6, 2)), RNG.standard_normal((3, 3, 2, 4))


def group_all(monkeypatch):
    """Group nodes however few bytes they share."""
    target = replace(CPU, group_bytes=0)
    monkeypatch.setattr(pipeline, "_planned", partial(pipeline._planned, target=target))


@pytest.fixture
def eager_fusion(monkeypatch):
    """Fuse, split and group programs of any size."""
    group_all(monkeypatch)
    monkeypatch.setattr(groups, "_MIN_ROWS", 2)
    monkeypatch.setattr(groups, "_BLOCK_BYTES", 300)
    monkeypatch.setattr(groups, "_PRODUCT_BLOCK_BYTES", 600)
    monkeypatch.setattr(groups, "PRODUCT_ROWS", 2)
    for name in ("_SMALL_BYTES", "_FEW_ROWS", "_MANY_ROWS", "_NEAR_BYTES", "_FAR_BYTES"):
        monkeypatch.setattr(panels, name, 0)
    monkeypatch.setattr(panels, "_AGAIN", 1 << 20)
    monkeypatch.setattr(lines, "_LARGE_BYTES", 100)
    monkeypatch.setattr(splitting, "_MIN_BYTES", 0)
    monkeypatch.setattr(splitting, "_MIN_TERMS", 2)
    monkeypatch.setattr(splitting, "_MIN_CONTIGUOUS_TERMS", 3)
    monkeypatch.setattr(products, "_LONG_SUM", 4)
    monkeypatch.setattr(products, "_MIN_TERMS", 2)


def layer_norm(x, scale, shift):
    centred = x - fnp.mean(x, axis=-1, keepdims=True)
    variance = fnp.mean(centred * centred, axis=-1, keepdims=True)
    return centred / fnp.sqrt(variance + 1e-5) * scale + shift


def softmax(x):
    e = fnp.exp(x - fnp.max(x, axis=-1, keepdims=True))
    return e / fnp.sum(e, axis=-1, keepdims=True)


def attention(q):
    return softmax(q @ fnp.transpose(q, (0, 2, 1))) @ fnp.sin(q)


def heads(x):
    """Attention of two heads, and back to (batch, time, features)."""
    split = fnp.transpose(fnp.reshape(x, (2, 4, 2, 3)), (0, 2, 1, 3))
    mixed = softmax(split @ fnp.transpose(split, (0, 1, 3, 2))) @ split
    return fnp.reshape(fnp.transpose(mixed, (0, 2, 1, 3)), (2, 4, 6)) @ fnp.ones((6, 5))


def convolved(x, w):
    out = lax.conv_general_dilated(x, w, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))
    return fnp.maximum(out, 0.0)


def network(x, w):
    h = fnp.maximum(x @ w, 0.0)
    return fnp.sum(softmax(h @ fnp.transpose(w)) ** 2)


def gradient(f, number):
    return lambda *args: fnad.grad(f, tuple(range(number)))(*args)


CASES = {
    "softmax": (softmax, X),
    "layer norm": (layer_norm, X, X[0], X[1]),
    "layer norm gradient": (
        gradient(lambda x, a, b: fnp.sum(layer_norm(x, a, b) ** 3), 3), X, X[0], X[1],
    ),
    "attention": (attention, BATCH),
    "attention gradient": (gradient(lambda q: fnp.sum(attention(q) ** 2), 1), BATCH),
    "network": (gradient(network, 2), X, W),
    "sums": (lambda x: (fnp.sum(x), fnp.max(x, 0), fnp.sum(x * x, 0), fnp.prod(x, 1)), X),
    "prime": (lambda x: (fnp.sum(x), fnp.sum(x, 0), fnp.any(x > 2)), RNG.standard_normal((13, 7))),
    "chain": (lambda x: (fnp.sin(x) + fnp.sum(fnp.sin(x), 1, keepdims=True), fnp.sin(x) * 2), X),
    "transposed": (lambda x: fnp.exp(x) @ fnp.transpose(fnp.exp(x)), X),
    "windows": (lambda x: x[:-1] + fnp.sin(x)[1:] * fnp.sum(fnp.sin(x), 0), X),
    "long sum": (lambda x: fnp.transpose(x[:, :2]) @ x[:, 3:5], RNG.standard_normal((60, 5))),
    "heads": (heads, RNG.standard_normal((2, 4, 6))),
    "heads gradient": (
        gradient(lambda x: fnp.sum(heads(x) ** 2), 1), RNG.standard_normal((2, 4, 6)),
    ),
    "convolution": (convolved, IMAGES, FILTERS),
    "convolution gradient": (
        gradient(lambda x, w: fnp.sum(convolved(x, w) ** 2), 2),
        IMAGES, FILTERS,
    ),
    "half": (lambda x: fnp.sum(fnp.exp(x.astype(np.float16)), 0), X),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_agrees_with_evaluation(name, eager_fusion):
    function, *args = CASES[name]
    check(function, *args)


@pytest.mark.parametrize("name", PROGRAMS)
def test_programs_of_plans(name, eager_fusion):
    check(flattened(PROGRAMS[name]), RNG.standard_normal((3, 4, 5)))


def test_softmax_is_one_group(monkeypatch):
    group_all(monkeypatch)
    monkeypatch.setattr(groups, "_EARLY_BYTES", 0)
    plan = check(softmax, X)
    assert kinds(plan) == [Group]
    assert {b.role for b in plan.buffers} == {"input", "local", "output"}


def test_attention_is_one_group(monkeypatch):
    group_all(monkeypatch)
    monkeypatch.setattr(groups, "_MIN_ROWS", 2)
    monkeypatch.setattr(groups, "_EARLY_BYTES", 0)
    plan = check(attention, BATCH)
    [node] = [n for n in plan.body if isinstance(n, Group)]
    assert sum(isinstance(m.node, Contraction) for m in node.members) == 2


def test_moments_share_a_kernel():
    """Adam's three results of one parameter come from one loop."""

    def update(p, g, m, v):
        m, v = 0.9 * m + 0.1 * g, 0.99 * v + 0.01 * g * g
        return p - m / fnp.sqrt(v), m, v

    [kernel] = check(update, X, X + 1, X + 2, X * X).body
    assert isinstance(kernel, Kernel) and len(kernel.stores) == 3


def test_a_kernel_does_not_pass_what_it_depends_on():
    def program(x):
        a = fnp.sin(x)
        b = fnp.cumsum(a, axis=0)
        return a * 2.0, fnp.cos(a) + b

    check(program, X)


def test_merging_refuses_other_points():
    plan = check(lambda x: (fnp.sin(x), fnp.sin(x)[::-1] + 1.0), X[:, 0])
    assert all(len(node.stores) == 1 for node in plan.body if isinstance(node, Kernel))
    assert fusion.merge_kernels(plan.body[0], plan.body[-1]) is None or len(plan.body) == 1


def test_weights_are_transposed_before_a_loop():
    w = RNG.standard_normal((5, 5))

    def program(xs):
        return lax.scan(lambda c, x: (c @ fnp.transpose(w) + x, c), fnp.zeros((3, 5)), xs)

    plan = check(flattened(program), RNG.standard_normal((6, 3, 5)))
    [loop] = [node for node in plan.body if isinstance(node, For)]
    [product] = [node for node in loop.body if isinstance(node, Contraction)]
    assert product.right.strides == (5, 1)


def test_a_recurrent_step_is_one_group(monkeypatch):
    """Also where the group begins with a small product, and writes the slice of its turn."""
    group_all(monkeypatch)
    w = RNG.standard_normal((6, 6))

    def program(xs):
        def step(c, x):
            c = fnp.tanh(c @ w + x)
            return c, c

        return lax.scan(step, fnp.zeros((16, 6)), xs)

    plan = check(flattened(program), RNG.standard_normal((3, 16, 6)))
    [loop] = [node for node in plan.body if isinstance(node, For)]
    [group] = [node for node in loop.body if isinstance(node, Group)]
    assert [type(m.node) for m in group.members] == [Contraction, Kernel]


def pairwise_largest_at_the_least(x):
    return fnp.stack([x, x * 2], -1).max(-1)[fnp.argmin(x)]


def row_sums_where_each_row_is_least(x):
    sums = fnp.tanh(fnp.stack([x, x * 2], -1).sum(-1))
    return fnp.take_along_axis(sums, fnp.argmin(x, axis=-1, keepdims=True), axis=-1)


@pytest.mark.parametrize(
    "function", [pairwise_largest_at_the_least, row_sums_where_each_row_is_least]
)
def test_sums_are_read_at_places_that_other_reductions_give(function):
    x = np.random.default_rng(0).normal(size=(4,) if "pair" in function.__name__ else (5, 7))
    if x.ndim == 1:
        want = max(x.min(), 2 * x.min())
    else:
        want = np.tanh(3 * x.min(-1, keepdims=True))
    np.testing.assert_allclose(fnad.jit(function)(x), want, rtol=1e-14)


@pytest.mark.parametrize("count", [3, 12, 100])
def test_sums_that_are_put_together_are_computed_once_each(count):
    x = RNG.standard_normal(200)
    together = fnad.jit(lambda x: fnp.stack([fnp.sum(fnp.cos(k * x)) for k in range(count)]))
    expected = [np.cos(k * x).sum() for k in range(count)]
    np.testing.assert_allclose(together(x), expected, rtol=1e-12, atol=1e-12)
    nodes = together.lower(x).compile().profile(x, repeats=1)
    one = fnad.jit(lambda x: fnp.sum(fnp.cos(count * x))).lower(x).compile().profile(x, repeats=1)
    most = 2 * count * (sum(n.operations for n in one) + count)  # the last: to choose among them
    assert sum(n.operations for n in nodes) <= most


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("dynamic", [None, "m _ n"])
def test_many_operands_are_put_into_the_result_one_by_one(axis, dynamic):
    x = RNG.standard_normal((3, 4, 5))

    def many(np, x):
        parts = [np.sin(k * x) if k % 3 else x[:, ::-1] for k in range(20)]
        joined = np.concatenate(parts, axis)
        return joined, np.stack([p.sum(1) for p in parts], axis) + 1, parts[3] * joined.max()

    run = fnad.jit(partial(many, fnp), **({} if dynamic is None else {"dynamic": dynamic}))
    for found, wanted in zip(run(x), many(np, x), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-13, atol=1e-14)
    if dynamic is None:
        text = run.lower(x).as_text("plan")
        assert text.count("where") <= 2  # in the maximum, perhaps, but in no choice of operands
