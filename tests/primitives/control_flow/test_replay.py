"""Reverse mode through while loops, against the same steps written out."""

import os
import subprocess
import sys
import textwrap
import threading

import numpy as np
import pytest

import fnad
import fnad.numpy as fnp
from fnad import lax
from fnad.primitives.control_flow.replay import sizes_of_blocks
from fnad.testing import assert_allclose, check_grads

TAPE = {}
ONE_LEVEL = {"max_steps": 20, "levels": 1}
TWO_LEVELS = {"max_steps": 20}
THREE_LEVELS = {"max_steps": 20, "levels": 3}
WAYS = [TAPE, ONE_LEVEL, TWO_LEVELS, THREE_LEVELS]
NAMES = ["tape", "1 level", "2 levels", "3 levels"]
every_way = pytest.mark.parametrize("way", WAYS, ids=NAMES)
slow = pytest.mark.slow
main_ways = pytest.mark.parametrize(  # of what takes long to compile
    "way",
    [TAPE, TWO_LEVELS, pytest.param(ONE_LEVEL, marks=slow), pytest.param(THREE_LEVELS, marks=slow)],
    ids=["tape", "2 levels", "1 level", "3 levels"],
)
compiled_or_not = pytest.mark.parametrize("jit", [lambda f: f, fnad.jit], ids=["eager", "jit"])

W = np.array([[0.5, -0.3, 0.1], [0.2, 0.9, 0.0], [-0.4, 0.3, 0.7]])
X = np.array([0.3, -0.8, 0.5])


def step(w, x):
    return fnp.tanh(w @ x) + 0.9 * x


def loop(w, x, steps, **way):
    """``steps`` of them, as a while loop with a counter."""

    def body(state):
        return {"i": state["i"] + 1, "x": step(w, state["x"])}

    return lax.while_loop(lambda s: s["i"] < steps, body, {"i": 0, "x": x}, **way)["x"]


def unrolled(w, x, steps):
    for _ in range(steps):
        x = step(w, x)
    return x


def loss_of(f):
    return lambda w, x, *rest, **way: fnp.sum(f(w, x, *rest, **way) ** 2)


@compiled_or_not
@every_way
def test_gradients_are_those_of_the_steps_written_out(way, jit):
    f = jit(fnad.value_and_grad(lambda w, x, n: loss_of(loop)(w, x, n, **way), (0, 1)))
    for steps in range(21) if jit is fnad.jit else (0, 1, 7, 20):  # every filling of the blocks
        value, grads = f(W, X, steps)
        wanted, wanted_grads = fnad.value_and_grad(loss_of(unrolled), (0, 1))(W, X, steps)
        assert_allclose(value, wanted, rtol=1e-14)
        assert_allclose(grads, wanted_grads, rtol=1e-12, atol=1e-14)


@main_ways
@pytest.mark.parametrize("dtype", [np.float32, np.complex128])
def test_other_dtypes(dtype, way):
    w, x = W.astype(dtype), X.astype(dtype)
    if dtype == np.complex128:
        w, x = w * (1 + 0.3j), x * (1 - 0.2j)
    loss = lambda f: lambda w, x: fnp.sum(fnp.abs(f(w, x)) ** 2)
    f = fnad.grad(loss(lambda w, x: loop(w, x, 9, **way)), (0, 1))
    wanted = fnad.grad(loss(lambda w, x: unrolled(w, x, 9)), (0, 1))(w, x)
    rtol = 1e-4 if dtype == np.float32 else 1e-11
    for grads in (f(w, x), fnad.jit(f)(w, x)):
        assert [g.dtype for g in grads] == [dtype, dtype]
        assert_allclose(grads, wanted, rtol=rtol, atol=rtol)


@compiled_or_not
@main_ways
def test_second_derivatives(way, jit):
    def f(loop_):
        return lambda x: fnp.sum(fnp.sin(loop_(W, x)))

    looped, written_out = f(lambda w, x: loop(w, x, 6, **way)), f(lambda w, x: unrolled(w, x, 6))
    wanted = fnad.jacfwd(fnad.jacrev(written_out))(X)
    forward_over_reverse = jit(lambda x: fnad.jvp(fnad.grad(looped), (x,), (X,))[1])
    assert_allclose(forward_over_reverse(X), wanted @ X, rtol=1e-11, atol=1e-12)
    reverse_over_reverse = jit(fnad.grad(lambda x: fnp.dot(fnad.grad(looped)(x), X)))
    assert_allclose(reverse_over_reverse(X), wanted @ X, rtol=1e-11, atol=1e-12)
    hessian = jit(fnad.hessian(looped))
    assert_allclose(hessian(X), wanted, rtol=1e-11, atol=1e-12)


