"""Losses, with the names and formulas of Optax; all give one value per example, not the mean."""

from __future__ import annotations

from typing import Any

import fnad.numpy as fnp
from fnad.nn.functions import log_sigmoid, log_softmax, logsumexp


def _like(targets: Any, predictions: Any) -> Any:
    """Targets as floats; integers and booleans take the dtype of the predictions.

    NumPy would promote int64 labels and float32 predictions to float64.
    """
    targets = fnp.asarray(targets)
    floating = fnp.issubdtype(targets.dtype, fnp.floating)
    return targets if floating else targets.astype(predictions.dtype)


def softmax_cross_entropy(logits: Any, labels: Any) -> Any:
    """Cross entropy between labels and the softmax of the logits' last axis.

    Parameters
    ----------
    logits : array (..., classes)
        Unnormalised log probabilities.
    labels : integer array (...), or array (..., classes)
        Either the number of the right class of each example, or its distribution over the
        classes (one-hot rows, smoothed labels ...). The number of axes tells which.

    Returns
    -------
    array (...)

    Raises
    ------
    ValueError
        If the shape of the labels is neither.

    Examples
    --------
    >>> import numpy as np
    >>> softmax_cross_entropy(np.zeros((2, 4)), np.array([0, 3])) / np.log(4)
    array([1., 1.])
    """
    logits, labels = fnp.asarray(logits), fnp.asarray(labels)
    if labels.shape == logits.shape:
        return -fnp.sum(_like(labels, logits) * log_softmax(logits), axis=-1)
    return softmax_cross_entropy_with_integer_labels(logits, labels)


def softmax_cross_entropy_with_integer_labels(logits: Any, labels: Any) -> Any:
    """Cross entropy between class numbers and the softmax of the logits' last axis.

    Parameters
    ----------
    logits : array (..., classes)
    labels : integer array (...)
        Class numbers in ``[0, classes)``.

    Returns
    -------
    array (...)

    Raises
    ------
    ValueError
        If the shapes do not agree, or the labels are no integers.

    Examples
    --------
    >>> import numpy as np
    >>> softmax_cross_entropy_with_integer_labels(np.zeros((2, 4)), np.array([0, 3])) / np.log(4)
    array([1., 1.])
    """
    logits, labels = fnp.asarray(logits), fnp.asarray(labels)
    if logits.ndim == 0 or labels.shape != logits.shape[:-1]:
        raise ValueError(
            f"softmax_cross_entropy: logits of shape {logits.shape} need integer labels of shape"
            f" {logits.shape[:-1]} or distributions of shape {logits.shape}, got labels of shape"
            f" {labels.shape}"
        )
    if labels.dtype.kind not in "iu":
        raise ValueError(
            f"softmax_cross_entropy: labels of shape {labels.shape} are class numbers and must be"
            f" integers, got {labels.dtype}"
        )
    right = fnp.take_along_axis(logits, labels[..., None], axis=-1)[..., 0]
    return logsumexp(logits, axis=-1) - right


def sigmoid_binary_cross_entropy(logits: Any, labels: Any) -> Any:
    """Cross entropy between labels in [0, 1] and the sigmoid of the logits, elementwise.

    Examples
    --------
    >>> import numpy as np
    >>> sigmoid_binary_cross_entropy(np.zeros(1), np.array([1])) / np.log(2)
    array([1.])
    """
    logits = fnp.asarray(logits)
    labels = _like(labels, logits)
    return -labels * log_sigmoid(logits) - (1 - labels) * log_sigmoid(-logits)


def squared_error(predictions: Any, targets: Any = None) -> Any:
    """``(predictions - targets)**2``, elementwise; targets are 0 by default.

    Examples
    --------
    >>> import numpy as np
    >>> squared_error(np.array([1.0, 5.0]), np.array([1.0, 3.0]))
    array([0., 4.])
    """
    predictions = fnp.asarray(predictions)
    error = predictions if targets is None else predictions - _like(targets, predictions)
    return error * error


def l2_loss(predictions: Any, targets: Any = None) -> Any:
    """Half the squared error, elementwise.

    Examples
    --------
    >>> import numpy as np
    >>> l2_loss(np.array([1.0, 5.0]), np.array([1.0, 3.0]))
    array([0., 2.])
    """
    return 0.5 * squared_error(predictions, targets)


def huber_loss(predictions: Any, targets: Any = None, delta: float = 1.0) -> Any:
    """Half the squared error near 0, linear beyond ``delta`` (Huber, 1964), elementwise.

    Examples
    --------
    >>> import numpy as np
    >>> huber_loss(np.array([0.5, 3.0]), np.zeros(2))
    array([0.125, 2.5  ])
    """
    predictions = fnp.asarray(predictions)
    error = predictions if targets is None else predictions - _like(targets, predictions)
    size = fnp.abs(error)
    quadratic = fnp.minimum(size, delta)
    return 0.5 * quadratic * quadratic + delta * (size - quadratic)


def cosine_similarity(predictions: Any, targets: Any, epsilon: float = 0.0, axis: int = -1) -> Any:
    """Cosine of the angle between vectors along an axis.

    Parameters
    ----------
    predictions, targets : array (..., features)
    epsilon : float
        The smallest squared norm to divide by.
    axis : int
        The axis of the features.

    Examples
    --------
    >>> import numpy as np
    >>> cosine_similarity(np.array([3.0, 4.0]), np.array([0.0, 2.0]))
    np.float64(0.8)
    """
    predictions = fnp.asarray(predictions)
    targets = _like(targets, predictions)
    # Both are normalised before the product, which thus cannot overflow.
    unit_predictions, unit_targets = (
        v / fnp.sqrt(fnp.maximum(fnp.sum(v * v, axis=axis, keepdims=True), epsilon))
        for v in (predictions, targets)
    )
    return fnp.sum(unit_predictions * unit_targets, axis=axis)


def cosine_distance(predictions: Any, targets: Any, epsilon: float = 0.0, axis: int = -1) -> Any:
    """``1 - cosine_similarity``.

    Examples
    --------
    >>> import numpy as np
    >>> cosine_distance(np.array([3.0, 4.0]), np.array([0.0, 2.0])).round(6)
    np.float64(0.2)
    """
    return 1 - cosine_similarity(predictions, targets, epsilon, axis)
