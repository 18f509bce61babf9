"""Batching, splitting, and the IDX reader with its errors."""

import gzip
import struct

import numpy as np
import pytest

from fnad import data, random


def idx(array, code=0x08):
    header = bytes([0, 0, code, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    return header + array.tobytes()


IMAGES = np.arange(3 * 4 * 5, dtype=np.uint8).reshape(3, 4, 5)
LABELS = np.array([7, 0, 9], np.uint8)


@pytest.mark.parametrize("part", ["train", "t10k"])
@pytest.mark.parametrize("compress", [False, True], ids=["plain", "gzip"])
def test_mnist(tmp_path, part, compress):
    for name, array in (("images-idx3", IMAGES), ("labels-idx1", LABELS)):
        content = idx(array)
        path = tmp_path / f"{part}-{name}-ubyte{'.gz' if compress else ''}"
        path.write_bytes(gzip.compress(content) if compress else content)
    images, labels = data.mnist(tmp_path)
    assert images.dtype == np.float32
    assert labels.dtype == np.int32
    np.testing.assert_allclose(images, IMAGES[..., None] / 255, rtol=1e-6)
    np.testing.assert_array_equal(labels, LABELS)


def test_idx_of_other_types(tmp_path):
    path = tmp_path / "x"
    array = np.array([[1.5, -2.0]], ">f4")
    path.write_bytes(idx(array, 0x0D))
    found = data.read_idx(path)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, array)


def test_bad_files(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no train-images-idx3-ubyte"):
        data.mnist(tmp_path)
    path = tmp_path / "x"
    path.write_bytes(b"PNG!")
    with pytest.raises(ValueError, match="not an IDX file: it starts with 50 4e 47 21"):
        data.read_idx(path)
    path.write_bytes(idx(IMAGES)[:-1])
    with pytest.raises(ValueError, match=r"promises 76 bytes .* but it has 75"):
        data.read_idx(path)
    (tmp_path / "t10k-images-idx3-ubyte").write_bytes(idx(IMAGES))
    with pytest.raises(FileNotFoundError, match="t10k-labels-idx1-ubyte"):
        data.mnist(tmp_path)
    (tmp_path / "t10k-labels-idx1-ubyte").write_bytes(idx(LABELS[:2]))
    with pytest.raises(ValueError, match=r"expected images \(n, height, width\)"):
        data.mnist(tmp_path)


def test_digits():
    pytest.importorskip("sklearn")
    images, labels = data.digits()
    assert images.shape == (1797, 8, 8, 1)
    assert images.dtype == np.float32
    assert (images.min(), images.max()) == (0, 1)
    assert labels.dtype == np.int32
    assert set(labels) == set(range(10))


def test_batches():
    arrays = {"x": np.arange(7), "y": np.arange(14).reshape(7, 2)}
    plain = list(data.batches(arrays, 3))
    assert [len(b["x"]) for b in plain] == [3, 3, 1]
    np.testing.assert_array_equal(np.concatenate([b["y"] for b in plain]), arrays["y"])
    assert [len(b["x"]) for b in data.batches(arrays, 3, drop_last=True)] == [3, 3]
    shuffled = list(data.batches(arrays, 3, key=random.key(0)))
    x = np.concatenate([b["x"] for b in shuffled])
    assert sorted(x) == list(range(7))
    assert list(x) != list(range(7))
    np.testing.assert_array_equal(np.concatenate([b["y"] for b in shuffled])[:, 0], 2 * x)


def test_train_test_split():
    train, test = data.train_test_split((np.arange(5), np.arange(5)), 2)
    np.testing.assert_array_equal(train[0], [0, 1, 2])
    np.testing.assert_array_equal(test[1], [3, 4])
    train, test = data.train_test_split(np.arange(50), 20, key=random.key(0))
    assert sorted([*train, *test]) == list(range(50))


def test_errors():
    with pytest.raises(
        ValueError, match=r"arrays of one common length, got \['a'\]: 2, \['b'\]: 3"
    ):
        next(data.batches({"a": np.ones(2), "b": np.ones(3)}, 2))
    with pytest.raises(ValueError, match="size must be at least 1, got 0"):
        next(data.batches(np.ones(2), 0))
    with pytest.raises(ValueError, match="test_size must be between 1 and 4 for 5 examples"):
        data.train_test_split(np.arange(5), 5)
