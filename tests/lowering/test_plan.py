"""Plans, run by a plain interpreter, against equation-by-equation evaluation."""

import numpy as np
import pytest

import fnad.numpy as fnp
from fnad.core import tree
from fnad.core.interpret import eval_jaxpr
from fnad.core.tracer import trace_to_jaxpr
from fnad.core.types import aval_of
from fnad.lowering import lower_jaxpr
from fnad.lowering.expr import B, axis, counter, integer
from fnad.lowering.plan import Branch, Contraction, Copy, For, Kernel, While
from fnad.lowering.tensors import linear, unravel
from fnad.lowering.walk import rebuild
from fnad.primitives.control_flow.branches import cond, switch
from fnad.primitives.control_flow.scan import scan
from fnad.primitives.control_flow.while_loop import while_loop
from fnad.primitives.convolution import conv_general_dilated
from fnad.primitives.elementwise import elementwise
from tests.lowering.plan_interpreter import run_plan

RNG = np.random.default_rng(0)
X = RNG.standard_normal((3, 4, 5))
Y = RNG.standard_normal((4, 5))
ROWS = np.array([2, 0, 1, 1])


def plan_of(function, *args):
    def flat(*xs):
        out = function(*xs)
        return list(out) if isinstance(out, (list, tuple)) else [out]

    jaxpr, consts = trace_to_jaxpr(flat, [aval_of(a) for a in args], "a test")
    return lower_jaxpr(jaxpr), jaxpr, [*consts, *args]


def check(function, *args):
    plan, jaxpr, args = plan_of(function, *args)
    for got, want in zip(run_plan(plan, args), eval_jaxpr(jaxpr, args), strict=True):
        want = np.asarray(want)
        assert (got.shape, got.dtype) == (want.shape, want.dtype)
        np.testing.assert_allclose(got, want, rtol=1e-10, atol=1e-12)
    return plan


def kinds(plan):
    return [type(node) for node in plan.body]


PROGRAMS = {
    "elementwise": lambda a: fnp.sin(a) * 2.0 + a,
    "outer": lambda a: fnp.exp(a[:, 0, 0])[:, None] * fnp.exp(a[0, :, 0])[None, :],
    "softmax": lambda a: (
        fnp.exp(a - a.max(-1, keepdims=True))
        / fnp.exp(a - a.max(-1, keepdims=True)).sum(-1, keepdims=True)
    ),
    "normalise": lambda a: (a - a.mean(-1, keepdims=True)) / fnp.std(a, axis=-1, keepdims=True),
    "all sums": lambda a: (a.sum(), a.sum(0), a.sum((0, 2)), a.sum(-1), a.T.sum(1)),
    "extrema": lambda a: (a.max((0, 1)), a.min(2), a.argmax(1), a.argmin(0), (a > 0).any(1)),
    "nested reductions": lambda a: fnp.sin(a.sum(2)).max(1).sum(),
    "transpose": lambda a: fnp.transpose(a, (2, 0, 1)) + 1.0,
    "reshape of transpose": lambda a: fnp.reshape(fnp.transpose(a, (2, 0, 1)), (15, 4)),
    "reshape": lambda a: fnp.reshape(a, (6, 10)),
    "pad": lambda a: fnp.pad(a, ((1, 2), (0, 1), (3, 0))),
    "slices": lambda a: a[::2, 1:, ::-2],
    "concatenate": lambda a: fnp.concatenate([a, a * 2.0, fnp.exp(a)], 1),
    "stack": lambda a: fnp.stack([a[0], a[1], a[2] * 2], axis=2),
    "reverse": lambda a: a[::-1, :, ::-1],
    "matmul": lambda a: fnp.tanh(a @ Y.T) @ Y,
    "einsum": lambda a: fnp.einsum("ijk,lk->jil", a, Y),
    "batched": lambda a: fnp.einsum("bij,bkj->bik", a, a * 2.0),
    "take": lambda a: a[ROWS % 3, 1:, ::2],
    "take two": lambda a: a[:, ROWS, ROWS],
    "sort": lambda a: (fnp.sort(a, axis=1), fnp.argsort(a, axis=2)),
    "cumsum": lambda a: (fnp.cumsum(a, axis=1), fnp.cumsum(a[:, ::-1], axis=0)),
    "where": lambda a: fnp.where(a > 0, a, 0.0),
    "set": lambda a: fnp.at(a)[0, ROWS].set(7.0),
    "scatter add": lambda a: fnp.at(a)[ROWS % 3].add(1.5),
    "constants": lambda a: fnp.eye(4) + fnp.arange(4.0),
    "inputs and duplicates": lambda a: (a, a, a.reshape(60), 1.0, a + 1.0),
    "float16": lambda a: fnp.exp(a.astype(np.float16)).sum(0),
    "scan": lambda a: scan(lambda c, v: (c * 0.5 + fnp.sin(v), c.sum()), a[0], a),
    "reverse scan": lambda a: scan(
        lambda c, v: ((c[1], c[0] + v.sum()), c[0]), (1.0, 2.0), a, reverse=True
    )[1],
    "no turns": lambda a: scan(lambda c, v: (c * 0.5 + v, c * 2.0), a[0], a[:0]),
    "nested scans": lambda a: scan(
        lambda c, v: scan(lambda d, w: (d + (w @ c.T).sum(), w), v.sum(), c)[::-1], a[0], a
    ),
    "constant carried out": lambda a: scan(lambda c, v: (2.0, (c, v * 3.0)), 1.0, a)[1],
}


