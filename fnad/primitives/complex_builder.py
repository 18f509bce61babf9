"""The builder of scalar expressions whose complex numbers are pairs of traced real arrays.

Lowering evaluates the scalar rule of an elementwise primitive with it where complex numbers take
part (`fnad.lowering.parts`). Handles of complex numbers are `Pair`, those of others are tracers.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from fnad.core.primitive import Parts
from fnad.core.tracer import Tracer
from fnad.core.types import aval_of
from fnad.primitives import arithmetic, logic, rounding, transcendental
from fnad.primitives import complex_functions as functions
from fnad.primitives.complex_numbers import complex_dtype, real_dtype

Rule = Callable[..., Any]


class Pair:
    """A complex number as a handle: its parts, and arithmetic by the builder."""

    __slots__ = ("im", "re")

    def __init__(self, re: Any, im: Any) -> None:
        self.re, self.im = re, im

    @property
    def dtype(self) -> np.dtype[Any]:
        return complex_dtype(aval_of(self.re).dtype)

    def __add__(self, other: Any) -> Pair:
        return COMPLEX.add(self, _pair(other, self))

    def __radd__(self, other: Any) -> Pair:
        return COMPLEX.add(_pair(other, self), self)

    def __sub__(self, other: Any) -> Pair:
        return COMPLEX.subtract(self, _pair(other, self))

    def __rsub__(self, other: Any) -> Pair:
        return COMPLEX.subtract(_pair(other, self), self)

    def __mul__(self, other: Any) -> Pair:
        return COMPLEX.multiply(self, _pair(other, self))

    def __rmul__(self, other: Any) -> Pair:
        return COMPLEX.multiply(_pair(other, self), self)

    def __truediv__(self, other: Any) -> Pair:
        return COMPLEX.divide(self, _pair(other, self))

    def __rtruediv__(self, other: Any) -> Pair:
        return COMPLEX.divide(_pair(other, self), self)

    def __neg__(self) -> Pair:
        return COMPLEX.negative(self)

    def __lt__(self, other: Any) -> Any:
        return COMPLEX.less(self, _pair(other, self))

    def __le__(self, other: Any) -> Any:
        return COMPLEX.less_equal(self, _pair(other, self))

    def __gt__(self, other: Any) -> Any:
        return COMPLEX.greater(self, _pair(other, self))

    def __ge__(self, other: Any) -> Any:
        return COMPLEX.greater_equal(self, _pair(other, self))


def _pair(value: Any, like: Pair) -> Pair:
    """A number in a complex number's dtype; a handle as it is."""
    return value if type(value) is Pair else COMPLEX.constant(value, like.dtype)


def _traced(x: Any) -> Any:
    """A real operand as a tracer, also if it is a constant, so that operators record it."""
    if type(x) is Tracer:
        return x
    dtype = aval_of(x).dtype
    return logic.convert_element_type_p.bind(x, new_dtype=dtype, weak_type=False)


def handle(operand: Any) -> Any:
    """The handle of an operand of a `parts` rule."""
    if type(operand) is Parts:
        return Pair(_traced(operand.re), _traced(operand.im))
    return _traced(operand)


def parts_of(value: Any) -> Any:
    """What a `parts` rule returns for a handle."""
    return Parts(value.re, value.im) if type(value) is Pair else value


def by_parts(method: Rule) -> Rule:
    """A method for two complex numbers as a function of four parts, which returns two."""

    def function(*parts: Any) -> tuple[Any, Any]:
        a_re, a_im, b_re, b_im = parts
        out = method(Pair(a_re, a_im), Pair(b_re, b_im))
        return out.re, out.im

    return function


def _function(of_parts: Rule, of_real: Rule) -> Rule:
    """A method for a function of one number, by its rules for both kinds."""

    def method(self: ComplexBuilder, x: Any) -> Any:
        return Pair(*of_parts(x.re, x.im)) if type(x) is Pair else of_real(x)

    return method


def _partwise(of_real: Rule) -> Rule:
    """A method that acts on both parts alike."""

    def method(self: ComplexBuilder, *xs: Any) -> Any:
        if type(xs[0]) is not Pair:
            return of_real(*xs)
        return Pair(of_real(*(x.re for x in xs)), of_real(*(x.im for x in xs)))

    return method


def _real(of_real: Rule) -> Rule:
    """A method for real numbers."""

    def method(self: ComplexBuilder, *xs: Any) -> Any:
        return of_real(*xs)

    return method


def _exp2(a: Any, b: Any) -> tuple[Any, Any]:
    """2**z = e**(z log 2)."""
    return functions.complex_exp(a * math.log(2), b * math.log(2))


def _sin(a: Any, b: Any) -> tuple[Any, Any]:
    """sin z = -i sinh(iz)."""
    re, im = functions.complex_sinh(-b, a)
    return im, -re


def _cos(a: Any, b: Any) -> tuple[Any, Any]:
    """cos z = cosh(iz)."""
    return functions.complex_cosh(-b, a)


