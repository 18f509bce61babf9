"""Factorisations and solutions of stacks of matrices, real, in single or double precision.

Each primitive works on the last two axes. Evaluation and compiled code call the same functions of
SciPy's LAPACK and BLAS with the same arguments. Where LAPACK says that it failed, the matrix in
question is NaN, as in JAX: an exception could not come out of compiled code.
"""
