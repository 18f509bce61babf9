"""Radix sort of long lanes: least significant digit first, stable, in time linear in the length.

Keys become unsigned integers of the same order. What is moved from pass to pass is the key, or
the key with the place where its row comes from if there is more to a row than one key; several
keys are sorted by in turn, the last first. A digit that all keys share takes no pass.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from fnad.core.types import kind_of
from fnad.lowering.llvm import host
from fnad.lowering.llvm.writer import BOOL, INT64, DType, Function, Module, Value, suffix

UINT32, UINT64 = np.dtype(np.uint32), np.dtype(np.uint64)
_UNSIGNED = {n: np.dtype(f"u{n}") for n in (1, 2, 4, 8)}
PLACE_BITS = 32  # of a row's place, below a packed key

# Many short digits for short lanes, whose counters would cost more than the passes they save.
_DIGIT, _SHORT_DIGIT, _SHORT = 11, 8, 1 << 15


@dataclass(frozen=True, slots=True)
class _Columns:
    """What passes move: the dtypes, and the bits of the first one that are the key."""

    dtypes: tuple[DType, ...]
    shift: int
    bits: int
    digit: int

    @property
    def digits(self) -> int:
        return -(-self.bits // self.digit)


def _digit(n: int) -> int:
    return _SHORT_DIGIT if n < _SHORT else _DIGIT


def _column_bytes(n: int) -> int:
    return (8 * n + 63) // 64 * 64


def scratch_bytes(n: int) -> int:
    """What a lane of ``n`` elements needs: two arrays of two columns, and counters."""
    return 4 * _column_bytes(n) + 4 * (-(-64 // _digit(n)) << _digit(n))


# -- keys ---------------------------------------------------------------------------------------


def _bits(dtype: DType) -> int:
    return 1 if dtype.kind == "b" else 8 * dtype.itemsize


def key_of(f: Function, x: Value) -> Value:
    """An unsigned integer in whose order ``x`` is sorted: NaN last, -0.0 before 0.0."""
    b = f.b
    if x.dtype.kind in "bu":
        return x
    unsigned = _UNSIGNED[x.dtype.itemsize]
    sign = b.constant(1 << (_bits(x.dtype) - 1), unsigned)
    bits = b.bitcast(x, unsigned)
    if x.dtype.kind == "i":
        return b.bitwise_xor(bits, sign)
    negative = b.not_equal(b.bitwise_and(bits, sign), b.constant(0, unsigned))
    key = b.where(negative, b.bitwise_not(bits), b.bitwise_or(bits, sign))
    last = b.constant((1 << _bits(x.dtype)) - 1, unsigned)
    return b.where(b.not_equal(x, x), last, key)


def value_of(f: Function, key: Value, dtype: DType) -> Value:
    """The inverse of `key_of`."""
    b = f.b
    if dtype.kind in "bu":
        return b.convert(key, dtype)
    key = b.convert(key, _UNSIGNED[dtype.itemsize])
    sign = b.constant(1 << (_bits(dtype) - 1), key.dtype)
    if dtype.kind == "i":
        return b.bitcast(b.bitwise_xor(key, sign), dtype)
    positive = b.not_equal(b.bitwise_and(key, sign), b.constant(0, key.dtype))
    return b.bitcast(b.where(positive, b.bitwise_xor(key, sign), b.bitwise_not(key)), dtype)


def is_negative_zero(f: Function, x: Value) -> Value:
    """Where a float is -0.0."""
    unsigned = _UNSIGNED[x.dtype.itemsize]
    sign = f.b.constant(1 << (_bits(x.dtype) - 1), unsigned)
    return f.b.equal(f.b.bitcast(x, unsigned), sign)


def any_lane(f: Function, condition: Value) -> Value:
    """Whether a condition holds in any lane."""
    if condition.lanes == 1:
        return condition
    symbol = f"llvm.vector.reduce.or.v{condition.lanes}i1"
    f.module.declare(symbol, f"declare i1 @{symbol}(<{condition.lanes} x i1>)")
    return f.value(f"call i1 @{symbol}({condition.typed})", BOOL)


def restore_zeros(
    f: Function, source: str, out: str, dtype: DType, n: Value, stride: Value
) -> None:
    """Zeros of both signs are equal: let them come in the order in which they came."""
    b = f.b
    zero, one = b.constant(0.0, dtype), b.constant(1, INT64)
    slot = f.alloca("i64")  # where the next zero goes
    f.store(b.constant(0, INT64), slot)

    def each(
        condition: Callable[[Value, Value], Value], action: Callable[[Value, Value], None]
    ) -> None:
        with f.loop(n) as i:
            x = f.load(f.element(source, dtype, b.multiply(i.index, stride)), dtype)
            with f.when(condition(x, zero)):
                to = f.load(slot, INT64)
                action(x, to)
                f.store(b.add(to, one), slot)

    each(b.less, lambda x, to: None)
    each(b.equal, lambda x, to: f.store(x, f.element(out, dtype, b.multiply(to, stride))))


# -- passes -------------------------------------------------------------------------------------


def _require_passes(module: Module, columns: _Columns) -> str:
    """Define ``passes(a..., b..., counts, n)``: sorts columns ``a``; tells if ``b`` holds them."""
    names = ".".join(map(suffix, columns.dtypes))
    symbol = f"fnad.radix.{names}.{columns.shift}.{columns.bits}.{columns.digit}"
    module.require(symbol, lambda m: _Passes(m, symbol, columns).define())
    return symbol


class _Passes:
    def __init__(self, module: Module, symbol: str, columns: _Columns) -> None:
        self.columns = columns
        numbers = range(len(columns.dtypes))
        self.a, self.b_ = [f"%a{i}" for i in numbers], [f"%b{i}" for i in numbers]
        params = [f"ptr noalias {p}" for p in (*self.a, *self.b_, "%counts")]
        self.f = Function(module, symbol, [*params, "i64 %n"], "i1", "noinline nounwind")
        self.b = self.f.b
        self.n = Value("%n", INT64)

    def define(self) -> None:
        f, b = self.f, self.b
        parity = f.alloca("i8")
        f.store(b.constant(False, BOOL), parity)
        self._count()
        for number in range(self.columns.digits):
            counts = f.element("%counts", UINT32, number << self.columns.digit)
            first = self._digit(f.load(self.a[0], self.columns.dtypes[0]), number)
            count = b.convert(f.load(f.element(counts, UINT32, first), UINT32), INT64)
            with f.when(b.not_equal(count, self.n)):
                swapped = f.load(parity, BOOL)
                self._scan(counts)
                self._move(counts, number, swapped)
                f.store(b.bitwise_not(swapped), parity)
        f.ret(f.load(parity, BOOL))
        f.module.add(f)

    def _index(self, value: int) -> Value:
        return self.b.constant(value, INT64)

    def _digit(self, key: Value, number: int) -> Value:
        b, columns = self.b, self.columns
        shift = columns.shift + number * columns.digit
        shifted = b.right_shift_logical(key, b.constant(shift, key.dtype)) if shift else key
        low = b.bitwise_and(shifted, b.constant((1 << columns.digit) - 1, key.dtype))
        return b.convert(low, INT64)

    def _count(self) -> None:
        """How many keys have each value of each digit."""
        f, b, columns = self.f, self.b, self.columns
        f.module.declare("llvm.memset", "declare void @llvm.memset.p0.i64(ptr, i8, i64, i1)")
        size = columns.digits << columns.digit
        f.emit(f"call void @llvm.memset.p0.i64(ptr %counts, i8 0, i64 {4 * size}, i1 false)")
        with f.loop(self.n) as i:
            key = f.load(f.element(self.a[0], columns.dtypes[0], i.index), columns.dtypes[0])
            for number in range(columns.digits):
                place = b.add(self._digit(key, number), self._index(number << columns.digit))
                count = f.element("%counts", UINT32, place)
                f.store(b.add(f.load(count, UINT32), b.constant(1, UINT32)), count)

    def _scan(self, counts: str) -> None:
        """From how many keys have a digit to where the first of them goes."""
        f, b = self.f, self.b
        with f.loop(1 << self.columns.digit, [b.constant(0, UINT32)]) as i:
            place = f.element(counts, UINT32, i.index)
            count = f.load(place, UINT32)
            f.store(i.carried[0], place)
            i.carried = [b.add(i.carried[0], count)]

    def _move(self, counts: str, number: int, swapped: Value) -> None:
        f, b, dtypes = self.f, self.b, self.columns.dtypes
        source = [_either(f, swapped, y, x) for x, y in zip(self.a, self.b_)]
        target = [_either(f, swapped, x, y) for x, y in zip(self.a, self.b_)]
        with f.loop(self.n) as i:
            row = [f.load(f.element(p, t, i.index), t) for p, t in zip(source, dtypes)]
            place = f.element(counts, UINT32, self._digit(row[0], number))
            goal = f.load(place, UINT32)
            f.store(b.add(goal, b.constant(1, UINT32)), place)
            to = b.convert(goal, INT64)
            for value, p in zip(row, target):
                f.store(value, f.element(p, value.dtype, to))


def _either(f: Function, condition: Value, x: str, y: str) -> str:
    return f.raw(f"select {condition.typed}, ptr {x}, ptr {y}")


# -- lanes --------------------------------------------------------------------------------------


def require_lane(module: Module, dtypes: Sequence[DType], num_keys: int, n: int) -> str:
    """Define ``lane(sources..., outs..., scratch, n, stride)``, which sorts one lane.

    Its elements are ``stride`` apart. ``scratch`` has `scratch_bytes` bytes.
    """
    digit = _digit(n)
    symbol = "fnad.sort." + ".".join(map(suffix, dtypes)) + f".keys{num_keys}.digits{digit}"
    module.require(symbol, lambda m: _Lane(m, symbol, dtypes, num_keys, digit).define())
    return symbol


class _Lane:
    def __init__(
        self, module: Module, symbol: str, dtypes: Sequence[DType], num_keys: int, digit: int
    ) -> None:
        self.dtypes, self.num_keys, self.digit = list(dtypes), num_keys, digit
        self.sources = [f"%source{i}" for i in range(len(dtypes))]
        self.outs = [f"%out{i}" for i in range(len(dtypes))]
        params = [f"ptr noalias {p}" for p in (*self.sources, *self.outs, "%scratch")]
        self.f = Function(
            module, symbol, [*params, "i64 %n", "i64 %stride"], attributes="noinline nounwind"
        )
        self.b = self.f.b
        self.n, self.stride = Value("%n", INT64), Value("%stride", INT64)
        column = self.b.bitwise_and(
            self.b.add(self.b.multiply(self.n, self._index(8)), self._index(63)), self._index(-64)
        )
        self.regions = ["%scratch"]
        for _ in range(4):
            last = self.regions[-1]
            self.regions.append(self.f.raw(f"getelementptr i8, ptr {last}, {column.typed}"))

    def define(self) -> None:
        if len(self.dtypes) == 1:
            self._sort_keys()
        else:
            self._sort_rows()
        self.f.ret()
        self.f.module.add(self.f)

    def _index(self, value: int) -> Value:
        return self.b.constant(value, INT64)

    def _at(self, pointer: str, dtype: DType, i: Value) -> str:
        return self.f.element(pointer, dtype, self.b.multiply(i, self.stride))

    def _passes(self, columns: _Columns, a: Sequence[str], b: Sequence[str]) -> Value:
        symbol = _require_passes(self.f.module, columns)
        pointers = ", ".join(f"ptr {p}" for p in (*a, *b, self.regions[4]))
        return self.f.value(f"call i1 @{symbol}({pointers}, {self.n.typed})", BOOL)

    # -- a key alone ------------------------------------------------------------------------

    def _sort_keys(self) -> None:
        f, [dtype], [source], [out] = self.f, self.dtypes, self.sources, self.outs
        wide = UINT64 if dtype.itemsize == 8 else UINT32
        zeros = self._write_keys(source, dtype, wide)
        columns = _Columns((wide,), 0, _bits(dtype), self.digit)
        swapped = self._passes(columns, self.regions[:1], self.regions[1:2])
        keys = _either(f, swapped, self.regions[1], self.regions[0])

        def read(i: Value, lanes: int, carried: list[Value]) -> list[Value]:
            key = f.load(f.element(keys, wide, i), wide, lanes)
            f.store(value_of(f, key, dtype), self._at(out, dtype, i))
            return carried

        self._vectors(wide, [], read)
        if zeros is not None:
            with f.when(zeros):
                restore_zeros(f, source, out, dtype, self.n, self.stride)

    def _write_keys(self, source: str, dtype: DType, wide: DType) -> Value | None:
        """Write the keys; returns whether there is a -0.0 among floats."""
        f, b = self.f, self.b

        def write(i: Value, lanes: int, carried: list[Value]) -> list[Value]:
            x = f.load(self._at(source, dtype, i), dtype, lanes)
            f.store(b.convert(key_of(f, x), wide), f.element(self.regions[0], wide, i))
            if not carried:
                return []
            return [b.bitwise_or(carried[0], any_lane(f, is_negative_zero(f, x)))]

        found = [b.constant(False, BOOL)] if kind_of(dtype) == "f" else []
        carried = self._vectors(wide, found, write)
        return carried[0] if carried else None

    def _vectors(
        self,
        dtype: DType,
        carried: list[Value],
        body: Callable[[Value, int, list[Value]], list[Value]],
    ) -> list[Value]:
        """Run over the lane, in vectors as far as its elements are neighbours."""
        b = self.b
        lanes = host.lanes_of(dtype)
        whole = b.bitwise_and(self.n, self._index(-lanes))
        whole = b.where(b.equal(self.stride, self._index(1)), whole, self._index(0))
        start = self._index(0)
        for stop, width in ((whole, lanes), (self.n, 1)):
            start, *carried = self.f.repeat(
                [start, *carried],
                lambda i, *_, stop=stop: b.less(i, stop),
                lambda i, *now, width=width: [
                    b.add(i, self._index(width)),
                    *body(i, width, list(now)),
                ],
            )
        return carried

    # -- rows -------------------------------------------------------------------------------

    def _sort_rows(self) -> None:
        f = self.f
        keys = self.dtypes[: self.num_keys]
        packed = all(dtype.itemsize <= 4 for dtype in keys)
        dtypes = (UINT64,) if packed else (UINT64, UINT32)
        current, other = self.regions[0:4:2], self.regions[1:4:2]
        for number in reversed(range(self.num_keys)):
            first = number == self.num_keys - 1
            self._write_rows(number, current, packed, first)
            shift = PLACE_BITS if packed else 0
            columns = _Columns(dtypes, shift, _bits(keys[number]), self.digit)
            count = len(dtypes)
            swapped = self._passes(columns, current[:count], other[:count])
            pairs = list(zip(current, other, strict=True))
            current = [_either(f, swapped, y, x) for x, y in pairs]
            other = [_either(f, swapped, x, y) for x, y in pairs]
        with f.loop(self.n) as i:
            place = self._place(current, packed, i.index)
            for dtype, source, out in zip(self.dtypes, self.sources, self.outs, strict=True):
                value = f.load(self._at(source, dtype, place), dtype)
                f.store(value, self._at(out, dtype, i.index))

    def _place(self, columns: Sequence[str], packed: bool, i: Value) -> Value:
        """Where row ``i`` comes from."""
        f, b = self.f, self.b
        if not packed:
            return b.convert(f.load(f.element(columns[1], UINT32, i), UINT32), INT64)
        row = f.load(f.element(columns[0], UINT64, i), UINT64)
        low = b.bitwise_and(row, b.constant((1 << PLACE_BITS) - 1, UINT64))
        return b.bitcast(low, INT64)

    def _write_rows(self, number: int, columns: Sequence[str], packed: bool, first: bool) -> None:
        f, b, dtype = self.f, self.b, self.dtypes[number]
        with f.loop(self.n) as i:
            place = i.index if first else self._place(columns, packed, i.index)
            x = f.load(self._at(self.sources[number], dtype, place), dtype)
            if kind_of(dtype) == "f":  # -0.0 equals 0.0
                x = b.where(is_negative_zero(f, x), b.constant(0.0, dtype), x)
            row = b.convert(key_of(f, x), UINT64)
            if packed:
                row = b.left_shift(row, b.constant(PLACE_BITS, UINT64))
                row = b.bitwise_or(row, b.bitcast(place, UINT64))
            else:
                f.store(b.convert(place, UINT32), f.element(columns[1], UINT32, i.index))
            f.store(row, f.element(columns[0], UINT64, i.index))