@main_ways
def test_derivatives_against_differences(way):
    check_grads(lambda x: loop(W, x, 5, **way), (X,), order=2)


@compiled_or_not
@main_ways
def test_lanes_with_different_numbers_of_steps(way, jit):
    steps = np.array([3, 0, 9, 1])
    xs = np.stack([X, 2 * X, -X, X + 1])
    f = fnad.value_and_grad(lambda w, x, n: loss_of(loop)(w, x, n, **way), (0, 1))
    wanted = [fnad.value_and_grad(loss_of(unrolled), (0, 1))(W, x, n) for x, n in zip(xs, steps)]
    value, (dw, dx) = jit(fnad.vmap(f, (None, 0, 0)))(W, xs, steps)
    assert_allclose(value, np.stack([v for v, _ in wanted]), rtol=1e-13)
    assert_allclose(dw, np.stack([g[0] for _, g in wanted]), rtol=1e-12, atol=1e-14)
    assert_allclose(dx, np.stack([g[1] for _, g in wanted]), rtol=1e-12, atol=1e-14)
    total = lambda w, xs: fnp.sum(fnad.vmap(lambda x, n: loss_of(loop)(w, x, n, **way))(xs, steps))
    assert_allclose(jit(fnad.grad(total))(W, xs), dw.sum(0), rtol=1e-12, atol=1e-14)


@compiled_or_not
@main_ways
def test_steps_not_taken_do_not_reach_those_taken(way, jit):
    def f(x, steps):  # the step after the last one divides by zero
        def body(state):
            i, x = state
            return i + 1, x + fnp.sqrt(steps - i) * x / (steps - i)

        return lax.while_loop(lambda s: s[0] < steps, body, (0.0, x), **way)[1]

    steps = np.array([1.0, 5.0, 0.0])
    gradients = jit(fnad.vmap(fnad.grad(f)))(np.ones(3), steps)
    wanted = [np.prod(1 + 1 / np.sqrt(np.arange(1, n + 1))) for n in (1, 5, 0)]
    assert_allclose(gradients, np.array(wanted), rtol=1e-13)
    both = jit(fnad.grad(lambda x: fnp.sum(fnad.vmap(f)(x, steps))))(np.ones(3))
    assert_allclose(both, np.array(wanted), rtol=1e-13)


@compiled_or_not
@main_ways
def test_loops_in_loops(way, jit):
    def inner(a, x):  # Newton's method: as many steps as it takes
        go_on = lambda y: fnp.abs(y * y - a * x) > 1e-10
        return lax.while_loop(go_on, lambda y: 0.5 * (y + a * x / y), x, **way)

    def in_scan(a, x):
        return lax.scan(lambda x, _: (inner(a, x), x), x, None, 4)[0]

    def in_while(a, x):
        body = lambda s: (s[0] + 1, inner(a, s[1]) + 0.1)
        return lax.while_loop(lambda s: s[0] < 3, body, (0, x), **way)[1]

    def in_cond(a, x):
        return lax.cond(a > 1.0, lambda: inner(a, x), lambda: x)

    def scan_in_it(a, x):
        def body(s):
            i, x = s
            return i + 1, lax.scan(lambda c, k: (fnp.sin(c * a) + k, None), x, np.ones(3))[0]

        return lax.while_loop(lambda s: s[0] < 4, body, (0, x), **way)[1]

    a, x = 2.0, 1.5
    for f in (inner, in_scan, in_while, in_cond, scan_in_it):
        found = jit(fnad.grad(f, (0, 1)))(a, x)
        for k, g in enumerate(found):
            d = [1e-6 if j == k else 0.0 for j in range(2)]
            wanted = (f(a + d[0], x + d[1]) - f(a - d[0], x - d[1])) / 2e-6
            assert abs(g - wanted) < 1e-7 * (1 + abs(wanted)), (f.__name__, k)
        lanes = jit(fnad.vmap(fnad.grad(f, (0, 1))))(np.array([a, 3.0]), np.array([x, 0.7]))
        assert_allclose([g[0] for g in lanes], list(found), rtol=1e-9)


