"""Taylor mode against nested jvps, mpmath's Taylor coefficients, and JAX's."""

import math

import mpmath
import numpy as np
import pytest

import fnad
from fnad import lax
from fnad import numpy as fnp
from fnad.jet import jet
from fnad.scipy import special
from fnad.testing.primitive import Sample
from tests.samples import SAMPLES

ORDER = 3


def nested(fun, primals, series):
    """Derivatives along the curve, by a jvp an order: what `jet` is to give."""

    def along(z):
        points = []
        for x, terms in zip(primals, series):
            for k, term in enumerate(terms):
                x = x + term * (z ** (k + 1) / math.factorial(k + 1))
            points.append(x)
        return fun(*points)

    found, derivative = [], along
    for _ in series[0]:
        derivative = lambda z, f=derivative: fnad.jvp(f, (z,), (1.0,))[1]
        found.append(derivative(0.0))
    return found


def curve(x, order=ORDER, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.normal(size=np.shape(x)).astype(np.asarray(x).dtype)[()] for _ in range(order)]


def compare(fun, *primals, order=ORDER, rtol=1e-9, atol=1e-9, compiled=False):
    series = [curve(x, order, i) for i, x in enumerate(primals)]
    out, found = jet(fun, primals, series)
    np.testing.assert_allclose(out, fun(*primals), rtol=1e-12)
    for got, want in zip(found, nested(fun, primals, series), strict=True):
        np.testing.assert_allclose(got, want, rtol=rtol, atol=atol)
    if not compiled:
        return
    again = fnad.jit(lambda primals, series: jet(fun, primals, series))(primals, series)
    for got, want in zip(again[1], found, strict=True):
        np.testing.assert_allclose(got, want, rtol=rtol, atol=atol)


def smooth_samples():
    for name in sorted(SAMPLES):
        fitting = [sample for sample in SAMPLES[name] if goes_through(sample)]
        for i, sample in enumerate(fitting[:2]):
            yield pytest.param(name, sample, id=f"{name}-{i}")


def goes_through(sample: Sample) -> bool:
    args = [np.asarray(a) for a in sample.args]
    kinds = [a.dtype.kind for a in args]
    return (
        sample.order >= 2
        and "float64" in sample.dtypes
        and sum(a.size for a in args) < 40
        and "f" in kinds
        and "c" not in kinds
    )


@pytest.mark.parametrize("name, sample", list(smooth_samples()))
def test_every_primitive(name, sample):
    """To order 2 against nested jvps, by rules or by what follows from jvp rules."""
    from tests.test_primitives import PRIMITIVES

    primitive = PRIMITIVES[name]
    if "jvp" not in primitive.rules:  # it only stands in compiled programs
        pytest.skip(f"{name} has no jvp rule")
    args = [np.asarray(a)[()] for a in sample.args]
    moving = [i for i, a in enumerate(args) if a.dtype.kind == "f"]

    def fun(*floats):
        whole = list(args)
        for i, x in zip(moving, floats):
            whole[i] = x
        outs = primitive.bind(*whole, **sample.params)
        outs = outs if primitive.multiple_results else [outs]
        return [out for out in outs if out.dtype.kind == "f"]

    primals = [args[i] for i in moving]
    series = [[0.1 * t for t in curve(x, 2, i)] for i, x in enumerate(primals)]
    found = jet(fun, primals, series)[1]
    for k, want in enumerate(nested(fun, primals, series)):
        for got, right in zip(found, want, strict=True):
            scale = np.max(np.abs(right), initial=1.0)
            np.testing.assert_allclose(got[k], right, rtol=1e-7, atol=1e-9 * scale)


