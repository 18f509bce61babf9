"""Row-wise fusion: nodes that work through the same rows run together, block by block.

What one node of a group writes, the next one reads from cache. Softmax is a group of three
kernels, attention one of two products and three kernels over the batch, a convolution one of
the kernel that lays out its windows, the product and what follows. A node joins an earlier one
if nothing between them stands against it and if, at every row, each touches only that row's
slab of what any of them writes.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any, NamedTuple

import numpy as np

from fnad.lowering.access import (
    Access,
    access,
    count_uses,
    kernel_exprs,
    loads,
    own_access,
    with_bodies,
)
from fnad.lowering.expr import Expr, affine_parts, axis
from fnad.lowering.lines import by_lines, lines_written
from fnad.lowering.panels import (
    PRODUCT_ROWS,
    NewBuffer,
    price,
    runs_in_blocks,
    with_packing,
)
from fnad.lowering.plan import (
    Buffer,
    Contraction,
    Group,
    Kernel,
    Matrix,
    Member,
    Node,
)
from fnad.lowering.short_rows import block_of_vectors, reduces_short_rows
from fnad.lowering.target import CPU, Target
from fnad.lowering.walk import below

# What a block of rows of kernels may touch (it stays in the first cache, of 32 KB or more, beside
# what is read on the way), and one of products: a part of the second.
_BLOCK_BYTES = 20 << 10
_PRODUCT_BLOCK_BYTES = 384 << 10
# What a row of a group writes stays in the second cache up to so many bytes.
_ROW_BYTES = 1 << 20
# Rows at a time that matrix products are fast for.
_TILE_ROWS = 8
# Fewer rows than this are not worth grouping: the threads divide them.
_MIN_ROWS = 8
_MAX_MEMBERS = 24
# What is so small runs before all that does not need it, so that it does not part what does.
_EARLY_BYTES = 1 << 18
# How many earlier nodes are tried.
_CANDIDATES = 12


class _Touch(NamedTuple):
    """Elements that a node touches in one task: ``sum(stride * index)`` plus ``low .. high``.

    ``tasks`` are the axes of the task number, outermost first, as pairs of extent and stride;
    None if the place of what is touched is not known. ``base`` is where in the buffer all of it
    begins, if that depends on the turns of loops around.
    """

    buffer: int
    tasks: tuple[tuple[int, int], ...] | None
    low: int = 0
    high: int = 0
    base: tuple[Any, ...] = ()

    @property
    def span(self) -> int:
        """How many elements all tasks take together, if each has a slab."""
        return self.tasks[0][0] * self.tasks[0][1] if self.tasks else 0

    def inside_slab(self, extent: int, size: int) -> bool:
        """Whether group row ``g`` of ``extent`` touches only slab ``g`` of the buffer."""
        return self.tasks is not None and _inside_slab(
            self.tasks, self.low, self.high, extent, size
        )


@functools.lru_cache(maxsize=4096)
def _inside_slab(
    tasks: tuple[tuple[int, int], ...], low: int, high: int, extent: int, size: int
) -> bool:
    if size % extent:
        return False
    slab, left = size // extent, extent
    for length, stride in tasks:
        if left % length == 0:
            left //= length
            if length > 1 and stride != left * slab:
                return False
            continue
        if length % left:
            return False
        inner = length // left
        if left > 1 and stride * inner != slab:
            return False
        high += max(stride, 0) * (inner - 1)
        low += min(stride, 0) * (inner - 1)
        left = 1
    return left == 1 and low >= 0 and high < slab


def _kernel_touches(kernel: Kernel) -> list[_Touch]:
    places = [(e.attr, e.args[0]) for e in loads(kernel_exprs(kernel))]
    places += [(s.buffer, s.offset) for s in kernel.stores]
    return [_Touch(number, *_reach(offset, kernel.axes[0])) for number, offset in places]


@functools.lru_cache(maxsize=4096)
def _reach(offset: Expr, tasks: tuple[int, int]) -> tuple[Any, ...]:
    """What of a buffer a task of a kernel touches at an offset: the fields of a `_Touch`."""
    task = axis(*tasks)
    terms, constant = affine_parts(offset)
    turns = tuple((t.attr[0], c) for t, c in terms.items() if t.op == "counter")
    base = (*turns, constant) if turns else ()
    low = high = 0 if turns else constant
    for term, c in terms.items():
        if term is task or term.op == "counter":
            continue
        if term.bounds is None or (term.args and task in below(term)):
            return (None,)
        ends = (c * term.bounds[0], c * term.bounds[1])
        low, high = low + min(ends), high + max(ends)
    return ((tasks[1], terms.get(task, 0)),), low, high, base


def _contraction_touches(c: Contraction) -> list[_Touch]:
    operands = (c.left, c.m, c.k), (c.right, c.k, c.n), (c.out, c.m, c.n)
    return [_matrix_touch(c, matrix, rows, columns) for matrix, rows, columns in operands]


def _matrix_touch(c: Contraction, matrix: Matrix, rows: int, columns: int) -> _Touch:
    terms, constant = affine_parts(matrix.offset)
    *batch, row, column = matrix.strides
    if terms or min(matrix.strides) < 0:
        return _Touch(matrix.buffer, None)
    high = constant + (columns - 1) * column
    if c.batch:
        tasks = tuple(zip(c.batch, batch, strict=True))
        return _Touch(matrix.buffer, tasks, constant, high + (rows - 1) * row)
    if matrix is c.right:
        return _Touch(matrix.buffer, ((c.m, 0),), constant, high + (rows - 1) * row)
    return _Touch(matrix.buffer, ((c.m, row),), constant, high)


class _Candidate:
    """A node that may be grouped, with its number of tasks; or several that are."""

    __slots__ = (
        "_touches", "access", "alone", "apart", "extent", "lays_out", "nbytes", "nodes", "price",
        "tasks", "touched",
    )  # fmt: skip

    def __init__(
        self,
        node: Kernel | Contraction,
        tasks: int,
        touched: AbstractSet[int],
        buffers: Mapping[int, Buffer],
    ) -> None:
        self.alone = node  # what runs if no other node joins
        # Whether this only lays elements out anew: that goes with those who read them, but for
        # parts that are brought together, which go with those who made them.
        self.lays_out = (
            isinstance(node, Kernel) and len(node.stores) == 1 and node.stores[0].value.op == "load"
        )
        if isinstance(node, Kernel) and self.lays_out:
            node = by_lines(node)
            tasks = node.axes[0][1]
        self.nodes = [node]
        self.tasks = [tasks]
        self.extent = tasks
        self.access = own_access(node)
        self.touched = touched
        self.nbytes = sum([buffers[n].nbytes for n in touched])
        # What only this writes, in pieces as long as lines of a cache: of that, rows need no slabs.
        self.apart = lines_written(node)
        # Bytes of buffers that a group has to share to be worth running this by blocks of rows.
        self.price = price(node) if isinstance(node, Contraction) else 0
        self._touches: dict[int, list[_Touch]] | None = None

    @property
    def touches(self) -> dict[int, list[_Touch]]:
        """What is touched of each buffer of ``touched``."""
        if self._touches is None:
            self._touches = {}
            [node] = self.nodes
            found = _kernel_touches if isinstance(node, Kernel) else _contraction_touches
            for t in dict.fromkeys(found(node)):  # type: ignore[arg-type]
                self._touches.setdefault(t.buffer, []).append(t)
        return self._touches

    def take(self, new: _Candidate, touches: dict[int, list[_Touch]], extent: int) -> None:
        """Become a group with another one's nodes, of so many rows."""
        self.nodes += new.nodes
        self.tasks += new.tasks
        self._touches, self.extent = touches, extent
        self.access = self.access.joined(new.access)
        self.apart = (self.apart | new.apart) - (self.touched & new.touched)
        self.touched = self.touched | new.touched
        self.nbytes += new.nbytes
        self.price = 0  # it is paid
        self.lays_out = False


