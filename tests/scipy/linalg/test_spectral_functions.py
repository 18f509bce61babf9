"""`funm`: against exponentials, whose derivatives know no eigenvalues, SciPy, mpmath and sums."""

import mpmath
import numpy as np
import pytest
import scipy.linalg as reference

import fnad
import fnad.numpy as fnp
from fnad.scipy import linalg
from fnad.scipy.linalg.divided_differences import _divided_differences
from fnad.testing import check_grads
from tests.samples.values import normal, normal_complex
from tests.scipy.linalg.test_solving import MAKES, agree
from tests.tiers import tiered

pytestmark = pytest.mark.filterwarnings("ignore::fnad.errors.RecompilationWarning")

TURN = np.linalg.qr(normal(4, 4))[0]
SKEW = normal(4, 4) + 3 * np.eye(4)


def turned(*values):
    return TURN @ np.diag(values) @ TURN.T


def skewed(*values):
    return SKEW @ np.diag(values) @ np.linalg.inv(SKEW)


def hermitian(a):
    return (a + np.conj(np.swapaxes(a, -1, -2))) / 2


@pytest.mark.parametrize("make", MAKES)
def test_functions_of_matrices(make):
    a = make(2, 4, 4)
    run = lambda a: linalg.funm(a, fnp.exp)
    expected = np.stack([reference.expm(x) for x in a])
    agree(run, expected, a, rtol=1e-9, atol=1e-9)
    value, error = fnad.jit(lambda a: linalg.funm(a, fnp.cos, disp=False))(a)
    np.testing.assert_allclose(value[0], reference.cosm(a[0]), rtol=1e-9, atol=1e-9)
    assert error.shape == (2,) and (error < 1e-10).all()
    run = lambda a: linalg.funm(a, fnp.exp, hermitian=True)
    expected = np.stack([reference.expm(x) for x in hermitian(a)])
    agree(run, expected, a, rtol=1e-12, atol=1e-12)


def test_dtypes_of_functions_of_symmetric_matrices():
    for dtype, wide in (("f4", "c8"), ("f8", "c16"), ("c8", "c8"), ("c16", "c16")):
        a = np.eye(2, dtype=dtype)
        assert linalg.funm(a, fnp.exp, hermitian=True).dtype == dtype
        assert linalg.funm(a, lambda w: w > 0, hermitian=True).dtype == dtype
        assert linalg.funm(a, lambda w: fnp.exp(1j * w), hermitian=True).dtype == wide
        assert linalg.funm(a, fnp.exp).dtype == wide
        scaled = lambda a: linalg.funm(a, lambda w: w * np.ones(2), hermitian=True)
        assert scaled(a).dtype == np.result_type(a, float)
        assert fnad.vjp(scaled, a)[1](scaled(a))[0].dtype == dtype
    assert linalg.funm(np.eye(2, dtype=int), fnp.exp, hermitian=True).dtype == np.float64
    assert linalg.funm(np.zeros((3, 0, 0)), fnp.exp, hermitian=True).shape == (3, 0, 0)
    assert linalg.funm(np.zeros((3, 0, 0)), fnp.exp).shape == (3, 0, 0)
    with pytest.raises(ValueError, match=r"funm: func must return numbers for eigenvalues"):
        linalg.funm(np.eye(2), fnp.sum, hermitian=True)


@pytest.mark.parametrize("matrix", [2 * np.eye(4), turned(1.0, 1, 1, 2), skewed(1.0, 1, 2, 2)])
def test_matrices_with_equal_eigenvalues_and_a_basis(matrix):
    run = lambda a: linalg.funm(a, fnp.exp)
    agree(run, reference.expm(matrix), matrix, rtol=1e-12, atol=1e-12)


def test_matrices_without_a_basis():
    a = np.array([[2.0, 1], [0, 2]])
    value, error = linalg.funm(a, fnp.exp, disp=False)
    assert np.isnan(value).any() and error == np.inf
    assert np.isnan(fnad.jacfwd(lambda a: fnp.real(linalg.funm(a, fnp.exp)))(a)).any()
    # Half of the digits, or none.
    a[1, 1] += 1e-3
    slopes = fnad.jacfwd(lambda a: fnp.real(linalg.funm(a, fnp.exp)))
    np.testing.assert_allclose(slopes(a), fnad.jacfwd(linalg.expm)(a), rtol=1e-8)
    a[1, 1] = 2 + 1e-9
    assert np.isnan(slopes(a)).all()


