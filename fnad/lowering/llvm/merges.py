"""Sorting in registers, and merges of sorted runs by whole registers.

Runs are merged a few registers at a time. Of the next ones of both runs, those of the second one in
reverse, the smaller of each pair are the ones that come first of all, and bitonic: they are sorted
by Batcher's network (1968) and written, and both runs go on by as many as were taken of them
(Papaphilippou, Brooks and Luk, *FLiMS: Fast lightweight merge sorter*, 2018). No branch depends on
the keys, and what a turn waits for of the last one is a comparison, not a network.

What is sorted are signed integers, alone or with a second one each that decides between equals; a
`Keys` is one register of each.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from fnad.lowering.llvm import host
from fnad.lowering.llvm.squares import transposed
from fnad.lowering.llvm.writer import INT64, DType, Function, Module, Value, suffix

Keys = tuple[Value, ...]

_HALF = 16  # bytes within which processors shuffle at no cost


def block_size(dtypes: Sequence[DType]) -> int:
    """How many elements `sort_block` sorts: runs are multiples of it."""
    return _block_rows(dtypes) * host.lanes_of(dtypes[0])


def _block_rows(dtypes: Sequence[DType]) -> int:
    # What takes two registers each would not fit into them.
    return max(8 // len(dtypes), host.lanes_of(dtypes[0]))


def step_size(dtypes: Sequence[DType]) -> int:
    """How many elements a merge moves at a time."""
    return (4 if len(dtypes) == 1 else 2) * host.lanes_of(dtypes[0])


# -- registers ----------------------------------------------------------------------------------


def less(f: Function, x: Keys, y: Keys) -> Value:
    """Lexicographic order."""
    b = f.b
    result = b.less(x[-1], y[-1])
    for one, two in zip(x[-2::-1], y[-2::-1], strict=True):
        result = b.bitwise_or(b.less(one, two), b.bitwise_and(b.equal(one, two), result))
    return result


def _ordered(f: Function, x: Keys, y: Keys) -> tuple[Keys, Keys]:
    """The smaller and the larger key of each lane."""
    b = f.b
    if len(x) == 1 and (x[0].dtype.itemsize == 4 or host.vector_bits() >= 512):
        return (b.minimum(x[0], y[0]),), (b.maximum(x[0], y[0]),)
    swap = less(f, y, x)
    pairs = list(zip(x, y, strict=True))
    low = tuple(b.where(swap, two, one) for one, two in pairs)
    return low, tuple(b.where(swap, one, two) for one, two in pairs)


def _exchange(f: Function, rows: list[Keys], i: int, j: int) -> None:
    rows[i], rows[j] = _ordered(f, rows[i], rows[j])


def _shuffled(f: Function, x: Keys, y: Keys, lanes: Sequence[int]) -> Keys:
    return tuple(f.b.shuffle(one, lanes, two) for one, two in zip(x, y, strict=True))


def _clean(f: Function, x: Keys, y: Keys) -> tuple[Keys, Keys]:
    """Sort two registers, each of which is bitonic.

    Elements at the distance that is to be compared are brought into the same lanes of both; at the
    end all of that is undone.
    """
    lanes = x[0].lanes
    half = max(_HALF // x[0].dtype.itemsize, 1)
    labels = [list(range(lanes)), list(range(lanes, 2 * lanes))]
    undo = []
    distance = lanes // 2
    while distance:
        undo.append(labels)
        unit = half if distance < half else lanes
        labels = [
            [
                part[k]
                for start in range(0, lanes, unit)
                for part in undo[-1]
                for k in range(start, start + unit)
                if bool(part[k] & distance) == far
            ]
            for far in (False, True)
        ]
        x, y = _rearranged(f, x, y, undo[-1], labels)
        x, y = _ordered(f, x, y)
        distance //= 2
    for before in reversed(undo):
        x, y = _rearranged(f, x, y, labels, before)
        labels = before
    return x, y


def _rearranged(
    f: Function, x: Keys, y: Keys, now: Sequence[list[int]], then: Sequence[list[int]]
) -> tuple[Keys, Keys]:
    place = {label: i for i, label in enumerate(itertools.chain(*now))}
    one, two = (_shuffled(f, x, y, [place[label] for label in part]) for part in then)
    return one, two


def _cleaned(f: Function, rows: list[Keys]) -> list[Keys]:
    """Sort a bitonic sequence of registers, an even number of them."""
    distance = len(rows) // 2
    while distance:
        for i in range(len(rows)):
            if not i & distance:
                _exchange(f, rows, i, i + distance)
        distance //= 2
    for i in range(0, len(rows), 2):
        rows[i], rows[i + 1] = _clean(f, rows[i], rows[i + 1])
    return rows


def _reversed(f: Function, rows: Sequence[Keys]) -> list[Keys]:
    back = list(range(rows[0][0].lanes))[::-1]
    return [_shuffled(f, keys, keys, back) for keys in reversed(rows)]


def _merged(f: Function, x: Sequence[Keys], y: Sequence[Keys]) -> list[Keys]:
    """Two sorted sequences of as many registers each, merged."""
    return _cleaned(f, [*x, *_reversed(f, y)])


def exchanges(n: int) -> Iterator[tuple[int, int]]:
    """Batcher's merge exchange sort of ``n`` elements, a power of two (Knuth, 5.2.2M)."""
    p = 1
    while p < n:
        k = p
        while k:
            for j in range(k % p, n - k, 2 * k):
                for i in range(min(k, n - j - k)):
                    if (i + j) // (2 * p) == (i + j + k) // (2 * p):
                        yield i + j, i + j + k
            k //= 2
        p *= 2


