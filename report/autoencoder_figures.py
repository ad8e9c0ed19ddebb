"""The losses of an autoencoder under several optimisers (paper 2, figures 1, 2, 8 and 9)."""

from collections.abc import Mapping, Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, StrMethodFormatter

from report.figures import DASHED, PALETTE

Run = Sequence[Mapping[str, float]]
"""An entry an epoch: ``epoch``, ``train/loss``, ``val/loss`` and maybe ``eta`` and ``beta``."""


def autoencoder_figure(runs: Mapping[str, Sequence[Run]], title: str) -> Figure:
    """Draw the losses of every optimiser, a panel each on one scale, and the rates of those that learn them.

    Parameters
    ----------
    runs : mapping
        For each optimiser its runs, one a seed.  Lines are means over the seeds that came so far,
        bands reach from the lowest to the highest.
    title : str
        Of the figure.
    """
    tables = {name: [pd.DataFrame(list(run)).set_index("epoch") for run in given] for name, given in runs.items()}
    learning = {name: given for name, given in tables.items() if "eta" in given[0].columns}
    count = len(tables) + len(learning)
    figure = Figure(figsize=(3.3 * count, 3.4), layout=ConstrainedLayoutEngine(w_pad=0.1, h_pad=0.07, wspace=0.05))
    panels = list(figure.subplots(1, count, squeeze=False)[0])
    for panel, (name, given) in zip(panels, tables.items(), strict=False):
        _band(panel, given, "train/loss", "training", PALETTE[0], "-")
        _band(panel, given, "val/loss", "validation", PALETTE[1], DASHED)
        panel.sharey(panels[0])
        panel.set_yscale("log")
        panel.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        panel.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        panel.yaxis.set_minor_formatter(NullFormatter())
        _tidy(panel, name)
    panels[0].set_ylabel("mean squared error (standardised)")
    for panel, (name, given) in zip(panels[len(tables) :], learning.items(), strict=True):
        _band(panel, given, "eta", "learning rate", PALETTE[2], "-")
        _band(panel, given, "beta", "momentum", PALETTE[3], DASHED)
        panel.set_ylim(bottom=0)
        _tidy(panel, f"rates of {name}")
    figure.suptitle(title, x=0.01, ha="left", fontsize=11.5, fontweight="bold")
    return figure


def _band(axes: Axes, tables: Sequence[pd.DataFrame], column: str, label: str, colour: str, style: object) -> None:
    """Draw the mean over runs and, of several, the range."""
    together = pd.concat([table[column] for table in tables], axis=1)  # (epoch, run)
    axes.plot(together.index, together.mean(axis=1), color=colour, ls=style, lw=1.6, label=label)
    if len(tables) > 1:
        axes.fill_between(together.index, together.min(axis=1), together.max(axis=1), color=colour, alpha=0.18, lw=0)


def _tidy(axes: Axes, title: str) -> None:
    axes.set_title(title, loc="left", fontsize=9.5)
    axes.set_xlabel("epoch")
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.grid(axis="y", color="#E3E3E3", lw=0.7)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(fontsize=8.5, frameon=False)
