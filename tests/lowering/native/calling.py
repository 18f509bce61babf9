"""Native calls as tests make them: with trees of every kind, and never through Python."""

import sys
from collections import OrderedDict, defaultdict, namedtuple
from dataclasses import dataclass

import numpy as np

import fnad
from fnad.core.tree_registry import register_dataclass, register_pytree_node

Point = namedtuple("Point", "x y")


class Checked(namedtuple("Checked", "a b")):
    def __new__(cls, a, b):
        made.append(cls)
        return super().__new__(cls, a, b)


made = []


@register_dataclass
@dataclass
class Line:
    slope: object
    offset: object


class Ray:
    def __init__(self, parts, name):
        self.parts, self.name = parts, name


register_pytree_node(Ray, lambda r: (r.parts, r.name), lambda name, parts: Ray(list(parts), name))


def native(f, *args, **kwargs):
    """Call until the call is native; the result of such a call."""
    results = [f(*args, **kwargs) for _ in range(3)]
    assert f._signatures, "no native signature was made"
    python = []

    def profile(frame, event, arg):
        if event == "call" and frame.f_code is type(f).__call__.__code__:
            python.append(frame)

    before = sys.getprofile()
    sys.setprofile(profile)
    try:
        result = f(*args, **kwargs)
    finally:
        sys.setprofile(before)
    assert not python, "the call went through Python"
    equal(result, results[0])
    return result


def equal(a, b):
    flat = [fnad.tree.flatten(t) for t in (a, b)]
    assert flat[0][1] == flat[1][1]
    for x, y in zip(flat[0][0], flat[1][0], strict=True):
        assert type(x) is type(y) and x.dtype == y.dtype and x.shape == y.shape
        np.testing.assert_array_equal(x, y)


def trees():
    x, y = np.arange(3.0), np.float32(2)
    return {
        "tuple": (x, (y, ()), x),
        "list": [x, [], [y]],
        "dict": {"b": x, "a": {"z": y}, "c": {}},
        "integer keys": {2: x, 1: y},
        "none": [None, x, (None,)],
        "namedtuple": Point(x, Point(y, None)),
        "namedtuple with a constructor": Checked(x, y),
        "ordered": OrderedDict([("b", x), ("a", y)]),
        "default": defaultdict(list, {"b": x, "a": y}),
        "dataclass": Line(x, [y]),
        "registered": Ray((x, y), "r"),
        "all": [Line(Point(x, {"u": y}), None), Ray((OrderedDict(k=x),), "s")],
    }
