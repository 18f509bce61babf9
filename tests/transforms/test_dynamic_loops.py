"""``jit(f, dynamic=...)``: reverse mode of loops, searches, random choices, bounds of sizes."""

from __future__ import annotations

import math
import os
import subprocess
import sys

import numpy as np
import pytest

import fnad
import fnad.numpy as fnp
from fnad import lax

rng = np.random.default_rng(0)


def array(*shape):
    return rng.standard_normal(shape)


def compare(function, dynamic, make, sizes=(5, 1, 2, 17, 0), rtol=1e-12):
    """Compare with evaluation by NumPy, and with a static program for the first size."""
    compiled = fnad.jit(function, dynamic=dynamic)
    for n in sizes:
        args = make(n)
        try:
            expected = fnad.tree.leaves(function(*args))
        except ValueError as error:  # a maximum of nothing
            with pytest.raises(ValueError, match="no elements"):
                compiled(*args)
            assert "no elements" in str(error)
            continue
        found = fnad.tree.leaves(compiled(*args))
        if n == sizes[0]:
            static = fnad.tree.leaves(fnad.jit(function)(*args))
            for a, b in zip(found, static, strict=True):
                np.testing.assert_allclose(a, b, rtol=rtol, atol=rtol)
        for a, b in zip(found, expected, strict=True):
            assert np.shape(a) == np.shape(b) and a.dtype == b.dtype, n
            np.testing.assert_allclose(a, b, rtol=rtol, atol=rtol, err_msg=f"n={n}")
    assert 1 <= compiled.num_programs <= 2


# -- reverse mode ---------------------------------------------------------------------------------


def grown(x, **options):
    step = lambda y: y * 1.3 + fnp.sin(y) / 10
    return lax.while_loop(lambda y: fnp.max(abs(y)) < 50, step, x, **options)


GRADIENTS = {
    "tapes": lambda x: grown(x),
    "steps of fixed number": lambda x: grown(x, max_steps=64),
    "checkpoints": lambda x: grown(x, max_steps=64, levels=2),
    "loops one after the other": lambda x: grown(grown(x) / 100) * grown(x[::-1]),
    "loops in loops": lambda x: lax.fori_loop(0, 3, lambda i, y: grown(y / (20 + i)), x),
    "complex numbers": lambda x: abs(
        lax.while_loop(lambda y: fnp.max(abs(y)) < 9, lambda y: y * (1.2 + 0.3j), x + 0j)
    ),
}


@pytest.mark.parametrize("name", GRADIENTS)
def test_gradients_of_while_loops(name):
    derivative = fnad.grad(lambda x: fnp.sum(GRADIENTS[name](x) ** 2))
    sizes = (5, 1, 17, 0) if name == "tapes" else (5, 2)
    compare(derivative, "n", lambda n: (1 + array(n) ** 2,), sizes)


def test_as_many_turns_as_a_number_says():
    power = lambda x, k: lax.fori_loop(0, k, lambda i, y: y * 1.1 + x, x)
    derivative = fnad.grad(lambda x, k: fnp.sum(power(x, k) ** 2))
    compare(derivative, ("n _", None), lambda n: (array(n, 2), np.int64(2 * n)))


LIMITED = """
import resource
import numpy as np, fnad, fnad.numpy as fnp
from fnad import lax

def f(x, n):
    body = lambda s: (s[0] + 1, fnp.sin(s[1]))
    return fnp.sum(lax.while_loop(lambda s: s[0] < n, body, (0, x))[1])

g = fnad.jit(fnad.grad(f), dynamic=("n", None))
x = np.full(2**17, 0.5)
wanted = g(x, 3)
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 2**28, used + 2**28))
for _ in range(2):
    try:
        g(x, 1000)
    except MemoryError as error:
        assert "max_steps" in str(error) and str(8 * 2**17 * 1000) in str(error), error
    else:
        raise SystemExit("no error")
assert (g(x, 3) == wanted).all()
for _ in range(20):  # 100 MB each, which is given back
    g(x, 100)
"""


@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="needs limits of memory")
def test_no_memory_for_the_tape_is_an_error():
    subprocess.run([sys.executable, "-W", "ignore", "-c", LIMITED], check=True)


# -- searches and random numbers ------------------------------------------------------------------


@pytest.mark.parametrize("side", ["left", "right"])
def test_searches_are_those_of_numpy(side):
    compiled = fnad.jit(lambda x, v: fnp.searchsorted(x, v, side), dynamic=("n", "m"))
    for n in (5, 1, 2, 3, 64, 65, 1000):
        x, v = array(n).round(1), array(50).round(1)
        v[::7], x[::9] = np.nan, np.inf
        x.sort()
        np.testing.assert_array_equal(compiled(x, v), np.searchsorted(x, v, side))
    assert compiled.num_programs == 1
    assert (compiled(np.zeros(0), v) == 0).all()


def test_what_is_made_of_searches_and_counts():
    def function(x, y):
        at = fnp.interp(x * 0.7, fnp.sort(x), y)
        return at, fnp.digitize(y, fnp.sort(x)), fnp.nonzero(x > 0.3, size=3), fnp.unique(y, size=4)

    compare(function, ("n", "n"), lambda n: (array(n).round(1), array(n)), (5, 1, 2, 40))


def test_random_choices_are_those_of_static_programs():
    def function(key, x):
        size = x.shape[0]
        return (
            fnad.random.permutation(key, x),
            fnad.random.permutation(key, size),
            fnad.random.choice(key, x, (3,)),
            fnad.random.randint(key, (4,), 0, size),
        )

    key = fnad.random.PRNGKey(3)
    compare(function, (None, "n"), lambda n: (key, array(n)), (5, 2, 1000, 1625))
    compiled = fnad.jit(fnad.random.permutation, dynamic=(None, "n"))
    for n in (0, 1, 1625, 1626, 4000):
        x = np.arange(n)
        np.testing.assert_array_equal(compiled(key, x), fnad.random.permutation(key, x))


def test_rounds_of_shuffling():
    from fnad.random.selection import _MOST_OF_ROUNDS

    for rounds, most in enumerate(_MOST_OF_ROUNDS):
        for n, expected in ((most, rounds), (most + 1, rounds + 1)):
            assert math.ceil(3 * math.log(n) / math.log(2**32 - 1)) == expected


# -- bounds ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("bound", [-5, 3, 2**31 - 1, 2**31, 2**40, 2**63 - 1])
def test_sizes_are_not_taken_to_be_large(bound):
    def function(x):
        n = x.shape[0]
        many = n * fnp.ones(3, int)
        return fnp.minimum(n, bound), fnp.maximum(n, bound), fnp.clip(many, 0, bound), many > bound

    compare(function, "n", lambda n: (array(n),), (5, 0, 17))
