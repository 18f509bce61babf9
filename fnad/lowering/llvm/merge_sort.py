"""The parts of merge sorts of long lanes: sorted runs, parts of merges, results.

What is sorted are the columns of `long_sorts`, the keys of `radix` as signed integers, up to a
multiple of `block_size` rows.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fnad.core.types import kind_of
from fnad.lowering.llvm import host
from fnad.lowering.llvm.merges import block_size, less, require_merge, sort_block
from fnad.lowering.llvm.radix import (
    PLACE_BITS,
    UINT64,
    is_negative_zero,
    key_of,
    restore_zeros,
    value_of,
)
from fnad.lowering.llvm.writer import INT64, DType, Function, Module, Value, suffix
from fnad.lowering.long_sorts import columns_of


def _name(kind: str, dtypes: Sequence[DType]) -> str:
    return f"fnad.{kind}." + ".".join(map(suffix, dtypes))


def listed(*pointers: str) -> str:
    return ", ".join(f"ptr {p}" for p in pointers)


# -- runs ---------------------------------------------------------------------------------------


def require_run(module: Module, key: DType, alone: bool) -> str:
    """Define ``run(source, columns..., others..., first, n, stride)``.

    It sorts the keys of the rows from ``first`` on, ``n`` of them, into the columns; a row's key
    lies at its number times ``stride`` of ``source``. The others are columns, too, and scratch.
    """
    symbol = _name("run" if alone else "run.rows", [key])
    module.require(symbol, lambda m: _Run(m, symbol, key, alone).define())
    return symbol


class _Run:
    def __init__(self, module: Module, symbol: str, key: DType, alone: bool) -> None:
        self.key, self.alone, self.columns = key, alone, columns_of(key, alone)
        numbers = range(len(self.columns))
        self.a, self.b_ = [f"%a{i}" for i in numbers], [f"%b{i}" for i in numbers]
        params = [f"ptr noalias {p}" for p in ("%source", *self.a, *self.b_)]
        params += ["i64 %first", "i64 %n", "i64 %stride"]
        self.f = Function(module, symbol, params, attributes="noinline nounwind")
        self.b = self.f.b
        self.first, self.n, self.stride = (Value(v, INT64) for v in ("%first", "%n", "%stride"))

    def _index(self, value: int) -> Value:
        return self.b.constant(value, INT64)

    def define(self) -> None:
        f, b = self.f, self.b
        size = block_size(self.columns)
        length = b.bitwise_and(b.add(self.n, self._index(size - 1)), self._index(-size))
        grow = lambda width, odd: [b.add(width, width), b.bitwise_not(odd)]  # noqa: E731
        shorter = lambda width, _: b.less(width, length)  # noqa: E731
        false = Value("false", np.dtype(bool))
        _, odd = f.repeat([self._index(size), false], shorter, grow)
        here = [f.raw(f"select {odd.typed}, ptr {y}, ptr {x}") for x, y in zip(self.a, self.b_)]
        self._write_keys(here, length)
        with f.steps(length, self._index(size)) as start:
            sort_block(f, here, self.columns, start)

        def one_pass(width: Value, odd: Value) -> list[Value]:
            pairs = list(zip(self.a, self.b_, strict=True))
            source = [f.raw(f"select {odd.typed}, ptr {y}, ptr {x}") for x, y in pairs]
            target = [f.raw(f"select {odd.typed}, ptr {x}, ptr {y}") for x, y in pairs]
            double = b.add(width, width)
            with f.steps(length, double) as low:
                middle = b.minimum(b.add(low, width), length)
                high = b.minimum(b.add(low, double), length)
                _emit_merge(f, self.columns, source, target, low, middle, high)
            return [double, b.bitwise_not(odd)]

        f.repeat([self._index(size), odd], shorter, one_pass)
        f.ret()
        f.module.add(f)

    def _write_keys(self, columns: Sequence[str], length: Value) -> None:
        """Write the keys, and behind them some that come after all others."""
        f, b = self.f, self.b
        lanes = host.lanes_of(self.columns[0])
        whole = b.where(
            b.equal(self.stride, self._index(1)),
            b.bitwise_and(self.n, self._index(-lanes)),
            self._index(0),
        )
        start = self._index(0)
        for stop, width in ((whole, lanes), (self.n, 1)):

            def write(i: Value, width: int = width) -> list[Value]:
                self._write(columns, i, width)
                return [b.add(i, self._index(width))]

            (start,) = f.repeat([start], lambda i, stop=stop: b.less(i, stop), write)

        def pad(i: Value) -> list[Value]:
            for column, dtype in zip(columns, self.columns, strict=True):
                f.store(b.constant(np.iinfo(dtype).max, dtype), f.element(column, dtype, i))
            return [b.add(i, self._index(1))]

        f.repeat([start], lambda i: b.less(i, length), pad)

    def _write(self, columns: Sequence[str], i: Value, lanes: int) -> None:
        f, b = self.f, self.b
        row = b.add(self.first, i)
        at = f.element("%source", self.key, b.multiply(row, self.stride))
        x = f.load(at, self.key, lanes)
        if self.alone:
            key = b.convert(key_of(f, x), _unsigned_like(self.columns[0]))
            f.store(_signed(f, key), f.element(columns[0], self.columns[0], i))
            return
        if kind_of(self.key) == "f":  # -0.0 equals 0.0
            x = b.where(is_negative_zero(f, x), b.constant(0.0, self.key), x)
        key = b.convert(key_of(f, x), UINT64)
        place = b.add(b.splat(row, lanes), b.iota(INT64, lanes))
        if len(self.columns) > 1:
            f.store(place, f.element(columns[1], INT64, i))
        else:
            key = b.left_shift(key, b.constant(PLACE_BITS, UINT64))
            key = b.bitwise_or(key, b.bitcast(place, UINT64))
        f.store(_signed(f, key), f.element(columns[0], INT64, i))


def _unsigned_like(column: DType) -> DType:
    return np.dtype(f"u{column.itemsize}")


def _signed(f: Function, key: Value) -> Value:
    """A signed integer of the same order."""
    sign = f.b.constant(1 << (8 * key.dtype.itemsize - 1), key.dtype)
    return f.b.bitcast(f.b.bitwise_xor(key, sign), np.dtype(f"i{key.dtype.itemsize}"))


def _unsigned(f: Function, key: Value) -> Value:
    """The inverse of `_signed`."""
    unsigned = _unsigned_like(key.dtype)
    sign = f.b.constant(1 << (8 * key.dtype.itemsize - 1), unsigned)
    return f.b.bitwise_xor(f.b.bitcast(key, unsigned), sign)


def _emit_merge(
    f: Function,
    columns: Sequence[DType],
    source: Sequence[str],
    target: Sequence[str],
    low: Value,
    middle: Value,
    high: Value,
) -> None:
    """Merge two runs that are neighbours."""
    symbol = require_merge(f.module, columns)
    bounds = (low, middle, middle, high, low, high)
    numbers = ", ".join(v.typed for v in bounds)
    f.emit(f"call void @{symbol}({listed(*source, *target)}, {numbers})")


# -- parts of merges ----------------------------------------------------------------------------


def require_merge_part(module: Module, columns: Sequence[DType]) -> str:
    """Define ``part(sources..., outs..., width, length, begin, end)``.

    Of the merges of runs of ``width`` in columns of ``length``, it writes what goes from ``begin``
    to ``end``, which belong to one of them.
    """
    symbol = _name("merge.part", columns)
    module.require(symbol, lambda m: _define_part(m, symbol, columns))
    return symbol


def _define_part(module: Module, symbol: str, columns: Sequence[DType]) -> None:
    numbers = range(len(columns))
    sources, outs = [f"%source{i}" for i in numbers], [f"%out{i}" for i in numbers]
    params = [*(f"ptr noalias {p}" for p in (*sources, *outs))]
    params += ["i64 %width", "i64 %length", "i64 %begin", "i64 %end"]
    f = Function(module, symbol, params, attributes="noinline nounwind")
    b = f.b
    width, length, begin, end = (Value(v, INT64) for v in ("%width", "%length", "%begin", "%end"))
    zero, one = b.constant(0, INT64), b.constant(1, INT64)
    low = b.bitwise_and(begin, b.subtract(zero, b.add(width, width)))
    middle = b.minimum(b.add(low, width), length)
    high = b.minimum(b.add(middle, width), length)
    before = b.subtract(begin, low)  # so many of both runs come before what is written

    def key(i: Value) -> tuple[Value, ...]:
        return tuple(f.load(f.element(p, t, i), t) for p, t in zip(sources, columns, strict=True))

    def halve(least: Value, most: Value) -> list[Value]:
        i = b.right_shift_logical(b.add(least, most), one)
        j = b.subtract(b.subtract(before, i), one)
        more = less(f, key(b.add(low, i)), key(b.add(middle, j)))
        return [b.where(more, b.add(i, one), least), b.where(more, most, i)]

    left, right = b.subtract(middle, low), b.subtract(high, middle)
    least = b.maximum(b.subtract(before, right), zero)
    i, _ = f.repeat([least, b.minimum(before, left)], b.less, halve)
    merge = require_merge(module, columns)
    j = b.subtract(before, i)
    bounds = (b.add(low, i), middle, b.add(middle, j), high, begin, end)
    f.emit(f"call void @{merge}({listed(*sources, *outs)}, {', '.join(v.typed for v in bounds)})")
    f.ret()
    module.add(f)


# -- results ------------------------------------------------------------------------------------


def require_results(module: Module, dtypes: Sequence[DType]) -> str:
    """Define ``results(sources..., outs..., columns..., n, stride, begin, end)``.

    It writes the sorted rows from ``begin`` to ``end``, given the sorted keys of all ``n``.
    """
    symbol = _name("results", dtypes)
    define = _define_values if len(dtypes) == 1 else _define_rows
    module.require(symbol, lambda m: define(m, symbol, dtypes))
    return symbol


def _results_function(
    module: Module, symbol: str, dtypes: Sequence[DType]
) -> tuple[Function, list[str], list[str], list[str], list[Value]]:
    sources, outs = ([f"%{k}{i}" for i in range(len(dtypes))] for k in ("source", "out"))
    columns = [f"%column{i}" for i in range(len(columns_of(dtypes[0], len(dtypes) == 1)))]
    names = ("%n", "%stride", "%begin", "%end")
    params = [*(f"ptr noalias {p}" for p in (*sources, *outs, *columns))]
    params += [f"i64 {v}" for v in names]
    f = Function(module, symbol, params, attributes="noinline nounwind")
    return f, sources, outs, columns, [Value(v, INT64) for v in names]


def _define_rows(module: Module, symbol: str, dtypes: Sequence[DType]) -> None:
    f, sources, outs, columns, (_, stride, begin, end) = _results_function(module, symbol, dtypes)
    b = f.b

    def move(i: Value) -> list[Value]:
        place = f.load(f.element(columns[-1], INT64, i), INT64)
        if len(columns) == 1:
            place = b.bitwise_and(place, b.constant((1 << PLACE_BITS) - 1, INT64))
        for dtype, source, out in zip(dtypes, sources, outs, strict=True):
            value = f.load(f.element(source, dtype, b.multiply(place, stride)), dtype)
            f.store(value, f.element(out, dtype, b.multiply(i, stride)))
        return [b.add(i, b.constant(1, INT64))]

    f.repeat([begin], lambda i: b.less(i, end), move)
    f.ret()
    module.add(f)


def _define_values(module: Module, symbol: str, dtypes: Sequence[DType]) -> None:
    f, [source], [out], [keys], numbers = _results_function(module, symbol, dtypes)
    n, stride, begin, end = numbers
    b, [dtype], [column] = f.b, dtypes, columns_of(dtypes[0], alone=True)
    if kind_of(dtype) != "f":
        _write_values(f, keys, column, out, dtype, stride, begin, end)
    else:
        # Zeros of both signs are equal, and come as they came: one range writes all of them.
        zero = (1 << (8 * dtype.itemsize - 1)) - (1 << (8 * column.itemsize - 1))  # its key
        negative, positive, after = (
            _first_at_least(f, keys, column, n, key) for key in (zero - 1, zero, zero + 1)
        )
        mixed = b.bitwise_and(b.less(negative, positive), b.less(positive, after))
        hole, rest = b.where(mixed, negative, n), b.where(mixed, after, n)
        _write_values(f, keys, column, out, dtype, stride, begin, b.minimum(end, hole))
        _write_values(f, keys, column, out, dtype, stride, b.maximum(begin, rest), end)
        inside = b.bitwise_and(b.greater_equal(hole, begin), b.less(hole, end))
        with f.when(inside):
            restore_zeros(f, source, out, dtype, n, stride)
    f.ret()
    module.add(f)


def _write_values(
    f: Function,
    keys: str,
    column: DType,
    out: str,
    dtype: DType,
    stride: Value,
    begin: Value,
    end: Value,
) -> None:
    b, lanes = f.b, host.lanes_of(column)
    zero = b.constant(0, INT64)
    length = b.maximum(b.subtract(end, begin), zero)
    whole = b.bitwise_and(length, b.constant(-lanes, INT64))
    whole = b.where(b.equal(stride, b.constant(1, INT64)), whole, zero)
    i = begin
    for stop, width in ((b.add(begin, whole), lanes), (end, 1)):

        def write(i: Value, width: int = width) -> list[Value]:
            key = _unsigned(f, f.load(f.element(keys, column, i), column, width))
            f.store(value_of(f, key, dtype), f.element(out, dtype, b.multiply(i, stride)))
            return [b.add(i, b.constant(width, INT64))]

        (i,) = f.repeat([i], lambda i, stop=stop: b.less(i, stop), write)


def _first_at_least(f: Function, keys: str, column: DType, n: Value, least: int) -> Value:
    """Where the first key is that is not below ``least``."""
    b, one = f.b, f.b.constant(1, INT64)

    def halve(low: Value, high: Value) -> list[Value]:
        middle = b.right_shift_logical(b.add(low, high), one)
        below = b.less(f.load(f.element(keys, column, middle), column), b.constant(least, column))
        return [b.where(below, b.add(middle, one), low), b.where(below, high, middle)]

    return f.repeat([b.constant(0, INT64), n], b.less, halve)[0]
