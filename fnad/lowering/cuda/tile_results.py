"""What a thread does with the sums of its part of a tile: the stores of a matrix product."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from fnad.lowering.cuda.expressions import ExpressionPrinter
from fnad.lowering.cuda.points import print_stores
from fnad.lowering.cuda.tile_cores import TensorCores
from fnad.lowering.cuda.tile_scalars import Scalars
from fnad.lowering.cuda.tile_text import unrolled
from fnad.lowering.cuda.tiles import MatrixProduct, Tile
from fnad.lowering.cuda.vectors import lies_dense
from fnad.lowering.cuda.words import Words, word_length
from fnad.lowering.cuda.writer import INT64, Function, Value


def print_results(
    f: Function,
    printer: ExpressionPrinter,
    product: MatrixProduct,
    tile: Tile,
    way: Scalars | TensorCores,
    first: tuple[str, str],
) -> None:
    """Store what this thread has of the tile, as far as it lies inside of the result.

    ``first`` is where the tile begins. Neighbours in memory are stored together, where there are.
    """
    _Results(f, printer, product, tile, way, first).print()


class _Results:
    def __init__(
        self,
        f: Function,
        printer: ExpressionPrinter,
        product: MatrixProduct,
        tile: Tile,
        way: Scalars | TensorCores,
        first: tuple[str, str],
    ) -> None:
        self.f, self.printer, self.product, self.way = f, printer, product, way
        self.axes = product.row, product.column
        self.first, self.sizes = first, (tile.rows, tile.columns)
        self.counts = tile.high, tile.wide
        self.quads = way.quads
        self.places: list[Value] = []  # the row and the column that are being stored

    def print(self) -> None:
        f = self.f
        self.way.begin(f)
        side = next((side for side in (1, 0) if self._lies_dense(side)), None)
        if side is None:
            with self._at("a", "b"):
                self._bind_sum("total[a][b]")
                print_stores(f, self.printer, self.product.stores)
        elif side == 1:
            with self._at("a", f"b * {self.quads[1]}", counts=(1, self.quads[1])):
                self._print_together(side)
        else:
            with self._at(f"a * {self.quads[0]}", "b", counts=(self.quads[0], 1)):
                self._print_together(side)

    def _lies_dense(self, side: int) -> bool:
        """Whether quads of a thread's rows (0) or columns (1) are neighbours wherever they go."""
        return self.quads[side] > 1 and all(
            s.combine is None
            and s.when is None
            and lies_dense(s.offset, self.axes[side], s.value.dtype.itemsize, self.quads[side])
            for s in self.product.stores
        )

    @contextmanager
    def _at(self, a: str, b: str, counts: tuple[int, int] = (1, 1)) -> Iterator[None]:
        """For every element, or every one of ``counts`` together, if it is inside the result."""
        f = self.f
        with (
            unrolled(f, "a", self.counts[0] // counts[0]),
            unrolled(f, "b", self.counts[1] // counts[1]),
            self.printer.scope(),
        ):
            checks, self.places = [], []
            for side, index in enumerate((a, b)):
                line = self.way.line(side, index)
                place = f.named("i32", f"{self.first[side]} + {line}", INT64)
                number, extent = self.axes[side]
                self.printer.bind_axis(number, place)
                self.places.append(place)
                if extent % self.sizes[side]:
                    checks.append(f"{place.ref} < {extent}")
            with f.block(f"if ({' && '.join(checks)})" if checks else ""), self.printer.scope():
                yield

    def _bind_sum(self, text: str) -> None:
        value = self.f.b.convert(self.way.number.value(self.f, text), self.product.dtype)
        self.printer.bind_reduced(0, value)

    def _print_together(self, side: int) -> None:
        """The stores of a quad, all values first."""
        f, printer, width = self.f, self.printer, self.quads[side]
        kinds = [store.value.dtype for store in self.product.stores]
        quads = [Words(f, kind, width, word_length(kind.itemsize, width)) for kind in kinds]
        with printer.scope():  # other places of the quad must not take these for theirs
            offsets = [printer.value(s.offset) for s in self.product.stores]
        for v in range(width):
            with printer.scope():
                place = self.places[side]
                here = Value(f"({place.ref} + {v})", INT64) if v else place
                printer.bind_axis(self.axes[side][0], here)
                index = f"[a][b * {width} + {v}]" if side else f"[a * {width} + {v}][b]"
                self._bind_sum(f"total{index}")
                for quad, store in zip(quads, self.product.stores):
                    value = printer.value(store.value)
                    f.line(f"{quad.element('0', str(v)).ref} = {value.ref};")
        for quad, store, offset in zip(quads, self.product.stores, offsets):
            quad.flush(printer.pointers[store.buffer], offset)
