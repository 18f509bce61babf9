"""The Faddeeva function and Dawson's integral.

By the trapezoidal rule with the poles' residues, on a grid that keeps away from the argument, which
has a relative error of some roundings in the whole upper half plane: M. Al Azah and S. N.
Chandler-Wilde, "Computation of the complex error function using modified trapezoidal rules" (SIAM
J. Numer. Anal. 59, 2021). Its residue is written so that real and imaginary parts are accurate
each on its own.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import fnad.numpy as fnp
from fnad.primitives.bits import reduce_precision
from fnad.primitives.complex_numbers import complex
from fnad.scipy.operands import holomorphic, polynomial, with_partials
from fnad.transforms.blocks import compiled_elementwise

_NODES = 12
_STEP = math.sqrt(math.pi / _NODES)
_ROOT_PI = math.sqrt(math.pi)
_MIDPOINTS = tuple((k + 0.5) * _STEP for k in range(_NODES))
_GRID = tuple(k * _STEP for k in range(1, _NODES + 1))
# The numerators of -w'(z) in powers of z**-2, over i/sqrt(pi): (2k + 1)!! / 2**k (DLMF 7.12.1).
_SLOPE = tuple(math.prod(range(1, 2 * k + 2, 2)) / 2.0**k for k in range(16))
_FAR_SLOPE = 7.5  # from here on the series of the slope is exact to the last bits


class Split(NamedTuple):
    """``w(z) = exp(-z**2) (1 + i T) + S`` where z = x + i y is in the first quadrant.

    ``T`` stands for ``tan(pi z / step)`` or ``-cot(pi z / step)``: for the grid, of the two, whose
    poles are farther away.
    """

    x: Any
    y: Any
    sum_re: Any
    sum_im: Any
    midpoints: Any  # whether T is a tangent
    alone: Any  # whether T is i, and S all of w
    far: Any  # whether z is so large that S = i / (sqrt(pi) z), and all of w


def split_of(x: Any, y: Any) -> Split:
    # Beyond it z**-2 is lost in rounding; the sum's denominators would overflow at the fourth root
    # of the largest number.
    edge = 1e4 if x.dtype.itemsize == 4 else 1e9
    far = fnp.maximum(x, y) > edge
    big = fnp.where(far, fnp.maximum(x, y), 1)
    u, v = fnp.where(far, x, 1) / big, fnp.where(far, y, 0) / big
    length = _ROOT_PI * (u * u + v * v)
    far_re, far_im = v / length / big, u / length / big
    x, y = fnp.where(far, 1, x), fnp.where(far, 0, y)
    # Where the residue is below exp(-75), or the exponential 0, there is no need for it.
    alone = (y >= math.pi / _STEP) | (x > 28)
    turns = x / _STEP
    midpoints = alone | (fnp.abs(turns - fnp.floor(turns) - 0.5) > 0.25)
    square = x * x + y * y
    re, im = fnp.zeros_like(x), fnp.zeros_like(x)
    kind = x.dtype.type
    for half, whole in zip(_MIDPOINTS, _GRID):
        t = fnp.where(midpoints, kind(half), whole)
        weight = fnp.where(midpoints, kind(math.exp(-half * half)), math.exp(-whole * whole))
        a, b = (x - t) * (x - t) + y * y, (x + t) * (x + t) + y * y
        term = weight / a / b
        re = re + y * (square + t * t) * term
        im = im + x * ((x - t) * (x + t) + y * y) * term
    scale = 2 * _STEP / math.pi
    safe = fnp.where(midpoints, 1, square)
    centre = fnp.where(midpoints, 0, 0.5 / safe)  # the grid's node at 0
    re = fnp.where(far, far_re, scale * (re + y * centre))
    im = fnp.where(far, far_im, scale * (im + x * centre))
    return Split(x, y, re, im, midpoints, alone | far, far)


def residue_of_w(split: Split) -> tuple[Any, Any]:
    """``1 + i T``, uncancelled: 2 q / (q + 1) or 2 q / (q - 1), q = exp(2 pi i z / step)."""
    sign = fnp.where(split.midpoints, split.x.dtype.type(1), -1)
    x, y = split.x * (2 * math.pi / _STEP), split.y * (2 * math.pi / _STEP)
    size = fnp.exp(-y)
    re, im = sign * size * fnp.cos(x), sign * size * fnp.sin(x)
    down = (1 + re) * (1 + re) + im * im
    re, im = 2 * (re * (1 + re) + im * im) / down, 2 * im / down
    return fnp.where(split.alone, 0, re), fnp.where(split.alone, 0, im)


def _tangent(split: Split) -> tuple[Any, Any]:
    """``T``; its denominator does not vanish, as the grid's poles are far away."""
    x, y = split.x * (2 * math.pi / _STEP), split.y * (2 * math.pi / _STEP)
    y = fnp.where(split.alone, 0, y)
    sign = fnp.where(split.midpoints, split.x.dtype.type(1), -1)
    size = fnp.exp(-y)
    down = 2 * size * sign * fnp.cos(x) + 1 + size * size
    re, im = sign * 2 * size * fnp.sin(x) / down, -fnp.expm1(-2 * y) / down
    return fnp.where(split.alone, 0, re), fnp.where(split.alone, 1, im)


