"""Sign and rounding: of real numbers, their derivative is zero wherever they have one."""

from __future__ import annotations

import enum
from typing import Any

from fnad.core.types import aval_of
from fnad.primitives.complex_numbers import complex, conj, imag
from fnad.primitives.elementwise import elementwise


def _sign_wrt_x(t: Any, ans: Any, x: Any) -> Any:
    """The turn of x / |x|: what of t stands at right angles to x, divided by |x|; 0 at 0."""
    aval = aval_of(x)
    if aval.dtype.kind != "c":
        return None
    from fnad.primitives.arithmetic import abs, div, mul  # its rules use this module
    from fnad.primitives.logic import eq, select

    size = abs(x)
    zero, one = (aval_of(size).dtype.type(k) for k in (0, 1))
    across = imag(mul(conj(ans), t))
    return mul(ans, complex(zero, div(across, select(eq(size, zero), one, size))))


sign_p = elementwise(
    "sign",
    "-1, 0 or 1 as x is negative, zero or positive; x / |x| of complex numbers; NaN of NaN.",
    lambda b, x: b.sign(x),
    derivatives=[_sign_wrt_x],
    kinds="iufc",
)


def sign(x: Any) -> Any:
    """-1, 0 or 1 as ``x`` is negative, zero or positive; ``x / |x|`` of complex numbers.

    Examples
    --------
    >>> import numpy as np
    >>> sign(np.array([1.5, 0.0, -2.0]))
    array([ 1.,  0., -1.])
    """
    return sign_p.bind(x)


floor_p = elementwise(
    "floor", "The integer below.", lambda b, x: b.floor(x), derivatives=[None], kinds="f"
)


def floor(x: Any) -> Any:
    """The largest integer not above ``x``.

    Examples
    --------
    >>> import numpy as np
    >>> floor(np.array([1.5, -1.5]))
    array([ 1., -2.])
    """
    return floor_p.bind(x)


ceil_p = elementwise(
    "ceil", "The integer above.", lambda b, x: b.ceil(x), derivatives=[None], kinds="f"
)


def ceil(x: Any) -> Any:
    """The smallest integer not below ``x``.

    Examples
    --------
    >>> import numpy as np
    >>> ceil(np.array([1.5, -1.5]))
    array([ 2., -1.])
    """
    return ceil_p.bind(x)


trunc_p = elementwise(
    "trunc", "The integer towards zero.", lambda b, x: b.trunc(x), derivatives=[None], kinds="f"
)


def trunc(x: Any) -> Any:
    """``x`` without its fraction.

    Examples
    --------
    >>> import numpy as np
    >>> trunc(np.array([1.5, -1.5]))
    array([ 1., -1.])
    """
    return trunc_p.bind(x)


round_p = elementwise(
    "round",
    "The nearest integer; of two, the even one. Of complex numbers, in both parts.",
    lambda b, x: b.rint(x),
    derivatives=[None],
    kinds="fc",
)


def rint(x: Any) -> Any:
    """The nearest integer; halves go to the even one, as in NumPy.

    Examples
    --------
    >>> import numpy as np
    >>> rint(np.array([0.5, 1.5, -1.2]))
    array([ 0.,  2., -1.])
    """
    return round_p.bind(x)


class RoundingMethod(enum.IntEnum):
    """What `round` makes of halves."""

    AWAY_FROM_ZERO = 0
    TO_NEAREST_EVEN = 1


def round(x: Any, rounding_method: RoundingMethod = RoundingMethod.AWAY_FROM_ZERO) -> Any:
    """The nearest integer; halves go away from zero, as in JAX, unless the method says otherwise.

    Examples
    --------
    >>> import numpy as np
    >>> round(np.array([0.5, 2.5, -0.5])), round(np.array([0.5, 2.5]), RoundingMethod(1))
    (array([ 1.,  3., -1.]), array([0., 2.]))
    """
    from fnad.primitives.arithmetic import abs, add, sub  # its rules use this module
    from fnad.primitives.logic import ge, select

    if RoundingMethod(rounding_method) is RoundingMethod.TO_NEAREST_EVEN:
        return rint(x)
    # Differences from the integer are exact; x + 0.5 would round the float below 0.5 up to 1.
    near = trunc(x)
    half = aval_of(x).dtype.type(0.5)
    return select(ge(abs(sub(x, near)), half), add(near, sign(x)), near)
