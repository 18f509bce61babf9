"""Whether two frameworks computed the same thing."""

from __future__ import annotations

import numpy as np


def disagreement(ours: list[np.ndarray], theirs: list[np.ndarray], tolerance: float) -> str | None:
    """Say where the results differ by more than the tolerance, relative to the largest value."""
    if len(ours) != len(theirs):
        return f"{len(ours)} results against {len(theirs)}"
    for i, (a, b) in enumerate(zip(ours, theirs)):
        if a.shape != b.shape:
            return f"result {i} has shape {a.shape} against {b.shape}"
        wide = np.complex128 if np.iscomplexobj(a) or np.iscomplexobj(b) else np.float64
        a, b = a.astype(wide), b.astype(wide)
        scale = max(np.max(np.abs(b), initial=0.0), 1e-30)
        error = np.max(np.abs(a - b), initial=0.0) / scale
        if not error <= tolerance:
            return f"result {i} differs by {error:.1e} of its largest value, over {tolerance:.0e}"
    return None
