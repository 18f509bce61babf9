"""Elementary functions: inline IR that LLVM's loop vectoriser takes, or calls of a library.

The inline ones have no branches, calls or tables, only arithmetic and selects, so a loop over
them becomes vector code. They are accurate to a few units in the last place for all inputs
(denormals included) and follow C's rules for infinities and NaN. Each is a function marked
``alwaysinline`` that a module contains once. Polynomials are Chebyshev fits on the reduced
ranges; the reductions are the classical ones (Cody and Waite 1980; Tang 1989, 1990).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from fnad.core.errors import InternalError
from fnad.lowering.llvm.writer import DType, Function, Module, Value, llvm_type, suffix

if TYPE_CHECKING:
    from fnad.lowering.llvm.scalars import ScalarBuilder

_INT32, _INT64 = np.dtype(np.int32), np.dtype(np.int64)
_FLOAT32, _FLOAT64 = np.dtype(np.float32), np.dtype(np.float64)

# Names of functions of the C library, called for float64; float32 appends an f.
_LIBM = {
    "cbrt": "cbrt", "sin": "sin", "cos": "cos", "tan": "tan", "arcsin": "asin",
    "arccos": "acos", "arctan": "atan", "arctan2": "atan2", "sinh": "sinh", "cosh": "cosh",
    "arcsinh": "asinh", "arccosh": "acosh", "arctanh": "atanh", "power": "pow", "erf": "erf",
    "erfc": "erfc", "fmod": "fmod",
}  # fmt: skip

# Functions of scipy.special, by their names there; computed in float64.
_SPECIAL = {"erfinv": "erfinv", "lgamma": "gammaln", "digamma": "psi"}


@dataclass(frozen=True)
class _Format:
    """What the definitions need to know of a floating dtype."""

    integer: DType
    mantissa: int  # stored bits of the significand
    bias: int
    ln2: tuple[float, float]  # high and low part; the high part times a small integer is exact
    log10_2: tuple[float, float]
    exp_range: tuple[float, float]  # beyond: 0, infinity
    expm1_range: tuple[float, float]  # beyond: -1, infinity
    tanh_bound: float  # beyond: 1
    exp: tuple[float, ...]  # (e**r - 1 - r) / r**2 for |r| <= ln(2) / 2
    exp2: tuple[float, ...]  # (2**r - 1) / r for |r| <= 1/2
    log: tuple[
        float, ...
    ]  # (log((1+s)/(1-s)) / s - 2) / s**2 in s**2, for (1+s)/(1-s) in [.7, 1.42]


_FORMATS = {
    _FLOAT32: _Format(
        integer=_INT32, mantissa=23, bias=127,
        ln2=(0.693145751953125, 1.4286068203094173e-06),
        log10_2=(0.301025390625, 4.605038981195214e-06),
        exp_range=(-104.0, 89.0), expm1_range=(-18.0, 89.0), tanh_bound=10.0,
        exp=(0.5, 0.16666576666119928, 0.04166655421298415, 0.008363232883682618,
             0.0013926250831497611),
        exp2=(0.6931471805599453, 0.24022650922288757, 0.055504108839096185,
              0.009618056678524637, 0.001333350238616277, 0.0001546144469856913,
              1.5297323760701075e-05),
        log=(0.6666666655430018, 0.4000012200081688, 0.2855080255327671, 0.2333096405177204),
    ),
    _FLOAT64: _Format(
        integer=_INT64, mantissa=52, bias=1023,
        ln2=(0.6931471805598903, 5.497923018708371e-14),
        log10_2=(0.30102999566395283, 2.8363394551044964e-14),
        exp_range=(-746.0, 710.0), expm1_range=(-38.0, 710.0), tanh_bound=20.0,
        exp=(0.5, 0.1666666666666667, 0.04166666666666667, 0.008333333333326084,
             0.0013888888888883711, 0.0001984126987500228, 2.480158732567746e-05,
             2.755725517000089e-06, 2.755727347871858e-07, 2.5105312729622103e-08,
             2.09147553258932e-09),
        exp2=(0.6931471805599453, 0.24022650695910072, 0.055504108664821625,
              0.00961812910762848, 0.001333355814640647, 0.00015403530393370734,
              1.5252733841556773e-05, 1.3215486808705563e-06, 1.0178057087733941e-07,
              7.0548973041554995e-09, 4.4558179083360645e-10, 2.5729324177362305e-11),
        log=(0.666666666666667, 0.3999999999989924, 0.2857142862609589, 0.2222221111514416,
             0.18182890556695602, 0.1533167403016786, 0.1461703754879165),
    ),
}  # fmt: skip


class _Maths:
    """Shorthand for writing a definition: arithmetic with constants of the operand's dtype."""

    def __init__(self, b: ScalarBuilder, dtype: DType) -> None:
        self.b, self.dtype, self.format = b, dtype, _FORMATS[dtype]

    def number(self, value: Any) -> Value:
        return self.b.constant(value, self.dtype)

    def integer(self, value: int) -> Value:
        return self.b.constant(value, self.format.integer)

    def polynomial(self, x: Value, coefficients: Sequence[float]) -> Value:
        """Horner's scheme, constant coefficient first."""
        result = self.number(coefficients[-1])
        for c in reversed(coefficients[:-1]):
            result = self.b.fma(result, x, self.number(c))
        return result

    def clamp(self, x: Value, low: float, high: float) -> Value:
        """``x`` within bounds; NaN becomes ``low``."""
        b = self.b
        x = b.where(b.greater(x, self.number(low)), x, self.number(low))
        return b.where(b.less(x, self.number(high)), x, self.number(high))

    def to_integer(self, x: Value) -> Value:
        """A whole number of modest size as an integer; 32 bits convert on every machine."""
        small = self.b.f.value(f"fptosi {x.typed} to {llvm_type(_INT32, x.lanes)}", _INT32, x.lanes)
        return self.b.convert(small, self.format.integer)

    def to_float(self, n: Value) -> Value:
        return self.b.convert(self.b.convert(n, _INT32), self.dtype)

    def power_of_two(self, n: Value) -> Value:
        """2**n for an integer ``n`` that gives a normal number."""
        b = self.b
        biased = b.add(n, self.integer(self.format.bias))
        return b.bitcast(b.left_shift(biased, self.integer(self.format.mantissa)), self.dtype)

    def scale(self, x: Value, n: Value) -> Value:
        """x * 2**n, also where that is denormal or infinite."""
        b = self.b
        half = b.right_shift_arithmetic(n, self.integer(1))
        x = b.multiply(x, self.power_of_two(half))
        return b.multiply(x, self.power_of_two(b.subtract(n, half)))

    def keep_nan(self, x: Value, result: Value) -> Value:
        return self.b.where(self.b._isnan(x), x, result)

    def reduce_exp(self, x: Value) -> tuple[Value, Value]:
        """``(n, r)`` with x = n log(2) + r, n whole, abs(r) <= log(2)/2."""
        b, (high, low) = self.b, self.format.ln2
        n = b.rint(b.multiply(x, self.number(1.4426950408889634)))
        r = b.fma(b.negative(n), self.number(high), x)
        return n, b.fma(b.negative(n), self.number(low), r)

    def expm1_reduced(self, r: Value) -> Value:
        """e**r - 1 for a reduced ``r``."""
        return self.b.fma(self.b.multiply(r, r), self.polynomial(r, self.format.exp), r)

    def split(self, x: Value) -> tuple[Value, Value]:
        """``(k, m)`` with x = 2**k m, m in [sqrt(1/2), sqrt(2)), for positive finite x."""
        b, form = self.b, self.format
        tiny = b.less(x, self.number(2.0 ** (1 - form.bias)))
        x = b.where(tiny, b.multiply(x, self.number(2.0 ** (form.mantissa + 2))), x)
        bits = b.bitcast(x, form.integer)
        root = int(np.sqrt(0.5).astype(self.dtype).view(form.integer))
        k = b.right_shift_arithmetic(
            b.subtract(bits, self.integer(root)), self.integer(form.mantissa)
        )
        m = b.bitcast(b.subtract(bits, b.left_shift(k, self.integer(form.mantissa))), self.dtype)
        shift = b.where(tiny, self.integer(form.mantissa + 2), self.integer(0))
        return self.to_float(b.subtract(k, shift)), m

    def log_reduced(self, m: Value) -> tuple[Value, Value]:
        """``(f, c)`` with log(m) = f - c, f = m - 1 exact and c small."""
        b = self.b
        f = b.subtract(m, self.number(1))
        s = b.divide(f, b.add(f, self.number(2)))
        z = b.multiply(s, s)
        tail = b.multiply(z, self.polynomial(z, self.format.log))
        half_square = b.multiply(b.multiply(f, f), self.number(0.5))
        return f, b.fma(b.negative(s), b.add(half_square, tail), half_square)

    def log_special(self, x: Value, result: Value) -> Value:
        """The logarithm's values at infinity, zero, and below."""
        b, zero = self.b, self.number(0)
        result = b.where(b.equal(x, self.number(np.inf)), x, result)
        result = b.where(b.equal(x, zero), self.number(-np.inf), result)
        outside = b.bitwise_not(b.greater_equal(x, zero))
        return b.where(outside, self.number(np.nan), result)


