"""Errors of compiled elementary functions, in units in the last place, against mpmath."""

from __future__ import annotations

from typing import Any

from benchmarks import accuracy
from benchmarks.formatting import table
from benchmarks.options import Options, Report

_COUNT, _QUICK_COUNT = 3000, 300


def run(options: Options) -> Report:
    """The largest errors found, in float32 and float64."""
    count = _QUICK_COUNT if options.quick else _COUNT
    rows, data, ok = [], {}, True
    for name, function in accuracy.FUNCTIONS.items():
        if options.only not in name:
            continue
        for dtype in ("float32", "float64"):
            worst = accuracy.measure(function, dtype, count)
            unlike = len(accuracy.wrong_special_values(function, dtype))
            ok = ok and worst.error <= function.limit
            data[f"{name} {dtype}"] = _figures(worst, unlike)
            at = ", ".join(f"{x:.9g}" for x in worst.arguments)
            verdict = "" if worst.error <= function.limit else f"above {function.limit:g}"
            rows.append([name, dtype, f"{worst.error:.3f}", verdict, at, str(unlike or "")])
    header = ["function", "dtype", "largest error, ulp", "", "at", "special values unlike"]
    return Report(table(header, rows), {"accuracy": data}, ok)


def _figures(worst: accuracy.Worst, unlike: int) -> dict[str, Any]:
    return {"ulp": worst.error, "arguments": worst.arguments, "special_values_unlike": unlike}
