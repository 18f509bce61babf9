"""Loops whose number of turns is found on the card: what reverse mode makes of while loops."""

import numpy as np
import pytest

import fnad
import fnad.numpy as fnp
from fnad import lax
from fnad.errors import MissingRuleError
from fnad.lowering.cuda.emitter import emit_plan
from tests.lowering.cuda.programs import plan_program, run_program
from tests.lowering.cuda.running import compile_for_device, needs_emulator, needs_toolchain


def gradient(step, **options):
    def loss(x, w, steps):
        def body(state):
            i, x = state
            return i + 1, step(w, x)

        last = lax.while_loop(lambda s: s[0] < steps, body, (np.int64(0), x), **options)[1]
        return fnp.sum(last**2)

    return fnad.value_and_grad(loss, (0, 1))


def small(w, x):
    return fnp.sin(w * x) + x


def large(w, x):
    return fnp.tanh(w @ x) + x / 2


RNG = np.random.default_rng(0)
SMALL = RNG.standard_normal(3), RNG.standard_normal(3)
LARGE = RNG.standard_normal((70, 200)) / 10, RNG.standard_normal((70, 70)) / 10


@needs_emulator
@pytest.mark.parametrize("steps", [0, 7])
@pytest.mark.parametrize(("step", "args"), [(small, SMALL), (large, LARGE)])
def test_gradients_are_those_of_the_cpu(step, args, steps):
    fn = gradient(step, max_steps=9)
    args = (*args, np.int64(steps))
    value, (dx, dw) = fnad.jit(fn)(*args)
    flat = lambda *args: (lambda v, g: (v, *g))(*fn(*args))
    found, _ = run_program(flat, *args)
    for one, other in zip(found, (value, dx, dw), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-10, atol=1e-12)


@needs_toolchain
def test_the_source_is_that_of_cuda():
    fn = gradient(small, max_steps=9)
    compile_for_device(plan_program(lambda *args: fn(*args)[1], *SMALL, np.int64(3)))


def test_without_a_bound_it_is_refused():
    fn = gradient(small)
    plan = plan_program(lambda *args: fn(*args)[1], *SMALL, np.int64(3))
    with pytest.raises(MissingRuleError, match=r"Give while_loop .* max_steps"):
        emit_plan(plan)
