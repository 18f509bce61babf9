"""What a `fnad.core.tree.PyTreeDef` holds: ``(class, static data, children)``, nested, or LEAF."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import Any

import numpy as np

from fnad.core.tree_registry import node_type, registry

KeyPath = tuple[Any, ...]

LEAF = "*"


def spec_of(tree: Any, out: list[Any]) -> Any:
    """The spec of a tree, whose leaves are appended to ``out``."""
    cls = type(tree)
    node = registry.get(cls)
    # Only subclasses of tuple can be containers that are not registered (namedtuples).
    if node is None and (not isinstance(tree, tuple) or (node := node_type(cls)) is None):
        out.append(tree)
        return LEAF
    children, aux = node[0](tree)
    specs = []
    for child in children:
        if type(child) is np.ndarray:  # most children; a call for each would take most of the time
            out.append(child)
            specs.append(LEAF)
        else:
            specs.append(spec_of(child, out))
    return (cls, aux, tuple(specs))


def spec_until(tree: Any, out: list[Any], is_leaf: Callable[[Any], bool]) -> Any:
    """The same, where subtrees may be leaves."""
    cls = type(tree)
    node = None if is_leaf(tree) else node_type(cls)
    if node is None:
        out.append(tree)
        return LEAF
    children, aux = node.flatten(tree)
    return (cls, aux, tuple([spec_until(child, out, is_leaf) for child in children]))


def spec_with_paths(
    tree: Any,
    path: KeyPath,
    out: list[tuple[KeyPath, Any]],
    is_leaf: Callable[[KeyPath, Any], bool] | None,
) -> Any:
    """The same, of leaves with their paths."""
    cls = type(tree)
    node = None if is_leaf is not None and is_leaf(path, tree) else node_type(cls)
    if node is None:
        out.append((path, tree))
        return LEAF
    pairs, aux = node.flatten_with_keys(tree)
    specs = [spec_with_paths(child, (*path, key), out, is_leaf) for key, child in pairs]
    return (cls, aux, tuple(specs))


def tree_of(spec: Any, leaves: Any) -> Any:
    """The tree of a spec with the next of ``leaves``, an iterator."""
    if spec is LEAF:
        return next(leaves)
    cls, aux, children = spec
    return registry[cls][1](aux, [tree_of(child, leaves) for child in children])


def leaves_up_to(spec: Any, tree: Any, out: list[Any]) -> bool:
    """Append the subtrees in the place of a spec's leaves to ``out``; whether the tree agrees."""
    if spec is LEAF:
        out.append(tree)
        return True
    cls, aux, specs = spec
    if type(tree) is not cls:
        return False
    children, found = registry[cls][0](tree)
    children = list(children)
    if found != aux or len(children) != len(specs):
        return False
    for child_spec, child in zip(specs, children):  # noqa: SIM110 (in every call)
        if not leaves_up_to(child_spec, child, out):
            return False
    return True


def find_mismatch(spec: Any, tree: Any, path: KeyPath) -> tuple[KeyPath, str]:
    """The path and the reason of the first disagreement; there must be one below ``path``."""
    cls, aux, specs = spec
    expected = f"{cls.__name__} of {len(specs)}" if specs else show(spec)
    node = node_type(type(tree))
    if node is None:
        return path, f"expected {expected}, got a leaf of type {type(tree).__name__}"
    pairs, found = node.flatten_with_keys(tree)
    got = f"{type(tree).__name__} of {len(pairs)}" if pairs else repr(tree)
    if type(tree) is not cls:
        return path, f"expected {expected}, got {got}"
    if issubclass(cls, dict) and found != aux:
        return path, f"expected keys {dict_keys(spec)}, got {list(tree)}"
    if found != aux and len(pairs) == len(specs):
        return path, f"expected {cls.__name__} with static data {aux!r}, got {found!r}"
    if len(pairs) != len(specs):
        return path, f"expected {expected}, got {got}"
    for child_spec, (key, child) in zip(specs, pairs):
        if not leaves_up_to(child_spec, child, []):
            return find_mismatch(child_spec, child, (*path, key))
    raise AssertionError("the trees agree")


def count_leaves(spec: Any) -> int:
    return 1 if spec is LEAF else sum([count_leaves(child) for child in spec[2]])


def count_nodes(spec: Any) -> int:
    return 1 if spec is LEAF else 1 + sum([count_nodes(child) for child in spec[2]])


def dict_keys(spec: Any) -> list[Any]:
    cls, aux, _ = spec
    return list(aux[1] if cls is defaultdict else aux)


def show(spec: Any) -> str:
    if spec is LEAF:
        return "*"
    cls, aux, children = spec
    shown = [show(child) for child in children]
    inside = ", ".join(shown)
    if cls is type(None):
        return "None"
    if cls is tuple:
        return f"({inside},)" if len(children) == 1 else f"({inside})"
    if cls is list:
        return f"[{inside}]"
    if cls is dict:
        return "{" + ", ".join([f"{k!r}: {v}" for k, v in zip(aux, shown)]) + "}"
    if issubclass(cls, tuple):
        return f"CustomNode(namedtuple[{cls.__name__}], [{inside}])"
    return f"CustomNode({cls.__name__}[{aux!r}], [{inside}])"