DIAGONALISABLE = {
    "identity": (np.eye(3), True),
    "two": (turned(1.0, 1, 1, 2), True),
    "close": (turned(1.0, 1 + 1e-13, 1 + 1e-5, 2), True),
    "apart": (turned(-1.0, 0, 1, 2), True),
    "complex": (np.eye(3) + 0j, True),
    "normal": (TURN, False),
    "zero": (np.zeros((3, 3)), False),
    "skewed": (skewed(1.0, 1, 2, 2), False),
    "general": (normal(4, 4), False),
}


@tiered("name", DIAGONALISABLE, lambda name: name in ("identity", "two", "complex", "normal"))
def test_derivatives_of_every_order(name):
    a, symmetric = DIAGONALISABLE[name]
    random = normal_complex if a.dtype.kind == "c" else normal
    b, c = random(2, *a.shape)
    along = lambda s: a + s * b + s * s * c
    direct = lambda s: linalg.expm(hermitian(along(s)) if symmetric else along(s))
    run = lambda s: linalg.funm(along(s), fnp.exp, hermitian=symmetric)
    for _ in range(3):
        run, direct = ((lambda s, f=f: fnad.jvp(f, (s,), (1.0,))[1]) for f in (run, direct))
        expected = direct(0.0)
        for f in (run, fnad.jit(run)) if symmetric or name == "zero" else (run,):
            np.testing.assert_allclose(f(0.0), expected, rtol=0, atol=1e-11 * abs(expected).max())


@tiered(
    "name",
    [name for name in DIAGONALISABLE if name != "complex"],
    lambda name: name in ("two", "apart"),
)
def test_gradients_and_hessians(name):
    a, symmetric = DIAGONALISABLE[name]
    weights = normal(*a.shape)
    direct = lambda a: fnp.sum(weights * linalg.expm(hermitian(a) if symmetric else a))
    run = lambda a: fnp.sum(weights * fnp.real(linalg.funm(a, fnp.exp, hermitian=symmetric)))
    slopes, bends = fnad.jacfwd(direct)(a), fnad.jacfwd(fnad.jacfwd(direct))(a)
    for transform in (lambda f: f, fnad.jit):
        close = lambda x, y: np.testing.assert_allclose(x, y, rtol=0, atol=1e-11 * abs(y).max())
        close(transform(fnad.grad(run))(a), slopes)
        close(transform(fnad.hessian(run))(a), bends)
        close(transform(fnad.jacrev(fnad.jacrev(run)))(a), bends)
        stack = np.stack([a, a.T])
        close(transform(fnad.vmap(fnad.grad(run)))(stack)[0], slopes)
        close(transform(fnad.grad(lambda s: run(s[0])))(stack)[0], slopes)


def test_complex_gradients():
    a = np.diag([1.0, 1.0, 2.0]) + 0j
    run = lambda a: fnp.sum(fnp.abs(linalg.funm(a, fnp.exp, hermitian=True)) ** 2)
    direct = lambda a: fnp.sum(fnp.abs(linalg.expm(hermitian(a))) ** 2)
    for f in (fnad.grad, lambda f: fnad.jit(fnad.grad(f))):
        np.testing.assert_allclose(f(run)(a), fnad.grad(direct)(a), rtol=1e-13)
    wave = lambda a: fnp.sum(
        normal(3, 3) * fnp.imag(linalg.funm(a, lambda w: fnp.exp(1j * w), hermitian=True))
    )
    direct = lambda a: fnp.sum(normal(3, 3) * fnp.imag(linalg.expm(1j * hermitian(a))))
    real = np.diag([1.0, 1.0, 2.0])
    for f in (fnad.grad(wave), fnad.jit(fnad.grad(wave))):
        got = f(real)
        assert got.dtype == np.float64
        np.testing.assert_allclose(got, fnad.grad(direct)(real), rtol=1e-12, atol=1e-13)


def test_sums_over_equal_eigenvalues():
    # Of sum(w ** 4) = tr(A⁴), where the Hessian of eigenvalues is NaN.
    a = np.eye(3)
    sums = lambda a: fnp.trace(linalg.funm(a, lambda w: w**4, hermitian=True))
    powers = lambda a: fnp.trace(hermitian(a) @ hermitian(a) @ hermitian(a) @ hermitian(a))
    np.testing.assert_allclose(fnad.hessian(sums)(a), fnad.hessian(powers)(a), atol=1e-12)
    values = lambda a: fnp.sum(fnp.linalg.eigvalsh(a) ** 4)
    np.testing.assert_allclose(fnad.grad(values)(a), fnad.grad(sums)(a), atol=1e-12)
    assert np.isnan(fnad.hessian(values)(a)).any()


