"""Pytrees: nested containers of arrays seen as a flat list of leaves and a structure.

A tree is a leaf, or a registered container of trees. Lists, tuples, namedtuples, dicts (sorted by
key), ``OrderedDict``, ``defaultdict`` and None (an empty tree) are registered from the start;
`fnad.core.tree_registry` adds the user's own classes. Everything else is a leaf.

Structures are nested tuples ``(type, aux, children)`` inside, so that the comparison and the hash
that every call of a compiled function needs run at the speed of tuples.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from functools import reduce as _functools_reduce
from typing import Any

from fnad.core.tree_registry import (
    DictKey,
    FlattenedIndexKey,
    GetAttrKey,
    SequenceKey,
)
from fnad.core.tree_specs import (
    LEAF,
    KeyPath,
    count_leaves,
    count_nodes,
    find_mismatch,
    leaves_up_to,
    show,
    spec_of,
    spec_until,
    spec_with_paths,
    tree_of,
)

IsLeaf = Callable[[Any], bool] | None


class PyTreeDef:
    """The structure of a tree: what is left when its leaves are taken out.

    Structures are hashable and compare equal if containers, keys and static data do.

    Examples
    --------
    >>> structure({"b": (1, 2), "a": 3})
    PyTreeDef({'a': *, 'b': (*, *)})
    """

    __slots__ = ("_hash", "_spec", "num_leaves")

    def __init__(self, spec: Any, num_leaves: int) -> None:
        self._spec = spec
        self.num_leaves = num_leaves
        self._hash: int | None = None

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        return isinstance(other, PyTreeDef) and self._spec == other._spec

    def __hash__(self) -> int:
        if self._hash is None:
            try:
                self._hash = hash(self._spec)
            except TypeError as error:
                raise TypeError(
                    f"the structure {self} cannot be hashed ({error}): the static data (aux) that"
                    " a registered class gives out when it is flattened must be hashable; give"
                    " out arrays and containers as children"
                ) from None
        return self._hash

    @property
    def num_nodes(self) -> int:
        """The number of containers and leaves."""
        return count_nodes(self._spec)

    def children(self) -> list[PyTreeDef]:
        """The structures of the root's children."""
        if self._spec is LEAF:
            return []
        return [PyTreeDef(spec, count_leaves(spec)) for spec in self._spec[2]]

    def unflatten(self, leaves: Iterable[Any]) -> Any:
        """Put leaves back into this structure."""
        leaves = list(leaves)
        if len(leaves) != self.num_leaves:
            raise ValueError(
                f"{self} has {self.num_leaves} leaves, but {len(leaves)} were given to unflatten"
            )
        return tree_of(self._spec, iter(leaves))

    def flatten_up_to(self, tree: Any) -> list[Any]:
        """Cut ``tree`` where this structure has its leaves and return the subtrees.

        Raises
        ------
        ValueError
            If this structure is not a prefix of ``tree``; the text names where they disagree.
        """
        subtrees: list[Any] = []
        if not leaves_up_to(self._spec, tree, subtrees):
            path, reason = find_mismatch(self._spec, tree, ())
            raise ValueError(
                f"the trees disagree at {keystr(path) or 'the root'}: {reason}.\n"
                f"  expected: {self}\n  got:      {structure(tree)}"
            )
        return subtrees

    def __repr__(self) -> str:
        return f"PyTreeDef({show(self._spec)})"


def flatten(tree: Any, is_leaf: IsLeaf = None) -> tuple[list[Any], PyTreeDef]:
    """Take a tree apart.

    Parameters
    ----------
    tree : pytree
    is_leaf : callable, optional
        Asked of every subtree; where it says True the subtree is taken as a leaf.

    Returns
    -------
    leaves : list
    treedef : PyTreeDef

    Examples
    --------
    >>> flatten({"b": [1, 2], "a": 3, "c": None})
    ([3, 1, 2], PyTreeDef({'a': *, 'b': [*, *], 'c': None}))
    """
    leaves: list[Any] = []
    if is_leaf is None:
        spec = spec_of(tree, leaves)
    else:
        spec = spec_until(tree, leaves, is_leaf)
    return leaves, PyTreeDef(spec, len(leaves))


def unflatten(treedef: PyTreeDef, leaves: Iterable[Any]) -> Any:
    """Put leaves back into a structure; the inverse of `flatten`.

    Raises
    ------
    ValueError
        If the number of leaves is not that of the structure.

    Examples
    --------
    >>> unflatten(structure({"a": 0, "b": [0, 0]}), [3, 1, 2])
    {'a': 3, 'b': [1, 2]}
    """
    return treedef.unflatten(leaves)


