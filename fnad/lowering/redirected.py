"""Nodes with other buffers, or other turns of loops, in place of some."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from fnad.lowering.access import access, node_bodies, own_access
from fnad.lowering.expr import Expr, integer, load
from fnad.lowering.kernels import mapped
from fnad.lowering.plan import (
    Accumulate,
    Attention,
    Branch,
    Contraction,
    Copy,
    For,
    HostCall,
    Kernel,
    Matrix,
    Node,
    Reserve,
    Routine,
    Sort,
    SortStep,
    While,
)
from fnad.lowering.walk import rebuild

# Other buffers that are to be used instead of some, and the offsets of their elements.
Places = dict[int, tuple[int, Expr]]
Listed = Sort | SortStep | Routine | Attention | HostCall


def redirectable(node: Node | None, number: int, whole: bool) -> bool:
    """Whether a node can use another buffer, or a part of one, in place of a buffer."""
    if isinstance(node, (For, While, Branch)):
        inner = [n for body in node_bodies(node) for n in body if number in access(n).touched]
        outside = number not in own_access(node).touched
        return (whole or outside) and all(redirectable(n, number, whole) for n in inner)
    return isinstance(node, (Kernel, Contraction, Copy)) or (
        whole and isinstance(node, (Accumulate, Attention, HostCall, Routine, Sort, SortStep))
    )


def with_turn(node: Node, turn: Expr, place: Expr) -> Node:
    """A node with another expression for the turn of a loop."""
    return _mapped(node, lambda exprs: rebuild(exprs, {turn: place}.get), {})


def redirected(node: Node, places: Places) -> Node:
    """A node that uses other buffers, from given offsets on, instead of some."""

    def leaf(expr: Expr) -> Expr | None:
        if expr.op != "load" or expr.attr not in places:
            return None
        number, base = places[expr.attr]
        [offset] = rebuild([expr.args[0]], leaf)
        return load(number, base + offset, expr.dtype)

    return _mapped(node, lambda exprs: rebuild(exprs, leaf), places)


Change = Callable[[list[Expr]], list[Expr]]


def _mapped(node: Node, change: Change, places: Places) -> Node:
    """A node with its expressions changed, its own buffers as ``places`` says."""
    return _MAPPED[type(node)](node, change, places)


def _kernel(node: Kernel, change: Change, places: Places) -> Kernel:
    new = mapped(node, change)
    stores = [
        replace(s, buffer=places[s.buffer][0], offset=places[s.buffer][1] + s.offset)
        if s.buffer in places
        else s
        for s in new.stores
    ]
    return replace(new, stores=tuple(stores))


def _matrix(m: Matrix, change: Change, places: Places) -> Matrix:
    [offset] = change([m.offset])
    number, base = places.get(m.buffer, (m.buffer, integer(0)))
    return replace(m, buffer=number, offset=base + offset)


def _contraction(node: Contraction, change: Change, places: Places) -> Contraction:
    left, right, out = (_matrix(m, change, places) for m in (node.left, node.right, node.out))
    return replace(node, left=left, right=right, out=out)


def _copy(node: Copy, change: Change, places: Places) -> Copy:
    source_offset, out_offset = change([node.source_offset, node.out_offset])
    source, source_base = places.get(node.source, (node.source, integer(0)))
    out, out_base = places.get(node.out, (node.out, integer(0)))
    return replace(
        node,
        source=source,
        out=out,
        source_offset=source_base + source_offset,
        out_offset=out_base + out_offset,
    )


def _copies_onto_itself(node: Node) -> bool:
    """Whether a node copies elements to where they are."""
    return (
        isinstance(node, Copy) and node.source == node.out and node.source_offset is node.out_offset
    )


def _renamed(number: int, places: Places) -> int:
    return places[number][0] if number in places else number


def _accumulate(node: Accumulate, change: Change, places: Places) -> Accumulate:
    return replace(node, source=_renamed(node.source, places), out=_renamed(node.out, places))


def _sort(node: Listed, change: Change, places: Places) -> Listed:
    sources = tuple(_renamed(n, places) for n in node.sources)
    return replace(node, sources=sources, outs=tuple(_renamed(n, places) for n in node.outs))


def _reserve(node: Reserve, change: Change, places: Places) -> Reserve:
    count, granted = _renamed(node.count, places), _renamed(node.granted, places)
    return replace(node, count=count, granted=granted)


def _control(node: Any, change: Change, places: Places) -> Any:
    def bodies(nodes: Sequence[Node]) -> tuple[Node, ...]:
        changed = (
            n if places and access(n).touched.isdisjoint(places) else _mapped(n, change, places)
            for n in nodes
        )
        return tuple(n for n in changed if not _copies_onto_itself(n))

    if isinstance(node, For):
        count = None if node.count is None else _renamed(node.count, places)
        return replace(node, body=bodies(node.body), count=count)
    if isinstance(node, While):
        number = _renamed(node.predicate, places)
        condition, body = bodies(node.condition), bodies(node.body)
        return replace(node, predicate=number, condition=condition, body=body)
    index = _renamed(node.index, places)
    return replace(node, index=index, branches=tuple(map(bodies, node.branches)))


_MAPPED: Mapping[type, Callable[[Any, Change, Places], Any]] = {
    Kernel: _kernel,
    Contraction: _contraction,
    Copy: _copy,
    Accumulate: _accumulate,
    Sort: _sort,
    SortStep: _sort,
    Routine: _sort,
    Attention: _sort,
    HostCall: _sort,
    For: _control,
    While: _control,
    Branch: _control,
    Reserve: _reserve,
}
