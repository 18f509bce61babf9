"""The functions of a module that a plan's nodes become, each printed and compiled once.

Nodes that do the same to different buffers (the steps of a loop that the user's Python unrolled,
the layers of a transformer) share one function.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from fnad.lowering.canonical import canonical
from fnad.lowering.llvm import work
from fnad.lowering.llvm.expressions import ExpressionPrinter
from fnad.lowering.llvm.leaves import BEGIN, END, SCRATCH, Leaf, leaf, member
from fnad.lowering.llvm.runtime_calls import runtime_call
from fnad.lowering.llvm.target import PLAIN, VECTOR_CODE, Recipe
from fnad.lowering.llvm.writer import INT64, Function, Module, Value
from fnad.lowering.plan import Buffer, Group
from fnad.lowering.walk import postorder

FUNCTIONS = "@fnad.functions"
SCRATCH_STRIDE = "@fnad.scratch.stride"

# Bytes before the scratch memories of threads where their distance is written, the last eight.
SCRATCH_HEADER = 64

# With more of them, a caller that is translated as it stands moves each several times, at 5 ns.
_FEW_POINTERS = 16

# The scratch memories of threads share no cache line, and no page if they are large.
_CACHE_LINE = 64


@dataclass(frozen=True, slots=True)
class Callee:
    """A function, and what it is to be called with: buffers, turns of loops, bytes of scratch.

    ``words`` are numbers, or symbols whose addresses are meant, behind the turns.
    ``chunk`` is how many of its ``tasks`` a thread takes at a time.
    """

    name: str
    buffers: tuple[int, ...]
    turns: tuple[int, ...]
    scratch: int
    tasks: int = 1
    chunk: int = 1
    words: tuple[int | str, ...] = ()

    def arguments(self, pointers: Iterable[str], turns: Iterable[Value], scratch: str) -> list[str]:
        """Its arguments but for the range of tasks."""
        result = [f"ptr {p}" for p in pointers] + [t.typed for t in turns]
        return [*result, f"ptr {scratch}"] if self.scratch else result


class Functions:
    """Defines functions in a module.

    Parameters
    ----------
    module : Module
        Where they go.
    buffers : mapping of int to Buffer
        The plan's buffers.
    hurried : collection of int
        The identities of nodes whose functions are not worth LLVM's time, see `effort`.

    Attributes
    ----------
    scratch : int
        Bytes of scratch memory that a thread needs, so far.
    units : dict of str to Recipe
        The functions that are worth LLVM's time, by name. The others are mostly calls.
    """

    def __init__(
        self, module: Module, buffers: Mapping[int, Buffer], hurried: Collection[int] = ()
    ) -> None:
        self.module = module
        self.buffers = buffers
        self.hurried = hurried
        # Where temporaries begin and end.
        self._spans = {
            n: (b.offset, b.offset + b.nbytes)
            for n, b in buffers.items()
            if b.offset is not None and b.nbytes
        }
        self.scratch = 0
        self.units: dict[str, Recipe] = {}
        self._names: dict[tuple[Any, ...], str] = {}  # by what functions do, and the recipe
        self._printed: dict[Any, Callee] = {}  # by what leaves do, see `_shared`
        self._numbers: dict[str, int] = {}  # in the table

    def of_node(self, node: Any, turns: Iterable[int]) -> Callee:
        """The function of a leaf or a group, inside loops whose counters are ``turns``."""
        if isinstance(node, Group):
            return self._divided(node, self._group(node, turns))
        if (call := runtime_call(self.module, node)) is not None:
            self.scratch = max(self.scratch, _padded(call.scratch))
            callee = Callee(call.symbol, call.buffers, (), call.scratch, words=call.words)
            return self._divided(node, callee)
        return self._shared(node, leaf(node, self.buffers), turns, ("leaf",))

    def _shared(self, node: Any, leaf: Leaf, turns: Iterable[int], form: Any) -> Callee:
        """The function of a leaf; if one that does the same has been printed, that one."""
        if id(node) in self.hurried:
            leaf = replace(leaf, recipe=PLAIN)
        used = tuple(dict.fromkeys(leaf.buffers))
        params = self._parameters(used, noalias=True)
        dtypes = tuple([self.buffers[n].dtype for n in used])
        numbers = {n: position for position, n in enumerate(used)}
        fetched = leaf.ahead and tuple([n in leaf.ahead.buffers for n in used])
        key = (form, leaf.recipe, canonical(node, numbers), params, dtypes, tuple(turns), fetched)
        known = self._printed.get(key)
        if known is None:
            known = self._divided(node, self.of_leaf(node, leaf, turns))
            self._printed[key] = known
        return Callee(known.name, used, known.turns, known.scratch, known.tasks, known.chunk)

    def _divided(self, node: Any, callee: Callee) -> Callee:
        """The function of a node with the number and size of its tasks."""
        return replace(callee, tasks=work.tasks(node), chunk=work.chunk(node, self.buffers))

    def of_leaf(self, node: Any, leaf: Leaf, turns: Iterable[int]) -> Callee:
        """The same, of a node that is printed as ``leaf`` says."""
        used = tuple(dict.fromkeys(leaf.buffers))
        counters = {e.attr[0] for e in postorder(leaf.exprs) if e.op == "counter"}
        named = tuple(sorted(counters & set(turns)))
        f = self._function(node, used, named, leaf.scratch, leaf.recipe, noalias=True)
        leaf.emit(f, self._printer(f, used, named))
        return self._define(f, Callee(f.name, used, named, leaf.scratch), leaf.recipe)

    # -- groups -----------------------------------------------------------------------------

    def _group(self, node: Group, turns: Iterable[int]) -> Callee:
        members = []
        for m in node.members:
            counts = _counts(node, m.step)
            printed = member(m.node, self.buffers, counts)
            members.append(self._shared(m.node, printed, turns, ("member", *counts)))
        used = dict.fromkeys(n for m in members for n in m.buffers if n not in node.locals)
        named = tuple(sorted({t for m in members for t in m.turns}))
        offsets, size = self._local_offsets(node)
        scratch = size + max(m.scratch for m in members)
        f = self._function(node, tuple(used), named, scratch, PLAIN)
        p = self._printer(f, tuple(used), named)
        rest = f.raw(f"getelementptr inbounds i8, ptr {SCRATCH}, i64 {size}") if scratch else ""

        def block(begin: Value) -> list[Value]:
            end = f.b.minimum(f.b.add(begin, f.b.constant(node.block, INT64)), END)
            pointers = dict(p.pointers)
            for number in node.locals:
                pointers[number] = self._shifted(f, number, offsets[number], begin, node.extent)
            for row_wise, callee in zip(node.members, members):
                turns = [p.counters[t] for t in callee.turns]
                arguments = callee.arguments([pointers[n] for n in callee.buffers], turns, rest)
                step = f.b.constant(row_wise.step, INT64)
                arguments += [f.b.multiply(i, step).typed for i in (begin, end)]
                f.emit(f"call void @{callee.name}({', '.join(arguments)})")
            return [end]

        f.repeat([BEGIN], lambda begin: f.b.less(begin, END), block)
        return self._define(f, Callee(f.name, tuple(used), named, scratch), PLAIN)

    def _local_offsets(self, node: Group) -> tuple[dict[int, int], int]:
        """Where a block of each local buffer lies in the scratch memory, and how much that is."""
        offsets, size = {}, 0
        for number in node.locals:
            offsets[number] = size
            slab = self.buffers[number].nbytes // node.extent
            size += _padded(slab * min(node.block, node.extent))
        return offsets, size

    def _shifted(self, f: Function, number: int, offset: int, begin: Value, extent: int) -> str:
        """Where row 0 of a local buffer would lie if the block from ``begin`` lies at ``offset``.

        So that a member's indices are those of the whole buffer.
        """
        place = f.raw(f"getelementptr inbounds i8, ptr {SCRATCH}, i64 {offset}")
        slab = f.b.constant(-(self.buffers[number].nbytes // extent), INT64)
        return f.raw(f"getelementptr i8, ptr {place}, {f.b.multiply(begin, slab).typed}")

    # -- parts ------------------------------------------------------------------------------

    def _function(
        self,
        node: Any,
        buffers: Sequence[int],
        turns: Sequence[int],
        scratch: int,
        recipe: Recipe,
        noalias: bool = False,
    ) -> Function:
        params = list(self._parameters(buffers, noalias))
        params += [f"i64 %turn.{i}" for i in range(len(turns))]
        if scratch:
            params.append(f"ptr noalias align 64 {SCRATCH}")
            self.scratch = max(self.scratch, _padded(scratch))
        params += [BEGIN.typed, END.typed]
        origin = node.origin or type(node).__name__.lower()
        stem = re.sub(r"\W+", "_", node.origin.primitive if node.origin else origin)
        name = f"fnad.{len(self._names)}.{stem}"
        linkage = "internal " if recipe is PLAIN else ""
        attributes = "noinline nounwind"
        return Function(
            self.module, name, params, attributes=attributes, linkage=linkage, comment=origin
        )

    def _parameters(self, numbers: Sequence[int], noalias: bool) -> tuple[str, ...]:
        # That temporaries lie at cache lines is not said: results, which do not, share functions.
        kind = "ptr noalias align" if noalias and self._disjoint(numbers) else "ptr align"
        sizes = [self.buffers[n].dtype.itemsize for n in numbers]
        return tuple([f"{kind} {size} %buffer.{i}" for i, size in enumerate(sizes)])

    def _disjoint(self, numbers: Sequence[int]) -> bool:
        """Whether no two temporaries share memory (one may take the place of a dying one)."""
        spans = sorted([self._spans[n] for n in numbers if n in self._spans])
        return all(one[1] <= two[0] for one, two in itertools.pairwise(spans))

    def _printer(
        self, f: Function, buffers: Sequence[int], turns: Sequence[int]
    ) -> ExpressionPrinter:
        pointers = {n: f"%buffer.{i}" for i, n in enumerate(buffers)}
        counters = {t: Value(f"%turn.{i}", INT64) for i, t in enumerate(turns)}
        return ExpressionPrinter(f, pointers, counters)

    def _define(self, f: Function, callee: Callee, recipe: Recipe) -> Callee:
        f.ret()
        shared = self._names.setdefault((recipe, *f.code()), f.name)
        if shared == f.name:
            self.module.add(f)
            if recipe is not PLAIN:
                self.units[f.name] = recipe
        return Callee(shared, callee.buffers, callee.turns, callee.scratch)

    # -- the table --------------------------------------------------------------------------

    def number(self, name: str) -> int:
        """The number of a function, or of another symbol, in the table `FUNCTIONS`."""
        return self._numbers.setdefault(name, len(self._numbers))

    def caller(self, callee: Callee) -> int:
        """The number of the function that calls ``callee``, and its like, for some tasks.

        Its context is an array of eight-byte words: the function to call, pointers, turns and other
        words, and where the scratch memories of the threads begin; the word before says how far
        they are apart.
        """
        scratch = ".scratch" if callee.scratch else ""
        count = len(callee.turns) + len(callee.words)
        name = f"fnad.call.{len(callee.buffers)}.{count}{scratch}"
        if name not in self._numbers:
            self._define_caller(name, callee)
        return self.number(name)

    def _define_caller(self, name: str, like: Callee) -> None:
        params = ["ptr %context", BEGIN.typed, END.typed, "i64 %slot"]
        many = len(like.buffers) > _FEW_POINTERS
        f = Function(self.module, name, params, linkage="" if many else "internal ")
        words = itertools.count()

        def word(kind: str) -> str:
            place = f"getelementptr inbounds i64, ptr %context, i64 {next(words)}"
            return f.raw(f"load {kind}, ptr {f.raw(place)}")

        function = word("ptr")
        pointers = [word("ptr") for _ in like.buffers]
        turns = [Value(word("i64"), INT64) for _ in (*like.turns, *like.words)]
        scratch = ""
        if like.scratch:
            first = word("ptr")
            stride = f.raw(f"load i64, ptr {f.raw(f'getelementptr i64, ptr {first}, i64 -1')}")
            offset = f.raw(f"mul i64 %slot, {stride}")
            scratch = f.raw(f"getelementptr inbounds i8, ptr {first}, i64 {offset}")
        arguments = [*like.arguments(pointers, turns, scratch), BEGIN.typed, END.typed]
        f.emit(f"call void {function}({', '.join(arguments)})")
        f.ret()
        self.module.add(f)
        if many:
            self.units[name] = VECTOR_CODE

    def finish(self) -> None:
        """Write down what is known only when all functions are."""
        text = f"{SCRATCH_STRIDE} = private constant i64 {self.scratch}"
        self.module.declare(SCRATCH_STRIDE, text)
        names = ", ".join(f"ptr @{name}" for name in self._numbers)
        kind = f"[{len(self._numbers)} x ptr]"
        self.module.declare(FUNCTIONS, f"{FUNCTIONS} = private constant {kind} [{names}]")


def _counts(node: Group, step: int) -> list[int]:
    """How many tasks of a member a group runs at a time: those of a block, or of the last one."""
    return [rows * step for rows in {min(node.block, node.extent), node.extent % node.block} - {0}]


def _padded(size: int) -> int:
    return -(-size // _CACHE_LINE) * _CACHE_LINE
