"""Results that are computed in the memory of donated inputs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from fnad.lowering.expr import integer
from fnad.lowering.plan import ArrayType, Buffer, Copy, Node


def update_in_place(
    body: Sequence[Node],
    buffers: list[Buffer],
    inputs: Sequence[int],
    outputs: Sequence[int],
    types: Mapping[int, ArrayType],
    settle: Callable[[Sequence[Node], list[Buffer]], list[Node]],
) -> tuple[list[Node], tuple[int, ...]]:
    """Let outputs take the place of donated inputs of their types, in order, where they can.

    To a program that is called again with its own results, donated inputs are what a carry is to
    a loop. So it ends, for ``settle``, with a copy of each result over the input, and where that
    finds a way without the copy, the input's buffer is the output's as well.

    Parameters
    ----------
    body : sequence of nodes
    buffers : list of Buffer
        Changed in place while outputs count as temporaries.
    inputs : sequence of int
        The buffers of donated inputs.
    outputs : sequence of int
        The buffers of all outputs.
    types : mapping
        The types of the arrays in these buffers: of those of the caller, which are complex
        where a buffer holds their parts.
    settle : callable
        Removes copies from a schedule, `fnad.lowering.carries.settle_carries`.

    Returns
    -------
    body : list of nodes
    outputs : tuple of int
        The buffers of the outputs, those of inputs where they are updated in place.
    """
    copied = {node.source for node in body if isinstance(node, Copy)}
    pairs = _pairs(buffers, inputs, [o for o in outputs if o not in copied], types)
    for output in pairs:
        buffers[output] = replace(buffers[output], role="temp")
    zero = integer(0)
    copies = [Copy(o, i, zero, zero, buffers[o].size) for o, i in pairs.items()]
    settled = settle([*body, *copies], buffers)
    ours = {id(copy) for copy in copies}
    left = {copy.source for copy in settled if id(copy) in ours and isinstance(copy, Copy)}
    for output in left:
        buffers[output] = replace(buffers[output], role="output")
    moved = {o: i for o, i in pairs.items() if o not in left}
    return [n for n in settled if id(n) not in ours], tuple(moved.get(o, o) for o in outputs)


def _pairs(
    buffers: Sequence[Buffer],
    inputs: Sequence[int],
    outputs: Sequence[int],
    types: Mapping[int, ArrayType],
) -> dict[int, int]:
    """Outputs and the donated inputs that they may replace: of arrays, in order by type."""
    waiting: dict[ArrayType, list[int]] = {}
    for number in reversed(inputs):
        if types[number][0] and buffers[number].size:
            waiting.setdefault(types[number], []).append(number)
    pairs = {}
    for number in outputs:
        found = waiting.get(types[number])
        if found:
            pairs[number] = found.pop()
    return pairs
