"""Rows for ``fnad/primitives/linalg``."""

import itertools

import numpy as np
from scipy.linalg import lu, lu_factor, solve_sylvester, solve_triangular

from fnad.testing import Sample
from fnad.testing.primitive import scale
from tests.samples.values import normal, normal_complex


def whole_numbers(*shape):
    return np.arange(np.prod(shape)).reshape(shape)


def truths(*shape):
    return whole_numbers(*shape) % 3 == 0


EXACT = ("float32", "float64")
SUM = {"rtol": 1e-10, "atol": 1e-11, "reason": "errors grow with the condition of the matrix"}


def positive_definite(*shape):
    x = normal(*shape)
    return x @ np.swapaxes(x, -1, -2) + shape[-1] * np.eye(shape[-1])


def hermitian_positive(*shape):
    x = normal_complex(*shape)
    return x @ np.conj(np.swapaxes(x, -1, -2)) + shape[-1] * np.eye(shape[-1])


def triangular(*shape, make=normal):
    return make(*shape) + 4 * np.eye(shape[-1])


def stacked(function):
    return lambda *xs: np.vectorize(function, signature="(n,n),(r,c)->(r,c)")(*xs)


def solve(shape, b_shape, make=normal, **options):
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

    rows = Sample((triangular(*shape, make=make), make(*b_shape)), params, dtypes=EXACT, **SUM)
    return Sample(**{**vars(rows), "reference": stacked(reference)})


FLAGS = [
    dict(zip(("left_side", "lower", "transpose_a", "unit_diagonal"), flags))
    for flags in itertools.product((False, True), repeat=4)
]


def lu_reference(a):
    def one(matrix):
        permutation, left, right = lu(matrix, p_indices=True)
        k = min(matrix.shape)
        factors = np.zeros_like(matrix)
        factors[:, :k] += np.tril(left, -1)
        factors[:k] += right
        pivots = lu_factor(matrix)[1]
        return factors, pivots[:k].astype(np.int32), np.argsort(permutation).astype(np.int32)

    return list(np.vectorize(one, signature="(m,n)->(m,n),(k),(m)")(a))


def separated(*shape):
    """Symmetric matrices whose eigenvalues are far apart."""
    return (normal(*shape) + np.swapaxes(normal(*shape), -1, -2)) / 4 + np.diag(range(shape[-1]))


def turning(*shape, make=normal):
    """General matrices whose eigenvalues are far apart, among them a conjugate pair."""
    x = make(*shape) / 8 + np.diag(range(shape[-1]))
    # Not of one size, so that it is clear which component of an eigenvector is the largest.
    x[..., -2:, -2:] += np.array([[0, 3], [-1, -1]])
    return x


def eigh_reference(a):
    w, v = np.linalg.eigh(a, "U")  # the triangle that row-major lower ones are to LAPACK: signs
    return [v, w]


def sylvester(first, second, transposed):
    s, t = (triangular(*shape, make=normal_complex) for shape in (first, second))
    c = normal_complex(*first[:-1], second[-1])

    def solved(s, t, c):
        s, t = np.triu(s), np.triu(t)
        return solve_sylvester(s.T, t.T, c) if transposed else solve_sylvester(s, t, c)

    return Sample(
        (s, t, c),
        {"transposed": transposed},
        reference=np.vectorize(solved, signature="(m,m),(n,n),(m,n)->(m,n)") if c.size else None,
        dtypes=EXACT,
        **SUM,
    )


def qr_sample(shape, full_matrices, make=normal):
    completed = full_matrices and shape[-2] > shape[-1]
    params = {"full_matrices": full_matrices}
    mode = "complete" if full_matrices else "reduced"
    return Sample(
        (make(*shape),),
        params,
        reference=lambda a: list(np.linalg.qr(a, mode)),
        dtypes=EXACT,
        order=0 if completed else 2,
        vary=scale,
        **SUM,
    )


def svd_sample(shape, full_matrices, compute_uv, make=normal):
    phases = make is normal_complex and compute_uv
    completed = compute_uv and full_matrices and shape[-2] != shape[-1]

    def reference(a):
        a = np.swapaxes(a, -1, -2)  # as LAPACK sees it, which decides about signs
        if not compute_uv:
            return [np.linalg.svd(a, compute_uv=False)]
        v, s, ut = np.linalg.svd(a, full_matrices)
        return [np.swapaxes(ut, -1, -2), s, np.swapaxes(v, -1, -2)]

    return Sample(
        (make(*shape),),
        {"full_matrices": full_matrices, "compute_uv": compute_uv},
        reference=reference,
        dtypes=EXACT,
        order=0 if completed or phases else 2,
        vary=scale,
        **SUM,
    )


def triangle(x, k, upper):
    take = np.triu if upper else np.tril
    return Sample((x,), {"k": k, "upper": upper}, reference=lambda x: take(x, k))


