"""Optimisers, with Optax's names, signatures and results."""

from __future__ import annotations

from typing import Any

from fnad.optim.base import GradientTransformation, chain, identity
from fnad.optim.schedules import Schedule
from fnad.optim.transforms import (
    add_decayed_weights,
    scale_by_adam,
    scale_by_learning_rate,
    scale_by_rms,
    scale_by_rss,
    scale_by_stddev,
    trace,
)


def sgd(
    learning_rate: float | Schedule, momentum: float | None = None, nesterov: bool = False
) -> GradientTransformation:
    """Stochastic gradient descent.

    Parameters
    ----------
    learning_rate : float or schedule
    momentum : float, optional
        Decay of the running sum of gradients; none is kept if None.
    nesterov : bool
        Nesterov momentum.

    Examples
    --------
    >>> import numpy as np
    >>> from fnad import optim
    >>> params = np.array([1.0, -2.0])
    >>> optimizer = optim.sgd(0.1)
    >>> state = optimizer.init(params)
    >>> updates, state = optimizer.update(2 * params, state, params)
    >>> optim.apply_updates(params, updates)
    array([ 0.8, -1.6])
    """
    momentum_rule = identity() if momentum is None else trace(momentum, nesterov)
    return chain(momentum_rule, scale_by_learning_rate(learning_rate))


def adam(
    learning_rate: float | Schedule,
    b1: float = 0.9,
    b2: float = 0.999,
    eps: float = 1e-8,
    eps_root: float = 0.0,
    *,
    nesterov: bool = False,
) -> GradientTransformation:
    """Adam (Kingma and Ba, 2015).

    Parameters
    ----------
    learning_rate : float or schedule
    b1, b2 : float
        Decay of the mean of the gradients and of their squares.
    eps, eps_root : float
        Added to the root, and below it.
    nesterov : bool
        Nesterov momentum (Dozat, 2016).

    Examples
    --------
    >>> import numpy as np
    >>> params = np.array([1.0, -2.0])
    >>> optimizer = adam(0.1)
    >>> updates, state = optimizer.update(2 * params, optimizer.init(params), params)
    >>> updates.round(6)
    array([-0.1,  0.1])
    """
    rule = scale_by_adam(b1, b2, eps, eps_root, nesterov=nesterov)
    return chain(rule, scale_by_learning_rate(learning_rate))


def adamw(
    learning_rate: float | Schedule,
    b1: float = 0.9,
    b2: float = 0.999,
    eps: float = 1e-8,
    eps_root: float = 0.0,
    weight_decay: float = 1e-4,
    mask: Any = None,
    *,
    nesterov: bool = False,
) -> GradientTransformation:
    """Adam with decoupled weight decay (Loshchilov and Hutter, 2019).

    Parameters
    ----------
    learning_rate : float or schedule
    b1, b2, eps, eps_root, nesterov
        See `adam`.
    weight_decay : float
        Multiplied by the learning rate, as in Optax.
    mask : pytree of bool, or callable, optional
        Which parameters decay; see `masked`.

    Examples
    --------
    >>> import numpy as np
    >>> params = np.array([1.0, -2.0])
    >>> optimizer = adamw(0.1, weight_decay=0.5)
    >>> updates, state = optimizer.update(2 * params, optimizer.init(params), params)
    >>> updates.round(6)
    array([-0.15,  0.2 ])
    """
    return chain(
        scale_by_adam(b1, b2, eps, eps_root, nesterov=nesterov),
        add_decayed_weights(weight_decay, mask),
        scale_by_learning_rate(learning_rate),
    )


def rmsprop(
    learning_rate: float | Schedule,
    decay: float = 0.9,
    eps: float = 1e-8,
    initial_scale: float = 0.0,
    eps_in_sqrt: bool = True,
    centered: bool = False,
    momentum: float | None = None,
    nesterov: bool = False,
) -> GradientTransformation:
    """RMSProp (Hinton, 2012): gradients over the root of their running mean square.

    Parameters
    ----------
    learning_rate : float or schedule
    decay : float
        Of the mean square.
    eps : float
        Added to the mean square, or to its root.
    initial_scale : float
        The mean square at the start.
    eps_in_sqrt : bool
        Where ``eps`` is added.
    centered : bool
        Whether to divide by the standard deviation instead.
    momentum : float, optional
        Decay of the running sum of the scaled updates.
    nesterov : bool
        Nesterov momentum.

    Examples
    --------
    >>> import numpy as np
    >>> params = np.array([1.0, -2.0])
    >>> optimizer = rmsprop(0.1)
    >>> updates, state = optimizer.update(2 * params, optimizer.init(params), params)
    >>> updates.round(6)
    array([-0.316228,  0.316228])
    """
    rule = scale_by_stddev if centered else scale_by_rms
    return chain(
        rule(decay, eps, initial_scale, eps_in_sqrt),
        scale_by_learning_rate(learning_rate),
        identity() if momentum is None else trace(momentum, nesterov),
    )


def adagrad(
    learning_rate: float | Schedule, initial_accumulator_value: float = 0.1, eps: float = 1e-7
) -> GradientTransformation:
    """Adagrad (Duchi et al., 2011): gradients over the root of the sum of their squares.

    Parameters
    ----------
    learning_rate : float or schedule
    initial_accumulator_value : float
        The sum at the start.
    eps : float
        Added to the sum.

    Examples
    --------
    >>> import numpy as np
    >>> params = np.array([1.0, -2.0])
    >>> optimizer = adagrad(0.1)
    >>> updates, state = optimizer.update(2 * params, optimizer.init(params), params)
    >>> updates.round(6)
    array([-0.098773,  0.099689])
    """
    return chain(
        scale_by_rss(initial_accumulator_value, eps), scale_by_learning_rate(learning_rate)
    )
