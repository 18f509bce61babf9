"""`fnad.numpy.fft` against `numpy.fft`: values, dtypes, arguments, derivatives, batches."""

import inspect

import numpy as np
import pytest

import fnad
import fnad.numpy as fnp
from fnad.testing import check_grads
from tests.numpy.helpers import run_traced
from tests.samples.values import normal, normal_complex

ONE_AXIS = ["fft", "ifft", "rfft", "irfft", "hfft", "ihfft"]
MANY_AXES = ["fft2", "ifft2", "rfft2", "irfft2", "fftn", "ifftn", "rfftn", "irfftn"]
OF_REAL = {"rfft", "ihfft", "rfft2", "rfftn"}


def operand(name, *shape):
    return normal(*shape) if name in OF_REAL else normal_complex(*shape)


def assert_close(actual, expected):
    assert actual.dtype == expected.dtype
    assert actual.shape == expected.shape
    # Sums in another order; of 16 bits, NumPy rounds twice.
    tolerance = {2: 1e-3, 4: 1e-6, 8: 1e-13}[expected.real.itemsize]
    scale = np.abs(expected).max(initial=1.0)
    np.testing.assert_allclose(actual, expected, rtol=0, atol=tolerance * scale)


@pytest.mark.parametrize("name", ONE_AXIS)
@pytest.mark.parametrize("norm", [None, "backward", "ortho", "forward"])
@pytest.mark.parametrize("n", [None, 1, 4, 5, 9, 12])
def test_one_axis(name, norm, n):
    x = operand(name, 3, 6, 2)
    for axis in (1, -3):
        found = getattr(fnp.fft, name)(x, n, axis, norm)
        assert_close(found, getattr(np.fft, name)(x, n, axis, norm))


@pytest.mark.parametrize("name", MANY_AXES)
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"norm": "ortho"},
        {"norm": "forward", "axes": (0, 1)},
        {"s": (3, 7), "axes": (2, 0)},
        {"s": (5, -1), "axes": (0, -1)},
        {"s": (6, 3), "axes": (1, 1)},
        {"axes": (1, 1)},
    ],
    ids=str,
)
def test_several_axes(name, options):
    x = operand(name, 3, 4, 5)
    if name.startswith("ir") and "s" in options and options.get("axes") == (1, 1):
        options = {"s": (4, 3), "axes": (1, 1)}
    assert_close(getattr(fnp.fft, name)(x, **options), getattr(np.fft, name)(x, **options))


@pytest.mark.parametrize("dtype", ["bool", "int8", "int64", "uint16", "float16", "float32"])
@pytest.mark.parametrize("name", [*ONE_AXIS, *MANY_AXES])
def test_dtypes_are_numpys(name, dtype):
    x = (10 * normal(4, 4)).astype(dtype)
    assert_close(getattr(fnp.fft, name)(x), getattr(np.fft, name)(x))


def test_single_precision_stays_single():
    z = normal_complex(6).astype(np.complex64)
    assert fnp.fft.fft(z).dtype == np.complex64
    assert fnp.fft.irfft(z, norm="ortho").dtype == np.float32
    assert fnp.fft.rfft(z.real.astype(fnp.bfloat16)).dtype == np.complex64


def test_without_axes_nothing_is_done():
    z = normal_complex(2, 3)
    assert_close(fnp.fft.fftn(z, axes=()), np.fft.fftn(z, axes=()))


@pytest.mark.parametrize("name", [*ONE_AXIS, *MANY_AXES])
def test_signatures_are_numpys(name):
    ours = list(inspect.signature(getattr(fnp.fft, name)).parameters.values())
    theirs = inspect.signature(getattr(np.fft, name)).parameters
    assert [(p.name, p.default) for p in ours] == [
        (p.name, p.default) for p in theirs.values() if p.name != "out"
    ]


def test_all_of_numpys_names_are_there():
    assert set(fnp.fft.__all__) == set(np.fft.__all__)


@pytest.mark.parametrize("name", [*ONE_AXIS, *MANY_AXES])
def test_compiled_as_evaluated(name):
    f = getattr(fnp.fft, name)
    x = operand(name, 2, 3, 8)
    assert_close(fnad.jit(f)(x), f(x))
    assert_close(run_traced(f, x), f(x))


