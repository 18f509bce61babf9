"""Pictures of the results."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

_COLOURS = {"jax": "tab:blue", "torch": "tab:orange", "torch.compile": "tab:red"}


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