def _squared(x: Any, y: Any, known: Any) -> tuple[tuple[Any, Any], tuple[Any, Any]]:
    """The parts of ``-(x + i y)**2`` as sums of a number and its rounding error, 0 where not known.

    With the arguments split so that products of heads are exact (Veltkamp and Dekker 1971).
    """
    x, y = fnp.where(known, x, 0), fnp.where(known, y, 0)
    digits = (8, 10) if x.dtype.itemsize == 4 else (11, 25)
    u, v = reduce_precision(x, *digits), reduce_precision(y, *digits)
    a, b = v * v, -u * u
    total = a + b
    part = total - a
    lost = (a - (total - part)) + (b - part)
    lost = lost + ((y - v) * (y + v) - (x - u) * (x + u))
    head, rest = -2 * u * v, -2 * (u * (y - v) + (x - u) * y)
    angle = head + rest
    return (total, lost), (angle, (head - angle) + rest)


def gaussian_parts(x: Any, y: Any) -> tuple[Any, Any, Any]:
    """``exp(-(x + i y)**2)``: the root of its size, and the cosine and sine of its angle."""
    most = 1e18 if x.dtype.itemsize == 4 else 1e150
    x, y = fnp.clip(x, -most, most), fnp.clip(y, -most, most)
    # Beyond, it is 0, infinite or from a band as thin as a line.
    small = fnp.maximum(fnp.abs(x), fnp.abs(y)) <= 100
    (exponent, lost), (angle, turn) = _squared(x, y, small)
    exponent = fnp.where(small, exponent, (y - x) * (y + x))
    half = fnp.exp(0.5 * exponent) * (1 + fnp.expm1(0.5 * lost))
    angle = fnp.where(half == 0, 0, fnp.where(small, angle, -2 * x * y))
    turn = fnp.where(half == 0, 0, turn)
    cosine, sine = fnp.cos(angle), fnp.sin(angle)
    return half, cosine - turn * sine, sine + turn * cosine


def _gaussian(x: Any, y: Any) -> tuple[Any, Any]:
    """``exp(-z**2)``."""
    half, cosine, sine = gaussian_parts(x, y)
    # On the axes an infinite size has no part in the sine.
    return cosine * half * half, fnp.where(sine == 0, sine, sine * half * half)


def product(a: tuple[Any, Any], b: tuple[Any, Any]) -> tuple[Any, Any]:
    return a[0] * b[0] - a[1] * b[1], a[0] * b[1] + a[1] * b[0]


@holomorphic
@compiled_elementwise
def wofz(z: Any) -> Any:
    """The Faddeeva function ``exp(-z**2) erfc(-i z)``, elementwise; always complex.

    Examples
    --------
    >>> import numpy as np
    >>> wofz(np.array([0.0, 1j, 2 + 1j])).round(8)
    array([1.        +0.j        , 0.42758358+0.j        ,
           0.14023958+0.22221344j])
    """
    return _wofz(z + 0j)


