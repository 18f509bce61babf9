"""Sorts of long lanes by merging: whole lanes one by one, or the steps of one (`long_sorts`)."""

from __future__ import annotations

from collections.abc import Sequence

from fnad.lowering.llvm.merge_sort import (
    listed,
    require_merge_part,
    require_results,
    require_run,
)
from fnad.lowering.llvm.merges import block_size, step_size
from fnad.lowering.llvm.writer import INT64, DType, Function, Value
from fnad.lowering.long_sorts import columns_of, run_length
from fnad.lowering.plan import SortStep


def _column_bytes(columns: Sequence[DType], n: int) -> list[int]:
    """What the columns of ``n`` rows take, with what merges read behind them."""
    length = _padded(columns, n) + step_size(columns)
    return [-(-column.itemsize * length // 64) * 64 for column in columns]


def _padded(columns: Sequence[DType], n: int) -> int:
    size = block_size(columns)
    return -(-n // size) * size


def _regions(f: Function, scratch: str, sizes: Sequence[int]) -> list[str]:
    """Where regions of ``scratch`` of so many bytes begin."""
    starts = [sum(sizes[:i]) for i in range(len(sizes))]
    return [f.raw(f"getelementptr inbounds i8, ptr {scratch}, i64 {start}") for start in starts]


# -- lanes --------------------------------------------------------------------------------------


def lane_bytes(dtypes: Sequence[DType], n: int) -> int:
    """The scratch memory that `emit_lane` needs."""
    return 2 * sum(_column_bytes(columns_of(dtypes[0], len(dtypes) == 1), n))


def emit_lane(
    f: Function,
    sources: Sequence[str],
    outs: Sequence[str],
    dtypes: Sequence[DType],
    n: int,
    stride: int,
    scratch: str,
) -> None:
    """Sort a lane whose elements are ``stride`` apart."""
    alone = len(dtypes) == 1
    columns = columns_of(dtypes[0], alone)
    regions = _regions(f, scratch, 2 * _column_bytes(columns, n))
    run, results = require_run(f.module, dtypes[0], alone), require_results(f.module, dtypes)
    f.emit(f"call void @{run}({listed(sources[0], *regions)}, i64 0, i64 {n}, i64 {stride})")
    given = listed(*sources, *outs, *regions[: len(columns)])
    f.emit(f"call void @{results}({given}, i64 {n}, i64 {stride}, i64 0, i64 {n})")


# -- steps --------------------------------------------------------------------------------------


def step_tasks(node: SortStep) -> int:
    """How many parts of a run's length there are."""
    return -(-node.length // run_length(node.length))


def step_bytes(node: SortStep, dtypes: Sequence[DType]) -> int:
    """The scratch memory that `emit_step` needs, given the dtypes of the node's sources."""
    if node.kind != "runs":
        return 0
    return sum(_column_bytes(columns_of(dtypes[0], node.operands == 1), run_length(node.length)))


def emit_step(
    f: Function,
    node: SortStep,
    outs: Sequence[str],
    sources: Sequence[str],
    dtypes: Sequence[DType],
    scratch: str,
    bounds: tuple[Value, Value],
) -> None:
    """Run some tasks of a step of a sort; ``dtypes`` are those of the sources."""
    begin, end = bounds
    b, size = f.b, run_length(node.length)
    with f.loop(end, start=begin) as task:
        first = b.multiply(task.index, b.constant(size, INT64))
        last = b.add(first, b.constant(size, INT64))
        stop = b.minimum(last, b.constant(node.length, INT64))
        one = b.constant(1, INT64)
        numbers: tuple[Value, ...]
        if node.kind == "runs":
            columns = columns_of(dtypes[0], node.operands == 1)
            part = require_run(f.module, dtypes[0], node.operands == 1)
            runs = [f.element(p, t, first) for p, t in zip(outs, columns, strict=True)]
            given = listed(sources[0], *runs, *_regions(f, scratch, _column_bytes(columns, size)))
            numbers = first, b.subtract(stop, first), one
        elif node.kind == "merge":
            part, given = require_merge_part(f.module, dtypes), listed(*sources, *outs)
            length = b.constant(_padded(dtypes, node.length), INT64)
            numbers = b.constant(node.width, INT64), length, first, b.minimum(last, length)
        else:
            part = require_results(f.module, dtypes[: node.operands])
            given = listed(*sources[: node.operands], *outs, *sources[node.operands :])
            numbers = b.constant(node.length, INT64), one, first, stop
        f.emit(f"call void @{part}({given}, {', '.join(n.typed for n in numbers)})")
