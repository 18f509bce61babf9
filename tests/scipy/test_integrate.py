"""`fnad.scipy.integrate` against known solutions, SciPy and JAX; derivatives, failures, batches."""

from itertools import product

import numpy as np
import pytest
import scipy.integrate

import fnad
import fnad.numpy as fnp
from benchmarks.problems.initial_values import END, PROBLEMS
from benchmarks.suites.ode import reference
from fnad.scipy.integrate import (
    cumulative_trapezoid,
    odeint,
    simpson,
    solve_ivp,
    trapezoid,
)
from fnad.testing import check_grads

DETEST = {p.name: p for p in PROBLEMS}
TIGHT = {"rtol": 1e-10, "atol": 1e-10}


def van_der_pol(t, y, mu=1.0):
    return np.stack([y[1], mu * (1 - y[0] ** 2) * y[1] - y[0]])


def driven(t, y, a):
    return -a * y * np.sin(t) + np.stack([y[1], -y[0]])


@pytest.mark.parametrize("name", ["A5", "D2", "E3"])
def test_published_problems(name):
    """As accurate as SciPy's method of the same order, with about as many evaluations."""
    problem, tol = DETEST[name], 1e-6
    exact, start = reference(problem), np.asarray(problem.start, float)
    ours = solve_ivp(problem.slope, (0.0, END), start, rtol=tol, atol=tol, t_eval=np.array([END]))
    theirs = scipy.integrate.solve_ivp(problem.slope, (0.0, END), start, rtol=tol, atol=tol)
    error, their_error = (np.max(np.abs(y[:, -1] - exact)) for y in (ours.y, theirs.y))
    assert ours.success and error < 2 * their_error and error < 1e3 * tol
    assert int(ours.nfev) < 1.2 * theirs.nfev


def test_published_starts_satisfy_what_the_paper_says():
    assert len(PROBLEMS) == 25
    planets = np.asarray(DETEST["C5"].start[:15]).reshape(5, 3)  # Jupiter to Pluto, in AU
    distances = np.linalg.norm(planets, axis=1)
    np.testing.assert_allclose(distances, [4.98, 9.19, 19.6, 30.2, 38.6], rtol=0.01)
    e1 = DETEST["E1"].start
    np.testing.assert_allclose(e1[0], np.sqrt(2 / np.pi) * np.sin(1.0), rtol=1e-14)


def test_odeint_is_exact_where_the_solution_is_known():
    times = np.array([0.0, 0.5, 0.5, 2.0])
    for sign in (1, -1):
        y = odeint(lambda y, t, rate: -rate * y, np.array([1.0, 2.0]), sign * times, 0.7)
        expected = np.exp(-0.7 * sign * times)[:, None] * [1.0, 2.0]
        np.testing.assert_allclose(y, expected, rtol=1e-7)
    assert odeint(lambda y, t: y, 3.0, np.array([1.0])) == 3.0


def test_pytrees_and_closed_over_arrays():
    def slope(y, t):
        return {"x": y["v"], "v": -matrix @ y["x"]}

    matrix = np.diag([1.0, 4.0])
    y = odeint(slope, {"x": np.array([1.0, 1.0]), "v": np.zeros(2)}, np.linspace(0, 2, 3))
    np.testing.assert_allclose(y["x"][:, 0], np.cos([0, 1, 2]), atol=1e-6)
    np.testing.assert_allclose(y["x"][:, 1], np.cos([0, 2, 4]), atol=1e-6)
    assert y["v"].shape == (3, 2)


def test_lists_are_arrays():
    ours = solve_ivp(lambda t, y: [y[1], -y[0]], (0, 1), [0.0, 1.0], max_steps=50, **TIGHT)
    np.testing.assert_allclose(ours.y[:, -1], [np.sin(1), np.cos(1)], rtol=1e-8)
    ours = odeint(lambda y, t: (y[1], -y[0]), [0, 1], [0.0, 1.0])
    np.testing.assert_allclose(ours[-1], [np.sin(1), np.cos(1)], rtol=1e-6)


