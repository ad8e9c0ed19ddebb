"""Losses over the epochs of training."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from report.figures.drawing import (
    BLUE,
    GREEN,
    PALETTE,
    VERMILION,
    Axis,
    Band,
    Dash,
    Dots,
    Drawing,
    Line,
    Mark,
    Panel,
    of_errors,
)

SMALL = 260  # [px] height of a drawing of a wall
FEW = 8  # epochs an axis has a tick for each of
LOSSES: dict[str, tuple[str, str, Dash]] = {
    "train/loss": ("training", BLUE, "solid"),
    "val/loss": ("validation", VERMILION, "dash"),
}
RATES: dict[str, tuple[str, str, Dash]] = {
    "eta": ("learning rate", GREEN, "solid"),
    "beta": ("momentum", PALETTE[3], "dash"),
}


def losses(epochs: Sequence[Mapping[str, float]], title: str) -> Drawing:
    """Draw the loss of training and validation over the epochs; the best epoch is marked."""
    table = pd.DataFrame(list(epochs)).apply(pd.to_numeric, errors="coerce")
    at = table["epoch"]
    kept = [name for name in LOSSES if name in table and table[name].notna().any()]
    marks: list[Mark] = []
    for name in kept:
        label, colour, dash = LOSSES[name]
        if name == "val/loss":
            best = int(np.nanargmin(table[name].to_numpy(dtype=np.float64)))
            label = f"validation, best at {at.iloc[best]:g}"
            place = {"x": at.iloc[[best]], "y": table[name].iloc[[best]]}
            marks.append(Dots("best", **place, colour=colour, size=8, legend=False))
        marks.append(Line(label, at, table[name], colour, 1.8, dash))
    ticks = [float(epoch) for epoch in at] if len(at) <= FEW else None
    return Drawing(title, [Panel(marks, Axis("epoch", ticks=ticks), of_errors("loss", table[kept]))], height=SMALL)


def adversaries(looks: Sequence[Mapping[str, float]]) -> Drawing:
    """Draw the loss of a critic over the steps of its generator and, below, the discrepancy of the generator's rows.

    Parameters
    ----------
    looks : sequence of mapping
        ``step`` of the generator, ``critic_loss`` and ``mmd``.
    """
    table = pd.DataFrame(list(looks)).apply(pd.to_numeric, errors="coerce")
    best = int(np.nanargmin(table["mmd"].to_numpy(dtype=np.float64)))
    place = {"x": table["step"].iloc[[best]], "y": table["mmd"].iloc[[best]]}
    critic = Line("critic loss", table["step"], table["critic_loss"], BLUE, 1.6, legend=False)
    mmd = Line("MMD", table["step"], table["mmd"], VERMILION, 1.6, legend=False)
    kept = Dots("best", **place, colour=VERMILION, size=8, legend=False)
    at = f"best at step {table['step'].iloc[best]:g}"
    above = Panel([critic], Axis(), Axis("critic loss"), "Wasserstein estimate, negative, and weighted penalty")
    below = Panel([mmd, kept], Axis("generator step"), of_errors("MMD\u00b2", table["mmd"]), f"To rows held out, {at}")
    return Drawing("", [above, below], height=380, legend=False)


def over_seeds(runs: Sequence[Sequence[Mapping[str, float]]], title: str, rates: bool = False) -> Drawing:
    """Draw losses, or the rates a meta-optimiser learns, as means over seeds with a band from lowest to highest.

    Parameters
    ----------
    runs : sequence of sequence of mapping
        One a seed, an entry an epoch: ``epoch``, ``train/loss``, ``val/loss`` and maybe ``eta`` and ``beta``.
    title : str
        Of the drawing.
    rates : bool
        Whether the rates are drawn instead of the losses.
    """
    tables = [pd.DataFrame(list(run)).set_index("epoch") for run in runs]
    marks: list[Mark] = []
    for name, (label, colour, dash) in (RATES if rates else LOSSES).items():
        together: Any = pd.concat([table[name] for table in tables], axis=1)  # (epoch, run)
        at = together.index.to_series()
        if len(tables) > 1:
            marks.append(Band(label, at, together.min(axis=1), together.max(axis=1), colour, 0.18, legend=False))
        marks.append(Line(label, at, together.mean(axis=1), colour, 1.6, dash))
    y = (
        Axis("rate", low=0.0)
        if rates
        else of_errors("mean squared error (standardised)", *(t[[*LOSSES]] for t in tables))
    )
    return Drawing(title, [Panel(marks, Axis("epoch"), y)], height=SMALL)