@pytest.mark.parametrize(
    "fun, reference, at",
    [
        (np.exp, mpmath.exp, 0.3),
        (np.expm1, mpmath.expm1, 0.3),
        (np.log, mpmath.log, 0.7),
        (np.log1p, lambda x: mpmath.log(1 + x), 0.7),
        (np.sin, mpmath.sin, 0.4),
        (np.cos, mpmath.cos, 0.4),
        (np.tan, mpmath.tan, 0.4),
        (np.tanh, mpmath.tanh, 0.4),
        (np.sinh, mpmath.sinh, 0.4),
        (np.arcsin, mpmath.asin, 0.3),
        (np.arctan, mpmath.atan, 0.3),
        (np.arcsinh, mpmath.asinh, 0.3),
        (np.sqrt, mpmath.sqrt, 0.8),
        (np.cbrt, mpmath.cbrt, 0.8),
        (lax.rsqrt, lambda x: 1 / mpmath.sqrt(x), 0.8),
        (np.reciprocal, lambda x: 1 / x, 0.8),
        (lax.logistic, lambda x: 1 / (1 + mpmath.exp(-x)), 0.2),
        (special.erf, mpmath.erf, 0.3),
        (special.gammaln, mpmath.loggamma, 1.7),
        (lambda x: x**3, lambda x: x**3, 0.6),
        (lambda x: x**-3, lambda x: x**-3, 0.6),
        (lambda x: x**2.5, lambda x: x**2.5, 0.6),
        (lambda x: x**x, lambda x: x**x, 0.6),
        (lambda x: fnp.arctan2(x, 2.0 + x * x), lambda x: mpmath.atan2(x, 2 + x * x), 0.3),
        (
            lambda x: np.exp(np.sin(x) / (1 + x * x)),
            lambda x: mpmath.exp(mpmath.sin(x) / (1 + x * x)),
            0.5,
        ),
    ],
)
def test_coefficients_to_order_ten_against_mpmath(fun, reference, at):
    order = 10
    series = ([1.0] + [0.0] * (order - 1),)
    out, found = jet(fun, (at,), series, factorial_scaled=False)
    with mpmath.workdps(40):
        want = [float(c) for c in mpmath.taylor(reference, mpmath.mpf(at), order)]
    np.testing.assert_allclose([out, *found], want, rtol=3e-13, atol=1e-15)


def test_powers_at_zero():
    """Where logarithms would give NaN."""
    line = ([1.0, 0.0, 0.0],)
    np.testing.assert_array_equal(jet(lambda x: x**2, (0.0,), line)[1], [0.0, 2.0, 0.0])
    np.testing.assert_array_equal(jet(lambda x: x**2.0, (0.0,), line)[1], [0.0, 2.0, 0.0])
    np.testing.assert_array_equal(jet(lambda x: x * x * x, (0.0,), line)[1], [0.0, 0.0, 6.0])


def test_products_and_linear_maps():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 3)), rng.normal(size=(3, 2))
    compare(np.matmul, a, b)
    compare(lambda a: a @ b, a)
    compare(lambda a: np.einsum("ij,kj->ik", a, a), a)
    compare(lambda x, w: lax.conv(x, w, (1,), "SAME"), a[None], rng.normal(size=(3, 2, 2)))
    compare(lambda a: fnp.concatenate([np.sum(a, 0), a[1, ::-1] ** 2, np.cumsum(a[0])]), a)
    compare(lambda a, b: fnp.where(a > 0, np.sin(a), a * b.T), a, b)
    compare(lambda a: fnp.at(a)[np.array([0, 1]), np.array([2, 2])].add(a[:, 0] ** 2), a)


def test_extrema_and_order():
    x = np.random.default_rng(0).normal(size=6)
    compare(lambda x: np.max(np.sin(x)) * np.sort(x**2), x)
    compare(lambda x: np.abs(x) + np.floor(x) * x + np.maximum(x, 0.1) ** 2, x)
    compare(lambda x: special.logsumexp(x) + np.prod(x) + np.linalg.norm(x), x)


