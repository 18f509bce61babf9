"""Stable sorts: short lanes by a network in shared memory, others by radix (`radix`).

What is sorted are keys, unsigned integers of the same order, with the places in their lanes where
they came from; the operands are then gathered from there. So NaN, whose keys are all one, and
zeros of both signs, whose keys are equal, stay in the order in which they came.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fnad.core.errors import MissingRuleError
from fnad.lowering.cuda.expressions import ExpressionPrinter
from fnad.lowering.cuda.program import Launch, Step
from fnad.lowering.cuda.radix import (
    UINT32,
    UINT64,
    Columns,
    index_type,
    key_bits,
    key_dtype,
    print_key,
    radix_steps,
)
from fnad.lowering.cuda.writer import DType, Function, ctype
from fnad.lowering.plan import Sort

if TYPE_CHECKING:
    from fnad.lowering.cuda.emitter import Emitter

# Lanes up to this length are sorted by a network, if their keys fit into shared memory.
LONGEST = 2048
_SHARED_BYTES = 48 << 10
# Elements in shared memory if lanes are short, and the threads of a block.
_SLOTS, _MOST_THREADS = 512, 512
_THREADS = 256


def sort_steps(emitter: Emitter, node: Sort) -> list[Step]:
    """The launches that do a node."""
    if 0 in node.extents:
        return []
    if node.extents[1] >= 2**32:
        raise MissingRuleError("the CUDA backend cannot sort 2**32 elements or more along an axis")
    network = _network(emitter, node)
    if node.extents[1] <= LONGEST and network.nbytes <= _SHARED_BYTES:
        return [_sort_short(emitter, node, network)]
    return _sort_long(emitter, node)


def _print_lane(f: Function, node: Sort, lane: str) -> None:
    """Define ``base``, where a lane begins."""
    outer, n, inner = node.extents
    kind = index_type(outer * n * inner)
    start = f"{lane} / {inner} * {n * inner} + {lane} % {inner}" if inner > 1 else f"{lane} * {n}"
    f.line(f"const {kind} base = {start};")


def _element(base: str, place: str, inner: int) -> str:
    return f"{base} + ({place}) * {inner}" if inner > 1 else f"{base} + ({place})"


def _print_gather(f: Function, printer: ExpressionPrinter, node: Sort, to: str, came: str) -> None:
    """Write all operands of element ``to`` of a lane: those of element ``came``."""
    kind, inner = index_type(node.extents[0] * node.extents[1] * node.extents[2]), node.extents[2]
    f.line(f"const {kind} target = {_element('base', to, inner)};")
    f.line(f"const {kind} source = {_element('base', f'({kind}){came}', inner)};")
    for out, operand in zip(node.outs, node.sources, strict=True):
        f.line(f"{printer.pointers[out]}[target] = {printer.pointers[operand]}[source];")


def _keys(emitter: Emitter, node: Sort) -> list[DType]:
    return [emitter.buffers[n].dtype for n in node.sources[: node.num_keys]]


def _operands(node: Sort) -> list[int]:
    return sorted({*node.sources, *node.outs})


# -- short lanes -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Network:
    """A block that sorts lanes of ``length`` slots, a power of two, in arrays of ``dtypes``.

    The last array holds places; or, if ``packed``, the only one holds keys above places.
    """

    length: int
    dtypes: tuple[DType, ...]
    packed: bool

    @property
    def slots(self) -> int:
        return max(self.length, _SLOTS)

    @property
    def lanes(self) -> int:
        return self.slots // self.length

    @property
    def threads(self) -> int:
        return min(self.slots // 2, _MOST_THREADS)

    @property
    def nbytes(self) -> int:
        return self.slots * sum(dtype.itemsize for dtype in self.dtypes)


def _network(emitter: Emitter, node: Sort) -> _Network:
    wide = [key_dtype(dtype) for dtype in _keys(emitter, node)]
    length = 1 << (node.extents[1] - 1).bit_length()
    if wide == [UINT32]:
        return _Network(length, (UINT64,), True)
    return _Network(length, (*wide, UINT32), False)


def _sort_short(emitter: Emitter, node: Sort, network: _Network) -> Launch:
    outer, n, inner = node.extents
    lanes, width = outer * inner, network.lanes
    operands = [(k, emitter.buffers[k].dtype) for k in node.sources[: node.num_keys]]

    def write(f: Function, printer: ExpressionPrinter) -> None:
        for number, dtype in enumerate(network.dtypes):
            f.line(f"__shared__ {ctype(dtype)} s{number}[{network.slots}];")
        kind = index_type(outer * n * inner)

        def each_slot() -> str:
            return f"for (i32 e = threadIdx.x; e < {network.slots}; e += {network.threads})"

        def locate() -> None:
            if inner > 1:  # neighbouring threads read neighbouring elements
                f.line(f"const i32 slot = e % {width} * {network.length} + e / {width};")
            else:
                f.line("const i32 slot = e;")
            f.line(f"const i32 k = slot % {network.length};")
            f.line(f"const {kind} lane = ({kind})blockIdx.x * {width} + slot / {network.length};")

        inside = f"lane < {lanes} && k < {n}"
        with f.block(each_slot()):
            locate()
            _print_slot(f, printer, node, network, operands, inside)
        _print_network(f, network)
        with f.block(each_slot()):
            locate()
            with f.block(f"if ({inside})"):
                _print_lane(f, node, "lane")
                _print_gather(f, printer, node, "k", f"(u32)s{len(network.dtypes) - 1}[slot]")

    buffers = _operands(node)
    blocks = -(-lanes // width)
    return emitter.launch("sort", write, buffers, node.outs, [], blocks, network.threads)


def _print_slot(
    f: Function,
    printer: ExpressionPrinter,
    node: Sort,
    network: _Network,
    operands: Sequence[tuple[int, DType]],
    inside: str,
) -> None:
    """Fill a slot: keys and place; those beyond a lane come after all others."""
    for number, dtype in enumerate(network.dtypes):
        f.line(f"s{number}[slot] = ({ctype(dtype)})-1;")
    with f.block(f"if ({inside})"):
        _print_lane(f, node, "lane")
        place = _element("base", "k", node.extents[2])
        values = [f.value(f"{printer.pointers[k]}[{place}]", dtype) for k, dtype in operands]
        keys = [print_key(f, x).ref for x in values]
        if network.packed:
            f.line(f"s0[slot] = (u64){keys[0]} << 32 | (u32)k;")
        else:
            for number, ref in enumerate([*keys, "k"]):
                f.line(f"s{number}[slot] = {ref};")


def _print_network(f: Function, network: _Network) -> None:
    """Batcher's bitonic sort: runs of 2, 4, 8, ... that ascend and descend by turns are merged."""
    numbers = range(len(network.dtypes))
    f.line("__syncthreads();")
    with (
        f.block(f"for (i32 run = 2; run <= {network.length}; run *= 2)"),
        f.block("for (i32 apart = run / 2; apart > 0; apart /= 2)"),
    ):
        with f.block(
            f"for (i32 e = threadIdx.x; e < {network.slots // 2}; e += {network.threads})"
        ):
            f.line("const i32 low = 2 * e - (e & (apart - 1)), high = low + apart;")
            for i, dtype in enumerate(network.dtypes):
                f.line(f"const {ctype(dtype)} x{i} = s{i}[low], y{i} = s{i}[high];")
            greater = "false"
            for i in reversed(numbers):
                greater = (
                    f"x{i} > y{i}"
                    if greater == "false"
                    else (f"x{i} > y{i} || x{i} == y{i} && ({greater})")
                )
            f.line(f"const bool ascends = (low & {network.length - 1} & run) == 0;")
            with f.block(f"if (({greater}) == ascends)"):
                for i in numbers:
                    f.line(f"s{i}[low] = y{i};")
                    f.line(f"s{i}[high] = x{i};")
        f.line("__syncthreads();")


