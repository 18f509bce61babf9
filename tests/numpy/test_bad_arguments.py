"""Arguments that mean nothing are errors, in NumPy's words or clearer ones, never a number."""

import numpy as np
import pytest

import fnad
import fnad.numpy as fnp

X = np.arange(6.0).reshape(2, 3)
V = np.arange(5.0)

CASES = {
    "initial": (lambda x: fnp.sum(x, initial=np.ones(3)), "sum: initial must be a scalar"),
    "initial of max": (lambda x: fnp.max(x, initial=np.ones(3)), "max: initial must be a scalar"),
    "take": (lambda x: fnp.take(x, 0, mode="foo"), "mode must be one of"),
    "sort": (lambda x: fnp.sort(x, kind="foo"), "sort: kind must be one of"),
    "sort twice": (lambda x: fnp.sort(x, kind="stable", stable=True), "kind or stable, not both"),
    "pad": (lambda x: fnp.pad(x, 1, "reflect", stat_length=2), "stat_length= is for mode"),
    "interp": (lambda x: fnp.interp(x, V, V, period=0), "period must not be 0"),
    "fftn": (lambda x: fnp.fft.fftn(x, (1, 2, 3)), "3 lengths"),
    "roll": (lambda x: fnp.roll(x, (1, 2), (0, 1, 0)), "roll: 2 shifts"),
    "roll by matrices": (lambda x: fnp.roll(x, np.ones((2, 2), int)), "shift must be a number or"),
    "fftshift": (lambda x: fnp.fft.fftshift(x, 5), "axis 5 is out of bounds"),
    "tensordot": (lambda x: fnp.tensordot(x, x, 5), "tensordot: 5 axes to sum over"),
    "range": (lambda x: fnp.histogram(x, range=3), "range must be a pair"),
    "split": (lambda x: fnp.split(x, 0), "at least one section"),
    "trim_zeros": (lambda x: fnp.trim_zeros(V, "x"), "trim must be"),
    "cov": (lambda x: fnp.cov(x, fweights=[-1, 1, 1]), "fweights must not be negative"),
    "var": (lambda x: fnp.var(x, ddof=1, correction=2), "two names of one thing"),
    "eye": (lambda x: x @ fnp.zeros((3, -1)), "negative"),
    "indices": (lambda x: fnp.indices((2, -1)), "negative"),
    "repeat": (lambda x: fnp.repeat(x, -1), "negative"),
    "tile": (lambda x: fnp.tile(x, -1), "negative"),
    "vander": (fnp.vander, "vander: x must have one axis"),
    "linalg.outer": (lambda x: fnp.linalg.outer(x, V), "linalg.outer: takes arrays of one axis"),
}


@pytest.mark.parametrize("case", CASES)
def test_values(case):
    function, words = CASES[case]
    for form in (function, fnad.jit(function)):
        with pytest.raises(ValueError, match=words):
            form(X)


def test_types():
    for function in (lambda x: fnp.round(x, 1.5), lambda x: fnp.cov(x, ddof=0.5)):
        with pytest.raises(TypeError, match="integer"):
            function(X)
    with pytest.raises(TypeError, match="a Python number has no dtype, got 3"):
        fnp.can_cast(3, "i4")
    for make in (fnp.array, fnp.asarray):
        with pytest.raises(OverflowError, match="300 out of bounds for uint8"):
            make([1, 300], dtype="u1")


@pytest.mark.parametrize("transform", [fnad.vmap, fnad.jit, lambda f: f])
def test_integers_of_more_bits_than_there_are(transform):
    with pytest.raises(OverflowError, match=f"{2**70} out of bounds for int64, the dtype of the"):
        transform(lambda x: fnp.add(x, 2**70))(np.arange(3))


AXES = {
    "argmax": lambda x: fnp.argmax(x, (0, 1)),
    "nanargmin": lambda x: fnp.nanargmin(x, (-1,)),
    "expand_dims": lambda x: fnp.expand_dims(x, None),
    "moveaxis": lambda x: fnp.moveaxis(x, 0, None),
    "tensordot": lambda x: fnp.tensordot(x, x, axes=(None, None)),
}


@pytest.mark.parametrize("name", AXES)
def test_what_is_no_axis(name):
    for form in (AXES[name], fnad.jit(AXES[name])):
        with pytest.raises(TypeError, match="cannot be interpreted as an integer"):
            form(X)


def test_dtypes_that_would_lose_what_was_given():
    for x, xp in ((1j, V), (1.0, V + 1j)):
        with pytest.raises(TypeError, match=r"interp: xp? must be real, got complex128"):
            fnp.interp(x, xp, V)
    with pytest.raises(TypeError, match="to_end has dtype float64, which is not"):
        fnp.ediff1d(np.int8([1, 2]), to_end=[1.5])


def test_the_name_in_an_error_is_that_of_the_function():
    with pytest.raises(ValueError, match=r"^extract: a condition of length 6"):
        fnp.extract(X > 0, V)
    with pytest.raises(TypeError, match=r"^choose: traced indices"):
        fnad.jit(lambda i: fnp.choose(i, [1, 2]))(np.array([0, 1]))


def test_sizes_along_axes_and_characteristic_polynomials():
    assert fnp.size(X, (0, 1)) == 6 and fnp.size(X, ()) == 1
    a = X[:, :2]
    np.testing.assert_allclose(fnp.poly(a), np.poly(a), atol=1e-14)
    np.testing.assert_allclose(fnad.jit(fnp.poly)(a), np.poly(a), atol=1e-14)
