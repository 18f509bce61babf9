"""Bits in bytes and counts of bits, against NumPy."""

import numpy as np
import pytest

import fnad
import fnad.numpy as fnp
from tests.numpy.helpers import assert_same, run_traced

RNG = np.random.default_rng(0)
FLAGS = RNG.integers(0, 3, (3, 11))
BYTES = RNG.integers(0, 256, (3, 4), np.uint8)


@pytest.mark.parametrize("bitorder", ["big", "little"])
@pytest.mark.parametrize("axis", [None, 0, -1])
def test_packbits(axis, bitorder):
    for x in (FLAGS, FLAGS > 1, FLAGS[:, :8], FLAGS[:0]):
        expected = np.packbits(x, axis, bitorder)
        pack = lambda x: fnp.packbits(x, axis, bitorder)
        assert_same(pack(x), expected)
        assert_same(fnad.jit(pack)(x), expected)


@pytest.mark.parametrize("bitorder", ["big", "little"])
@pytest.mark.parametrize("count", [None, 3, 20, 40, -2])
@pytest.mark.parametrize("axis", [None, 0, -1])
def test_unpackbits(axis, count, bitorder):
    expected = np.unpackbits(BYTES, axis, count, bitorder)
    unpack = lambda x: fnp.unpackbits(x, axis, count, bitorder)
    assert_same(unpack(BYTES), expected)
    assert_same(fnad.jit(fnad.vmap(unpack))(BYTES[None])[0], expected)


def test_errors():
    with pytest.raises(TypeError, match="packbits: takes booleans or integers, got float64"):
        fnp.packbits(np.ones(3))
    with pytest.raises(TypeError, match="unpackbits: takes uint8, got int64"):
        fnp.unpackbits(np.ones(3, int))
    with pytest.raises(ValueError, match="bitorder must be 'big' or 'little'"):
        fnp.packbits(FLAGS, bitorder="middle")
    with pytest.raises(ValueError, match="leaves out more than 8 bits"):
        fnp.unpackbits(BYTES[0, :1], count=-9)


@pytest.mark.parametrize("name", [f"{u}int{n}" for u in ("", "u") for n in (8, 16, 32, 64)])
def test_bitwise_count(name):
    info = np.iinfo(name)
    x = np.array([info.min, info.min + 1, 0, 1, 5, info.max // 3, info.max], name)
    x = np.append(x, (-x[1:4]).astype(name))
    assert_same(fnp.bitwise_count(x), np.bitwise_count(x))
    assert_same(run_traced(fnp.bitwise_count, x), np.bitwise_count(x))
    assert_same(fnad.jit(lambda x: np.bitwise_count(x))(x), np.bitwise_count(x))
