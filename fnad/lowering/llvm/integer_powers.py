"""Powers of integers."""

from __future__ import annotations

from fnad.lowering.llvm.writer import DType, Function, Module, Value, llvm_type, suffix


def require_power(module: Module, dtype: DType, lanes: int) -> str:
    """Powers by repeated squaring; a negative exponent gives the reciprocal cut to an integer."""
    symbol = f"fnad.integer_power.{suffix(dtype)}" + (f"x{lanes}" if lanes > 1 else "")

    def define(module: Module) -> None:
        x, n = Value("%x", dtype, lanes), Value("%n", dtype, lanes)
        kind = llvm_type(dtype, lanes)
        f = Function(module, symbol, [x.typed, n.typed], kind, "alwaysinline nounwind")
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
