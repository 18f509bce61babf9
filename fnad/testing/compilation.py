"""Checks that a program compiles nothing more, once it runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from fnad.transforms.recompiles import listeners


@contextmanager
def assert_no_recompile() -> Iterator[None]:
    """Fail if a function of ``jit`` is traced and compiled within the block, in any thread.

    Raises
    ------
    AssertionError
        At the end of the block; it names the functions and what was new in their arguments.

    Examples
    --------
    >>> import numpy as np, fnad
    >>> f = fnad.jit(lambda x: 2 * x)
    >>> f(np.ones(3)).sum()
    np.float64(6.0)
    >>> with assert_no_recompile():
    ...     y = f(np.zeros(3))
    >>> with assert_no_recompile():
    ...     y = f(np.zeros(4))
    Traceback (most recent call last):
        ...
    AssertionError: compiled where nothing should be:
    <lambda> is compiled for new arguments:
      x was f64[3], is f64[4]
    """
    reasons: list[str] = []

    def note(name: str, reason: str) -> None:
        reasons.append(reason)

    listeners.append(note)
    try:
        yield
    finally:
        listeners.remove(note)
    if reasons:
        raise AssertionError("\n".join(["compiled where nothing should be:", *reasons]))
