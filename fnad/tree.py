"""Pytrees: nested containers of arrays (``fnad.tree``, as ``jax.tree``).

Dictionaries are sorted by key, None is an empty tree, and anything that is not a registered
container is a leaf. The functions here are those of ``jax.tree``; those that register the user's
own classes stand beside them.

Examples
--------
>>> import fnad
>>> fnad.tree.map(lambda x: 2 * x, {"w": 1.0, "b": [2.0, None]})
{'b': [4.0, None], 'w': 2.0}
"""

from typing import TYPE_CHECKING, NoReturn

from fnad.core.names import missing_name
from fnad.core.tree import (
    PyTreeDef,
    all,
    broadcast,
    flatten,
    flatten_with_path,
    keystr,
    leaves,
    leaves_with_path,
    map,
    map_with_path,
    reduce,
    reduce_associative,
    structure,
    transpose,
    unflatten,
)
from fnad.core.tree_registry import (
    DictKey,
    FlattenedIndexKey,
    GetAttrKey,
    Partial,
    SequenceKey,
    register_dataclass,
    register_pytree_node,
    register_pytree_node_class,
    register_pytree_with_keys,
    register_pytree_with_keys_class,
    register_static,
)

__all__ = [
    "map",
    "flatten",
    "unflatten",
    "leaves",
    "structure",
    "reduce",
    "reduce_associative",
    "broadcast",
    "all",
    "transpose",
    "flatten_with_path",
    "leaves_with_path",
    "map_with_path",
    "keystr",
    "PyTreeDef",
    "Partial",
    "DictKey",
    "SequenceKey",
    "GetAttrKey",
    "FlattenedIndexKey",
    "register_pytree_node",
    "register_pytree_with_keys",
    "register_pytree_node_class",
    "register_pytree_with_keys_class",
    "register_static",
    "register_dataclass",
]

if not TYPE_CHECKING:  # a checker would take it for a promise that every name is there

    def __getattr__(name: str) -> NoReturn:
        raise missing_name(__name__, name, {f"tree_{n}": f"it is fnad.tree.{n}" for n in __all__})