# -- long lanes --------------------------------------------------------------------------------


def _sort_long(emitter: Emitter, node: Sort) -> list[Step]:
    """Sort by the last key first: each sort keeps the order of those before."""
    outer, n, inner = node.extents
    size, keys = outer * n * inner, _keys(emitter, node)
    steps: list[Step] = []
    wide = UINT64 if UINT64 in map(key_dtype, keys) else UINT32
    columns = [(size, wide), (size, wide), (size, UINT32), (size, UINT32)]
    with emitter.temporaries(*columns) as [a, b, c, d]:
        now = Columns(outer * inner, n, (a, b), (c, d), wide)
        for number in reversed(range(node.num_keys)):
            first = number == node.num_keys - 1
            steps.append(_write_keys(emitter, node, now, number, first))
            passes, now = radix_steps(emitter, now, key_bits(keys[number]))
            steps += passes
        steps.append(_gather(emitter, node, now.places[0]))
    return steps


def _each(f: Function, node: Sort) -> None:
    """Define the thread's element ``e``: number ``k`` of the lane that begins at ``base``."""
    outer, n, inner = node.extents
    size = outer * n * inner
    kind = index_type(size)
    f.line(f"const {kind} e = ({kind})blockIdx.x * {_THREADS} + threadIdx.x;")
    f.line(f"if (e >= {size}) return;")
    f.line(f"const {kind} k = e % {n};")
    _print_lane(f, node, f"(e / {n})")


def _write_keys(emitter: Emitter, node: Sort, columns: Columns, number: int, first: bool) -> Launch:
    """Write the keys of an operand, in the order of the places so far."""
    source = node.sources[number]
    keys, places = columns.keys[0], columns.places[0]

    def write(f: Function, printer: ExpressionPrinter) -> None:
        _each(f, node)
        place = f.value("(u32)k" if first else f"{printer.pointers[places]}[e]", UINT32)
        kind = index_type(columns.rows * columns.n)
        at = _element("base", f"({kind}){place.ref}", node.extents[2])
        x = f.value(f"{printer.pointers[source]}[{at}]", emitter.buffers[source].dtype)
        f.line(f"{printer.pointers[keys]}[e] = {print_key(f, x).ref};")
        if first:
            f.line(f"{printer.pointers[places]}[e] = {place.ref};")

    blocks = -(-columns.rows * columns.n // _THREADS)
    written = [keys, places] if first else [keys]
    return emitter.launch("sort_keys", write, [source, keys, places], written, [], blocks, _THREADS)


def _gather(emitter: Emitter, node: Sort, places: int) -> Launch:
    """Bring operands into the order that has been found."""
    outer, n, inner = node.extents

    def write(f: Function, printer: ExpressionPrinter) -> None:
        _each(f, node)
        _print_gather(f, printer, node, "k", f"{printer.pointers[places]}[e]")

    buffers = [*_operands(node), places]
    blocks = -(-outer * n * inner // _THREADS)
    return emitter.launch("sort_rows", write, buffers, node.outs, [], blocks, _THREADS)
