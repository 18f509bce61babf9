"""Losses against their formulas."""

import numpy as np
import pytest
import scipy.special

import fnad
from fnad import nn

RNG = np.random.default_rng(0)
LOGITS = RNG.standard_normal((5, 4)).astype(np.float32)
LABELS = np.array([0, 3, 1, 1, 2])


def test_softmax_cross_entropy_of_class_numbers():
    expected = -scipy.special.log_softmax(LOGITS, axis=-1)[np.arange(5), LABELS]
    for labels in (LABELS, LABELS.astype(np.uint8), LABELS.astype(np.int32)):
        found = nn.softmax_cross_entropy(LOGITS, labels)
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, expected, rtol=1e-5)
        again = nn.softmax_cross_entropy_with_integer_labels(LOGITS, labels)
        np.testing.assert_array_equal(found, again)
    compiled = fnad.jit(nn.softmax_cross_entropy)(LOGITS, LABELS)
    np.testing.assert_allclose(compiled, expected, rtol=1e-5)


def test_softmax_cross_entropy_of_distributions():
    one_hot = np.eye(4)[LABELS]
    expected = nn.softmax_cross_entropy(LOGITS, LABELS)
    for labels in (one_hot.astype(np.float32), one_hot.astype(int), one_hot.astype(bool)):
        found = nn.softmax_cross_entropy(LOGITS, labels)
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, expected, rtol=1e-5)
    soft = scipy.special.softmax(RNG.standard_normal((5, 4)), axis=-1)
    expected = -(soft * scipy.special.log_softmax(LOGITS, axis=-1)).sum(-1)
    np.testing.assert_allclose(nn.softmax_cross_entropy(LOGITS, soft), expected, rtol=1e-5)


def test_softmax_cross_entropy_gradient():
    loss = lambda z: nn.softmax_cross_entropy(z, LABELS).sum()
    expected = scipy.special.softmax(LOGITS, axis=-1) - np.eye(4)[LABELS]
    np.testing.assert_allclose(fnad.grad(loss)(LOGITS), expected, atol=1e-6)
    per_example = fnad.vmap(fnad.grad(nn.softmax_cross_entropy))(LOGITS, LABELS)
    np.testing.assert_allclose(per_example, expected, atol=1e-6)


@pytest.mark.parametrize(
    "labels, message",
    [
        (np.zeros(3, int), r"logits of shape \(5, 4\) need integer labels of shape \(5,\)"),
        (np.zeros((5, 3)), r"or distributions of shape \(5, 4\), got labels of shape \(5, 3\)"),
        (np.zeros(5), "class numbers and must be integers, got float64"),
    ],
)
def test_bad_labels(labels, message):
    with pytest.raises(ValueError, match=message):
        nn.softmax_cross_entropy(LOGITS, labels)


def test_sigmoid_binary_cross_entropy():
    labels = np.array([[0, 1, 1, 0]] * 5)
    p = scipy.special.expit(LOGITS.astype(float))
    expected = -np.where(labels, np.log(p), np.log(1 - p))
    found = nn.sigmoid_binary_cross_entropy(LOGITS, labels)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    far = nn.sigmoid_binary_cross_entropy(np.float32([-500, 500]), np.array([1, 0]))
    np.testing.assert_allclose(far, 500)


def test_regression_losses():
    x, y = np.array([0.0, 0.5, 3.0, -4.0]), np.array([0.0, 0.0, 1.0, 0.0])
    np.testing.assert_allclose(nn.squared_error(x, y), (x - y) ** 2)
    np.testing.assert_allclose(nn.l2_loss(x), 0.5 * x**2)
    np.testing.assert_allclose(nn.huber_loss(x, y), [0, 0.125, 1.5, 3.5])
    np.testing.assert_allclose(nn.huber_loss(x, y, 2.0), [0, 0.125, 2.0, 6.0])
    assert nn.l2_loss(np.float32([1]), np.array([2])).dtype == np.float32


def test_cosine():
    x, y = RNG.standard_normal((2, 3, 5))
    expected = (x * y).sum(-1) / np.linalg.norm(x, axis=-1) / np.linalg.norm(y, axis=-1)
    np.testing.assert_allclose(nn.cosine_similarity(x, y), expected)
    np.testing.assert_allclose(nn.cosine_distance(x, y), 1 - expected)
    assert nn.cosine_similarity(np.zeros(3), np.ones(3), epsilon=1e-6) == 0
    gradient = fnad.grad(nn.cosine_similarity)(np.zeros(3), np.ones(3), 1e-6)
    assert np.isfinite(gradient).all()
