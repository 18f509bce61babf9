"""Elementwise functions: NumPy's ufuncs, by name.

A line of the tables at the end of this file is a whole function: NumPy's ufunc of that name
decides the dtypes, and the function given computes on operands that already have them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from fnad.core.tracer import Tracer
from fnad.core.types import aval_of
from fnad.numpy import elementwise_parts as parts
from fnad.numpy import number_parts
from fnad.numpy.operands import (
    PYTHON_SCALARS,
    Array,
    DType,
    as_operand,
    broadcast_operands,
    convert,
    dtype_of,
    is_weak,
    promotion_key,
    python_scalar,
    resolve_dtypes,
    shape_of,
)
from fnad.numpy.ufunc_types import BinaryUfunc, UnaryUfunc
from fnad.primitives import arithmetic, bits, logic, rounding, transcendental
from fnad.primitives.logic import convert_element_type_p

_MOST_PLANS = 1024


@dataclass(frozen=True, slots=True)
class Elementwise:
    """A ufunc of the vocabulary: NumPy's, which rules the dtypes, and what computes it.

    ``of_bools`` computes it in place of ``compute`` where the operands are booleans. ``plans``
    keep, by the types of operands that need no more than that, what computes it, and the dtypes
    which Python scalars among them take (None for the other operands).
    """

    ufunc: np.ufunc
    compute: Callable[..., Any]
    of_bools: Callable[..., Any] | None = None
    plans: dict[Any, tuple[Any, ...]] = field(default_factory=dict)

    def __call__(self, *operands: Any) -> Any:
        key = tuple([_key(x) for x in operands])
        plan = self.plans.get(key)
        if plan:
            function, *wanted = plan
            return function(
                *[x if d is None else python_scalar(x, d) for x, d in zip(operands, wanted)]
            )
        xs = [as_operand(x) for x in operands]
        dtypes = resolve_dtypes(self.ufunc, *[promotion_key(x) for x in xs])
        if plan is None:
            self._learn(key, operands, xs, dtypes)
        xs = [convert(x, dtype) for x, dtype in zip(xs, dtypes)]
        if len(xs) > 1:
            xs = broadcast_operands(xs, self.ufunc.__name__)
        return self._function(dtypes)(*xs)

    def _function(self, dtypes: tuple[DType, ...]) -> Callable[..., Any]:
        return self.of_bools if self.of_bools and dtypes[0].kind == "b" else self.compute

    def _learn(
        self,
        key: tuple[Any, ...],
        operands: tuple[Any, ...],
        xs: list[Any],
        dtypes: tuple[DType, ...],
    ) -> None:
        plan: list[Any] = [self._function(dtypes)]
        simple = len({shape_of(x) for x in xs} - {()}) < 2
        for operand, x, dtype in zip(operands, xs, dtypes):
            if type(x) in PYTHON_SCALARS:
                plan.append(dtype)
            else:
                plan.append(None)
                as_it_is = x is operand and _says_all(x) and not is_weak(x)
                simple = simple and as_it_is and dtype_of(x) == dtype
        if len(self.plans) >= _MOST_PLANS:
            self.plans.clear()
        self.plans[key] = tuple(plan) if simple else ()

    def operate(self, *operands: Any) -> Any:
        """Apply as an operator: like a call, but weak operands give a weak result."""
        for x in operands:
            if not is_weak(x):
                return self(*operands)
        dtypes = resolve_dtypes(self.ufunc, *[promotion_key(x) for x in operands])
        xs = [_convert_weak(x, dtype) for x, dtype in zip(operands, dtypes)]
        return self._function(dtypes)(*broadcast_operands(xs, self.ufunc.__name__))


def _key(operand: Any) -> Any:
    """The type of an array or tracer, the class of anything else."""
    kind = type(operand)
    if kind is np.ndarray:
        return aval_of(operand)
    return operand.aval if kind is Tracer else kind


def _says_all(operand: Any) -> bool:
    """Whether an operand's key tells its shape and dtype."""
    return type(operand) in (np.ndarray, Tracer) or isinstance(operand, np.generic)


