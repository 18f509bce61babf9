"""Data sets and batching for the examples."""

from fnad.data.batches import batches, train_test_split
from fnad.data.datasets import digits, mnist, read_idx

__all__ = ["digits", "mnist", "read_idx", "batches", "train_test_split"]
