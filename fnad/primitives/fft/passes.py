"""One pass of a fast Fourier transform: short transforms and the rotations behind them."""

from __future__ import annotations

from typing import Any

import numpy as np

from fnad.core.primitive import Primitive
from fnad.core.types import ShapedArray
from fnad.primitives.fft.butterflies import Pair, dft

fft_pass_p = Primitive(
    "fft_pass",
    "Real and imaginary parts of transforms of length r along axis 1 of numbers (b, r, m, lanes),"
    " as (b, m, r, lanes): a pass of Stockham's autosort method. Where m > 1, element (p, k) is"
    " multiplied by row k - 1 of tables of cosines and sines, both (r - 1, m). It arises where"
    " transforms are lowered, behind all differentiation and batching, so it has no such rules.",
    multiple_results=True,
)


@fft_pass_p.type_rule
def _(re, im, *tables):
    batch, radix, count, lanes = re.shape
    table = ShapedArray((radix - 1, count), re.dtype)
    if re != im or {t.strong() for t in tables} - {table} or len(tables) not in (0, 2):
        raise TypeError(f"fft_pass: {re}, {im} do not go with tables {tables}")
    if re.dtype not in (np.float32, np.float64):
        raise TypeError(f"fft_pass takes float32 or float64, got {re.dtype}")
    return [ShapedArray((batch, count, radix, lanes), re.dtype)] * 2


def _rotated(columns: list[Pair], cosines: Any, sines: Any) -> list[Pair]:
    """The columns but for the first multiplied by ``cosines + i * sines``."""
    turned = [
        (re * c - im * s, re * s + im * c)
        for (re, im), c, s in zip(columns[1:], cosines, sines, strict=True)
    ]
    return [columns[0], *turned]


@fft_pass_p.evaluate
def _(re, im, *tables):
    columns = dft(list(zip(np.moveaxis(re, 1, 0), np.moveaxis(im, 1, 0))))
    if tables:
        columns = _rotated(columns, *[t[:, :, None] for t in tables])
    return [np.stack(parts, 2) for parts in zip(*columns, strict=True)]


@fft_pass_p.lower
def _(p, re, im, *tables):
    batch, radix, count, lanes = re.shape
    re, im = p.ready(re), p.ready(im)

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


def _transposed(p: Any, x: Any) -> Any:
    """``x[b, k, place]`` as ``[b, place, k, 0]``."""
    batch, radix, count = x.shape
    shape = batch, count, radix, 1
    return p.compute(shape, x.dtype, lambda index: x.at((index[0], index[2], index[1])))
