"""Functions that differ from platform to platform."""

import numpy as np
import pytest

import fnad
import fnad.numpy as fnp
from fnad import lax
from fnad.testing import check_grads

X = np.array([0.5, 1.0, 2.0])


def of_platform(x):
    return lax.platform_dependent(x, cpu=fnp.sin, cuda=fnp.cos)


def test_the_function_of_the_platform_runs():
    for f in (of_platform, fnad.jit(of_platform), fnad.vmap(of_platform)):
        np.testing.assert_allclose(f(X), np.sin(X), rtol=1e-14)
    check_grads(of_platform, (X,), order=2)


def test_programs_for_cards_have_the_other_one():
    text = fnad.jit(of_platform, backend="cuda").lower(X).as_text("plan")
    assert "cos(" in text and "sin(" not in text


def test_only_the_function_that_runs_is_compiled():
    text = fnad.jit(of_platform).lower(X).as_text("plan")
    assert "sin(" in text and "cos(" not in text


def test_default_is_for_all_other_platforms():
    f = lambda x: lax.platform_dependent(x, 3.0, tpu=fnp.multiply, default=fnp.add)
    np.testing.assert_array_equal(f(X), X + 3)
    np.testing.assert_array_equal(fnad.jit(f)(X), X + 3)


def test_within_a_loop_and_a_batch():
    def f(x):
        return lax.fori_loop(0, 3, lambda _, x: of_platform(x), x)

    want = np.sin(np.sin(np.sin(X)))
    np.testing.assert_allclose(fnad.jit(f)(X), want, rtol=1e-14)
    np.testing.assert_allclose(fnad.jit(fnad.vmap(f))(X), want, rtol=1e-14)


def test_what_is_wrong_is_said():
    on_cards = lambda x: lax.platform_dependent(x, cuda=fnp.cos)
    for f in (on_cards, fnad.jit(on_cards)):
        with pytest.raises(ValueError, match="runs on 'cpu', for which there is no function"):
            f(X)
    with pytest.raises(ValueError, match="no platform 'gpu', only cpu, cuda"):
        lax.platform_dependent(X, gpu=fnp.cos, default=fnp.sin)
    with pytest.raises(ValueError, match="give a function for some platform"):
        lax.platform_dependent(X)
    with pytest.raises(TypeError, match="3 is no function"):
        lax.platform_dependent(X, cpu=3)
    with pytest.raises(TypeError, match="platform_dependent: all branches must return"):
        fnad.jit(lambda x: lax.platform_dependent(x, cpu=fnp.sum, default=fnp.sin))(X)