def test_networks():
    rng = np.random.default_rng(0)
    weights = [rng.normal(size=(4, 4)) * 0.5 for _ in range(3)]

    def network(x, weights):
        for w in weights:
            x = np.tanh(w @ x)
        return np.sum(fnad.nn.softmax(x) * x)

    x = rng.normal(size=4)
    compare(lambda x: network(x, weights), x)
    compare(lambda x, *ws: network(x, ws), x, *weights, compiled=True)


def test_linear_algebra():
    a = np.random.default_rng(0).normal(size=(3, 3)) + 4 * np.eye(3)
    compare(lambda a: np.linalg.inv(a), a, order=3)
    compare(lambda a: np.linalg.slogdet(a)[1], a, order=3)
    compare(lambda a: np.linalg.cholesky(a @ a.T), a, order=3)
    compare(lambda a, b: np.linalg.solve(a, b), a, a[0], order=3)


def test_loops():
    x = np.array([0.3, -0.2, 0.5])
    compare(lambda x: lax.scan(lambda c, y: (np.sin(c + y), c * y), 0.1, x)[0], x)
    compare(lambda x: lax.scan(lambda c, y: (np.sin(c + y), c * y), 0.1, x)[1], x)
    compare(lambda x: lax.scan(lambda c, y: (c * x[0], y), x[1], None, length=3)[0], x)
    compare(lambda x: lax.fori_loop(0, 3, lambda i, c: np.sin(c) * x, x), x, compiled=True)
    compare(lambda x: lax.while_loop(lambda c: np.sum(c) < 9, lambda c: c + c * c + 1, x), x)


@pytest.mark.parametrize("max_steps", [None, 20])
def test_gradients_of_while_loops(max_steps):
    def fun(x):
        grow = lambda c: c * c + 0.1 * x
        return np.sum(lax.while_loop(lambda c: np.sum(c) < 50, grow, x, max_steps=max_steps))

    compare(fnad.grad(fun), np.array([1.1, 1.3]), order=2, rtol=1e-8)


def test_branches_and_calls():
    x = np.array([0.3, -0.2])
    for sign in (1.0, -1.0):
        branch = lambda x, s=sign: lax.cond(s * x[0] > 0, np.sin, lambda x: x * x, x)
        compare(branch, x, compiled=True)
    compare(lambda x: lax.switch(1, [np.sin, np.cos, lambda x: np.ones(2)], x), x)
    compare(fnad.jit(lambda x: np.sin(x) * x), x)
    compare(fnad.checkpoint(lambda x: np.sin(np.sin(x))), x)
    compare(lambda x: fnad.stop_gradient(np.sin(x)) * x, x)


def test_custom_rules_are_followed():
    @fnad.custom_jvp
    def doubled(x):
        return x

    doubled.defjvp(lambda xs, ts: (xs[0], 2.0 * np.cos(xs[0]) * ts[0]))
    compare(lambda x: doubled(x * x), 0.4)

    @fnad.custom_vjp
    def reverse_only(x):
        return x

    reverse_only.defvjp(lambda x: (x, None), lambda _, ct: (ct,))
    with pytest.raises(TypeError, match="does not go through reverse_only"):
        jet(reverse_only, (1.0,), ([1.0],))


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex128])
def test_dtypes(dtype):
    x = np.array([0.5, 1.5], dtype)
    out, (first, second) = jet(lambda x: np.exp(x) * x, (x,), ([x, x * 0],))
    assert out.dtype == first.dtype == second.dtype == dtype
    np.testing.assert_allclose(first, np.exp(x) * (x + 1) * x, 1e-6)
    np.testing.assert_allclose(second, np.exp(x) * (x + 2) * x * x, 1e-6)


