"""Fast Fourier transforms as passes: short transforms and the rotations behind them."""

from __future__ import annotations

from typing import Any

import numpy as np

from fnad.core.ir import Literal
from fnad.core.primitive import Primitive
from fnad.core.types import ShapedArray
from fnad.primitives.fft.butterflies import Pair, dft, roots_of_unity
from fnad.primitives.fft.factors import even_factors, factors, row_factors

fft_passes_p = Primitive(
    "fft_passes",
    "Real and imaginary parts of transforms along axis 1 of numbers (b, n, lanes), where n has no"
    " large prime factor: passes of Stockham's autosort method, one a factor of n, so that no"
    " element is ever put in order. It arises where transforms are lowered, behind all"
    " differentiation and batching, so it has no such rules.",
    multiple_results=True,
)


@fft_passes_p.type_rule
def _(re, im):
    if re != im or len(re.shape) != 3:
        raise TypeError(f"fft_passes: {re}, {im} are no parts of numbers (b, n, lanes)")
    if re.dtype not in (np.float32, np.float64):
        raise TypeError(f"fft_passes takes float32 or float64, got {re.dtype}")
    return [re.strong(), im.strong()]


@fft_passes_p.evaluate
def _(re, im):
    out = np.fft.fft(re + 1j * im, axis=1)
    return [np.ascontiguousarray(part, re.dtype) for part in (out.real, out.imag)]


@fft_passes_p.lower
def _(p, re, im):
    batch, n, lanes = re.shape
    parts, left, wide = (re, im), n, lanes
    for radix in _radices(p.platform, n, lanes):
        count = left // radix
        re, im = (p.ready(p.reshape(x, (batch, radix, count, wide))) for x in parts)
        parts = _pass(p, re, im)
        left, wide = count, wide * radix
    return [p.reshape(x, (batch, n, lanes)) for x in parts]


def _radices(platform: str, n: int, lanes: Any) -> tuple[int, ...]:
    if platform != "cpu":
        return even_factors(n)
    if type(lanes) is not int:  # it is known when the function is called
        return factors(n, n)
    return (row_factors(n) if lanes == 1 else ()) or factors(n, n * lanes)


def _pass(p: Any, re: Any, im: Any) -> Any:
    """Transforms of length r along axis 1 of (b, r, m, lanes), rotated, as (b, m, r, lanes).

    Element (k, place) is multiplied by ``exp(-2 pi i k place / (r m))``.
    """
    batch, radix, count, lanes = re.shape
    tables = []
    if count > 1:
        table = roots_of_unity(np.outer(np.arange(1, radix), np.arange(count)), radix * count)
        tables = [_constant(p, part.astype(re.dtype)) for part in (table.real, table.imag)]

    def elements(index):
        b, place, lane = index
        rows = [(b, j, place, lane) for j in range(radix)]
        columns = dft([(re.at(row), im.at(row)) for row in rows])
        if tables:
            places = [(k, place) for k in range(radix - 1)]
            columns = _rotated(columns, *[[t.at(at) for at in places] for t in tables])
        return list(zip(*columns, strict=True))

    dtypes = re.dtype, re.dtype
    if lanes != 1 or count == 1 or p.platform == "cpu":
        return p.compute_together((batch, count, radix, lanes), dtypes, 2, elements)
    # Threads of a card write lines together only if those are columns: rows are transposed behind.
    outs = p.compute_together((batch, radix, count), dtypes, 1, lambda index: elements((*index, 0)))
    return [p.materialize(_transposed(p, out)) for out in outs]


def _constant(p: Any, array: np.ndarray) -> Any:
    return p.literal(Literal(array, ShapedArray(array.shape, array.dtype)))


def _rotated(columns: list[Pair], cosines: Any, sines: Any) -> list[Pair]:
    """The columns but for the first multiplied by ``cosines + i * sines``."""
    turned = [
        (re * c - im * s, re * s + im * c)
        for (re, im), c, s in zip(columns[1:], cosines, sines, strict=True)
    ]
    return [columns[0], *turned]


def _transposed(p: Any, x: Any) -> Any:
    """``x[b, k, place]`` as ``[b, place, k, 0]``."""
    batch, radix, count = x.shape
    shape = batch, count, radix, 1
    return p.compute(shape, x.dtype, lambda index: x.at((index[0], index[2], index[1])))
