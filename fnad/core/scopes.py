"""Names for parts of programs, which errors, dumps and profiles show: ``named_scope``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any, TypeVar

from fnad.core.source import scope

F = TypeVar("F", bound=Callable[..., Any])


@contextmanager
def named_scope(name: str) -> Iterator[None]:
    """Name what is computed within the block, or by a function that this decorates.

    The names of blocks within blocks are joined by slashes. They stand behind the lines of the
    user's program: in dumps of plans and machine code, in profiles, and in errors. What
    programs compute does not depend on them.

    Parameters
    ----------
    name : str
        A name.

    Examples
    --------
    >>> import fnad, fnad.numpy as fnp
    >>> @fnad.jit
    ... def f(x):
    ...     with fnad.named_scope("layer"), fnad.named_scope("norm"):
    ...         return fnp.exp(x)
    >>> " in layer/norm" in f.lower(1.0).as_text("plan")
    True
    """
    if not isinstance(name, str):
        raise TypeError(f"named_scope: the name must be a string, got {name!r}")
    outer = scope.path
    scope.path = f"{outer}/{name}" if outer else name
    try:
        yield
    finally:
        scope.path = outer


def named_call(fun: F, *, name: str | None = None) -> F:
    """A function whose computations have a name: its own one, or ``name``.

    Examples
    --------
    >>> import fnad, fnad.numpy as fnp
    >>> def norm(x):
    ...     return fnp.exp(x)
    >>> " in norm" in fnad.jit(fnad.named_call(norm)).lower(1.0).as_text("plan")
    True
    """
    label = getattr(fun, "__name__", type(fun).__name__) if name is None else name

    @wraps(fun)
    def call(*args: Any, **kwargs: Any) -> Any:
        with named_scope(label):
            return fun(*args, **kwargs)

    return call  # type: ignore[return-value]
