"""The alpha-lambda plot of remaining life (Saxena et al., 2010), and forecast against true remaining life."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from evaluation.scores import CONE, WITHIN
from report.figures import drawing as draw

CLOUD = 1500  # dots of a scatter; more only darken it
TOLD_APART = 8  # models whose lines can be


def alpha_lambda(
    rows: pd.DataFrame, lives: "pd.Series[float]", shares: Mapping[str, pd.Series], model: str, reference: str
) -> draw.Drawing:
    """Draw the forecast remaining life of each cell over its life, and below the share of cells inside the cone.

    Parameters
    ----------
    rows : DataFrame
        Forecasts of the run's model.
    lives : Series
        Life of the cell of each row [cycles]; both axes are fractions of it.
    shares : mapping
        For each model the share of cells inside the cone [fraction], by fraction of life.
    model, reference : str
        Labels of the run's model and of what it is measured against.
    """
    over = np.array([0.0, 1.0])
    cone = draw.Band(
        f"within {100 * CONE:.0f} % of the truth", over, (1 - CONE) * (1 - over), (1 + CONE) * (1 - over), draw.GREEN
    )
    marks: list[draw.Mark] = [cone, draw.Line("truth", over, 1 - over, draw.TRUTH, 2.0)]
    groups = list(rows.groupby("unique_id", sort=False))
    for (cell, own), colour in zip(groups, draw.from_fast_to_slow(len(groups)), strict=True):
        life = lives.loc[own.index]
        age = 1 - own["y"] / life
        order = age.to_numpy().argsort(kind="stable")[draw.every(len(own), draw.POINTS // 4)]
        marks.append(
            draw.Line(str(cell), age.iloc[order], (own["y_hat"] / life).iloc[order], colour, 1.1, legend=False)
        )
    above = draw.Panel(marks, draw.Axis(), draw.Axis("forecast remaining life / life", -0.05, 1.35), share=1.9)
    others = [label for label in shares if label not in (model, reference)][: TOLD_APART - 2]
    paint = draw.colours([model, *others, reference])
    below = [
        draw.Line(
            label,
            shares[label].index.to_numpy(),
            100 * shares[label],
            draw.GREY if label == reference else draw.BLUE if label == model else paint[label],
            2.0 if label == model else 1.3,
            "dash" if label == reference else "solid",
            hidden=label not in (model, reference),
        )
        for label in dict.fromkeys([model, *others, reference])
        if label in shares
    ]
    cells = draw.Panel(below, draw.Axis("fraction of life that is over"), draw.Axis("cells in the cone [%]", -3, 103))
    return draw.Drawing("", [above, cells], height=560, together=False)


def scatter(rows: pd.DataFrame, model: str, unit: str, noun: str = "remaining life") -> draw.Drawing:
    """Draw forecast against true life; between the dotted lines the forecast is within 15 %."""
    rows = rows[np.isfinite(rows["y_hat"])]
    kept = rows.iloc[draw.every(len(rows), CLOUD)]
    ends = np.array([0.0, 1.03 * max(1.0, float(rows[["y", "y_hat"]].to_numpy().max(initial=0.0)))])
    marks: list[draw.Mark] = [
        draw.Dots(model, kept["y"].to_numpy(), kept["y_hat"].to_numpy(), draw.BLUE, size=5, strength=0.3)
    ]
    marks.append(draw.Line("perfect", ends, ends, draw.TRUTH, 1.2))
    for factor in (1 - WITHIN, 1 + WITHIN):
        marks.append(
            draw.Line(f"{100 * WITHIN:.0f} % off", ends, factor * ends, draw.GREY, 1.2, "dot", legend=factor < 1)
        )
    x, y = (draw.Axis(f"{what} {noun} [{unit}]", 0.0, ends[1]) for what in ("true", "forecast"))
    return draw.Drawing("", [draw.Panel(marks, x, y)], height=420, together=False)
