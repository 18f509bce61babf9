"""Linear algebra, under the names of `scipy.linalg` and with the signatures of `jax.scipy.linalg`.

All but the matrices with a name take stacks of matrices. Where SciPy raises an exception, for a
singular matrix for example, results are NaN or infinite. Nothing is overwritten, nor looked through
for NaN: ``overwrite_a`` and ``check_finite`` change nothing.
"""

from fnad.scipy.linalg.decompositions import (
    eigh,
    eigh_tridiagonal,
    polar,
    rsf2csf,
    schur,
    svd,
)
from fnad.scipy.linalg.factorisations import hessenberg, lu, qr, qr_multiply
from fnad.scipy.linalg.functions import expm, expm_frechet
from fnad.scipy.linalg.solving import (
    cho_factor,
    cho_solve,
    cholesky,
    det,
    inv,
    lu_factor,
    lu_solve,
    solve,
    solve_sylvester,
    solve_triangular,
)
from fnad.scipy.linalg.special_matrices import (
    block_diag,
    circulant,
    companion,
    convolution_matrix,
    dft,
    fiedler,
    fiedler_companion,
    hadamard,
    hankel,
    helmert,
    hilbert,
    invhilbert,
    invpascal,
    leslie,
    pascal,
    toeplitz,
)
from fnad.scipy.linalg.spectral_functions import funm, sqrtm

__all__ = [
    "block_diag",
    "cho_factor",
    "cho_solve",
    "cholesky",
    "circulant",
    "companion",
    "convolution_matrix",
    "det",
    "dft",
    "eigh",
    "eigh_tridiagonal",
    "expm",
    "expm_frechet",
    "fiedler",
    "fiedler_companion",
    "funm",
    "hadamard",
    "hankel",
    "helmert",
    "hessenberg",
    "hilbert",
    "inv",
    "invhilbert",
    "invpascal",
    "leslie",
    "lu",
    "lu_factor",
    "lu_solve",
    "pascal",
    "polar",
    "qr",
    "qr_multiply",
    "rsf2csf",
    "schur",
    "solve",
    "solve_sylvester",
    "solve_triangular",
    "sqrtm",
    "svd",
    "toeplitz",
]
