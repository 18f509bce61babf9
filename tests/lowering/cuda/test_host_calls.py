"""Python functions called from programs for cards: the host runs them in between."""

import numpy as np
import pytest

import fnad
import fnad.numpy as fnp
from fnad import lax
from tests.lowering.cuda.programs import run_program
from tests.lowering.cuda.running import needs_emulator


def program(x):
    y = fnp.cos(x)
    turned, total = fnad.pure_callback(lambda y: (y[::-1], y.sum()), (y, np.float64(0)), y)

    def body(c):
        return fnad.pure_callback(lambda c: c + 1, c, c)

    return turned * 2, lax.while_loop(lambda c: c < 3.5, body, total)


@needs_emulator
def test_results_are_those_of_the_cpu():
    x = np.arange(6.0)
    found, _ = run_program(program, x)
    for one, other in zip(found, fnad.jit(program)(x), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12)


@needs_emulator
def test_exceptions_are_raised_as_they_are():
    def fails(x):
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        run_program(lambda x: (fnad.pure_callback(fails, x, x),), np.arange(3.0))
