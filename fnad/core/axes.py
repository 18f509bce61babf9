"""The axis names that enclosing ``vmap``s have bound, seen from the function being traced."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class _Axes(threading.local):
    def __init__(self) -> None:
        self.sizes: dict[Any, int] = {}


_axes = _Axes()

# The names bound in any thread: compiled code looks here whether it may run.
bound_names: list[Any] = []


@contextmanager
def named_axis(name: Any, size: int) -> Iterator[None]:
    """Bind an axis name within the block; None binds nothing."""
    if name is None:
        yield
        return
    saved = _axes.sizes
    _axes.sizes = {**saved, name: size}
    bound_names.append(name)
    try:
        yield
    finally:
        _axes.sizes = saved
        bound_names.remove(name)


def axis_size(name: Any) -> int:
    """The length of a named axis.

    Raises
    ------
    NameError
        If no enclosing ``vmap`` has bound the name.
    """
    try:
        return _axes.sizes[name]
    except (KeyError, TypeError):
        bound = ", ".join(map(repr, _axes.sizes)) or "none"
        raise NameError(
            f"unbound axis name: {name!r} (bound here: {bound}). Collectives such as lax.psum"
            f" must run inside vmap(..., axis_name={name!r})."
        ) from None


def bound_axes() -> tuple[tuple[Any, int], ...]:
    """The names bound here and their lengths, as a key for programs that may refer to them."""
    return tuple(_axes.sizes.items())
