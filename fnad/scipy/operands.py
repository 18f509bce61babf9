"""What functions of `fnad.scipy` do to their arguments, and how they get their derivatives."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any

import numpy as np

import fnad.numpy as fnp
from fnad.core.dtypes import promote
from fnad.core.primitive import Zero
from fnad.core.types import is_half, kind_of
from fnad.numpy.operands import (
    Array,
    as_operand,
    broadcast_shapes,
    convert,
    dtype_of,
    expand,
    promotion_key,
    shape_of,
)
from fnad.primitives.complex_numbers import complex
from fnad.primitives.custom import custom_jvp
from fnad.transforms.autodiff import jvp

_FLOAT32 = np.dtype(np.float32)
_FLOAT64 = np.dtype(np.float64)
Partial = Callable[..., Any] | None


def floating(name: str, *operands: Any) -> list[Array]:
    """Operands in one floating dtype: the one that they promote to, float64 for integers.

    Raises
    ------
    TypeError
        If one is complex.
    """
    xs = [as_operand(x) for x in operands]
    dtype = promote(tuple([promotion_key(x) for x in xs]))
    if kind_of(dtype) == "c":
        raise TypeError(
            f"{name} is a function of real numbers, but got an operand of dtype {dtype}: take its"
            " real part or its absolute value first"
        )
    return [convert(x, dtype if kind_of(dtype) == "f" else _FLOAT64) for x in xs]


def impossible(y: Array) -> Array:
    """The logarithm of the probability of what cannot be, -inf; that of NaN is NaN."""
    return fnp.where(fnp.isnan(y), y, -np.inf)


def special_function(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a function operands of one floating dtype and one shape; 16 bits are rounded once."""
    name = function.__name__

    @wraps(function)
    def promoted(*operands: Any) -> Any:
        if not operands:
            return function()
        xs = floating(name, *operands)
        shape = broadcast_shapes([shape_of(x) for x in xs], name)
        dtype = dtype_of(xs[0])
        xs = [expand(convert(x, _FLOAT32) if is_half(dtype) else x, shape) for x in xs]
        out = function(*xs)
        if not is_half(dtype):
            return out
        if isinstance(out, tuple):
            return tuple([convert(part, dtype) for part in out])
        return out if kind_of(dtype_of(out)) == "c" else convert(out, dtype)

    return promoted


def holomorphic(function: Callable[..., Any]) -> Callable[..., Any]:
    """`special_function` for functions of one complex or real operand."""
    real = special_function(function)

    @wraps(function)
    def promoted(x: Any) -> Any:
        x = as_operand(x)
        dtype = dtype_of(x)
        return function(convert(x, dtype)) if kind_of(dtype) == "c" else real(x)

    return promoted


def with_partials(*partials: Partial) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Give an elementwise function its partial derivatives, one an argument.

    ``partial(*xs)`` is a formula. None means that the function itself is differentiated, forwards,
    through its loops whatever they are, so that reverse mode need not run them backwards.
    """

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        differentiable = custom_jvp(function)

        def rule(primals: Sequence[Any], tangents: Sequence[Any]) -> tuple[Any, Any]:
            terms = []
            for i, (tangent, partial) in enumerate(zip(tangents, partials, strict=True)):
                if not isinstance(tangent, Zero):
                    slope = partial or _through_the_function(function, i, len(partials))
                    terms.append(slope(*primals) * tangent)
            return differentiable(*primals), sum(terms[1:], start=terms[0])

        differentiable.defjvp(rule, symbolic_zeros=True)
        return differentiable

    return decorate


def _through_the_function(
    function: Callable[..., Any], index: int, count: int
) -> Callable[..., Any]:
    def slope(*xs: Any) -> Any:
        def of_one(x: Any) -> Any:
            return function(*xs[:index], x, *xs[index + 1 :])

        return jvp(of_one, (xs[index],), (fnp.ones_like(xs[index]),))[1]

    return with_partials(*[None] * count)(slope)


def polynomial(x: Any, coefficients: Sequence[float]) -> Any:
    """Horner's rule, lowest power first."""
    value: Any = coefficients[-1]
    for coefficient in coefficients[-2::-1]:
        value = value * x + coefficient
    return value


def chebyshev(t: Any, coefficients: Sequence[float]) -> Any:
    """A sum of Chebyshev polynomials on [-1, 1], the first one halved (Clenshaw 1955).

    As no polynomial exceeds 1, the last ones are left out that the dtype does not see.
    """
    count = len(coefficients)
    unseen = float(fnp.finfo(t.dtype).eps) / 32 * max(map(abs, coefficients))
    while sum(map(abs, coefficients[count - 1 :])) < unseen:
        count -= 1
    last: Any = 0.0
    value: Any = 0.0
    for coefficient in coefficients[count - 1 : 0 : -1]:
        value, last = 2 * t * value - last + coefficient, value
    return t * value - last + coefficients[0] / 2


def complex_log(z: Any) -> Any:
    """NumPy's, of complex numbers, has large errors next to the unit circle."""
    x, y = fnp.real(z), fnp.imag(z)
    near = fnp.abs(x * x + y * y - 1) < 0.5
    size = fnp.abs(z)
    big, small = fnp.maximum(fnp.abs(x), fnp.abs(y)), fnp.minimum(fnp.abs(x), fnp.abs(y))
    big, small = fnp.where(near, big, 1), fnp.where(near, small, 0)
    close = 0.5 * fnp.log1p((big - 1) * (big + 1) + small * small)
    return complex(fnp.where(near, close, fnp.log(fnp.where(near, 1, size))), fnp.arctan2(y, x))


def _slope_of_log1p_of_square(x: Any) -> Any:
    far = fnp.abs(x) > 1
    y = fnp.where(far, x, 1)
    return fnp.where(far, 2 / (y + 1 / y), 2 * x / (1 + fnp.where(far, 0, x * x)))


@with_partials(_slope_of_log1p_of_square)
def log1p_of_square(x: Any) -> Any:
    """``log(1 + x*x)``, also where the square overflows."""
    far = fnp.abs(x) > 1e8
    return fnp.where(
        far, 2 * fnp.log(fnp.abs(fnp.where(far, x, 1))), fnp.log1p(fnp.where(far, 0, x) ** 2)
    )


def log_of_part(part: Any, rest: Any) -> Any:
    """``log(part)``, where ``part + rest`` is 1, accurate for parts close to 1."""
    most = part > 0.5
    return fnp.where(most, fnp.log1p(-fnp.where(most, rest, 0)), fnp.log(fnp.where(most, 1, part)))
