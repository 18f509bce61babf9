"""The names that random programs use: fnad's, and JAX's for the same things."""

from __future__ import annotations

import importlib
import types
from dataclasses import dataclass
from functools import cache
from typing import Any

_SCIPY = ("special", "stats", "linalg", "signal", "ndimage")


@dataclass(frozen=True)
class Vocabulary:
    """What ``np``, ``lax``, ``fn`` and so on are in a program's source."""

    names: dict[str, Any]

    @property
    def fn(self) -> Any:
        return self.names["fn"]


@cache
def fnad_vocabulary() -> Vocabulary:
    """Return fnad's names."""
    import fnad.nn
    import fnad.numpy as fnp
    import fnad.random
    import fnad.scipy

    return _vocabulary(fnad, fnp, fnp.at)


@cache
def jax_vocabulary() -> Vocabulary:
    """Return JAX's names, with 64-bit numbers as NumPy has them."""
    import jax
    import jax.numpy as jnp
    import jax.scipy

    jax.config.update("jax_enable_x64", True)
    return _vocabulary(jax, jnp, lambda x: jnp.asarray(x).at)


def _vocabulary(library: Any, array_functions: Any, at: Any) -> Vocabulary:
    fn = types.SimpleNamespace(
        softmax=library.nn.softmax,
        log_softmax=library.nn.log_softmax,
        logsumexp=library.nn.logsumexp,
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
                "linearize",
            )
        },
    )
    scipy = {name: importlib.import_module(f"{library.__name__}.scipy.{name}") for name in _SCIPY}
    parts = {"lax": library.lax, "nn": library.nn, "random": library.random, **scipy}
    return Vocabulary({"np": array_functions, "fn": fn, **parts})
