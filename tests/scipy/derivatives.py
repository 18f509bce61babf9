"""Derivatives of functions of hundreds of operations, which are compiled in one program."""

import numpy as np

import fnad
from fnad.testing import assert_allclose
from fnad.testing.gradients import inner_product, numerical_jvp, random_tangent


def check_compiled_derivatives(f, args, order=2, rtol=1e-6, atol=1e-6):
    """Check derivatives of compiled code against central differences of it.

    `fnad.testing.check_grads` compiles every composition of modes by itself, a dozen of programs.
    This is one for all: forward mode, reverse mode, and for ``order=2`` forward over reverse.
    """
    rng = np.random.default_rng(0)
    tangents = random_tangent(rng, args)
    shapes = fnad.eval_shape(f, *args)
    cotangent = random_tangent(rng, fnad.tree.map(lambda s: np.zeros(s.shape, s.dtype), shapes))

    def pulled(*xs):
        return fnad.vjp(f, *xs)[1](cotangent)

    @fnad.jit
    def derivatives(*xs):
        value, tangent = fnad.jvp(f, xs, tangents)
        if order == 1:
            return (value,), (tangent,), pulled(*xs)
        slopes, change = fnad.jvp(pulled, xs, tangents)
        return (value, slopes), (tangent, change), slopes

    _, found, slopes = derivatives(*args)
    wanted = numerical_jvp(lambda *xs: derivatives(*xs)[0], args, tangents)
    limits = {"rtol": rtol, "atol": atol}
    assert_allclose(found, wanted, message="forward mode disagrees with differences", **limits)
    assert_allclose(
        inner_product(slopes, tangents),
        inner_product(cotangent, wanted[0]),
        message="reverse mode disagrees with differences",
        **limits,
    )
