"""What the workloads use of Optax, for machines with JAX and without it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any


def adam(learning_rate: float, b1: float = 0.9, b2: float = 0.999, eps: float = 1e-8) -> Any:
    """Adam, as ``optax.adam``."""
    import jax
    import jax.numpy as jnp

    def init(params: Any) -> Any:
        def zeros() -> Any:
            return jax.tree.map(jnp.zeros_like, params)

        return jnp.zeros((), jnp.int32), zeros(), zeros()

    def update(grads: Any, state: Any, params: Any) -> tuple[Any, Any]:
        del params
        count, first, second = state
        count = count + 1
        first = jax.tree.map(lambda m, g: b1 * m + (1 - b1) * g, first, grads)
        second = jax.tree.map(lambda v, g: b2 * v + (1 - b2) * g * g, second, grads)

        def step(m: Any, v: Any) -> Any:
            scale = jnp.sqrt(v / (1 - b2**count)) + eps
            return -learning_rate * (m / (1 - b1**count)) / scale

        return jax.tree.map(step, first, second), (count, first, second)

    return SimpleNamespace(init=init, update=update)


def apply_updates(params: Any, updates: Any) -> Any:
    """Parameters after a step, as ``optax.apply_updates``."""
    import jax

    return jax.tree.map(lambda p, u: p + u, params, updates)


def softmax_cross_entropy_with_integer_labels(logits: Any, labels: Any) -> Any:
    """As in Optax: of logits (..., classes) and labels (...)."""
    import jax
    import jax.numpy as jnp

    chosen = jnp.take_along_axis(logits, labels[..., None], axis=-1)[..., 0]
    return jax.nn.logsumexp(logits, axis=-1) - chosen
