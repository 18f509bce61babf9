"""NumPy's methods of ufuncs on the functions of `fnad.numpy`, against NumPy."""

import types

import numpy as np
import pytest

import fnad
import fnad.numpy as fnp
from fnad.testing import check_grads
from tests.numpy.helpers import assert_same

RANDOM = np.random.default_rng(0)
F = RANDOM.normal(size=(3, 4))
INPUTS = {"floats": F, "integers": RANDOM.integers(0, 9, (3, 4)), "booleans": F > 0}

# NumPy's own reductions of power and arctan2 are not in order along rows.
NAMES = [
    "add", "subtract", "multiply", "maximum", "minimum", "fmax", "fmin", "logical_and",
    "logical_or", "logical_xor", "bitwise_and", "bitwise_or", "bitwise_xor", "logaddexp",
    "logaddexp2", "gcd", "hypot", "true_divide", "remainder", "copysign",
]  # fmt: skip

CALLS = {
    "reduce": lambda f, x: f.reduce(x),
    "reduce of all": lambda f, x: f.reduce(x, axis=None),
    "reduce, keeping axes": lambda f, x: f.reduce(x, axis=1, keepdims=True),
    "reduce of some": lambda f, x: f.reduce(x, axis=1, where=x > 1, initial=x.dtype.type(1)),
    "reduce in double": lambda f, x: f.reduce(x, dtype=np.float64),
    "accumulate": lambda f, x: f.accumulate(x, axis=1),
    "outer": lambda f, x: f.outer(x[0], x),
    "reduceat": lambda f, x: f.reduceat(x, [0, 2, 1], axis=1),
}


def agree(got, want):
    assert got.dtype == want.dtype
    rtol = 2e-3 if want.dtype == np.float16 else 1e-12
    np.testing.assert_allclose(got, want, rtol=rtol)


@pytest.mark.parametrize("kind", INPUTS)
@pytest.mark.parametrize("name", NAMES)
@np.errstate(all="ignore")
def test_methods_are_numpys(name, kind):
    x, function, theirs = INPUTS[kind], getattr(fnp, name), getattr(np, name)
    calls = 0
    for call in CALLS.values():
        try:
            want = call(theirs, x)
        except (TypeError, ValueError):  # a dtype that NumPy does not have it for
            continue
        agree(call(function, x), want)
        calls += 1
    y = x[0].copy()
    try:
        theirs.at(y, [1, 1, 2], x[1, :3])
    except TypeError:
        return
    agree(function.at(x[0], [1, 1, 2], x[1, :3]), y)
    assert calls


def test_functions_stay_plain_functions():
    assert type(fnp.add) is types.FunctionType
    assert (fnp.add.nin, fnp.add.nout, fnp.add.nargs, fnp.add.identity) == (2, 1, 3, 0)
    assert (fnp.exp.nin, fnp.maximum.identity) == (1, None)
    np.testing.assert_array_equal(fnp.negative.at(F[0], [1, 1, 2]), F[0] * [1, 1, -1, 1])
    assert not hasattr(fnp.exp, "reduce")


def test_methods_are_compiled_differentiated_and_mapped():
    for name in ("add", "logaddexp", "subtract", "hypot"):
        reduce = getattr(fnp, name).reduce
        want = getattr(np, name).reduce(F)
        agree(fnad.jit(reduce)(F), want)
        agree(fnad.vmap(reduce, 1)(F), want)
        check_grads(reduce, (F,), order=1)
    agree(fnad.jit(lambda x: np.bitwise_xor.reduce(x))(np.arange(5)), np.int64(4))
    slope = fnad.grad(lambda x: fnp.sum(fnp.multiply.at(x, [0, 0], 3.0)))(F[0])
    np.testing.assert_array_equal(slope, [9, 1, 1, 1])


def test_bad_input():
    with pytest.raises(ValueError, match="not changed in place; pass inplace=False"):
        fnp.add.at(F, 0, 1.0, inplace=True)
    with pytest.raises(ValueError, match="pass initial="):
        fnp.maximum.reduce(np.zeros(0))
    assert fnp.logaddexp.reduce(np.zeros(0)) == -np.inf


@pytest.mark.parametrize("name", ["add", "maximum", "hypot", "subtract"])
def test_methods_of_nothing_and_of_numbers(name):
    ours, theirs = getattr(fnp, name), getattr(np, name)
    for axis in (0, -1, None, ()):
        assert_same(ours.reduce(np.float32(4), axis), theirs.reduce(np.float32(4), axis))
    x, none, rows = np.ones((3, 2)), np.zeros(0, np.int64), np.array([0, 2, 0])
    for f in (ours.reduceat, fnad.jit(ours.reduceat)):
        assert_same(f(x, none), theirs.reduceat(x, none))
    for empty, index in ((x[:, :0], rows), (x, none)):
        assert_same(ours.at(empty, index, 1.0), empty)
