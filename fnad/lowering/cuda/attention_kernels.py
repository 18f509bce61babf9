"""Passes of attention as ``__global__`` functions.

A block has rows of its own, 16 or 32 a warp: queries, or in the pass ``keys`` keys and values. It
goes through the others a tile at a time. While it works on one tile in shared memory, the next one
is on its way. Between the two products of a tile its scores stay in registers, so that a warp asks
for nothing of another one:

=========  ==================  ======================  =====================================
pass       scores              changes                 results
=========  ==================  ======================  =====================================
forward    query x key                                 weights x value
queries    query x key         cotangent x value       changed weights x key
keys       key x query         value x cotangent       weights x cotangent, changed x query
=========  ==================  ======================  =====================================

The weights of the pass forward are relative to about the largest score so far, by which sums and
results are scaled when it grows: Milakov and Gimelshein (2018), arXiv:1805.02867; Dao et al.
(2022), arXiv:2205.14135. The others compute weights anew from the logarithms of the sums, which are
binary ones, as scores are. Nothing is added up by several blocks, so results depend on shapes
alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from fnad.core.types import is_half
from fnad.lowering.cuda.attention_masks import Masks
from fnad.lowering.cuda.tile_text import unrolled
from fnad.lowering.cuda.warp_products import CoreProducts, Products, Shape
from fnad.lowering.cuda.writer import FLOAT32, Function, constant_text, ctype
from fnad.lowering.plan import Heads

MEMORY = "attention_memory"
# Weights are at most two to this power.
_MUCH_LARGER = 8.0


@dataclass(frozen=True, slots=True)
class Pass:
    """A kernel: which pass, which of its results, and how blocks divide it.

    ``weighted`` and ``changed`` say which of the products in the last column of the table above it
    computes; the first needs no changes.
    """

    kind: str
    heads: Heads
    dtype: np.dtype[Any]
    products: Products
    warps: int
    weighted: bool
    changed: bool

    @property
    def shape(self) -> Shape:
        return self.products.shape

    @property
    def threads(self) -> int:
        return self.warps * 32

    @property
    def rows(self) -> int:
        """Rows that a block has of its own."""
        return self.warps * 16 * self.shape.strips

    @property
    def by_keys(self) -> bool:
        """Whether its own rows are keys, and what it goes through are queries."""
        return self.kind == "keys"

    @property
    def own_sides(self) -> int:
        return 1 + self.changed

    @property
    def lengths(self) -> tuple[int, int]:
        """How many rows there are to be divided among blocks, and to go through."""
        sizes = self.heads.queries, self.heads.keys
        return sizes[::-1] if self.by_keys else sizes

    @property
    def parts(self) -> int:
        """How many blocks share a head."""
        return -(-self.lengths[0] // self.rows)

    @property
    def blocks(self) -> int:
        h = self.heads
        return h.batch * (h.key_heads if self.by_keys else h.heads) * self.parts

    @property
    def shared_bytes(self) -> int:
        products = self.products
        lines = self.own_sides * self.rows + 4 * self.shape.columns
        extra = 4 * self.shape.columns * products.sum.itemsize if self.by_keys else 0
        return lines * products.stride * products.size + extra


class PassPrinter:
    """Prints the body of the kernel.

    ``pointers`` are those of the operands by name: query, key, value, perhaps bias, mask, lengths,
    then cotangent, logarithms, products; and of the results, in order.
    """

    def __init__(
        self, f: Function, work: Pass, pointers: dict[str, str], outs: Sequence[str], masks: Masks
    ) -> None:
        self.f, self.work, self.pointers, self.outs, self.masks = f, work, pointers, outs, masks
        self.products = work.products
        self.sum = ctype(self.products.sum)
        names = ("key", "value"), ("query", "cotangent")
        self.tiles, self.own = names[work.by_keys], names[not work.by_keys]
        single = self.products.sum == FLOAT32
        self.exp2 = f.use("rough_exp2") if single else "exp2"
        self.larger = "fmaxf" if single else "fmax"
        self.log2 = "log2f" if single else "log2"

    def number(self, value: float) -> str:
        """A constant in the dtype of sums."""
        return constant_text(value, self.products.sum)

    def print(self) -> None:
        f, work = self.f, self.work
        self._print_places()
        self._print_range()
        strips, blocks = work.shape.strips, work.shape.padded // 8
        results = [n for n, has in (("weighted", work.weighted), ("changed", work.changed)) if has]
        for name in results:
            f.line(f"{self.sum} {name}[{strips}][{blocks}][4] = {{}};")
        if work.kind == "forward":
            f.line(f"{self.sum} largest[{strips}][2], sums[{strips}][2] = {{}};")
            with self._each_row():
                f.line(f"largest[r][half] = {self.number(-np.inf)};")
        elif not work.by_keys:
            self._print_own_logarithms()
        # In turn `turn` a tile begins its way, the one before it is worked on.
        with f.block("for (i32 turn = 0; turn <= turns; turn++)"):
            with f.block("if (turn > 0)"):
                f.line(f"{f.use('await_copies')}();")
                f.line("__syncthreads();")
            with f.block("if (turn < turns)"):
                self._print_fetch()
            with f.block("if (turn > 0)"):
                self._print_tile()
        if work.kind == "forward":
            self._print_last_sums()
        scale = self.number(work.heads.scale)
        for name, out in zip(results[::-1], self.outs):
            # Keys, or queries, come before values.
            self._print_result(name, out, f" * {scale}" if name == "changed" else "")

    # -- where ------------------------------------------------------------------------------------

    def _print_places(self) -> None:
        f, work, h = self.f, self.work, self.work.heads
        element, stride = self.products.element, self.products.stride
        heads = h.key_heads if work.by_keys else h.heads
        f.line(f"extern __shared__ __align__(16) u8 {MEMORY}[];")
        f.line(f"{element}* const own = ({element}*){MEMORY};")
        f.line(f"{element}* const tiles = own + {work.own_sides * work.rows * stride};")
        if work.by_keys:
            size = 4 * work.shape.columns * stride
            f.line(f"{self.sum}* const lines = ({self.sum}*)(tiles + {size});")
        f.line("const i32 lane = (i32)threadIdx.x % 32;")
        f.line(f"const i32 strip = (i32)threadIdx.x / 32 * {16 * work.shape.strips};")
        f.line(f"const i32 part = (i32)(blockIdx.x % {work.parts}u);")
        # What goes through the most tiles begins first.
        last = h.behind is not None and not work.by_keys
        place = f"({work.parts - 1} - part)" if last else "part"
        f.line(f"const i32 first = {place} * {work.rows};")
        f.line(f"const i32 head = (i32)(blockIdx.x / {work.parts}u % {heads}u);")
        f.line(f"const i64 entry = blockIdx.x / {work.parts * heads}u;")
        if not work.by_keys:
            f.line("const i32 query_head = head;")

    def _print_range(self) -> None:
        """Which tiles a block goes through."""
        f, work, columns = self.f, self.work, self.work.shape.columns
        self.masks.print_length(f)
        begin, end = self.masks.range(work.lengths[1], work.rows)
        f.line(f"const i32 begin = {begin} / {columns};")
        f.line(f"const i32 count = max(({end} + {columns - 1}) / {columns} - begin, 0);")
        group = work.heads.heads // work.heads.key_heads if work.by_keys else 1
        f.line(f"const i32 turns = count{f' * {group}' * (group > 1)};")

    def _first_element(self, name: str, head: str) -> str:
        """Where the first row of a head begins in memory."""
        h = self.work.heads
        keys = name in ("key", "value")
        size, heads = (h.keys, h.key_heads) if keys else (h.queries, h.heads)
        return f"{self.pointers[name]} + (entry * {size * heads} + {head}) * {h.features}"

    def _row_stride(self, name: str) -> int:
        h = self.work.heads
        return (h.key_heads if name in ("key", "value") else h.heads) * h.features

    # -- copies -----------------------------------------------------------------------------------

    def _print_fetch(self) -> None:
        """Begin the copies of the next tile, and before the first one those of the own rows."""
        f, work = self.f, self.work
        columns, stride = work.shape.columns, self.products.stride
        with f.block("if (turn == 0)"):
            for side in range(work.own_sides):
                target = f"own + {side * work.rows * stride}"
                name, length = self.own[side], work.lengths[0]
                self._print_copies(name, "head", target, "first", work.rows, length)
        head = self._print_turn("turn")
        f.line(
            f"{self.products.element}* const tile = tiles + (turn & 1) * {2 * columns * stride};"
        )
        for side in range(2):
            target = f"tile + {side * columns * stride}"
            self._print_copies(self.tiles[side], head, target, "row", columns, work.lengths[1])
        if work.by_keys:
            self._print_line_copies()

    def _print_line_copies(self) -> None:
        """Begin the copies of what belongs to the queries of the next tile."""
        f, h, columns = self.f, self.work.heads, self.work.shape.columns
        copy = f.use(f"copy_bytes_{self.products.sum.itemsize}")
        with f.block(f"if (threadIdx.x < {columns})"):
            f.line("const i32 at = row + (i32)threadIdx.x;")
            f.line(
                f"const bool is_there = {f'at < {h.queries}' if h.queries % columns else 'true'};"
            )
            first = f"(entry * {h.heads} + query_head) * {h.queries}"
            f.line(f"const i64 from = {first} + (is_there ? at : 0);")
            f.line(f"{self.sum}* const line = lines + (turn & 1) * {2 * columns} + threadIdx.x;")
            for i, name in enumerate(("logarithms", "products")):
                source = f"{self.pointers[name]} + from"
                f.line(f"{copy}(line + {i * columns}, {source}, is_there);")

    def _print_turn(self, turn: str) -> str:
        """Define where the tile of a turn begins; returns the head that it is of."""
        f, work, h = self.f, self.work, self.work.heads
        columns = work.shape.columns
        if not work.by_keys:
            f.line(f"const i32 row = (begin + {turn}) * {columns};")
            group = h.heads // h.key_heads
            return f"head / {group}" if group > 1 else "head"
        group = h.heads // h.key_heads
        if group == 1:
            f.line(f"const i32 row = (begin + {turn}) * {columns};")
            f.line("const i32 query_head = head;")
        else:
            f.line(f"const i32 row = (begin + {turn} % count) * {columns};")
            f.line(f"const i32 query_head = head * {group} + {turn} / count;")
        return "query_head"

    def _print_copies(
        self, name: str, head: str, target: str, first: str, rows: int, length: int
    ) -> None:
        """Copy rows of an operand to shared memory; what is not there becomes zero."""
        f, work, features = self.f, self.work, self.work.heads.features
        width = self._width(features)
        each, stride = work.shape.padded // width, self._row_stride(name)
        # Where a thread's chunks are below each other, their places differ by constants.
        down = work.threads // each if work.threads % each == 0 else 0
        chunk = "(i32)threadIdx.x" if down else f"((i32)threadIdx.x + i * {work.threads})"
        below = f"line{f' + i * {down}' * (down > 0)}"
        inside = f"if ({below} < {rows})" if rows * each % work.threads else ""
        checks = [f"{first} + {below} < {length}"] if length % rows else []
        checks += [f"at < {features}"] if features % 16 else []
        with f.block(""):
            places = [
                f"const i32 line = {chunk} / {each}, at = {chunk} % {each} * {width};",
                f"const {ctype(work.dtype)}* const source = {self._first_element(name, head)};",
                f"const {ctype(work.dtype)}* const from ="
                f" source + (i64)({first} + line) * {stride} + at;",
                f"{self.products.element}* const to ="
                f" {target} + line * {self.products.stride} + at;",
            ]
            for text in places if down else []:
                f.line(text)
            with unrolled(f, "i", -(-rows * each // work.threads)):
                for text in [] if down else places:
                    f.line(text)
                ends = ("from", stride), ("to", self.products.stride)
                read, written = (f"{at}{f' + i * {down * x}' * (down > 0)}" for at, x in ends)
                with f.block(inside):
                    f.line(f"const bool is_there = {' && '.join(checks) or 'true'};")
                    self._print_copy(read, written, width)

    def _print_copy(self, source: str, target: str, width: int) -> None:
        f = self.f
        if width > 1:
            f.line(f"{f.use('copy_bytes_16')}({target}, is_there ? {source} : source, is_there);")
        else:
            value = self._held(f"*({source})")
            f.line(f"*({target}) = is_there ? {value} : ({self.products.element})0;")

    def _width(self, features: int) -> int:
        """How many features are copied together; one, if each has to be converted."""
        width = 16 // self.products.size
        is_same = self.products.size == self.work.dtype.itemsize
        return width if is_same and features % width == 0 else 1

    def _held(self, value: str) -> str:
        """An element as it lies in shared memory."""
        if isinstance(self.products, CoreProducts):
            return f"({value}).bits"
        if is_half(self.work.dtype):
            return f"{self.f.use(f'{ctype(self.work.dtype)}_to_f32')}({value})"
        return value

    def _print_own_logarithms(self) -> None:
        f, h, strips = self.f, self.work.heads, self.work.shape.strips
        f.line(f"{self.sum} logarithms[{strips}][2], products[{strips}][2];")
        with self._each_row():
            f.line(f"const i64 at = (entry * {h.heads} + head) * {h.queries} + own_row;")
            for name in ("logarithms", "products"):
                value = f"{self.pointers[name]}[at]"
                f.line(f"{name}[r][half] = own_row < {h.queries} ? {value} : 0;")

    # -- a tile -----------------------------------------------------------------------------------

    @contextmanager
    def _each_row(self) -> Iterator[None]:
        """For each of the rows of which a lane has a part."""
        f = self.f
        with unrolled(f, "r", self.work.shape.strips), unrolled(f, "half", 2):
            f.line("const i32 own_row = first + strip + r * 16 + half * 8 + lane / 4;")
            yield

    @contextmanager
    def _each_score(self) -> Iterator[None]:
        f, shape = self.f, self.work.shape
        extents = {"r": shape.strips, "n": shape.columns // 8, "i": 4}
        with ExitStack() as stack:
            for name, extent in extents.items():
                stack.enter_context(unrolled(f, name, extent))
            yield

    def _print_tile(self) -> None:
        f, work, shape = self.f, self.work, self.work.shape
        self._print_turn("(turn - 1)")
        side = shape.columns * self.products.stride
        f.line(f"{self.products.element}* const tile = tiles + ((turn - 1) & 1) * {2 * side};")
        f.line(f"{self.sum} scores[{shape.strips}][{shape.columns // 8}][4] = {{}};")
        self.products.add_scores(f, "scores", "own", "tile")
        self.masks.print(f, self._each_score)
        if work.kind == "forward":
            self._print_weights()
        else:
            self._print_weights_anew()
        if work.weighted:
            self.products.add_products(f, "weighted", "scores", f"(tile + {side})")
        if work.changed:
            f.line(f"{self.sum} changes[{shape.strips}][{shape.columns // 8}][4] = {{}};")
            own = f"(own + {work.rows * self.products.stride})"
            self.products.add_scores(f, "changes", own, f"(tile + {side})")
            with self._each_score():
                product = self._line_or_row("products", 1)
                f.line(f"changes[r][n][i] = scores[r][n][i] * (changes[r][n][i] - {product});")
            self.products.add_products(f, "changed", "changes", "tile")

    def _line_or_row(self, name: str, side: int) -> str:
        """What belongs to the query of a score."""
        if not self.work.by_keys:
            return f"{name}[r][i / 2]"
        columns = self.work.shape.columns
        place = f"((turn - 1) & 1) * {2 * columns} + {side * columns}"
        return f"lines[{place} + n * 8 + lane % 4 * 2 + i % 2]"

    def _print_weights_anew(self) -> None:
        f = self.f
        with self._each_score():
            exponent = self._less("scores[r][n][i]", self._line_or_row("logarithms", 0))
            f.line(f"scores[r][n][i] = {self.exp2}({exponent});")

    def _less(self, score: str, base: str) -> str:
        """A score, as a binary logarithm, less another one."""
        fma = "fmaf" if self.products.sum == FLOAT32 else "fma"
        return f"{fma}({score}, {self.number(self.masks.factor)}, -{base})"

    def _print_weights(self) -> None:
        """Make the scores weights, and scale what has been added up so far.

        They are relative to a score of before until there is a much larger one. For then sums stay
        as they are in most tiles.
        """
        f, shape = self.f, self.work.shape
        factor, least = self.number(self.masks.factor), self.number(-np.inf)
        much = self.number(_MUCH_LARGER / self.masks.factor)
        f.line(f"{self.sum} shrink[{shape.strips}][2];")
        f.line("bool shrinks = false;")
        with self._each_row():
            f.line(f"{self.sum} high = largest[r][half];")
            with unrolled(f, "n", shape.columns // 8), unrolled(f, "i", 2):
                f.line(f"high = {self.larger}(high, scores[r][n][half * 2 + i]);")
            for apart in (1, 2):
                f.line(f"high = {self.larger}(high, __shfl_xor_sync(0xffffffffu, high, {apart}));")
            f.line(f"if (!(high > largest[r][half] + {much})) high = largest[r][half];")
            # Where all is masked so far, differences of infinities would be NaN.
            f.line(f"const {self.sum} base = high == {least} ? 0 : high * {factor};")
            f.line(f"shrink[r][half] = {self.exp2}({self._less('largest[r][half]', 'base')});")
            f.line("shrinks |= high != largest[r][half];")
            f.line("largest[r][half] = high;")
            f.line("sums[r][half] *= shrink[r][half];")
            with unrolled(f, "n", shape.columns // 8), unrolled(f, "i", 2):
                score = "scores[r][n][half * 2 + i]"
                f.line(f"{score} = {self.exp2}({self._less(score, 'base')});")
                f.line(f"sums[r][half] += {score};")
        with (
            f.block("if (__any_sync(0xffffffffu, shrinks))"),
            self._each_row(),
            unrolled(f, "n", shape.padded // 8),
            unrolled(f, "i", 2),
        ):
            f.line("weighted[r][n][half * 2 + i] *= shrink[r][half];")

    # -- results ----------------------------------------------------------------------------------

    def _print_last_sums(self) -> None:
        """Divide by the sums of weights, and store their logarithms."""
        f, h = self.f, self.work.heads
        with self._each_row():
            f.line(f"{self.sum} sum = sums[r][half];")
            for apart in (1, 2):
                f.line(f"sum += __shfl_xor_sync(0xffffffffu, sum, {apart});")
            f.line(f"const {self.sum} each = sum == 0 ? 0 : 1 / sum;")
            with unrolled(f, "n", self.work.shape.padded // 8), unrolled(f, "i", 2):
                f.line("weighted[r][n][half * 2 + i] *= each;")
            with f.block(f"if (lane % 4 == 0 && own_row < {h.queries})"):
                factor = self.number(self.masks.factor)
                value = f"(largest[r][half] * {factor} + {self.log2}(sum))"
                at = f"(entry * {h.heads} + head) * {h.queries} + own_row"
                f.line(
                    f"{self.outs[1]}[{at}] = sum == 0 ? {self.number(-np.inf)}"
                    f" : {value} * {self.number(math.log(2))};"
                )

    def _print_result(self, name: str, out: str, scale: str) -> None:
        f, work, features = self.f, self.work, self.work.heads.features
        heads = work.heads.key_heads if work.by_keys else work.heads.heads
        with self._each_row(), f.block(f"if (own_row < {work.lengths[0]})"):
            row = f"((entry * {work.lengths[0]} + own_row) * {heads} + head) * {features}"
            f.line(f"{ctype(work.dtype)}* const to = {out} + {row};")
            with unrolled(f, "n", work.shape.padded // 8):
                f.line("const i32 at = n * 8 + lane % 4 * 2;")
                values = [f"{name}[r][n][half * 2 + {i}]{scale}" for i in range(2)]
                self._print_pair(values, features)

    def _print_pair(self, values: Sequence[str], features: int) -> None:
        f, kind = self.f, ctype(self.work.dtype)
        half = is_half(self.work.dtype)
        if features % 2 == 0:
            store = (
                f"*(u32*)(to + at) = {f.use(f'pair_{kind}')}({', '.join(values)});"
                if half
                else f"*({f.use(f'{kind}x2')}*)(to + at) = {{{', '.join(values)}}};"
            )
            f.line(f"if (at < {features}) {store}")
            return
        convert: Callable[[str], str] = str
        if half:
            function = f.use(f"f32_to_{kind}")
            convert = lambda value: f"{function}({value})"  # noqa: E731
        for i, value in enumerate(values):
            f.line(f"if (at + {i} < {features}) to[at + {i}] = {convert(value)};")
