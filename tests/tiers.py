"""The two tiers of tests: what always runs, and what runs with ``-m slow``.

The long tier holds what is much like something in the short one but takes seconds: more sizes and
dtypes of one kind of kernel, derivatives of higher order, longer random programs.
"""

from collections.abc import Callable, Iterable
from typing import Any

import pytest


def tiered(names: str, values: Iterable[Any], fast: Callable[[Any], bool]) -> pytest.MarkDecorator:
    """``pytest.mark.parametrize``, where rows for which ``fast`` is false are of the long tier."""
    several = "," in names

    def row(value: Any) -> Any:
        marks = () if fast(value) else (pytest.mark.slow,)
        return pytest.param(*(value if several else (value,)), marks=marks)

    return pytest.mark.parametrize(names, [row(value) for value in values])
