"""Factors by how closely they follow the target, and criteria by the number of clusters."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from data.contracts import FloatArray
from report.figures.drawing import BLUE, VERMILION, Axis, Bars, Dots, Drawing, Line, Mark, Panel

SMALL = 260  # [px] height of a drawing of a wall


def ranking(labels: Sequence[str], values: FloatArray, x: str) -> Drawing:
    """Draw one horizontal bar a label, the first on top; negative bars in another colour."""
    shades = [BLUE if value >= 0 else VERMILION for value in values]
    bars = Bars(x, values, np.arange(len(labels)), shades, sideways=True)
    panel = Panel([bars], Axis(x), Axis(labels=list(labels), downward=True))
    return Drawing(x, [panel], height=80 + 22 * len(labels), together=False)


def criterion(table: pd.DataFrame, name: str, title: str, chosen: int | None) -> Drawing:
    """Draw one validity index over the number of clusters; the chosen number is marked."""
    at, values = table["n_clusters"], table[name]
    marks: list[Mark] = [Line(title, at, values, BLUE, marked=True, legend=False)]
    if (here := at == chosen).any():
        marks.append(Dots("chosen", at[here], values[here], VERMILION, "circle-open", 12, legend=False))
    return Drawing(title, [Panel(marks, Axis("clusters"))], height=SMALL)
