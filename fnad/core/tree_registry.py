"""Which containers are pytrees, how they are taken apart, and how their children are named."""

from __future__ import annotations

import dataclasses
import functools
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from operator import attrgetter
from typing import Any, NamedTuple, TypeVar

T = TypeVar("T")


@dataclasses.dataclass(frozen=True, slots=True)
class DictKey:
    """A step of a path: an entry of a dictionary."""

    key: Hashable

    def __str__(self) -> str:
        return f"[{self.key!r}]"


@dataclasses.dataclass(frozen=True, slots=True)
class SequenceKey:
    """A step of a path: an element of a list or a tuple."""

    idx: int

    def __str__(self) -> str:
        return f"[{self.idx}]"


@dataclasses.dataclass(frozen=True, slots=True)
class GetAttrKey:
    """A step of a path: a field of a namedtuple or a dataclass."""

    name: str

    def __str__(self) -> str:
        return f".{self.name}"


@dataclasses.dataclass(frozen=True, slots=True)
class FlattenedIndexKey:
    """A step of a path: a child of a class that was registered without keys."""

    key: int

    def __str__(self) -> str:
        return f"[<flat index {self.key}>]"


class NodeType(NamedTuple):
    """How one container type is taken apart and put together."""

    flatten: Callable[[Any], tuple[Iterable[Any], Hashable]]
    unflatten: Callable[[Any, list[Any]], Any]
    flatten_with_keys: Callable[[Any], tuple[list[tuple[Any, Any]], Hashable]]


registry: dict[type, NodeType] = {}


def register_pytree_node(
    nodetype: type,
    flatten_func: Callable[[Any], tuple[Iterable[Any], Hashable]],
    unflatten_func: Callable[[Any, list[Any]], Any],
    flatten_with_keys_func: Callable[[Any], tuple[Iterable[tuple[Any, Any]], Hashable]]
    | None = None,
) -> None:
    """Make a class a container of trees.

    Parameters
    ----------
    nodetype : type
        The class itself; subclasses must be registered on their own.
    flatten_func : callable
        Returns ``(children, aux)`` of an instance; ``aux`` is static: hashable and comparable.
    unflatten_func : callable
        Builds an instance from ``(aux, children)``. The children can be any objects, also
        placeholders: it must not check or convert them.
    flatten_with_keys_func : callable, optional
        Returns ``(pairs of key and child, aux)``, for paths; without it children are numbered.

    Raises
    ------
    ValueError
        If the class is registered already.

    Examples
    --------
    >>> class Ray:
    ...     def __init__(self, origin, direction):
    ...         self.origin, self.direction = origin, direction
    >>> register_pytree_node(Ray, lambda r: ((r.origin, r.direction), None), lambda _, c: Ray(*c))
    >>> from fnad.core.tree import leaves
    >>> leaves(Ray(1.0, 2.0))
    [1.0, 2.0]
    """
    if not isinstance(nodetype, type):
        raise TypeError(f"register_pytree_node takes a class, got {nodetype!r}")
    if nodetype in registry:
        raise ValueError(f"{nodetype.__name__} is already registered as a pytree")

    def numbered(node: Any) -> tuple[list[tuple[Any, Any]], Hashable]:
        children, aux = flatten_func(node)
        return [(FlattenedIndexKey(i), child) for i, child in enumerate(children)], aux

    def keyed(node: Any) -> tuple[list[tuple[Any, Any]], Hashable]:
        assert flatten_with_keys_func is not None
        pairs, aux = flatten_with_keys_func(node)
        return list(pairs), aux

    with_keys = numbered if flatten_with_keys_func is None else keyed
    registry[nodetype] = NodeType(flatten_func, unflatten_func, with_keys)


def register_pytree_with_keys(
    nodetype: type,
    flatten_with_keys: Callable[[Any], tuple[Iterable[tuple[Any, Any]], Hashable]],
    unflatten_func: Callable[[Any, list[Any]], Any],
    flatten_func: Callable[[Any], tuple[Iterable[Any], Hashable]] | None = None,
) -> None:
    """Make a class a container of trees that also names its children in paths.

    ``flatten_with_keys`` returns ``(pairs of key and child, aux)``; ``flatten_func`` is an
    optional faster way to the children alone. Otherwise as `register_pytree_node`.

    Examples
    --------
    >>> class Box:
    ...     def __init__(self, item):
    ...         self.item = item
    >>> register_pytree_with_keys(
    ...     Box, lambda b: ([(GetAttrKey("item"), b.item)], None), lambda _, c: Box(*c))
    >>> from fnad.core.tree import keystr, leaves_with_path
    >>> keystr(leaves_with_path([Box(1.0)])[0][0])
    '[0].item'
    """

    def without_keys(node: Any) -> tuple[list[Any], Hashable]:
        pairs, aux = flatten_with_keys(node)
        return [child for _, child in pairs], aux

    register_pytree_node(nodetype, flatten_func or without_keys, unflatten_func, flatten_with_keys)


