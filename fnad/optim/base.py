"""What an optimiser is: a pair of pure functions, and how such pairs are combined."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import fnad.numpy as fnp
from fnad import tree
from fnad.extend import picklable


class GradientTransformation(NamedTuple):
    """A rule that turns gradients into updates.

    Attributes
    ----------
    init : callable
        ``init(params) -> state``
    update : callable
        ``update(updates, state, params=None) -> (updates, state)``, where ``updates`` are the
        gradients, or what an earlier rule of a `chain` made of them.
    """

    init: Callable[[Any], Any]
    update: Callable[..., tuple[Any, Any]]


class EmptyState(NamedTuple):
    """The state of rules that remember nothing."""


class MaskedNode(NamedTuple):
    """Stands in trees where `masked` hides a leaf; it has no leaves itself."""


class MaskedState(NamedTuple):
    """State of `masked`."""

    inner_state: Any


@picklable
def stateless(
    f: Callable[[Any, Any], Any],
) -> GradientTransformation:
    """Make a rule of a function ``f(updates, params) -> updates``.

    Examples
    --------
    >>> import numpy as np
    >>> halve = stateless(lambda updates, params: updates / 2)
    >>> halve.update(np.array([4.0]), halve.init(None))[0]
    array([2.])
    """

    def update(updates: Any, state: EmptyState, params: Any = None) -> tuple[Any, EmptyState]:
        return f(updates, params), state

    return GradientTransformation(lambda params: EmptyState(), update)


@picklable
def identity() -> GradientTransformation:
    """The rule that changes nothing.

    Examples
    --------
    >>> import numpy as np
    >>> rule = identity()
    >>> rule.update(np.array([4.0]), rule.init(None))[0]
    array([4.])
    """
    return stateless(lambda updates, params: updates)


@picklable
def chain(*transforms: GradientTransformation) -> GradientTransformation:
    """Apply rules one after the other; the state is the tuple of their states.

    Examples
    --------
    >>> import numpy as np
    >>> from fnad import optim
    >>> rule = optim.chain(optim.clip(1.0), optim.scale(-0.5))
    >>> params = np.zeros(2)
    >>> updates, _ = rule.update(np.array([4.0, 0.5]), rule.init(params), params)
    >>> updates
    array([-0.5 , -0.25])
    """
    for i, transform in enumerate(transforms):
        if not (hasattr(transform, "init") and hasattr(transform, "update")):
            raise TypeError(
                f"chain: entry {i} is no transformation, with functions init and update, but"
                f" {transform!r}. Give transformations one by one: chain(a, b)."
            )

    def init(params: Any) -> tuple[Any, ...]:
        return tuple([t.init(params) for t in transforms])

    def update(updates: Any, state: Any, params: Any = None) -> tuple[Any, tuple[Any, ...]]:
        if not isinstance(state, tuple) or len(state) != len(transforms):
            what = f"has {len(state)} entries" if isinstance(state, tuple) else f"is {state!r}"
            raise ValueError(
                f"this chain has {len(transforms)} transformations, but the state given to update"
                f" {what}; make it with init of the same chain"
            )
        states = []
        for transform, s in zip(transforms, state):
            updates, s = transform.update(updates, s, params)
            states.append(s)
        return updates, tuple(states)

    return GradientTransformation(init, update)


@picklable
def masked(inner: GradientTransformation, mask: Any) -> GradientTransformation:
    """Apply a rule only to some leaves; the others pass unchanged.

    Parameters
    ----------
    inner : GradientTransformation
    mask : pytree of bool, or callable
        A tree prefix of the parameters that is True where ``inner`` applies, or a function of
        the parameters that returns one.

    Examples
    --------
    >>> import numpy as np
    >>> from fnad import optim
    >>> rule = masked(optim.scale(0.0), {"w": False, "b": True})
    >>> params = {"w": np.ones(2), "b": np.ones(2)}
    >>> rule.update(params, rule.init(params))[0]
    {'b': array([0., 0.]), 'w': array([1., 1.])}
    """

    def mask_of(value: Any) -> Any:
        return mask(value) if callable(mask) else mask

    def hide(mask_tree: Any, value: Any) -> Any:
        return tree.map(lambda keep, v: v if keep else MaskedNode(), mask_tree, value)

    def init(params: Any) -> MaskedState:
        return MaskedState(inner.init(hide(mask_of(params), params)))

    def update(updates: Any, state: MaskedState, params: Any = None) -> tuple[Any, MaskedState]:
        mask_tree = mask_of(updates if params is None else params)
        hidden_params = None if params is None else hide(mask_tree, params)
        new, inner_state = inner.update(hide(mask_tree, updates), state.inner_state, hidden_params)
        merged = tree.map(lambda keep, n, u: n if keep else u, mask_tree, new, updates)
        return merged, MaskedState(inner_state)

    return GradientTransformation(init, update)


def apply_updates(params: Any, updates: Any) -> Any:
    """Add updates to parameters, which keep their dtypes.

    Examples
    --------
    >>> import numpy as np
    >>> apply_updates({"w": np.float32([1, 2])}, {"w": np.float32([0.5, -1])})
    {'w': array([1.5, 1. ], dtype=float32)}
    """
    return tree.map(lambda p, u: (p + u).astype(p.dtype), tree.map(fnp.asarray, params), updates)


def require_params(params: Any, what: str) -> None:
    """Check that ``update`` got the parameters."""
    if params is None:
        raise ValueError(
            f"{what} depends on the parameters: call update(updates, state, params) with them"
        )
