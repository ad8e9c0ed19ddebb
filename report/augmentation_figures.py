"""The picture of synthetic windows among real ones."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from data.contracts import FloatArray
from report.figures import GREY, PALETTE, sheet, tidy

LOOK: dict[str, tuple[str, dict[str, Any]]] = {
    "train": ("training", {"c": GREY, "marker": "o"}),
    "held_out": ("held out", {"edgecolors": PALETTE[2], "facecolors": "none", "marker": "s"}),
    "synthetic": ("synthetic", {"c": PALETTE[1], "marker": "x"}),
}
ACROSS = 3  # panels in a line
FRAME = 0.05  # share of the places on each side that may fall out of a frame
MARGIN = 0.4  # of a frame beyond the other places


def augmentation_figure(quality: Mapping[str, Any], title: str) -> Figure:
    """Draw every kind of window on the plane of the training windows, a panel a condition.

    A few outliers do not decide how large the rest is drawn; each panel says how many lie beyond it.

    Parameters
    ----------
    quality : mapping
        What ``evaluation.augmentation_quality`` has found.
    title : str
        Of the figure.
    """
    places = {name: np.asarray(quality["pca"][name], dtype=np.float64) for name in LOOK}
    condition = {name: np.asarray(quality["condition"][name]) for name in LOOK}
    clusters = np.unique(condition["train"])
    columns = min(ACROSS, len(clusters))
    lines = math.ceil(len(clusters) / columns)
    figure = sheet(max(6.5, 3.6 * columns), 1.3 + 3.2 * lines)
    panels = figure.subplots(lines, columns, squeeze=False).ravel()
    first, second = (f"component {k} ({share:.0%})" for k, share in zip((1, 2), quality["explained"], strict=True))
    for panel, cluster in zip(panels, clusters, strict=False):
        heading = _draw(panel, {name: places[name][condition[name] == cluster] for name in LOOK})
        panel.set_title(f"condition {cluster}: {heading}" if len(clusters) > 1 else heading, loc="left", fontsize=9)
        panel.set_xlabel(first)
    for panel in panels[len(clusters) :]:
        panel.set_axis_off()
    for panel in panels[::columns]:
        panel.set_ylabel(second)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, fontsize=8.5, frameon=False)
    figure.suptitle(title, x=0.01, ha="left", fontsize=11.5, fontweight="bold")
    return figure


def _draw(panel: Axes, places: Mapping[str, FloatArray]) -> str:
    """Draw the places ``(n, 2)`` of each kind and tell how many there are, and how many beyond the frame."""
    everything = np.concatenate(list(places.values()))
    low, high = np.quantile(everything, [FRAME, 1 - FRAME], axis=0)
    low, high = low - MARGIN * (high - low), high + MARGIN * (high - low)
    beyond = 0
    for name, (label, look) in LOOK.items():
        own = places[name]
        beyond += int(((own < low) | (own > high)).any(axis=1).sum())
        panel.scatter(own[:, 0], own[:, 1], s=14, alpha=0.65, lw=0.8, label=label, **look)
    tidy(panel, pd.Series(everything[:, 0]))
    if (high > low).all():
        panel.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]))
    return f"{len(places['train'])} of each, {beyond} beyond the frame"
