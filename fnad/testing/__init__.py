"""Checks for programs and primitives: public, and what fnad's own tests are made of."""

from fnad.testing.compare import assert_allclose
from fnad.testing.compilation import assert_no_recompile
from fnad.testing.gradients import check_grads, check_jvp, check_vjp, numerical_jvp
from fnad.testing.primitive import Sample, check_primitive, keep, roll, scale

__all__ = [
    "assert_allclose",
    "check_grads",
    "check_jvp",
    "check_vjp",
    "numerical_jvp",
    "assert_no_recompile",
    "check_primitive",
    "Sample",
    "roll",
    "scale",
    "keep",
]
