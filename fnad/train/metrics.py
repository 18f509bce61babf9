"""Measures of how good predictions are."""

from __future__ import annotations

from typing import Any

import fnad.numpy as fnp


def accuracy(logits: Any, labels: Any) -> Any:
    """The fraction of examples whose greatest logit is that of the right class.

    Parameters
    ----------
    logits : array (..., classes)
    labels : integer array (...)

    Returns
    -------
    float64 scalar

    Examples
    --------
    >>> import numpy as np
    >>> accuracy(np.array([[0.1, 0.9], [0.8, 0.2]]), np.array([1, 1]))
    np.float64(0.5)
    """
    return fnp.mean(fnp.argmax(logits, axis=-1) == labels)
