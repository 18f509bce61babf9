"""Sparse Jacobians and Hessians: a few products with vectors tell all their entries."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import update_wrapper
from typing import Any, Literal

import numpy as np

from fnad.core import tree
from fnad.core.flat_function import function_name
from fnad.core.tracer import Tracer, current_trace
from fnad.core.types import aval_of, is_differentiable, kind_of
from fnad.primitives.indexing import gather
from fnad.primitives.logic import convert_element_type, eq
from fnad.primitives.shape import broadcast_in_dim, broadcasted_iota, full, reshape
from fnad.primitives.slicing import concatenate, slice_in_dim
from fnad.transforms.argument_positions import as_positions, pick_positions
from fnad.transforms.autodiff import grad, jvp, linearize, vjp
from fnad.transforms.coloring import Colors, color_columns, color_symmetric, num_colors
from fnad.transforms.jit import jit
from fnad.transforms.sparsity import find_pattern, given_pattern
from fnad.transforms.tracing import eval_shape
from fnad.transforms.vmap import vmap

Mode = Literal["forward", "reverse", "symmetric"]

# Patterns and colourings kept of one function, by the types of its arguments.
_MOST_KEPT = 64


@dataclass(frozen=True, slots=True)
class Compression:
    """How the entries of a sparse derivative are found from few products with vectors.

    Attributes
    ----------
    pattern : scipy.sparse.csr_array of bool
        Where the derivative may differ from zero.
    mode : str
        ``"forward"``: products with sums of columns; ``"reverse"``: with sums of rows;
        ``"symmetric"``: as forward, with each entry read at its own place or at its mirror's.
    colors : ndarray of int64
        The product in which each column (row) takes part.
    num_colors : int
        How many products there are.
    product, place : ndarray of int64
        For each entry of the pattern, in which product it is read, and where in it.
    """

    pattern: Any
    mode: Mode
    colors: Colors
    num_colors: int
    product: Colors
    place: Colors


def _compress(pattern: Any, mode: Mode, colors: Colors) -> Compression:
    row = np.repeat(np.arange(pattern.shape[0]), np.diff(pattern.indptr))
    column = pattern.indices.astype(np.int64)
    product, place = (colors[row], column) if mode == "reverse" else (colors[column], row)
    count = num_colors(colors)
    if mode == "symmetric" and len(row):
        # Mirrored entries are read at one place: above the diagonal, or, where others share it,
        # below, where the colouring says that they stand alone.
        hits = np.bincount(place * count + product)
        low, high = np.minimum(row, column), np.maximum(row, column)
        shared = hits[low * count + colors[high]] > 1
        product = np.where(shared, colors[low], colors[high])
        place = np.where(shared, high, low)
    return Compression(pattern, mode, colors, count, product, place)


def _choose(pattern: Any, mode: Mode | None) -> tuple[Mode, Colors]:
    """The mode that takes fewer products, and its colours; of equals, forward mode."""
    if mode == "reverse":
        return mode, color_columns(pattern.T.tocsr())
    columns = color_columns(pattern)
    fewest_rows = int(np.bincount(pattern.indices, minlength=1).max())
    if mode is None and fewest_rows < num_colors(columns):
        rows = color_columns(pattern.T.tocsr())
        if num_colors(rows) < num_colors(columns):
            return "reverse", rows
    return "forward", columns


class SparseDerivative:
    """A function that returns a sparse matrix; `jacobian_sparse` and `hessian_sparse` make it.

    The first call with arguments of some types finds pattern and colouring, and compiles; later
    ones only run what was compiled.
    """

    def __init__(
        self,
        fun: Callable[..., Any],
        what: str,
        sparsity: Any,
        argnums: int | Sequence[int],
        has_aux: bool,
        mode: Mode | None,
    ) -> None:
        update_wrapper(self, fun)
        self._fun, self._what, self._sparsity = fun, f"{what} of {function_name(fun)}", sparsity
        self._argnums, self._has_aux, self._mode = argnums, has_aux, mode
        self._kept: dict[Any, tuple[Compression, Callable[..., Any]]] = {}

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """The matrix, a ``scipy.sparse.csr_array``; with ``has_aux``, a pair of it and aux."""
        import scipy.sparse as sp

        leaves = tree.leaves((args, kwargs))
        if current_trace() is not None or any(isinstance(leaf, Tracer) for leaf in leaves):
            raise TypeError(
                f"{self._what} returns a scipy.sparse array, which cannot be traced: call it"
                " outside of jit, grad and vmap, or take .data(...), the values of its entries,"
                " with the places that .compression(...).pattern names"
            )
        found = self.data(*args, **kwargs)
        data, aux = found if self._has_aux else (found, None)
        pattern = self.compression(*args, **kwargs).pattern
        parts = (data, pattern.indices.copy(), pattern.indptr.copy())
        matrix = sp.csr_array(parts, pattern.shape)
        return (matrix, aux) if self._has_aux else matrix

    def data(self, *args: Any, **kwargs: Any) -> Any:
        """The entries in the order of ``compression(...).pattern``, as an array.

        It may be called under jit and other transforms.
        """
        use, run = self._prepared(args, kwargs)
        return run(args, kwargs, use.colors, use.product, use.place)

    def compression(self, *args: Any, **kwargs: Any) -> Compression:
        """Pattern and colouring for arguments of these types; their values are not looked at."""
        return self._prepared(args, kwargs)[0]

    def check(self, *args: Any, **kwargs: Any) -> None:
        """Compare the matrix with the true derivative, both times one random vector.

        Raises
        ------
        ValueError
            If they disagree: then ``sparsity`` leaves out entries that are not zero.

        Examples
        --------
        >>> import numpy as np, fnad
        >>> fnad.jacobian_sparse(np.cumsum, sparsity=np.eye(3)).check(np.ones(3))
        Traceback (most recent call last):
        ...
        ValueError: jacobian_sparse of cumsum: sparsity leaves out entries that are not zero, in 2
        of 3 rows, the first of which is row 1. Add them, or let the pattern be found.
        """
        found = self(*args, **kwargs)
        matrix = found[0] if self._has_aux else found
        fun, picked = self._of_picked(args, kwargs)
        rng = np.random.default_rng(0)
        if self.compression(*args, **kwargs).mode == "reverse":
            out, pull, *_ = vjp(fun, picked, has_aux=self._has_aux)
            probe = tree.map(lambda leaf: _random_like(rng, leaf), out)
            matrix, want, line = matrix.T, _flat(pull(probe), ()), "column"
        else:
            probe = tree.map(lambda leaf: _random_like(rng, leaf), picked)
            _, dots, *_ = jvp(fun, (picked,), (probe,), has_aux=self._has_aux)
            want, line = _flat(dots, ()), "row"
        vector = _flat(probe, ())
        scale = abs(matrix) @ abs(vector) + abs(want)
        right = abs(matrix @ vector - want) <= np.finfo(want.dtype).eps ** 0.5 * scale
        if not right.all():
            wrong = np.flatnonzero(~right)
            raise ValueError(
                f"{self._what}: sparsity leaves out entries that are not zero, in {wrong.size} of"
                f" {want.size} {line}s, the first of which is {line} {wrong[0]}. Add them, or let"
                " the pattern be found."
            )

    # -- how it is made ---------------------------------------------------------------------

    def _positions(self, num_args: int) -> list[int]:
        return pick_positions(self._what, as_positions(self._what, self._argnums), num_args)

    def _of_picked(self, args: Sequence[Any], kwargs: dict[str, Any]) -> tuple[Any, Any]:
        """The function of the tuple of differentiated arguments alone, and these."""
        positions = self._positions(len(args))

        def of_picked(picked: tuple[Any, ...]) -> Any:
            every = list(args)
            for i, value in zip(positions, picked):
                every[i] = value
            return self._fun(*every, **kwargs)

        of_picked.__name__ = function_name(self._fun)
        return of_picked, tuple(args[i] for i in positions)

    def _prepared(
        self, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[Compression, Callable[..., Any]]:
        leaves, structure = tree.flatten((args, kwargs))
        key = (structure, tuple(map(aval_of, leaves)))
        found = self._kept.get(key)
        if found is None:
            if len(self._kept) >= _MOST_KEPT:
                self._kept.clear()
            use = self._find(args, kwargs)
            found = self._kept[key] = use, jit(self._products(use))
        return found

    def _find(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Compression:
        positions = self._positions(len(args))
        shapes = eval_shape(self._fun, *args, **kwargs)
        outs = tree.leaves(shapes[0] if self._has_aux else shapes)
        ins = [leaf for i in positions for leaf in tree.leaves(args[i])]
        for which, leaf in [("argument", x) for x in ins] + [("result", x) for x in outs]:
            if not is_differentiable(aval_of(leaf)) or kind_of(aval_of(leaf).dtype) == "c":
                raise TypeError(
                    f"{self._what} needs real floating arrays, but has an {which} of type"
                    f" {aval_of(leaf)}"
                )
        mode = self._mode
        if self._sparsity is None:
            found = find_pattern(self._fun, args, kwargs, positions, self._has_aux, self._what)
            pattern = found.pattern
            mode = mode if found.forward or mode == "symmetric" else "reverse"
        else:
            sizes = [sum(aval_of(leaf).size for leaf in leaves) for leaves in (outs, ins)]
            pattern = given_pattern(self._what, self._sparsity, (sizes[0], sizes[1]))
        if mode != "symmetric":
            return _compress(pattern, *_choose(pattern, mode))
        both = (pattern + pattern.T).tocsr()
        both.sum_duplicates()
        if self._sparsity is not None and both.nnz != pattern.nnz:
            raise ValueError(f"{self._what}: sparsity must be symmetric, as Hessians are")
        return _compress(both, mode, color_symmetric(both))

    def _products(self, use: Compression) -> Callable[..., Any]:
        """The function that finds the entries; arrays as long as the pattern are its operands."""

        def entries(args: Any, kwargs: Any, colors: Any, product: Any, place: Any) -> Any:
            fun, picked = self._of_picked(args, kwargs)
            if use.mode == "reverse":
                out, pull, *aux = vjp(fun, picked, has_aux=self._has_aux)
                products = vmap(pull)(_seeds(out, colors, use.num_colors))
            else:
                _, push, *aux = linearize(fun, picked, has_aux=self._has_aux)
                products = vmap(push)(_seeds(picked, colors, use.num_colors))
            data = gather(_flat(products, (use.num_colors,)), product, place)
            return (data, aux[0]) if self._has_aux else data

        entries.__name__ = function_name(self._fun)
        return entries


def _seeds(value: Any, colors: Any, count: int) -> Any:
    """For each colour, an array like ``value``: 1 at the elements of that colour, 0 elsewhere."""
    leaves, start = [], 0
    for leaf in tree.leaves(value):
        aval = aval_of(leaf)
        own = slice_in_dim(colors, start, start + aval.size)
        whole = broadcast_in_dim(own, (count, aval.size), (1,))
        hit = eq(broadcasted_iota(np.int64, (count, aval.size), 0), whole)
        leaves.append(reshape(convert_element_type(hit, aval.dtype), (count, *aval.shape)))
        start += aval.size
    return tree.unflatten(tree.structure(value), leaves)


def _flat(value: Any, lead: tuple[int, ...]) -> Any:
    """The elements of all leaves after the leading axes, one after the other, in one dtype."""
    leaves = tree.leaves(value)
    avals = [aval_of(leaf) for leaf in leaves]
    if not leaves:
        return full((*lead, 0), 0, np.float64)
    dtype = np.result_type(*(a.dtype for a in avals))
    sizes = [int(np.prod(a.shape[len(lead) :], dtype=np.int64)) for a in avals]
    flat = [
        reshape(convert_element_type(leaf, dtype), (*lead, size))
        for leaf, size in zip(leaves, sizes)
    ]
    return concatenate(flat, len(lead))


def _random_like(rng: np.random.Generator, value: Any) -> Any:
    aval = aval_of(value)
    return rng.uniform(1.0, 2.0, aval.shape).astype(aval.dtype)[()]


def jacobian_sparse(
    fun: Callable[..., Any],
    sparsity: Any = None,
    argnums: int | Sequence[int] = 0,
    has_aux: bool = False,
    mode: Literal["forward", "reverse"] | None = None,
) -> SparseDerivative:
    """Sparse Jacobian, in as many products with vectors as the colouring of its pattern takes.

    Columns that share no row are found in one product (Curtis, Powell and Reid 1974): a Jacobian
    of three diagonals takes three, whatever its size.

    Parameters
    ----------
    fun : callable
        Function of real arrays, or pytrees of them.
    sparsity : scipy.sparse array, array of bool, optional
        Where the Jacobian may differ from zero: a row for each element of the result, a column
        for each element of the argument. By default it is found from the program of ``fun``, for
        all values of its arguments: elements that are picked by values which depend on arguments
        count as all elements. Of a pattern that leaves out entries the result is wrong; its method
        ``check`` finds out.
    argnums : int or sequence of int
        Positional arguments to differentiate with respect to.
    has_aux : bool
        Whether ``fun`` returns ``(out, aux)``.
    mode : "forward" or "reverse", optional
        By default the one that takes fewer products.

    Returns
    -------
    SparseDerivative
        A function that returns a ``scipy.sparse.csr_array``, or ``(jacobian, aux)``. Its rows are
        the elements of the leaves of the result, one leaf after the other, each in C order; its
        columns those of the arguments. The function is compiled, so it may not look at values of
        its arguments, and what it closes over is read once. ``data(...)`` gives the entries alone,
        also under jit; ``compression(...)`` the pattern and its colouring.

    Raises
    ------
    TypeError
        If an argument or a result is not of real floating type, or under tracing.
    ValueError
        If ``sparsity`` has another shape than the Jacobian, or the pattern is nearly dense.

    Examples
    --------
    >>> import numpy as np, fnad
    >>> jacobian = fnad.jacobian_sparse(lambda x: x[1:] ** 2 - x[:-1])
    >>> jacobian(np.arange(4.0)).toarray()
    array([[-1.,  2.,  0.,  0.],
           [ 0., -1.,  4.,  0.],
           [ 0.,  0., -1.,  6.]])
    >>> jacobian.compression(np.arange(4.0)).num_colors
    2
    """
    if mode not in (None, "forward", "reverse"):
        raise ValueError(f"jacobian_sparse: mode must be 'forward' or 'reverse', got {mode!r}")
    return SparseDerivative(fun, "jacobian_sparse", sparsity, argnums, has_aux, mode)


def hessian_sparse(
    fun: Callable[..., Any],
    sparsity: Any = None,
    argnums: int | Sequence[int] = 0,
    has_aux: bool = False,
) -> SparseDerivative:
    """Sparse Hessian of a scalar function, in as many products as a star colouring takes.

    Of two mirrored entries one is found, by forward mode over reverse mode, and stands for both:
    an arrow takes two products, whatever its size (Coleman and Moré 1984).

    Parameters are those of `jacobian_sparse`; ``sparsity`` must be symmetric.

    Returns
    -------
    SparseDerivative
        As of `jacobian_sparse`: a function that returns a ``scipy.sparse.csr_array``.

    Raises
    ------
    TypeError
        If the result is not a real scalar, or an argument is not of real floating type.
    ValueError
        If ``sparsity`` is not symmetric or of another shape, or the pattern is nearly dense.

    Examples
    --------
    >>> import numpy as np, fnad
    >>> fnad.hessian_sparse(lambda x: np.sum(x[1:] * x[:-1] ** 2))(np.arange(4.0)).toarray()
    array([[2., 0., 0., 0.],
           [0., 4., 2., 0.],
           [0., 2., 6., 4.],
           [0., 0., 4., 0.]])
    """
    positions = as_positions("hessian_sparse", argnums)
    gradient = grad(fun, positions, has_aux)
    return SparseDerivative(gradient, "hessian_sparse", sparsity, positions, has_aux, "symmetric")
