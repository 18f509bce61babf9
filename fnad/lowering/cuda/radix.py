"""Radix sort of rows of unsigned keys, least significant digit first: stable, in linear time.

A pass counts the digits of each tile of a row, adds up the counts in the order of digits and then
tiles, so that they say where the keys of each tile go, and moves the keys there. A key's place
among those of its digit in a tile follows from the order of the keys alone: warps find the lanes
that have the same digit (`Merrill and Grimshaw, 2011 <https://doi.org/10.1142/S0129626411000187>`_
do the same by sums of bits). With each key goes the place in its row where it came from.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from fnad.core.types import BFLOAT16, kind_of
from fnad.lowering.cuda.accumulate import accumulate_steps
from fnad.lowering.cuda.expressions import ExpressionPrinter
from fnad.lowering.cuda.program import Launch, Step
from fnad.lowering.cuda.writer import DType, Function, Value, ctype
from fnad.lowering.plan import Accumulate

if TYPE_CHECKING:
    from fnad.lowering.cuda.emitter import Emitter

UINT32, UINT64 = np.dtype(np.uint32), np.dtype(np.uint64)
_WARP = 32
_EVERY_LANE = "0xffffffffu"
_DIGIT = 8  # bits
_DIGITS = 1 << _DIGIT
# Offsets up to here, and what lies a tile beyond, fit 32 bits.
_NARROW = 2**30


@dataclass(frozen=True, slots=True)
class Sizes:
    """Threads of a block, and keys that each of them moves."""

    threads: int = 256
    items: int = 8

    @property
    def tile(self) -> int:
        return self.threads * self.items


SIZES = Sizes()


@dataclass(frozen=True, slots=True)
class Columns:
    """Buffers of ``(rows, n)``: keys and the places in their rows where they came from, twice.

    Passes move them from the first to the second ones and back.
    """

    rows: int
    n: int
    keys: tuple[int, int]
    places: tuple[int, int]
    dtype: DType  # of the keys: uint32 or uint64

    def swapped(self) -> Columns:
        """The same with what is first and second exchanged."""
        return Columns(self.rows, self.n, self.keys[::-1], self.places[::-1], self.dtype)

    @property
    def index(self) -> str:
        """The type of offsets."""
        return index_type(self.rows * self.n)


def index_type(size: int) -> str:
    """The C++ type of offsets into so many elements."""
    return "i32" if size <= _NARROW else "i64"


# -- keys --------------------------------------------------------------------------------------


def key_dtype(dtype: DType) -> DType:
    """The dtype of `print_key`."""
    return UINT64 if dtype.itemsize == 8 else UINT32


def key_bits(dtype: DType) -> int:
    """How many bits of a key are in use, the lowest ones."""
    return 1 if dtype.kind == "b" else 8 * dtype.itemsize


def print_key(f: Function, x: Value) -> Value:
    """An unsigned integer in whose order ``x`` is sorted: NaN last, -0.0 equal to 0.0."""
    wide, bits = key_dtype(x.dtype), key_bits(x.dtype)
    sign, every = (f.b.constant(n, wide).ref for n in (1 << (bits - 1), (1 << bits) - 1))
    if x.dtype.kind in "bu":
        return f.value(f"({ctype(wide)}){x.ref}", wide)
    if x.dtype.kind == "i":
        return f.value(f"({ctype(wide)})(u{bits}){x.ref} ^ {sign}", wide)
    pattern = f.value(_bits_of(x), wide).ref
    infinity = f.b.constant(_INFINITY[ctype(x.dtype)], wide).ref
    size = f.value(f"{pattern} & ~{sign}", wide).ref
    ordered = f"{pattern} & {sign} ? {pattern} ^ {every} : {pattern} | {sign}"
    return f.value(f"{size} > {infinity} ? {every} : {size} == 0 ? {sign} : {ordered}", wide)


_INFINITY = {"f16": 0x7C00, "bf16": 0x7F80, "f32": 0x7F800000, "f64": 0x7FF0000000000000}


def _bits_of(x: Value) -> str:
    """The bits of a float."""
    assert kind_of(x.dtype) == "f"
    if x.dtype == BFLOAT16 or x.dtype.itemsize == 2:
        return f"{x.ref}.bits"
    return (
        f"__float_as_uint({x.ref})"
        if x.dtype.itemsize == 4
        else (f"(u64)__double_as_longlong({x.ref})")
    )


# -- passes ------------------------------------------------------------------------------------


def radix_steps(emitter: Emitter, columns: Columns, bits: int) -> tuple[list[Step], Columns]:
    """Sort rows by the lowest ``bits`` bits of their keys; also returns where the result is.

    It lies in what is first in the columns that are returned.
    """
    tiles = -(-columns.n // SIZES.tile)
    extents = (columns.rows, _DIGITS * tiles, 1)
    table = columns.rows * _DIGITS * tiles, UINT32
    steps: list[Step] = []
    with emitter.temporaries(table, table) as [counts, ends]:
        running = Accumulate(counts, ends, extents, "add", False, UINT32, UINT32)
        for shift in range(0, bits, _DIGIT):
            steps.append(_count(emitter, columns, counts, shift))
            steps += accumulate_steps(emitter, running)
            steps.append(_move(emitter, columns, ends, shift))
            columns = columns.swapped()
    return steps, columns


def _count(emitter: Emitter, columns: Columns, counts: int, shift: int) -> Launch:
    """How many keys of each tile have each digit."""
    tiles, sizes = -(-columns.n // SIZES.tile), SIZES

    def write(f: Function, printer: ExpressionPrinter) -> None:
        keys, found = printer.pointers[columns.keys[0]], printer.pointers[counts]
        f.line(f"__shared__ u32 total[{_DIGITS}];")
        _print_tile(f, columns)
        _print_loads(f, columns, {"keys": keys})
        with f.block(f"for (i32 d = threadIdx.x; d < {_DIGITS}; d += {sizes.threads})"):
            f.line("total[d] = 0;")
        f.line("__syncthreads();")
        with _each_item(f, columns):
            f.line(f"if (inside) atomicAdd(&total[{_digit('keys[j]', shift)}], 1u);")
        f.line("__syncthreads();")
        with f.block(f"for (i32 d = threadIdx.x; d < {_DIGITS}; d += {sizes.threads})"):
            f.line(f"{found}[{_count_place(columns)}] = total[d];")

    buffers = [columns.keys[0], counts]
    blocks = columns.rows * tiles
    return emitter.launch("count_digits", write, buffers, [counts], [], blocks, sizes.threads)


def _move(emitter: Emitter, columns: Columns, ends: int, shift: int) -> Launch:
    """Bring keys, and where they came from, in the order of a digit."""
    tiles, sizes = -(-columns.n // SIZES.tile), SIZES
    warps = sizes.threads // _WARP

    def write(f: Function, printer: ExpressionPrinter) -> None:
        # For each warp of the block the keys with each digit so far; then, where they go.
        f.line(f"__shared__ u32 heads[{warps * _DIGITS}];")
        f.line(f"u32* const own = heads + threadIdx.x / {_WARP} * {_DIGITS};")
        _print_tile(f, columns)
        keys, places = (printer.pointers[c[0]] for c in (columns.keys, columns.places))
        _print_loads(f, columns, {"keys": keys, "places": places})
        with f.block(f"for (i32 k = threadIdx.x; k < {warps * _DIGITS}; k += {sizes.threads})"):
            f.line("heads[k] = 0;")
        f.line("__syncthreads();")
        _print_ranks(f, columns, shift)
        f.line("__syncthreads();")
        with f.block(f"for (i32 d = threadIdx.x; d < {_DIGITS}; d += {sizes.threads})"):
            end, place = printer.pointers[ends], _count_place(columns)
            f.line(f"u32 head = {place} % {_DIGITS * tiles} ? {end}[{place} - 1] : 0;")
            with f.block(f"for (i32 w = 0; w < {warps}; w++)"):
                f.line(f"const u32 size = heads[w * {_DIGITS} + d];")
                f.line(f"heads[w * {_DIGITS} + d] = head;")
                f.line("head += size;")
        f.line("__syncthreads();")
        keys, places = (printer.pointers[c[1]] for c in (columns.keys, columns.places))
        with _each_item(f, columns), f.block("if (inside)"):
            f.line(f"const u32 to = own[{_digit('keys[j]', shift)}] + ranks[j];")
            f.line(f"{keys}[row - begin + to] = keys[j];")
            f.line(f"{places}[row - begin + to] = places[j];")

    buffers = [*columns.keys, *columns.places, ends]
    written = [columns.keys[1], columns.places[1]]
    blocks = columns.rows * tiles
    return emitter.launch("move_digits", write, buffers, written, [], blocks, sizes.threads)


def _print_tile(f: Function, columns: Columns) -> None:
    """Define which tile a block has, where in its row that begins, and where that lies."""
    tiles = -(-columns.n // SIZES.tile)
    f.line(f"const i32 tile = blockIdx.x % {tiles};")
    f.line(f"const {columns.index} begin = ({columns.index})tile * {SIZES.tile};")
    f.line(
        f"const {columns.index} row = blockIdx.x / {tiles} * ({columns.index}){columns.n} + begin;"
    )


def _count_place(columns: Columns) -> str:
    """Where the count of digit ``d`` in the block's tile lies: tiles by digits by rows."""
    tiles = -(-columns.n // SIZES.tile)
    kind = index_type(columns.rows * _DIGITS * tiles)
    return f"((({kind})(blockIdx.x / {tiles}) * {_DIGITS} + d) * {tiles} + tile)"


@contextmanager
def _each_item(f: Function, columns: Columns) -> Iterator[None]:
    """A loop over the keys of a thread, with ``k`` the place of key ``j`` in the tile.

    Lanes of a warp have neighbours, and the warp's keys lie side by side.
    """
    f.line("#pragma unroll")
    with f.block(f"for (i32 j = 0; j < {SIZES.items}; j++)"):
        f.line(f"const i32 k = (warp * {SIZES.items} + j) * {_WARP} + lane;")
        f.line(f"const bool inside = begin + k < {columns.n};")
        yield


def _print_loads(f: Function, columns: Columns, sources: Mapping[str, str]) -> None:
    """Define the thread's keys, and what else of it: all are on their way together."""
    f.line(f"const i32 lane = threadIdx.x % {_WARP}, warp = threadIdx.x / {_WARP};")
    for name in sources:
        kind = ctype(columns.dtype if name == "keys" else UINT32)
        f.line(f"{kind} {name}[{SIZES.items}];")
    with _each_item(f, columns):
        for name, source in sources.items():
            f.line(f"{name}[j] = {source}[inside ? row + k : row];")


def _print_ranks(f: Function, columns: Columns, shift: int) -> None:
    """How many of the warp before each of the thread's keys have the same digit."""
    f.line(f"u32 ranks[{SIZES.items}];")
    with _each_item(f, columns):
        f.line(f"const u32 digit = inside ? {_digit('keys[j]', shift)} : {_DIGITS};")
        f.line(f"const u32 peers = __match_any_sync({_EVERY_LANE}, digit);")
        f.line("const u32 before = __popc(peers & ((1u << lane) - 1));")
        f.line("const u32 seen = inside ? own[digit] : 0;")
        f.line("__syncwarp();")
        f.line("if (inside && before == 0) own[digit] = seen + __popc(peers);")
        f.line("__syncwarp();")
        f.line("ranks[j] = seen + before;")


def _digit(key: str, shift: int) -> str:
    return f"(u32)({key} >> {shift} & {_DIGITS - 1})"