def register_pytree_node_class(cls: type[T]) -> type[T]:
    """Register a class by its methods ``tree_flatten`` and ``tree_unflatten``; a decorator.

    ``tree_flatten(self)`` returns ``(children, aux)``; ``tree_unflatten(cls, aux, children)`` is
    a class method.
    """
    register_pytree_node(cls, lambda x: x.tree_flatten(), cls.tree_unflatten)  # type: ignore[attr-defined]
    return cls


def register_pytree_with_keys_class(cls: type[T]) -> type[T]:
    """Register a class by its methods ``tree_flatten_with_keys`` and ``tree_unflatten``.

    A decorator: as `register_pytree_node_class`, but the first method returns pairs of key and
    child in place of the children; a method ``tree_flatten`` is used for speed if there is one.
    """
    register_pytree_with_keys(
        cls,
        lambda x: x.tree_flatten_with_keys(),
        cls.tree_unflatten,  # type: ignore[attr-defined]
        getattr(cls, "tree_flatten", None),
    )
    return cls


def register_static(cls: type[T]) -> type[T]:
    """Make the instances of a class trees without leaves: static data, as None is; a decorator.

    They pass through compiled functions and transforms as they are. Two programs are the same
    only if these objects are equal, so the class must define ``__eq__`` and ``__hash__``.

    Examples
    --------
    >>> @register_static
    ... @dataclasses.dataclass(frozen=True)
    ... class Unit:
    ...     name: str
    >>> from fnad.core.tree import leaves
    >>> leaves((1.0, Unit("m")))
    [1.0]
    """
    register_pytree_node(cls, lambda x: ((), x), lambda x, _: x)
    return cls


def register_dataclass(
    nodetype: type[T],
    data_fields: Sequence[str] | None = None,
    meta_fields: Sequence[str] | None = None,
) -> type[T]:
    """Make a dataclass a container of trees; also a decorator.

    Parameters
    ----------
    nodetype : type
        A dataclass (or, with both lists of fields given, any class whose constructor takes the
        fields by keyword).
    data_fields : sequence of str, optional
        Fields that hold trees. By default all fields that are not in ``meta_fields``.
    meta_fields : sequence of str, optional
        Fields that are static. By default those of ``field(metadata={"static": True})``.

    Raises
    ------
    TypeError, ValueError
        If the class is no dataclass, or the fields given are not exactly its fields.

    Examples
    --------
    >>> @register_dataclass
    ... @dataclasses.dataclass
    ... class Line:
    ...     slope: float
    ...     offset: float
    ...     name: str = dataclasses.field(default="", metadata={"static": True})
    >>> from fnad.core import tree
    >>> tree.map(lambda x: 2 * x, Line(1.0, 3.0, "roof"))
    Line(slope=2.0, offset=6.0, name='roof')
    """
    data, meta = _dataclass_fields(nodetype, data_fields, meta_fields)
    if meta:
        get_meta = _tuple_getter(meta)
    else:
        get_meta = lambda node: ()  # noqa: E731
    get_data = _tuple_getter(data) if data else (lambda node: ())
    keys = [GetAttrKey(name) for name in data]

    def unflatten_func(aux: Any, children: list[Any]) -> Any:
        return nodetype(**dict(zip(data, children)), **dict(zip(meta, aux)))

    register_pytree_node(
        nodetype,
        lambda node: (get_data(node), get_meta(node)),
        unflatten_func,
        lambda node: (zip(keys, get_data(node)), get_meta(node)),
    )
    return nodetype


def _tuple_getter(names: Sequence[str]) -> Callable[[Any], tuple[Any, ...]]:
    getter = attrgetter(*names)
    return getter if len(names) > 1 else lambda node: (getter(node),)


