"""sqrt and cbrt."""

from __future__ import annotations

import math

from fnad.lowering.maths.notation import (
    FLOAT64,
    Number,
    absolute,
    by_dtype,
    copysign,
    fma,
    horner,
    where,
    whole_part,
    whole_to_float,
)

# m**(-1/3) for 1 <= m <= 2, a first approximation
_INVERSE_CBRT = by_dtype(
    (1.5418864162811368, -0.8099594418884056, 0.3177568969153893, -0.04993693541484025),
    (1.6700094047538268, -1.1728879161475327, 0.6954906805614725, -0.22124149337078586,
     0.028591625738982877),
)  # fmt: skip
_DENORMAL_THIRDS = by_dtype(9, 18)  # 2 to three times this makes denormals normal


def cbrt(x: Number) -> Number:
    """2**q cbrt(2**r m): m**(-1/3) improved by Newton's iteration, squared and corrected once."""
    size = absolute(x)
    tiny = size < x.smallest_normal
    thirds = x.pick(_DENORMAL_THIRDS)
    bits = where(tiny, size * 2.0 ** (3 * thirds), size).bits
    exponent = whole_to_float((bits >> x.mantissa) - x.bias)
    q, q_bits = whole_part(exponent - 1.0, 1 / 3, x.bias)
    r = fma(q, -3.0, exponent)
    m = ((bits & ((1 << x.mantissa) - 1)) | (x.bias << x.mantissa)).from_bits

    two, one = r > 1.5, r > 0.5
    a = m * where(two, x.constant(4.0), where(one, x.constant(2.0), 1.0))
    root = where(two, x.constant(4 ** (-1 / 3)), where(one, x.constant(2 ** (-1 / 3)), 1.0))
    y = horner(m, x.pick(_INVERSE_CBRT)) * root  # a**(-1/3)
    lack = fma(-(a * y), y * y, 1.0)
    step = fma(lack, 2 / 9, 1 / 3) if x.dtype == FLOAT64 else 1 / 3
    y = fma(y * lack, step, y)

    square = y * y
    c = a * square
    c_square = c * c
    rest = fma(-c, c_square, a) - c * fma(c, c, -c_square)  # a - c**3
    c = fma(rest * square, 1 / 3, c)
    q_bits = where(tiny, q_bits - thirds, q_bits)
    result = copysign(c * (q_bits << x.mantissa).from_bits, x)
    return where((size < math.inf) & (size > 0.0), result, x)