@dataclass(frozen=True, slots=True)
class Comparison(Elementwise):
    """A comparison: a Python int outside the range of the dtype is compared as a number."""

    def __call__(self, *operands: Any) -> Any:
        try:
            return Elementwise.__call__(self, *operands)
        except OverflowError:
            # As NumPy does: every value of the dtype lies on the same side of such an int.
            return Elementwise.__call__(self, *[_beyond(x) for x in operands])

    def _function(self, dtypes: tuple[DType, ...]) -> Callable[..., Any]:
        if dtypes[0] == dtypes[1]:
            return self.compute
        return partial(parts.compare_signs, self.ufunc.__name__)


def _beyond(x: Any) -> Any:
    if type(x) is int:
        return np.float64(np.inf if x > 0 else -np.inf)
    return convert(x, np.dtype(np.float64)) if dtype_of(x).kind in "biu" else x


def _convert_weak(x: Any, dtype: np.dtype[Any]) -> Any:
    if type(x) is not Tracer:
        return dtype.type(x).item()
    if x.dtype == dtype:
        return x
    return convert_element_type_p.bind(x, new_dtype=dtype, weak_type=True)


OPERATIONS: dict[str, Elementwise] = {}


def _register(
    name: str,
    compute: Callable[..., Any],
    kind: type = Elementwise,
    of_bools: Callable[..., Any] | None = None,
) -> Elementwise:
    operation = OPERATIONS[name] = kind(getattr(np, name), compute, of_bools)
    return operation


_DOC = """{summary}

The counterpart of `numpy.{name}`: same broadcasting, same dtypes, for arrays and for traced
arrays, which may be differentiated, batched and compiled.

Parameters
----------
{parameters} : array_like
    Arrays or scalars; Python scalars take the dtype of the arrays they meet.

Returns
-------
array
    Of the shape to which the operands broadcast, of the dtype of `numpy.{name}`.
"""


def _document(function: Any, name: str, summary: str, parameters: str) -> Any:
    function.__name__ = function.__qualname__ = name
    function.__doc__ = _DOC.format(summary=summary, name=name, parameters=parameters)
    return function


def _unary(name: str, compute: Callable[[Any], Any], summary: str) -> UnaryUfunc:
    operation = _register(name, compute)
    plans = operation.plans

    def function(x: Any, /) -> Array:
        plan = plans.get((x.aval,)) if type(x) is Tracer else None
        return plan[0](x) if plan else operation(x)

    return _document(function, name, summary, "x")


def _binary(
    name: str,
    compute: Callable[[Any, Any], Any],
    summary: str,
    kind: type = Elementwise,
    of_bools: Callable[[Any, Any], Any] | None = None,
) -> BinaryUfunc:
    operation = _register(name, compute, kind, of_bools)

    def function(x1: Any, x2: Any, /) -> Array:
        return operation(x1, x2)

    return _document(function, name, summary, "x1, x2")


def _comparison(name: str, compute: Callable[[Any, Any], Any], summary: str) -> BinaryUfunc:
    return _binary(name, compute, summary, Comparison)


# -- arithmetic ---------------------------------------------------------------------------

