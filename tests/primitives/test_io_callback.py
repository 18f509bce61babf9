"""Functions that are called for what they do, and whose results programs use."""

import numpy as np
import pytest

import fnad
import fnad.numpy as fnp
from fnad import lax
from tests.lowering.cuda.programs import run_program
from tests.lowering.cuda.running import needs_emulator

X = np.array([1.0, 2.0, 3.0])
SEEN = []


def log(x):
    """Note what is seen, and answer with how many were."""
    SEEN.append(np.asarray(x).tolist())
    return np.float64(len(SEEN))


def counted(x):
    return fnad.io_callback(log, np.float64(0), lax.stop_gradient(x))


def plain(x):
    first = counted(x[0])
    return 10 * first * x[1] + counted(fnp.sum(x))


def unused(x):
    counted(x[0])
    return fnp.sum(x)


def twice_the_same(x):
    f = fnad.jit(counted)
    return f(x[0]) + 10 * f(x[0]) * x[1]


def scan(x):
    return lax.scan(lambda c, a: (c * a + counted(a), None), 0.0, x)[0]


def branch(x):
    return lax.cond(x[1] > 1, lambda x: x * counted(x), lambda x: counted(-x), x[1])


def checkpointed(x):
    return fnp.sum(fnad.checkpoint(lambda x: fnp.sin(counted(x[1]) * x))(x))


def scan_in_checkpoint(x):
    return fnad.checkpoint(lambda x: fnp.sin(scan(x)))(x)


def checkpoint_in_scan(x):
    step = fnad.checkpoint(lambda c, a: (fnp.sin(c * a) * counted(a), c))
    return lax.scan(step, 1.0, x)[0]


# What is seen, and the result.
PROGRAMS = {
    plain: ([1.0, 6.0], 22.0),
    unused: ([1.0], 6.0),
    twice_the_same: ([1.0, 1.0], 41.0),
    scan: ([1.0, 2.0, 3.0], 15.0),
    branch: ([2.0], 2.0),
    checkpointed: ([2.0], np.sum(np.sin(X))),
    scan_in_checkpoint: ([1.0, 2.0, 3.0], np.sin(15.0)),
    checkpoint_in_scan: ([1.0, 2.0, 3.0], 3 * np.sin(3 * 2 * np.sin(2 * np.sin(1.0)))),
}
TRANSFORMS = {
    "itself": lambda f: lambda x: (f(x), None),
    "grad": lambda f: fnad.value_and_grad(f),
    "jvp": lambda f: lambda x: (fnad.jvp(f, (x,), (x,))[0], None),
}


@pytest.mark.parametrize("transform", TRANSFORMS)
@pytest.mark.parametrize("program", PROGRAMS, ids=lambda f: f.__name__)
def test_each_call_happens_once_and_its_result_is_used(program, transform):
    seen, wanted = PROGRAMS[program]
    f = TRANSFORMS[transform](program)
    compiled = fnad.jit(f)
    for run in (f, compiled, compiled, compiled):
        SEEN.clear()
        value, _ = run(X)
        assert seen == SEEN
        np.testing.assert_allclose(value, wanted, rtol=1e-14)


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda f: f.__name__)
def test_gradients_take_its_results_as_given(program):
    def central(i):
        values = []
        for step in (1e-6, -1e-6):
            SEEN.clear()
            values.append(program(X + step * np.eye(3)[i]))
        return (values[0] - values[1]) / 2e-6

    for run in (fnad.grad(program), fnad.jit(fnad.grad(program))):
        SEEN.clear()
        np.testing.assert_allclose(run(X), [central(i) for i in range(3)], rtol=1e-6, atol=1e-8)


@needs_emulator
@pytest.mark.parametrize("program", [plain, scan, branch], ids=lambda f: f.__name__)
def test_programs_for_cards(program):
    SEEN.clear()
    run_program(lambda x: (program(x),), X)
    assert PROGRAMS[program][0] == SEEN


def test_loops_of_unknown_length():
    def loop(x):
        step = lambda c: (c[0] + 1, c[1] * x[0] + counted(c[1]))
        return lax.while_loop(lambda c: c[0] < 3, step, (0, x[1]))[1]

    for run in (loop, fnad.jit(loop)):
        SEEN.clear()
        assert run(X) == 8.0
        assert SEEN == [2.0, 3.0, 5.0]
    assert fnad.jvp(loop, (X,), (X,))[1] != 0
    with pytest.raises(TypeError, match="io_callback: log is called in a loop of unknown length"):
        fnad.grad(loop)(X)


def test_vmap_calls_it_for_each_lane():
    f = fnad.vmap(lambda x: counted(x) + x)
    for run in (f, fnad.jit(f)):
        SEEN.clear()
        np.testing.assert_array_equal(run(X), [2.0, 4.0, 6.0])
        assert SEEN == [1.0, 2.0, 3.0]
        assert run(X[:0]).shape == (0,)


def test_trees_dtypes_and_complex_numbers():
    def host(z, *, n):
        return {"z": z * n, "n": np.int8(n), "none": None}

    def f(z):
        types = {"z": z, "n": fnad.ShapeDtypeStruct((), np.int8), "none": None}
        return fnad.io_callback(host, types, z, n=3, ordered=True)

    z = X * (1 - 2j)
    for run in (f, fnad.jit(f)):
        out = run(z)
        np.testing.assert_array_equal(out["z"], 3 * z)
        assert out["n"] == 3 and out["n"].dtype == np.int8 and out["none"] is None


def test_what_is_wrong_is_said():
    with pytest.raises(TypeError, match="io_callback: the first argument must be a function"):
        fnad.io_callback(3, X)
    with pytest.raises(TypeError, match="io_callback: result_shape_dtypes holds what has a shape"):
        fnad.io_callback(log, float)
    with pytest.raises(TypeError, match=r"io_callback: log returned f64\[\] .* says f32\[\]"):
        fnad.io_callback(log, np.float32(0), 1.0)
    with pytest.raises(TypeError, match="io_callback: log is Python, whose derivative nobody"):
        fnad.grad(lambda x: fnad.io_callback(log, np.float64(0), x))(1.0)
