"""`fnad.scipy.cluster.vq` against SciPy's."""

import numpy as np
import pytest
import scipy.cluster.vq

import fnad
from fnad.scipy.cluster.vq import vq
from fnad.testing import check_grads
from tests.samples.values import normal


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shapes", [((20, 3), (4, 3)), ((20,), (4,)), ((0, 3), (4, 3))], ids=str)
def test_as_scipys(shapes, dtype):
    x, codes = (normal(*shape).astype(dtype) for shape in shapes)
    for f in (vq, fnad.jit(vq)):
        code, distances = f(x, codes)
        expected = scipy.cluster.vq.vq(x, codes)
        np.testing.assert_array_equal(code, expected[0])
        np.testing.assert_allclose(
            distances, expected[1], rtol=1e-6 if dtype == np.float32 else 1e-13
        )
        assert code.dtype == np.int32
        assert distances.dtype == dtype


def test_derivatives():
    x, codes = normal(6, 2), normal(3, 2, seed=1)
    check_grads(lambda x, codes: (vq(x, codes)[1] ** 2).sum(), (x, codes), order=2)
    at_codes = fnad.grad(lambda x: vq(x, codes)[1].sum())(codes)
    np.testing.assert_array_equal(at_codes, 0)


def test_bad_arguments_are_refused():
    with pytest.raises(ValueError, match=r"must have as many features, got shapes \(4, 2\) and"):
        vq(normal(4, 2), normal(4, 3))
    with pytest.raises(ValueError, match="there are no codes"):
        vq(normal(4, 2), normal(0, 2))