def test_dtypes():
    wave = solve_ivp(lambda t, y: 1j * y, (0.0, 1.0), np.array([1.0 + 0j]), **TIGHT)
    np.testing.assert_allclose(wave.y[:, -1], np.exp(1j), rtol=1e-8)
    for dtype in (np.float32, np.complex64):
        result = solve_ivp(lambda t, y: -y, (0.0, 1.0), np.ones(1, dtype), max_steps=100)
        assert result.y.dtype == dtype and result.t.dtype == np.float32
        np.testing.assert_allclose(result.y[0, -1], np.exp(-1), rtol=2e-3)
    assert odeint(lambda y, t: -y, np.float32(1), np.array([0, 1]), rtol=1e-4).dtype == np.float32
    assert odeint(lambda y, t: -y, 1, np.array([0.0, 1.0])).dtype == np.float64


def test_results_are_those_of_scipy():
    span, y0, times = (0.0, 10.0), np.array([2.0, 0.0]), np.linspace(0.0, 10.0, 7)
    options = {"args": (1.0,), "rtol": 1e-8, "atol": 1e-10}
    ours = solve_ivp(van_der_pol, span, y0, dense_output=True, max_steps=300, **options)
    theirs = scipy.integrate.solve_ivp(van_der_pol, span, y0, dense_output=True, **options)
    n = int(ours.nsteps)
    assert ours.t.shape == (301,) and ours.y.shape == (2, 301)
    assert np.all(np.diff(ours.t[: n + 1]) > 0) and np.all(ours.t[n:] == 10.0)
    np.testing.assert_allclose(ours.y[:, -1], theirs.y[:, -1], rtol=1e-6)
    np.testing.assert_allclose(ours.sol(times), theirs.sol(times), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(ours.sol(ours.t), ours.y, rtol=1e-12, atol=1e-12)
    assert ours.sol(1.0).shape == (2,) and ours.sol(np.ones((2, 3))).shape == (2, 2, 3)
    at = solve_ivp(van_der_pol, span, y0, t_eval=times, **options)
    np.testing.assert_allclose(at.y, ours.sol(times), rtol=1e-12, atol=1e-12)
    assert at.sol is None and int(at.nfev) == int(ours.nfev) and "reached" in at.message
    both = solve_ivp(van_der_pol, span, y0, t_eval=times, dense_output=True, **options)
    np.testing.assert_allclose(both.y, at.y, rtol=1e-12, atol=1e-12)


def test_the_function_is_not_evaluated_outside_of_the_span():
    def slope(t, y):
        return np.where((t >= 0) & (t <= 1), -y, np.nan)

    for span in ((0.0, 1.0), (1.0, 0.0)):
        result = solve_ivp(slope, span, np.ones(1), t_eval=np.array(span), **TIGHT)
        np.testing.assert_allclose(result.y[0, -1], np.exp(span[0] - span[1]), rtol=1e-9)


def test_tolerances_and_bounds_of_steps():
    coarse = solve_ivp(van_der_pol, (0.0, 5.0), np.array([2.0, 0.0]), max_steps=200)
    atol = np.array([1e-6, 1e-9])
    fine = solve_ivp(van_der_pol, (0.0, 5.0), np.array([2.0, 0.0]), max_steps=200, atol=atol)
    assert int(fine.nfev) > int(coarse.nfev)
    short = solve_ivp(lambda t, y: -y, (0.0, 1.0), 1.0, max_step=0.1, max_steps=50)
    assert np.max(np.diff(short.t)) <= 0.1 * 1.011
    first = solve_ivp(lambda t, y: -y, (0.0, 1.0), 1.0, first_step=0.01, max_steps=50)
    np.testing.assert_allclose(first.t[1], 0.01)


def test_failures_are_told_and_never_numbers():
    singular = solve_ivp(lambda t, y: y * y, (0.0, 2.0), 1.0, dense_output=True)
    assert int(singular.status) == -1 and not singular.success and "singular" in singular.message
    assert np.isnan(singular.y[-1]) and np.isnan(singular.sol(1.5))
    np.testing.assert_allclose(singular.sol(0.5), 2.0, rtol=2e-3)
    for dense in (False, True):
        few = solve_ivp(
            van_der_pol, (0.0, 20.0), np.array([2.0, 0.0]), max_steps=10, dense_output=dense
        )
        assert int(few.status) == -2 and np.all(np.isnan(few.y[:, -1]))
    assert np.all(np.isnan(few.sol(19.0)))
    y = odeint(lambda y, t: y * y, 1.0, np.array([0.0, 0.5, 1.5]))
    np.testing.assert_allclose(y[:2], [1.0, 2.0], rtol=1e-6)
    assert np.isnan(y[2])
    assert np.isnan(odeint(lambda y, t: -y, 1.0, np.array([0.0, 1.0]), mxstep=2)[1])
    assert np.all(np.isnan(odeint(lambda y, t: -y, 1.0, np.array([0.0, 2.0, 1.0]))[1:]))
    for dense, times in product((False, True), ([0.5, 2.0], [-1.0, 0.5], [0.5, 0.2], [np.nan])):
        mixed = solve_ivp(
            lambda t, y: -y, (0.0, 1.0), 1.0, t_eval=np.array(times), dense_output=dense
        )
        assert int(mixed.status) == -3 and np.all(np.isnan(mixed.y))
    for span in ((0.0, np.nan), (np.nan, 1.0)):
        nowhere = solve_ivp(lambda t, y: -y, span, 1.0)
        assert int(nowhere.status) == -3 and not nowhere.success and np.isnan(nowhere.y[-1])
    slope = fnad.grad(lambda y0: odeint(lambda y, t: y * y, y0, np.array([0.0, 1.5]))[1])(1.0)
    assert np.isnan(slope)


def test_reverse_mode_of_odeint():
    y0 = {"u": np.float64(1.0), "v": np.array([0.5, 0.2])}
    times = np.array([0.1, 0.5, 0.7, 2.0])

    @fnad.jit
    def solution(y0, times, a, b):
        def slope(y, t, a):  # b is closed over
            return {"u": -a * y["u"] + y["v"].sum() * t, "v": -y["v"] * b + y["u"]}

        return odeint(slope, y0, times, a, **TIGHT)

    args = (y0, times, 0.3, np.array([1.0, 2.0]))
    check_grads(solution, args, order=1, modes=("rev",), rtol=1e-6, atol=1e-6)


@pytest.mark.slow
def test_gradients_are_those_of_jax():
    jax = pytest.importorskip("jax")
    from jax.experimental.ode import odeint as of_jax

    def loss(solve, y0, t, a):
        return (solve(lambda y, t, a: -a * y * t + y[::-1], y0, t, a)[1:] ** 2).sum()

    y0, t, a = np.array([1.0, 0.5]), np.array([0.0, 0.7, 1.5]), np.float64(0.4)
    ours = fnad.grad(lambda *x: loss(odeint, *x), argnums=(0, 1, 2))(y0, t, a)
    jax.config.update("jax_enable_x64", True)
    try:
        theirs = jax.grad(lambda *x: loss(of_jax, *x), argnums=(0, 1, 2))(y0, t, a)
    finally:
        jax.config.update("jax_enable_x64", False)
    for x, y in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-5)


