"""Nodes that do the same to different buffers are equal in canonical form, and printed once."""

import numpy as np

import fnad
import fnad.numpy as fnp
from fnad.lowering import lower_jaxpr, lowered_text
from fnad.lowering.access import own_access
from fnad.lowering.canonical import canonical
from fnad.lowering.plan import Kernel


def _unrolled(steps):
    def run(x, w):
        for _ in range(steps):
            x = fnp.tanh(x @ w) + x
        return x

    return run


def _kernels(plan):
    return [node for node in plan.body if isinstance(node, Kernel)]


def _numbers(kernel):
    found = own_access(kernel)
    reads = sorted(found.reads - found.writes)
    return {n: i for i, n in enumerate([*reads, *sorted(found.writes)])}


def _jaxpr(fun, *args):
    return fnad.make_jaxpr(fun)(*args).jaxpr


def test_unrolled_steps_are_equal_in_canonical_form():
    x, w = np.ones((3, 5), np.float32), np.ones((5, 5), np.float32)
    kernels = _kernels(lower_jaxpr(_jaxpr(_unrolled(6), x, w)))
    forms = {canonical(k, _numbers(k)) for k in kernels}
    assert len(kernels) >= 5
    assert len(forms) <= 3


def test_different_kernels_stay_different():
    x = np.ones((7, 3), np.float32)
    programs = [
        _jaxpr(lambda x: fnp.sin(x) + 1, x),
        _jaxpr(lambda x: fnp.sin(x) + 2, x),
        _jaxpr(lambda x: fnp.sin(x.T) + 1, x),
        _jaxpr(lambda x: fnp.sin(x[::2]) + 1, x),
    ]
    kernels = [_kernels(lower_jaxpr(p))[0] for p in programs]
    assert len({canonical(k, _numbers(k)) for k in kernels}) == 4


def test_operands_in_another_order_are_told_apart():
    """Two kernels that differ only in which buffer is which must not share a function."""

    def f(a, b, w):
        first = fnp.exp(a) - b
        second = b @ w - fnp.exp(a)
        third = fnp.exp(second) - first
        return first @ w, second @ w, third @ w

    rng = np.random.default_rng(0)
    a, b, w = (rng.standard_normal((4, 4)) for _ in range(3))
    first = np.exp(a) - b
    second = b @ w - np.exp(a)
    third = np.exp(second) - first
    for got, want in zip(fnad.jit(f)(a, b, w), (first @ w, second @ w, third @ w)):
        np.testing.assert_allclose(got, want, rtol=1e-12)


def test_the_text_of_an_unrolled_program_grows_by_calls_alone():
    x, w = np.ones((3, 5), np.float32), np.ones((5, 5), np.float32)
    texts = [lowered_text(_jaxpr(_unrolled(n), x, w), "llvm") for n in (20, 40)]
    assert texts[0].count("\ndefine") >= texts[1].count("\ndefine") - 2
    reference = x
    for _ in range(40):
        reference = np.tanh(reference @ w) + reference
    got = fnad.jit(_unrolled(40))(x, w)
    np.testing.assert_allclose(got, reference, rtol=1e-4)
