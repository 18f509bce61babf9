"""Pytrees: flattening, structures, paths, registration and the errors that name the place."""

from collections import OrderedDict, defaultdict, namedtuple
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import pytest

from fnad import tree

Point = namedtuple("Point", "x y")

TREES = [
    (None, [], "PyTreeDef(None)"),
    (3, [3], "PyTreeDef(*)"),
    ((), [], "PyTreeDef(())"),
    ((1,), [1], "PyTreeDef((*,))"),
    ([1, (2, None)], [1, 2], "PyTreeDef([*, (*, None)])"),
    ({"b": (1, 2), "a": 3}, [3, 1, 2], "PyTreeDef({'a': *, 'b': (*, *)})"),
    (Point(1, [2]), [1, 2], "PyTreeDef(CustomNode(namedtuple[Point], [*, [*]]))"),
    (OrderedDict(b=1, a=2), [1, 2], "PyTreeDef(CustomNode(OrderedDict[('b', 'a')], [*, *]))"),
    (
        defaultdict(int, b=1, a=2),
        [2, 1],
        "PyTreeDef(CustomNode(defaultdict[(<class 'int'>, ('a', 'b'))], [*, *]))",
    ),
]


@pytest.mark.parametrize("value, leaves, shown", TREES, ids=[t[2] for t in TREES])
def test_flatten_and_unflatten(value, leaves, shown):
    found, structure = tree.flatten(value)
    assert found == leaves == tree.leaves(value)
    assert repr(structure) == shown
    assert structure.num_leaves == len(leaves)
    again = tree.unflatten(structure, leaves)
    assert again == value
    assert type(again) is type(value)


@pytest.mark.parametrize("value", [t[0] for t in TREES], ids=[t[2] for t in TREES])
def test_jax_agrees(value):
    jax = pytest.importorskip("jax")
    assert tree.leaves(value) == jax.tree.leaves(value)
    assert repr(tree.structure(value)) == repr(jax.tree.structure(value))
    paths = [tree.keystr(p) for p, _ in tree.leaves_with_path(value)]
    assert paths == [jax.tree_util.keystr(p) for p, _ in jax.tree.leaves_with_path(value)]


def test_leaves_are_kept_as_they_are():
    array = np.arange(3)
    leaf = object()
    leaves = tree.leaves({"a": array, "b": [leaf]})
    assert leaves[0] is array
    assert leaves[1] is leaf


def test_subclasses_of_containers_are_leaves():
    class MyList(list):
        pass

    value = MyList([1, 2])
    assert tree.leaves([value]) == [value]


def test_structures_compare_and_hash():
    a, b = tree.structure({"x": 1, "y": (2,)}), tree.structure({"y": (0,), "x": 0})
    assert a == b
    assert hash(a) == hash(b)
    assert a != tree.structure({"x": 1, "y": [2]})
    assert a != tree.structure({"x": 1, "z": (2,)})
    assert tree.structure(Point(1, 2)) != tree.structure((1, 2))
    assert tree.structure(OrderedDict(a=1, b=2)) != tree.structure(OrderedDict(b=1, a=2))
    assert a.num_nodes == 4
    assert [c.num_leaves for c in a.children()] == [1, 1]


def test_map():
    assert tree.map(lambda x: -x, {"a": 1, "b": [2, None]}) == {"a": -1, "b": [-2, None]}
    assert tree.map(lambda x, y: (x, y), [1, 2], [3, {"k": 4}]) == [(1, 3), (2, {"k": 4})]


def test_is_leaf():
    value = {"a": (1, 2), "b": None}
    assert tree.leaves(value, is_leaf=lambda x: isinstance(x, tuple)) == [(1, 2)]
    assert tree.leaves(value, is_leaf=lambda x: x is None) == [1, 2, None]
    assert tree.map(len, value, is_leaf=lambda x: isinstance(x, tuple)) == {"a": 2, "b": None}
    paths = tree.leaves_with_path(value, is_leaf=lambda x: isinstance(x, tuple))
    assert [(tree.keystr(p), leaf) for p, leaf in paths] == [("['a']", (1, 2))]


def test_reduce_and_all():
    assert tree.reduce(lambda a, b: a + b, [1, {"a": 2}]) == 3
    assert tree.reduce(lambda a, b: a + b, None, 7) == 7
    assert tree.all([True, (1,)])
    assert tree.all(None)
    assert not tree.all([True, (0,)])