def test_functions_with_kinks_and_poles():
    # max(A, 0) is not smooth, but has its derivative at regular matrices.
    a = turned(-1.0, -1.0, -0.01, 1.0)
    part = lambda a: linalg.funm(a, lambda w: fnp.maximum(w, 0), hermitian=True)
    sign = lambda a: fnp.real(linalg.sqrtm(hermitian(a) @ hermitian(a)))
    direct = lambda a: (hermitian(a) + sign(a)) / 2
    np.testing.assert_allclose(fnad.jit(fnad.jacrev(part))(a), fnad.jacfwd(direct)(a), atol=1e-11)
    inverse = lambda a: linalg.funm(a, lambda w: 1 / w, hermitian=True)
    direct = lambda a: fnp.linalg.inv(hermitian(a))
    for order in (fnad.jacfwd, lambda f: fnad.hessian(f)):
        got, expected = fnad.jit(order(inverse))(a), order(direct)(a)
        np.testing.assert_allclose(got, expected, rtol=0, atol=1e-11 * abs(expected).max())
    # A root has no derivative at zero.
    root = lambda a: linalg.funm(a, fnp.sqrt, hermitian=True)
    assert not np.isfinite(fnad.jacfwd(root)(np.zeros((2, 2)))).any()


def test_values_that_the_function_closes_over():
    matrix = turned(1.0, 1, 2, 3)
    run = lambda t, a: linalg.funm(a, lambda w: fnp.exp(-t * w), hermitian=True)
    direct = lambda t, a: linalg.expm(-t * hermitian(a))
    close = lambda x, y: np.testing.assert_allclose(x, y, rtol=0, atol=1e-12)
    for first in (fnad.jacfwd, fnad.jacrev):
        for i in (0, 1):
            close(fnad.jit(first(run, i))(0.7, matrix), fnad.jacfwd(direct, i)(0.7, matrix))
            for j in (0, 1):
                if (first, i, j) == (fnad.jacrev, 0, 1):
                    continue  # NaN, as its docstring says.
                expected = fnad.jacfwd(fnad.jacfwd(direct, i), j)(0.7, matrix)
                close(fnad.jacfwd(first(run, i), j)(0.7, matrix), expected)
    general = lambda t: fnp.real(linalg.funm(matrix, lambda w: fnp.exp(-t * w)))
    for first in (fnad.jacfwd, fnad.jacrev):
        close(fnad.jit(first(general))(0.7), fnad.jacfwd(direct)(0.7, matrix))


@pytest.mark.parametrize(
    ("function", "exact"),
    [
        (fnp.exp, mpmath.exp),
        (fnp.log, mpmath.log),
        (lambda x: fnp.exp(100 * x), lambda x: mpmath.exp(100 * x)),
        (lambda x: fnp.sin(1000 * x), lambda x: mpmath.sin(1000 * x)),
    ],
)
@pytest.mark.parametrize("order", [1, 2])
def test_divided_differences(function, exact, order):
    def divided(points):
        points = sorted(points)
        if points[0] == points[-1]:
            count = len(points) - 1
            return mpmath.diff(exact, points[0], count) / mpmath.factorial(count)
        return (divided(points[1:]) - divided(points[:-1])) / (points[-1] - points[0])

    for distance in (0, 1e-14, 1e-9, 1e-5, 1e-3, 1e-2, 0.1, 1):
        w = 1 + distance * np.array([0, 0.3, 1])
        run = lambda w: _divided_differences(lambda x: (function(x),) * 2, w, order)
        got = fnad.jit(run)(w)
        for i in np.ndindex(*got.shape):
            with mpmath.workdps(60):
                expected = float(divided([mpmath.mpf(w[k]) for k in i]))
            np.testing.assert_allclose(got[i], expected, rtol=1e-11)


def test_derivatives_against_differences():
    a = hermitian(normal(3, 3)) + 4 * np.eye(3)
    check_grads(lambda a: linalg.funm(a, fnp.log, hermitian=True), (a,), order=2)
    check_grads(lambda a: fnp.real(linalg.funm(a, fnp.log)), (4 * np.eye(2) + a[:2, :2],), order=2)
