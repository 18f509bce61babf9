"""Names that a module does not have: what its `__getattr__` says of them."""

from __future__ import annotations

import sys
from collections.abc import Mapping


def missing_name(module: str, name: str, elsewhere: Mapping[str, str]) -> AttributeError:
    """The error for a name; ``elsewhere`` says what there is in place of some.

    Examples
    --------
    >>> import fnad
    >>> fnad.tree_map
    Traceback (most recent call last):
    AttributeError: module 'fnad' has no attribute 'tree_map': it is fnad.tree.map
    """
    hint = f": {elsewhere[name]}" if name in elsewhere else ""
    text = f"module {module!r} has no attribute {name!r}{hint}"
    return AttributeError(text, name=name, obj=sys.modules[module])  # from which Python suggests
