"""``check_primitive``: every rule of a primitive against what it must agree with."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
from ml_dtypes import finfo

import fnad
from fnad.core.errors import MissingRuleError
from fnad.core.primitive import Primitive
from fnad.core.types import BFLOAT16, ShapedArray, aval_of, kind_of
from fnad.testing.compare import assert_allclose
from fnad.testing.gradients import check_jvp, inner_product, itemsize, random_tangent

_BATCH = 3
_MAX_FULL_PRODUCT = 4  # operands up to which every combination of in_axes is tried


def roll(array: np.ndarray, k: int) -> np.ndarray:
    """The k-th variant of an operand: its elements in another order; a scalar moves a little."""
    if array.ndim:
        return np.roll(array, k)
    if array.dtype.kind == "b":
        return array ^ np.bool_(k % 2)
    if array.dtype.kind in "iu":
        return array + array.dtype.type(k)
    return (array * (1 - k / 16)).astype(array.dtype)


def scale(array: np.ndarray, k: int) -> np.ndarray:
    """The k-th variant of an operand: itself times 1 + k/4 (keeps order, sign, definiteness)."""
    return (array * (1 + k / 4)).astype(array.dtype) if kind_of(array.dtype) in "fc" else array


def keep(array: np.ndarray, k: int) -> np.ndarray:
    """The k-th variant of an operand: itself (where only few values are valid)."""
    del k
    return array


@dataclass(frozen=True)
class Sample:
    """One row of inputs on which `check_primitive` tries a primitive.

    Parameters
    ----------
    args : tuple of arrays
        The operands. Give floats in double precision; they are cast to each of ``dtypes``.
    params : dict
        The parameters.
    reference : callable, optional
        Takes the operands and computes the result with NumPy or SciPy; values must agree, and
        dtypes too unless ``reference_dtype`` is False.
    differentiable : tuple of int, optional
        Operands to differentiate with respect to; by default all floating ones.
    dtypes : tuple of str
        Floating dtypes to try.
    order : int
        Highest order of derivative to check; 0 for none (at kinks, for instance).
    rtol, atol : float, optional
        Tolerance of values in double precision; ``reason`` says why it is not the default.
        In lower precision they are scaled with the machine epsilon.
    vary : callable
        ``vary(array, k)`` makes the k-th variant of an operand, for batches: `roll`, `scale`,
        `keep` or your own.
    compiled : bool
        Whether to check compiled code, too.
    """

    args: tuple[Any, ...]
    params: Mapping[str, Any] = field(default_factory=dict)
    reference: Callable[..., Any] | None = None
    differentiable: tuple[int, ...] | None = None
    dtypes: tuple[str, ...] = ("float16", "float32", "float64")
    order: int = 2
    rtol: float | None = None
    atol: float | None = None
    reason: str = ""
    vary: Callable[[np.ndarray, int], np.ndarray] = roll
    reference_dtype: bool = True
    compiled: bool = True

    def __post_init__(self) -> None:
        if not isinstance(self.args, tuple):
            raise TypeError(f"Sample takes the operands as a tuple, got {type(self.args).__name__}")
        if (self.rtol is not None or self.atol is not None) and not self.reason:
            raise ValueError("a Sample with a tolerance of its own must give the reason for it")


def check_primitive(
    primitive: Primitive,
    samples: Sequence[Sample],
    checks: Sequence[str] = ("types", "reference", "jit", "jvp", "transpose", "vmap", "second"),
) -> None:
    """Verify every rule that a primitive has, on samples of its operands.

    Parameters
    ----------
    primitive : Primitive
        The primitive. Rules that it lacks are not checked.
    samples : sequence of Sample
        Operands and parameters to try.
    checks : sequence of str
        What to verify: ``"types"``: the type rule against evaluation, in every dtype;
        ``"reference"``: evaluation against the sample's reference; ``"jit"``: compiled against
        evaluated, in every dtype; ``"jvp"``: against central differences; ``"transpose"``:
        ``<ct, jvp(v)> = <vjp(ct), v>``; ``"vmap"``: against a loop, for every combination of
        ``in_axes``; ``"second"``: jvp of vjp against central differences.

    Raises
    ------
    AssertionError
        If a rule is wrong; the text names the rule and the sample.

    Examples
    --------
    >>> import numpy as np
    >>> from fnad.extend import elementwise
    >>> cube_p = elementwise("cube", "x * x * x", lambda b, x: x * x * x,
    ...                      derivatives=[lambda t, ans, x: t * 3.0 * x * x], kinds="fc")
    >>> check_primitive(cube_p, [Sample((np.linspace(-1, 1, 5),), reference=lambda x: x * x * x)])
    """
    if not samples:
        raise ValueError(f"check_primitive of {primitive.name!r} needs at least one sample")
    for check in checks:
        if check in _CHECKS:
            for sample in samples:
                _CHECKS[check](primitive, sample)
        if check in _COMPILED:
            compiled = [sample for sample in samples if _compiles(primitive, sample)]
            _check_compiled(
                primitive, [c for s in compiled for c in _COMPILED[check](primitive, s)]
            )


def _function(primitive: Primitive, sample: Sample) -> Callable[..., Any]:
    def apply(*args: Any) -> Any:
        return primitive.bind(*args, **sample.params)

    apply.__name__ = primitive.name
    return apply


@contextmanager
def _blame(primitive: Primitive, rule: str, args: Sequence[Any], sample: Sample) -> Iterator[None]:
    """Say in the user's terms which rule is wrong and for which operands."""
    operands = ", ".join(str(aval_of(a)) for a in args) or "none"
    shown = f"operands {operands}; parameters {dict(sample.params)!r}"
    try:
        yield
    except AssertionError as error:
        message = f"the {rule} rule of primitive {primitive.name!r} {error}\n  for {shown}"
        raise AssertionError(message) from None
    except Exception as error:
        error.add_note(f"while checking the {rule} rule of primitive {primitive.name!r}, {shown}")
        raise


