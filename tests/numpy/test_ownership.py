"""Arrays that functions return without jit are the caller's, as NumPy's are: to write into.

A function of fnad returns the memory of its argument, or a view, only where NumPy's does.
"""

import warnings

import numpy as np
import pytest

import fnad.numpy as fnp
from fnad.core import tree

NAMES = [
    (space, name)
    for space in ("", "fft", "linalg")
    for name in (getattr(fnp, space) if space else fnp).__all__
    if callable(getattr(getattr(np, space) if space else np, name, None))
    and not isinstance(getattr(getattr(fnp, space) if space else fnp, name), type)
]
SQUARE = np.arange(9.0).reshape(3, 3) + np.eye(3)
# What a function gets besides the array; many of these leave it as it is.
MORE = [(), (0,), (1,), (2,), ((),), (None, None), (0, 0), (1, 0), ([], 0), ([], [], 0), ((3, 3),)]
MORE += [(np.zeros((0, 3)), 0), (SQUARE,), (SQUARE != 50,), (SQUARE, SQUARE != 50)]
DTYPES = ["f4", "i4", "?", "c8"]


def _shares(results, arguments):
    """Whether an array among the results has memory of one of the arguments."""
    arrays = [r for r in tree.leaves(results) if isinstance(r, np.ndarray)]
    return any(np.shares_memory(r, a) for r in arrays for a in arguments if r.size)


def _writeable(results):
    return all(r.flags.writeable for r in tree.leaves(results) if isinstance(r, np.ndarray))


def _calls(array):
    yield from ((array, *more) for more in MORE)
    yield ([array],)
    yield (True, array, array)
    yield ((3, 3), array)
    yield "ij->ij", array
    yield np.zeros((3, 3), int), [array]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("space, name", NAMES, ids=lambda x: x or "numpy")
def test_results_have_memory_of_their_own_where_numpys_have(space, name):
    ours, theirs = (getattr(getattr(m, space) if space else m, name) for m in (fnp, np))
    for dtype in DTYPES:
        array = SQUARE.astype(dtype)
        for call in _calls(array):
            arrays = [x for x in tree.leaves(call) if isinstance(x, np.ndarray)]
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    expected, results = theirs(*call), ours(*call)
            except Exception:
                continue  # not for these arguments
            if not _shares(expected, arrays):
                assert not _shares(results, arrays), (dtype, call[1:])
                assert _writeable(results) or not _writeable(expected), (dtype, call[1:])
