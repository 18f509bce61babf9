"""Which form a kernel takes: how its points are divided among threads, and who prints it so."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from fnad.lowering.cuda import elementwise, kernels, transposes
from fnad.lowering.cuda.expressions import ExpressionPrinter
from fnad.lowering.cuda.tile_kernels import print_product
from fnad.lowering.cuda.tiles import matrix_product, tile_of, tiles_of
from fnad.lowering.cuda.writer import Function
from fnad.lowering.plan import Kernel


@dataclass(frozen=True, slots=True)
class Form:
    """What a kernel is launched with, and what appends its body to a function."""

    blocks: int
    threads: int
    write: Callable[[Function, ExpressionPrinter], None]


def form_of(kernel: Kernel) -> Form:
    """The form of a kernel that has points."""
    product = matrix_product(kernel)
    if product is not None:
        tile = tile_of(product)
        return Form(
            tiles_of(product, tile),
            tile.threads,
            lambda f, printer: print_product(f, printer, product, tile),
        )
    tiles = transposes.tiles_of(kernel)
    if tiles is not None:
        return Form(
            transposes.blocks_of(kernel, tiles),
            transposes.THREADS,
            lambda f, printer: transposes.print_tiles(f, printer, kernel, tiles),
        )
    way = elementwise.vectors_of(kernel)
    if way is not None:
        return Form(
            elementwise.blocks_of(kernel, way),
            elementwise.THREADS,
            lambda f, printer: elementwise.print_vectors(f, printer, kernel, way),
        )
    return Form(
        kernels.blocks_of(kernel),
        kernels.team_of(kernel).threads,
        lambda f, printer: kernels.print_kernel(f, printer, kernel),
    )