def leaves(tree: Any, is_leaf: IsLeaf = None) -> list[Any]:
    """The leaves of a tree.

    Examples
    --------
    >>> leaves([1, (2, None), {"a": 3}])
    [1, 2, 3]
    """
    return flatten(tree, is_leaf)[0]


def structure(tree: Any, is_leaf: IsLeaf = None) -> PyTreeDef:
    """The structure of a tree.

    Examples
    --------
    >>> structure([1, (2, None)])
    PyTreeDef([*, (*, None)])
    """
    return flatten(tree, is_leaf)[1]


def map(f: Callable[..., Any], tree: Any, *rest: Any, is_leaf: IsLeaf = None) -> Any:
    """Apply ``f`` to corresponding leaves of trees and return the tree of results.

    The structure of ``tree`` must be a prefix of those of ``rest``: where ``tree`` has a leaf,
    ``f`` gets the whole subtree of the others.

    Raises
    ------
    ValueError
        If the structures disagree; the text shows both and names where.

    Examples
    --------
    >>> map(lambda x, y: x + y, {"a": 1, "b": (2, 3)}, {"a": 10, "b": (20, 30)})
    {'a': 11, 'b': (22, 33)}
    """
    first, treedef = flatten(tree, is_leaf)
    others = [treedef.flatten_up_to(r) for r in rest]
    return tree_of(treedef._spec, iter([f(*xs) for xs in zip(first, *others)]))


def broadcast(prefix_tree: Any, full_tree: Any, is_leaf: IsLeaf = None) -> Any:
    """Repeat each leaf of a prefix of a tree for all leaves that the tree has in its place.

    Parameters
    ----------
    prefix_tree : pytree
    full_tree : pytree
        Its structure begins with that of ``prefix_tree``.
    is_leaf : callable, optional
        Asked of every subtree of both; where it says True the subtree is taken as a leaf.

    Returns
    -------
    pytree
        Of the structure of ``full_tree``.

    Raises
    ------
    ValueError
        If the first is no prefix of the second; the text names where they disagree.

    Examples
    --------
    >>> broadcast({"a": 0, "b": 1}, {"a": [5, 6], "b": 7})
    {'a': [0, 0], 'b': 1}
    """

    def repeated(leaf: Any, subtree: Any) -> Any:
        return map(lambda _: leaf, subtree, is_leaf=is_leaf)

    return map(repeated, prefix_tree, full_tree, is_leaf=is_leaf)


_UNSET = object()


def reduce(
    function: Callable[[Any, Any], Any],
    tree: Any,
    initializer: Any = _UNSET,
    is_leaf: IsLeaf = None,
) -> Any:
    """Combine the leaves of a tree from left to right.

    Examples
    --------
    >>> reduce(lambda total, leaf: total + leaf, {"a": 1, "b": [2, 3]})
    6
    """
    if initializer is _UNSET:
        return _functools_reduce(function, leaves(tree, is_leaf))
    return _functools_reduce(function, leaves(tree, is_leaf), initializer)


def reduce_associative(
    operation: Callable[[Any, Any], Any],
    tree: Any,
    *,
    identity: Any = _UNSET,
    is_leaf: IsLeaf = None,
) -> Any:
    """Combine the leaves of a tree in pairs, the results in pairs and so on.

    For an associative operation the result is that of `reduce`, of a program that is only
    logarithmically deep: faster, and for sums of floating numbers more accurate.

    Raises
    ------
    ValueError
        If the tree has no leaves, and no ``identity`` is given.

    Examples
    --------
    >>> reduce_associative(lambda a, b: f"({a}{b})", ["a", "b", ("c", "d", "e")])
    '(((ab)(cd))e)'
    """
    values = leaves(tree, is_leaf)
    if not values:
        if identity is _UNSET:
            raise ValueError(f"tree.reduce_associative: {tree!r} has no leaves; give an identity")
        return identity
    while len(values) > 1:
        pairs = [operation(a, b) for a, b in zip(values[::2], values[1::2])]
        values = pairs + values[len(pairs) * 2 :]
    return values[0]


def all(tree: Any, *, is_leaf: IsLeaf = None) -> bool:
    """Whether all leaves are true.

    Examples
    --------
    >>> all({"a": True, "b": [True, False]})
    False
    """
    return not [leaf for leaf in leaves(tree, is_leaf) if not leaf]