def _cast(args: Sequence[Any], dtype: str) -> tuple[Any, ...]:
    """Cast double-precision operands to ``dtype`` (complex ones to its complex counterpart)."""
    target = {"f": np.dtype(dtype), "c": np.result_type(dtype, np.complex64)}
    arrays = [np.asarray(a) for a in args]
    with np.errstate(over="ignore", under="ignore"):
        return tuple(
            a.astype(target[kind_of(a.dtype)])[()]
            if a.dtype in (np.float64, np.complex128)
            else a[()]
            for a in arrays
        )


def _in_each_dtype(sample: Sample) -> Iterator[tuple[Any, ...]]:
    """The operands in every dtype that the sample allows."""
    kinds = {kind_of(np.asarray(a).dtype) for a in sample.args}
    if not kinds & set("fc"):
        yield _cast(sample.args, "float64")
        return
    for dtype in sample.dtypes:
        if not ("c" in kinds and dtype == "float16"):  # NumPy has no complex half precision
            yield _cast(sample.args, dtype)


def _limits(sample: Sample, args: Sequence[Any]) -> dict[str, Any]:
    """The sample's tolerances, scaled from double precision to that of the operands."""
    sizes = [finfo(np.asarray(a).dtype).eps for a in args if kind_of(np.asarray(a).dtype) in "fc"]
    factor = float(max(sizes, default=finfo(np.float64).eps) / finfo(np.float64).eps)
    scaled = {"rtol": sample.rtol, "atol": sample.atol}
    return {name: None if v is None else v * factor for name, v in scaled.items()}


def _results(primitive: Primitive, out: Any) -> list[Any]:
    return list(out) if primitive.multiple_results else [out]


def _check_types(primitive: Primitive, sample: Sample) -> None:
    apply = _function(primitive, sample)
    for args in _in_each_dtype(sample):
        with _blame(primitive, "type_rule", args, sample):
            avals = primitive.out_avals([aval_of(a) for a in args], dict(sample.params))
            outs = _results(primitive, apply(*args))
            assert len(avals) == len(outs), (
                f"announces {len(avals)} results, but the evaluate rule returns {len(outs)}"
            )
            for aval, out in zip(avals, outs):
                want, got = aval.strong(), ShapedArray(out.shape, out.dtype)
                assert want == got, f"says {want}, but the evaluate rule returns {got}"


def _check_reference(primitive: Primitive, sample: Sample) -> None:
    if sample.reference is None:
        return
    apply = _function(primitive, sample)
    for args in _in_each_dtype(sample):
        with _blame(primitive, "evaluate", args, sample):
            with np.errstate(all="ignore"):
                expected = _results(primitive, sample.reference(*args))
            assert_allclose(
                _results(primitive, apply(*args)),
                expected,
                check_dtypes=sample.reference_dtype,
                message="disagrees with the reference",
                **_limits(sample, args),
            )


