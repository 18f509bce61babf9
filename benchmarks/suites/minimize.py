"""`fnad.scipy.optimize.minimize` on the problems of Moré, Garbow and Hillstrom, and SciPy's.

Both get the function and its gradient from the same compiled program, and their own default
tolerances. An evaluation is one of both.
"""

from __future__ import annotations

import warnings
from statistics import median
from typing import Any

import numpy as np
import scipy.optimize

import fnad
from benchmarks.formatting import table
from benchmarks.options import Options, Report
from benchmarks.problems.least_squares import PROBLEMS, Problem
from fnad.scipy.optimize import minimize

_METHODS = (("BFGS", "BFGS"), ("L-BFGS", "L-BFGS-B"))


def _ours(problem: Problem, method: str, dtype: Any) -> tuple[float, int]:
    result = minimize(problem.value, np.asarray(problem.start, dtype), method=method)
    return float(problem.value(np.asarray(result.x, np.float64))), int(result.nfev)


def _theirs(problem: Problem, method: Any) -> tuple[float, int]:
    function: Any = fnad.jit(fnad.value_and_grad(problem.value))
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        start = np.asarray(problem.start, float)
        result = scipy.optimize.minimize(function, start, jac=True, method=method)
    return float(result.fun), int(result.nfev)


def run(options: Options) -> Report:
    """Values reached and evaluations, and for each method the fraction solved."""
    problems = [p for p in PROBLEMS if options.only.lower() in p.name.lower()]
    rows, data, ok = [], {}, True
    for method, of_scipy in _METHODS:
        both, ours_solved, theirs_solved, single = [], 0, 0, 0
        for problem in problems:
            with np.errstate(all="ignore"):
                value, count = _ours(problem, method, np.float64)
                their_value, their_count = _theirs(problem, of_scipy)
            solved, their_solved = problem.solved(value), problem.solved(their_value)
            ours_solved += solved
            theirs_solved += their_solved
            if not options.quick:
                single += problem.solved(_ours(problem, method, np.float32)[0])
            if solved and their_solved:
                both.append((count, their_count))
            rows.append([
                f"{problem.number} {problem.name}", method, f"{value:.6g}", f"{their_value:.6g}",
                "" if solved else "no", "" if their_solved else "no", str(count), str(their_count),
            ])  # fmt: skip
        counts = [median(c) for c in zip(*both)] if both else [0, 0]
        totals = [sum(c) for c in zip(*both)] if both else [0, 0]
        in_float32 = "" if options.quick else f" ({single} in float32)"
        rows.append([
            f"all: solved of {len(problems)}{in_float32}", method, "", "",
            str(ours_solved), str(theirs_solved), f"{counts[0]:g}", f"{counts[1]:g}",
        ])  # fmt: skip
        data[method] = {
            "problems": len(problems), "solved": ours_solved, "solved_by_scipy": theirs_solved,
            "solved_in_float32": None if options.quick else single, "median_evaluations": counts[0],
            "median_evaluations_of_scipy": counts[1], "evaluations": totals[0],
            "evaluations_of_scipy": totals[1],
        }  # fmt: skip
        ok = ok and ours_solved >= theirs_solved and counts[0] <= counts[1]
    header = ["problem", "method", "value", "SciPy's", "solved", "SciPy", "evaluations", "SciPy's"]
    text = table(header, rows) + "\nevaluations in the last lines: medians of those that both solve"
    return Report(text, {"minimize": data}, ok)
