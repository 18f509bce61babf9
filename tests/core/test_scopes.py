"""Names for parts of programs."""

import numpy as np
import pytest

import fnad
import fnad.numpy as fnp

X = np.ones(3)


def f(x):
    with fnad.named_scope("layer"):
        y = fnp.exp(x)
        with fnad.named_scope("norm"):
            return fnp.sum(fnp.tanh(y))


def test_plans_and_code_show_the_names():
    for stage in ("plan", "llvm"):
        text = fnad.jit(f).lower(X).as_text(stage)
        assert " in layer/norm" in text


def test_gradients_keep_them_and_values_do_not_depend_on_them():
    slope = fnad.grad(f)
    assert " in layer" in fnad.jit(slope).lower(X).as_text("plan")
    want = np.exp(X) / np.cosh(np.exp(X)) ** 2
    np.testing.assert_allclose(fnad.jit(slope)(X), want, rtol=1e-13)


def test_errors_show_them():
    with pytest.raises(TypeError) as caught, fnad.named_scope("head"):
        fnad.jit(lambda x: fnad.lax.add(x, fnp.ones(4, np.float32)))(X)
    assert " in head" in "".join([str(caught.value), *getattr(caught.value, "__notes__", [])])


def test_decorators_and_calls():
    @fnad.named_scope("decorated")
    def g(x):
        return fnp.sin(x)

    assert " in decorated" in fnad.jit(lambda x: g(x)).lower(X).as_text("plan")
    named = fnad.named_call(lambda x: fnp.sin(x), name="called")
    assert " in called" in fnad.jit(lambda x: named(x)).lower(X).as_text("plan")
    assert " in " not in fnad.jit(lambda x: fnp.sin(x)).lower(X).as_text("plan")


def test_names_end_with_exceptions():
    with pytest.raises(KeyError), fnad.named_scope("failing"):
        raise KeyError
    assert "failing" not in fnad.jit(lambda x: fnp.cos(x)).lower(X).as_text("plan")
    with pytest.raises(TypeError, match="the name must be a string, got 3"):
        fnad.named_scope(3).__enter__()