add = _binary(
    "add",
    arithmetic.add_p.bind,
    "Sum, x1 + x2; of booleans, their disjunction.",
    of_bools=logic.or_p.bind,
)
subtract = _binary("subtract", arithmetic.sub_p.bind, "Difference, x1 - x2.")
multiply = _binary(
    "multiply",
    arithmetic.mul_p.bind,
    "Product, x1 * x2; of booleans, their conjunction.",
    of_bools=logic.and_p.bind,
)
true_divide = _binary(
    "true_divide", arithmetic.div_p.bind, "Quotient, x1 / x2, floating for integers."
)
floor_divide = _binary("floor_divide", parts.floor_divide, "Quotient rounded down, x1 // x2.")
remainder = _binary("remainder", parts.remainder, "Remainder with the sign of x2, x1 % x2.")
fmod = _binary("fmod", arithmetic.rem_p.bind, "Remainder with the sign of x1, as C's fmod.")
power = _binary("power", parts.power, "x1 raised to the power x2.")
float_power = _binary("float_power", parts.power, "x1 raised to the power x2, in float64.")
negative = _unary("negative", arithmetic.neg, "Negation, -x.")
positive = _unary("positive", parts.identity, "The operand itself, +x.")
absolute = _unary("absolute", parts.absolute, "Absolute value, |x|.")
fabs = _unary("fabs", arithmetic.abs, "Absolute value in floating point.")
sign = _unary("sign", rounding.sign, "Sign: -1, 0 or 1; NaN for NaN.")
square = _unary("square", parts.square, "Square, x * x.")
reciprocal = _unary("reciprocal", parts.reciprocal, "Reciprocal, 1 / x; truncated for integers.")
maximum = _binary("maximum", parts.maximum, "The larger of x1 and x2; NaN if either is.")
minimum = _binary("minimum", parts.minimum, "The smaller of x1 and x2; NaN if either is.")
fmax = _binary("fmax", parts.fmax, "The larger of x1 and x2, whichever is not NaN.")
fmin = _binary("fmin", parts.fmin, "The smaller of x1 and x2, whichever is not NaN.")
heaviside = _binary("heaviside", parts.heaviside, "0 where x1 < 0, x2 where x1 = 0, else 1.")
copysign = _binary("copysign", parts.copysign, "The magnitude of x1 with the sign of x2.")
floor = _unary("floor", parts.floor, "The largest integer not above x.")
ceil = _unary("ceil", parts.ceil, "The smallest integer not below x.")
trunc = _unary("trunc", parts.trunc, "The integer part of x.")
rint = _unary("rint", parts.rint, "The nearest integer, ties to the even one.")

# -- exponentials, logarithms, roots ------------------------------------------------------

exp = _unary("exp", transcendental.exp, "Exponential, e**x.")
exp2 = _unary("exp2", transcendental.exp2, "2**x.")
expm1 = _unary("expm1", transcendental.expm1, "e**x - 1, accurate near 0.")
log = _unary("log", transcendental.log, "Natural logarithm.")
log2 = _unary("log2", transcendental.log2, "Logarithm to base 2.")
log10 = _unary("log10", transcendental.log10, "Logarithm to base 10.")
log1p = _unary("log1p", transcendental.log1p, "log(1 + x), accurate near 0.")
logaddexp = _binary("logaddexp", parts.logaddexp, "log(e**x1 + e**x2), without overflow.")
logaddexp2 = _binary("logaddexp2", parts.logaddexp2, "log2(2**x1 + 2**x2), without overflow.")
sqrt = _unary("sqrt", arithmetic.sqrt, "Square root.")
cbrt = _unary("cbrt", arithmetic.cbrt, "Cube root.")
hypot = _binary("hypot", parts.hypot, "sqrt(x1**2 + x2**2), without overflow.")

# -- trigonometry -------------------------------------------------------------------------

sin = _unary("sin", transcendental.sin, "Sine; x in radians.")
cos = _unary("cos", transcendental.cos, "Cosine; x in radians.")
tan = _unary("tan", transcendental.tan, "Tangent; x in radians.")
arcsin = _unary("arcsin", transcendental.asin, "Inverse sine.")
arccos = _unary("arccos", transcendental.acos, "Inverse cosine.")
arctan = _unary("arctan", transcendental.atan, "Inverse tangent.")
arctan2 = _binary("arctan2", transcendental.atan2, "The angle of the point (x2, x1).")
sinh = _unary("sinh", transcendental.sinh, "Hyperbolic sine.")
cosh = _unary("cosh", transcendental.cosh, "Hyperbolic cosine.")
tanh = _unary("tanh", transcendental.tanh, "Hyperbolic tangent.")
arcsinh = _unary("arcsinh", transcendental.asinh, "Inverse hyperbolic sine.")
arccosh = _unary("arccosh", transcendental.acosh, "Inverse hyperbolic cosine.")
arctanh = _unary("arctanh", transcendental.atanh, "Inverse hyperbolic tangent.")
deg2rad = _unary("deg2rad", parts.deg2rad, "Degrees to radians.")
rad2deg = _unary("rad2deg", parts.rad2deg, "Radians to degrees.")
radians = _unary("radians", parts.deg2rad, "Degrees to radians.")
degrees = _unary("degrees", parts.rad2deg, "Radians to degrees.")

# -- comparison, logic, bits --------------------------------------------------------------

