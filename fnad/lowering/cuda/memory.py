"""What takes a card's memory, for the person whose program does not fit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from fnad.core.errors import OutOfMemoryError
from fnad.lowering.access import node_bodies, own_access
from fnad.lowering.cuda.program import Program
from fnad.lowering.plan import Buffer, Node, Origin

_SHOWN = 8
_ROLES = {"input": "argument", "constant": "constant", "output": "result", "temp": "temporary"}


def makers(body: Iterable[Node]) -> dict[int, Origin]:
    """The equations that the first writers of buffers come from."""
    found: dict[int, Origin] = {}
    for node in body:
        if node.origin is not None:
            for number in own_access(node).writes:
                found.setdefault(number, node.origin)
        for inner in node_bodies(node):
            found = {**makers(inner), **found}
    return found


def out_of_memory(program: Program, reason: MemoryError) -> OutOfMemoryError:
    """The error of a program that does not fit."""
    live = sorted(_live_at_peak(program.buffers), key=lambda b: -b.nbytes)
    total = sum(
        b.nbytes for b in program.buffers if b.role in ("input", "constant", "output")
    ) + max(program.arena_size, 1)
    lines = [_line(b, program.makers) for b in live[:_SHOWN]]
    return OutOfMemoryError(
        f"a program of {_size(total)} does not fit into what is free on the card ({reason})."
        f" The largest of what it holds at once:\n{chr(10).join(lines)}\nSmaller batches,"
        " fnad.checkpoint (which computes anew what it does not keep), donated arguments and"
        " 16-bit floats take less."
    )


def _live_at_peak(buffers: Iterable[Buffer]) -> list[Buffer]:
    """What lies in memory when temporaries take the most of it."""
    kept = [b for b in buffers if b.role in ("input", "constant", "output")]
    spans = {b: b.lifetime for b in buffers if b.role == "temp" and b.lifetime is not None}
    moments = {first for first, _ in spans.values()}

    def alive(moment: int) -> list[Buffer]:
        return [b for b, (first, last) in spans.items() if first <= moment <= last]

    peak = max((alive(m) for m in sorted(moments)), key=_total, default=[])
    return kept + peak


def _total(buffers: Iterable[Buffer]) -> int:
    return sum(b.nbytes for b in buffers)


def _line(buffer: Buffer, origins: Mapping[int, Origin]) -> str:
    origin = origins.get(buffer.number)
    kind = str(buffer).partition(":")[2]
    made = f", {origin.primitive} at {origin.source}" if origin and origin.source else ""
    return f"  {_size(buffer.nbytes):>9}  {kind}  {_ROLES.get(buffer.role, buffer.role)}{made}"


def _size(nbytes: int) -> str:
    """A number of bytes to be read by people."""
    size = float(nbytes)
    for unit in ("B", "KiB", "MiB"):
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} GiB"