def _candidate(node: Node, buffers: Mapping[int, Buffer]) -> _Candidate | None:
    if isinstance(node, Kernel):
        if node.sequential or not node.axes or any(s.combine for s in node.stores):
            return None
        return _Candidate(node, node.axes[0][1], own_access(node).touched, buffers)
    if isinstance(node, Contraction):
        if not runs_in_blocks(node):
            return None
        tasks = math.prod(node.batch) if node.batch else node.m
        touched = {node.left.buffer, node.right.buffer, node.out.buffer}
        return _Candidate(node, tasks, touched, buffers)
    return None


class _Grouping:
    """A schedule in which nodes join earlier ones.

    A small node that depends on nothing here is ``free``: it may run before all others, and so
    does not keep nodes that need it from joining those before it. Where one has, it must
    (``pinned``); else it may still head a group at its place.
    """

    def __init__(self, buffers: dict[int, Buffer], target: Target) -> None:
        self.buffers = buffers
        self.target = target
        self.entries: list[_Candidate | Node] = []
        self.last_write: dict[int, int] = {}
        self.last_touch: dict[int, int] = {}
        self.free: dict[int, Access] = {}  # by position
        # Positions of entries that are or were free, by the buffers that they read and write.
        self.free_readers: dict[int, list[int]] = {}
        self.free_writers: dict[int, list[int]] = {}
        self.pinned: set[int] = set()

    def add(self, entry: _Candidate | Node) -> None:
        """Add an entry at the end, or to an earlier one that it may join."""
        found = entry.access if isinstance(entry, _Candidate) else access(entry)
        position = self._place(entry, found)
        if position == len(self.entries):
            self.entries.append(entry)
            if self._first(found) and self._small(found) and not self._needs_free(found):
                self._note_free(found, position)
                return
        else:
            if position in self.free:  # it heads a group now
                self._note(self.free.pop(position), position)
            self._pin(found, position)
        self._note(found, position)

    def _first(self, found: Access) -> bool:
        """Whether a node need not stay behind any that is not free."""
        return self.last_write.keys().isdisjoint(found.reads) and self.last_touch.keys().isdisjoint(
            found.writes
        )

    def _needs_free(self, found: Access) -> bool:
        """Whether a node must stay behind one that is free, but need not run first."""
        free, pinned = self.free, self.pinned
        conflicting = [self.free_writers.get(number, ()) for number in found.touched]
        conflicting += [self.free_readers.get(number, ()) for number in found.writes]
        return any(p in free and p not in pinned for some in conflicting for p in some)

    def _note_free(self, found: Access, position: int) -> None:
        self.free[position] = found
        for number in found.reads:
            self.free_readers.setdefault(number, []).append(position)
        for number in found.writes:
            self.free_writers.setdefault(number, []).append(position)

    def _pin(self, found: Access, position: int) -> None:
        """Let what is free behind ``position``, and shares memory with ``found``, run first."""
        for number in found.touched:
            for positions in (self.free_readers.get(number, ()), self.free_writers.get(number, ())):
                for other in reversed(positions):
                    if other <= position:
                        break
                    if other in self.free:
                        self.pinned.add(other)

    def _place(self, entry: _Candidate | Node, found: Access) -> int:
        """The position of the entry that this one has joined, or one behind the last."""
        end, least = len(self.entries), self.target.group_bytes
        if not isinstance(entry, _Candidate) or entry.lays_out or entry.nbytes < least:
            return end
        barrier = max(
            [self.last_write.get(n, -1) for n in found.reads]
            + [self.last_touch.get(n, -1) for n in found.writes],
            default=-1,
        )
        for position in range(end - 1, max(barrier, end - _CANDIDATES, 0) - 1, -1):
            other = self.entries[position]
            if (
                isinstance(other, _Candidate)
                and other.nbytes >= least
                and position not in self.pinned
                and self._join(other, entry)
            ):
                return position
        return end

    def _note(self, found: Access, position: int) -> None:
        for noted, numbers in (
            (self.last_touch, found.touched),
            (self.last_write, found.writes),
        ):
            for number in numbers:
                if noted.get(number, -1) < position:
                    noted[number] = position

    def ordered(self) -> list[_Candidate | Node]:
        """The entries, those first that are free."""
        rest = [entry for i, entry in enumerate(self.entries) if i not in self.free]
        return [*(self.entries[i] for i in sorted(self.free)), *rest]

    def _join(self, group: _Candidate, new: _Candidate) -> bool:
        both = group.touched & new.touched
        least = max(group.price, new.price, self.target.group_bytes)
        if len(group.nodes) >= _MAX_MEMBERS or not self._worthwhile(both, least):
            return False
        ours, theirs = group.access.writes, new.access.writes
        written = ours | theirs
        # Slabs of fewer rows are whole numbers of those that the group's nodes keep to already.
        touches = {n: new.touches[n] for n in (new.touched & written) - (new.apart - both)}
        for n in (group.touched & written) - (group.apart - both):
            if n not in ours or n in group.apart or any(t.base for t in touches.get(n, ())):
                touches[n] = group.touches[n] + touches.get(n, [])
        extent = self._extent(math.gcd(group.extent, new.extent), touches)
        if extent is None or self._outgrows(group, extent):
            return False
        if not self.target.runs_together([*group.nodes, *new.nodes], extent):
            return False
        shared = {n: list(dict.fromkeys(group.touches[n] + new.touches[n])) for n in both}
        if not self._worthwhile(_by_rows(shared, extent, self.buffers), least):
            return False
        group.take(new, group.touches | new.touches | shared, extent)
        return True

    def _outgrows(self, group: _Candidate, extent: int) -> bool:
        """Whether what is near in each row of a group no longer were in larger rows."""
        if extent == group.extent or len(group.nodes) == 1:
            return False
        nbytes = sum([self.buffers[n].nbytes for n in group.access.writes])
        return nbytes // group.extent <= _ROW_BYTES < nbytes // extent

    def _worthwhile(self, buffers: Iterable[int], least: int) -> bool:
        """Whether working through buffers row by row spares enough traffic."""
        nbytes = 0
        for number in buffers:
            nbytes += self.buffers[number].nbytes
            if nbytes >= least:
                return True
        return False

    def _extent(self, limit: int, touches: Mapping[int, list[_Touch]]) -> int | None:
        """The largest number of rows over which all touch only their slabs."""
        for extent in _divisors(limit):
            if extent < _MIN_ROWS:
                return None
            if all(
                _inside_slabs(found, extent, self.buffers[n].size) for n, found in touches.items()
            ):
                return extent
        return None

    def nodes(self, uses: Mapping[int, int], new_buffer: NewBuffer) -> list[Node]:
        """The schedule; ``uses`` tells how many nodes of the whole plan use a buffer."""
        found: list[Node] = []
        for entry in self.ordered():
            if not isinstance(entry, _Candidate):
                found.append(entry)
            elif len(entry.nodes) == 1:
                found.append(entry.alone)
            else:
                found += with_packing(self._grouped(entry, uses), new_buffer)
        return found

    def _small(self, found: Access) -> bool:
        """Whether a node may run early: what it writes is little to keep."""
        return sum([self.buffers[n].nbytes for n in found.writes]) <= _EARLY_BYTES

    def _grouped(self, entry: _Candidate, uses: Mapping[int, int]) -> Group:
        members = tuple(
            Member(node, tasks // entry.extent) for node, tasks in zip(entry.nodes, entry.tasks)
        )
        inside: dict[int, int] = {}
        first: dict[int, bool] = {}
        for node in entry.nodes:
            own = own_access(node)
            for number in own.touched:
                inside[number] = inside.get(number, 0) + 1
                first.setdefault(number, number not in own.reads)
        local = tuple(
            n
            for n in sorted(inside)
            if self.buffers[n].role == "temp"
            and uses[n] == inside[n]
            and n not in entry.apart
            and first[n]
            and not any(t.base for t in entry.touches[n])
        )
        by_rows = _by_rows(entry.touches, entry.extent, self.buffers)
        row_bytes = sum(self.buffers[n].nbytes for n in by_rows) // entry.extent
        block = _block(entry, members, max(row_bytes, 1))
        return Group(entry.extent, block, members, local, entry.nodes[-1].origin)


def _block(entry: _Candidate, members: Sequence[Member], row_bytes: int) -> int:
    """How many rows to run at a time."""
    products = [m.step for m in members if isinstance(m.node, Contraction) and not m.node.batch]
    whole = any(isinstance(node, Contraction) for node in entry.nodes)
    block = (_PRODUCT_BLOCK_BYTES if whole else _BLOCK_BYTES) // row_bytes
    if products:
        enough = -(-PRODUCT_ROWS // min(products))
        block = min(max(block, enough), -(-entry.extent // 2))  # something for two threads
    # Blocks of one size, so that threads have the same to do, and of whole tiles of products.
    count = -(-entry.extent // min(max(block, 1), entry.extent))
    count += -count % 8 if count > 64 and not products else 0  # as many in each of 2, 4 or 8 chunks
    block = -(-entry.extent // count)
    if count > 64 and any(m.step == 1 and reduces_short_rows(m.node) for m in members):
        return block_of_vectors(block, entry.extent, row_bytes)
    unit = _TILE_ROWS if 1 in products and block > _TILE_ROWS else 1
    return min(-(-block // unit) * unit, entry.extent)


def _by_rows(
    touches: Mapping[int, list[_Touch]], extent: int, buffers: dict[int, Buffer]
) -> Iterator[int]:
    """The buffers of which each row touches only a slab."""
    for number, found in touches.items():
        if not found[0].base and _inside_slabs(found, extent, buffers[number].size):
            yield number


def _inside_slabs(touches: Sequence[_Touch], extent: int, size: int) -> bool:
    """Whether each row touches only its slab of a buffer, or of the part where this turn works."""
    base = touches[0].base
    for t in touches:
        if t.base != base:
            return False
    if base:
        size = max(t.span for t in touches)
    return all(t.inside_slab(extent, size) for t in touches)


def group(
    body: Sequence[Node],
    buffers: Sequence[Buffer],
    new_buffer: NewBuffer,
    target: Target = CPU,
) -> list[Node]:
    """Group the nodes of a schedule and of those inside it by rows."""
    by_number = {b.number: b for b in buffers}

    def added(shape: Sequence[int], dtype: np.dtype[Any]) -> int:
        number = new_buffer(shape, dtype)
        by_number[number] = Buffer(number, tuple(shape), dtype, "temp")
        return number

    return _group_schedule(body, by_number, count_uses(body), added, target)


def _group_schedule(
    body: Sequence[Node],
    buffers: dict[int, Buffer],
    uses: Mapping[int, int],
    new_buffer: NewBuffer,
    target: Target,
) -> list[Node]:
    nodes = _Grouping(buffers, target)
    for node in body:
        inside = with_bodies(
            node, lambda inner: _group_schedule(inner, buffers, uses, new_buffer, target)
        )
        nodes.add(_candidate(inside, buffers) or inside)
    groups = _Grouping(buffers, target)  # what laid elements out has found its readers
    for entry in nodes.ordered():
        groups.add(entry)
    return groups.nodes(uses, new_buffer)


@functools.lru_cache(maxsize=1024)
def _divisors(n: int) -> list[int]:
    small = [d for d in range(1, math.isqrt(n) + 1) if n % d == 0]
    return sorted({*small, *(n // d for d in small)}, reverse=True)
