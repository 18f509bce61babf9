"""What a plan is made for: the numbers by which passes choose, for each kind of machine."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from fnad.core.ir import Equation
from fnad.lowering.plan import Contraction, Kernel
from fnad.lowering.simplify import composed

RunsTogether = Callable[[Sequence[Kernel | Contraction], int], bool]


def _always(nodes: Sequence[Kernel | Contraction], extent: int) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Target:
    """A kind of machine.

    Parameters
    ----------
    platform : str
        Its name, as `fnad.lax.platform_dependent` has it.
    group_bytes : int
        Nodes that share fewer bytes gain nothing from running together, row by row.
    runs_together : callable
        Whether nodes may run together over so many rows.
    reduction_blocks : int
        Into so many blocks large reductions are split at most.
    reduction_threads : int
        So many points of columns, those of all blocks together, keep all threads busy.
    reduction_points : int
        So many reductions of contiguous memory keep all threads busy without being split.
    reduction_rows : int
        So many long rows are added up at a time, if they are in no cache; 0 if it does not matter.
    reduction_terms : int
        Terms of a block where there are rows enough for a group, which a split one would not join.
    reduction_unit : int
        Blocks of contiguous terms are multiples of so many, where that leaves a rest.
    cheap_branches : bool
        Whether a branch costs less than a copy of some KiB.
    short_rows : int
        Rows of at most so many elements are written out, where they are reduced and then changed.
    whole : callable
        Whether there is a kernel for an equation that is also a composition of others.
    """

    platform: str
    group_bytes: int
    runs_together: RunsTogether = _always
    reduction_blocks: int = 64
    reduction_threads: int = 1 << 62
    reduction_points: int = 32
    reduction_rows: int = 0
    reduction_terms: int = 4096
    reduction_unit: int = 1
    cheap_branches: bool = True
    short_rows: int = 0
    whole: Callable[[Equation], bool] = composed


# What fits the first cache gains nothing from being worked through in blocks. Of more rows than
# these at once, in as many pages, what comes next is not fetched ahead.
CPU = Target(platform="cpu", group_bytes=1 << 14, reduction_rows=8, short_rows=4)
