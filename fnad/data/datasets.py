"""Handwritten digits: scikit-learn's bundled ones, and MNIST from IDX files."""

from __future__ import annotations

import gzip
import math
from pathlib import Path
from typing import Any

import numpy as np

_IDX_DTYPES: dict[int, np.dtype[Any]] = {
    0x08: np.dtype(np.uint8),
    0x09: np.dtype(np.int8),
    0x0B: np.dtype(">i2"),
    0x0C: np.dtype(">i4"),
    0x0D: np.dtype(">f4"),
    0x0E: np.dtype(">f8"),
}


def digits() -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """The 1,797 handwritten digits that come with scikit-learn.

    Returns
    -------
    images : float32 array (1797, 8, 8, 1)
        Ink between 0 and 1.
    labels : int32 array (1797,)

    Raises
    ------
    ImportError
        If scikit-learn is not installed.
    """
    try:
        from sklearn.datasets import load_digits
    except ImportError:
        raise ImportError(
            "fnad.data.digits needs scikit-learn: pip install 'fnad[examples]', or give MNIST"
            " files to fnad.data.mnist"
        ) from None
    bunch = load_digits()
    images = (bunch.images / 16).astype(np.float32)[..., None]
    return images, bunch.target.astype(np.int32)


def mnist(
    directory: str | Path, part: str | None = None
) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """MNIST's handwritten digits from its IDX files, compressed by gzip or not.

    Parameters
    ----------
    directory : path
        Where ``<part>-images-idx3-ubyte`` and ``<part>-labels-idx1-ubyte`` lie, both with or
        without ``.gz``.
    part : {"train", "t10k"}, optional
        By default "train" if it is there, else "t10k".

    Returns
    -------
    images : float32 array (n, 28, 28, 1)
        Ink between 0 and 1.
    labels : int32 array (n,)

    Raises
    ------
    FileNotFoundError
        If there are no such files.
    ValueError
        If a file is no IDX file, is truncated, or the two do not belong together.
    """
    directory = Path(directory)
    parts = ("train", "t10k") if part is None else (part,)
    found = [p for p in parts if _find(directory, f"{p}-images-idx3-ubyte") is not None]
    if not found:
        names = " or ".join(f"{p}-images-idx3-ubyte[.gz]" for p in parts)
        raise FileNotFoundError(f"there is no {names} in {directory}")
    images_path = _find(directory, f"{found[0]}-images-idx3-ubyte")
    labels_path = _find(directory, f"{found[0]}-labels-idx1-ubyte")
    if labels_path is None:
        raise FileNotFoundError(f"there is no {found[0]}-labels-idx1-ubyte[.gz] in {directory}")
    images, labels = read_idx(images_path), read_idx(labels_path)  # type: ignore[arg-type]
    if images.ndim != 3 or labels.ndim != 1 or len(images) != len(labels):
        raise ValueError(
            f"{images_path} holds an array of shape {images.shape} and {labels_path} one of shape"
            f" {labels.shape}; expected images (n, height, width) and labels (n,)"
        )
    return images[..., None] / np.float32(255), labels.astype(np.int32)


def read_idx(path: str | Path) -> np.ndarray[Any, Any]:
    """Read one array from an IDX file, compressed by gzip or not.

    Raises
    ------
    ValueError
        If the file does not start as IDX files do, or has not the length that it promises.
    """
    path = Path(path)
    data = path.read_bytes()
    if data[:2] == b"\x1f\x8b":
        data = gzip.decompress(data)
    if len(data) < 4 or data[:2] != b"\0\0" or data[2] not in _IDX_DTYPES:
        raise ValueError(
            f"{path} is not an IDX file: it starts with {data[:4].hex(' ') or 'nothing'}, expected"
            " 00 00, a type (08 to 0e) and the number of axes"
        )
    dtype, ndim = _IDX_DTYPES[data[2]], data[3]
    start = 4 + 4 * ndim
    shape = tuple(int(n) for n in np.frombuffer(data[4:start], ">u4"))
    expected = start + math.prod(shape) * dtype.itemsize
    if len(shape) != ndim or len(data) != expected:
        raise ValueError(
            f"{path} is damaged: its header promises {expected} bytes (shape {shape},"
            f" {dtype.name}), but it has {len(data)}"
        )
    return np.frombuffer(data[start:], dtype).reshape(shape).astype(dtype.newbyteorder("="))


def _find(directory: Path, name: str) -> Path | None:
    for candidate in (directory / name, directory / f"{name}.gz"):
        if candidate.is_file():
            return candidate
    return None
