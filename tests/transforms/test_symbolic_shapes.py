"""Shapes in terms of names, of functions and of what transforms make of them."""

from __future__ import annotations

import pytest

import fnad
import fnad.numpy as fnp
from fnad.core.sizes import SizeError


def struct(*shape, dtype="f4"):
    return fnad.ShapeDtypeStruct(shape, dtype)


def mlp(params, x):
    return fnad.nn.softmax(fnp.tanh(x @ params["w"] + params["b"]) @ params["v"])


def test_shapes_are_arithmetic_on_names():
    n, m = fnad.symbolic_shape("n m")
    for function, shape in (
        (lambda x: x @ x.T, (n, n)),
        (lambda x: x.reshape(-1), (n * m,)),
        (lambda x: fnp.concatenate([x, x, x[1:]]), (3 * n - 1, m)),
        (lambda x: fnp.pad(x, 2), (n + 4, m + 4)),
        (lambda x: x[::2, :-1], ((n + 1) // 2, m - 1)),
        (lambda x: fnp.repeat(x, 3, 1).T, (3 * m, n)),
        (lambda x: x[:, None] * x, (n, n, m)),
        (lambda x: fnp.arange(x.size) / x.shape[0], (n * m,)),
        (lambda x: fnp.sum(x), ()),
    ):
        assert fnad.eval_shape(function, struct(n, m)).shape == shape


def test_transforms_of_functions_of_names():
    n, d, h = fnad.symbolic_shape("n d h")
    params = {"w": struct(d, h), "b": struct(h), "v": struct(h, 10)}
    assert fnad.eval_shape(mlp, params, struct(n, d)) == struct(n, 10)
    loss = lambda params, x: -fnp.mean(fnp.log(mlp(params, x)[:, 0]))
    assert fnad.eval_shape(fnad.grad(loss), params, struct(n, d)) == params
    each = fnad.eval_shape(fnad.vmap(fnad.grad(loss), (None, 0)), params, struct(n, 5, d))
    assert each["w"] == struct(n, d, h)
    assert fnad.eval_shape(fnad.hessian(lambda x: fnp.sum(x**3)), struct(n)) == struct(n, n)
    assert fnad.eval_shape(fnad.jit(mlp), params, struct(n, d)) == struct(n, 10)
    dynamic = fnad.jit(mlp, dynamic=("...", "n _"))
    assert fnad.eval_shape(dynamic, params, struct(n, d)) == struct(n, 10)


def test_programs_show_names():
    (n,) = fnad.symbolic_shape("n")
    shown = str(fnad.make_jaxpr(lambda x: fnp.concatenate([x, x]))(struct(n)))
    assert "a:f32[n]" in shown and "f32[2*n] = concatenate" in shown


def test_given_expressions_and_integers():
    shape = fnad.symbolic_shape("2*n+1, 3 n%4")
    assert str(shape) == "(2*n + 1, 3, ((n) % (4)))"


def test_sizes_with_two_names_differ():
    n, m = fnad.symbolic_shape("n m")
    with pytest.raises(ValueError, match=r"shapes \(n,\), \(m,\)"):
        fnad.eval_shape(lambda x, y: x + y, struct(n), struct(m))
    n, m = fnad.symbolic_shape("n m", constraints=["n == m"])
    assert fnad.eval_shape(lambda x, y: x + y, struct(n), struct(m)).shape == (n,)


def test_what_is_not_so_for_all_sizes_is_asked_for():
    n, m = fnad.symbolic_shape("n m")
    halves = lambda x: x[5:] if x.shape[0] >= 5 else x
    with pytest.raises(SizeError, match="5 <= n is not known for all sizes"):
        fnad.eval_shape(halves, struct(n))
    with pytest.raises(SizeError, match="n == m"):
        fnad.eval_shape(lambda x: x if x.shape[0] == x.shape[1] else x.T, struct(n, m))
    n, m = fnad.symbolic_shape("n m", constraints=["n >= m + 5", "m > 1"])
    assert fnad.eval_shape(halves, struct(n)).shape == (n - 5,)
    assert fnad.eval_shape(lambda x: x if x.shape[0] == x.shape[1] else x.T, struct(n, m)) == (
        struct(m, n)
    )
    (n,) = fnad.symbolic_shape("n", constraints=["n != 4", "n % 2 == 0"])
    assert n % 2 == 0 and n != 4


def test_wrong_specifications():
    with pytest.raises(ValueError, match="no size"):
        fnad.symbolic_shape("n +")
    with pytest.raises(ValueError, match="'n / 2' is no size"):
        fnad.symbolic_shape("n/2")
    with pytest.raises(ValueError, match="'_' names no size"):
        fnad.symbolic_shape("n _")
    with pytest.raises(ValueError, match="does not compare two sizes"):
        fnad.symbolic_shape("n", constraints=["n + 1"])


def test_names_cannot_be_run():
    (n,) = fnad.symbolic_shape("n")
    with pytest.raises(SizeError, match="not known for all sizes"):
        fnad.jit(lambda x: x + 1).lower(struct(n)).compile()
    with pytest.raises(SizeError, match="size n"):
        fnp.ones(n)