def flattened(function):
    return lambda *xs: tree.leaves(function(*xs))


@pytest.mark.parametrize("name", PROGRAMS)
def test_agrees_with_evaluation(name):
    check(flattened(PROGRAMS[name]), X)


def test_while():
    def step(c):
        return fnp.add(c[0], 1), fnp.tanh(c[1]) @ c[1].T @ c[1]

    plan = check(lambda a: while_loop(lambda c: c[0] < 4, step, (np.int64(0), a)), Y)
    assert While in kinds(plan)


@pytest.mark.parametrize("index", [-3, 0, 1, 2, 7])
def test_branches_are_clamped(index):
    branches = [lambda v: v, lambda v: fnp.sin(v) * 2, lambda v: v * 0 + 3.0]
    plan = check(lambda a, i: switch(i, branches, a), Y, np.int32(index))
    assert Branch in kinds(plan)


@pytest.mark.parametrize("which", [False, True])
def test_a_constant_shared_by_branches(which):
    def program(a, q):
        return cond(q, lambda v, w: (w, v * w), lambda v, w: (v.sum(), v * w), a, 2.0)

    check(program, Y, np.bool_(which))


@pytest.mark.parametrize("shape", [(0,), (3, 0), (0, 3), (2, 0, 3)])
def test_empty_arrays(shape):
    check(lambda a: (a + 1.0, a.sum(0), a.sum(), fnp.prod(a), fnp.sort(a, 0)), np.zeros(shape))


def test_rank_zero():
    check(lambda a: (fnp.sin(a), a, fnp.stack([a, a])), np.float64(0.5))


# -- shape of the plans ------------------------------------------------------------------------


def test_an_elementwise_chain_is_one_loop():
    plan = check(PROGRAMS["elementwise"], X)
    [kernel] = plan.body
    assert kernel.axes == ((0, 60),)
    assert plan.arena_size == 0


def test_an_epilogue_joins_its_reduction():
    plan = check(lambda a: fnp.sin(a.sum(0) / 3.0), X)
    [kernel] = plan.body
    assert len(kernel.reductions) == 1 and kernel.parallel_inner


def test_a_shared_chain_that_meets_again_stays_in_one_kernel():
    plan = check(lambda a: (t := fnp.exp(a)) * (1.0 - t), X)
    assert kinds(plan) == [Kernel]


def test_expensive_values_are_not_computed_again():
    plan = check(PROGRAMS["outer"], X)
    assert kinds(plan) == [Kernel, Kernel, Kernel]


def test_doubling_does_not_blow_up():
    def double(a):
        for _ in range(60):
            a = a + fnp.sin(a) * a
        return a

    plan = plan_of(double, X)[0]
    assert len(str(plan)) < 60_000


def test_many_uses_through_shapes_do_not_blow_up():
    def double(a):
        for _ in range(40):
            a = a + a[::-1] + 1.0
        return a

    assert len(str(plan_of(double, X)[0])) < 60_000


def test_matrix_products_read_transposes_in_place():
    plan = check(lambda a, b: a.T @ b, Y, Y)
    assert kinds(plan) == [Contraction]
    [product] = plan.body
    assert product.left.strides == (1, 5)


def test_scan_reads_and_writes_slices_in_place():
    plan = check(flattened(PROGRAMS["scan"]), X)
    assert kinds(plan) == [Kernel, For]
    assert all(isinstance(node, Kernel) for node in plan.body[1].body)


