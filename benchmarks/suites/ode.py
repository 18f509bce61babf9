"""`fnad.scipy.integrate.solve_ivp` on the DETEST problems, and SciPy's RK45.

Errors are those at the end, against SciPy's DOP853 at the limit of its precision, in units of
``tol + tol * abs(y)``; times are those of one call, compiled before.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from statistics import median
from typing import Any

import numpy as np
import scipy.integrate

import fnad
from benchmarks.formatting import seconds_text, table
from benchmarks.options import Options, Report
from benchmarks.problems.initial_values import END, PROBLEMS, Problem
from fnad.scipy.integrate import solve_ivp

TOLERANCES = (1e-3, 1e-6, 1e-9)
_REPEATS, _QUICK_REPEATS = 5, 1


def reference(problem: Problem) -> Any:
    """The state at the end, to about 1e-11."""
    start = np.asarray(problem.start, float)
    found = scipy.integrate.solve_ivp(
        problem.slope, (0.0, END), start, method="DOP853", rtol=1e-13, atol=1e-15
    )
    return found.y[:, -1]


def _best_time(call: Callable[[], Any], repeats: int) -> float:
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return min(times)


def _ours(problem: Problem) -> Callable[[Any, float], Any]:
    ends = np.array([END])

    def solve(y: Any, tol: Any) -> Any:
        span = (0.0, END)
        return solve_ivp(problem.slope, span, y, t_eval=ends, rtol=tol, atol=tol, max_steps=10**6)

    compiled: Callable[[Any, float], Any] = fnad.jit(solve)
    return compiled


def _theirs(problem: Problem) -> Callable[[Any, float], Any]:
    def solve(y: Any, tol: float) -> Any:
        return scipy.integrate.solve_ivp(problem.slope, (0.0, END), y, rtol=tol, atol=tol)

    return solve


def _measure(problem: Problem, repeats: int) -> dict[float, list[tuple[float, int, float]]]:
    """For each tolerance (error, evaluations, seconds) of fnad and of SciPy."""
    exact, start = reference(problem), np.asarray(problem.start, float)
    figures: dict[float, list[tuple[float, int, float]]] = {tol: [] for tol in TOLERANCES}
    for solve in (_ours(problem), _theirs(problem)):
        for tol in TOLERANCES:
            for _ in range(2):  # from the second call on it is native
                found = solve(start, tol)
            error = float(np.max(np.abs(found.y[:, -1] - exact) / (tol + tol * np.abs(exact))))
            seconds = _best_time(partial(solve, start, tol), repeats)
            figures[tol].append((error, int(found.nfev), seconds))
    return figures


def run(options: Options) -> Report:
    """Errors, evaluations and times, a row for each problem and tolerance."""
    repeats = _QUICK_REPEATS if options.quick else _REPEATS
    rows: list[list[str]] = []
    data: dict[str, Any] = {}
    ratios: dict[float, list[tuple[float, float]]] = {tol: [] for tol in TOLERANCES}
    for problem in PROBLEMS:
        if options.only not in problem.name:
            continue
        for tol, (ours, theirs) in _measure(problem, repeats).items():
            data[f"{problem.name} {tol:g}"] = {"fnad": ours, "scipy": theirs}
            ratios[tol].append((ours[0] / max(theirs[0], 1e-9), ours[1] / theirs[1]))
            rows.append([
                problem.name, f"{tol:g}", f"{ours[0]:.3g}", f"{theirs[0]:.3g}",
                str(ours[1]), str(theirs[1]), seconds_text(ours[2]), seconds_text(theirs[2]),
            ])  # fmt: skip
    ok = True
    for tol, pairs in ratios.items():
        if pairs:
            error, evaluations = (median(x) for x in zip(*pairs))
            data[f"all {tol:g}"] = {"error_ratio": error, "evaluations_ratio": evaluations}
            rows.append(["ratio", f"{tol:g}", f"{error:.2f}", "", f"{evaluations:.2f}", "", "", ""])
            ok = ok and error <= 1.0  # NaN, where the end was not reached, is not
    header = ["problem", "tol", "error", "SciPy's", "evaluations", "SciPy's", "time", "SciPy's"]
    text = table(header, rows) + "\nratio: fnad's figure by SciPy's, the median over the problems"
    return Report(text, {"ode": data}, ok)
