"""Random numbers from explicit keys (``fnad.random``, as ``jax.random``).

Threefry-2x32 in counter mode: for the same key the bits, and what is made of them, are those of
JAX with its present defaults. Floating samplers default to float32 and integer samplers to
int32, as JAX's do; every other dtype must be asked for, and gives what JAX gives with 64-bit
types enabled.

Examples
--------
>>> from fnad import random
>>> key, subkey = random.split(random.key(0))
>>> random.normal(subkey, (2,)).dtype
dtype('float32')
"""

from fnad.random.distributions import (
    exponential,
    gumbel,
    laplace,
    logistic,
    normal,
    truncated_normal,
)
from fnad.random.keys import PRNGKey, bits, fold_in, key, split
from fnad.random.selection import categorical, choice, permutation
from fnad.random.uniform import bernoulli, randint, uniform

__all__ = [
    "PRNGKey",
    "key",
    "split",
    "fold_in",
    "bits",
    "uniform",
    "randint",
    "bernoulli",
    "normal",
    "truncated_normal",
    "exponential",
    "laplace",
    "logistic",
    "gumbel",
    "permutation",
    "choice",
    "categorical",
]