def _dataclass_fields(
    nodetype: type, data_fields: Sequence[str] | None, meta_fields: Sequence[str] | None
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    if not dataclasses.is_dataclass(nodetype):
        if data_fields is None or meta_fields is None:
            raise TypeError(
                f"register_dataclass: {nodetype!r} is not a dataclass; decorate it with"
                " dataclasses.dataclass first, or name both data_fields and meta_fields"
            )
        return tuple(data_fields), tuple(meta_fields)
    fields = [f for f in dataclasses.fields(nodetype) if f.init]
    names = [f.name for f in fields]
    if meta_fields is None:
        if data_fields is None:
            meta_fields = [f.name for f in fields if f.metadata.get("static", False)]
        else:
            meta_fields = [name for name in names if name not in data_fields]
    if data_fields is None:
        data_fields = [name for name in names if name not in meta_fields]
    if sorted([*data_fields, *meta_fields]) != sorted(names):
        raise ValueError(
            f"register_dataclass: data_fields {list(data_fields)} and meta_fields"
            f" {list(meta_fields)} together must name each field of {nodetype.__name__} once;"
            f" it has {names}"
        )
    return tuple(data_fields), tuple(meta_fields)


class Partial(functools.partial):
    """A function with arguments given, which are its children as a pytree.

    So it goes into compiled functions and out of them. Two of them have one structure if their
    functions are equal, and the arguments are given in the same way.

    Examples
    --------
    >>> import numpy as np, fnad
    >>> scale = fnad.jit(lambda a: fnad.tree.Partial(np.multiply, a))(3.0)
    >>> scale(2.0)
    np.float64(6.0)
    """


def node_type(cls: type) -> NodeType | None:
    """The entry of a container type, None for leaves; namedtuples are entered as they appear."""
    node = registry.get(cls)
    if node is None and issubclass(cls, tuple) and hasattr(cls, "_fields"):
        keys = [GetAttrKey(name) for name in cls._fields]
        node = registry[cls] = NodeType(
            lambda x: (x, None),
            lambda _, children: cls(*children),
            lambda x: (list(zip(keys, x)), None),
        )
    return node


def _sorted_keys(mapping: dict[Any, Any]) -> tuple[Any, ...]:
    try:
        return tuple(sorted(mapping))
    except TypeError as error:
        raise ValueError(
            f"the keys of a dictionary in a pytree must be sortable, got {list(mapping)}"
            f" ({error}); use keys of one type, or an OrderedDict"
        ) from None


def _flatten_dict(d: dict[Any, Any]) -> tuple[Iterable[Any], Hashable]:
    keys = _sorted_keys(d)
    return map(d.__getitem__, keys), keys


def _flatten_defaultdict(d: defaultdict[Any, Any]) -> tuple[list[Any], Hashable]:
    keys = _sorted_keys(d)
    return [d[k] for k in keys], (d.default_factory, keys)


def _register_builtins() -> None:
    def by_index(children: Iterable[Any]) -> list[tuple[Any, Any]]:
        return [(SequenceKey(i), child) for i, child in enumerate(children)]

    def by_key(keys: Iterable[Any], d: dict[Any, Any]) -> list[tuple[Any, Any]]:
        return [(DictKey(k), d[k]) for k in keys]

    register_pytree_node(type(None), lambda _: ((), None), lambda _, __: None)
    register_pytree_node(
        tuple, lambda x: (x, None), lambda _, c: tuple(c), lambda x: (by_index(x), None)
    )
    register_pytree_node(list, lambda x: (x, None), lambda _, c: c, lambda x: (by_index(x), None))
    register_pytree_node(
        dict,
        _flatten_dict,
        lambda keys, c: dict(zip(keys, c)),
        lambda d: (by_key(_sorted_keys(d), d), _sorted_keys(d)),
    )
    register_pytree_node(
        Partial,
        lambda p: ((p.args, p.keywords), p.func),
        lambda func, c: Partial(func, *c[0], **c[1]),
    )
    register_pytree_node(
        OrderedDict,
        lambda d: (d.values(), tuple(d)),
        lambda keys, c: OrderedDict(zip(keys, c)),
        lambda d: (by_key(d, d), tuple(d)),
    )
    register_pytree_node(
        defaultdict,
        _flatten_defaultdict,
        lambda aux, c: defaultdict(aux[0], zip(aux[1], c)),
        lambda d: (by_key(_sorted_keys(d), d), _flatten_defaultdict(d)[1]),
    )


_register_builtins()
