"""Elementary functions of complex numbers in terms of real ones, for programs that are lowered.

A complex number comes as its parts, two traced real arrays of one dtype, and functions return
parts. What is not written here is composed in `fnad.primitives.complex_builder`. Signed zeros,
branch cuts, infinities and NaN are those of C99's annex G, as in NumPy, with one exception: where
annex G leaves a sign open, it is left open here as well.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from fnad.primitives.arithmetic import abs, max, min, sqrt
from fnad.primitives.bits import bitcast_convert_type
from fnad.primitives.logic import (
    bitwise_and,
    bitwise_or,
    eq,
    is_finite,
    ne,
    select,
)
from fnad.primitives.transcendental import (
    acos,
    asin,
    atan2,
    cos,
    cosh,
    exp,
    expm1,
    log,
    log1p,
    sin,
    sinh,
    tan,
)

Pair = tuple[Any, Any]
_HALF_PI = np.pi / 2


class _Limits(NamedTuple):
    """Magnitudes of a dtype between which squares neither overflow nor lose digits.

    What is beyond ``large`` is multiplied with ``shrink``, what is below ``small`` with ``grow``:
    even powers of two. ``overflow`` is about where exp overflows.
    """

    small: float
    large: float
    grow: float
    shrink: float
    overflow: float


_LIMITS = {
    np.dtype(np.float32): _Limits(2.0**-50, 2.0**50, 2.0**80, 2.0**-80, 88.0),
    np.dtype(np.float64): _Limits(2.0**-480, 2.0**480, 2.0**600, 2.0**-600, 709.0),
}


def copysign(x: Any, y: Any) -> Any:
    """The magnitude of x with the sign of y."""
    unsigned = np.dtype(f"u{y.dtype.itemsize}")
    sign = unsigned.type(1 << (unsigned.itemsize * 8 - 1))
    size = bitwise_and(bitcast_convert_type(x, unsigned), ~sign)
    taken = bitwise_and(bitcast_convert_type(y, unsigned), sign)
    return bitcast_convert_type(bitwise_or(size, taken), y.dtype)


def is_inf(x: Any) -> Any:
    """Whether real numbers are infinite."""
    return eq(abs(x), np.inf)


def _is_nan(x: Any) -> Any:
    return ne(x, x)


# -- magnitude ----------------------------------------------------------------------------------


def _scaled(a: Any, b: Any) -> tuple[Any, Any, Any, Any]:
    """The parts times a power of two that keeps their squares in range; that, and its range.

    The last two say whether the number is large, or small.
    """
    limits = _LIMITS[a.dtype]
    size = max(abs(a), abs(b))
    large, small = size > limits.large, size < limits.small
    scale = select(large, a.dtype.type(limits.shrink), a.dtype.type(1))
    scale = select(small, a.dtype.type(limits.grow), scale)
    return a * scale, b * scale, large, small


def _unscaled(x: Any, large: Any, small: Any, shrink: float, grow: float) -> Any:
    """A result for scaled parts times what undoes the scaling."""
    one = x.dtype.type(1)
    return x * select(large, x.dtype.type(1 / shrink), select(small, x.dtype.type(1 / grow), one))


def magnitude(a: Any, b: Any) -> Any:
    """The absolute value, without overflow of squares; infinite if a part is."""
    limits = _LIMITS[a.dtype]
    u, v, large, small = _scaled(a, b)
    size = _unscaled(sqrt(u * u + v * v), large, small, limits.shrink, limits.grow)
    return select(is_inf(a) | is_inf(b), size.dtype.type(np.inf), size)


def _log_magnitude(a: Any, b: Any) -> Any:
    """The logarithm of the absolute value, also where that overflows, and accurate near 1."""
    limits = _LIMITS[a.dtype]
    u, v, large, small = _scaled(a, b)
    size = sqrt(u * u + v * v)
    real = a.dtype.type
    undo = select(large, real(-np.log(limits.shrink)), real(0))
    undo = select(small, real(-np.log(limits.grow)), undo)
    high, low = max(abs(a), abs(b)), min(abs(a), abs(b))
    near = (size > 0.7) & (size < 1.4) & ~(large | small)
    # log(h**2 + l**2) / 2 = log1p((h - 1) * (h + 1) + l**2) / 2, without cancellation in h**2 - 1.
    excess = select(near, (high - 1) * (high + 1) + low * low, real(0))
    value = select(near, log1p(excess) * 0.5, log(size) + undo)
    return select(is_inf(a) | is_inf(b), real(np.inf), value)


# -- powers and logarithms ----------------------------------------------------------------------


def complex_sqrt(a: Any, b: Any) -> Pair:
    """The root in the right half-plane; the cut along the negative axis follows the sign of b."""
    limits = _LIMITS[a.dtype]
    real = a.dtype.type
    u, v, large, small = _scaled(a, b)
    root = sqrt((abs(u) + sqrt(u * u + v * v)) * 0.5)
    root = select(is_inf(a), real(np.inf), root)
    # The square root of a power of two with an even exponent is one, too.
    root = _unscaled(root, large, small, math.sqrt(limits.shrink), math.sqrt(limits.grow))
    other = abs(b) / (root * 2)
    right = (a >= 0) | _is_nan(a)
    re, im = select(right, root, other), select(right, other, root)
    zero, infinite = eq(a, 0) & eq(b, 0), is_inf(b)
    re = select(infinite, real(np.inf), select(zero, real(0), re))
    im = select(infinite, abs(b), select(zero, real(0), im))
    return re, copysign(im, b)


def complex_log(a: Any, b: Any) -> Pair:
    """The logarithm, with an imaginary part in [-pi, pi]."""
    return _log_magnitude(a, b), atan2(b, a)


def complex_log1p(a: Any, b: Any) -> Pair:
    """log(1 + z), accurate near 0."""
    near = max(abs(a), abs(b)) < 0.25
    real = a.dtype.type
    # |1 + z|**2 - 1 = a * (a + 2) + b**2
    excess = select(near, a * (a + 2) + b * b, real(0))
    value = select(near, log1p(excess) * 0.5, _log_magnitude(a + 1, b))
    return value, atan2(b, a + 1)


def complex_exp(a: Any, b: Any) -> Pair:
    """e**z, which may be finite where e**a is not."""
    limits = _LIMITS[a.dtype]
    real = a.dtype.type
    over = a > limits.overflow
    size = exp(select(over, a * 0.5, a))
    more = select(over, size, real(1))
    finite = is_finite(b)
    re, im = (size * cos(b)) * more, (size * sin(b)) * more
    re = select(finite, re, select(eq(a, -np.inf), real(0), select(is_inf(a), a, re)))
    im = select(finite, im, select(eq(a, -np.inf), real(0), im))
    return re, select(eq(b, 0), b, im)


def complex_expm1(a: Any, b: Any) -> Pair:
    """e**z - 1, accurate near 0: e**a cos b - 1 = expm1(a) cos b - 2 sin(b / 2)**2."""
    half = sin(b * 0.5)
    re, im = complex_exp(a, b)
    near = abs(a) < 1
    # The sum of -0.0 and 0.0 is 0.0: the standard wants no negative zero here.
    accurate = expm1(select(near, a, a.dtype.type(0))) * cos(b) + (0 - half * half * 2)
    return select(near, accurate, re - 1), im


# -- hyperbolic and trigonometric functions -------------------------------------------------------


def _stretched(x: Any) -> tuple[Any, Any, Any]:
    """cosh and sinh of x, of which the third result times them is to be taken: for large x."""
    over = abs(x) > _LIMITS[x.dtype].overflow
    near = select(over, x * 0.5, x)
    even = cosh(near)
    # sinh x = 2 sinh(x / 2) cosh(x / 2), and cosh x is as large.
    return even, sinh(near), select(over, even * 2, x.dtype.type(1))


def complex_sinh(a: Any, b: Any) -> Pair:
    """sinh a cos b + i cosh a sin b."""
    real = a.dtype.type
    even, odd, more = _stretched(a)
    re, im = (odd * cos(b)) * more, (even * sin(b)) * more
    edge = eq(a, 0) | (is_inf(a) & ~is_finite(b))
    re = select(edge, a, re)
    im = select(eq(b, 0), b, im)
    return re, select(~is_finite(b), real(np.nan), im)


def complex_cosh(a: Any, b: Any) -> Pair:
    """cosh a cos b + i sinh a sin b."""
    even, odd, more = _stretched(a)
    re, im = (even * cos(b)) * more, (odd * sin(b)) * more
    re = select(is_inf(a) & ~is_finite(b), abs(a), re)
    flat = eq(b, 0) | (eq(a, 0) & ~is_inf(a))
    # Zero, with the sign of the product of a and b.
    zero = copysign(a.dtype.type(0), a) * copysign(a.dtype.type(1), b)
    return re, select(flat, zero, im)


def complex_tanh(a: Any, b: Any) -> Pair:
    """Kahan, "Branch cuts for complex elementary functions" (1987)."""
    real = a.dtype.type
    far = abs(a) > (22.0 if a.dtype == np.float64 else 11.0)
    t = tan(b)
    beta = t * t + 1
    s = sinh(select(far, real(0), a))
    rho = sqrt(s * s + 1)
    below = beta * s * s + 1
    re, im = beta * rho * s / below, t / below
    # 4 sin b cos b e**-2|a|; the sign of a zero is that of sin b cos b.
    turn = select(is_finite(b), b, real(0))
    tail = exp(abs(a) * -2)
    far_im = sin(turn) * cos(turn) * 4 * tail
    far_im = select(eq(far_im, 0), copysign(real(0), sin(turn * 2)), far_im)
    far_im = select(eq(b, 0), b, far_im)
    lost = ~(is_finite(b) | is_inf(a))
    re = select(far, select(lost, real(np.nan), copysign(real(1), a)), select(eq(a, 0), a, re))
    return re, select(far, select(lost, real(np.nan), far_im), select(eq(b, 0), b, im))


# -- their inverses -------------------------------------------------------------------------------


class _Triangle(NamedTuple):
    """What the inverse sine and cosine of |x| + i|y| are made of: see `_triangle`."""

    x: Any
    y: Any
    ratio: Any  # B, the sine
    below: Any  # sqrt(A**2 - x**2)
    growth: Any  # the imaginary part, asinh of sqrt(A**2 - 1)
    far: Any


def _triangle(a: Any, b: Any) -> _Triangle:
    """Hull, Fairgrieve, Tang, "Implementing the complex arcsine and arccosine functions using
    exception handling" (1997): A and B are half the sum, and its share, of the distances from 1
    and from -1.
    """
    real = a.dtype.type
    limits = _LIMITS[a.dtype]
    far = (abs(a) > limits.large**0.5) | (abs(b) > limits.large**0.5)
    far = far | _is_nan(a) | _is_nan(b)
    x, y = (select(far, real(0.5), abs(v)) for v in (a, b))
    r, s = magnitude(x + 1, y), magnitude(x - 1, y)
    big = (r + s) * 0.5
    inside = x <= 1
    right, gap = r + (x + 1), s + abs(x - 1)
    # A - x (times A + x, of which the root is taken, without squares of a small y) and A - 1, each
    # as a sum of terms that are not negative.
    beyond = y * (y / right)
    safe = select(eq(gap, 0), real(1), gap)
    across = y * (y / safe)
    to_1 = select(inside, (beyond + across) * 0.5, (beyond + gap) * 0.5)
    below = sqrt(big + x) * sqrt((beyond + gap) * 0.5)
    below = select(inside, below, y * sqrt((big + x) * 0.5 * (1 / right + 1 / safe)))
    growth = select(
        big <= 1.5,
        log1p(to_1 + sqrt(to_1) * sqrt(big + 1)),
        log(big + sqrt(select(big <= 1.5, real(1), big * big - 1))),
    )
    # Where y**2 underflows.
    tiny = (y < limits.small) & (x < 1)
    slope = select(tiny, (1 - x) * (x + 1), real(1))
    growth = select(tiny, y / sqrt(slope), growth)
    growth = select(far, _log_magnitude(a, b) + math.log(2), growth)
    return _Triangle(x, y, x / big, below, growth, far)


def complex_asin(a: Any, b: Any) -> Pair:
    """The inverse sine; the cuts lie on the real axis beyond -1 and 1."""
    t = _triangle(a, b)
    steep = t.ratio > 0.6417
    near = select(steep, atan2(t.x, t.below), asin(select(steep, a.dtype.type(0), t.ratio)))
    re = select(t.far, atan2(abs(a), abs(b)), near)
    re = select(eq(a, 0), a, re)
    return copysign(re, a), copysign(t.growth, b)


def complex_acos(a: Any, b: Any) -> Pair:
    """The inverse cosine; the cuts lie on the real axis beyond -1 and 1."""
    real = a.dtype.type
    t = _triangle(a, b)
    steep = t.ratio > 0.6417
    near = select(steep, atan2(t.below, t.x), acos(select(steep, real(0), t.ratio)))
    negative = ~(eq(copysign(real(1), a), 1))
    near = select(negative, np.pi - near, near)
    re = select(t.far, atan2(abs(b), a), near)
    re = select(eq(a, 0), select(_is_nan(b), re, real(_HALF_PI)), re)
    re = select(eq(a, 0) & _is_nan(b), real(_HALF_PI), re)
    return re, -copysign(t.growth, b)


def complex_atanh(a: Any, b: Any) -> Pair:
    """The inverse hyperbolic tangent; the cuts lie on the real axis beyond -1 and 1."""
    real = a.dtype.type
    limits = _LIMITS[a.dtype]
    far = (abs(a) > limits.large**0.5) | (abs(b) > limits.large**0.5)
    x, y = (select(far, real(0.5), v) for v in (abs(a), abs(b)))
    gap = (1 - x) * (1 - x) + y * y
    # Where that underflows, 4 x / gap = (2 / y)**2.
    edge = eq(x, 1) & (y < limits.small)
    excess = select(edge, 2 / y, x * 4 / select(edge, real(1), gap))
    re = log1p(excess) * select(edge, real(0.5), real(0.25))
    im = atan2(y * 2, (1 - x) * (x + 1) - y * y) * 0.5
    # 1 / z = conj(z) / |z|**2 far away, where its real part may be no more than a zero.
    size = magnitude(a, b)
    small = select(is_inf(size), real(0), (abs(a) / size) / size)
    re = select(far, small, re)
    im = select(far, select(_is_nan(b), b, real(_HALF_PI)), im)
    lost = (_is_nan(a) & ~is_inf(b)) | (_is_nan(b) & ~is_inf(a))
    re, im = (select(lost, real(np.nan), v) for v in (re, im))
    re = select(eq(a, 0), a, re)
    return copysign(re, a), copysign(im, b)


def complex_acosh(a: Any, b: Any) -> Pair:
    """The inverse hyperbolic cosine, in the right half-plane: i acos z or -i acos z."""
    re, im = complex_acos(a, b)
    return abs(im), copysign(re, b)
