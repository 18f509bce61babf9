"""What JAX calls the precision of products. There is one here, the full one of the dtype."""

from __future__ import annotations

import enum
from typing import Any


class Precision(enum.Enum):
    """How exactly products may be computed: fnad computes them in full, whichever is named.

    Examples
    --------
    >>> Precision("highest"), Precision.HIGHEST
    (<Precision.HIGHEST: 2>, <Precision.HIGHEST: 2>)
    """

    DEFAULT = 0
    HIGH = 1
    HIGHEST = 2

    @classmethod
    def _missing_(cls, value: object) -> Precision | None:
        return _NAMES.get(value) if isinstance(value, str) else None


_NAMES = {
    "default": Precision.DEFAULT,
    "fastest": Precision.DEFAULT,
    "bfloat16": Precision.DEFAULT,
    "high": Precision.HIGH,
    "bfloat16_3x": Precision.HIGH,
    "tensorfloat32": Precision.HIGH,
    "highest": Precision.HIGHEST,
    "float32": Precision.HIGHEST,
}


def check_precision(name: str, precision: Any) -> None:
    """Raise for what is no precision, and no pair of them, one for each operand."""
    pair = precision if isinstance(precision, tuple) and len(precision) == 2 else (precision,)
    for one in pair:
        if one is not None and not isinstance(one, Precision) and one not in _NAMES:
            raise ValueError(
                f"{name}: precision must be a lax.Precision, one of"
                f" {', '.join(map(repr, _NAMES))}, a pair of these, or None; got {precision!r}"
            )