def _exp(m: _Maths, x: Value) -> Value:
    b = m.b
    n, r = m.reduce_exp(m.clamp(x, *m.format.exp_range))
    result = m.scale(b.add(m.expm1_reduced(r), m.number(1)), m.to_integer(n))
    return m.keep_nan(x, result)


def _exp2(m: _Maths, x: Value) -> Value:
    b = m.b
    bounded = m.clamp(x, -2.0 * m.format.bias, m.format.bias + 1.0)
    n = b.rint(bounded)
    r = b.subtract(bounded, n)
    result = m.scale(b.fma(r, m.polynomial(r, m.format.exp2), m.number(1)), m.to_integer(n))
    return m.keep_nan(x, result)


def _expm1_bounded(m: _Maths, x: Value) -> Value:
    """e**x - 1 = 2**n (e**r - 1) + (2**n - 1), halved and doubled so that 2**n is finite."""
    b = m.b
    n, r = m.reduce_exp(x)
    half_power = m.power_of_two(b.subtract(m.to_integer(n), m.integer(1)))
    shifted = b.subtract(half_power, m.number(0.5))
    half = b.fma(half_power, m.expm1_reduced(r), shifted)
    return b.add(half, half)


def _expm1(m: _Maths, x: Value) -> Value:
    result = _expm1_bounded(m, m.clamp(x, *m.format.expm1_range))
    result = m.b.where(m.b.equal(x, m.number(0)), x, result)  # keeps -0
    return m.keep_nan(x, result)


