"""Comparison of pytrees of arrays, with tolerances that follow from the dtype."""

from __future__ import annotations

from typing import Any

import numpy as np
from ml_dtypes import finfo

from fnad.core import tree
from fnad.core.types import BFLOAT16, kind_of

# dtype of one real component: (relative, absolute as a fraction of the largest element).
# Wide enough for a different order of summation, far narrower than a wrong formula.
_TOLERANCES = {
    BFLOAT16: (4e-2, 3e-2),
    np.dtype(np.float16): (5e-3, 4e-3),
    np.dtype(np.float32): (1e-5, 5e-6),
    np.dtype(np.float64): (1e-12, 1e-14),
}


def assert_allclose(
    actual: Any,
    desired: Any,
    *,
    rtol: float | None = None,
    atol: float | None = None,
    check_dtypes: bool = True,
    message: str = "",
) -> None:
    """Check that two pytrees of arrays agree in structure, shape, dtype and value.

    Parameters
    ----------
    actual, desired : pytrees of arrays
        What was computed, and what it should be.
    rtol, atol : float, optional
        Relative and absolute tolerance. By default they follow from the dtype: 1e-12, 1e-5 and
        5e-3 for double, single and half precision; integers and booleans must be equal.
    check_dtypes : bool
        Whether dtypes must be equal.
    message : str
        Leads the text of the error.

    Raises
    ------
    AssertionError
        If they differ; the text names the leaf and the largest difference.

    Examples
    --------
    >>> import numpy as np
    >>> assert_allclose({"a": np.ones(2)}, {"a": np.ones(2) + 1e-15})
    """
    actual_leaves, actual_tree = tree.flatten(actual)
    desired_leaves, desired_tree = tree.flatten(desired)
    lead = f"{message}: " if message else ""
    if actual_tree != desired_tree:
        raise AssertionError(f"{lead}structures differ: {actual_tree} and {desired_tree}")
    paths = [path for path, _ in tree.flatten_with_path(desired)[0]]
    for path, a, d in zip(paths, actual_leaves, desired_leaves, strict=True):
        where = tree.keystr(path)
        problem = _difference(np.asarray(a), np.asarray(d), rtol, atol, check_dtypes)
        if problem:
            raise AssertionError(f"{lead}{f'at {where}: ' if where else ''}{problem}")


def _difference(
    actual: np.ndarray, desired: np.ndarray, rtol: float | None, atol: float | None, dtypes: bool
) -> str:
    """Say how two arrays differ, or nothing if they agree."""
    if actual.shape != desired.shape:
        return f"shape {actual.shape}, expected {desired.shape}"
    if dtypes and actual.dtype != desired.dtype:
        return f"dtype {actual.dtype}, expected {desired.dtype}"
    if kind_of(actual.dtype) not in "biufc":  # float0: nothing to compare
        return ""
    bound = _bound(actual, desired, rtol, atol)
    with np.errstate(all="ignore"):
        wide = np.clongdouble if "c" in (actual.dtype.kind, desired.dtype.kind) else np.longdouble
        error = np.abs(actual.astype(wide) - desired.astype(wide))
        same = (actual == desired) | (np.isnan(actual) & np.isnan(desired))
        wrong = ~(same | (error <= bound))
    if not wrong.any():
        return ""
    worst = np.unravel_index(
        np.argmax(np.where(wrong, np.nan_to_num(error, nan=np.inf), -1)), actual.shape
    )
    index = f" at index {tuple(int(i) for i in worst)}" if actual.ndim else ""
    return (
        f"{int(wrong.sum())} of {actual.size} elements differ; the worst{index}:"
        f" {actual[worst]!r}, expected {desired[worst]!r}"
    )


def _bound(actual: np.ndarray, desired: np.ndarray, rtol: float | None, atol: float | None) -> Any:
    """The largest error allowed for each element."""
    kinds = {kind_of(actual.dtype), kind_of(desired.dtype)}
    if kinds <= set("biu"):
        relative = absolute = 0.0
    else:
        floats = [finfo(x.dtype).dtype for x in (actual, desired) if kind_of(x.dtype) in "fc"]
        relative, absolute = max(_TOLERANCES[dtype] for dtype in floats)
    with np.errstate(all="ignore"):
        magnitude = np.abs(desired).astype(np.longdouble)
    finite = magnitude[np.isfinite(magnitude)]
    if rtol is not None:
        relative, absolute = rtol, 0.0
    absolute = absolute * (finite.max() if finite.size else 0.0) if atol is None else atol
    return relative * magnitude + absolute
