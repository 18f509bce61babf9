"""All workloads, in the order of the table."""

from benchmarks.workload import Workload
from benchmarks.workloads import (
    calls,
    chains,
    cnn,
    digits,
    elementwise,
    loops,
    lstm,
    matmul,
    mlp,
    rows,
    science,
    spectra,
    transformer,
)

_FAMILIES = (
    calls,
    elementwise,
    rows,
    matmul,
    mlp,
    cnn,
    digits,
    lstm,
    transformer,
    loops,
    science,
    spectra,
    chains,
)

WORKLOADS: list[Workload] = [w for family in _FAMILIES for w in family.WORKLOADS]


def find(pattern: str) -> list[Workload]:
    """The workloads whose names contain the pattern; one that is a whole name stands alone."""
    exact = [w for w in WORKLOADS if w.name == pattern]
    return exact or [w for w in WORKLOADS if pattern.lower() in w.name.lower()]
