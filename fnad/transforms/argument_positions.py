"""Arguments that are named by their positions: what ``argnums`` means."""

from __future__ import annotations

from collections.abc import Sequence
from operator import index


def is_single(argnums: int | Sequence[int]) -> bool:
    """Whether ``argnums`` names one argument, rather than a sequence of them."""
    return hasattr(argnums, "__index__")


def as_positions(what: str, argnums: int | Sequence[int], name: str = "argnums") -> tuple[int, ...]:
    """``argnums`` as a tuple of integers; errors say ``what`` was given it.

    Examples
    --------
    >>> as_positions("grad of f", 1), as_positions("grad of f", [0, -1])
    ((1,), (0, -1))
    """
    try:
        return tuple(map(index, [argnums] if is_single(argnums) else argnums))  # type: ignore
    except TypeError:
        raise TypeError(
            f"{what}: {name} must be an integer or a sequence of integers, the positions of"
            f" arguments, got {argnums!r}"
        ) from None


def pick_positions(what: str, positions: Sequence[int], num_args: int) -> list[int]:
    """The positions counted from the first argument of a call with so many.

    Examples
    --------
    >>> pick_positions("grad of f", (0, -1), 3)
    [0, 2]
    """
    for i in positions:
        if not -num_args <= i < num_args:
            raise TypeError(
                f"{what}: argnums={i} asks for positional argument {i}, but the function was called"
                f" with {num_args} positional arguments (keyword arguments cannot be"
                " differentiated)"
            )
    return [i % num_args for i in positions]
