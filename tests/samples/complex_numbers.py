"""Rows for ``complex_numbers.py`` of the primitives."""

import numpy as np

from fnad.testing import Sample
from tests.samples.values import binary, normal, normal_complex

X = normal(2, 3)
Y = normal(2, 3, seed=5)
Z = normal_complex(2, 3)


def of_complex(reference):
    """An array, a scalar, no elements, and what is not finite."""
    edges = np.array([0.0, -0.0 - 1j, complex(np.inf, np.nan), complex(np.nan, -np.inf)])
    return [
        Sample((Z,), reference=reference),
        Sample((Z[0, 0],), reference=reference),
        Sample((Z[:0],), reference=reference),
        Sample((edges,), reference=reference, order=0),
    ]


def made(x, y):
    return x + np.complex64(1j) * y


SAMPLES = {
    "real": of_complex(np.real),
    "imag": of_complex(np.imag),
    "conj": of_complex(np.conjugate),
    # Complex numbers have no half precision.
    "complex": binary(made, X, Y, dtypes=("float32", "float64")),
    "interleave": [
        Sample(
            (x, y),
            reference=lambda x, y: np.stack([x, y], -1),
            order=0,
            dtypes=("float32", "float64"),
        )
        for x, y in ((X, Y), (X[0, 0], Y[0, 0]), (X[:0], Y[:0]), (normal(37), normal(37, seed=2)))
    ],
}
