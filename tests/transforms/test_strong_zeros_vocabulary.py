"""Gradients of the whole vocabulary do not see members of a batch that a ``where`` leaves out.

Each function is mapped over members, of which some hold zeros, negative numbers, infinities and
NaN. The gradient with respect to these is zero, and that of the others is what it is where all of
them are harmless.
"""

import numpy as np
import pytest

import fnad.lax as lax
import fnad.nn as nn
import fnad.numpy as fnp
import fnad.scipy.fft
import fnad.scipy.integrate
import fnad.scipy.linalg
import fnad.scipy.signal
import fnad.scipy.special as special
from fnad.core import tree
from fnad.transforms.autodiff import grad
from fnad.transforms.vmap import vmap
from tests.tiers import tiered

pytestmark = pytest.mark.filterwarnings("ignore")

BAD = [0.0, -1.0, np.inf, np.nan]
TAKEN = np.array([True, True] + [False] * len(BAD))


def _members(*shape, more=0.0):
    """Harmless members, and the same of which all but the first two are bad."""
    good = np.random.default_rng(0).uniform(0.2, 0.9, (len(TAKEN), *shape)) + more
    if len(shape) == 2 and shape[0] == shape[1]:
        good = good @ good.transpose(0, 2, 1) + np.eye(shape[0])
    bad = good.copy()
    bad[2:] = np.reshape(BAD, (-1, *(1,) * len(shape)))
    return good, bad


VECTOR, ABOVE, MATRIX, IMAGE = _members(4), _members(4, more=1.0), _members(2, 2), _members(3, 3, 2)
IN_SPACE = _members(3)
# A function is called with the first of these that it takes.
ARGUMENTS = [
    [VECTOR],
    [ABOVE],
    [VECTOR, VECTOR],
    [VECTOR, ABOVE],
    [MATRIX],
    [MATRIX, VECTOR],
    [MATRIX, MATRIX],
    [IMAGE],
    [VECTOR, ABOVE, ABOVE],
    [VECTOR, VECTOR, VECTOR, ABOVE],
    [IN_SPACE, IN_SPACE],
]


def _results(function, *xs):
    leaves = tree.leaves(function(*xs))
    return [y for y in leaves if getattr(y, "dtype", None) in (np.float64, np.complex128)]


def _arguments(function):
    for arguments in ARGUMENTS:
        try:
            results = _results(function, *(good[0].copy() for good, _ in arguments))
            if results and all(np.all(np.isfinite(y)) for y in results):
                return arguments
        except Exception:
            continue
    return None


def _loss(function):
    def loss(*xs):
        total = 0.0
        for y in vmap(lambda *xs: _results(function, *xs))(*xs):
            taken = TAKEN.reshape(-1, *(1,) * (y.ndim - 1))
            chosen = fnp.where(taken, y, 0) * (1.5 + np.cos(np.arange(y.size))).reshape(y.shape)
            total = total + fnp.sum(fnp.real(chosen))
        return total

    return loss


def _disagrees(function, arguments):
    """Whether gradients see a bad member; None where no gradient is finite."""
    argnums = tuple(range(len(arguments)))
    loss = _loss(function)
    derivative = grad(loss, argnums)
    expected = derivative(*(good for good, _ in arguments))
    if not all(np.all(np.isfinite(d)) for d in expected):
        return None
    got = derivative(*(bad for _, bad in arguments))
    for own, other in zip(got, expected, strict=True):
        other[2:] = 0.0
        if not np.allclose(own, other, rtol=1e-9, atol=1e-12):
            return True
    return False


def _functions(module):
    names = getattr(module, "__all__", None) or [n for n in dir(module) if n[0] != "_"]
    members = {name: getattr(module, name) for name in names}
    return {
        name: function
        for name, function in members.items()
        if callable(function) and not isinstance(function, type)
    }


# Their results have shapes that depend on values, or no derivative.
WITHOUT_DERIVATIVE = {
    *("compress", "extract", "insert", "intersect1d", "setdiff1d", "setxor1d", "trim_zeros"),
    *("union1d", "unique", "unique_all", "unique_counts", "unique_inverse", "unique_values"),
    *("frombuffer", "fromfile", "load", "roots", "rsf2csf", "save", "savez", "schur"),
}
SLOW = {"igamma_grad_a", "random_gamma_grad", "hyp1f1"}

# How many functions of a module are checked at least: those that take one of ARGUMENTS.
MODULES = {
    "numpy": (fnp, 190),
    "numpy.linalg": (fnp.linalg, 27),
    "numpy.fft": (fnp.fft, 16),
    "lax": (lax, 69),
    "lax.linalg": (lax.linalg, 13),
    "nn": (nn, 37),
    "scipy.fft": (fnad.scipy.fft, 4),
    "scipy.integrate": (fnad.scipy.integrate, 3),
    "scipy.linalg": (fnad.scipy.linalg, 24),
    "scipy.signal": (fnad.scipy.signal, 10),
    "scipy.special": (special, 66),
}


def test_zeros_that_are_ordinary_do_not_pass():
    assert _disagrees(lambda x: lax.ordinary_zeros(fnp.sqrt(x)), [VECTOR])


@tiered("name", MODULES, lambda name: name != "scipy.special")
def test_gradients_do_not_see_members_left_out(name):
    module, least = MODULES[name]
    checked, seen = 0, []
    for name, function in _functions(module).items():
        if name in WITHOUT_DERIVATIVE or name in SLOW:
            continue
        arguments = _arguments(function)
        if arguments is not None:
            disagrees = _disagrees(function, arguments)
            checked += disagrees is not None
            seen += [name] if disagrees else []
    assert seen == []
    assert checked >= least
