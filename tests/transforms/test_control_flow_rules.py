"""Rules of scan, while_loop, cond, checkpoint against finite differences and Python loops."""

import numpy as np
import pytest

import fnad.numpy as fnp
from fnad.core.primitive import Primitive
from fnad.primitives.checkpoint import checkpoint, checkpoint_name, checkpoint_policies
from fnad.primitives.control_flow import cond, fori_loop, map, scan, switch, while_loop
from fnad.transforms.autodiff import grad, jvp, linear_transpose, linearize, vjp
from fnad.transforms.jit import jit
from fnad.transforms.tracing import make_jaxpr
from fnad.transforms.vmap import vmap

XS = np.linspace(0.1, 1.0, 5)


def slope(f, x, eps=1e-6):
    return (f(x + eps) - f(x - eps)) / (2 * eps)


def through_scan(w):
    def step(c, x):
        c = fnp.sin(c * w + x)
        return c, c * w

    c, ys = scan(step, 0.3, XS)
    return c + fnp.sum(ys)


def through_fori(x):
    return fori_loop(0, 4, lambda i, c: fnp.sin(c) * x + i, x)


def through_cond(x):
    return cond(x < 0.5, lambda x: fnp.sin(x) * x, lambda x: x * x * x + fnp.cos(x), x)


def through_switch(x):
    return switch(1, [fnp.sin, lambda x: fnp.cos(x) * x], x)


def through_reverse_scan(w):
    return scan(lambda c, x: (c * w + x, c), 0.3, XS, reverse=True)[0]


FUNCTIONS = [through_scan, through_fori, through_cond, through_switch, through_reverse_scan]


@pytest.mark.parametrize("wrap", [lambda f: f, jit, checkpoint], ids=["plain", "jit", "checkpoint"])
@pytest.mark.parametrize("f", FUNCTIONS)
def test_derivatives(f, wrap):
    g = wrap(f)
    for x in (0.3, 0.8):
        np.testing.assert_allclose(g(x), f(x))
        np.testing.assert_allclose(jvp(g, (x,), (1.0,))[1], slope(f, x), rtol=1e-6)
        np.testing.assert_allclose(grad(g)(x), slope(f, x), rtol=1e-6)
        np.testing.assert_allclose(grad(grad(g))(x), slope(grad(f), x), rtol=1e-5)
        np.testing.assert_allclose(linearize(g, x)[1](1.0), slope(f, x), rtol=1e-6)


@pytest.mark.parametrize("f", FUNCTIONS)
def test_batching(f):
    np.testing.assert_allclose(vmap(f)(XS), [f(x) for x in XS])
    np.testing.assert_allclose(vmap(grad(f))(XS), [grad(f)(x) for x in XS])
    np.testing.assert_allclose(grad(lambda xs: fnp.sum(vmap(f)(xs)))(XS), [grad(f)(x) for x in XS])


def loop_to(n, x):
    return fori_loop(0, n, lambda i, c: fnp.sin(c) * x + i, x)


def test_traced_bounds_are_a_while_loop():
    np.testing.assert_allclose(jit(loop_to)(4, 0.7), through_fori(0.7))
    assert "while[" in str(make_jaxpr(loop_to)(4, 0.7))
    assert "scan[" in str(make_jaxpr(through_fori)(0.7))
    counts = np.arange(5)
    want = [loop_to(int(n), x) for n, x in zip(counts, XS)]
    np.testing.assert_allclose(vmap(loop_to)(counts, XS), want)
    dots = vmap(lambda n, x: jvp(lambda y: loop_to(n, y), (x,), (1.0,))[1])(counts, XS)
    want = [slope(lambda y, n=n: loop_to(int(n), y), x) for n, x in zip(counts, XS)]
    np.testing.assert_allclose(dots, want, rtol=1e-6)


def test_while_loop_forward():
    def f(x):
        return while_loop(lambda c: c[0] < 10.0, lambda c: (c[0] * 2.0, c[1] * c[0]), (x, 1.0))[1]

    np.testing.assert_allclose(jvp(f, (1.3,), (1.0,))[1], slope(f, 1.3), rtol=1e-6)
    np.testing.assert_allclose(vmap(f)(XS), [f(x) for x in XS])


def test_known_part_of_a_while_loop_does_not_stop_reverse_mode():
    def f(x):
        n = while_loop(lambda n: n < 5, lambda n: n + 1, 0)
        return x * n

    assert grad(f)(2.0) == 5.0


def test_switch_clamps_its_index():
    def f(i, x):
        return switch(i, [fnp.sin, fnp.cos, lambda x: 2 * x], x)

    for i in (-3, 0, 1, 2, 9):
        want = [np.sin, np.cos, lambda x: 2 * x][min(max(i, 0), 2)](0.3)
        np.testing.assert_allclose(f(i, 0.3), want)
        np.testing.assert_allclose(jit(f)(i, 0.3), want)
    np.testing.assert_allclose(
        vmap(f, (0, None))(np.arange(-1, 4), 0.3), [f(i, 0.3) for i in range(-1, 4)]
    )


def test_linear_transposition_leaves_counters_alone():
    def f(x):
        return fori_loop(0, 3, lambda i, c: c * 2.0 + x * i, 0.0)

    assert linear_transpose(f, 1.0)(1.0)[0] == 4.0