def _compiles(primitive: Primitive, sample: Sample) -> bool:
    return sample.compiled and bool({"lower", "lower_as", "parts"} & set(primitive.rules))


# A sample, a function of its operands, and these.
_Case = tuple[Sample, Callable[..., Any], tuple[Any, ...]]


def _in_dtypes(primitive: Primitive, sample: Sample) -> Iterator[_Case]:
    for args in _in_each_dtype(sample):
        yield sample, _function(primitive, sample), args


def _in_batches(primitive: Primitive, sample: Sample) -> Iterator[_Case]:
    if sample.args and "batch" in primitive.rules:
        stacked = tuple(np.stack(column) for column in zip(*_examples(sample)))
        yield sample, fnad.vmap(_function(primitive, sample)), stacked


def _check_compiled(primitive: Primitive, cases: Sequence[_Case]) -> None:
    """Compiled code against evaluation: one program of all cases, as compiling takes the time."""
    together = fnad.jit(lambda operands: [f(*args) for (_, f, _), args in zip(cases, operands)])
    try:
        found = together([args for _, _, args in cases])
    except Exception:  # of whichever case it is
        for sample, f, args in cases:
            with _blame(primitive, "lower", args, sample):
                fnad.jit(f)(*args)
        raise
    for (sample, f, args), out in zip(cases, found):
        with _blame(primitive, "lower", args, sample):
            expected, compiled = _results(primitive, f(*args)), _results(primitive, out)
            message = "disagrees with evaluation"
            assert_allclose(compiled, expected, message=message, **_limits(sample, args))
            for got, want in zip(compiled, expected):
                assert type(got) is type(want), f"gives {type(got)}, evaluation {type(want)}"


def _differentiable(sample: Sample, args: Sequence[Any]) -> tuple[int, ...]:
    if sample.differentiable is not None:
        return sample.differentiable
    return tuple(i for i, a in enumerate(args) if kind_of(np.asarray(a).dtype) in "fc")


def _operand_groups(sample: Sample, args: Sequence[Any]) -> list[tuple[int, ...]]:
    """Which operands to differentiate together: all of them, and each alone."""
    positions = _differentiable(sample, args)
    if not positions:
        return []
    alone = [(i,) for i in positions] if len(positions) > 1 else []
    return [positions, *alone]


def _restrict(
    apply: Callable[..., Any], args: Sequence[Any], positions: Sequence[int]
) -> tuple[Callable[..., Any], tuple[Any, ...]]:
    """The function of some operands, the others held fixed."""

    def restricted(*given: Any) -> Any:
        full = list(args)
        for i, value in zip(positions, given):
            full[i] = value
        return apply(*full)

    return restricted, tuple(args[i] for i in positions)


_COARSE = (BFLOAT16, np.dtype(np.float16), np.dtype(np.float32))


def _check_jvp(primitive: Primitive, sample: Sample) -> None:
    if "jvp" not in primitive.rules or sample.order < 1:
        return
    apply = _function(primitive, sample)
    for args in _in_each_dtype(sample):
        with _blame(primitive, "jvp", args, sample):
            double = all(np.asarray(a).dtype not in _COARSE for a in args)
            for positions in _operand_groups(sample, args):
                f, point = _restrict(apply, args, positions)
                if double:
                    check_jvp(f, partial(fnad.jvp, f), point)
                else:  # too coarse for differences, but the dtypes of tangents are checked
                    fnad.jvp(f, point, random_tangent(np.random.default_rng(0), point))


def _check_transpose(primitive: Primitive, sample: Sample) -> None:
    if "jvp" not in primitive.rules or sample.order < 1:
        return
    apply = _function(primitive, sample)
    for args in _in_each_dtype(sample):
        with _blame(primitive, "transpose", args, sample):
            for positions in _operand_groups(sample, args):
                f, point = _restrict(apply, args, positions)
                rng = np.random.default_rng(0)
                tangents = random_tangent(rng, point)
                out, out_tangent = fnad.jvp(f, point, tangents)
                cotangent = random_tangent(rng, out)
                try:
                    pulled = fnad.vjp(f, *point)[1](cotangent)
                except MissingRuleError:
                    if "transpose" in primitive.rules:
                        raise
                    return  # a primitive that is meant for forward mode only
                forward = inner_product(cotangent, out_tangent)
                size = inner_product(np.abs(_flat(cotangent)), np.abs(_flat(out_tangent)))
                assert_allclose(
                    inner_product(pulled, tangents),
                    forward,
                    rtol=0.0,
                    atol=_INNER_TOLERANCE[itemsize((point, out))] * max(size, 1.0),
                    message="breaks <vjp(ct), v> = <ct, jvp(v)>",
                )


