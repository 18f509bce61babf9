"""Checks of what layers are made with, where they are made: the words name the layer."""

from __future__ import annotations

from typing import Any


def check_size(layer: str, name: str, value: Any, least: int = 0) -> None:
    """A number of features, or of the entries of a window."""
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise TypeError(f"{layer}: {name} must be an integer, got {value!r}")
    if value < least:
        raise ValueError(f"{layer}: {name} must be at least {least}, got {value}")


def check_number(layer: str, name: str, value: Any) -> None:
    """A number that is not negative; a traced one is taken as it is."""
    if isinstance(value, str) or value is None:
        raise TypeError(f"{layer}: {name} must be a number, got {value!r}")
    if isinstance(value, (int, float)) and not value >= 0:
        raise ValueError(f"{layer}: {name} must not be negative, got {value}")


def check_function(layer: str, name: str, value: Any) -> None:
    if not callable(value):
        raise TypeError(f"{layer}: {name} must be a function, got {value!r}")


def check_params(layer: Any, params: Any, *names: str) -> None:
    """Parameters that ``init`` of another layer made, say."""
    if not hasattr(params, "keys") or not set(names) <= set(params):
        found = sorted(params) if hasattr(params, "keys") else type(params).__name__
        raise ValueError(
            f"{type(layer).__name__}: its parameters are a dict of {', '.join(names)}, as its init"
            f" makes them, got {found}"
        )
