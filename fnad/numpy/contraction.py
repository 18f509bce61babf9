"""Products of matrices and tensors: all of them become ``dot_general``."""

from __future__ import annotations

import operator
import string
from collections.abc import Sequence
from typing import Any

import numpy as np

from fnad.core.dtypes import canonical_dtype, result_type
from fnad.core.sizes import repeats_into
from fnad.numpy import ufuncs
from fnad.numpy.complex_numbers import conjugate
from fnad.numpy.creation import asarray, zeros_like
from fnad.numpy.einsum_parser import parse_einsum
from fnad.numpy.joining import concatenate
from fnad.numpy.manipulation import expand_dims, moveaxis, ravel, reshape
from fnad.numpy.operands import (
    Array,
    as_operand,
    broadcast_shapes,
    convert,
    expand,
    normalize_axes,
    shape_of,
)
from fnad.numpy.reductions import sum as sum_of
from fnad.primitives.contraction import dot_general_p
from fnad.primitives.shape import transpose

Axes = tuple[int, ...]


def _contract(a: Array, b: Array, contract: tuple[Axes, Axes], batch: tuple[Axes, Axes]) -> Array:
    """``dot_general`` on any dtypes; of booleans, NumPy's products are whether any is true."""
    dtype = a.dtype if a.dtype is b.dtype else result_type(a, b)
    if dtype.kind == "b":
        counts = _contract(convert(a, _INT64), convert(b, _INT64), contract, batch)
        return ufuncs.not_equal(counts, 0)
    return dot_general_p.bind(
        convert(a, dtype),
        convert(b, dtype),
        dimension_numbers=(contract, batch),
        preferred_element_type=None,
    )


_INT64 = np.dtype(np.int64)


def _mismatch(name: str, a: Array, b: Array) -> ValueError:
    return ValueError(
        f"{name}: shapes {a.shape} and {b.shape} do not agree along the axes that are summed over"
    )


def dot(a: Any, b: Any) -> Array:
    """Sum of products over the last axis of ``a`` and the second last (or only) axis of ``b``.

    Examples
    --------
    >>> dot(np.array([1, 2]), np.array([3, 4]))
    np.int64(11)
    """
    x, y = asarray(a), asarray(b)
    if x.ndim == 0 or y.ndim == 0:
        return ufuncs.multiply(x, y)
    axis = max(y.ndim - 2, 0)
    if x.shape[-1] != y.shape[axis]:
        raise _mismatch("dot", x, y)
    return _contract(x, y, ((x.ndim - 1,), (axis,)), ((), ()))


def vdot(a: Any, b: Any) -> Array:
    """Sum of products of all elements, both operands flattened, the first one conjugated.

    Examples
    --------
    >>> vdot(np.ones((2, 2)), np.ones((2, 2)))
    np.float64(4.0)
    """
    x = ravel(a)
    return dot(_conjugated(x), ravel(b))


def _conjugated(x: Array) -> Array:
    return conjugate(x) if x.dtype.kind == "c" else x


def inner(a: Any, b: Any) -> Array:
    """Sum of products over the last axis of both operands.

    Examples
    --------
    >>> inner(np.array([1, 2]), np.array([[3, 4], [5, 6]]))
    array([11, 17])
    """
    x, y = asarray(a), asarray(b)
    if x.ndim == 0 or y.ndim == 0:
        return ufuncs.multiply(x, y)
    if x.shape[-1] != y.shape[-1]:
        raise _mismatch("inner", x, y)
    return _contract(x, y, ((x.ndim - 1,), (y.ndim - 1,)), ((), ()))


def outer(a: Any, b: Any) -> Array:
    """All products of an element of ``a`` and one of ``b``.

    Examples
    --------
    >>> outer(np.array([1, 2]), np.array([3, 4]))
    array([[3, 4],
           [6, 8]])
    """
    return ufuncs.multiply(expand_dims(ravel(a), 1), expand_dims(ravel(b), 0))


def matmul(a: Any, b: Any) -> Array:
    """Matrix product ``a @ b`` over the last two axes; the other axes broadcast.

    Parameters
    ----------
    a : array_like
        Shape ``(..., m, k)``, or ``(k,)``.
    b : array_like
        Shape ``(..., k, n)``, or ``(k,)``.

    Returns
    -------
    array
        Shape ``(..., m, n)``; an operand of rank 1 contributes no axis.

    Examples
    --------
    >>> matmul(np.array([[1, 2], [3, 4]]), np.array([1, 1]))
    array([3, 7])
    """
    x, y = asarray(a), asarray(b)
    if x.ndim == 0 or y.ndim == 0:
        raise ValueError("matmul: operands must have at least one axis; use * for scalars")
    row, column = x.ndim == 1, y.ndim == 1
    if x.shape[-1] != y.shape[0 if column else -2]:
        raise _mismatch("matmul", x, y)
    if y.ndim <= 2:
        return _contract(x, y, ((x.ndim - 1,), (0,)), ((), ()))
    if row:
        return _contract(x, y, ((0,), (y.ndim - 2,)), ((), ()))
    if x.ndim == 2:
        out = _contract(x, y, ((1,), (y.ndim - 2,)), ((), ()))
        return moveaxis(out, 0, -2)
    batch = broadcast_shapes([x.shape[:-2], y.shape[:-2]], "matmul")
    x = expand(x, batch + x.shape[-2:])
    y = expand(y, batch + y.shape[-2:])
    axes = tuple(range(len(batch)))
    return _contract(x, y, ((len(batch) + 1,), (len(batch),)), (axes, axes))