SAMPLES = {
    "triangle": [
        triangle(normal(2, 3, 4), 0, False),
        triangle(normal(4, 3), 1, True),
        triangle(normal(3, 3), -1, False),
        triangle(normal(2, 2), 5, True),
        triangle(normal_complex(3, 3), -1, True),
        triangle(whole_numbers(3, 4), 0, True),
        triangle(truths(3, 3), 1, False),
        triangle(normal(2, 0, 3), 0, False),
    ],
    "cholesky": [
        Sample(
            (positive_definite(*shape),),
            reference=np.linalg.cholesky,
            dtypes=EXACT,
            vary=scale,
            **SUM,
        )
        for shape in [(4, 4), (2, 3, 3), (1, 1)]
    ]
    + [
        Sample(
            (hermitian_positive(*shape),),
            reference=np.linalg.cholesky,
            dtypes=EXACT,
            vary=scale,
            **SUM,
        )
        for shape in [(4, 4), (2, 3, 3)]
    ]
    + [Sample((np.zeros((2, 0, 0), dtype),), dtypes=EXACT) for dtype in (float, complex)],
    "triangular_solve": [solve((3, 3), (3, 3), **flags) for flags in FLAGS]
    + [
        solve((2, 3, 3), (2, 3, 2)),
        solve((2, 3, 3), (2, 2, 3), left_side=False),
        solve((3, 3), (3, 0)),
        solve((2, 3, 3), (2, 3, 2), normal_complex, transpose_a=True),
        solve((3, 3), (2, 3), normal_complex, left_side=False, lower=False),
        solve((3, 3), (3, 0), normal_complex),
    ],
    "lu": [
        Sample((make(*shape),), reference=lu_reference, dtypes=EXACT, vary=scale, **SUM)
        for make in (normal, normal_complex)
        for shape in [(4, 4), (2, 3, 3), (5, 3), (3, 5), (1, 1)]
    ]
    + [
        Sample((np.zeros(shape, dtype),), dtypes=EXACT)
        for dtype in (float, complex)
        for shape in [(2, 0, 0), (3, 0), (0, 3)]
    ],
    "permute_rows": [
        Sample(
            (make(2, 3, 2), np.array([[1, 2, 0], [0, 2, 1]], np.int32)),
            {"inverse": inverse},
            reference=lambda x, rows, inverse=inverse: np.stack(
                [m[np.argsort(r)] if inverse else m[r] for m, r in zip(x, rows)]
            ),
            vary=scale,
        )
        for make in (normal, normal_complex, whole_numbers, truths)
        for inverse in (False, True)
    ]
    + [Sample((normal(3, 0), np.array([1, 2, 0])), {"inverse": True}, vary=scale)],
    "eigh": [
        Sample((separated(*shape),), reference=eigh_reference, dtypes=EXACT, vary=scale, **SUM)
        for shape in [(4, 4), (2, 3, 3), (1, 1)]
    ]
    # Eigenvectors of Hermitian matrices have phases, whose derivative is not that of LAPACK's.
    + [
        Sample((hermitian_positive(*shape),), dtypes=EXACT, order=0, vary=scale, **SUM)
        for shape in [(4, 4), (2, 3, 3)]
    ]
    + [Sample((np.zeros((2, 0, 0), dtype),), dtypes=EXACT) for dtype in (float, complex)],
    "eig": [
        Sample((turning(*shape, make=make),), {"vectors": vectors}, dtypes=EXACT, vary=scale, **SUM)
        for vectors in (False, True)
        for make in (normal, normal_complex)
        for shape in [(4, 4), (2, 3, 3)]
    ]
    + [
        Sample((np.zeros((2, 0, 0), dtype),), {"vectors": True}, dtypes=EXACT)
        for dtype in (float, complex)
    ],
    "schur": [
        Sample((turning(*shape, make=make),), dtypes=EXACT, order=0, vary=scale, **SUM)
        for make in (normal, normal_complex)
        for shape in [(4, 4), (2, 3, 3)]
    ]
    + [Sample((np.zeros((2, 0, 0), dtype),), dtypes=EXACT, order=0) for dtype in (float, complex)],
    "triangular_sylvester": [
        sylvester((4, 4), (3, 3), transposed=False),
        sylvester((2, 3, 3), (2, 2, 2), transposed=True),
        sylvester((0, 0), (3, 3), transposed=False),
    ],
    "qr": [
        qr_sample(shape, full, make)
        for make in (normal, normal_complex)
        for full in (False, True)
        for shape in [(4, 4), (2, 3, 3), (5, 3), (3, 5), (1, 1), (2, 0, 3), (3, 0)]
    ],
    "svd": [
        svd_sample(shape, full, uv, make)
        for make in (normal, normal_complex)
        for full, uv in [(False, True), (True, True), (True, False)]
        for shape in [(4, 4), (2, 3, 3), (5, 3), (3, 5), (1, 1), (2, 0, 3), (3, 0)]
    ],
}