@pytest.mark.parametrize(
    "kind", [*(pytest.param(k, marks=pytest.mark.slow) for k in ("times", "steps")), "dense"]
)
def test_reverse_mode_of_solve_ivp(kind):
    y0 = np.array([1.0, 0.5])

    @fnad.jit
    def solution(y0, a, begin, end, inside):
        options = {**TIGHT, "max_steps": 150, "args": (a,)}
        if kind == "times":
            return solve_ivp(driven, (begin, -2.0), y0, t_eval=-inside, **options).y
        result = solve_ivp(driven, (begin, end), y0, dense_output=kind == "dense", **options)
        return result.sol(inside) if kind == "dense" else result.y[:, -1]

    args = (y0, 0.7, 0.1, 2.5, np.array([0.3, 1.7]))
    check_grads(solution, args, order=1, modes=("rev",), rtol=1e-5, atol=1e-6)


def test_integer_arguments_and_second_derivatives():
    times = np.array([0.0, 1.0])

    def last(a, n):
        return odeint(lambda y, t, a, n: -a * y * n, 1.0, times, a, n, **TIGHT)[1]

    np.testing.assert_allclose(fnad.grad(fnad.grad(last))(0.5, 1), np.exp(-0.5), rtol=1e-8)


def test_cotangents_of_complex_states():
    times = np.array([0.0, 1.0])

    def turned(w):
        y = odeint(lambda y, t, w: 1j * w * y, np.complex128(1.0), times, w, **TIGHT)[1]
        return fnad.numpy.real(y)

    np.testing.assert_allclose(fnad.grad(turned)(0.8), -np.sin(0.8), rtol=1e-8)