@pytest.mark.parametrize("name", [*ONE_AXIS, "rfft2", "irfftn"])
def test_derivatives(name):
    f = getattr(fnp.fft, name)
    x = operand(name, 3, 5)
    weights = normal_complex(*f(x).shape, seed=7)

    def energy(x):
        return (fnp.real(f(x) * weights) ** 2).sum()

    check_grads(energy, (x,), order=2)
    np.testing.assert_allclose(fnad.jit(fnad.grad(energy))(x), fnad.grad(energy)(x), rtol=1e-11)


@pytest.mark.parametrize("name", [*ONE_AXIS, "fftn", "irfft2"])
@pytest.mark.parametrize("n", [6, 7])
def test_cotangents_are_jaxs(name, n):
    jax = pytest.importorskip("jax")
    with jax.enable_x64(True):
        x = operand(name, 4, n)
        out, pull = fnad.vjp(getattr(fnp.fft, name), x)
        theirs, jax_pull = jax.vjp(getattr(jax.numpy.fft, name), x)
        ct = operand("fft" if np.iscomplexobj(out) else "rfft", *out.shape)
        assert_close(out, np.asarray(theirs))
        assert_close(pull(ct)[0], np.asarray(jax_pull(ct)[0]))


@pytest.mark.parametrize("name", ["fft", "irfft", "rfftn"])
def test_batches(name):
    f = getattr(fnp.fft, name)
    x = operand(name, 4, 5, 6)
    for axis in (0, 2):
        expected = np.stack([f(row) for row in np.moveaxis(x, axis, 0)])
        assert_close(fnad.vmap(f, axis)(x), expected)
    assert_close(fnad.jit(fnad.vmap(f))(x), fnad.vmap(f)(x))


def test_arrays_without_elements():
    assert fnp.fft.fft(np.zeros((0, 4))).shape == (0, 4)
    assert fnad.jit(fnp.fft.rfft2)(np.zeros((0, 4, 6))).shape == (0, 4, 4)
    assert_close(fnp.fft.fft(np.zeros((2, 0)), 3), np.fft.fft(np.zeros((2, 0)), 3))
    with pytest.raises(ValueError, match=r"fft.fft: invalid number of data points \(0\)"):
        fnp.fft.fft(np.zeros((2, 0)))
    with pytest.raises(ValueError, match=r"fft.irfft: invalid number of data points \(0\)"):
        fnp.fft.irfft(np.zeros((2, 1)))


def test_bad_arguments_are_refused():
    z = normal_complex(2, 3)
    with pytest.raises(ValueError, match="invalid norm 'unit': it should be"):
        fnp.fft.fft(z, norm="unit")
    with pytest.raises(TypeError, match=r"fft\.rfft is of real numbers, but got an array of dtype"):
        fnp.fft.rfft(z)
    with pytest.raises(ValueError, match="must have an axis to transform, it is a scalar"):
        fnp.fft.ifft(1.0)
    with pytest.raises(ValueError, match="axis 2 is out of bounds"):
        fnp.fft.fft(z, axis=2)
    with pytest.raises(ValueError, match=r"1 lengths s=\(3,\) for the axes \(0, 1\)"):
        fnp.fft.fftn(z, (3,), (0, 1))
    with pytest.raises(ValueError, match="at least one axis must be transformed"):
        fnp.fft.rfftn(z.real, axes=())


@pytest.mark.parametrize("n", [1, 2, 5, 8])
def test_frequencies(n):
    for d in (1.0, 0.25, 3):
        assert_close(fnp.fft.fftfreq(n, d), np.fft.fftfreq(n, d))
        assert_close(fnp.fft.rfftfreq(n, d), np.fft.rfftfreq(n, d))
    assert fnp.fft.fftfreq(n, dtype=np.float32).dtype == np.float32
    assert_close(fnad.jit(lambda d: fnp.fft.fftfreq(n, d))(0.5), np.fft.fftfreq(n, 0.5))
    with pytest.raises(ValueError, match="n must be a positive integer, got 0"):
        fnp.fft.rfftfreq(0)


@pytest.mark.parametrize("axes", [None, 0, np.int64(1), (1,), (0, -1), (1, -1)])
def test_shifts(axes):
    x = np.arange(30).reshape(5, 6)
    for name in ("fftshift", "ifftshift"):
        assert_close(getattr(fnp.fft, name)(x, axes), getattr(np.fft, name)(x, axes))
    assert_close(fnp.fft.ifftshift(fnad.jit(lambda x: fnp.fft.fftshift(x, axes))(x), axes), x)
