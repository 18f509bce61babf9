"""Splitting and batching of arrays that are held in memory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from fnad import random, tree


def _common_length(what: str, arrays: Any) -> int:
    lengths = {tree.keystr(path): len(leaf) for path, leaf in tree.leaves_with_path(arrays)}
    if len(set(lengths.values())) != 1:
        listing = ", ".join(f"{k or 'array'}: {v}" for k, v in lengths.items()) or "no arrays"
        raise ValueError(f"{what} needs arrays of one common length, got {listing}")
    return next(iter(lengths.values()))


def _order(n: int, key: Any) -> np.ndarray[Any, Any]:
    return np.arange(n) if key is None else np.asarray(random.permutation(key, n))


def train_test_split(arrays: Any, test_size: int, *, key: Any = None) -> tuple[Any, Any]:
    """Split a tree of arrays into examples to train on and examples to test with.

    Parameters
    ----------
    arrays : pytree of arrays (n, ...)
    test_size : int
    key : key, optional
        Shuffle the examples with this key first; without it the last ``test_size`` ones are
        for testing.

    Returns
    -------
    train, test : pytrees of arrays (n - test_size, ...) and (test_size, ...)

    Raises
    ------
    ValueError
        If the arrays differ in length, or are too short.

    Examples
    --------
    >>> train_test_split({"x": np.arange(5)}, 2)
    ({'x': array([0, 1, 2])}, {'x': array([3, 4])})
    """
    n = _common_length("train_test_split", arrays)
    if not 0 < test_size < n:
        raise ValueError(
            f"train_test_split: test_size must be between 1 and {n - 1} for {n} examples, got"
            f" {test_size}"
        )
    order = _order(n, key)
    train, test = order[: n - test_size], order[n - test_size :]
    return tree.map(lambda a: a[train], arrays), tree.map(lambda a: a[test], arrays)


def batches(arrays: Any, size: int, *, key: Any = None, drop_last: bool = False) -> Iterator[Any]:
    """Cut a tree of arrays into batches.

    Parameters
    ----------
    arrays : pytree of arrays (n, ...)
    size : int
        Examples per batch.
    key : key, optional
        Shuffle the examples with this key; without it they keep their order.
    drop_last : bool
        Whether to leave out the last batch if it is short. A compiled step is compiled once per
        shape, so True avoids a second compilation.

    Yields
    ------
    pytree of arrays (size, ...)

    Examples
    --------
    >>> [b.tolist() for b in batches(np.arange(5), 2)]
    [[0, 1], [2, 3], [4]]
    """
    n = _common_length("batches", arrays)
    if size < 1:
        raise ValueError(f"batches: size must be at least 1, got {size}")
    order = _order(n, key)
    end = n - n % size if drop_last else n
    for start in range(0, end, size):
        picked = order[start : start + size]
        yield tree.map(lambda a: a[picked], arrays)  # noqa: B023 (called at once)
