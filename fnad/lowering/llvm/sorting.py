"""Stable sorts of lanes: long ones by merging (`sort_steps`) or by `radix`, many by `networks`.

Few short lanes are sorted by insertion and scalar merges.

There is one function per combination of dtypes.

Operands are sorted together, lexicographically by the first ``num_keys`` of them. NaN comes
last and -0.0 equals 0.0, as in ``numpy.sort``.
"""

from __future__ import annotations

from collections.abc import Sequence

from fnad.core.types import is_half, kind_of
from fnad.lowering.llvm import networks, radix, sort_steps
from fnad.lowering.llvm.writer import (
    BOOL,
    FLOAT32,
    INT64,
    DType,
    Function,
    Module,
    Value,
    suffix,
)
from fnad.lowering.long_sorts import merges_well

# Lanes of so many elements are sorted by radix.
_LONG = 40

# Runs this long are sorted by insertion, which beats merging there.
_RUN = 16


def require_sort(module: Module, dtypes: Sequence[DType], num_keys: int) -> str:
    """Define ``sort(a0, ..., b0, ..., n)``: sorts ``a``, dense lanes of length n; b is scratch."""
    symbol = "fnad.sort." + ".".join(map(suffix, dtypes)) + f".keys{num_keys}"
    module.require(symbol, lambda m: _Sort(m, symbol, dtypes, num_keys).define())
    return symbol


class _Sort:
    def __init__(self, module: Module, symbol: str, dtypes: Sequence[DType], num_keys: int) -> None:
        self.dtypes, self.num_keys = list(dtypes), num_keys
        self.data = [f"%a{i}" for i in range(len(dtypes))]
        self.scratch = [f"%b{i}" for i in range(len(dtypes))]
        params = [f"ptr noalias {p}" for p in (*self.data, *self.scratch)]
        self.f = Function(module, symbol, [*params, "i64 %n"], attributes="noinline nounwind")
        self.b = self.f.b

    def define(self) -> None:
        f = self.f
        n = Value("%n", INT64)
        self._sort_runs(n)
        parity = self._merge_runs(n)
        with f.when(parity):  # the sorted data lie in the scratch buffers
            for data, scratch, dtype in zip(self.data, self.scratch, self.dtypes):
                self._copy_lane(data, scratch, dtype, n)
        f.ret()
        f.module.add(f)

    def _index(self, value: int) -> Value:
        return self.b.constant(value, INT64)

    def _load(self, pointers: Sequence[str], i: Value) -> list[Value]:
        return [
            self.f.load(self.f.element(p, dtype, i), dtype)
            for p, dtype in zip(pointers, self.dtypes)
        ]

    def _store(self, row: Sequence[Value], pointers: Sequence[str], i: Value) -> None:
        for value, p, dtype in zip(row, pointers, self.dtypes):
            self.f.store(value, self.f.element(p, dtype, i))

    def _copy_lane(self, target: str, source: str, dtype: DType, n: Value) -> None:
        size = self.b.multiply(n, self._index(dtype.itemsize))
        self.f.module.declare(
            "llvm.memcpy", "declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)"
        )
        self.f.emit(
            f"call void @llvm.memcpy.p0.p0.i64(ptr {target}, ptr {source}, {size.typed}, i1 false)"
        )

    def _less_key(self, x: Value, y: Value) -> Value:
        b = self.b
        if is_half(x.dtype):
            x, y = b.convert(x, FLOAT32), b.convert(y, FLOAT32)
        less = b.less(x, y)
        if kind_of(x.dtype) != "f":
            return less
        x_is_number = self.f.value(f"fcmp ord {x.typed}, {x.ref}", BOOL)
        y_is_nan = self.f.value(f"fcmp uno {y.typed}, {y.ref}", BOOL)
        return b.bitwise_or(less, b.bitwise_and(x_is_number, y_is_nan))

    def _less(self, x: Sequence[Value], y: Sequence[Value]) -> Value:
        """Lexicographic order by the keys."""
        b = self.b
        last = self.num_keys - 1
        result = self._less_key(x[last], y[last])
        for i in reversed(range(last)):
            before, after = self._less_key(x[i], y[i]), self._less_key(y[i], x[i])
            tied = b.bitwise_and(b.bitwise_not(after), result)
            result = b.bitwise_or(before, tied)
        return result

    def _sort_runs(self, n: Value) -> None:
        """Insertion sort of each run of `_RUN` elements."""
        f, b = self.f, self.b

        def insert(i: Value) -> list[Value]:
            row = self._load(self.data, i)
            start = b.bitwise_and(i, self._index(-_RUN))

            def moves(j: Value) -> Value:
                inside = b.greater(j, start)
                before = b.where(inside, b.subtract(j, self._index(1)), start)
                return b.bitwise_and(inside, self._less(row, self._load(self.data, before)))

            def move(j: Value) -> list[Value]:
                before = b.subtract(j, self._index(1))
                self._store(self._load(self.data, before), self.data, j)
                return [before]

            (place,) = f.repeat([i], moves, move)
            self._store(row, self.data, place)
            return [b.add(i, self._index(1))]

        f.repeat([self._index(0)], lambda i: b.less(i, n), insert)

    def _merge_runs(self, n: Value) -> Value:
        """Merge sorted runs, twice as long each time; returns whether scratch holds the result."""
        f, b = self.f, self.b

        def one_pass(width: Value, parity: Value) -> list[Value]:
            pick = lambda x, y: f.raw(f"select {parity.typed}, ptr {x}, ptr {y}")  # noqa: E731
            source = [pick(s, d) for d, s in zip(self.data, self.scratch)]
            target = [pick(d, s) for d, s in zip(self.data, self.scratch)]
            double = b.add(width, width)

            def merge(low: Value) -> list[Value]:
                middle = b.minimum(b.add(low, width), n)
                high = b.minimum(b.add(low, double), n)
                self._merge(source, target, low, middle, high)
                return [b.add(low, double)]

            f.repeat([self._index(0)], lambda low: b.less(low, n), merge)
            return [double, b.bitwise_not(parity)]

        _, parity = f.repeat(
            [self._index(_RUN), b.constant(False, BOOL)],
            lambda width, _: b.less(width, n),
            one_pass,
        )
        return parity

    def _merge(
        self, source: list[str], target: list[str], low: Value, middle: Value, high: Value
    ) -> None:
        f, b = self.f, self.b
        last_left, last_right = b.subtract(middle, self._index(1)), b.subtract(high, self._index(1))

        def step(i: Value, j: Value, k: Value) -> list[Value]:
            left = self._load(source, b.minimum(i, last_left))
            right = self._load(source, b.minimum(j, last_right))
            left_remains, right_remains = b.less(i, middle), b.less(j, high)
            right_first = b.bitwise_and(right_remains, self._less(right, left))
            take_right = b.bitwise_or(right_first, b.bitwise_not(left_remains))
            self._store([b.where(take_right, y, x) for x, y in zip(left, right)], target, k)
            one = self._index(1)
            i_next = b.where(take_right, i, b.add(i, one))
            j_next = b.where(take_right, b.add(j, one), j)
            return [i_next, j_next, b.add(k, one)]

        f.repeat([low, middle, low], lambda i, j, k: b.less(k, high), step)


