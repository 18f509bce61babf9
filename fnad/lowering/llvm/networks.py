"""Sorting networks: many short lanes at once, one in each lane of a vector.

Batcher's merge exchange sort (Knuth, volume 3, algorithm 5.2.2M) compares the same places of
every lane whatever they hold, so that each step is a minimum and a maximum of whole vectors. What
is compared are the unsigned keys of `radix`; rows of several operands are kept in order by their
place, which stands behind the key.
"""

from __future__ import annotations

from collections.abc import Sequence

from fnad.core.types import kind_of
from fnad.lowering.llvm import host
from fnad.lowering.llvm.radix import (
    PLACE_BITS,
    UINT32,
    UINT64,
    any_lane,
    is_negative_zero,
    key_of,
    restore_zeros,
    value_of,
)
from fnad.lowering.llvm.writer import BOOL, INT64, DType, Function, Module, Value, suffix

# Lanes of the array that are sorted together, and the longest that are sorted so.
LANES = 16
LONGEST = 4096


def fits(dtypes: Sequence[DType], num_keys: int, shape: tuple[int, int, int]) -> bool:
    """Whether there are lanes enough, and keys that leave room for a place if they need one."""
    outer, n, inner = shape
    alone = len(dtypes) == 1 or (num_keys == 1 and dtypes[0].itemsize <= 4)
    return alone and n <= LONGEST and outer * inner >= LANES


def scratch_bytes(n: int) -> int:
    """What `LANES` lanes of ``n`` elements need."""
    return 8 * LANES * n


def require_network(module: Module, dtypes: Sequence[DType]) -> str:
    """Define ``network(sources..., outs..., scratch, n, stride, starts)``.

    It sorts as many lanes as ``starts``, a vector of offsets, has; their elements are ``stride``
    apart.
    """
    symbol = "fnad.network." + ".".join(map(suffix, dtypes))
    module.require(symbol, lambda m: _Network(m, symbol, dtypes).define())
    return symbol


