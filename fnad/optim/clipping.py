"""Norms of trees, and rules that keep updates small."""

from __future__ import annotations

from typing import Any

import fnad.numpy as fnp
from fnad import tree
from fnad.extend import picklable
from fnad.optim.arguments import check_number
from fnad.optim.base import GradientTransformation, stateless


def global_norm(updates: Any) -> Any:
    """The Euclidean norm of all leaves together.

    Examples
    --------
    >>> import numpy as np
    >>> global_norm({"a": np.array([3.0]), "b": np.array([4.0])})
    np.float64(5.0)
    """
    return fnp.sqrt(sum([fnp.sum(u * u) for u in tree.leaves(updates)]))


@picklable
def clip(max_delta: float) -> GradientTransformation:
    """Clip each element to ``[-max_delta, max_delta]``.

    Examples
    --------
    >>> import numpy as np
    >>> rule = clip(1.0)
    >>> rule.update(np.array([-3.0, 0.5]), rule.init(None))[0]
    array([-1. ,  0.5])
    """
    check_number("clip", "max_delta", max_delta, 0)
    return stateless(
        lambda updates, params: tree.map(lambda u: fnp.clip(u, -max_delta, max_delta), updates)
    )


@picklable
def clip_by_global_norm(max_norm: float) -> GradientTransformation:
    """Scale the updates down so that their `global_norm` is at most ``max_norm``.

    Examples
    --------
    >>> import numpy as np
    >>> rule = clip_by_global_norm(1.0)
    >>> rule.update(np.array([3.0, 4.0]), rule.init(None))[0]
    array([0.6, 0.8])
    """
    check_number("clip_by_global_norm", "max_norm", max_norm, 0)

    def f(updates: Any, params: Any) -> Any:
        factor = max_norm / fnp.maximum(global_norm(updates), max_norm)
        return tree.map(lambda u: u * factor.astype(u.dtype), updates)

    return stateless(f)
