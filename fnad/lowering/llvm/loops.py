"""Loops and branches of a plan, as control flow around the calls of their nodes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol

from fnad.lowering.llvm.writer import BOOL, INT32, INT64, Function, Value
from fnad.lowering.plan import Branch, For, Node, While


class Schedule(Protocol):
    """What prints a schedule: the function that it goes to and the loops that enclose it."""

    entry: Function
    counters: dict[int, Value]

    def body(self, nodes: Iterable[Node]) -> None:
        """Print nodes."""

    def pointer(self, number: int) -> str:
        """Where a buffer lies."""


def emit_for(s: Schedule, node: For) -> None:
    """Print a counted loop."""
    if node.extent == 0:
        return
    _note(s, node)
    f = s.entry
    if node.count is None:
        with f.loop(node.extent) as loop:
            emit_turn(s, node, loop.index, f.b.constant(node.extent, INT64))
        return
    extent = f.b.constant(node.extent, INT64)
    count = f.b.minimum(f.load(s.pointer(node.count), INT64), extent)
    with f.steps(count, f.b.constant(1, INT64)) as index:
        emit_turn(s, node, index, count)


def emit_turn(s: Schedule, node: For, index: Value, count: Value) -> None:
    """Print a turn of a counted loop: the ``index``-th of ``count``."""
    if node.backwards:
        index = s.entry.b.subtract(s.entry.b.subtract(count, s.entry.b.constant(1, INT64)), index)
    s.counters[node.counter] = index
    s.body(node.body)
    del s.counters[node.counter]


def emit_while(s: Schedule, node: While) -> None:
    """Print a loop that runs as long as its condition holds."""
    f = s.entry
    _note(s, node)

    def condition() -> Value:
        s.body(node.condition)
        return f.load(s.pointer(node.predicate), BOOL)

    def body() -> list[Value]:
        s.body(node.body)
        return []

    f.repeat([], condition, body)


def emit_branch(s: Schedule, node: Branch) -> None:
    """Print a switch over branches."""
    f = s.entry
    _note(s, node)
    index = f.load(s.pointer(node.index), INT32)
    last = f.b.constant(len(node.branches) - 1, INT32)
    index = f.b.minimum(f.b.maximum(index, f.b.constant(0, INT32)), last)
    labels, after = [f.fresh("case") for _ in node.branches], f.fresh("endcase")
    cases = " ".join(f"i32 {i}, label {label}" for i, label in enumerate(labels))
    f.emit(f"switch {index.typed}, label {labels[-1]} [ {cases} ]")
    for label, nodes in zip(labels, node.branches, strict=True):
        f.label(label)
        s.body(nodes)
        f.jump(after)
    f.label(after)


def _note(s: Schedule, node: For | While | Branch) -> None:
    if node.origin:
        s.entry.comment(node.origin)


CONTROL: Mapping[type, Callable[[Schedule, Any], None]] = {
    For: emit_for,
    While: emit_while,
    Branch: emit_branch,
}
