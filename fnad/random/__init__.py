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

from fnad.random.counts import binomial, geometric, multinomial, poisson, rademacher
from fnad.random.distributions import (
    exponential,
    gumbel,
    laplace,
    logistic,
    normal,
)
from fnad.random.gammas import (
    ball,
    beta,
    chisquare,
    dirichlet,
    f,
    gamma,
    generalized_normal,
    loggamma,
    t,
)
from fnad.random.keys import (
    PRNGKey,
    bits,
    clone,
    fold_in,
    key,
    key_data,
    key_impl,
    split,
    wrap_key_data,
)
from fnad.random.matrices import multivariate_normal, orthogonal
from fnad.random.selection import categorical, choice, permutation
from fnad.random.transformed import (
    cauchy,
    double_sided_maxwell,
    lognormal,
    maxwell,
    pareto,
    rayleigh,
    triangular,
    wald,
    weibull_min,
)
from fnad.random.truncated import truncated_normal
from fnad.random.uniform import bernoulli, randint, uniform

__all__ = [
    "PRNGKey",
    "key",
    "split",
    "fold_in",
    "key_data",
    "key_impl",
    "wrap_key_data",
    "clone",
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
    "cauchy",
    "lognormal",
    "pareto",
    "rayleigh",
    "weibull_min",
    "maxwell",
    "double_sided_maxwell",
    "triangular",
    "wald",
    "gamma",
    "loggamma",
    "beta",
    "dirichlet",
    "chisquare",
    "f",
    "t",
    "generalized_normal",
    "ball",
    "multivariate_normal",
    "orthogonal",
    "rademacher",
    "geometric",
    "poisson",
    "binomial",
    "multinomial",
    "permutation",
    "choice",
    "categorical",
]
