"""Checks of what rules are made with, where they are made."""

from __future__ import annotations

import math
import numbers
from typing import Any


def check_number(
    rule: str,
    name: str,
    value: Any,
    least: float = -math.inf,
    most: float = math.inf,
    *,
    below: float = math.inf,
) -> None:
    """A number of ``[least, most]`` below ``below``; one that is traced has no value yet."""
    if value is None or isinstance(value, (str, bytes, list, tuple, dict)):
        raise TypeError(f"{rule}: {name} must be a number, got {value!r}")
    if not isinstance(value, numbers.Real):
        return
    number = float(value)
    if not least <= number <= most or number >= below < math.inf:
        bounds = [f"at least {least:g}"] if least > -math.inf else []
        bounds += [f"at most {most:g}"] if most < math.inf else []
        bounds += [f"below {below:g}"] if below < math.inf else []
        what = " and ".join(bounds) or "a number"
        raise ValueError(f"{rule}: {name} must be {what}, got {value!r}")
