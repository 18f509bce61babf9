"""Convolution and correlation against SciPy's."""

import numpy as np
import pytest
import scipy.signal

import fnad
import fnad.scipy.signal as signal
from fnad.testing import check_grads
from tests.samples.values import normal, normal_complex

MODES = ["full", "same", "valid"]
# One covers the other, either way; even and odd; and neither.
SHAPES = [
    *[((5,), (3,)), ((3,), (5,)), ((4,), (2,)), ((4,), (4,)), ((2,), (5,))],
    *[((4, 5), (2, 3)), ((2, 3), (4, 5)), ((4, 2), (3, 5)), ((3, 4, 2), (2, 2, 1)), ((), ())],
]


def operands(shapes, dtype):
    if dtype == "complex128":
        return tuple(normal_complex(*shape, seed=k) for k, shape in enumerate(shapes))
    return tuple(np.asarray(10 * normal(*s, seed=k)).astype(dtype) for k, s in enumerate(shapes))


def assert_same(ours, theirs):
    """The same result, or an error of both."""
    try:
        expected = theirs()
    except ValueError:
        with pytest.raises(ValueError, match="at least as large as the other"):
            ours()
        return
    found = ours()
    assert found.dtype == expected.dtype
    assert np.shape(found) == np.shape(expected)
    tolerance = 1e-4 if expected.dtype == np.float32 else 1e-11
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance)


@pytest.mark.parametrize("dtype", ["float64", "float32", "int64", "complex128"])
@pytest.mark.parametrize("shapes", SHAPES, ids=str)
def test_as_scipys(shapes, dtype):
    x, y = operands(shapes, dtype)
    for mode in MODES:
        for name in ("convolve", "correlate"):
            for method in ("direct", "fft"):
                ours, theirs = getattr(signal, name), getattr(scipy.signal, name)
                assert_same(lambda: ours(x, y, mode, method), lambda: theirs(x, y, mode, method))  # noqa: B023
        assert_same(
            lambda: signal.fftconvolve(x, y, mode),  # noqa: B023
            lambda: scipy.signal.fftconvolve(x, y, mode),  # noqa: B023
        )


@pytest.mark.parametrize("boundary", ["fill", "wrap", "symm"])
@pytest.mark.parametrize("name", ["convolve2d", "correlate2d"])
def test_matrices_as_scipys(name, boundary):
    ours, theirs = getattr(signal, name), getattr(scipy.signal, name)
    for shapes in SHAPES[5:8]:
        for dtype in ("float64", "int64", "complex128"):
            x, y = operands(shapes, dtype)
            for mode in MODES:
                assert_same(
                    lambda: ours(x, y, mode, boundary, 2),  # noqa: B023
                    lambda: theirs(x, y, mode, boundary, 2),  # noqa: B023
                )


def test_some_axes_and_broadcasting():
    x, y = normal(3, 4, 5), normal(1, 4, 3)
    for mode in MODES:
        found = signal.fftconvolve(x, y, mode, axes=-1)
        np.testing.assert_allclose(found, scipy.signal.fftconvolve(x, y, mode, axes=-1), atol=1e-13)
    y = y[..., :1]
    np.testing.assert_array_equal(signal.fftconvolve(x, y, axes=()), x * y)


def test_booleans_are_or_ed():
    x, y = normal(6) > 0, normal(3) > 0
    np.testing.assert_array_equal(signal.convolve(x, y), np.convolve(x, y))


def test_the_way_is_chosen_by_size():
    long, short = normal(4000), normal(4000, seed=1)
    program = str(fnad.make_jaxpr(signal.convolve)(long, short))
    assert "fft" in program
    assert "fft" not in str(fnad.make_jaxpr(signal.convolve)(long, short[:5]))
    assert "fft" not in str(fnad.make_jaxpr(signal.convolve)(long.astype(int), short.astype(int)))
    np.testing.assert_allclose(
        fnad.jit(signal.convolve)(long, short), np.convolve(long, short), atol=1e-11
    )


@pytest.mark.parametrize("method", ["direct", "fft"])
def test_transformed(method):
    x, y = normal(3, 7), normal(3, 4)

    def f(x, y):
        return signal.correlate(x, y, "same", method)

    rows = np.stack([f(a, b) for a, b in zip(x, y)])
    np.testing.assert_allclose(fnad.vmap(f)(x, y), rows, atol=1e-13)
    np.testing.assert_allclose(fnad.jit(fnad.vmap(f))(x, y), rows, atol=1e-13)
    check_grads(lambda a, b: (f(a, b) ** 2).sum(), (x[0], y[0]), order=2)
    matrix = normal(4, 5)
    check_grads(lambda a: signal.convolve2d(a, y, "same", "symm").sum(), (matrix,), order=1)


def test_bad_arguments_are_refused():
    x, y = normal(4), normal(2, 2)
    with pytest.raises(ValueError, match=r"must be of equal rank, got shapes \(4,\) and \(2, 2\)"):
        signal.convolve(x, y)
    with pytest.raises(ValueError, match="both of rank 2"):
        signal.convolve2d(x, x)
    with pytest.raises(ValueError, match="must not be empty"):
        signal.correlate(x, x[:0])
    with pytest.raises(ValueError, match="mode must be"):
        signal.fftconvolve(x, x, "half")
    with pytest.raises(ValueError, match="method must be"):
        signal.convolve(x, x, "full", "slow")
    with pytest.raises(ValueError, match="boundary must be one of 'fill', 'wrap', 'symm'"):
        signal.correlate2d(y, y, boundary="reflect")
