"""Rows for ``fnad/primitives/fft``."""

import numpy as np

from fnad.testing import Sample
from tests.samples.values import normal, normal_complex

EXACT = ("float32", "float64")
SUM = {"rtol": 1e-12, "atol": 1e-13, "reason": "sums of products in another order"}


def transform(kind, shape, axes):
    """A transform over axes; ``shape`` is that of the real numbers, or of all."""
    lengths = tuple(shape[axis] for axis in axes)
    if kind == "IRFFT":
        shape = list(shape)
        shape[axes[-1]] = shape[axes[-1]] // 2 + 1
    function = {
        "FFT": np.fft.fftn,
        "IFFT": np.fft.ifftn,
        "RFFT": np.fft.rfftn,
        "IRFFT": np.fft.irfftn,
    }[kind]
    return Sample(
        ((normal if kind == "RFFT" else normal_complex)(*shape),),
        {"fft_type": kind, "fft_lengths": lengths, "axes": axes},
        reference=lambda x: function(x, lengths, axes),
        dtypes=EXACT,
        **SUM,
    )


def one_pass(shape, tables):
    radix, count = shape[1:3]
    turned = tuple(normal(radix - 1, count, seed=seed) for seed in (2, 3)) if tables else ()

    def reference(re, im, *tables):
        out = np.fft.fft(re + 1j * im, axis=1)
        if tables:
            out[:, 1:] *= (tables[0] + 1j * tables[1])[:, :, None]
        out = np.swapaxes(out, 1, 2).astype(np.result_type(re, np.complex64))
        return [out.real, out.imag]

    return Sample(
        (normal(*shape), normal(*shape, seed=1), *turned), reference=reference, dtypes=EXACT, **SUM
    )


SAMPLES = {
    "fft": [
        transform(kind, shape, axes)
        for kind in ("FFT", "IFFT", "RFFT", "IRFFT")
        for shape, axes in [
            ((6,), (0,)),
            ((2, 5), (1,)),
            ((3, 2, 4), (1, 2)),
            ((2, 3, 2), (2, 0)),
            ((0, 4), (1,)),
        ]
    ],
    "fft_pass": [
        one_pass((2, 4, 3, 5), True),
        one_pass((1, 6, 1, 9), False),
        one_pass((1, 7, 2, 3), True),
        one_pass((0, 2, 1, 3), False),
    ],
}