def test_transpose():
    pairs = {"x": (1, [2]), "y": (3, [4])}
    outer, inner = tree.structure({"x": 0, "y": 0}), tree.structure((0, [0]))
    turned = ({"x": 1, "y": 3}, [{"x": 2, "y": 4}])
    assert tree.transpose(outer, inner, pairs) == turned
    assert tree.transpose(outer, None, pairs) == turned
    assert tree.transpose(tree.structure({}), inner, {}) == ({}, [{}])


def test_paths():
    value = {"layers": [Point(1, 2)]}
    pairs, structure = tree.flatten_with_path(value)
    assert structure == tree.structure(value)
    assert [tree.keystr(p) for p, _ in pairs] == ["['layers'][0].x", "['layers'][0].y"]
    assert tree.keystr(pairs[0][0], simple=True, separator="/") == "layers/0/x"
    named = tree.map_with_path(lambda p, a, b: f"{tree.keystr(p)}{a}{b}", [1], [2])
    assert named == ["[0]12"]


class Ray:
    def __init__(self, origin, direction, name):
        self.origin, self.direction, self.name = origin, direction, name


tree.register_pytree_node(
    Ray, lambda r: ((r.origin, r.direction), r.name), lambda name, c: Ray(*c, name)
)


def test_registered_class():
    leaves, structure = tree.flatten([Ray(1, 2, "r")])
    assert leaves == [1, 2]
    assert repr(structure) == "PyTreeDef([CustomNode(Ray['r'], [*, *])])"
    assert structure != tree.structure([Ray(1, 2, "s")])
    doubled = tree.map(lambda x: 2 * x, Ray(1, 2, "r"))
    assert (doubled.origin, doubled.direction, doubled.name) == (2, 4, "r")
    paths = [tree.keystr(p) for p, _ in tree.leaves_with_path([Ray(1, 2, "r")])]
    assert paths == ["[0][<flat index 0>]", "[0][<flat index 1>]"]


def test_registering_twice_is_an_error():
    with pytest.raises(ValueError, match="Ray is already registered"):
        tree.register_pytree_node(Ray, lambda r: ((), None), lambda _, c: None)


def test_unhashable_static_data_is_named():
    class Bad:
        pass

    tree.register_pytree_node(Bad, lambda b: ((), [1]), lambda _, c: Bad())
    with pytest.raises(TypeError, match=r"(?s)Bad.*static data \(aux\).*must be hashable"):
        hash(tree.structure(Bad()))


def test_register_dataclass():
    @tree.register_dataclass
    @dataclass
    class Line:
        slope: float
        offset: float
        name: str = field(default="", metadata={"static": True})

    line = Line(1.0, 2.0, "a")
    leaves, structure = tree.flatten(line)
    assert leaves == [1.0, 2.0]
    assert tree.unflatten(structure, leaves) == line
    assert structure != tree.structure(Line(1.0, 2.0, "b"))
    assert [tree.keystr(p) for p, _ in tree.leaves_with_path(line)] == [".slope", ".offset"]

    @partial(tree.register_dataclass, meta_fields=["n"])
    @dataclass
    class One:
        value: float
        n: int

    assert tree.map(lambda x: x + 1, One(1.0, 2)) == One(2.0, 2)


def test_register_dataclass_rejects_wrong_fields():
    @dataclass
    class Wrong:
        a: int
        b: int

    with pytest.raises(ValueError, match=r"each field of Wrong once; it has \['a', 'b'\]"):
        tree.register_dataclass(Wrong, data_fields=["a"], meta_fields=["c"])
    with pytest.raises(TypeError, match="is not a dataclass"):
        tree.register_dataclass(type("Plain", (), {}))


def test_register_with_keys_and_class_decorator():
    @tree.register_pytree_node_class
    class Pair:
        def __init__(self, a, b):
            self.a, self.b = a, b

        def tree_flatten(self):
            return (self.a, self.b), None

        @classmethod
        def tree_unflatten(cls, aux, children):
            return cls(*children)

    assert tree.leaves(tree.map(lambda x: x + 1, Pair(1, 2))) == [2, 3]

    class Box:
        def __init__(self, item):
            self.item = item

    tree.register_pytree_with_keys(
        Box, lambda b: ([(tree.GetAttrKey("item"), b.item)], None), lambda _, c: Box(*c)
    )
    assert tree.keystr(tree.leaves_with_path([Box(1)])[0][0]) == "[0].item"
    assert tree.leaves(Box((1, 2))) == [1, 2]


