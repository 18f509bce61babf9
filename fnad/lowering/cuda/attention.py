"""Attention: `plan.Attention`, for which equations there are kernels, and how they are launched."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from fnad.core.ir import Equation
from fnad.core.types import is_half
from fnad.lowering.cuda.attention_kernels import Pass, PassPrinter
from fnad.lowering.cuda.attention_masks import Masks, Operand
from fnad.lowering.cuda.device import Limits
from fnad.lowering.cuda.expressions import ExpressionPrinter
from fnad.lowering.cuda.program import Launch, Step
from fnad.lowering.cuda.warp_products import Shape, products_of
from fnad.lowering.cuda.writer import Function
from fnad.lowering.plan import Attention

if TYPE_CHECKING:
    from fnad.lowering.cuda.emitter import Emitter

# Features of a head take so many bytes at most.
_MOST_BYTES = 512
# With fewer queries, all weights are small, and reading the keys is what takes time.
_FEWEST_QUERIES = 16
# Above so many features, a pass over keys cannot hold both of its results in registers.
_BOTH_RESULTS = 160
# Shared memory that a card keeps for itself, of each block.
_RESERVED = 1 << 10


def has_kernel(eqn: Equation) -> bool:
    """Whether an equation is an attention for which there are kernels."""
    if eqn.primitive.name not in ("attention", "attention_grad"):
        return False
    query, key = (atom.aval for atom in eqn.invars[:2])
    features = query.shape[3]
    return (
        query.size > 0
        and features > 0
        and features * query.dtype.itemsize <= _MOST_BYTES
        and query.shape[1] >= _FEWEST_QUERIES
        and max(query.shape[1], key.shape[1]) < 1 << 30
    )


def attention_steps(emitter: Emitter, node: Attention) -> list[Step]:
    """The kernels of a pass."""
    wide = node.heads.features > _BOTH_RESULTS
    if node.kind == "forward":
        products = [(True, False)]
    elif node.kind == "queries":
        products = [(False, True)]
    else:
        products = [(True, False), (False, True)] if wide else [(True, True)]
    return [_launch(emitter, node, *pair) for pair in products]


def _launch(emitter: Emitter, node: Attention, weighted: bool, changed: bool) -> Launch:
    work = _divided(node, weighted, changed, emitter.limits)
    names = ["query", "key", "value"]
    names += ["bias"] * (node.heads.bias is not None) + ["mask"] * (node.heads.mask is not None)
    names += ["lengths"] * node.heads.has_lengths
    names += ["cotangent", "logarithms", "products"] * (node.kind != "forward")
    sources = dict(zip(names, node.sources, strict=True))
    outs = list(node.outs)
    if node.kind == "keys":
        outs = [outs[0]] * changed + [outs[1]] * weighted

    def write(f: Function, printer: ExpressionPrinter) -> None:
        pointers = {name: printer.pointers[number] for name, number in sources.items()}
        extras: dict[str, Operand] = {
            name: Operand(pointers[name], emitter.buffers[sources[name]].dtype)
            for name in ("bias", "mask", "lengths")
            if name in sources
        }
        rows = 16 * work.shape.strips
        masks = Masks(node.heads, work.by_keys, rows, work.shape.columns, work.products.sum, extras)
        PassPrinter(f, work, pointers, [printer.pointers[n] for n in outs], masks).print()

    buffers = list(dict.fromkeys([*node.sources, *outs]))
    return emitter.launch(
        f"attention_{node.kind}",
        write,
        buffers,
        outs,
        [],
        work.blocks,
        work.threads,
        work.shared_bytes,
        _together(work, emitter.limits),
    )


def _together(work: Pass, limits: Limits) -> int:
    """How many blocks are to share a multiprocessor, if that takes that registers are saved.

    While some warps multiply, others compute exponentials, of which there are many for small heads.
    """
    is_small = work.kind == "forward" and work.shape.padded <= 64 and is_half(work.dtype)
    fits = 3 * (work.shared_bytes + _RESERVED) <= limits.shared_bytes + _RESERVED
    return 3 if is_small and fits else 1


def _divided(node: Attention, weighted: bool, changed: bool, limits: Limits) -> Pass:
    """The pass with tiles that fit into shared memory, two blocks at a time if that can be."""
    cores = limits.multiplies_halves and is_half(node.dtype)
    works = [
        Pass(
            node.kind,
            node.heads,
            node.dtype,
            products_of(node.dtype, Shape(strips, columns, node.heads.features), cores),
            warps,
            weighted,
            changed,
        )
        for strips, columns, warps in _ways(node, cores)
    ]
    two = limits.shared_bytes // 2 - _RESERVED
    fitting = [w for w in works if w.shared_bytes <= limits.shared_bytes] or works[-1:]
    return next((w for w in fitting if w.shared_bytes <= two), fitting[0])


def _ways(node: Attention, cores: bool) -> Iterator[tuple[int, int, int]]:
    """Strips of a warp, columns of a tile and warps of a block, from the best ones on.

    More strips save reads of shared memory, more columns barriers; the sums must stay in registers.
    """
    features = node.heads.features
    if cores and features <= 64:
        yield (2, 32, 4) if node.kind == "keys" else (2, 64, 4)
    elif cores and features <= 128:
        yield {"forward": (2, 64, 4), "queries": (2, 32, 4), "keys": (1, 64, 4)}[node.kind]
        if node.kind == "forward":
            yield 2, 32, 4
    yield from ((1, columns, 4) for columns in (32, 16))
    yield from ((1, 16 if cores else 8, warps) for warps in (4, 2, 1))
