"""Primitives that hold programs, and collectives: compiled against evaluated, in every dtype.

They have no rows in ``tests/samples``; what they hold decides about the dtypes.
"""

import numpy as np
import pytest

import fnad
import fnad.numpy as fnp
from fnad import lax
from fnad.core.types import kind_of
from fnad.testing import assert_allclose
from tests.samples.values import DTYPES, normal, normal_complex

ROWS, LANES = 4, 3


def operands(dtype):
    """A matrix and a vector of moderate numbers."""
    make = normal_complex if dtype.kind == "c" else normal
    matrix, vector = make(ROWS, LANES), make(LANES, seed=7)
    if kind_of(dtype) in "iu":
        matrix, vector = np.trunc(abs(9 * matrix)), np.trunc(abs(9 * vector))
    if dtype.kind == "b":
        matrix, vector = matrix > 0, vector > 0
    return matrix.astype(dtype), vector.astype(dtype)


def step(x, y):
    """Something that every dtype has, and that tells its operands apart."""
    return fnp.logical_and(x, fnp.logical_not(y)) if x.dtype == bool else x * y + y


def fold(m, c):
    return lax.scan(lambda c, row: (step(c, row), c), c, m, reverse=True)


def repeat(m, c):
    return lax.fori_loop(0, ROWS, lambda i, c: step(c, fnp.take(m, i, axis=0)), c)


def write(m, c):
    return lax.fori_loop(1, ROWS, lambda i, m: fnp.at(m)[i].set(step(c, m[i - 1])), m)


def turns(c, count):
    """A loop that has no reverse mode, but under ``vmap`` lanes that stop at different turns."""
    go_on, turn = lambda s: s[0] < count, lambda s: (s[0] + 1, step(s[1], c))
    return lax.while_loop(go_on, turn, (np.int64(0), c))[1]


def choose(m, c):
    branches = [lambda x: x, lambda x: step(x, x), lambda x: step(x, c)]
    lanes = fnad.vmap(lambda i, row: lax.switch(i, branches, row))(np.array([0, 2, 1, 2]), m)
    return lanes, lax.cond(np.bool_(True), lambda x: step(x, c), lambda x: x, m[0])


def together(m, c):
    # Booleans are counted, not summed.
    total = (lambda row: row) if m.dtype == bool else (lambda row: lax.psum(row, "i"))
    extrema = lambda row: (lax.pmax(row, "i"), lax.pmin(row, "i"), lax.all_gather(row, "i"))
    return fnad.vmap(lambda row: (total(row), extrema(row)), axis_name="i")(m)


def calls(m, c):
    return fnad.checkpoint(step)(m[0], c), fnad.jit(step)(m[1], c)


DIFFERENTIABLE = (fold, repeat, write, choose, calls)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_compiled_as_evaluated(dtype):
    m, c = operands(dtype)

    def program(m, c):
        loops = turns(c, 3), fnad.vmap(turns)(c, np.array([0, 3, 1]))
        return loops, together(m, c), [f(m, c) for f in DIFFERENTIABLE]

    assert_allclose(fnad.jit(program)(m, c), program(m, c))


@pytest.mark.parametrize("dtype", [d for d in DTYPES if kind_of(d) in "fc"], ids=str)
def test_reverse_mode_compiled_as_evaluated(dtype):
    m, c = operands(dtype)

    def program(m, c):
        outs, pull = fnad.vjp(lambda *xs: [f(*xs) for f in DIFFERENTIABLE], m, c)
        return pull(fnad.tree.map(fnp.ones_like, outs))

    assert_allclose(fnad.jit(program)(m, c), program(m, c))