def test_outputs_are_fresh():
    plan = check(lambda a: (a, a.reshape(-1)), X)
    assert kinds(plan) == [Copy, Copy]
    assert not set(plan.inputs) & set(plan.outputs) and len(set(plan.outputs)) == 2


def test_dead_temporaries_share_memory():
    def layers(a):
        for _ in range(10):
            a = fnp.sin(a) @ Y.T @ Y
        return a

    plan = check(layers, X)
    assert plan.arena_size <= 3 * 512


def test_the_text_names_the_users_line():
    assert "test_plan.py" in str(plan_of(PROGRAMS["elementwise"], X)[0])


# -- index arithmetic --------------------------------------------------------------------------


def test_affine_normal_form():
    i, j = axis(0, 8), axis(1, 4)
    flat = 4 * i + j
    assert B.divide(flat, integer(4)) is i
    assert B.remainder(flat, integer(4)) is j
    assert (flat + 0) * 1 is flat
    assert i + j - i is j
    assert (flat >= 0) is B.constant(True, bool)
    assert B.minimum(flat, integer(31)) is flat
    assert B.maximum(flat - 3, integer(0)).bounds == (0, 28)
    assert counter(0, 3) is not axis(0, 3)


def test_constants_differ_by_their_bits():
    assert B.constant(0.0, np.float64) is not B.constant(-0.0, np.float64)
    assert B.constant(np.nan, np.float64) is B.constant(np.nan, np.float64)


@pytest.mark.parametrize("seed", range(200))
def test_divisions_of_indices(seed):
    """Quotient and remainder of random affine indices, at random points."""
    rng = np.random.default_rng(seed)
    extents = [int(n) for n in rng.integers(2, 9, 4)]
    axes = [axis(k, n) for k, n in enumerate(extents)]
    coefficients = [int(c) for c in rng.choice([-1, 1, 2, 3, 4, 6, 8, 12, 16, 32], 4)]
    constant = int(rng.integers(0, 40)) + sum(
        -c * (n - 1) for c, n in zip(coefficients, extents) if c < 0
    )
    divisor = int(rng.choice([2, 3, 4, 6, 8, 12, 16, 24]))
    index = integer(constant)
    for a, c in zip(axes, coefficients):
        index = index + a * c
    quotient, remainder = B.divide(index, integer(divisor)), B.remainder(index, integer(divisor))
    for _ in range(50):
        point = [int(rng.integers(n)) for n in extents]
        value = constant + sum(c * i for c, i in zip(coefficients, point))
        here = {a: integer(i) for a, i in zip(axes, point)}
        got = [int(e.attr) for e in rebuild([quotient, remainder], here.get)]
        assert got == list(divmod(value, divisor))
        assert quotient.bounds[0] <= got[0] <= quotient.bounds[1]
        assert remainder.bounds[0] <= got[1] <= remainder.bounds[1]


def test_innermost_loops_need_no_divisions():
    i, j, k = axis(0, 4), axis(1, 8), axis(2, 32)
    index = i * 256 + j * 32 + k
    assert str(B.divide(index, integer(64))) == "4*i0 + divide(i1, 2)"
    assert str(B.remainder(index, integer(64))) == "i2 + 32*remainder(i1, 2)"


def test_each_equation_is_expanded_about_once():
    count = []

    def half_sine(b, x):
        count.append(x)
        return b.sin(x) * 0.5

    half_sine_p = elementwise("half_sine", "sin(x) / 2.", half_sine, kinds="f")

    def chain(a):
        for _ in range(600):
            a = half_sine_p.bind(a)
        return a

    plan_of(chain, Y)
    assert len(count) < 2 * 600


def test_padding_keeps_the_order_of_memory():
    """Windows read the padded input through a transpose; the buffer is that of the input."""
    images, filters = np.ones((2, 6, 6, 5)), np.ones((3, 3, 5, 4))
    plan, _, _ = plan_of(
        lambda x, w: conv_general_dilated(
            x, w, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
        ),
        images,
        filters,
    )
    assert (2, 8, 8, 5) in [b.shape for b in plan.buffers if b.role == "temp"]


def test_raveled_indices_are_put_together_again():
    index = axis(0, 144) * 8 + axis(1, 8)
    shape = (4, 6, 6, 8)
    assert linear(unravel(index, shape), shape) is index


def test_convolution_of_single_points_is_a_matrix_product():
    images, filters = np.ones((2, 6, 6, 5)), np.ones((1, 1, 5, 4))
    plan, _, _ = plan_of(
        lambda x, w: conv_general_dilated(
            x, w, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
        ),
        images,
        filters,
    )
    assert kinds(plan) == [Contraction]
