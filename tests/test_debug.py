"""Looking into running programs: what is called, with what, how often, in which order."""

import numpy as np
import pytest

import fnad
import fnad.numpy as fnp
from fnad import debug, lax
from tests.lowering.cuda.programs import run_program
from tests.lowering.cuda.running import needs_emulator

SEEN = []
X = np.array([1.0, 2.0, 3.0])


def log(*values):
    SEEN.append(tuple(np.asarray(v).tolist() for v in values))


def looked(value, *shown):
    """The value, after ``shown`` have been."""
    debug.callback(log, *shown)
    return value


def plain(x):
    debug.callback(log, 1, x[0])
    y = fnp.sin(x)
    debug.callback(log, 2, fnp.sum(y) > 0)
    debug.callback(log, 3)
    return fnp.sum(y)


PLAIN = [(1, 1.0), (2, True), (3,)]


def scan(x):
    def step(c, a):
        debug.callback(log, c, a)
        debug.callback(log, 0)
        return c + a * c, None

    return lax.scan(step, 1.0, x)[0]


SCAN = [(1.0, 1.0), (0,), (2.0, 2.0), (0,), (6.0, 3.0), (0,)]


def unused_scan(x):
    lax.scan(lambda c, a: looked((c, None), a), 0.0, x)
    return fnp.sum(x)


def invariant(x):
    return lax.scan(lambda c, _: looked((c, None), x[0]), fnp.sum(x), None, length=3)[0]


def loop(x):
    step = lambda c: looked((c[0] + 1, c[1] * x[0]), c[0])
    return lax.while_loop(lambda c: c[0] < 3, step, (0, x[1]))[1]


def unused_loop(x):
    lax.while_loop(lambda k: k < 3, lambda k: looked(k + 1, k), 0)
    return fnp.sum(x)


def counted(x):
    return lax.fori_loop(0, 3, lambda i, c: looked(c * x[1], i), x[0])


def branch(x):
    there, other = (lambda x: looked(x * x, 1, x)), (lambda x: looked(x, 0))
    return lax.cond(x[1] > 1, there, other, x[1])


def unused_branch(x):
    lax.cond(x[0] > 0, lambda: debug.callback(log, 1), lambda: None)
    return fnp.sum(x)


def call(x):
    fnad.jit(lambda x: debug.callback(log, x))(x[0])
    return fnp.sum(fnad.checkpoint(lambda x: looked(fnp.sin(x), x[1]))(x))


def twice(x):
    debug.callback(log, x[0])
    debug.callback(log, x[0])
    return fnp.sum(x)


PROGRAMS = {
    plain: PLAIN,
    scan: SCAN,
    unused_scan: [(1.0,), (2.0,), (3.0,)],
    invariant: [(1.0,)] * 3,
    loop: [(0,), (1,), (2,)],
    unused_loop: [(0,), (1,), (2,)],
    counted: [(0,), (1,), (2,)],
    branch: [(1, 2.0)],
    unused_branch: [(1,)],
    call: [(1.0,), (2.0,)],
    twice: [(1.0,)] * 2,
}
TRANSFORMS = {
    "itself": lambda f: f,
    "grad": fnad.grad,
    "jvp": lambda f: lambda x: fnad.jvp(f, (x,), (x,)),
    "linearize": lambda f: lambda x: fnad.linearize(f, x)[1](x),
}


@pytest.mark.parametrize("transform", TRANSFORMS)
@pytest.mark.parametrize("program", PROGRAMS, ids=lambda f: f.__name__)
def test_each_call_happens_once_and_in_order(program, transform):
    f = TRANSFORMS[transform](program)
    compiled = fnad.jit(f)
    for run in (f, compiled, compiled, compiled):
        SEEN.clear()
        run(X)
        assert PROGRAMS[program] == SEEN


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda f: f.__name__)
def test_values_are_those_without_it(program, monkeypatch):
    value, slope = fnad.jit(fnad.value_and_grad(program))(X)
    monkeypatch.setattr(debug, "callback", lambda *args: None)
    want, its_slope = fnad.value_and_grad(program)(X)
    np.testing.assert_allclose(value, want, rtol=1e-14)
    np.testing.assert_allclose(slope, its_slope, rtol=1e-14)


def test_vmap_calls_it_for_each_lane():
    f = fnad.vmap(lambda x: looked(x, x))
    once = fnad.vmap(lambda x: looked(x, 7))
    nested = fnad.vmap(fnad.vmap(lambda x, y: looked(x, x, y), (0, None)), (None, 0))
    for g, args, want in [
        (f, (X,), [(1.0,), (2.0,), (3.0,)]),
        (once, (X,), [(7,)]),
        (nested, (X[:2], X[1:]), [(1.0, 2.0), (2.0, 2.0), (1.0, 3.0), (2.0, 3.0)]),
        (fnad.vmap(fnad.grad(lambda x: looked(x * x, x))), (X,), [(1.0,), (2.0,), (3.0,)]),
    ]:
        for run in (g, fnad.jit(g)):
            SEEN.clear()
            run(*args)
            assert want == SEEN


def test_custom_derivatives():
    @fnad.custom_vjp
    def square(x):
        return looked(x * x, 1)

    square.defvjp(lambda x: looked((x * x, x), 2), lambda x, ct: (looked(2 * x * ct, 3, ct),))
    for g, want in [(square, [(1,)]), (fnad.grad(square), [(2,), (3, 1.0)])]:
        for run in (g, fnad.jit(g)):
            SEEN.clear()
            run(2.0)
            assert want == SEEN


def test_complex_numbers_and_keywords():
    def f(z):
        debug.callback(lambda *, z: SEEN.append(complex(z[1])), z=z)

    for run in (f, fnad.jit(f)):
        SEEN.clear()
        run(X + 1j * X)
        assert SEEN == [2 + 2j]


def test_exceptions_are_raised_as_they_are():
    def check(x):
        if x > 1.5:
            raise FloatingPointError(f"too large: {x}")

    f = fnad.jit(lambda x: lax.scan(lambda c, a: (looked(c, a), debug.callback(check, a)), 0.0, x))
    for _ in range(3):
        SEEN.clear()
        with pytest.raises(FloatingPointError, match=r"too large: 2\.0"):
            f(X)
        assert SEEN == [(1.0,), (2.0,)]


@needs_emulator
@pytest.mark.parametrize("program", PROGRAMS, ids=lambda f: f.__name__)
def test_programs_for_cards(program):
    SEEN.clear()
    run_program(lambda x: (program(x),), X)
    assert PROGRAMS[program] == SEEN


# -- print -------------------------------------------------------------------------------------


def test_print(capsys):
    def f(x):
        debug.print("x = {}, the sum is {total:.2f}", x, total=fnp.sum(x))
        debug.print("{{}}", ordered=True)
        return x

    for run in (f, fnad.jit(f)):
        run(X)
        assert capsys.readouterr().out == "x = [1. 2. 3.], the sum is 6.00\n{}\n"


def test_wrong_formats_are_errors_where_they_stand():
    for fmt, args, error in [
        ("{} {}", (1,), IndexError),
        ("{x}", (1,), KeyError),
        ("{", (), ValueError),
        ("x", (1,), ValueError),
        (X, (), TypeError),
    ]:
        with pytest.raises(error):
            fnad.jit(lambda x, fmt=fmt, args=args: debug.print(fmt, *args))(X)
    with pytest.raises(TypeError, match="must be a function, got 3"):
        debug.callback(3, X)