@compiled_or_not
def test_loops_that_take_no_differentiable_part(jit):
    def f(x):
        n, _, y = lax.while_loop(
            lambda s: s[0] < 6,
            lambda s: (s[0] + 1, s[1] * np.uint32(3), fnp.where(s[1] % 2 == 0, s[2], s[2] * x)),
            (0, np.uint32(7), x),
        )
        return y * n

    assert_allclose(jit(fnad.grad(f))(1.1), np.float64(6 * 7 * 1.1**6), rtol=1e-12)


def test_traced_bounds_of_fori_loop():
    for way in WAYS:
        f = lambda x, n, way=way: lax.fori_loop(0, n, lambda i, y: y * x + i, 1.0, **way)
        for n in (0, 1, 5):
            wanted = fnad.grad(lambda x, n=n: lax.fori_loop(0, n, lambda i, y: y * x + i, 1.0))(1.2)
            assert_allclose(fnad.jit(fnad.grad(f))(1.2, n), wanted, rtol=1e-12)


@compiled_or_not
def test_linear_loops_are_transposed(jit):
    f = lambda x: loop_of_products(x, 4)
    assert_allclose(jit(lambda ct: fnad.linear_transpose(f, X)(ct)[0])(X), 0.5**4 * W.T @ X)


def loop_of_products(x, steps):
    body = lambda s: (s[0] + 1, s[1] * 0.5)
    return lax.while_loop(lambda s: s[0] < steps, body, (0, W @ x))[1]


def test_pullbacks_serve_again():
    _, pull = fnad.vjp(lambda x: loop(W, x, 5), X)
    jacobian = fnad.jacfwd(lambda x: unrolled(W, x, 5))(X)
    for ct in (X, 2 * X):
        assert_allclose(pull(ct)[0], ct @ jacobian, rtol=1e-12)
    _, push = fnad.linearize(lambda x: loop(W, x, 5, max_steps=9), X)
    assert_allclose(push(X), jacobian @ X, rtol=1e-12)


def test_more_steps_than_planned_give_no_gradient_rather_than_a_wrong_one():
    f = lambda x, n: fnp.sum(loop(W, x, n, max_steps=4))
    assert_allclose(fnad.jit(f)(X, 5), np.sum(unrolled(W, X, 5)))
    for g in (fnad.grad(f), fnad.jit(fnad.grad(f))):
        assert np.isfinite(g(X, 4)).all()
        assert np.isnan(g(X, 5)).all()
    lanes = fnad.vmap(fnad.grad(f), (None, 0))(X, np.array([4, 5, 2]))
    assert np.isnan(lanes).any(1).tolist() == [False, True, False]


def test_donated_arguments():
    x = np.full(2048, 0.5)
    f = lambda x: fnad.grad(lambda x: fnp.sum(loop_of_sines(x)))(x)
    wanted = f(x)
    assert_allclose(fnad.jit(f, donate_argnums=0)(x.copy()), wanted, rtol=1e-12)


def loop_of_sines(x):
    return lax.while_loop(lambda s: s[0] < 5, lambda s: (s[0] + 1, fnp.sin(s[1])), (0, x))[1]


@main_ways
def test_carries_that_are_larger_than_registers(way):
    x = np.linspace(-1, 1, 3000)
    body = lambda s: (s[0] + 1, fnp.sin(s[1]) + fnp.roll(s[1], 1) ** 2)
    f = lambda x: fnp.sum(lax.while_loop(lambda s: s[0] < 11, body, (0, x), **way)[1])
    written_out = lambda x: fnp.sum(lax.fori_loop(0, 11, lambda i, x: body((i, x))[1], x))
    assert_allclose(fnad.jit(fnad.grad(f))(x), fnad.jit(fnad.grad(written_out))(x), rtol=1e-12)


# -- memory -------------------------------------------------------------------------------------


def test_sizes_of_blocks():
    for steps in (1, 2, 15, 16, 17, 10**6):
        for levels in (1, 2, 3):
            [size] = set(sizes_of_blocks("", steps, levels))
            assert size**levels >= steps
            assert size == 1 or (size - 1) ** levels < steps
    assert sizes_of_blocks("", None, 2) == ()


