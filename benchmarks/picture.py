"""Pictures of the results."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

_COLOURS = {
    "jax": "tab:blue",
    "torch": "tab:orange",
    "torch.compile": "tab:red",
    "cupy": "tab:green",
}


def ratios_picture(ratios: Mapping[str, Mapping[str, float]], path: Path) -> None:
    """One line per workload, one dot per peer: how many times faster fnad is, to the right."""
    figure, axes = plt.subplots(figsize=(9, 1.5 + 0.26 * len(ratios)), layout="constrained")
    names = list(ratios)[::-1]
    for peer, colour in _COLOURS.items():
        points = [(ratios[name][peer], i) for i, name in enumerate(names) if peer in ratios[name]]
        if points:
            axes.plot(*zip(*points), "o", color=colour, label=peer, alpha=0.85)
    axes.axvline(1.0, color="black", lw=1)
    axes.set(
        xscale="log",
        xlabel="time of the peer / time of fnad (to the right of 1 fnad is faster)",
        yticks=range(len(names)),
        yticklabels=names,
    )
    axes.grid(axis="both", which="major", lw=0.3)
    axes.legend(loc="best")
    figure.savefig(path, dpi=130)
    plt.close(figure)


def curves_picture(
    curves: Mapping[str, Mapping[int, float]], x_label: str, y_label: str, path: Path
) -> None:
    """Curves with logarithmic axes, and a straight line of slope 1 to compare them with."""
    figure, axes = plt.subplots(figsize=(8, 5.5), layout="constrained")
    for name, points in curves.items():
        if points:
            axes.plot(list(points), list(points.values()), ".-", label=name)
    sizes = sorted({x for points in curves.values() for x in points})
    if sizes:
        lowest = min(y for points in curves.values() for y in points.values())
        axes.plot(sizes, [lowest * x / sizes[0] for x in sizes], "k--", lw=0.8, label="linear")
    axes.set(xscale="log", yscale="log", xlabel=x_label, ylabel=y_label)
    axes.grid(which="major", lw=0.3)
    axes.legend(fontsize=8)
    figure.savefig(path, dpi=130)
    plt.close(figure)
