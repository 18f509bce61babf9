"""What a benchmark is: one computation, written for each framework that takes part.

fnad's names and semantics are JAX's, so an array program is written once, against a
`Vocabulary`, and is idiomatic in both; PyTorch has its own version.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """The modules that an array program is written with, of fnad or of JAX."""

    top: Any  # grad, value_and_grad, vmap, hessian ...
    numpy: Any
    lax: Any
    nn: Any
    optim: Any
    random: Any
    cross_entropy: Callable[[Any, Any], Any]  # of logits and integer labels


@dataclass(frozen=True, slots=True)
class Program:
    """A function and its arguments, ready to be compiled and run.

    ``carried`` is the number of leading results that a run hands to the next one in place of as
    many leading arguments (parameters and optimiser state of a training step); they are donated.
    What is left of the results is compared between the frameworks.
    """

    function: Callable[..., Any]
    arguments: tuple[Any, ...] = ()
    carried: int = 0


class LeftOutError(Exception):
    """Raised by a builder of programs for a framework that is left out, with the reason."""


@dataclass(frozen=True, slots=True)
class Workload:
    """One row of the table.

    ``array`` builds the program for fnad and JAX; ``torch`` takes ``torch.compile``, or the
    identity for eager runs, and applies it where PyTorch's users do. The results of the peers
    may differ by ``tolerance`` times their largest magnitude, for the ``reason`` given.
    """

    name: str
    array: Callable[[Vocabulary], Program]
    torch: Callable[[Callable[..., Any]], Program] | None
    tolerance: float
    reason: str

    def fnad(self) -> Program:
        """The program written in fnad."""
        return self.array(fnad_vocabulary())

    def jax(self) -> Program:
        """The program written in JAX."""
        return self.array(jax_vocabulary())


def fnad_vocabulary() -> Vocabulary:
    """fnad's modules."""
    import fnad
    from fnad import lax, nn, optim, random

    return Vocabulary(
        top=fnad,
        numpy=fnad.numpy,
        lax=lax,
        nn=nn,
        optim=optim,
        random=random,
        cross_entropy=nn.softmax_cross_entropy_with_integer_labels,
    )


def jax_vocabulary() -> Vocabulary:
    """JAX's modules, and Optax or what stands for it."""
    import jax

    try:
        optax = import_module("optax")
    except ImportError:
        optax = import_module("benchmarks.plain_optax")

    return Vocabulary(
        top=jax,
        numpy=jax.numpy,
        lax=jax.lax,
        nn=jax.nn,
        optim=optax,
        random=jax.random,
        cross_entropy=optax.softmax_cross_entropy_with_integer_labels,
    )