def _tan(a: Any, b: Any) -> tuple[Any, Any]:
    """tan z = -i tanh(iz)."""
    re, im = functions.complex_tanh(-b, a)
    return im, -re


def _asinh(a: Any, b: Any) -> tuple[Any, Any]:
    """asinh z = -i asin(iz)."""
    re, im = functions.complex_asin(-b, a)
    return im, -re


def _atan(a: Any, b: Any) -> tuple[Any, Any]:
    """atan z = -i atanh(iz)."""
    re, im = functions.complex_atanh(-b, a)
    return im, -re


def _times(function: Rule, factor: float) -> Rule:
    """The function of complex numbers, its result times a real number."""

    def method(a: Any, b: Any) -> tuple[Any, Any]:
        re, im = function(a, b)
        return re * factor, im * factor

    return method


class ComplexBuilder:
    """Scalar operations on traced arrays; see "Elementwise primitives" in docs/architecture.md."""

    add = _partwise(arithmetic.add)
    subtract = _partwise(arithmetic.sub)
    negative = _partwise(arithmetic.neg)
    floor = _partwise(rounding.floor)
    ceil = _partwise(rounding.ceil)
    trunc = _partwise(rounding.trunc)
    rint = _partwise(rounding.rint)
    exp = _function(functions.complex_exp, transcendental.exp)
    exp2 = _function(_exp2, transcendental.exp2)
    expm1 = _function(functions.complex_expm1, transcendental.expm1)
    log = _function(functions.complex_log, transcendental.log)
    log2 = _function(_times(functions.complex_log, 1 / math.log(2)), transcendental.log2)
    log10 = _function(_times(functions.complex_log, 1 / math.log(10)), transcendental.log10)
    log1p = _function(functions.complex_log1p, transcendental.log1p)
    sqrt = _function(functions.complex_sqrt, arithmetic.sqrt)
    sin = _function(_sin, transcendental.sin)
    cos = _function(_cos, transcendental.cos)
    tan = _function(_tan, transcendental.tan)
    sinh = _function(functions.complex_sinh, transcendental.sinh)
    cosh = _function(functions.complex_cosh, transcendental.cosh)
    tanh = _function(functions.complex_tanh, transcendental.tanh)
    arcsin = _function(functions.complex_asin, transcendental.asin)
    arccos = _function(functions.complex_acos, transcendental.acos)
    arctan = _function(_atan, transcendental.atan)
    arcsinh = _function(_asinh, transcendental.asinh)
    arccosh = _function(functions.complex_acosh, transcendental.acosh)
    arctanh = _function(functions.complex_atanh, transcendental.atanh)
    arctan2 = _real(transcendental.atan2)
    copysign = _real(functions.copysign)
    bitwise_and = _real(logic.bitwise_and)
    bitwise_or = _real(logic.bitwise_or)
    bitwise_xor = _real(logic.bitwise_xor)
    bitwise_not = _real(logic.bitwise_not)

    def constant(self, value: Any, dtype: Any) -> Any:
        number = np.asarray(value).astype(dtype)
        if number.dtype.kind != "c":
            return _traced(number[()])
        return Pair(*(_traced(np.array(part)[()]) for part in (number.real, number.imag)))

    # -- parts ------------------------------------------------------------------------------

    def real(self, x: Any) -> Any:
        return x.re if type(x) is Pair else x

    def imag(self, x: Any) -> Any:
        return x.im if type(x) is Pair else _traced(x.dtype.type(0))

    def complex(self, x: Any, y: Any) -> Any:
        return Pair(x, y)

    def conjugate(self, x: Any) -> Any:
        return Pair(x.re, -x.im) if type(x) is Pair else x

    def absolute(self, x: Any) -> Any:
        return functions.magnitude(x.re, x.im) if type(x) is Pair else arithmetic.abs(x)

    def sign(self, x: Any) -> Any:
        """z / abs(z), with 0 and NaN as they are; of infinities, that of the infinite part."""
        if type(x) is not Pair:
            return rounding.sign(x)
        size = functions.magnitude(x.re, x.im)
        flat = logic.bitwise_not(logic.bitwise_and(size > 0, logic.is_finite(size)))
        real = size.dtype.type
        infinite = logic.eq(size, np.inf)
        both = logic.bitwise_and(functions.is_inf(x.re), functions.is_inf(x.im))

        def part(v: Any) -> Any:
            unit = logic.select(functions.is_inf(v), rounding.sign(v), real(0))
            edge = logic.select(infinite, logic.select(both, real(np.nan), unit), size)
            return logic.select(flat, edge, v / size)

        return Pair(part(x.re), part(x.im))

    # -- arithmetic -------------------------------------------------------------------------

    def multiply(self, x: Any, y: Any) -> Any:
        if type(x) is not Pair:
            return arithmetic.mul(x, y)
        return Pair(x.re * y.re - x.im * y.im, x.re * y.im + x.im * y.re)

    def divide(self, x: Any, y: Any) -> Any:
        """Smith, "Algorithm 116: complex division" (1962), step by step as NumPy does it."""
        if type(x) is not Pair:
            return arithmetic.div(x, y)
        select = logic.select
        upright = arithmetic.abs(y.re) >= arithmetic.abs(y.im)
        large, small = select(upright, y.re, y.im), select(upright, y.im, y.re)
        first, second = select(upright, x.re, x.im), select(upright, x.im, x.re)
        ratio = small / large
        scale = 1 / (large + small * ratio)
        re = (first + second * ratio) * scale
        im = select(upright, second - first * ratio, first * ratio - second) * scale
        size = arithmetic.abs(y.re)
        zero = logic.bitwise_and(logic.eq(y.re, 0), logic.eq(y.im, 0))
        return Pair(select(zero, x.re / size, re), select(zero, x.im / size, im))

    def power(self, x: Any, y: Any) -> Any:
        """exp(y log x); 1 where y is 0, and 0 or NaN where x is: as the sign of y's real part."""
        if type(x) is not Pair:
            return arithmetic.pow(x, y)
        select, eq, both = logic.select, logic.eq, logic.bitwise_and
        real = x.re.dtype.type
        x_zero = both(eq(x.re, 0), eq(x.im, 0))
        y_zero = both(eq(y.re, 0), eq(y.im, 0))
        base = Pair(select(x_zero, real(1), x.re), x.im)
        power = self.exp(self.multiply(y, self.log(base)))
        of_zero = select(y.re > 0, real(0), real(np.nan))
        re = select(y_zero, real(1), select(x_zero, of_zero, power.re))
        return Pair(re, select(y_zero, real(0), select(x_zero, of_zero, power.im)))

    # -- comparisons: by the real parts, and where they are equal by the imaginary ones --------

    def equal(self, x: Any, y: Any) -> Any:
        if type(x) is not Pair:
            return logic.eq(x, y)
        return logic.bitwise_and(logic.eq(x.re, y.re), logic.eq(x.im, y.im))

    def not_equal(self, x: Any, y: Any) -> Any:
        if type(x) is not Pair:
            return logic.ne(x, y)
        return logic.bitwise_or(logic.ne(x.re, y.re), logic.ne(x.im, y.im))

    def _compared(self, strict: Rule, last: Rule, x: Any, y: Any) -> Any:
        if type(x) is not Pair:
            return last(x, y)
        known = logic.bitwise_and(logic.eq(x.im, x.im), logic.eq(y.im, y.im))
        before = logic.bitwise_and(strict(x.re, y.re), known)
        return logic.bitwise_or(before, logic.bitwise_and(logic.eq(x.re, y.re), last(x.im, y.im)))

    def less(self, x: Any, y: Any) -> Any:
        return self._compared(logic.lt, logic.lt, x, y)

    def less_equal(self, x: Any, y: Any) -> Any:
        return self._compared(logic.lt, logic.le, x, y)

    def greater(self, x: Any, y: Any) -> Any:
        return self._compared(logic.gt, logic.gt, x, y)

    def greater_equal(self, x: Any, y: Any) -> Any:
        return self._compared(logic.gt, logic.ge, x, y)

    def _chosen(self, better: Rule, x: Any, y: Any) -> Any:
        """x if it is NaN or better, else y."""
        first = logic.bitwise_or(self.not_equal(x, x), better(x, y))
        return self.where(first, x, y)

    def maximum(self, x: Any, y: Any) -> Any:
        if type(x) is not Pair:
            return arithmetic.max(x, y)
        return self._chosen(self.greater_equal, x, y)

    def minimum(self, x: Any, y: Any) -> Any:
        if type(x) is not Pair:
            return arithmetic.min(x, y)
        return self._chosen(self.less_equal, x, y)

    # -- choice and conversion --------------------------------------------------------------

    def where(self, condition: Any, x: Any, y: Any) -> Any:
        if type(x) is not Pair:
            return logic.select(condition, x, y)
        return Pair(logic.select(condition, x.re, y.re), logic.select(condition, x.im, y.im))

    def convert(self, x: Any, dtype: Any) -> Any:
        """Convert; complex to real drops the imaginary part, but what is not 0 is true."""
        dtype = np.dtype(dtype)
        if dtype.kind == "c":
            part = real_dtype(dtype)
            re, im = (x.re, x.im) if type(x) is Pair else (x, _traced(part.type(0)))
            return Pair(*(logic.convert_element_type(v, part) for v in (re, im)))
        if type(x) is not Pair:
            return logic.convert_element_type(x, dtype)
        if dtype.kind == "b":
            return logic.bitwise_or(logic.ne(x.re, 0), logic.ne(x.im, 0))
        return logic.convert_element_type(x.re, dtype)


COMPLEX = ComplexBuilder()
