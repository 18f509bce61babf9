"""Every primitive on the emulated card: forward, derivatives and batches against evaluation.

All samples of a primitive are one program, for it is the host's compiler that takes the time.
"""

import numpy as np
import pytest

import fnad
from fnad.core.types import kind_of
from fnad.testing import assert_allclose
from fnad.testing.primitive import (
    _cast,
    _compiles,
    _differentiable,
    _function,
    _in_each_dtype,
    _limits,
    _restrict,
    _results,
)
from tests.cuda_emulator.cards import CARDS, card_of
from tests.primitive_dtypes import variants
from tests.samples import SAMPLES
from tests.test_primitives import PRIMITIVES

NAMES = sorted(set(SAMPLES) & set(PRIMITIVES))


@pytest.fixture(autouse=True, params=CARDS)
def card(request):
    with card_of(request.param) as device:
        yield device


def cases(name):
    """The samples of a primitive in each dtype: the function, its operands, the tolerances."""
    primitive = PRIMITIVES[name]
    for sample in SAMPLES[name]:
        if _compiles(primitive, sample):
            for args in _in_each_dtype(sample):
                yield sample, _function(primitive, sample), args


def widest(name):
    """The samples in their last dtype: rules of transforms make the same of all."""
    primitive = PRIMITIVES[name]
    for sample in SAMPLES[name]:
        if _compiles(primitive, sample):
            args = _cast(sample.args, sample.dtypes[-1])
            yield sample, _function(primitive, sample), args


def check(work):
    """Compare programs on the card with evaluation; ``work`` holds function, operands, limits."""
    if not work:
        return
    expected = [fnad.tree.leaves(f(*args)) for f, args, _ in work]
    operands = [fnad.device_put(args) for _, args, _ in work]
    compiled = fnad.jit(lambda given: [f(*xs) for (f, _, _), xs in zip(work, given)])
    found = fnad.device_get(compiled.lower(operands).compile()(operands))
    for (_, args, limits), want, got in zip(work, expected, found):
        kinds = ", ".join(f"{np.asarray(a).dtype}{np.shape(a)}" for a in args)
        assert_allclose(fnad.tree.leaves(got), want, message=f"of {kinds} differs", **limits)


@pytest.mark.parametrize("name", NAMES)
def test_forward(name):
    primitive = PRIMITIVES[name]
    check([
        (lambda *xs, f=f: _results(primitive, f(*xs)), args, _limits(sample, args))
        for sample, f, args in cases(name)
    ])  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_every_dtype(name):
    primitive = PRIMITIVES[name]
    rows = [row for row in variants(primitive, SAMPLES[name]) if _compiles(primitive, row)]
    functions = [_function(primitive, row) for row in rows]
    check([
        (lambda *xs, f=f: _results(primitive, f(*xs)), row.args, _limits(row, row.args))
        for f, row in zip(functions, rows)
    ])  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_derivatives(name):
    if "jvp" not in PRIMITIVES[name].rules:
        pytest.skip("has no derivative")
    work = []
    for sample, f, args in widest(name):
        positions = _differentiable(sample, args)
        # In half precision derivatives are rounded at every step, in another order.
        if positions and sample.order and all(np.asarray(args[i]).itemsize > 2 for i in positions):
            restricted, point = _restrict(f, args, positions)

            def floating(*xs, f=restricted):
                outs = fnad.tree.leaves(f(*xs))
                return [o for o in outs if kind_of(o.dtype) in "fc"]

            def both(*xs, f=floating):
                outs, pull = fnad.vjp(f, *xs)
                ones = fnad.tree.map(lambda o: fnad.numpy.ones_like(o), outs)
                return pull(ones), fnad.jvp(f, xs, xs)[1]

            work.append((both, point, _limits(sample, args)))
    check(work)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_batches(name):
    if "batch" not in PRIMITIVES[name].rules:
        pytest.skip("has no batch rule")
    work = []
    for sample, f, args in widest(name):
        if args:
            stacked = tuple(
                np.stack([np.asarray(sample.vary(np.asarray(a), k)) for k in range(3)])
                for a in args
            )
            work.append((fnad.vmap(f), stacked, _limits(sample, args)))
    check(work)