def vecdot(x1: Any, x2: Any, /, *, axis: int = -1) -> Array:
    """Sum of products of vectors along an axis, those of ``x1`` conjugated; all others broadcast.

    Examples
    --------
    >>> vecdot(np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([1.0, 1.0]))
    array([3., 7.])
    """
    a, b = (moveaxis(asarray(x), axis, -1) for x in (x1, x2))
    if a.shape[-1] != b.shape[-1]:
        raise _mismatch("vecdot", a, b)
    product = matmul(expand_dims(_conjugated(a), -2), expand_dims(b, -1))
    return reshape(product, product.shape[:-2])


def matvec(x1: Any, x2: Any, /) -> Array:
    """Products of matrices ``(..., m, n)`` and vectors ``(..., n)``; leading axes broadcast.

    Examples
    --------
    >>> matvec(np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([1.0, 1.0]))
    array([3., 7.])
    """
    a, b = asarray(x1), asarray(x2)
    if a.ndim < 2 or b.ndim < 1 or a.shape[-1] != b.shape[-1]:
        raise _mismatch("matvec", a, b)
    product = matmul(a, expand_dims(b, -1))
    return reshape(product, product.shape[:-1])


def vecmat(x1: Any, x2: Any, /) -> Array:
    """Products of conjugated vectors ``(..., n)`` and matrices ``(..., n, m)``.

    Examples
    --------
    >>> vecmat(np.array([1.0, 1.0]), np.array([[1.0, 2.0], [3.0, 4.0]]))
    array([4., 6.])
    """
    a, b = asarray(x1), asarray(x2)
    if a.ndim < 1 or b.ndim < 2 or a.shape[-1] != b.shape[-2]:
        raise _mismatch("vecmat", a, b)
    product = matmul(expand_dims(_conjugated(a), -2), b)
    return reshape(product, (*product.shape[:-2], product.shape[-1]))


def multi_dot(arrays: Sequence[Any], *, precision: Any = None) -> Array:
    """The product of several matrices, in the order that takes the fewest multiplications.

    Parameters
    ----------
    arrays : sequence of array_like
        Two or more matrices; the first and the last may be vectors.
    precision : optional
        Taken for compatibility with JAX.

    Examples
    --------
    >>> multi_dot([np.array([1.0, 2.0]), np.eye(2), np.array([3.0, 4.0])])
    np.float64(11.0)
    """
    del precision
    xs = [asarray(x) for x in arrays]
    if len(xs) < 2:
        raise ValueError(f"multi_dot: needs at least two arrays, got {len(xs)}")
    ends = (1, 2)
    if any(x.ndim != 2 for x in xs[1:-1]) or xs[0].ndim not in ends or xs[-1].ndim not in ends:
        raise ValueError(
            "multi_dot: needs matrices, or vectors at the ends, got shapes"
            f" {', '.join(str(x.shape) for x in xs)}"
        )
    rows = xs[0].shape[0] if xs[0].ndim == 2 else 1
    sizes = [rows, *(x.shape[0] for x in xs[1:]), xs[-1].shape[1] if xs[-1].ndim == 2 else 1]
    return _product(xs, _cheapest_cuts(sizes), 0, len(xs) - 1)


def _cheapest_cuts(sizes: Sequence[int]) -> dict[tuple[int, int], int]:
    """For matrices i to j, of ``sizes[k]`` rows each, the last of the left factor.

    Cormen et al., "Introduction to Algorithms", 15.2.
    """
    count = len(sizes) - 1
    costs = {(i, i): 0 for i in range(count)}
    cuts = {}
    for length in range(1, count):
        for i in range(count - length):
            j = i + length
            costs[i, j], cuts[i, j] = min(
                (costs[i, k] + costs[k + 1, j] + sizes[i] * sizes[k + 1] * sizes[j + 1], k)
                for k in range(i, j)
            )
    return cuts


def _product(xs: Sequence[Array], cuts: dict[tuple[int, int], int], i: int, j: int) -> Array:
    if i == j:
        return xs[i]
    cut = cuts[i, j]
    return matmul(_product(xs, cuts, i, cut), _product(xs, cuts, cut + 1, j))


