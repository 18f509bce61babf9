"""What takes memory, for the person whose program does not fit into that of the machine."""

from __future__ import annotations

import heapq
from collections.abc import Iterator

from fnad.core.advice import add_source_note
from fnad.core.errors import OutOfMemoryError
from fnad.core.ir import Equation, Jaxpr, Var, sub_jaxprs
from fnad.core.types import TAPE

_SHOWN = 4


def out_of_memory(jaxpr: Jaxpr, reason: MemoryError) -> OutOfMemoryError:
    """The error of a program for which there was no memory, with the user's lines.

    It names the largest arrays that the program speaks of, whether or not it stores all of them.
    """
    found = {id(var): (var, eqn) for var, eqn in _variables(jaxpr)}
    largest = heapq.nlargest(_SHOWN, found.values(), key=lambda pair: _nbytes(pair[0]))
    lines = [f"  {var.aval}, {e.primitive.name} at {e.source}" for var, e in largest if e.source]
    error = OutOfMemoryError(
        f"a compiled program does not fit into memory ({reason or 'none is left'}). The largest"
        f" arrays in it:\n{chr(10).join(lines)}\nSmaller batches, fnad.checkpoint (which computes"
        " anew what it does not keep), donated arguments and narrower dtypes take less."
    )
    if largest:
        add_source_note(error, largest[0][1].source)
    return error


def _variables(jaxpr: Jaxpr) -> Iterator[tuple[Var, Equation]]:
    """What the equations of a program define, and those of the programs in it."""
    for eqn in jaxpr.eqns:
        for var in eqn.outvars:
            if TAPE not in var.aval.shape:
                yield var, eqn
        for inner in sub_jaxprs(eqn):
            yield from _variables(inner)


def _nbytes(var: Var) -> int:
    return var.aval.size * var.aval.dtype.itemsize
