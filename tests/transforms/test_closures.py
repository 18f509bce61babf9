"""closure_convert, custom_gradient, fwd_and_bwd, and functions as pytrees."""

import numpy as np
import pytest

import fnad
from fnad import numpy as fnp
from fnad.testing import assert_no_recompile


def test_closure_convert_hoists_what_is_differentiated():
    fixed = np.array([1.0, 2.0])

    def outer(scale, n):
        converted, consts = fnad.closure_convert(lambda x: {"y": x * scale * n + fixed}, fixed)
        assert len(consts) == 1  # neither integers nor arrays
        np.testing.assert_array_equal(
            fnad.eval_shape(converted, fixed, *consts)["y"].shape, fixed.shape
        )
        return np.sum(converted(fixed, consts[0] * 10.0)["y"])

    assert fnad.grad(outer)(2.0, 3) == 90.0
    converted, consts = fnad.closure_convert(lambda x: x * fixed, fixed)
    assert consts == []
    np.testing.assert_array_equal(converted(fixed), fixed**2)
    with pytest.raises(TypeError, match="converted for arguments of structure"):
        converted((fixed, fixed))


def test_custom_gradient():
    @fnad.custom_gradient
    def norm(x):
        """The norm."""
        length = fnp.linalg.norm(x)
        return length, lambda ct: ct * x / (length + 1.0)

    x = np.array([3.0, 4.0])
    assert norm(x) == 5.0
    assert norm.__name__ == "norm" and norm.__doc__ == "The norm."
    np.testing.assert_allclose(fnad.grad(norm)(x), x / 6.0)
    np.testing.assert_allclose(fnad.jit(fnad.grad(norm))(x), x / 6.0)
    np.testing.assert_allclose(fnad.vmap(fnad.grad(norm))(np.stack([x, x]))[1], x / 6.0)

    @fnad.custom_gradient
    def product(x, y):
        return x * y, lambda ct: (ct * y * 10.0, ct * x * 10.0)

    assert fnad.grad(product, (0, 1))(2.0, 3.0) == (30.0, 20.0)


@pytest.mark.parametrize("jitted", [True, False])
def test_fwd_and_bwd(jitted):
    def fun(x, w, scale=1.0):
        return np.tanh(x @ w) * scale

    x, w = np.ones(3), 0.1 * np.arange(6.0).reshape(3, 2)
    forward, backward = fnad.fwd_and_bwd(fun, argnums=(1, 0), jitted=jitted)
    out, residuals = forward(x, w, scale=2.0)
    np.testing.assert_allclose(out, fun(x, w, 2.0))
    ct = np.array([1.0, -1.0])
    for got, want in zip(backward(residuals, ct), fnad.vjp(fun, x, w, 2.0)[1](ct)[1::-1]):
        np.testing.assert_allclose(got, want, rtol=1e-12)
    forward, backward = fnad.fwd_and_bwd(lambda x: (x**2, x + 1), 0, has_aux=True, jitted=jitted)
    out, residuals, aux = forward(3.0)
    assert (out, aux, backward(residuals, 1.0)) == (9.0, 4.0, 6.0)
    with pytest.raises(TypeError, match="argnums=1 asks for positional argument 1"):
        fnad.fwd_and_bwd(np.sin, 1)[0](1.0)


def test_both_halves_are_compiled_once():
    count = 0

    def fun(x):
        nonlocal count
        count += 1
        return np.sin(x) * x

    forward, backward = fnad.fwd_and_bwd(fun, 0)
    backward(forward(0.5)[1], 1.0)
    traced = count
    with assert_no_recompile():
        for x in (1.0, 2.0):
            _, residuals = forward(x)
            assert backward(residuals, 1.0) == pytest.approx(np.cos(x) * x + np.sin(x))
    assert count == traced


def test_derivatives_go_out_of_compiled_functions():
    x = np.array([0.5, 1.0])
    _, pull = fnad.jit(lambda x: fnad.vjp(np.sin, x))(x)
    np.testing.assert_allclose(pull(np.ones(2))[0], np.cos(x))
    _, push = fnad.jit(lambda x: fnad.linearize(np.sin, x))(x)
    np.testing.assert_allclose(push(np.ones(2)), np.cos(x))
    np.testing.assert_allclose(fnad.jit(lambda f, t: f(t))(push, x), np.cos(x) * x)
    assert all(leaf.shape == (2,) for leaf in fnad.tree.leaves(pull))


def test_partial_is_a_pytree():
    scaled = fnad.tree.Partial(np.multiply, np.ones(2))
    leaves, structure = fnad.tree.flatten(scaled)
    assert len(leaves) == 1
    again = fnad.tree.unflatten(structure, [3.0])
    assert isinstance(again, fnad.tree.Partial) and again(2.0) == 6.0
    assert structure == fnad.tree.structure(fnad.tree.Partial(np.multiply, 5.0))
    assert structure != fnad.tree.structure(fnad.tree.Partial(np.add, 5.0))
    named = fnad.tree.Partial(lambda x, scale: x * scale, scale=2.0)
    assert fnad.grad(lambda f: f(3.0))(named).keywords == {"scale": 3.0}


def test_linear_transpose_names_what_is_not_linear():
    with pytest.raises(TypeError, match=r"not linear in its arguments: mul of what.*test_closures"):
        fnad.linear_transpose(lambda x: (x + x) * x, 1.0)(1.0)
    with pytest.raises(TypeError, match="not linear in its arguments: sin"):
        fnad.linear_transpose(np.sin, 1.0)(1.0)


def test_jvp_compares_structures_before_it_traces():
    with pytest.raises(TypeError, match="must have the same pytree structure"):
        fnad.jvp(lambda x: x, (1.0, 2.0), (1.0,))


def test_jacfwd_of_integer_results_is_float0():
    jacobian = fnad.jacfwd(lambda x: (x * 2.0, np.arange(2)))(np.ones(3))
    np.testing.assert_array_equal(jacobian[0], 2.0 * np.eye(3))
    assert jacobian[1].shape == (2, 3) and jacobian[1].dtype == fnad.float0