def test_other_transforms():
    fun = lambda x: jet(np.sin, (x,), ([1.0, 0.0, 0.0],))[1][2]
    assert fun(0.3) == pytest.approx(-np.cos(0.3))
    assert fnad.grad(fun)(0.3) == pytest.approx(np.sin(0.3))
    points = np.linspace(0, 1, 5)
    np.testing.assert_allclose(fnad.vmap(fun)(points), -np.cos(points))
    np.testing.assert_allclose(fnad.jit(fnad.vmap(fnad.grad(fun)))(points), np.sin(points))
    inner = lambda z: jet(np.sin, (z,), ([1.0],))[1][0]
    assert jet(inner, (0.3,), ([1.0],))[1][0] == pytest.approx(-np.sin(0.3))


def test_pytrees_integers_and_results_without_coefficients():
    def fun(tree, n):
        return {"a": tree["x"] ** 2 * n, "b": n + 1, "c": 3.0}

    primals = ({"x": np.array([1.0, 2.0])}, 3)
    out, found = jet(fun, primals, ([{"x": np.ones(2)}, {"x": np.zeros(2)}], [0, 0]))
    np.testing.assert_array_equal(out["a"], [3.0, 12.0])
    np.testing.assert_array_equal(found["a"], [[6.0, 12.0], [6.0, 6.0]])
    np.testing.assert_array_equal(found["c"], [0.0, 0.0])
    assert jet(np.sin, (0.5,), ([],)) == (np.sin(0.5), [])
    still = np.zeros((), fnad.float0)
    assert jet(np.multiply, (0.5, 3), ([1.0], [still]))[1] == [3.0]


def test_bad_arguments_are_named():
    with pytest.raises(TypeError, match="as tuples with one entry an argument"):
        jet(np.sin, 1.0, ([1.0],))
    with pytest.raises(ValueError, match="1 primals need as many series, got 2"):
        jet(np.sin, (1.0,), ([1.0], [1.0]))
    with pytest.raises(ValueError, match=r"must have one length, got \[1, 2\]"):
        jet(np.add, (1.0, 1.0), ([1.0], [1.0, 2.0]))
    with pytest.raises(TypeError, match=r"series\[0\]\[1\] must be of the type of the argument"):
        jet(np.sin, (np.ones(2),), ([np.ones(2), np.ones(3)],))
    with pytest.raises(TypeError, match=r"type i64\[2\], which cannot move along a curve"):
        jet(np.sin, (np.arange(2),), ([np.ones(2)],))
    with pytest.raises(TypeError, match=r"series\[0\] must be a list of coefficients"):
        jet(np.sin, (np.ones(2),), (np.ones(2),))


def test_programs_grow_with_the_square_of_the_order():
    def size(fun, order):
        maker = fnad.make_jaxpr(lambda x: jet(fun, (x,), ([1.0] + [0.0] * (order - 1),)))
        return len(maker(0.3).eqns)

    for fun in (np.tanh, np.sin, lambda x: np.exp(x) / (1 + x)):
        assert size(fun, 20) < 5 * size(fun, 10)
    assert size(special.gammaln, 12) < 12**3


def test_agrees_with_jax():
    jax = pytest.importorskip("jax")
    from jax.experimental.jet import jet as jax_jet

    jnp = jax.numpy
    x = np.array([0.3, 0.7])
    series = ([np.array([1.0, 0.5]), np.array([0.2, -0.1]), np.array([0.3, 0.4])],)
    with jax.enable_x64(True):
        for ours, theirs in [
            (lambda x: np.sin(x) * np.exp(x), lambda x: jnp.sin(x) * jnp.exp(x)),
            (lambda x: np.tanh(x @ x), lambda x: jnp.tanh(x @ x)),
            (lambda x: lax.logistic(x) / np.sqrt(x), lambda x: jax.nn.sigmoid(x) / jnp.sqrt(x)),
        ]:
            for scaled in (True, False):
                out, found = jet(ours, (x,), series, factorial_scaled=scaled)
                want, terms = jax_jet(theirs, (x,), series, factorial_scaled=scaled)
                np.testing.assert_allclose(out, want, rtol=1e-12)
                np.testing.assert_allclose(np.stack(found), np.stack(terms), rtol=1e-11)