# Both sides are the same sum in another order; half precision rounds every step of it.
_INNER_TOLERANCE = {2: 5e-2, 4: 1e-4, 8: 1e-10}


def _flat(values: Any) -> np.ndarray:
    leaves = [np.ravel(v) for v in fnad.tree.leaves(values) if kind_of(np.asarray(v).dtype) in "fc"]
    return np.concatenate(leaves) if leaves else np.zeros(0)


def _check_second(primitive: Primitive, sample: Sample) -> None:
    if "jvp" not in primitive.rules or sample.order < 2 or "float64" not in sample.dtypes:
        return
    args = _cast(sample.args, "float64")
    apply = _function(primitive, sample)
    positions = _differentiable(sample, args)
    if not positions:
        return
    f, point = _restrict(apply, args, positions)
    cotangent = random_tangent(np.random.default_rng(1), f(*point))

    def pulled(*primals: Any) -> Any:
        return fnad.vjp(f, *primals)[1](cotangent)

    with _blame(primitive, "jvp", args, sample):
        try:
            check_jvp(
                pulled,
                partial(fnad.jvp, pulled),
                point,
                err_msg="is wrong in second order (jvp of vjp)",
            )
        except MissingRuleError:
            if "transpose" in primitive.rules:
                raise


def _examples(sample: Sample) -> list[list[np.ndarray]]:
    """The variants of the operands that make a batch."""
    args = [np.asarray(a) for a in _cast(sample.args, sample.dtypes[-1])]
    return [[sample.vary(a, k) for a in args] for k in range(_BATCH)]


def _check_vmap(primitive: Primitive, sample: Sample) -> None:
    if "batch" not in primitive.rules:
        return
    examples = _examples(sample)
    args = [np.asarray(a) for a in _cast(sample.args, sample.dtypes[-1])]
    apply = _function(primitive, sample)
    with _blame(primitive, "batch", args, sample):
        for axes in _axes_to_try(args):
            batches = tuple(
                a[()] if axis is None else np.stack([row[i] for row in examples], axis)
                for i, (a, axis) in enumerate(zip(args, axes))
            )
            rows = [
                [
                    a[()] if axis is None else row[i][()]
                    for i, (a, axis) in enumerate(zip(args, axes))
                ]
                for row in examples
            ]
            outs = [_results(primitive, apply(*row)) for row in rows]
            expected = [np.stack(column) for column in zip(*outs, strict=True)]
            mapped = fnad.vmap(apply, in_axes=axes)
            message = f"disagrees with a loop for in_axes={axes}"
            got = _results(primitive, mapped(*batches))
            assert_allclose(got, expected, message=message, **_limits(sample, args))


def _axes_to_try(args: Sequence[np.ndarray]) -> list[tuple[int | None, ...]]:
    """All combinations of unmapped, axis 0 and the last axis; fewer for many operands."""
    choices = [(None, 0) if a.ndim == 0 else (None, 0, a.ndim) for a in args]
    if len(args) <= _MAX_FULL_PRODUCT:
        combinations = list(itertools.product(*choices))
    else:
        none = (None,) * len(args)
        alone = [(*none[:i], ax, *none[i + 1 :]) for i, c in enumerate(choices) for ax in c[1:]]
        combinations = [*alone, tuple(0 for _ in args), tuple(c[-1] for c in choices)]
    return [axes for axes in combinations if any(axis is not None for axis in axes)]


_CHECKS: dict[str, Callable[[Primitive, Sample], None]] = {
    "types": _check_types,
    "reference": _check_reference,
    "jvp": _check_jvp,
    "transpose": _check_transpose,
    "vmap": _check_vmap,
    "second": _check_second,
}

_COMPILED: dict[str, Callable[[Primitive, Sample], Iterator[_Case]]] = {
    "jit": _in_dtypes,
    "vmap": _in_batches,
}
