"""Matrices with a structure: SciPy's, compiled, with derivatives."""

import numpy as np
import pytest
import scipy.linalg as reference

import fnad
from fnad.scipy import linalg
from fnad.testing import check_grads
from tests.samples.values import normal, normal_complex

pytestmark = pytest.mark.filterwarnings("ignore::fnad.errors.RecompilationWarning")


ROWS = [
    ("toeplitz", (normal(4),)),
    ("toeplitz", (normal_complex(3),)),
    ("toeplitz", (np.arange(3), normal(2))),
    ("hankel", (normal(4),)),
    ("hankel", (np.arange(3), np.arange(4))),
    ("circulant", (normal(4),)),
    ("leslie", (normal(4), normal(3))),
    ("companion", (normal(5),)),
    ("companion", (np.arange(1, 4),)),
    ("fiedler", (normal(4),)),
    *[("fiedler_companion", (normal(n),)) for n in (2, 3, 4, 5, 6, 7)],
    ("block_diag", (normal(2, 3), normal(2), 3.0, np.ones((0, 2)))),
    ("block_diag", ()),
]


@pytest.mark.parametrize(("name", "args"), ROWS)
def test_structured_matrices(name, args):
    function, expected = getattr(linalg, name), getattr(reference, name)(*args)
    for f in (function, fnad.jit(function)):
        got = f(*args)
        np.testing.assert_allclose(got, expected, rtol=1e-14)
        assert got.dtype == expected.dtype
    floats = tuple(np.asarray(x, np.result_type(x, float)) for x in args)
    if floats:
        check_grads(function, floats, order=1)
    if name != "block_diag":
        stacked = function(*(np.stack([x, 2 * x]) for x in floats))
        twice = getattr(reference, name)(*(2 * x for x in floats))
        np.testing.assert_allclose(stacked[1], twice, rtol=1e-14)


@pytest.mark.parametrize("mode", ["full", "same", "valid"])
@pytest.mark.parametrize(("m", "n"), [(3, 5), (5, 3), (1, 1), (2, 4), (4, 1)])
def test_convolution_matrices(mode, m, n):
    a = normal(m)
    got = fnad.jit(linalg.convolution_matrix, static_argnums=(1, 2))(a, n, mode)
    np.testing.assert_array_equal(got, reference.convolution_matrix(a, n, mode))


@pytest.mark.parametrize(
    ("name", "args"),
    [
        ("hilbert", (4,)),
        ("invhilbert", (4,)),
        ("pascal", (4,)),
        ("pascal", (4, "lower")),
        ("invpascal", (4,)),
        ("invpascal", (4, "upper")),
        ("hadamard", (4,)),
        ("hadamard", (4, np.float32)),
        ("helmert", (4,)),
        ("helmert", (4, True)),
        ("dft", (4,)),
        ("dft", (4, "sqrtn")),
    ],
)
def test_matrices_with_a_name(name, args):
    got, expected = getattr(linalg, name)(*args), getattr(reference, name)(*args)
    np.testing.assert_allclose(got, expected, rtol=1e-15)
    assert got.dtype == (np.float64 if "pascal" in name else expected.dtype)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda: linalg.block_diag(np.ones((1, 2, 3))), "of up to two axes"),
        (lambda: linalg.leslie(np.ones(3), np.ones(3)), "needs fecundities"),
        (lambda: linalg.companion([1.0]), "at least two coefficients"),
        (lambda: linalg.fiedler_companion([1.0]), "at least two coefficients"),
        (lambda: linalg.convolution_matrix([1.0], 0), "n at least 1"),
        (lambda: linalg.convolution_matrix([1.0], 2, "most"), "mode must be"),
    ],
)
def test_errors(function, message):
    with pytest.raises(ValueError, match=message):
        function()


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda: linalg.hilbert(2.5), r"hilbert: n must be an integer, got 2\.5"),
        (
            lambda: linalg.convolution_matrix([1, 2], 2.5),
            "convolution_matrix: n must be an integer",
        ),
        (lambda: linalg.hadamard(3), "hadamard: .* power of 2"),
        (lambda: linalg.pascal(3, "full"), "pascal: kind must be .* 'full'"),
    ],
)
def test_errors_name_the_matrix(function, message):
    with pytest.raises((TypeError, ValueError), match=message):
        function()
