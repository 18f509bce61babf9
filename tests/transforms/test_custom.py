"""custom_jvp and custom_vjp: rules in every combination of transforms, and their errors."""

import numpy as np
import pytest

import fnad.numpy as fnp
from fnad.primitives.checkpoint import checkpoint
from fnad.primitives.control_flow import scan
from fnad.primitives.custom import SymbolicZero, custom_jvp, custom_vjp
from fnad.transforms.autodiff import grad, jvp
from fnad.transforms.jacobians import hessian, jacrev
from fnad.transforms.jit import jit
from fnad.transforms.vmap import vmap

XS = np.linspace(0.1, 1.0, 5)


@custom_jvp
def ten_sin(x):
    return fnp.sin(x)


@ten_sin.defjvp
def _(primals, tangents):
    (x,), (t,) = primals, tangents
    return ten_sin(x), 10.0 * fnp.cos(x) * t


@custom_vjp
def ten_sin_back(x):
    return fnp.sin(x)


def _forward(x):
    return ten_sin_back(x), x


def _backward(x, ct):
    return (10.0 * fnp.cos(x) * ct,)


ten_sin_back.defvjp(_forward, _backward)


@pytest.mark.parametrize("f", [ten_sin, ten_sin_back])
def test_rules_survive_transforms_in_any_order(f):
    first, second = 10 * np.cos(XS), -10 * np.sin(XS)

    def total(g):
        return lambda xs: fnp.sum(vmap(g)(xs))

    for g in (
        f,
        jit(f),
        checkpoint(f),
        jit(jit(f)),
        lambda x: scan(lambda c, _: (f(c), None), x, None, 1)[0],
    ):
        np.testing.assert_allclose(vmap(g)(XS), np.sin(XS))
        np.testing.assert_allclose(vmap(grad(g))(XS), first)
        np.testing.assert_allclose(jit(vmap(grad(g)))(XS), first)
        np.testing.assert_allclose(grad(total(g))(XS), first)
        np.testing.assert_allclose(grad(jit(total(g)))(XS), first)
        np.testing.assert_allclose(vmap(grad(grad(g)))(XS), second)
        np.testing.assert_allclose([grad(g)(x) for x in XS], first)


def test_forward_mode():
    np.testing.assert_allclose(jvp(ten_sin, (0.3,), (1.0,))[1], 10 * np.cos(0.3))
    with pytest.raises(TypeError, match=r"forward-mode.*custom_vjp"):
        jvp(ten_sin_back, (0.3,), (1.0,))


def test_defjvps_and_keyword_arguments():
    @custom_jvp
    def f(x, y=2.0):
        return x * y

    f.defjvps(lambda t, ans, x, y: 5.0 * t, None)
    assert grad(lambda x: f(x))(3.0) == 5.0
    assert grad(lambda x: f(y=x, x=x))(3.0) == 5.0


def test_nondiff_argnums():
    f = custom_vjp(lambda g, x, y: g(x) * y, nondiff_argnums=(0,))
    f.defvjp(lambda g, x, y: (f(g, x, y), (x, y)), lambda g, r, ct: (7.0 * ct, None))
    assert grad(f, 1)(fnp.sin, 0.3, 2.0) == 7.0
    assert grad(f, 2)(fnp.sin, 0.3, 2.0) == 0.0


def test_pytrees_and_integer_arguments():
    @custom_vjp
    def f(d, n):
        return {"out": d["a"] * n, "n": n}

    f.defvjp(lambda d, n: (f(d, n), (d, n)), lambda r, ct: ({"a": 3 * ct["out"], "b": None}, None))
    g = grad(lambda d: f(d, 4)["out"])({"a": 1.0, "b": np.ones(2)})
    assert g["a"] == 3.0
    np.testing.assert_array_equal(g["b"], np.zeros(2))


def test_shared_argument_of_a_batch_gets_the_sum():
    @custom_vjp
    def f(x, w):
        return x * w

    f.defvjp(lambda x, w: (f(x, w), (x, w)), lambda r, ct: (ct * r[1], ct * r[0]))
    got = grad(lambda w: fnp.sum(vmap(f, (0, None))(XS, w)))(2.0)
    np.testing.assert_allclose(got, XS.sum())


def test_python_control_flow_on_known_values():
    @custom_jvp
    def f(x):
        return x if x > 0 else -x

    @f.defjvp
    def _(primals, tangents):
        (x,), (t,) = primals, tangents
        return f(x), t * (1.0 if x > 0 else -1.0)

    assert grad(f)(-2.0) == -1.0