def test_a_python_scalar_carry_takes_the_type_of_the_body():
    x = np.ones(3, np.float32)
    total, _ = scan(lambda c, y: (c + y, None), 0, x)
    assert total == 3 and total.dtype == np.float32
    assert while_loop(lambda c: c < 3, lambda c: c + np.float32(1), 0).dtype == np.float32
    assert cond(True, lambda: 1, lambda: np.float32(2)).dtype == np.float32


def test_zero_steps():
    c, ys = scan(lambda c, x: (c + x, c), 1.0, np.ones((0,)))
    assert c == 1.0 and ys.shape == (0,)
    assert fori_loop(3, 1, lambda i, c: c + 1, 7) == 7


def test_map():
    np.testing.assert_array_equal(map(lambda d: d["a"] * 2, {"a": XS}), 2 * XS)


def test_errors():
    with pytest.raises(TypeError, match=r"carry.*differ"):
        scan(lambda c, x: ((c, c), x), 0.0, XS)
    with pytest.raises(TypeError, match=r"f64\[2\].* against f64\[\]"):
        scan(lambda c, x: (np.ones(2), x), np.float64(0), XS)
    with pytest.raises(TypeError, match=r"must return a pair \(carry, y\)"):
        scan(lambda c, x: c, 0.0, XS)
    with pytest.raises(ValueError, match=r"xs\['a'\]: 5, xs\['b'\]: 3"):
        scan(lambda c, x: (c, x), 0.0, {"a": XS, "b": np.ones(3)})
    with pytest.raises(ValueError, match="give xs"):
        scan(lambda c, x: (c, x), 0.0)
    with pytest.raises(TypeError, match="one boolean scalar"):
        while_loop(lambda c: c, lambda c: c, 1.0)
    with pytest.raises(TypeError, match="all branches must return"):
        cond(True, lambda x: (x, x), lambda x: x, 1.0)
    with pytest.raises(TypeError, match="predicate must be a scalar"):
        cond(np.ones(2, bool), lambda x: x, lambda x: x, 1.0)


def test_a_constant_of_the_body_is_not_stacked():
    w = np.ones((7, 7))

    def f(x):
        return fnp.sum(scan(lambda c, _: (fnp.sin(w @ c), None), x, None, 50)[0])

    jaxpr = make_jaxpr(grad(f))(np.ones(7))
    assert "[50,7,7]" not in str(jaxpr)
    assert "[50,7]" in str(jaxpr)


def test_unused_results_of_scan_are_dropped():
    def f(w):
        c, _ = scan(lambda c, x: (c * w, fnp.exp(c)), 1.0, XS)
        return c

    assert "exp" not in str(make_jaxpr(grad(f))(2.0))


def names_of(f):
    return str(make_jaxpr(lambda x: vjp(f, x)[1](1.0))(0.3))


def test_checkpoint_policies():
    def f(x):
        a = checkpoint_name(fnp.sin(x), "a")
        return fnp.sin(fnp.sin(a))

    everything = names_of(checkpoint(f, policy=checkpoint_policies.everything_saveable))
    nothing = names_of(checkpoint(f))
    named = names_of(checkpoint(f, policy=checkpoint_policies.save_only_these_names("a")))
    others = names_of(checkpoint(f, policy=checkpoint_policies.save_any_names_but_these("a")))
    assert everything.count("= sin ") == 3
    assert nothing.count("= sin ") == others.count("= sin ") == 5
    assert named.count("= sin ") == 4


def test_checkpoint_dots():
    def f(w):
        return fnp.sum(fnp.sin(fnp.sin(w) @ w))

    w = np.eye(3)
    saved = str(make_jaxpr(grad(checkpoint(f, policy=checkpoint_policies.dots_saveable)))(w))
    again = str(make_jaxpr(grad(checkpoint(f)))(w))
    assert again.count("dot_general[") == saved.count("dot_general[") + 1
    np.testing.assert_allclose(grad(checkpoint(f))(w), grad(f)(w))


def test_policies_see_into_jit():
    inner = jit(lambda x: checkpoint_name(fnp.sin(x), "a"))
    f = checkpoint(
        lambda x: fnp.sin(inner(x)), policy=checkpoint_policies.save_only_these_names("a")
    )
    assert names_of(f).count("= sin ") == 2


def test_policy_arguments():
    seen = []

    def policy(primitive, *avals, **params):
        assert isinstance(primitive, Primitive)
        seen.append(primitive.name)
        return False

    grad(checkpoint(lambda x: fnp.sin(fnp.sin(x)), policy=policy))(1.0)
    assert "sin" in seen


def test_a_branch_that_is_not_taken_gives_no_nan_to_the_gradient():
    def f(x, scale):
        return cond(x > 0, lambda y: scale * fnp.sqrt(y) / y, lambda y: 0.0 * y, x)

    def total(x, scale):
        return fnp.sum(vmap(f, in_axes=(0, None))(x, scale))

    gx, gscale = grad(total, argnums=(0, 1))(np.array([0.0, 1.0, 4.0]), 2.0)
    np.testing.assert_allclose(gx, [0.0, -1.0, -0.125])
    np.testing.assert_allclose(gscale, 1.5)


def test_a_batched_choice_between_linear_functions_is_linear():
    signs = np.array([-1.0, 1.0])

    def f(x):
        branch = lambda x, s: cond(s > 0, lambda x: 2 * x, lambda x: 3 * x, x)
        return vmap(branch)(x, signs)

    np.testing.assert_array_equal(linear_transpose(f, signs)(np.ones(2))[0], [3, 2])