def test_derivatives_of_the_steps():
    times = np.array([0.0, 0.5, 2.0])

    @fnad.jit
    def solution(y0, a):
        return odeint(lambda y, t: driven(t, y, a), y0, times, adjoint=False, **TIGHT)

    check_grads(solution, (np.array([1.0, 0.5]), 0.7), order=1, atol=1e-6)

    with pytest.raises(TypeError, match="with adjoint=False it does"):
        fnad.jvp(lambda a: odeint(lambda y, t: -a * y, 1.0, times), (1.0,), (1.0,))

    def to(end):
        return solve_ivp(lambda t, y: y, (0.0, end), 1.0, adjoint=False, max_steps=99, **TIGHT)

    _, slope = fnad.jvp(lambda end: to(end).y[-1], (1.0,), (1.0,))
    np.testing.assert_allclose(slope, np.e, rtol=1e-6)


def test_batches_have_steps_of_their_own(rng):
    starts, mus = rng.normal(size=(3, 2)), np.array([0.1, 1.0, 5.0])

    def solve(y0, mu):
        return solve_ivp(van_der_pol, (0.0, 3.0), y0, args=(mu,), max_steps=300, **TIGHT)

    batched = fnad.jit(fnad.vmap(solve))(starts, mus)
    single = solve(starts[1], mus[1])
    np.testing.assert_allclose(batched.y[1, :, -1], single.y[:, -1], rtol=1e-9)
    assert int(batched.nfev[1]) == int(single.nfev) and len(set(batched.nfev.tolist())) == 3

    def last(y0, mu):
        return odeint(lambda y, t: -mu * y, y0, np.array([0.0, 1.0]))[1]

    slopes = fnad.vmap(fnad.grad(last, argnums=1))(starts[:, 0], mus)
    np.testing.assert_allclose(slopes, -starts[:, 0] * np.exp(-mus), rtol=1e-6)


@pytest.mark.parametrize(
    ("call", "error", "says"),
    [
        (lambda: solve_ivp(van_der_pol, (0, 1), np.ones(2), method="BDF"), ValueError, "'BDF'"),
        (lambda: solve_ivp(van_der_pol, (0, 1), np.ones(2), t_eval=1.0), ValueError, "a vector"),
        (lambda: solve_ivp(van_der_pol, (0, 1), np.ones(2), max_steps=0), ValueError, "at least 1"),
        (lambda: solve_ivp(lambda t, y: y[0], (0, 1), np.ones(2)), TypeError, "what fun returns"),
        (lambda: solve_ivp(lambda t, y: 1j * y, (0, 1), np.ones(2)), TypeError, "is complex"),
        (lambda: solve_ivp(van_der_pol, (0, 1), np.ones(2), args=1.0), TypeError, r"args=\(value"),
        (lambda: solve_ivp(van_der_pol, (0, 1j), np.ones(2)), TypeError, "end of t_span .* real"),
        (
            lambda: solve_ivp(van_der_pol, (0, 1, 2), np.ones(2)),
            ValueError,
            "t_span must be a pair",
        ),
        (lambda: solve_ivp(van_der_pol, (0, 1), np.ones(2), max_step=-1.0), ValueError, "max_step"),
        (
            lambda: solve_ivp(van_der_pol, (0, 1), np.ones(2), first_step=0),
            ValueError,
            "first_step",
        ),
        (
            lambda: solve_ivp(van_der_pol, (0, 1), np.ones(2), rtol=-1.0),
            ValueError,
            "rtol must not",
        ),
        (lambda: solve_ivp(van_der_pol, (0, 1), np.ones(2), events=abs), TypeError, "no events"),
        (lambda: odeint(lambda y, t: y, 1.0, np.ones(2), hmax=0.0), ValueError, "hmax"),
        (lambda: odeint(lambda y, t: y, 1.0, np.ones(2), atol="a"), TypeError, "atol must be real"),
        (lambda: odeint(lambda y, t: y, 1.0, 2.0), ValueError, "must be a vector"),
        (lambda: odeint(lambda y, t: (y, y), 1.0, np.ones(2)), TypeError, "what func returns"),
    ],
)
def test_errors_say_what_was_wrong(call, error, says):
    with pytest.raises(error, match=says):
        call()


