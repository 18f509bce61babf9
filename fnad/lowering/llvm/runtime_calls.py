"""Nodes that are calls of the runtime's functions: nothing is printed for them but a table's words.

A program may have hundreds of them, and LLVM takes about a millisecond for the smallest function.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from fnad.lowering.llvm import block_lapack
from fnad.lowering.llvm.matrix.contractions import placed_call
from fnad.lowering.llvm.writer import Module
from fnad.lowering.plan import BlockStep, Contraction, Part, Share

_CACHE_LINE = 64


class RuntimeCall(NamedTuple):
    """A function of pointers to ``buffers``, ``words``, perhaps scratch memory, and a range of
    tasks. Words are numbers, or symbols whose addresses are meant.
    """

    symbol: str
    buffers: tuple[int, ...]
    words: tuple[int | str, ...]
    scratch: int = 0


def runtime_call(module: Module, node: Any) -> RuntimeCall | None:
    """The call that a node is, whose symbols are declared; or None if it is none."""
    if isinstance(node, Contraction):
        found = placed_call(module, node)
        if found is None:
            return None
        symbol, matrices, words, scratch = found
        return RuntimeCall(
            symbol, tuple(m.buffer for m in matrices), words, max(scratch, _CACHE_LINE)
        )
    if isinstance(node, BlockStep):
        return _block_call(module, node)
    return None


def _block_call(module: Module, node: BlockStep) -> RuntimeCall:
    buffers: list[int] = []
    words: list[int | str] = []
    for argument in node.arguments:
        match argument:
            case Part(buffer, offset, step):
                buffers.append(buffer)
                words += [offset, step]
            case Share(total, each):
                words += [total, each]
            case int():
                words.append(argument)
    symbol = f"fnad.block.{node.name}"
    module.declare(symbol, block_lapack.declaration(node.name))
    return RuntimeCall(symbol, tuple(buffers), tuple(words))