def _tanh(m: _Maths, x: Value) -> Value:
    """(e**2x - 1) / (e**2x + 1), odd."""
    b = m.b
    size = m.clamp(b.absolute(x), 0.0, m.format.tanh_bound)
    grown = _expm1_bounded(m, b.add(size, size))
    result = b.copysign(b.divide(grown, b.add(grown, m.number(2))), x)
    return m.keep_nan(x, result)


def _log(m: _Maths, x: Value) -> Value:
    b, (high, low) = m.b, m.format.ln2
    k, mantissa = m.split(x)
    f, c = m.log_reduced(mantissa)
    small = b.fma(k, m.number(low), b.negative(c))
    result = b.fma(k, m.number(high), b.add(small, f))
    return m.log_special(x, result)


def _log2(m: _Maths, x: Value) -> Value:
    b = m.b
    k, mantissa = m.split(x)
    f, c = m.log_reduced(mantissa)
    log2_e = 1.4426950408889634
    high = float(np.dtype(m.dtype).type(log2_e))
    low = 2.0355273740931033e-17 if m.dtype == _FLOAT64 else log2_e - high
    natural = b.subtract(f, c)
    lost = b.subtract(b.subtract(f, natural), c)
    small = b.fma(natural, m.number(low), b.multiply(lost, m.number(high)))
    part = b.fma(natural, m.number(high), small)
    return m.log_special(x, b.add(k, part))


def _log10(m: _Maths, x: Value) -> Value:
    b, (high, low) = m.b, m.format.log10_2
    k, mantissa = m.split(x)
    f, c = m.log_reduced(mantissa)
    part = b.multiply(b.subtract(f, c), m.number(0.4342944819032518))
    result = b.fma(k, m.number(high), b.fma(k, m.number(low), part))
    return m.log_special(x, result)


def _log1p(m: _Maths, x: Value) -> Value:
    """log(u) + (what rounding u = 1 + x lost) / u."""
    b = m.b
    one = m.number(1)
    u = b.add(x, one)
    large = b.greater(b.absolute(x), one)
    lost = b.where(large, b.subtract(one, b.subtract(u, x)), b.subtract(x, b.subtract(u, one)))
    correction = b.divide(lost, u)
    regular = b.bitwise_and(b.greater(u, m.number(0)), b.less(u, m.number(np.inf)))
    correction = b.where(regular, correction, m.number(0))
    k, mantissa = m.split(u)
    f, c = m.log_reduced(mantissa)
    high, low = m.format.ln2
    small = b.fma(k, m.number(low), b.subtract(correction, c))
    result = b.fma(k, m.number(high), b.add(small, f))
    result = m.log_special(u, result)
    return b.where(b.equal(x, m.number(0)), x, result)  # keeps -0


_INLINE: dict[str, Callable[..., Value]] = {
    "exp": _exp, "exp2": _exp2, "expm1": _expm1, "log": _log, "log2": _log2, "log10": _log10,
    "log1p": _log1p, "tanh": _tanh,
}  # fmt: skip

FLOAT_FUNCTIONS = sorted({*_INLINE, *_LIBM, *_SPECIAL} - {"fmod"})


