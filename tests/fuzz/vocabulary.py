"""The names that random programs use: fnad's, and JAX's for the same things."""

from __future__ import annotations

import types
from dataclasses import dataclass
from functools import cache
from typing import Any


@dataclass(frozen=True)
class Vocabulary:
    """What ``np``, ``lax`` and ``fn`` are in a program's source."""

    names: dict[str, Any]

    @property
    def fn(self) -> Any:
        return self.names["fn"]


@cache
def fnad_vocabulary() -> Vocabulary:
    """Return fnad's names."""
    import fnad
    from fnad import lax, nn
    from fnad import numpy as fnp

    return _vocabulary(fnp, lax, fnad, nn, fnp.at)


@cache
def jax_vocabulary() -> Vocabulary:
    """Return JAX's names, with 64-bit numbers as NumPy has them."""
    import jax
    import jax.numpy as jnp
    from jax import lax

    jax.config.update("jax_enable_x64", True)
    return _vocabulary(jnp, lax, jax, jax.nn, lambda x: jnp.asarray(x).at)


def _vocabulary(array_functions: Any, lax: Any, library: Any, nn: Any, at: Any) -> Vocabulary:
    fn = types.SimpleNamespace(
        softmax=nn.softmax,
        log_softmax=nn.log_softmax,
        logsumexp=nn.logsumexp,
        at=lambda x, index, method, value: getattr(at(x)[index], method)(value),
        **{
            name: getattr(library, name)
            for name in (
                "grad",
                "vmap",
                "jvp",
                "vjp",
                "jacrev",
                "jacfwd",
                "hessian",
                "jit",
                "checkpoint",
            )
        },
    )
    return Vocabulary({"np": array_functions, "lax": lax, "fn": fn})