def transpose(
    outer_treedef: PyTreeDef, inner_treedef: PyTreeDef | None, pytree_to_transpose: Any
) -> Any:
    """Turn a tree of trees inside out.

    Parameters
    ----------
    outer_treedef : PyTreeDef
        Structure of the outer tree.
    inner_treedef : PyTreeDef or None
        Structure of its subtrees; taken from the first if None.
    pytree_to_transpose : pytree
        A tree of structure ``outer``, at whose leaves stand trees of structure ``inner``.

    Examples
    --------
    >>> pairs = {"x": (1, 2), "y": (3, 4)}
    >>> transpose(structure({"x": 0, "y": 0}), structure((0, 0)), pairs)
    ({'x': 1, 'y': 3}, {'x': 2, 'y': 4})
    """
    subtrees = outer_treedef.flatten_up_to(pytree_to_transpose)
    if inner_treedef is None:
        if not subtrees:
            raise ValueError(
                "tree.transpose needs inner_treedef where the outer structure has no leaves"
            )
        inner_treedef = structure(subtrees[0])
    columns = zip(*[inner_treedef.flatten_up_to(subtree) for subtree in subtrees])
    inner_leaves = [outer_treedef.unflatten(column) for column in columns]
    if not subtrees:
        inner_leaves = [outer_treedef.unflatten(()) for _ in range(inner_treedef.num_leaves)]
    return inner_treedef.unflatten(inner_leaves)


def flatten_with_path(
    tree: Any, is_leaf: Callable[..., bool] | None = None, is_leaf_takes_path: bool = False
) -> tuple[list[tuple[KeyPath, Any]], PyTreeDef]:
    """Take a tree apart into pairs ``(path, leaf)`` and the structure.

    ``is_leaf`` is asked with a subtree, or with its path and itself if ``is_leaf_takes_path``.

    Examples
    --------
    >>> [(keystr(path), leaf) for path, leaf in flatten_with_path({"w": [1, 2]})[0]]
    [("['w'][0]", 1), ("['w'][1]", 2)]
    """
    pairs: list[tuple[KeyPath, Any]] = []
    if is_leaf is None or is_leaf_takes_path:
        stops = is_leaf
    else:
        stops = partial(_without_path, is_leaf)
    spec = spec_with_paths(tree, (), pairs, stops)
    return pairs, PyTreeDef(spec, len(pairs))


def _without_path(is_leaf: Callable[[Any], bool], path: KeyPath, tree: Any) -> bool:
    return is_leaf(tree)


def leaves_with_path(
    tree: Any, is_leaf: Callable[..., bool] | None = None, is_leaf_takes_path: bool = False
) -> list[tuple[KeyPath, Any]]:
    """The pairs ``(path, leaf)`` of a tree; see `flatten_with_path`."""
    return flatten_with_path(tree, is_leaf, is_leaf_takes_path)[0]


def map_with_path(
    f: Callable[..., Any],
    tree: Any,
    *rest: Any,
    is_leaf: Callable[..., bool] | None = None,
    is_leaf_takes_path: bool = False,
) -> Any:
    """Apply ``f(path, *leaves)`` to corresponding leaves; see `map` and `flatten_with_path`.

    Examples
    --------
    >>> map_with_path(lambda path, x: f"{keystr(path)} = {x}", {"a": 1})
    {'a': "['a'] = 1"}
    """
    pairs, treedef = flatten_with_path(tree, is_leaf, is_leaf_takes_path)
    others = [treedef.flatten_up_to(r) for r in rest]
    return treedef.unflatten(f(*pair, *xs) for pair, *xs in zip(pairs, *others))


def keystr(keys: KeyPath, *, simple: bool = False, separator: str = "") -> str:
    """Write a path as Python would: ``['layers'][1].weight``.

    Parameters
    ----------
    keys : tuple
        A path of `flatten_with_path`.
    simple : bool
        Whether to write only the bare keys.
    separator : str
        What to put between the keys.

    Examples
    --------
    >>> path, _ = leaves_with_path({"layers": [0]})[0]
    >>> keystr(path), keystr(path, simple=True, separator="/")
    ("['layers'][0]", 'layers/0')
    """
    return separator.join([_bare_key(k) if simple else str(k) for k in keys])


def _bare_key(key: Any) -> str:
    if isinstance(key, (DictKey, SequenceKey, GetAttrKey, FlattenedIndexKey)):
        return str(getattr(key, key.__slots__[0]))
    return str(key)