def tensordot(a: Any, b: Any, axes: Any = 2) -> Array:
    """Sum of products over pairs of axes.

    Examples
    --------
    >>> tensordot(np.ones((2, 3)), np.ones((3, 4)), axes=1).shape
    (2, 4)
    """
    x, y = asarray(a), asarray(b)
    if np.ndim(axes) == 0 and not isinstance(axes, (tuple, list)):
        count = operator.index(axes)
        left, right = tuple(range(x.ndim - count, x.ndim)), tuple(range(count))
    else:
        left, right = normalize_axes(axes[0], x.ndim), normalize_axes(axes[1], y.ndim)
    lengths = [tuple(z.shape[i] for i in ax) for z, ax in ((x, left), (y, right))]
    if lengths[0] != lengths[1]:
        raise ValueError(f"shape-mismatch for sum: lengths {lengths[0]} and {lengths[1]}")
    return _contract(x, y, (left, right), ((), ()))


def kron(a: Any, b: Any) -> Array:
    """Kronecker product: each element of ``a`` times the whole of ``b``.

    Examples
    --------
    >>> kron(np.array([1, 10]), np.array([1, 2]))
    array([ 1,  2, 10, 20])
    """
    x, y = asarray(a), asarray(b)
    ndim = max(x.ndim, y.ndim)
    left = (1,) * (ndim - x.ndim) + x.shape
    right = (1,) * (ndim - y.ndim) + y.shape
    x = reshape(x, tuple(n for m in left for n in (m, 1)))
    y = reshape(y, tuple(n for m in right for n in (1, m)))
    return reshape(ufuncs.multiply(x, y), tuple(m * n for m, n in zip(left, right)))


def cross(
    a: Any, b: Any, axisa: int = -1, axisb: int = -1, axisc: int = -1, axis: int | None = None
) -> Array:
    """Vector product of vectors of length 3, or of length 2, whose third component is 0.

    Parameters
    ----------
    a, b : array_like
        Their other axes broadcast.
    axisa, axisb : int
        The axes of the components.
    axisc : int
        Where the components are in the result; two vectors of length 2 give just the third one.
    axis : int, optional
        All three of them.

    Examples
    --------
    >>> cross(np.array([1, 0, 0]), np.array([0, 1, 0]))
    array([0, 0, 1])
    """
    if axis is not None:
        axisa = axisb = axisc = axis
    x, y = moveaxis(asarray(a), axisa, -1), moveaxis(asarray(b), axisb, -1)
    lengths = x.shape[-1], y.shape[-1]
    if not {2, 3}.issuperset(lengths):
        raise ValueError(
            f"cross: vectors must have length 2 or 3 along their axes, got {lengths[0]} and"
            f" {lengths[1]}"
        )
    x, y = (concatenate([v, zeros_like(v[..., :1])], -1) if v.shape[-1] == 2 else v for v in (x, y))
    x = concatenate([x, x], -1)
    y = concatenate([y, y], -1)
    parts = [
        ufuncs.subtract(
            ufuncs.multiply(_component(x, i + 1), _component(y, i + 2)),
            ufuncs.multiply(_component(x, i + 2), _component(y, i + 1)),
        )
        for i in range(3)
    ]
    if lengths == (2, 2):
        return parts[2]
    out = concatenate([expand_dims(p, -1) for p in parts], -1)
    return moveaxis(out, -1, axisc)


def _component(x: Array, index: int) -> Array:
    from fnad.primitives.slicing import index_in_dim

    return index_in_dim(x, index, x.ndim - 1, keepdims=False)


# -- einsum -------------------------------------------------------------------------------


def einsum(subscripts: Any, *operands: Any, optimize: Any = True, dtype: Any = None) -> Array:
    """Sum of products in Einstein's notation, contracted pair by pair along a good path.

    Parameters
    ----------
    subscripts : str
        As for `numpy.einsum`: ``"ij,jk->ik"``, with ``...`` for axes that broadcast; an index
        repeated within an operand takes its diagonal.
    *operands : array_like
        One for each term. Without subscripts, each has a list of numbers behind it that name its
        axes, and at the end may stand the list of the result: ``einsum(x, [0, 1], y, [1], [0])``.
    optimize : bool or str
        The strategy of `numpy.einsum_path`; False contracts from left to right.
    dtype : dtype, optional
        Of the result; the operands' common dtype by default.

    Examples
    --------
    >>> einsum("ij,j->i", np.array([[1, 2], [3, 4]]), np.array([1, 1]))
    array([3, 7])
    """
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
    out, term = pairs[0]
    out, term = _sum_out(out, term, set(output))
    out = transpose(out, tuple(term.index(c) for c in output))
    out = expand(out, tuple(sizes[c] for c in output))
    return ufuncs.not_equal(out, 0) if boolean else out


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
    from fnad.numpy.indexing import diagonal

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
    out = _contract(x, y, axes[0], axes[1])
    free = [c for c in left if c not in shared] + [c for c in right if c not in shared]
    return out, "".join(batch + free)
