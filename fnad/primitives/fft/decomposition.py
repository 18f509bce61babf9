"""Fourier transforms of real and imaginary parts, as passes over contiguous numbers.

Everything works on arrays ``(batch, n, lanes)`` and transforms the axis in the middle, so that
vectors run along the lanes. A single lane is enough where a first pass may run along the places
that it leaves: there are lanes behind it. What else has only few is made a matrix
of two factors of n, whose columns are transformed, then its rows (Bailey, 1990: the four-step
method), between which it is transposed. What does not fit the nearest caches goes through its
passes block by block. What has a large prime factor is a convolution (Bluestein, 1970). Rotations
are computed in double precision, exactly reduced, and rounded once.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from fnad.core.primitive import Parts
from fnad.core.types import aval_of
from fnad.primitives.fft.butterflies import roots_of_unity
from fnad.primitives.fft.factors import fast_length, halves, is_smooth, row_factors
from fnad.primitives.fft.passes import fft_passes_p
from fnad.primitives.laying_out import lay_out_p
from fnad.primitives.reversal import rev
from fnad.primitives.shape import broadcast_in_dim, full_like, reshape, transpose
from fnad.primitives.slicing import concatenate, pad, slice_in_dim

Pair = tuple[Any, Any]  # of real and imaginary parts
# Fewer lanes than these leave vectors empty.
_MANY_LANES = 8
# Lanes that go through all passes before the next ones, where more than so many numbers would
# leave the nearest caches between two passes.
_BLOCK = 16
_LARGE = 1 << 15
# Of more numbers than these, which come from memory, short pieces of long rows are not read.
_FAR = 1 << 19
# Shorter transforms have two small passes: blocks gain nothing.
_LONG = 128


def _rotated(parts: Pair, table: np.ndarray) -> Pair:
    """Parts multiplied by a table that lies along their axes from 1 on."""
    re, im = parts
    aval = aval_of(re)
    dimensions = tuple(range(1, 1 + table.ndim))
    c, s = (
        broadcast_in_dim(part.astype(aval.dtype), aval.shape, dimensions)
        for part in (table.real, table.imag)
    )
    return re * c - im * s, re * s + im * c


def _reshaped(parts: Pair, *shape: int) -> Pair:
    return reshape(parts[0], shape), reshape(parts[1], shape)


def _transposed(parts: Pair, *permutation: int) -> Pair:
    re, im = (lay_out_p.bind(transpose(x, permutation)) for x in parts)
    return re, im


def _swapped(parts: Pair) -> Pair:
    """Axes 1 and 2 of four exchanged, not in memory."""
    re, im = parts
    return transpose(re, (0, 2, 1, 3)), transpose(im, (0, 2, 1, 3))


def complex_to_complex(
    x: Parts, axes: Sequence[int], lengths: Sequence[int], inverse: bool
) -> Parts:
    """The transform over some axes, or its inverse: that of swapped parts, swapped."""
    if not inverse:
        return Parts(*_over_axes((x.re, x.im), axes))
    scale = aval_of(x.re).dtype.type(1 / math.prod(lengths))
    im, re = _over_axes((x.im * scale, x.re * scale), axes)
    return Parts(re, im)


def real_to_complex(x: Any, axes: Sequence[int], lengths: Sequence[int]) -> Parts:
    """Transforms of real numbers: first over the last axis, of half the length if it is even.

    With ``z[t] = x[2t] + i x[2t + 1]``, Z[k] and the conjugate of Z[-k] are the sum and the
    difference of the transforms of even elements and of i times the odd ones.
    """
    shape, (*others, axis), n = list(aval_of(x).shape), axes, lengths[-1]
    x = reshape(x, _around(shape, axis))
    if n % 2:
        re, im = dft((x, full_like(x, 0)))
        re, im = (slice_in_dim(part, 0, n // 2 + 1, axis=1) for part in (re, im))
    else:
        re, im = dft(tuple(slice_in_dim(x, start, n, 2, axis=1) for start in (0, 1)))
        re, im = (concatenate([z, slice_in_dim(z, 0, 1, axis=1)], 1) for z in (re, im))
        back_re, back_im = rev(re, (1,)), rev(im, (1,))
        odd = _rotated((im + back_im, back_re - re), roots_of_unity(np.arange(n // 2 + 1), n))
        re, im = (re + back_re + odd[0]) * 0.5, (im - back_im + odd[1]) * 0.5
    shape[axis] = n // 2 + 1
    return Parts(*_over_axes(_reshaped((re, im), *shape), others))


def complex_to_real(x: Parts, axes: Sequence[int], lengths: Sequence[int]) -> Any:
    """The inverse of `real_to_complex`; imaginary parts that must be zero are not read."""
    shape, (*others, axis), n = list(aval_of(x.re).shape), axes, lengths[-1]
    scale = aval_of(x.re).dtype.type(1 / math.prod(lengths))
    im, re = _over_axes((x.im * scale, x.re * scale), others)
    re, im = _reshaped((re, im), *_around(shape, axis))
    half = (n + 1) // 2
    outside = ((0, 0, 0), (1, 1 - n % 2, 0), (0, 0, 0))
    im = pad(slice_in_dim(im, 1, half, axis=1), aval_of(im).dtype.type(0), outside)
    if n % 2:
        back_re, back_im = (rev(slice_in_dim(z, 1, half, axis=1), (1,)) for z in (re, im))
        out = dft((concatenate([im, -back_im], 1), concatenate([re, back_re], 1)))[1]
    else:
        back_re, back_im = (slice_in_dim(rev(z, (1,)), 0, half, axis=1) for z in (re, im))
        re, im = (slice_in_dim(z, 0, half, axis=1) for z in (re, im))
        # i times the transform of odd elements, rotated the other way round.
        odd = _rotated((re - back_re, im + back_im), 1j * roots_of_unity(np.arange(half), n).conj())
        im, re = dft((im - back_im + odd[1], re + back_re + odd[0]))
        batch, _, lanes = aval_of(re).shape
        out = concatenate(_reshaped((re, im), batch, half, 1, lanes), 2)
    shape[axis] = n
    return reshape(out, shape)


def _around(shape: Sequence[int], axis: int) -> tuple[int, int, int]:
    """The shape with the axes before one made a single axis, and those behind it, too."""
    return math.prod(shape[:axis]), shape[axis], math.prod(shape[axis + 1 :])


def _over_axes(parts: Pair, axes: Sequence[int]) -> Pair:
    """Transforms over some axes, the last of them first."""
    shape = aval_of(parts[0]).shape
    for axis in reversed(axes):
        parts = dft(_reshaped(parts, *_around(shape, axis)))
    return _reshaped(parts, *shape)


def dft(parts: Pair) -> Pair:
    """Transforms along axis 1 of (batch, n, lanes)."""
    batch, n, lanes = aval_of(parts[0]).shape
    if n == 1:
        return parts
    if not is_smooth(n):
        return _bluestein(parts)
    if lanes >= _MANY_LANES or (lanes == 1 and n < _LARGE and row_factors(n)):
        return _columns(parts)
    rows, columns = halves(n)
    if columns == 1:  # nothing to make a matrix of
        if batch == 1:
            return _columns(parts)
        parts = _reshaped(_transposed(parts, 1, 0, 2), 1, n, batch * lanes)
        return _transposed(_reshaped(_columns(parts), n, batch, lanes), 1, 0, 2)
    table = roots_of_unity(np.arange(n), n)[np.outer(np.arange(rows), np.arange(columns))]
    if lanes == 1 and rows % _BLOCK == columns % _BLOCK == 0 and n >= _LARGE:
        return _in_blocks(_reshaped(parts, batch, rows, columns), table)
    parts = _columns(_reshaped(parts, batch, rows, columns * lanes))
    parts = _rotated(_reshaped(parts, batch, rows, columns, lanes), table)
    parts = _reshaped(_transposed(parts, 0, 2, 1, 3), batch, columns, rows * lanes)
    return _reshaped(_columns(parts), batch, n, lanes)


def _in_blocks(parts: Pair, table: np.ndarray) -> Pair:
    """The four-step method for matrices (batch, rows, columns) that fill a cache.

    Blocks of columns, then blocks of rows, go through all of their passes while they are near.
    Between them squares are transposed.
    """
    batch, rows, columns = aval_of(parts[0]).shape
    down, across = rows // _BLOCK, columns // _BLOCK
    squares = batch, across, down, _BLOCK, _BLOCK
    parts = _reshaped(_columns_by_blocks(parts), *squares)
    table = table.reshape(down, _BLOCK, across, _BLOCK).transpose(2, 0, 1, 3)
    parts = _transposed(_rotated(parts, table), 0, 2, 1, 4, 3)
    parts = _columns(_reshaped(parts, batch * down, columns, _BLOCK))
    parts = _swapped(_reshaped(parts, batch, down, columns, _BLOCK))
    return _reshaped(parts, batch, rows * columns, 1)


def _columns_by_blocks(parts: Pair) -> Pair:
    """Transforms of (batch, n, blocks * lanes) as (batch, blocks, n, lanes)."""
    batch, n, lanes = aval_of(parts[0]).shape
    blocks = lanes // _BLOCK
    parts = _swapped(_reshaped(parts, batch, n, blocks, _BLOCK))
    parts = _columns(_reshaped(parts, batch * blocks, n, _BLOCK))
    return _reshaped(parts, batch, blocks, n, _BLOCK)


def _columns(parts: Pair) -> Pair:
    """Transforms along axis 1, of lanes beside each other."""
    batch, n, lanes = aval_of(parts[0]).shape
    in_blocks = n >= _LONG and lanes > _BLOCK and lanes % _BLOCK == 0
    if in_blocks and _LARGE <= n * lanes <= _FAR:
        return _reshaped(_swapped(_columns_by_blocks(parts)), batch, n, lanes)
    re, im = fft_passes_p.bind(*parts)
    return re, im


def _bluestein(parts: Pair) -> Pair:
    """Transforms of any length as circular convolutions with a chirp, of a fast length.

    With ``2 j k = j**2 + k**2 - (k - j)**2``, ``X[k] = w[k] * sum(x[j] * w[j] / w[k - j])``, where
    ``w[j] = exp(-pi i j**2 / n)``.
    """
    n = aval_of(parts[0]).shape[1]
    size = fast_length(2 * n - 1)
    chirp, spectrum = _chirp(n, size)
    re, im = _rotated(parts, chirp)
    zero = np.zeros((), aval_of(re).dtype)[()]
    behind = ((0, 0, 0), (0, size - n, 0), (0, 0, 0))
    re, im = _rotated(dft((pad(re, zero, behind), pad(im, zero, behind))), spectrum)
    im, re = dft((im, re))  # the inverse transform, but for a factor that the spectrum has
    return _rotated((slice_in_dim(re, 0, n, axis=1), slice_in_dim(im, 0, n, axis=1)), chirp)


def _chirp(n: int, size: int) -> tuple[np.ndarray, np.ndarray]:
    """The chirp, and the transform of its inverse of both signs divided by ``size``."""
    k = np.arange(n)
    chirp = roots_of_unity(k * k % (2 * n), 2 * n)
    both = np.zeros(size, np.clongdouble)
    both[:n] = chirp.conj()
    both[size - n + 1 :] = chirp[:0:-1].conj()
    return chirp, (np.fft.fft(both) / size).astype(complex)
