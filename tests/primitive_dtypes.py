"""Every primitive in every dtype that it takes: what its type rule says, on the rows of its table.

What a primitive takes is tried, not listed: operands of one dtype are all given another one, and
the type rule takes them or not. A row of integers stands for integers of every width and sign, one
of floats for all floats, and so on; `holes` are dtypes that are taken and have no such row.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

import fnad
from fnad.core.primitive import Primitive
from fnad.core.types import ShapedArray, aval_of, kind_of
from fnad.testing import Sample, assert_allclose, check_primitive
from fnad.testing.primitive import (
    _blame,
    _compiles,
    _function,
    _in_each_dtype,
    _limits,
    _results,
)
from tests.samples.values import DTYPES

# A row of one kind is run in all dtypes of its group.
_GROUPS = {"b": "b", "i": "iu", "u": "iu", "f": "f", "c": "c"}

Dtypes = dict[int, set[np.dtype[Any]]]


def _operand_sets(sample: Sample) -> Iterator[tuple[int, ...]]:
    """The operands of a row that have one dtype, and so may have to change it together."""
    dtypes = [np.asarray(a).dtype for a in sample.args]
    for dtype in dict.fromkeys(dtypes):
        yield tuple(i for i, d in enumerate(dtypes) if d == dtype)


def _accepted(primitive: Primitive, sample: Sample, operands: Sequence[int]) -> list[np.dtype[Any]]:
    """The dtypes in which the type rule takes some operands of a row."""
    avals = [aval_of(np.asarray(a)) for a in sample.args]
    found = []
    for dtype in DTYPES:
        for i in operands:
            avals[i] = ShapedArray(avals[i].shape, dtype)
        try:
            primitive.out_avals(avals, dict(sample.params))
        except TypeError:
            continue
        found.append(dtype)
    return found


def _key(sample: Sample, args: Sequence[Any]) -> Any:
    arrays = [np.asarray(a) for a in args]
    return repr(sample.params), tuple((a.dtype, a.shape, a.tobytes()) for a in arrays)


def variants(primitive: Primitive, samples: Sequence[Sample]) -> Iterator[Sample]:
    """The rows in all dtypes of their kinds that the type rule takes, but those tested anyway."""
    seen = {_key(sample, args) for sample in samples for args in _in_each_dtype(sample)}
    for sample in samples:
        for operands in _operand_sets(sample):
            group = _GROUPS[kind_of(np.asarray(sample.args[operands[0]]).dtype)]
            for dtype in _accepted(primitive, sample, operands):
                if kind_of(dtype) not in group:
                    continue
                args = list(sample.args)
                for i in operands:
                    with np.errstate(all="ignore"):
                        args[i] = np.asarray(args[i]).astype(dtype)[()]
                key = _key(sample, args)
                if key not in seen:
                    seen.add(key)
                    # With dtypes of float64 alone, a row is as it is.
                    yield replace(sample, args=tuple(args), dtypes=("float64",))


def tested(primitive: Primitive, samples: Sequence[Sample]) -> Dtypes:
    """The dtypes in which the generic tests run each operand."""
    found: Dtypes = {}
    rows = [args for sample in samples for args in _in_each_dtype(sample)]
    for args in (*rows, *(v.args for v in variants(primitive, samples))):
        for i, arg in enumerate(args):
            found.setdefault(i, set()).add(np.asarray(arg).dtype)
    return found


def holes(primitive: Primitive, samples: Sequence[Sample]) -> dict[int, list[str]]:
    """Dtypes that the type rule takes of an operand, but no row has."""
    taken: Dtypes = {}
    for sample in samples:
        for operands in _operand_sets(sample):
            for i in operands:
                taken.setdefault(i, set()).update(_accepted(primitive, sample, operands))
    ran = tested(primitive, samples)
    missing = {i: dtypes - ran.get(i, set()) for i, dtypes in taken.items()}
    return {i: [d.name for d in DTYPES if d in ds] for i, ds in missing.items() if ds}


def check_dtypes(primitive: Primitive, samples: Sequence[Sample]) -> None:
    """The type rule, evaluation and compiled code of all variants, which are one program."""
    rows = list(variants(primitive, samples))
    if rows:
        check_primitive(primitive, rows, ["types", "reference"])
    rows = [row for row in rows if _compiles(primitive, row)]
    if not rows:
        return
    functions = [_function(primitive, row) for row in rows]
    together = fnad.jit(lambda operands: [f(*xs) for f, xs in zip(functions, operands)])
    for row, f, found in zip(rows, functions, together([row.args for row in rows])):
        with _blame(primitive, "lower", row.args, row):
            assert_allclose(
                _results(primitive, found),
                _results(primitive, f(*row.args)),
                message="disagrees with evaluation",
                **_limits(row, row.args),
            )