MISMATCHES = [
    ({"layers": [1, (2, 3)]}, {"layers": [1, [2, 3]]}, r"\['layers'\]\[1\]: expected tuple of 2"),
    ([1, 2], [1], "at the root: expected list of 2, got list of 1"),
    ({"a": 1}, {"b": 1}, r"expected keys \['a'\], got \['b'\]"),
    ([None], [1], r"at \[0\]: expected None, got a leaf of type int"),
    ([(1, 2)], [5.0], r"at \[0\]: expected tuple of 2, got a leaf of type float"),
    (Point(1, (2,)), Point(1, 2), r"at \.y: expected tuple of 1"),
    (Ray(1, 2, "r"), Ray(1, 2, "s"), "expected Ray with static data 'r', got 's'"),
    ([()], [[]], r"at \[0\]: expected \(\), got \[\]"),
]


@pytest.mark.parametrize("first, second, message", MISMATCHES)
def test_mismatch_names_the_place_and_both_trees(first, second, message):
    with pytest.raises(ValueError, match=message) as raised:
        tree.map(lambda *xs: xs, first, second)
    assert repr(tree.structure(first)) in str(raised.value)
    assert repr(tree.structure(second)) in str(raised.value)


def test_wrong_number_of_leaves():
    with pytest.raises(ValueError, match=r"PyTreeDef\(\[\*, \*\]\) has 2 leaves, but 3"):
        tree.unflatten(tree.structure([1, 2]), [1, 2, 3])


def test_unsortable_keys():
    with pytest.raises(ValueError, match=r"must be sortable, got \['a', 1\].*OrderedDict"):
        tree.leaves({"a": 1, 1: 2})


def test_broadcast_repeats_a_prefix():
    full = {"a": [1, (2, None)], "b": 3}
    assert tree.broadcast({"a": "x", "b": "y"}, full) == {"a": ["x", ("x", None)], "b": "y"}
    assert tree.broadcast(0, [1, [2]]) == [0, [0]]
    assert tree.broadcast([None, 1], [None, [2, 3]]) == [None, [1, 1]]
    assert tree.broadcast([None, 1], [5, [2, 3]], is_leaf=lambda x: x is None) == [None, [1, 1]]
    with pytest.raises(ValueError, match="disagree at"):
        tree.broadcast([1, 2], [1, 2, 3])


def test_reduce_associative_keeps_the_order_of_leaves():
    for count in range(1, 12):
        words = [chr(97 + i) for i in range(count)]
        assert tree.reduce_associative(lambda a, b: a + b, words) == "".join(words)
    assert tree.reduce_associative(max, {"a": 1, "b": (5, 3)}) == 5
    assert tree.reduce_associative(max, (), identity=0) == 0
    with pytest.raises(ValueError, match="no leaves"):
        tree.reduce_associative(max, [None])


def test_static_classes_have_no_leaves():
    @tree.register_static
    @dataclass(frozen=True)
    class Unit:
        name: str

    assert tree.flatten([1.0, Unit("m")])[0] == [1.0]
    assert tree.map(lambda x: 2 * x, [1.0, Unit("m")]) == [2.0, Unit("m")]
    assert tree.structure(Unit("m")) != tree.structure(Unit("s"))


def test_classes_that_name_their_children_by_a_method():
    @tree.register_pytree_with_keys_class
    class Pair:
        def __init__(self, a, b):
            self.a, self.b = a, b

        def tree_flatten_with_keys(self):
            return ((tree.GetAttrKey("a"), self.a), (tree.GetAttrKey("b"), self.b)), None

        @classmethod
        def tree_unflatten(cls, aux, children):
            return cls(*children)

    paths = [(tree.keystr(p), leaf) for p, leaf in tree.leaves_with_path([Pair(1, (2, 3))])]
    assert paths == [("[0].a", 1), ("[0].b[0]", 2), ("[0].b[1]", 3)]
    doubled = tree.map(lambda x: 2 * x, Pair(1, 2))
    assert (doubled.a, doubled.b) == (2, 4)


def test_leaves_that_paths_tell():
    x = {"a": [1, 2], "b": (3,)}
    stops = lambda path, subtree: path and path[-1] == tree.DictKey("a")
    pairs = tree.leaves_with_path(x, stops, is_leaf_takes_path=True)
    assert [(tree.keystr(path), leaf) for path, leaf in pairs] == [
        ("['a']", [1, 2]),
        ("['b'][0]", 3),
    ]
    f = lambda path, leaf: leaf * 2
    doubled = tree.map_with_path(f, x, is_leaf=stops, is_leaf_takes_path=True)
    assert doubled == {"a": [1, 2, 1, 2], "b": (6,)}
