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


def passes(*shape):
    def reference(re, im):
        out = np.fft.fft(re + 1j * im, axis=1).astype(np.result_type(re, np.complex64))
        return [out.real, out.imag]

    parts = normal(*shape), normal(*shape, seed=1)
    return Sample(parts, reference=reference, dtypes=EXACT, **SUM)


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
    "fft_passes": [
        passes(2, 12, 5),
        passes(1, 6, 9),
        passes(1, 32, 1),
        passes(3, 160, 1),
        passes(1, 14, 3),
        passes(0, 2, 3),
    ],
}