def _wofz_value(z: Any) -> Any:
    re, im = fnp.real(z), fnp.imag(z)
    x, y = fnp.abs(re), fnp.abs(im)
    finite = (x < math.inf) & (y < math.inf)
    split = split_of(fnp.where(finite, x, 1), fnp.where(finite, y, 0))
    lower = im < 0
    # exp(-z**2) overflows where there is no residue, but in the lower half plane.
    needed = finite & (lower | ~split.alone)
    gauss = _gaussian(fnp.where(needed, x, 0), fnp.where(needed, y, 0))
    residue = product(gauss, residue_of_w(split))
    above_re = fnp.where(split.alone, 0, residue[0]) + split.sum_re
    above_im = fnp.where(split.alone, 0, residue[1]) + split.sum_im
    # w(-z) = 2 exp(-z**2) - w(z), and w(-conj(z)) = conj(w(z)).
    out_re = fnp.where(lower, 2 * gauss[0] - above_re, above_re)
    out_im = fnp.where(lower, above_im - 2 * gauss[1], above_im)
    undefined = fnp.isnan(re) | fnp.isnan(im) | (im == -math.inf)
    zero = fnp.where(undefined, re.dtype.type(math.nan), 0)
    out_re = fnp.where(finite, out_re, zero)
    out_im = fnp.where(finite, fnp.where(re < 0, -out_im, out_im), zero)
    return complex(out_re, out_im)


def _far_slope(z: Any) -> tuple[Any, Any]:
    """Where the derivative of Dawson's integral is its asymptotic series, and this."""
    far = fnp.abs(z) > _FAR_SLOPE
    inverse = 1 / fnp.where(far, z, _FAR_SLOPE)
    square = inverse * inverse
    return far, -0.5 * square * polynomial(square, _SLOPE)


def _wofz_slope(z: Any) -> Any:
    far, series = _far_slope(z)
    near = -2 * z * _wofz(z) + 2j / _ROOT_PI
    lower = far & (fnp.imag(z) < 0)
    below = fnp.where(lower, z, 0)
    return fnp.where(far, 2j / _ROOT_PI * series - 4 * below * fnp.exp(-below * below), near)


_wofz = with_partials(_wofz_slope)(_wofz_value)


@holomorphic
@compiled_elementwise
def dawsn(x: Any) -> Any:
    """Dawson's integral, ``exp(-x**2)`` times that of ``exp(t**2)`` from 0 to ``x``, elementwise.

    Examples
    --------
    >>> import numpy as np
    >>> dawsn(np.array([0.0, 1.0, 10.0]))
    array([0.        , 0.53807951, 0.05025385])
    """
    return _dawsn(x)


def _dawsn_value(z: Any) -> Any:
    re, im = fnp.real(z), fnp.imag(z)
    x, y = fnp.abs(re), fnp.abs(im)
    finite = (x < math.inf) & (y < math.inf)
    split = split_of(fnp.where(finite, x, 1), fnp.where(finite, y, 0))
    # D(z) = sqrt(pi)/2 (exp(-z**2) T - i S), odd in both parts.
    is_complex = fnp.iscomplexobj(z)
    gauss = _gaussian(fnp.where(finite, x, 1), fnp.where(finite, y, 0))
    turned = product(gauss, _tangent(split))
    out_re = 0.5 * _ROOT_PI * (turned[0] + split.sum_im)
    out_im = 0.5 * _ROOT_PI * (turned[1] - split.sum_re)
    nan = fnp.isnan(re) | fnp.isnan(im)
    out_re = fnp.where(
        finite, fnp.copysign(1, re) * out_re, fnp.where(nan, re.dtype.type(math.nan), 0)
    )
    if not is_complex:
        return out_re
    out_im = fnp.where(
        finite, fnp.copysign(1, im) * out_im, fnp.where(nan, re.dtype.type(math.nan), 0)
    )
    return complex(out_re, out_im)


def _dawsn_slope(z: Any) -> Any:
    far, series = _far_slope(z)
    near = 1 - 2 * z * _dawsn(z)
    if not fnp.iscomplexobj(z):
        return fnp.where(far, series, near)
    # The other exponential counts about the imaginary axis.
    steep = far & (fnp.abs(fnp.imag(z)) > fnp.abs(fnp.real(z)) / 2)
    return fnp.where(far & ~steep, series, near)


_dawsn = with_partials(_dawsn_slope)(_dawsn_value)
