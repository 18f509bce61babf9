"""Functions that other functions make, as values that can be pickled."""

from __future__ import annotations

from collections.abc import Callable
from functools import update_wrapper, wraps
from typing import Any, TypeVar

_Factory = TypeVar("_Factory", bound=Callable[..., Any])


def picklable(factory: _Factory) -> _Factory:
    """Let what a function returns be pickled: a function of its own, or a tuple of such.

    A pickle holds the factory's name and its arguments, by which it is called again. So these have
    to be such that can be pickled; a ``lambda`` is none.

    Parameters
    ----------
    factory : callable
        Defined at the top of a module. It returns a function, or a (named) tuple of functions.

    Examples
    --------
    >>> import copy
    >>> @picklable
    ... def power(n):
    ...     return lambda x: x**n
    >>> power(3)(2), power(3).__reduce__()[1][1:]
    (8, ((3,), {}, None))
    """

    @wraps(factory)
    def make(*args: Any, **kwargs: Any) -> Any:
        made = factory(*args, **kwargs)
        if not isinstance(made, tuple):
            return _Made(made, make, args, kwargs, None)
        return type(made)._make(  # type: ignore[attr-defined]
            [_Made(f, make, args, kwargs, i) for i, f in enumerate(made)]
        )

    return make  # type: ignore[return-value]


class _Made:
    """A function that knows how it came to be."""

    def __init__(
        self,
        function: Callable[..., Any],
        factory: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        place: int | None,
    ) -> None:
        if isinstance(function, _Made):
            function = function._function
        update_wrapper(self, function)
        self._function: Callable[..., Any] = function
        self._recipe = factory, args, kwargs, place

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._function(*args, **kwargs)

    def __repr__(self) -> str:
        factory, args, kwargs, place = self._recipe
        given = [*map(repr, args), *[f"{k}={v!r}" for k, v in kwargs.items()]]
        part = "" if place is None else f"[{place}]"
        return f"{factory.__name__}({', '.join(given)}){part}"

    def __copy__(self) -> _Made:
        return self

    def __deepcopy__(self, memo: Any) -> _Made:
        """Functions are values, and copies of them the same ones."""
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return _remade, self._recipe


def _remade(
    factory: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], place: int | None
) -> Any:
    made = factory(*args, **kwargs)
    return made if place is None else made[place]