def require(module: Module, name: str, dtype: DType, lanes: int = 1) -> str:
    """Make an elementary function available in ``module``; returns its symbol.

    It takes and returns vectors of ``lanes`` lanes.
    """
    if name == "integer_power" and dtype.kind in "iu":
        return _define_integer_power(module, dtype, lanes)
    if dtype.kind != "f" or dtype.itemsize < 4:
        raise InternalError(f"{name} is not defined for dtype {dtype}")
    if name in _INLINE:
        return _define_inline(module, name, dtype, lanes)
    if lanes > 1:
        return _define_lanewise(module, name, dtype, lanes)
    if name in _LIBM:
        return _declare_libm(module, name, dtype)
    if name in _SPECIAL:
        return _define_special(module, name, dtype)
    raise InternalError(f"the LLVM backend has no function {name}")


def _symbol(name: str, dtype: DType, lanes: int) -> str:
    return f"fnad.{name}.{suffix(dtype)}" + (f"x{lanes}" if lanes > 1 else "")


def _function(
    module: Module, symbol: str, dtype: DType, arity: int, lanes: int = 1
) -> tuple[Function, list[Value]]:
    args = [Value(f"%x{i}", dtype, lanes) for i in range(arity)]
    function = Function(
        module, symbol, [a.typed for a in args], llvm_type(dtype, lanes), "alwaysinline nounwind"
    )
    return function, args


def _define_lanewise(module: Module, name: str, dtype: DType, lanes: int) -> str:
    """A vector function that calls a scalar one for each lane."""
    symbol, scalar = _symbol(name, dtype, lanes), require(module, name, dtype)

    def define(module: Module) -> None:
        f, args = _function(module, symbol, dtype, _arity(name), lanes)
        result = Value("poison", dtype, lanes)
        for i in range(lanes):
            operands = ", ".join(f.b.lane(x, i).typed for x in args)
            one = f.value(f"call {llvm_type(dtype)} @{scalar}({operands})", dtype)
            result = f.b.with_lane(result, i, one)
        f.ret(result)
        module.add(f)

    module.require(symbol, define)
    return symbol


def _arity(name: str) -> int:
    return 2 if name in ("power", "arctan2") else 1


def _define_inline(module: Module, name: str, dtype: DType, lanes: int) -> str:
    symbol = _symbol(name, dtype, lanes)

    def define(module: Module) -> None:
        function, args = _function(module, symbol, dtype, 1, lanes)
        function.ret(_INLINE[name](_Maths(function.b, dtype), *args))
        module.add(function)

    module.require(symbol, define)
    return symbol


def _declare_libm(module: Module, name: str, dtype: DType) -> str:
    symbol = _LIBM[name] + ("f" if dtype == _FLOAT32 else "")
    kind = llvm_type(dtype)
    kinds = ", ".join([kind] * _arity(name))
    module.declare(symbol, f"declare {kind} @{symbol}({kinds}) nounwind willreturn memory(none)")
    return symbol


def _define_special(module: Module, name: str, dtype: DType) -> str:
    symbol = f"fnad.{name}.{suffix(dtype)}"
    external = f"fnad.special.{_SPECIAL[name]}"
    module.declare(external, f"declare double @{external}(double, i32) nounwind willreturn")

    def define(module: Module) -> None:
        function, (x,) = _function(module, symbol, dtype, 1)
        wide = function.b.convert(x, _FLOAT64)
        result = function.value(f"call double @{external}({wide.typed}, i32 0)", _FLOAT64)
        function.ret(function.b.convert(result, dtype))
        module.add(function)

    module.require(symbol, define)
    return symbol


def _define_integer_power(module: Module, dtype: DType, lanes: int) -> str:
    """Powers by repeated squaring; a negative exponent gives the reciprocal cut to an integer."""
    symbol = _symbol("integer_power", dtype, lanes)

    def define(module: Module) -> None:
        f, (x, n) = _function(module, symbol, dtype, 2, lanes)
        b, zero, one = f.b, f.b.constant(0, dtype), f.b.constant(1, dtype)

        power, base = b.splat(one, lanes), x
        with f.loop(dtype.itemsize * 8, [power, base, n]) as loop:
            power, base, rest = loop.carried
            odd = b.not_equal(b.bitwise_and(rest, one), zero)
            power = b.where(odd, b.multiply(power, base), power)
            loop.carried = [power, b.multiply(base, base), b.right_shift_logical(rest, one)]
        power = loop.carried[0]
        if dtype.kind == "i":
            minus = b.constant(-1, dtype)
            odd = b.not_equal(b.bitwise_and(n, one), zero)
            unit = b.where(b.equal(x, minus), b.where(odd, minus, one), zero)
            unit = b.where(b.equal(x, one), one, unit)
            power = b.where(b.less(n, zero), unit, power)
        f.ret(power)
        module.add(f)

    module.require(symbol, define)
    return symbol
