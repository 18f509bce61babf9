"""Einstein's notation: sums of products, contracted pair by pair along a good path."""

from __future__ import annotations

import string
from collections.abc import Sequence
from typing import Any

import numpy as np

from fnad.core.dtypes import canonical_dtype, result_type
from fnad.core.sizes import repeats_into
from fnad.numpy import ufuncs
from fnad.numpy.contraction import contract
from fnad.numpy.creation import asarray
from fnad.numpy.einsum_parser import parse_einsum
from fnad.numpy.indexing import diagonal
from fnad.numpy.operands import Array, as_operand, convert, expand, refuse_out, shape_of
from fnad.numpy.reductions import sum as sum_of
from fnad.primitives.precision import check_precision
from fnad.primitives.shape import transpose

_INT64 = np.dtype(np.int64)


def einsum(
    subscripts: Any,
    *operands: Any,
    out: None = None,
    optimize: Any = True,
    precision: Any = None,
    preferred_element_type: Any = None,
    dtype: Any = None,
) -> Array:
    """Sum of products in Einstein's notation, contracted pair by pair along a good path.

    Parameters
    ----------
    subscripts : str
        As for `numpy.einsum`: ``"ij,jk->ik"``, with ``...`` for axes that broadcast; an index
        repeated within an operand takes its diagonal.
    *operands : array_like
        One for each term. Without subscripts, each has a list of numbers behind it that name its
        axes, and at the end may stand the list of the result: ``einsum(x, [0, 1], y, [1], [0])``.
    out : None
        Stands where NumPy has an array to write to.
    optimize : bool or str
        The strategy of `numpy.einsum_path`; False contracts from left to right.
    precision : optional
        Taken for compatibility with JAX; products are always computed in full precision.
    preferred_element_type, dtype : dtype, optional
        JAX's and NumPy's names of what to compute in and to return; the operands' common dtype by
        default.

    Examples
    --------
    >>> einsum("ij,j->i", np.array([[1, 2], [3, 4]]), np.array([1, 1]))
    array([3, 7])
    """
    refuse_out("einsum", out)
    check_precision("einsum", precision)
    if dtype is None:
        dtype = preferred_element_type
    subscripts, operands = _as_subscripts(subscripts, operands)
    xs = [asarray(x) for x in operands]
    terms, output = parse_einsum(subscripts, [x.ndim for x in xs])
    common = result_type(*xs) if dtype is None else canonical_dtype(dtype)
    boolean = common.kind == "b"
    xs = [convert(x, _INT64 if boolean else common) for x in xs]
    sizes = _index_sizes(terms, xs)
    pairs = [_simplify(x, t, sizes) for x, t in zip(xs, terms)]
    for chosen in _path(pairs, output, optimize):
        taken = [pairs[i] for i in chosen]
        pairs = [p for i, p in enumerate(pairs) if i not in chosen]
        kept = set(output).union(*[t for _, t in pairs])
        pairs.append(_contract_all(taken, kept))
    product, term = _sum_out(*pairs[0], set(output))
    product = transpose(product, tuple(term.index(c) for c in output))
    product = expand(product, tuple(sizes[c] for c in output))
    return ufuncs.not_equal(product, 0) if boolean else product


def einsum_path(subscripts: Any, *operands: Any, optimize: Any = "greedy") -> tuple[list[Any], str]:
    """The order in which `einsum` contracts, as `numpy.einsum_path` finds it, and a report.

    Examples
    --------
    >>> x = np.ones((2, 2))
    >>> einsum_path("ij,jk,kl->il", x, x, x)[0]
    ['einsum_path', (0, 1), (0, 1)]
    """
    subscripts, operands = _as_subscripts(subscripts, operands)
    shapes = [np.broadcast_to(np.int8(0), shape_of(as_operand(x))) for x in operands]
    return np.einsum_path(subscripts, *shapes, optimize=optimize)


def _as_subscripts(subscripts: Any, operands: tuple[Any, ...]) -> tuple[str, tuple[Any, ...]]:
    """The form ``einsum(x, [0, 1], y, [1, 2], [0, 2])`` as one of letters."""
    if isinstance(subscripts, str):
        return subscripts, operands
    given = (subscripts, *operands)
    paired = len(given) // 2 * 2
    lists = [list(axes) for axes in given[1:paired:2]]
    letters = sorted({axis for axes in lists for axis in axes if axis is not Ellipsis})
    names = {axis: string.ascii_letters[i] for i, axis in enumerate(letters)}
    names[Ellipsis] = "..."
    terms = ["".join(names[axis] for axis in axes) for axes in lists]
    output = "".join(names[axis] for axis in given[paired]) if len(given) > paired else None
    text = ",".join(terms) + ("" if output is None else f"->{output}")
    return text, given[:paired:2]


def _index_sizes(terms: Sequence[str], xs: Sequence[Array]) -> dict[str, int]:
    sizes: dict[str, int] = {}
    for term, x in zip(terms, xs):
        for letter, n in zip(term, x.shape):
            known = sizes.get(letter, 1)
            if not repeats_into(known, n) and n != 1:
                raise ValueError(
                    f"einsum: index {letter!r} has length {known} in one operand and {n} in"
                    f" another, of shape {x.shape}"
                )
            sizes[letter] = n if repeats_into(known, n) else known
    return sizes


def _simplify(x: Array, term: str, sizes: dict[str, int]) -> tuple[Array, str]:
    """Take diagonals of repeated indices and give length-1 axes their full length."""
    x = expand(x, tuple(sizes[c] for c in term))
    for letter in dict.fromkeys(term):
        while term.count(letter) > 1:
            i = term.index(letter)
            j = term.index(letter, i + 1)
            x = diagonal(x, 0, i, j)
            term = term[:i] + term[i + 1 : j] + term[j + 1 :] + letter
    return x, term


def _path(pairs: list[tuple[Array, str]], output: str, optimize: Any) -> list[tuple[int, ...]]:
    """Which operands to contract, in order; the result of each goes to the end."""
    if len(pairs) < 3 or not optimize:
        return [(0, 1)] * (len(pairs) - 1)
    shapes = [np.broadcast_to(np.int8(0), x.shape) for x, _ in pairs]
    subscripts = ",".join(t for _, t in pairs) + "->" + output
    path = np.einsum_path(subscripts, *shapes, optimize=optimize)[0]
    return list(path[1:])


def _contract_all(taken: list[tuple[Array, str]], kept: set[str]) -> tuple[Array, str]:
    result = taken[0]
    for i, other in enumerate(taken[1:], 2):
        later = kept.union(*[t for _, t in taken[i:]])
        result = _contract_pair(result, other, later)
    return result


def _sum_out(x: Array, term: str, kept: set[str]) -> tuple[Array, str]:
    gone = tuple(i for i, c in enumerate(term) if c not in kept)
    if not gone:
        return x, term
    return sum_of(x, gone, x.dtype), "".join(c for c in term if c in kept)


def _contract_pair(a: tuple[Array, str], b: tuple[Array, str], kept: set[str]) -> tuple[Array, str]:
    x, left = _sum_out(*a, kept | set(b[1]))
    y, right = _sum_out(*b, kept | set(left))
    shared = [c for c in left if c in right]
    batch = [c for c in shared if c in kept]
    summed = [c for c in shared if c not in kept]
    axes = [
        (tuple(left.index(c) for c in cs), tuple(right.index(c) for c in cs))
        for cs in (summed, batch)
    ]
    out = contract(x, y, axes[0], axes[1])
    free = [c for c in left if c not in shared] + [c for c in right if c not in shared]
    return out, "".join(batch + free)
