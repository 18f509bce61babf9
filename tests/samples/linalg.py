"""Rows for ``fnad/primitives/linalg``."""

import itertools

import numpy as np
from scipy.linalg import solve_triangular

from fnad.testing import Sample
from tests.samples.values import normal

EXACT = ("float32", "float64")
SUM = {"rtol": 1e-10, "atol": 1e-11, "reason": "errors grow with the condition of the matrix"}


def positive_definite(*shape):
    x = normal(*shape)
    return x @ np.swapaxes(x, -1, -2) + shape[-1] * np.eye(shape[-1])


def triangular(*shape):
    return normal(*shape) + 4 * np.eye(shape[-1])


def stacked(function):
    return lambda *xs: np.vectorize(function, signature="(n,n),(r,c)->(r,c)")(*xs)


def solve(shape, b_shape, **options):
    params = {
        "left_side": True,
        "lower": True,
        "transpose_a": False,
        "unit_diagonal": False,
        **options,
    }

    def reference(a, b):
        trans = int(params["transpose_a"] == params["left_side"])
        kind = {"lower": params["lower"], "unit_diagonal": params["unit_diagonal"]}
        if params["left_side"]:
            return solve_triangular(a, b, trans=trans, **kind)
        return solve_triangular(a, b.T, trans=trans, **kind).T

    rows = Sample((triangular(*shape), normal(*b_shape)), params, dtypes=EXACT, **SUM)
    return Sample(**{**vars(rows), "reference": stacked(reference)})


FLAGS = [
    dict(zip(("left_side", "lower", "transpose_a", "unit_diagonal"), flags))
    for flags in itertools.product((False, True), repeat=4)
]

SAMPLES = {
    "cholesky": [
        Sample(
            (positive_definite(*shape),),
            reference=np.linalg.cholesky,
            dtypes=EXACT,
            vary=lambda x, k: x * (1 + k / 4),
            **SUM,
        )
        for shape in [(4, 4), (2, 3, 3), (1, 1)]
    ]
    + [Sample((np.zeros((2, 0, 0)),), dtypes=EXACT)],
    "triangular_solve": [solve((3, 3), (3, 3), **flags) for flags in FLAGS]
    + [
        solve((2, 3, 3), (2, 3, 2)),
        solve((2, 3, 3), (2, 2, 3), left_side=False),
        solve((3, 3), (3, 0)),
    ],
}
