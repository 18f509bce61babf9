"""Measures against NumPy."""

import numpy as np

import fnad
from fnad import train


def test_accuracy():
    logits = np.random.default_rng(0).standard_normal((20, 5))
    labels = np.arange(20) % 5
    expected = (logits.argmax(-1) == labels).mean()
    assert train.accuracy(logits, labels) == expected
    assert fnad.jit(train.accuracy)(logits, labels) == expected
