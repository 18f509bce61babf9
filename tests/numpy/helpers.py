"""Running one function eagerly on NumPy arrays and traced, and comparing with NumPy."""

from __future__ import annotations

import warnings

import numpy as np

from fnad.core.interpret import eval_jaxpr
from fnad.core.tracer import trace_to_jaxpr
from fnad.core.types import aval_of

TOLERANCE = {"float16": 2e-3, "float32": 2e-6, "float64": 1e-12}


def run_traced(function, *args):
    """Trace ``function`` (one result) and evaluate the program on the same arguments."""
    jaxpr, consts = trace_to_jaxpr(
        lambda *xs: [function(*xs)], [aval_of(a).strong() for a in args], "the test"
    )
    (out,) = eval_jaxpr(jaxpr, [*consts, *[np.asarray(a)[()] for a in args]])
    return out


def assert_same(actual, expected):
    """Same dtype, same shape, same kind (scalar or array), values equal up to rounding."""
    assert isinstance(actual, np.generic) == isinstance(expected, np.generic), type(actual)
    assert actual.dtype == expected.dtype, (actual.dtype, expected.dtype)
    assert actual.shape == expected.shape
    tolerance = TOLERANCE.get(actual.dtype.name, 0)
    np.testing.assert_allclose(actual, expected, rtol=tolerance, atol=tolerance)


def quiet(function, *args, **options):
    """Call NumPy without its warnings about invalid operands."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        return function(*args, **options)