def test_closing_over_arrays_and_tracers():
    table = np.arange(3.0)

    @custom_jvp
    def f(x):
        return x * table[1]

    f.defjvp(lambda p, t: (f(*p), t[0] * fnp.sum(fnp.asarray(table) * 1.0)))
    assert grad(f)(1.0) == 3.0

    def outer(scale, x):
        @custom_vjp
        def g(x):
            return x * scale

        g.defvjp(lambda x: (x * scale, None), lambda _, ct: (ct * scale * 2.0,))
        return g(x)

    assert jit(grad(outer, 1))(3.0, 1.0) == 6.0
    with pytest.raises(TypeError, match="closes over a value"):
        grad(outer, 0)(3.0, 1.0)


def test_symbolic_zeros():
    seen = []

    @custom_jvp
    def f(x, y):
        return x * y

    def rule(primals, tangents):
        seen.append([type(t) is SymbolicZero for t in tangents])
        return f(*primals), tangents[0] * primals[1]

    f.defjvp(rule, symbolic_zeros=True)
    assert grad(f)(1.0, 2.0) == 2.0
    assert [False, True] in seen


def test_missing_and_wrong_rules():
    with pytest.raises(AttributeError, match="defjvp"):
        custom_jvp(lambda x: x)(1.0)
    with pytest.raises(AttributeError, match="defvjp"):
        custom_vjp(lambda x: x)(1.0)
    f = custom_jvp(lambda x: x)
    f.defjvp(lambda p, t: p[0])
    with pytest.raises(TypeError, match=r"test_custom\.py.* must return a pair"):
        grad(f)(1.0)
    f.defjvp(lambda p, t: (p[0], np.ones(3)))
    with pytest.raises(TypeError, match=r"tangent output of type f64\[3\]"):
        grad(f)(1.0)
    g = custom_vjp(lambda x, y: x)
    g.defvjp(lambda x, y: (x, None), lambda r, ct: (ct,))
    with pytest.raises(TypeError, match=r"one cotangent an argument \(2\)"):
        grad(g)(1.0, 2.0)
    g.defvjp(lambda x, y: (x, None), lambda r, ct: (np.ones(2), None))
    with pytest.raises(TypeError, match=r"cotangent of type f64\[2\] for the argument at \[0\]"):
        grad(g)(1.0, 2.0)
    g.defvjp(lambda x, y: x, lambda r, ct: (ct, None))
    with pytest.raises(TypeError, match=r"pair \(out, residuals\)"):
        grad(g)(1.0, 2.0)


def test_rules_that_close_over_arrays_differentiate_twice():
    """Also where the rule calls its own function, so that it is traced again much later."""
    w = np.array([[0.5, -1.0, 2.0], [1.5, 0.25, -0.5], [0.0, 1.0, 1.0]])
    x = np.array([0.3, -0.2, 0.7])

    @custom_jvp
    def by_jvp(x):
        return np.sin(w @ x)

    @by_jvp.defjvp
    def _(primals, tangents):
        return by_jvp(*primals), np.cos(w @ primals[0]) * (w @ tangents[0])

    by_vjp = custom_vjp(lambda x: np.sin(w @ x))
    by_vjp.defvjp(lambda x: (by_vjp(x), x), lambda x, ct: (w.T @ (np.cos(w @ x) * ct),))

    expected = -(w.T * np.sin(w @ x)) @ w
    for f in (by_jvp, by_vjp):
        second = jacrev(grad(lambda x, f=f: f(x).sum()))
        np.testing.assert_allclose(second(x), expected, atol=1e-12)
        np.testing.assert_allclose(jit(second)(x), expected, atol=1e-12)
        np.testing.assert_allclose(vmap(second)(x[None])[0], expected, atol=1e-12)
    np.testing.assert_allclose(hessian(lambda x: by_jvp(x).sum())(x), expected, atol=1e-12)


def test_rules_that_close_over_arrays_in_loops():
    w = np.array([0.5, -1.0, 2.0])
    f = custom_jvp(lambda x: np.sin(w * x))
    f.defjvp(lambda p, t: (f(*p), np.cos(w * p[0]) * w * t[0]))

    def total(f):
        return lambda x: scan(lambda c, _: (f(c), c.sum()), x, None, length=3)[1].sum()

    x = np.array([0.3, -0.2, 0.7])
    expected = hessian(total(lambda x: np.sin(w * x)))(x)
    np.testing.assert_allclose(hessian(total(f))(x), expected, atol=1e-12)
    np.testing.assert_allclose(jit(hessian(total(f)))(x), expected, atol=1e-12)