def sort_block(f: Function, pointers: Sequence[str], dtypes: Sequence[DType], start: Value) -> None:
    """Sort the `block_size` elements from ``start`` on."""
    lanes = host.lanes_of(dtypes[0])
    count = _block_rows(dtypes)
    rows = [_load(f, pointers, dtypes, _plus(f, start, i * lanes)) for i in range(count)]
    for i, j in exchanges(count):
        _exchange(f, rows, i, j)
    squares = [
        [transposed(f, [row[c] for row in rows[i : i + lanes]]) for c in range(len(dtypes))]
        for i in range(0, count, lanes)
    ]
    runs: list[list[Keys]] = [
        [tuple(parts[lane] for parts in square) for square in squares] for lane in range(lanes)
    ]
    while len(runs) > 1:
        runs = [_merged(f, x, y) for x, y in zip(runs[::2], runs[1::2], strict=True)]
    for i, row in enumerate(runs[0]):
        _store(f, row, pointers, _plus(f, start, i * lanes))


def _plus(f: Function, i: Value, offset: int) -> Value:
    return f.b.add(i, f.b.constant(offset, INT64))


def _load(f: Function, pointers: Sequence[str], dtypes: Sequence[DType], i: Value) -> Keys:
    return tuple(
        f.load(f.element(p, dtype, i), dtype, host.lanes_of(dtype))
        for p, dtype in zip(pointers, dtypes, strict=True)
    )


def _store(f: Function, keys: Keys, pointers: Sequence[str], i: Value) -> None:
    for value, p in zip(keys, pointers, strict=True):
        f.store(value, f.element(p, value.dtype, i))


# -- runs ---------------------------------------------------------------------------------------


def require_merge(module: Module, dtypes: Sequence[DType]) -> str:
    """Define ``merge(sources..., outs..., i, i_end, j, j_end, begin, end)``.

    It merges the runs from ``i`` to ``i_end`` and from ``j`` to ``j_end``, and writes what comes
    first of them from ``begin`` to ``end`` of ``outs``, a multiple of `step_size` elements. Behind
    the later run as many more can be read.
    """
    symbol = "fnad.merge." + ".".join(map(suffix, dtypes))
    module.require(symbol, lambda m: _define_merge(m, symbol, dtypes))
    return symbol


def _define_merge(module: Module, symbol: str, dtypes: Sequence[DType]) -> None:
    numbers = range(len(dtypes))
    sources, outs = [f"%source{i}" for i in numbers], [f"%out{i}" for i in numbers]
    names = ("%i", "%i.end", "%j", "%j.end", "%begin", "%end")
    params = [*(f"ptr noalias {p}" for p in (*sources, *outs)), *(f"i64 {n}" for n in names)]
    f = Function(module, symbol, params, attributes="noinline nounwind")
    b = f.b
    i, i_end, j, j_end, begin, end = (Value(n, INT64) for n in names)
    lanes, size = host.lanes_of(dtypes[0]), step_size(dtypes)
    step = b.constant(size, INT64)

    def rows(i: Value, left: Value | None) -> list[Keys]:
        """Those from ``i`` on; what comes after all others behind the ``left`` ones there are."""
        loaded = [_load(f, sources, dtypes, _plus(f, i, k)) for k in range(0, size, lanes)]
        if left is None:
            return loaded
        return [_up_to(f, row, k * lanes, left) for k, row in enumerate(loaded)]

    def turn(whole: bool) -> Callable[..., list[Value]]:
        def body(o: Value, i: Value, j: Value) -> list[Value]:
            left, right = (None, None) if whole else (b.subtract(i_end, i), b.subtract(j_end, j))
            low, taken = _smaller_half(f, rows(i, left), rows(j, right))
            for k, row in enumerate(_cleaned(f, low)):
                _store(f, row, outs, _plus(f, o, k * lanes))
            return [b.add(o, step), b.add(i, b.subtract(step, taken)), b.add(j, taken)]

        return body

    def is_whole(o: Value, i: Value, j: Value) -> Value:
        left = b.minimum(b.subtract(i_end, i), b.subtract(j_end, j))
        return b.greater_equal(b.minimum(left, b.subtract(end, o)), step)

    state = f.repeat([begin, i, j], is_whole, turn(whole=True))
    f.repeat(state, lambda o, *_: b.less(o, end), turn(whole=False))
    f.ret()
    module.add(f)


def _up_to(f: Function, keys: Keys, first: int, left: Value) -> Keys:
    """The keys, of which the first one is number ``first``, as far as there are ``left``."""
    b = f.b
    kept = []
    for x in keys:
        number = b.add(b.iota(x.dtype, x.lanes), b.constant(first, x.dtype))
        inside = b.less(number, b.splat(b.convert(left, x.dtype), x.lanes))
        kept.append(b.where(inside, x, b.constant(np.iinfo(x.dtype).max, x.dtype)))
    return tuple(kept)


def _smaller_half(f: Function, x: list[Keys], y: list[Keys]) -> tuple[list[Keys], Value]:
    """The smaller half of two sorted sequences, bitonic, and how many of it are of ``y``."""
    low: list[Keys] = []
    taken = f.b.constant(0, INT64)
    for one, two in zip(x, _reversed(f, y), strict=True):
        second = less(f, two, one)
        low.append(tuple(f.b.where(second, v, u) for u, v in zip(one, two, strict=True)))
        bits = f.raw(f"bitcast {second.typed} to i{second.lanes}")
        number = f.raw(f"zext i{second.lanes} {bits} to i64")
        f.module.declare("llvm.ctpop.i64", "declare i64 @llvm.ctpop.i64(i64)")
        taken = f.b.add(taken, f.value(f"call i64 @llvm.ctpop.i64(i64 {number})", INT64))
    return low, taken
