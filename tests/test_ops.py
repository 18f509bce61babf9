"""Reductions of segments: against loops and JAX, with their derivatives."""

import numpy as np
import pytest

import fnad
import fnad.numpy as fnp
from fnad import ops
from fnad.testing import check_grads
from tests.samples.values import normal

IDS = np.array([0, 2, -1, 5, 2, 0])
FUNCTIONS = {
    "segment_sum": (np.add, 0),
    "segment_prod": (np.multiply, 1),
    "segment_max": (np.maximum, -np.inf),
    "segment_min": (np.minimum, np.inf),
}


@pytest.mark.parametrize("mode", [None, "clip"])
@pytest.mark.parametrize("shape", [(6,), (6, 3)])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_segments(name, shape, mode):
    combine, start = FUNCTIONS[name]
    data, function = normal(*shape), getattr(ops, name)
    want = np.full((4, *shape[1:]), start, float)
    for x, k in zip(data, IDS, strict=True):
        k = np.clip(k, 0, 3) if mode else k
        if 0 <= k < 4:
            want[k] = combine(want[k], x)
    reduced = lambda data: function(data, IDS, 4, mode=mode)
    for wrap in (lambda f: f, fnad.jit):
        np.testing.assert_allclose(wrap(reduced)(data), want, rtol=1e-14)
    batch = np.stack([data, data])
    np.testing.assert_allclose(fnad.vmap(reduced)(batch)[1], want, rtol=1e-14)
    check_grads(lambda data: fnp.where(np.isfinite(want), reduced(data), 0), (data,), order=1)


@pytest.mark.parametrize("dtype", [np.int8, np.int64, np.uint16, np.float32, np.bool_])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_dtypes_are_kept(name, dtype):
    if dtype is np.bool_ and name in ("segment_sum", "segment_prod"):
        pytest.skip("bits are not added")
    data = np.array([1, 0, 1, 1]).astype(dtype)
    ids = np.array([0, 1, 0, 1], np.uint8)
    for function in (getattr(ops, name), fnad.jit(getattr(ops, name), static_argnums=2)):
        out = function(data, ids, 300)
        assert out.dtype == dtype
        assert out.shape == (300,)
    empty = {"segment_sum": 0, "segment_prod": 1}
    if dtype is np.bool_:
        assert out[-1] == (name == "segment_min")
    elif name in empty:
        assert out[-1] == empty[name]
    elif dtype is not np.float32:
        limits = np.iinfo(dtype)
        assert out[-1] == (limits.min if name == "segment_max" else limits.max)


def test_as_many_segments_as_there_are():
    np.testing.assert_array_equal(ops.segment_sum(np.ones(3), np.array([0, 2, 2])), [1, 0, 2])
    assert ops.segment_sum(np.zeros((0, 2)), np.zeros(0, int)).shape == (0, 2)
    with pytest.raises(TypeError):
        fnad.jit(ops.segment_sum)(np.ones(3), np.array([0, 2, 2]))


def test_jax_has_the_same():
    jax = pytest.importorskip("jax")
    data = np.arange(1, 7, dtype=np.float32)
    for name in FUNCTIONS:
        want = getattr(jax.ops, name)(data, IDS, 4)
        np.testing.assert_array_equal(getattr(ops, name)(data, IDS, 4), want)


def test_bad_input():
    with pytest.raises(ValueError, match=r"got int64\[2\] for data of shape \(3,\)"):
        ops.segment_sum(np.ones(3), np.array([0, 1]), 2)
    with pytest.raises(ValueError, match="mode must be 'fill'"):
        ops.segment_max(np.ones(1), np.array([0]), 2, mode="wrap")
    with pytest.raises(ValueError, match="cannot be -1 segments"):
        ops.segment_max(np.ones(1), np.array([0]), -1)