class _Network:
    def __init__(self, module: Module, symbol: str, dtypes: Sequence[DType]) -> None:
        self.dtypes = list(dtypes)
        self.packed = len(dtypes) > 1
        self.wide = UINT64 if self.packed or dtypes[0].itemsize == 8 else UINT32
        self.ordered = INT64 if self.wide == UINT64 else self.wide
        self.sources = [f"%source{i}" for i in range(len(dtypes))]
        self.outs = [f"%out{i}" for i in range(len(dtypes))]
        params = [f"ptr noalias {p}" for p in (*self.sources, *self.outs, "%scratch")]
        params += ["i64 %n", "i64 %stride", f"<{LANES} x i64> %starts"]
        self.f = Function(module, symbol, params, attributes="noinline nounwind")
        self.b = self.f.b
        self.n, self.stride = Value("%n", INT64), Value("%stride", INT64)
        self.starts = Value("%starts", INT64, LANES)

    def define(self) -> None:
        f = self.f
        zeros = self._load()
        self._exchange()
        self._store()
        if zeros is not None:
            with f.when(zeros):
                for lane in range(LANES):
                    start = self.b.lane(self.starts, lane)
                    [dtype] = self.dtypes
                    source, out = (
                        f.element(p, dtype, start) for p in (self.sources[0], self.outs[0])
                    )
                    restore_zeros(f, source, out, dtype, self.n, self.stride)
        f.ret()
        f.module.add(f)

    def _index(self, value: int) -> Value:
        return self.b.constant(value, INT64)

    def _row(self, k: Value) -> str:
        """Where the keys of the elements ``k`` of all lanes lie."""
        return self.f.element("%scratch", self.wide, self.b.multiply(k, self._index(LANES)))

    def _places(self, k: Value) -> Value:
        """The offsets of elements ``k``."""
        return self.b.add(self.starts, self.b.multiply(k, self.stride))

    def _load(self) -> Value | None:
        """Write the keys; returns whether there is a -0.0 among floats that are sorted alone."""
        f, b, dtype = self.f, self.b, self.dtypes[0]
        watched = kind_of(dtype) == "f" and not self.packed
        found = [b.splat(b.constant(False, BOOL), LANES)] if watched else []
        with f.loop(self.n, found) as k:
            x = f.gather(self.sources[0], dtype, self._places(k.index))
            if watched:
                k.carried = [b.bitwise_or(k.carried[0], is_negative_zero(f, x))]
            elif kind_of(dtype) == "f":
                x = b.where(is_negative_zero(f, x), b.constant(0.0, dtype), x)
            key = b.convert(key_of(f, x), self.wide)
            if self.packed:
                key = b.left_shift(key, b.constant(PLACE_BITS, UINT64))
                key = b.bitwise_or(key, b.bitcast(k.index, UINT64))
            f.store(self._signed(key), self._row(k.index))
        if not watched:
            return None
        return any_lane(f, k.carried[0])

    def _signed(self, key: Value) -> Value:
        """Keys of 8 bytes as they are compared: processors compare such vectors with signs only."""
        if self.ordered == self.wide:
            return key
        return self.b.bitwise_xor(key, self.b.constant(1 << 63, UINT64))

    def _exchange(self) -> None:
        """For p = 1, 2, 4, ...: merge sorted runs of p, by distances k = p, p / 2, ..., 1."""
        f, b = self.f, self.b
        one = self._index(1)

        def merge(p: Value) -> list[Value]:
            def distance(k: Value) -> list[Value]:
                self._exchange_at(p, k)
                return [b.right_shift_logical(k, one)]

            f.repeat([p], lambda k: b.greater(k, self._index(0)), distance)
            return [b.add(p, p)]

        f.repeat([one], lambda p: b.less(p, self.n), merge)

    def _exchange_at(self, p: Value, k: Value) -> None:
        f, b = self.f, self.b
        zero, one = self._index(0), self._index(1)
        run = b.add(p, p)
        last = b.subtract(self.n, k)

        def block(j: Value) -> list[Value]:
            beyond = b.add(j, k)
            end = b.minimum(beyond, last)

            def step(low: Value) -> list[Value]:
                self._compare(low, b.add(low, k))
                return [b.add(low, one)]

            with f.when(b.less(b.bitwise_xor(j, beyond), run)):  # of one pair of runs
                f.repeat([j], lambda low: b.less(low, end), step)
            return [b.add(beyond, k)]

        first = b.where(b.equal(k, p), zero, k)
        f.repeat([first], lambda j: b.less(j, last), block)

    def _compare(self, low: Value, high: Value) -> None:
        f, b = self.f, self.b
        places = self._row(low), self._row(high)
        x, y = (f.load(place, self.ordered, LANES) for place in places)
        if self.wide.itemsize == 4 or host.vector_bits() >= 512:
            low_key, high_key = b.minimum(x, y), b.maximum(x, y)
        else:
            # There is no minimum of 8 bytes, and LLVM stores what is selected by masked stores, on
            # some processors ten times the price of others.
            swap = b.where(b.greater(x, y), b.bitwise_xor(x, y), b.constant(0, INT64))
            low_key, high_key = b.bitwise_xor(x, swap), b.bitwise_xor(y, swap)
        f.store(low_key, places[0])
        f.store(high_key, places[1])

    def _store(self) -> None:
        f = self.f
        with f.loop(self.n) as k:
            key = self._signed(f.load(self._row(k.index), self.wide, LANES))
            to = self._places(k.index)
            if not self.packed:
                f.scatter(value_of(f, key, self.dtypes[0]), self.outs[0], to)
            else:
                self._move_rows(key, to)

    def _move_rows(self, key: Value, to: Value) -> None:
        f, b = self.f, self.b
        low = b.bitwise_and(key, b.constant((1 << PLACE_BITS) - 1, UINT64))
        place = b.add(self.starts, b.multiply(b.bitcast(low, INT64), self.stride))
        for dtype, source, out in zip(self.dtypes, self.sources, self.outs, strict=True):
            f.scatter(f.gather(source, dtype, place), out, to)