equal = _comparison("equal", logic.eq_p.bind, "x1 == x2.")
not_equal = _comparison("not_equal", logic.ne_p.bind, "x1 != x2.")
less = _comparison("less", logic.lt_p.bind, "x1 < x2.")
less_equal = _comparison("less_equal", logic.le_p.bind, "x1 <= x2.")
greater = _comparison("greater", logic.gt_p.bind, "x1 > x2.")
greater_equal = _comparison("greater_equal", logic.ge_p.bind, "x1 >= x2.")
logical_and = _binary("logical_and", parts.logical_and, "Whether both operands are nonzero.")
logical_or = _binary("logical_or", parts.logical_or, "Whether an operand is nonzero.")
logical_xor = _binary("logical_xor", parts.logical_xor, "Whether just one operand is nonzero.")
logical_not = _unary("logical_not", parts.logical_not, "Whether the operand is zero.")
bitwise_and = _binary("bitwise_and", logic.bitwise_and, "Bitwise and, x1 & x2.")
bitwise_or = _binary("bitwise_or", logic.bitwise_or, "Bitwise or, x1 | x2.")
bitwise_xor = _binary("bitwise_xor", logic.bitwise_xor, "Bitwise exclusive or, x1 ^ x2.")
invert = _unary("invert", logic.bitwise_not, "Bitwise not, ~x.")
left_shift = _binary("left_shift", logic.shift_left, "Bits moved left, x1 << x2.")
right_shift = _binary("right_shift", parts.right_shift, "Bits moved right, x1 >> x2.")
isnan = _unary("isnan", parts.isnan, "Whether x is NaN.")
isinf = _unary("isinf", parts.isinf, "Whether x is infinite.")
isfinite = _unary("isfinite", parts.isfinite, "Whether x is neither NaN nor infinite.")
signbit = _unary("signbit", parts.signbit, "Whether the sign bit is set.")

# -- digits -------------------------------------------------------------------------------

gcd = _binary("gcd", number_parts.gcd, "The greatest common divisor of integers.")
lcm = _binary("lcm", number_parts.lcm, "The least common multiple of integers.")
ldexp = _binary("ldexp", number_parts.ldexp, "x1 * 2**x2, for integers x2.")
nextafter = _binary("nextafter", bits.nextafter, "The next number after x1 towards x2.")
bitwise_count = _unary(
    "bitwise_count", parts.bitwise_count, "How many bits of the absolute value are 1, in uint8."
)
spacing = _unary("spacing", number_parts.spacing, "The distance to the next larger magnitude.")

divide = true_divide
mod = remainder
abs = absolute
bitwise_not = bitwise_invert = invert
bitwise_left_shift = left_shift
bitwise_right_shift = right_shift
pow = power
asin, acos, atan, atan2 = arcsin, arccos, arctan, arctan2
asinh, acosh, atanh = arcsinh, arccosh, arctanh


def divmod(x1: Any, x2: Any, /) -> tuple[Array, Array]:
    """Quotient rounded down and remainder, ``(x1 // x2, x1 % x2)``.

    Examples
    --------
    >>> divmod(np.int64(-7), np.int64(2))
    (np.int64(-4), np.int64(1))
    """
    return floor_divide(x1, x2), remainder(x1, x2)


def modf(x: Any, /) -> tuple[Array, Array]:
    """Fractional and integral part, both with the sign of ``x``.

    Examples
    --------
    >>> modf(np.float64(-2.5))
    (np.float64(-0.5), np.float64(-2.0))
    """
    (x,) = _promote(np.modf, x)
    whole = trunc(x)
    return parts.fraction(x, whole), whole


def frexp(x: Any, /) -> tuple[Array, Array]:
    """Mantissa ``m`` with ``0.5 <= |m| < 1``, and int32 exponent ``e``: ``x = m * 2**e``.

    Examples
    --------
    >>> frexp(np.float64(-6.0))
    (np.float64(-0.75), np.int32(3))
    """
    return number_parts.frexp(_promote(np.frexp, x)[0])


def _promote(ufunc: np.ufunc, *operands: Any) -> list[Array]:
    xs = [as_operand(x) for x in operands]
    dtypes = resolve_dtypes(ufunc, *[promotion_key(x) for x in xs])
    return [convert(x, dtype) for x, dtype in zip(xs, dtypes)]
