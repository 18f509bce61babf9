"""`fnp.pad` in every mode against NumPy, eagerly, traced, batched and differentiated."""

import numpy as np
import pytest

import fnad
import fnad.numpy as fnp
from fnad.testing import check_grads
from tests.numpy.helpers import assert_same, run_traced

X = np.array([[3.0, -1.0, 2.5], [0.5, 7.0, 4.0]])
K = np.array([[3, -1, 2], [0, 7, 4]], np.int32)
WIDE = ((7, 2), (0, 9))

CASES = [
    ("constant", {"constant_values": ((1, 2), (3, 4))}), ("edge", {}), ("wrap", {}),
    ("linear_ramp", {}), ("linear_ramp", {"end_values": ((5, -5), (2, 3))}),
    ("maximum", {}), ("maximum", {"stat_length": ((1, 2), (2, 9))}),
    ("minimum", {"stat_length": 2}), ("mean", {}), ("mean", {"stat_length": (2, 1)}),
    ("median", {}), ("reflect", {}), ("reflect", {"reflect_type": "odd"}),
    ("symmetric", {}), ("symmetric", {"reflect_type": "odd"}),
]  # fmt: skip


@pytest.mark.parametrize("x", [X, X.astype(np.float32), K], ids=lambda x: x.dtype.name)
@pytest.mark.parametrize(("mode", "options"), CASES)
def test_modes(x, mode, options):
    for widths in (2, (1, 0), WIDE):
        expected = np.pad(x, widths, mode, **options)
        padded = lambda x, w=widths: fnp.pad(x, w, mode, **options)
        assert_same(padded(x), expected)
        assert_same(run_traced(padded, x), expected)


@pytest.mark.parametrize(("mode", "options"), CASES)
def test_vectors_of_one_element_and_compiled(mode, options):
    for widths in ((0, 4), (3, 5)):
        if not isinstance(next(iter(options.values()), 0), tuple):
            expected = np.pad(X[0, :1], widths, mode, **options)
            assert_same(fnp.pad(X[0, :1], widths, mode, **options), expected)
    padded = lambda x: fnp.pad(x, WIDE, mode, **options)
    got = fnad.jit(fnad.vmap(padded))(np.stack([X, 2 * X]))
    np.testing.assert_allclose(got[1], np.pad(2 * X, WIDE, mode, **options), rtol=1e-14)
    check_grads(padded, (X,))


def test_a_function():
    def framed(vector, widths, axis, options):
        inside = vector[widths[0] : vector.size - widths[1]]
        value = fnp.array([options["frame"] + axis], vector.dtype)
        before, after = (fnp.repeat(value, w) for w in widths)
        return fnp.concatenate([before, inside, after])

    def framed_in_place(vector, widths, axis, options):
        vector[: widths[0]] = options["frame"] + axis
        vector[vector.size - widths[1] :] = options["frame"] + axis

    expected = np.pad(X, ((1, 2), (3, 0)), framed_in_place, frame=5)
    padded = lambda x: fnp.pad(x, ((1, 2), (3, 0)), framed, frame=5)
    assert_same(padded(X), expected)
    assert_same(fnad.jit(padded)(X), expected)
    with pytest.raises(TypeError, match="must return the padded vector"):
        fnp.pad(X, 1, lambda *args: None)


def test_values_at_the_ends_may_be_traced():
    pair = np.array([5.0, -2.0])
    for mode, name in (("linear_ramp", "end_values"), ("constant", "constant_values")):
        padded = lambda v, mode=mode, name=name: fnp.pad(X, 2, mode, **{name: v})
        for values in (pair, np.stack([pair, 3 * pair]), pair[0]):
            expected = np.pad(X, 2, mode, **{name: values})
            np.testing.assert_allclose(fnad.jit(padded)(values), expected, rtol=1e-13)
            check_grads(padded, (values,))
        mixed = fnad.jit(lambda v, padded=padded: padded((v, 4)))(pair[0])
        np.testing.assert_allclose(mixed, np.pad(X, 2, mode, **{name: (5, 4)}), rtol=1e-13)


def test_widths_and_errors():
    assert_same(fnp.pad(X, {-1: (1, 2)}), np.pad(X, {-1: (1, 2)}))
    assert fnp.pad(X, 1, "empty").shape == (4, 5)
    assert_same(fnp.pad(X[:0], 1), np.pad(X[:0], 1))
    with pytest.raises(ValueError, match="can't extend empty axis 0"):
        fnp.pad(X[:0], 1, "edge")
    with pytest.raises(ValueError, match=r"mode 'mirror' is not supported.*linear_ramp"):
        fnp.pad(X, 1, "mirror")
    with pytest.raises(ValueError, match="argument 'ends' is not supported"):
        fnp.pad(X, 1, "linear_ramp", ends=3)
    with pytest.raises(ValueError, match="stat_length must be positive"):
        fnp.pad(X, 1, "mean", stat_length=0)
    with pytest.raises(ValueError, match="negative"):
        fnp.pad(X, -1)