def test_each_element_has_its_tolerances():
    def end(y0, **tolerances):
        return solve_ivp(van_der_pol, (0.0, 3.0), y0, t_eval=np.array([3.0]), **tolerances).y

    y0, each = np.array([2.0, 0.0]), {"rtol": np.array([1e-9, 1e-10]), "atol": [1e-9, 1e-10]}
    strict = {"rtol": 1e-12, "atol": 1e-12}
    for f in (end, fnad.jacrev(end)):
        np.testing.assert_allclose(f(y0, **each), f(y0, **strict), 1e-7, atol=1e-7)


@pytest.mark.parametrize("adjoint", [True, False])
def test_at_the_beginning_the_slope_is_that_of_the_equation(adjoint):
    def between(begin, end):
        return solve_ivp(
            lambda t, y: 3 * y, (begin, end), 2.0, t_eval=fnp.stack([end]), adjoint=adjoint
        ).y[0]

    def twice(time):
        return odeint(lambda y, t: 3 * y, 2.0, fnp.stack([0.0 * time, time]), adjoint=adjoint)[1]

    np.testing.assert_allclose(fnad.grad(between, argnums=(0, 1))(1.0, 1.0), [-6.0, 6.0])
    np.testing.assert_allclose(fnad.grad(twice)(0.0), 6.0)


@pytest.mark.parametrize("count", [1, 2, 6, 7])
@pytest.mark.parametrize("axis", [0, 1])
def test_sums_over_samples_are_scipys(count, axis, rng):
    shape = (count, 3) if axis == 0 else (3, count)
    y, x = rng.normal(size=shape), np.sort(rng.normal(size=count))
    for name, ours in (("simpson", simpson), ("trapezoid", trapezoid)):
        theirs = getattr(scipy.integrate, name)
        np.testing.assert_allclose(ours(y, x, axis=axis), theirs(y, x, axis=axis), atol=1e-12)
        np.testing.assert_allclose(
            fnad.jit(lambda y, f=ours: f(y, dx=0.3, axis=axis))(y),
            theirs(y, dx=0.3, axis=axis), atol=1e-12,
        )  # fmt: skip
    for options in ({"x": x}, {"dx": 0.3, "initial": 0}):
        got = cumulative_trapezoid(y, axis=axis, **options)
        expected = scipy.integrate.cumulative_trapezoid(y, axis=axis, **options)
        np.testing.assert_allclose(got, expected, atol=1e-12)


@pytest.mark.parametrize("x", [[0, 1, 1, 2, 3], [0, 0, 1, 2], [0, 1, 2, 2], [1, 1, 1, 1]])
def test_simpson_where_coordinates_coincide(x):
    x = np.array(x, float)
    y = np.cos(x) + np.arange(len(x))
    expected = scipy.integrate.simpson(y, x=x)
    for run in (simpson, fnad.jit(simpson)):
        np.testing.assert_allclose(run(y, x), expected, atol=1e-14)
    slopes = fnad.jit(fnad.grad(simpson))(y, x)
    np.testing.assert_allclose(slopes @ y, expected, atol=1e-14)
    # Next to that it grows without bounds, but for a last interval of an even number of samples.
    finite = x[-1] == x[-2] != x[-3]
    assert np.isfinite(fnad.jit(fnad.grad(simpson, 1))(y, x)).all() == finite


def test_sums_over_samples_differentiate_and_keep_dtypes(rng):
    y = rng.normal(size=(2, 6))
    check_grads(lambda y: (simpson(y), cumulative_trapezoid(y)), (y,), order=1)
    assert simpson(y.astype(np.float32)).dtype == np.float32
    assert simpson(np.arange(5)) == 8.0
    with pytest.raises(ValueError, match="initial must be None or 0"):
        cumulative_trapezoid(y, initial=1)
    with pytest.raises(ValueError, match="of one length"):
        simpson(y, np.arange(5.0))
    with pytest.raises(ValueError, match="at least one sample"):
        simpson(np.zeros((2, 0)))
