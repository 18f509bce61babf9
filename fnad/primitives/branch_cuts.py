"""Parts of the derivatives of logarithms and inverse functions, right for complex numbers, too.

On a branch cut the sign of a zero says which side of it is meant (Kahan (1987), "Branch cuts for
complex elementary functions"), so it must not be lost on the way; and squares of large complex
numbers are NaN where those of real ones are infinite.
"""

from __future__ import annotations

from typing import Any

from fnad.core.types import aval_of
from fnad.primitives.arithmetic import add, div, mul, neg, rsqrt, square, sub
from fnad.primitives.complex_numbers import complex, imag, one_infinity, real


def _one_minus_square(x: Any) -> Any:
    # (1 - x) * (1 + x) keeps the digits that 1 - x*x loses near 1.
    return mul(sub(1, x), add(x, 1))


def rsqrt_of_one_minus_square(x: Any) -> Any:
    """``1 / sqrt(1 - x**2)``."""
    if not _is_complex(x):
        return rsqrt(_one_minus_square(x))
    x = one_infinity(x)
    return mul(rsqrt(neg(sub(x, 1))), rsqrt(plus_one(x)))


def rsqrt_of_one_plus_square(x: Any) -> Any:
    """``1 / sqrt(1 + x**2)``."""
    if not _is_complex(x):
        return rsqrt(add(square(x), 1))
    turned = one_infinity(complex(neg(imag(x)), real(x)))
    return mul(rsqrt(plus_one(turned)), rsqrt(plus_one(neg(turned))))


def rsqrt_of_square_minus_one(x: Any) -> Any:
    """``1 / sqrt(x**2 - 1)``."""
    x = one_infinity(x)
    return mul(rsqrt(sub(x, 1)), rsqrt(plus_one(x)))


def over_one_minus_square(t: Any, x: Any) -> Any:
    """``t / (1 - x**2)``."""
    # Unlike those of real numbers, squares of large complex ones are NaN: so no squares.
    if not _is_complex(x):
        return div(t, _one_minus_square(x))
    x = one_infinity(x)
    return div(div(t, sub(1, x)), add(x, 1))


def over_one_plus_square(t: Any, x: Any) -> Any:
    """``t / (1 + x**2)``."""
    if not _is_complex(x):
        return div(t, add(square(x), 1))
    return over_one_minus_square(t, complex(neg(imag(x)), real(x)))


def plus_one(x: Any) -> Any:
    """``x + 1``."""
    # On a branch cut the sign of a zero says which side is meant. Subtracting a real number keeps
    # the imaginary part as it is; adding one, or subtracting from one, makes 0 of -0.
    return sub(x, -1) if _is_complex(x) else add(x, 1)


def _is_complex(x: Any) -> bool:
    return bool(aval_of(x).dtype.kind == "c")


def scaled(x: Any, factor: float) -> Any:
    """The product with a real number, in which infinite parts make no NaN of finite ones."""
    if not _is_complex(x):
        return mul(x, factor)
    return complex(mul(real(x), factor), mul(imag(x), factor))