def tasks(shape: tuple[int, int, int]) -> int:
    """How many tasks there are: lanes, or blocks of short ones."""
    outer, _, inner = shape
    return -(-outer * inner // _block(shape))


def _block(shape: tuple[int, int, int]) -> int:
    """How many lanes a task sorts: several where they are sorted together.

    Lanes that are far apart, or short, are better sorted together than one by one.
    """
    _, n, inner = shape
    return networks.LANES if n < _LONG or (inner > 1 and n <= networks.LONGEST) else 1


def emit_sort(
    f: Function,
    outs: Sequence[str],
    sources: Sequence[str],
    dtypes: Sequence[DType],
    shape: tuple[int, int, int],
    num_keys: int,
    scratch: str,
    bounds: tuple[Value, Value],
) -> None:
    """Sort lanes of dense arrays of shape ``(outer, n, inner)`` along the middle axis.

    ``scratch`` has `scratch_bytes` bytes.
    """
    outer, n, inner = shape
    if 0 in shape:
        return
    begin, end = bounds
    sort_lane = _sort_long if _is_long(n) else _sort_short
    with f.loop(end, start=begin) as task:
        block = _block(shape)
        first = f.b.multiply(task.index, f.b.constant(block, INT64))
        if block == networks.LANES and networks.fits(dtypes, num_keys, shape):
            _sort_together(f, outs, sources, dtypes, shape, first, scratch)
        else:
            last = f.b.add(first, f.b.constant(block, INT64))
            last = f.b.minimum(last, f.b.constant(outer * inner, INT64))
            with f.loop(last, start=first) as lane:
                start = _starts(f, lane.index, n, inner)
                ins, results = (
                    [f.element(p, dtype, start) for p, dtype in zip(pointers, dtypes, strict=True)]
                    for pointers in (sources, outs)
                )
                sort_lane(f, results, ins, dtypes, (n, inner), num_keys, scratch)


def _starts(f: Function, lane: Value, n: int, inner: int) -> Value:
    """Where lanes begin."""
    b = f.b
    if inner == 1:
        return b.multiply(lane, b.constant(n, INT64))
    outer = b.divide(lane, b.constant(inner, INT64))
    rest = b.subtract(lane, b.multiply(outer, b.constant(inner, INT64)))
    return b.add(b.multiply(outer, b.constant(n * inner, INT64)), rest)


def _sort_together(
    f: Function,
    outs: Sequence[str],
    sources: Sequence[str],
    dtypes: Sequence[DType],
    shape: tuple[int, int, int],
    first: Value,
    scratch: str,
) -> None:
    """Sort the lanes of a block; those behind the last one are that one once more."""
    outer, n, inner = shape
    b = f.b
    lanes = b.add(first, b.iota(INT64, networks.LANES))
    starts = _starts(f, b.minimum(lanes, b.constant(outer * inner - 1, INT64)), n, inner)
    symbol = networks.require_network(f.module, dtypes)
    pointers = ", ".join(f"ptr {p}" for p in (*sources, *outs, scratch))
    f.emit(f"call void @{symbol}({pointers}, i64 {n}, i64 {inner}, {starts.typed})")


def _sort_long(
    f: Function,
    outs: Sequence[str],
    sources: Sequence[str],
    dtypes: Sequence[DType],
    shape: tuple[int, int],
    num_keys: int,
    scratch: str,
) -> None:
    n, stride = shape
    if merges_well(dtypes, num_keys, n):
        sort_steps.emit_lane(f, sources, outs, dtypes, n, stride, scratch)
        return
    symbol = radix.require_lane(f.module, dtypes, num_keys, n)
    pointers = ", ".join(f"ptr {p}" for p in (*sources, *outs, scratch))
    f.emit(f"call void @{symbol}({pointers}, i64 {n}, i64 {stride})")


def _sort_short(
    f: Function,
    outs: Sequence[str],
    sources: Sequence[str],
    dtypes: Sequence[DType],
    shape: tuple[int, int],
    num_keys: int,
    scratch: str,
) -> None:
    n, stride = shape
    symbol = require_sort(f.module, dtypes, num_keys)
    lanes, offset = [], 0
    for dtype in (*dtypes, *dtypes):
        lanes.append(f.raw(f"getelementptr inbounds i8, ptr {scratch}, i64 {offset}"))
        offset += _lane_bytes(dtype, n)

    def move(to_lane: bool) -> None:
        with f.loop(n) as k:
            at = f.b.multiply(k.index, f.b.constant(stride, INT64))
            for lane, source, out, dtype in zip(lanes, sources, outs, dtypes):
                inside, outside = f.element(lane, dtype, k.index), source if to_lane else out
                place = f.element(outside, dtype, at)
                came, goes = (place, inside) if to_lane else (inside, place)
                f.store(f.load(came, dtype), goes)

    move(to_lane=True)
    pointers = ", ".join(f"ptr {p}" for p in lanes)
    f.emit(f"call void @{symbol}({pointers}, i64 {n})")
    move(to_lane=False)


def _is_long(n: int) -> bool:
    return _LONG <= n < 2**32


def _lane_bytes(dtype: DType, n: int) -> int:
    return (n * dtype.itemsize + 63) // 64 * 64


def scratch_bytes(dtypes: Sequence[DType], n: int) -> int:
    """What `emit_sort` needs."""
    together = networks.scratch_bytes(n) if n <= networks.LONGEST else 0
    if _is_long(n):
        return max(together, radix.scratch_bytes(n), sort_steps.lane_bytes(dtypes, n))
    return together + lanes_bytes(dtypes, n)


def lanes_bytes(dtypes: Sequence[DType], n: int) -> int:
    """What a lane that is sorted by merging needs: itself and as much again, for each operand."""
    return 2 * sum(_lane_bytes(dtype, n) for dtype in dtypes)
