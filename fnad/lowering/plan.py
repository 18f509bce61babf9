"""Plans: what runs, as loop nests over dense buffers. Knows nothing of any backend.

A plan is a schedule of nodes. All buffers are dense and row-major, so that an element is named
by one offset; loops (`For`, `While`) and branches hold further schedules over the same buffers.
Temporaries live in one arena of ``arena_size`` bytes, each at ``Buffer.offset``.

Nothing here is changed once it is made. What there are thousands of is not declared as frozen all
the same: frozen dataclasses take three times as long to make.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from fnad.core.source import SourceLine
from fnad.core.types import short_dtype
from fnad.lowering.expr import Expr

if TYPE_CHECKING:
    from fnad.lowering.access import Access
    from fnad.lowering.host_calls import HostFunction


ArrayType = tuple[tuple[int, ...], np.dtype[Any]]
# The types of arguments and results.
Interface = tuple[tuple[ArrayType, ...], tuple[ArrayType, ...]]


@dataclass(slots=True, unsafe_hash=True)
class Origin:
    """Which equation a node came from, for comments in what is printed."""

    primitive: str
    source: SourceLine | None = None

    def __str__(self) -> str:
        return f"{self.primitive}  {self.source.short}" if self.source else self.primitive


@dataclass(slots=True, unsafe_hash=True)
class Buffer:
    """A dense row-major array. ``role`` is ``input``, ``constant``, ``output``, ``temp``, or
    ``local`` (a temporary of which a `Group` holds a block at a time).

    Temporaries lie at ``offset`` (bytes) of the arena; ``lifetime`` is the first and the last
    position in the top-level schedule at which it is used.
    """

    number: int
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    role: str
    offset: int | None = None
    lifetime: tuple[int, int] | None = None
    size: int = field(init=False, compare=False, repr=False)
    nbytes: int = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        self.size = math.prod(self.shape)
        self.nbytes = self.size * self.dtype.itemsize

    def __str__(self) -> str:
        return f"%{self.number}:{short_dtype(self.dtype)}[{','.join(map(str, self.shape))}]"


@dataclass(slots=True, unsafe_hash=True)
class Reduction:
    """``kind`` over the values of ``value`` for all of ``axes`` (pairs of number and extent).

    ``accumulator`` is the dtype to reduce in (float32 for float16; the order of additions is
    free, so that several accumulators may be used); ``dtype`` is that of the result. For
    ``argmax`` and ``argmin`` the result is the row-major position of the first extremum, NaN
    counting as the most extreme. All extents are at least 1, save where the result is the
    neutral element.
    """

    kind: str
    axes: tuple[tuple[int, int], ...]
    value: Expr
    accumulator: np.dtype[Any]
    dtype: np.dtype[Any]


@dataclass(slots=True, unsafe_hash=True)
class Store:
    """``buffer[offset] = value``; with ``combine``, ``buffer[offset] = combine(old, value)``.

    With ``when``, only where it holds; then ``offset`` is inside the buffer also elsewhere.
    """

    buffer: int
    offset: Expr
    value: Expr
    combine: str | None = None
    when: Expr | None = None


@dataclass(slots=True, unsafe_hash=True)
class Kernel:
    """A loop nest: for every point of ``axes``, the reductions, then the stores.

    ``axes`` stand from the outermost to the innermost, as (number, extent) pairs. Values of
    stores may name reductions (``reduced`` expressions). Different points write different
    elements, unless ``sequential``: then points run in order. ``parallel_inner`` says that
    neighbours along the innermost axis are near in memory and terms are not: a row of
    accumulators, with the reduced loops outside, is the fast way.
    """

    axes: tuple[tuple[int, int], ...]
    reductions: tuple[Reduction, ...]
    stores: tuple[Store, ...]
    parallel_inner: bool = False
    sequential: bool = False
    origin: Origin | None = None
    # What it reads and writes, once somebody has asked (`own_access`).
    access: Access | None = field(default=None, init=False, compare=False, repr=False)


@dataclass(slots=True, unsafe_hash=True)
class Matrix:
    """A stack of matrices in a buffer: element (*b, i, j) at ``offset`` plus strides (elements).

    ``strides`` are those of the batch axes, in order, then of the rows and of the columns.
    """

    buffer: int
    offset: Expr
    strides: tuple[int, ...]


@dataclass(slots=True, unsafe_hash=True)
class Contraction:
    """``out[b, i, j] = sum_k left[b, i, k] * right[b, k, j]``: a batch of matrix products.

    ``k`` is at least 1. ``b`` runs over the axes of ``batch``, whose strides may be 0. With
    ``accumulate`` the products are added to what ``out`` holds. ``dtype`` is that of ``out``, and
    of the operands unless ``operands`` says another one (only backends for cards make such).

    With ``panel``, the right side lies in dense panels of ``k`` by ``panel`` elements, one behind
    the other, and has no batch axes; its strides are those from row to row of a panel, ``panel``,
    and, over whole panels, from column to column, ``k`` (only groups for the CPU have such).
    """

    left: Matrix
    right: Matrix
    out: Matrix
    batch: tuple[int, ...]
    m: int
    n: int
    k: int
    dtype: np.dtype[Any]
    origin: Origin | None = None
    accumulate: bool = False
    panel: int = 0
    operands: np.dtype[Any] | None = None
    # What it reads and writes, once somebody has asked (`own_access`).
    access: Access | None = field(default=None, init=False, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Accumulate:
    """Running ``kind`` (as in `Reduction`) along the middle of ``(outer, length, inner)``."""

    source: int
    out: int
    extents: tuple[int, int, int]
    kind: str
    reverse: bool
    dtype: np.dtype[Any]
    accumulator: np.dtype[Any]
    origin: Origin | None = None


@dataclass(frozen=True, slots=True)
class Sort:
    """Stable ascending sort along the middle of ``(outer, length, inner)``, NaN last.

    The first ``num_keys`` operands are compared lexicographically; all are permuted alike.
    """

    sources: tuple[int, ...]
    outs: tuple[int, ...]
    extents: tuple[int, int, int]
    num_keys: int
    origin: Origin | None = None


@dataclass(frozen=True, slots=True)
class SortStep:
    """A step of the sort of one lane of ``length`` rows of ``operands`` arrays, by the first one.

    ``runs`` writes the keys, sorted in runs of ``width``; ``merge`` merges runs of ``width``;
    ``results`` reads the operands and the sorted keys. See `long_sorts`.
    """

    kind: str
    sources: tuple[int, ...]
    outs: tuple[int, ...]
    operands: int
    length: int
    width: int
    origin: Origin | None = None


@dataclass(frozen=True, slots=True)
class Mirror:
    """Write above the diagonals of ``count`` matrices of ``n`` rows what is below them."""

    out: int
    count: int
    n: int
    origin: Origin | None = None


@dataclass(frozen=True, slots=True)
class Operand:
    """An argument of a `Routine`: where its part of the buffer at ``position`` begins."""

    position: int


@dataclass(frozen=True, slots=True)
class Workspace:
    """An argument of a `Routine`: ``nbytes`` bytes that nobody else uses meanwhile."""

    nbytes: int


@dataclass(frozen=True, slots=True)
class Routine:
    """Call a function of LAPACK or BLAS once for each of ``count`` matrices.

    A name with a dot is one of `own_functions`, ``fourier.fft.float32`` for example.

    Every buffer holds ``count`` parts of equal size, one a call. ``sources`` are read; ``outs``
    are read and written, for LAPACK replaces matrices by their factors. An argument is a letter,
    an integer, a real number of ``dtype``, or memory: an `Operand` of ``sources + outs``, or a
    `Workspace`.
    """

    name: str
    arguments: tuple[str | int | float | Operand | Workspace, ...]
    sources: tuple[int, ...]
    outs: tuple[int, ...]
    count: int
    dtype: np.dtype[Any]
    operations: int
    origin: Origin | None = None


@dataclass(frozen=True, slots=True)
class Part:
    """An argument of a `BlockStep`: a buffer from element ``offset`` on.

    For each further task it begins ``step`` elements behind.
    """

    buffer: int
    offset: int
    step: int = 0


@dataclass(frozen=True, slots=True)
class Share:
    """An argument of a `BlockStep`: how much of ``total`` a task does.

    That is ``each``, but for the last task.
    """

    total: int
    each: int


@dataclass(frozen=True, slots=True)
class BlockStep:
    """A step of a factorisation in blocks: ``count`` tasks of a function of our own.

    ``name`` is that of the function, ``operations`` those of one task; ``outs`` are read and
    written. See `factorizations`.
    """

    name: str
    arguments: tuple[int | Part | Share, ...]
    outs: tuple[int, ...]
    count: int
    dtype: np.dtype[Any]
    operations: int
    origin: Origin | None = None

    @property
    def buffers(self) -> set[int]:
        """What it reads and writes."""
        return {x.buffer for x in self.arguments if isinstance(x, Part)}


@dataclass(frozen=True, slots=True)
class Heads:
    """The sizes of an attention (`fnad.primitives.attention`), whose queries are (batch, queries,
    heads, features), keys and values (batch, keys, key_heads, features).

    A position t attends to the keys s with ``-before <= s - t <= behind``. ``bias`` and ``mask``
    are the shapes of these operands, None if there are none.
    """

    batch: int
    queries: int
    keys: int
    heads: int
    key_heads: int
    features: int
    scale: float
    before: int | None
    behind: int | None
    bias: tuple[int, ...] | None
    mask: tuple[int, ...] | None
    has_lengths: bool


@dataclass(frozen=True, slots=True)
class Attention:
    """A pass of attention, for backends that have kernels for it (only those for cards).

    ``kind`` is ``forward``: of query, key and value the weighted values and the logarithms of the
    sums; or ``queries`` or ``keys``: of these, the cotangent, the logarithms, and the products of
    cotangents with results, the cotangents of queries, or of keys and values. Behind query, key
    and value stand bias, mask and lengths, as far as there are any. What attends to nothing gives
    zero.
    """

    kind: str
    sources: tuple[int, ...]
    outs: tuple[int, ...]
    heads: Heads
    dtype: np.dtype[Any]
    origin: Origin | None = None


@dataclass(frozen=True, slots=True)
class HostCall:
    """Call the Python function at position ``number`` of the plan's ``functions``.

    It reads the buffers ``sources`` whole and writes the buffers ``outs`` whole. ``state`` is the
    buffer of the run (`fnad.lowering.host_calls`): each call reads and writes it, so that calls
    stay in order.
    """

    number: int
    sources: tuple[int, ...]
    outs: tuple[int, ...]
    state: int
    origin: Origin | None = None


@dataclass(slots=True, unsafe_hash=True)
class Copy:
    """Copy ``size`` elements, ``out[out_offset:] = source[source_offset:]``; they never overlap."""

    source: int
    out: int
    source_offset: Expr
    out_offset: Expr
    size: int
    origin: Origin | None = None
    # What it reads and writes, once somebody has asked (`own_access`).
    access: Access | None = field(default=None, init=False, compare=False, repr=False)


@dataclass(slots=True, unsafe_hash=True)
class For:
    """Run ``body`` for ``counter`` (a ``counter`` expression's number) in ``range(extent)``.

    With ``count``, in a range as long as element 0 of that int64 buffer says when the loop begins,
    at most ``extent``. If ``backwards``, the counter runs from the last value to the first.
    """

    counter: int
    extent: int
    body: tuple[Node, ...]
    origin: Origin | None = None
    count: int | None = None
    backwards: bool = False
    # What it and its schedules read and write, once somebody has asked (`access`).
    access: Access | None = field(default=None, init=False, compare=False, repr=False)


@dataclass(slots=True, unsafe_hash=True)
class While:
    """Run ``condition``; if element 0 of the bool buffer ``predicate`` holds, ``body``; repeat."""

    condition: tuple[Node, ...]
    predicate: int
    body: tuple[Node, ...]
    origin: Origin | None = None
    # What it and its schedules read and write, once somebody has asked (`access`).
    access: Access | None = field(default=None, init=False, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Reserve:
    """Get memory for tapes: for as many rows as element 0 of the int64 buffer ``count`` says.

    A tape is a buffer of the role ``tape``; its shape says that it has `TAPE` rows. Element 0 of
    the int64 buffer ``granted`` becomes the number of rows, or 0 if there is no memory for them:
    then the results of the program are undefined, and its caller gets to know (`Executable`).
    """

    count: int
    granted: int
    tapes: tuple[int, ...]
    origin: Origin | None = None


@dataclass(frozen=True, slots=True)
class Release:
    """Give back the memory of tapes, those of one `Reserve`."""

    tapes: tuple[int, ...]
    origin: Origin | None = None


@dataclass(slots=True, unsafe_hash=True)
class Branch:
    """Run one of ``branches``, that numbered by element 0 of an int32 buffer, clamped to range."""

    index: int
    branches: tuple[tuple[Node, ...], ...]
    origin: Origin | None = None
    # What it and its schedules read and write, once somebody has asked (`access`).
    access: Access | None = field(default=None, init=False, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Member:
    """A node of a `Group`, which has ``step`` tasks for each of the group's rows.

    The tasks of a kernel are the values of its outermost axis; those of a contraction the
    entries of its batch (``batch`` not empty, the batch axes as one), else its rows.
    """

    node: Kernel | Contraction
    step: int


@dataclass(slots=True, unsafe_hash=True)
class Group:
    """Nodes that run together, a block of ``block`` rows at a time, so that one reads from cache
    what another has written.

    For each block ``[b, e)`` of ``range(extent)``, every member runs its tasks from ``b * step``
    to ``e * step``, in order; blocks are independent of each other. What a block touches of a
    buffer that a member writes is a slab, the ``1 / extent`` part of the buffer for each row.
    Buffers in ``locals`` are not used elsewhere: room for one block of them is enough.
    """

    extent: int
    block: int
    members: tuple[Member, ...]
    locals: tuple[int, ...] = ()
    origin: Origin | None = None
    # What it and its schedules read and write, once somebody has asked (`access`).
    access: Access | None = field(default=None, init=False, compare=False, repr=False)


Node = (
    Kernel
    | Contraction
    | Accumulate
    | Sort
    | SortStep
    | Mirror
    | Routine
    | BlockStep
    | Attention
    | HostCall
    | Copy
    | Group
    | For
    | While
    | Branch
    | Reserve
    | Release
)


@dataclass(frozen=True, slots=True)
class Plan:
    """A whole program. Outputs never share memory with inputs or each other, but that an output
    may be an input, which is updated in place: its elements are then the input's at first.

    The last of ``inputs`` are buffers of the arrays ``constants``, which belong to the program;
    where it calls ``functions``, the very last one stands for the state of a run.
    ``interface`` are the types of the other inputs, and those of the outputs, where they are not
    those of the buffers: of complex arrays, which are buffers of real numbers with one more axis.
    """

    buffers: tuple[Buffer, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    body: tuple[Node, ...]
    arena_size: int
    constants: tuple[np.ndarray[Any, Any], ...] = ()
    interface: Interface | None = None
    functions: tuple[HostFunction, ...] = ()

    def types(self) -> Interface:
        """The types of the inputs that are not constants, and those of the outputs."""
        if self.interface is not None:
            return self.interface
        types = {b.number: (b.shape, b.dtype) for b in self.buffers}
        arguments = self.inputs[: len(self.inputs) - len(self.constants)]
        return tuple([types[n] for n in arguments]), tuple([types[n] for n in self.outputs])

    def __str__(self) -> str:
        from fnad.lowering.plan_text import plan_text  # it imports this module

        return plan_text(self)
