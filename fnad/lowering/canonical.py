"""What a node does, whatever buffers it does it to: equal for the copies that unrolling makes.

A program of 500 unrolled steps has thousands of nodes of a dozen kinds. Telling them apart by
what they do, before they are printed, takes a hundredth of the time that printing them does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from fnad.lowering.expr import Expr
from fnad.lowering.interned import make
from fnad.lowering.kernels import mapped
from fnad.lowering.plan import (
    Accumulate,
    Contraction,
    Copy,
    HostCall,
    Kernel,
    Matrix,
    Mirror,
    Routine,
    Sort,
    SortStep,
)
from fnad.lowering.walk import postorder, with_args

Numbers = Mapping[int, int]


def canonical(node: Any, numbers: Numbers) -> Any:
    """The node with buffer ``n`` renamed to ``numbers[n]``, without its origin.

    Nodes that do the same to the buffers at the same positions become equal.
    """
    return replace(_RENAMED[type(node)](node, numbers), origin=None)


def with_buffers(roots: Iterable[Expr], numbers: Numbers) -> list[Expr]:
    """Expressions that load from buffers ``numbers[n]`` in place of ``n``."""
    roots = list(roots)
    done: dict[Expr, Expr] = {}
    for expr in postorder(roots):
        args = tuple([done[a] for a in expr.args])
        if expr.op == "load":
            done[expr] = make("load", args, expr.dtype, numbers[expr.attr])
        else:
            done[expr] = expr if args == expr.args else with_args(expr, args)
    return [done[r] for r in roots]


def _kernel(node: Kernel, numbers: Numbers) -> Kernel:
    renamed = mapped(node, lambda exprs: with_buffers(exprs, numbers))
    stores = tuple([replace(s, buffer=numbers[s.buffer]) for s in renamed.stores])
    return replace(renamed, stores=stores)


def _contraction(node: Contraction, numbers: Numbers) -> Contraction:
    def matrix(m: Matrix) -> Matrix:
        [offset] = with_buffers([m.offset], numbers)
        return Matrix(numbers[m.buffer], offset, m.strides)

    return replace(node, left=matrix(node.left), right=matrix(node.right), out=matrix(node.out))


def _accumulate(node: Accumulate, numbers: Numbers) -> Accumulate:
    return replace(node, source=numbers[node.source], out=numbers[node.out])


def _sort(node: Any, numbers: Numbers) -> Any:
    sources, outs = (tuple([numbers[n] for n in ns]) for ns in (node.sources, node.outs))
    return replace(node, sources=sources, outs=outs)


def _host_call(node: HostCall, numbers: Numbers) -> HostCall:
    return replace(_sort(node, numbers), state=numbers[node.state])


def _copy(node: Copy, numbers: Numbers) -> Copy:
    source, out = with_buffers([node.source_offset, node.out_offset], numbers)
    return replace(
        node,
        source=numbers[node.source],
        out=numbers[node.out],
        source_offset=source,
        out_offset=out,
    )


_RENAMED: Mapping[type, Callable[[Any, Numbers], Any]] = {
    Kernel: _kernel,
    Contraction: _contraction,
    Accumulate: _accumulate,
    Sort: _sort,
    SortStep: _sort,
    Mirror: lambda node, numbers: replace(node, out=numbers[node.out]),
    Routine: _sort,
    HostCall: _host_call,
    Copy: _copy,
}