def buffers(way, size):
    """The arena's bytes, and the bytes of a row of each tape, in a gradient."""
    x = np.linspace(0.1, 1.0, size)

    def f(x, n):
        body = lambda s: (s[0] + 1, fnp.sin(s[1]))
        return fnp.sum(lax.while_loop(lambda s: s[0] < n, body, (0, x), **way)[1])

    text = fnad.jit(fnad.grad(f)).lower(x, 5).as_text("plan")
    [arena] = [int(line.split()[1]) for line in text.splitlines() if line.startswith("  arena")]
    tapes = [line.split(":")[1] for line in text.splitlines() if line.startswith("  tape")]
    return arena, tapes


def test_the_tape_holds_the_residuals_of_steps_alone():
    arena, tapes = buffers(TAPE, 500)
    assert tapes == [f"f64[{1 << 36},500]"]  # the cosine of each step
    assert arena < 4 * 500 * 8


@pytest.mark.parametrize("levels", [1, 2, 3])
def test_memory_of_checkpoints(levels):
    steps, value = 1_000_000, 500 * 8
    arena, tapes = buffers({"max_steps": steps, "levels": levels}, 500)
    size = sizes_of_blocks("", steps, levels)[0]
    wanted = size * value + (levels - 1) * size * value  # one residual as large as the value
    assert not tapes
    assert wanted <= arena <= 1.1 * wanted + 20 * value


def test_only_the_first_value_is_kept_for_the_backward_pass():
    _, pull = fnad.vjp(lambda x: loop(W, x, 50), X)
    kept = sum(np.size(leaf) for leaf in fnad.tree.leaves(pull))
    assert X.size < kept <= W.size + X.size + 3


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs limits of memory")
def test_no_memory_for_the_tape_is_an_error():
    program = """
        import resource
        import numpy as np, fnad, fnad.numpy as fnp
        from fnad import lax

        def f(x, n):
            body = lambda s: (s[0] + 1, fnp.sin(s[1]))
            return fnp.sum(lax.while_loop(lambda s: s[0] < n, body, (0, x))[1])

        g = fnad.jit(fnad.grad(f))
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
    if not os.path.exists("/proc/self/statm"):
        pytest.skip("needs /proc")
    run = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True
    )
    assert run.returncode == 0, run.stdout + run.stderr


def test_threads_have_tapes_of_their_own():
    g = fnad.jit(fnad.grad(lambda w, n: loss_of(loop)(w, X, n)))
    wanted = {n: g(W, n) for n in range(1, 9)}
    wrong = []

    def work(n):
        for _ in range(50):
            if not np.array_equal(g(W, n), wanted[n]):
                wrong.append(n)

    threads = [threading.Thread(target=work, args=(n,)) for n in wanted]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong


# -- other transforms ---------------------------------------------------------------------------


@main_ways
def test_what_stays_the_same_is_computed_once(way):
    def f(w, x, n):
        body = lambda s: (s[0] + 1, fnp.tanh(fnp.exp(w) @ s[1]))
        return fnp.sum(lax.while_loop(lambda s: s[0] < n, body, (0, x), **way)[1])

    text = fnad.jit(fnad.grad(f)).lower(W, X, 5).as_text("plan")
    assert text.count(" = exp(") == 1
    loops = [i for i, line in enumerate(text.splitlines()) if line.startswith(("  for", "  while"))]
    assert text.splitlines().index(next(s for s in text.splitlines() if " = exp(" in s)) < loops[0]


@main_ways
def test_taylor_mode_of_a_gradient(way):
    series = ((X, X**2),)
    _, found = fnad.jet.jet(fnad.grad(lambda x: loss_of(loop)(W, x, 4, **way)), (X,), series)
    _, wanted = fnad.jet.jet(fnad.grad(lambda x: loss_of(unrolled)(W, x, 4)), (X,), series)
    assert_allclose(found, wanted, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("way", [TAPE, TWO_LEVELS], ids=["tape", "2 levels"])
def test_sparse_hessians(way):
    f = lambda x: fnp.sum(loop_of_cubes(x, **way))
    found = fnad.hessian_sparse(f)(X)
    assert found.nnz == X.size
    assert_allclose(found.toarray(), fnad.hessian(f)(X), rtol=1e-12)


def loop_of_cubes(x, **way):
    return lax.while_loop(lambda s: s[0] < 2, lambda s: (s[0] + 1, s[1] ** 3), (0, x), **way)[1]
