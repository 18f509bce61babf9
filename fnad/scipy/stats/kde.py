"""Densities estimated from samples."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

import fnad.numpy as fnp
from fnad import random
from fnad.core.tree_registry import register_pytree_node_class
from fnad.core.types import is_half
from fnad.numpy.operands import Array, convert
from fnad.scipy.linalg import solve_triangular
from fnad.scipy.operands import floating
from fnad.scipy.special import logsumexp
from fnad.scipy.stats import multivariate_normal, norm

_LEAVES = ("dataset", "weights", "neff", "covariance", "inv_cov")


@register_pytree_node_class
class gaussian_kde:  # noqa: N801
    """The density of samples: a sum of normal distributions, one around each.

    A container of arrays, which goes into and out of transformed functions.

    Parameters
    ----------
    dataset : array_like
        ``(n,)`` or ``(d, n)``: n samples of d numbers.
    bw_method : {None, "scott", "silverman"}, number or callable
        The factor of the samples' standard deviations that the kernels have, or what gives it for
        the object; Scott's rule by default.
    weights : array_like, optional
        ``(n,)``; all are equal by default.

    Attributes
    ----------
    neff : array
        How many samples of equal weights would be worth as much.
    covariance, inv_cov : array
        ``(d, d)``, of the kernels, and its inverse.

    Examples
    --------
    >>> kde = gaussian_kde(np.array([-1.0, 0.0, 1.0]))
    >>> kde.evaluate(np.array([0.0, 5.0])).round(6)
    array([3.18156e-01, 1.00000e-06])
    """

    dataset: Array
    weights: Array
    neff: Array
    covariance: Array
    inv_cov: Array

    def __init__(
        self,
        dataset: Any,
        bw_method: str | float | Callable[[gaussian_kde], Any] | None = None,
        weights: Any = None,
    ) -> None:
        given = [dataset] if weights is None else [dataset, weights]
        samples, *rest = floating("gaussian_kde", *map(fnp.asarray, given))
        if is_half(samples.dtype):
            samples, *rest = [convert(x, np.dtype(np.float32)) for x in (samples, *rest)]
        samples = fnp.atleast_2d(samples)
        if samples.ndim > 2 or samples.shape[1] < 2:
            raise ValueError(
                "gaussian_kde: dataset must be n or (d, n) numbers with n at least 2, got shape"
                f" {np.shape(dataset)}"
            )
        d, n = samples.shape
        shares = fnp.atleast_1d(rest[0]) if rest else fnp.ones(n, samples.dtype)
        if shares.shape != (n,):
            raise ValueError(f"gaussian_kde: weights must have shape ({n},), got {shares.shape}")
        self.dataset, self.weights = samples, shares / fnp.sum(shares)
        self.neff = 1 / fnp.sum(self.weights**2)
        factor: Any = bw_method(self) if callable(bw_method) else bw_method
        if factor is None or (isinstance(factor, str) and factor == "scott"):
            factor = self.neff ** (-1 / (d + 4))
        elif isinstance(factor, str) and factor == "silverman":
            factor = (self.neff * (d + 2) / 4) ** (-1 / (d + 4))
        elif isinstance(factor, str) or fnp.ndim(factor):
            raise ValueError(
                "gaussian_kde: bw_method must be 'scott', 'silverman', a number or a callable, got"
                f" {bw_method!r}"
            )
        spread = fnp.atleast_2d(fnp.cov(samples, aweights=self.weights))
        self.covariance = spread * factor**2
        self.inv_cov = fnp.linalg.inv(self.covariance)

    def tree_flatten(self) -> tuple[tuple[Any, ...], None]:
        """The arrays, for transformations."""
        return tuple(getattr(self, name) for name in _LEAVES), None

    @classmethod
    def tree_unflatten(cls, aux_data: None, children: tuple[Any, ...]) -> gaussian_kde:
        """An object of these arrays."""
        kde = object.__new__(cls)
        for name, value in zip(_LEAVES, children):
            setattr(kde, name, value)
        return kde

    @property
    def d(self) -> int:
        """How many numbers a sample has."""
        return int(self.dataset.shape[0])

    @property
    def n(self) -> int:
        """How many samples there are."""
        return int(self.dataset.shape[1])

    def logpdf(self, x: Any) -> Array:
        """The logarithm of the density at points ``(d, m)``, or ``(m,)`` where d is 1."""
        points = fnp.atleast_2d(fnp.asarray(floating("gaussian_kde.logpdf", x, self.dataset)[0]))
        if points.shape[0] == 1 and points.shape[1] == self.d:
            points = points.T
        if points.ndim != 2 or points.shape[0] != self.d:
            raise ValueError(
                f"gaussian_kde: points must have shape ({self.d}, m), got {fnp.shape(x)}"
            )
        # The squared distances of white points cost less than equations for every pair.
        factor = fnp.linalg.cholesky(self.covariance)
        white = solve_triangular(factor, points, lower=True)
        centres = solve_triangular(factor, self.dataset, lower=True)
        squares = fnp.sum((white[:, :, None] - centres[:, None, :]) ** 2, 0)
        scale = 0.5 * self.d * math.log(2 * math.pi) + fnp.sum(fnp.log(fnp.diagonal(factor)))
        return logsumexp(-0.5 * squares, axis=1, b=self.weights) - scale

    def evaluate(self, points: Any) -> Array:
        """The density at points ``(d, m)``, or ``(m,)`` where d is 1."""
        return fnp.exp(self.logpdf(points))

    __call__ = pdf = evaluate

    def integrate_gaussian(self, mean: Any, cov: Any) -> Array:
        """The integral of the density times that of a normal distribution."""
        mean, cov = fnp.atleast_1d(fnp.asarray(mean)), fnp.atleast_2d(fnp.asarray(cov))
        if mean.shape != (self.d,) or cov.shape != (self.d, self.d):
            raise ValueError(
                f"integrate_gaussian: needs a mean of shape ({self.d},) and a covariance of shape"
                f" ({self.d}, {self.d}), got {mean.shape} and {cov.shape}"
            )
        whole = self.covariance + cov
        return fnp.sum(self.weights * multivariate_normal.pdf(self.dataset.T, mean, whole))

    def integrate_box_1d(self, low: Any, high: Any) -> Array:
        """The integral of a density of numbers from ``low`` to ``high``."""
        if self.d != 1:
            raise ValueError(f"integrate_box_1d: samples must be numbers, not {self.d} each")
        sigma = fnp.sqrt(self.covariance[0, 0])
        upper, lower = (norm.cdf(x, self.dataset[0], sigma) for x in (high, low))
        return fnp.sum(self.weights * (upper - lower))

    def integrate_kde(self, other: gaussian_kde) -> Array:
        """The integral of the product of two densities."""
        if other.d != self.d:
            raise ValueError(
                f"integrate_kde: the densities are of {self.d} and of {other.d} numbers"
            )
        whole = self.covariance + other.covariance
        pairs = multivariate_normal.pdf(self.dataset.T[:, None], other.dataset.T, whole)
        return self.weights @ pairs @ other.weights

    def resample(self, key: Any, shape: tuple[int, ...] = ()) -> Array:
        """Samples ``(d, *shape)`` of the density."""
        which, off = random.split(key)
        index = random.choice(which, self.n, shape, p=self.weights)
        zero = fnp.zeros(self.d, self.covariance.dtype)
        noise = random.multivariate_normal(off, zero, self.covariance, shape, self.dataset.dtype)
        return self.dataset[:, index] + fnp.moveaxis(noise, -1, 0)
