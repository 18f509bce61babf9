"""`fnad.scipy.ndimage.map_coordinates` against SciPy's, where that is exact."""

import numpy as np
import pytest
import scipy.ndimage

import fnad
from fnad.scipy.ndimage import map_coordinates
from fnad.testing import check_grads
from tests.samples.values import normal, normal_complex, uniform

# JAX's names, which are ours, and SciPy's.
MODES = {
    "constant": "grid-constant",
    "nearest": "nearest",
    "mirror": "mirror",
    "reflect": "grid-mirror",
    "wrap": "grid-wrap",
}
PADS = {"constant": "constant", "nearest": "edge", "reflect": "symmetric"}


def places(shape, count=30, seed=0):
    return [uniform(-2 * n - 3, 3 * n + 3, count, seed=seed + k) for k, n in enumerate(shape)]


def reference(x, coordinates, order, mode, cval=0.0, prefilter=True):
    """SciPy's result; where it only approximates the spline at the edges, far from them."""
    where = 0
    if order > 1 and prefilter and mode in PADS:
        where = 50 * max(x.shape)  # periods, mostly
        options = {"constant_values": cval} if mode == "constant" else {}
        x = np.pad(x, where, PADS[mode], **options)
        coordinates = [c + where for c in coordinates]
    return scipy.ndimage.map_coordinates(
        x, coordinates, order=order, mode=MODES[mode], cval=cval, prefilter=prefilter
    )


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("order", range(6))
@pytest.mark.parametrize("shape", [(9,), (4, 5), (1,), (2,)], ids=str)
def test_as_scipys(shape, order, mode):
    x = normal(*shape)
    where = places(shape)
    for prefilter in (True, False):
        found = map_coordinates(x, where, order, mode, 1.5, prefilter)
        expected = reference(x, where, order, mode, 1.5, prefilter)
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-13)
    assert map_coordinates(x, where, order, MODES[mode]).tolist() == (
        map_coordinates(x, where, order, mode).tolist()
    )


@pytest.mark.parametrize("order", range(6))
@pytest.mark.parametrize("mode", MODES)
def test_splines_go_through_the_elements(order, mode):
    x = normal(6, 5)
    found = map_coordinates(x, np.indices(x.shape), order, mode, cval=2.0)
    np.testing.assert_allclose(found, x, rtol=0, atol=3e-14)


@pytest.mark.parametrize("order", [0, 1, 3])
@pytest.mark.parametrize("dtype", ["int32", "float32", "complex128", "bool", "float16"])
def test_dtypes(order, dtype):
    x = normal_complex(5, 4) if dtype == "complex128" else (9 * normal(5, 4)).astype(dtype)
    where = [np.array([1.25, 3.0]), np.array([0.75, 2.0])]
    found = map_coordinates(x, where, order, "mirror")
    assert found.dtype == x.dtype
    if dtype != "bool":
        wide = x if dtype == "complex128" else x.astype(float)
        expected = scipy.ndimage.map_coordinates(wide, where, order=order, mode="mirror")
        expected = np.round(expected) if dtype == "int32" else expected
        tolerance = 1e-3 if dtype == "float16" else 1e-5
        np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance)


def test_elements_that_are_taken_keep_all_digits():
    x = np.array([2**62 + 1, -(2**62) - 1])
    np.testing.assert_array_equal(map_coordinates(x, [[0.2, 0.8, 3]], 0, cval=2), [x[0], x[1], 2])


@pytest.mark.parametrize("order", [1, 2, 3])
def test_transformed(order):
    x, where = normal(2, 4, 5), np.stack(places((4, 5), 6))

    def f(x, where):
        return map_coordinates(x, where, order, "reflect")

    expected = np.stack([f(image, where) for image in x])
    np.testing.assert_allclose(fnad.vmap(f, (0, None))(x, where), expected, atol=1e-14)
    batched = fnad.jit(fnad.vmap(f, (0, None)))
    np.testing.assert_allclose(batched(x, where), expected, atol=1e-13)
    of_places = fnad.jit(lambda where: f(x[0], where))
    np.testing.assert_allclose(of_places(where), expected[0], atol=1e-13)
    check_grads(lambda x, where: (f(x, where) ** 2).sum(), (x[0], where), order=1)


@pytest.mark.parametrize("order", [0, 1, 3])
def test_nothing_is_known_at_nan(order):
    coordinates = [np.array([np.nan, 1.0, 1.0]), np.array([0.0, np.nan, 1.0])]
    image = np.arange(12.0).reshape(3, 4)
    got = map_coordinates(image, coordinates, order, mode="nearest")
    np.testing.assert_allclose(got, [np.nan, np.nan, 5.0], rtol=1e-14)


def test_coordinates_are_integers_or_nested_lists():
    x = normal(4, 5)
    np.testing.assert_allclose(map_coordinates(x, [[1, 2], [3, 4]], 1), x[[1, 2], [3, 4]])
    assert map_coordinates(x, [1.0, 2.0], 1) == x[1, 2]


def test_bad_arguments_are_refused():
    x = normal(4, 5)
    with pytest.raises(ValueError, match="order must be 0 to 5, got 6"):
        map_coordinates(x, [[0], [0]], 6)
    with pytest.raises(ValueError, match="mode must be one of 'constant'"):
        map_coordinates(x, [[0], [0]], 1, "edge")
    with pytest.raises(ValueError, match="rank 2 needs as many coordinates, got 1"):
        map_coordinates(x, [[0]], 1)
    with pytest.raises(ValueError, match="has no elements"):
        map_coordinates(x[:0], [[0], [0]], 1)


@pytest.mark.parametrize("order", range(6))
def test_far_away_are_the_limits_or_nothing(order):
    x = np.arange(1.0, 6.0)
    far = [np.array([-np.inf, -1e300, 2.0**63, np.inf])]
    for mode, expected in (("constant", [7, 7, 7, 7]), ("nearest", [1, 1, 5, 5])):
        got = map_coordinates(x, far, order, mode=mode, cval=7.0)
        np.testing.assert_allclose(got, expected, rtol=1e-14)
    for mode in ("mirror", "reflect", "wrap"):
        assert np.isnan(map_coordinates(x, far, order, mode=mode)).all()


def test_what_fits_not_is_refused():
    x, at = np.ones((2, 3)), [[0.5], [0.5]]
    for cval in (1j, np.ones(2)):
        with pytest.raises(TypeError, match="cval must be a scalar that goes with"):
            map_coordinates(x, at, 1, cval=cval)
    with pytest.raises(TypeError, match="coordinates must be real"):
        map_coordinates(x, np.ones((2, 1)) * 1j, 1)
    with pytest.raises(ValueError, match=r"order must be 0 to 5, got 1\.0"):
        map_coordinates(x, at, 1.0)


@pytest.mark.parametrize("mode", ["mirror", "reflect", "grid-mirror", "nearest"])
@pytest.mark.parametrize("size", [1, 2, 5])
def test_between_two_elements_the_same_is_nearest_as_in_scipy(mode, size):
    x, places = np.arange(1.0, size + 1), np.arange(-31, 41) * 0.5
    expected = scipy.ndimage.map_coordinates(x, [places], order=0, mode=mode)
    nearest = lambda x, places: map_coordinates(x, [places], 0, mode)
    for run in (nearest, fnad.jit(nearest)):
        np.testing.assert_array_equal(run(x, places), expected)
