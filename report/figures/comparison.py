"""The error of every model of a comparison beside the published one, against the reference."""

import numpy as np
import pandas as pd

from report.figures.drawing import BLUE, RED, VERMILION, Axis, Dots, Drawing, Line, Mark, Panel, Rule, Symbol, of_errors


def comparison(rows: pd.DataFrame, reference: str, error: float, x: str) -> Drawing:
    """Draw one line of dots a model, the first on top; a line marks the error of the reference.

    Parameters
    ----------
    rows : DataFrame
        ``model``, ``mae``, ``mae_std``, ``mae_published`` and ``leaks``.
    reference : str
        What the reference is called.
    error : float
        Of the reference.
    x : str
        What the error is.
    """
    rows = rows.reset_index(drop=True)
    labels = [str(model) for model in rows["model"]]
    marks: list[Mark] = [Rule(error, upright=True)]
    both = rows[rows["mae"].notna() & rows["mae_published"].notna()]
    for place, row in both.iterrows():
        ends = np.sort([row["mae"], row["mae_published"]])
        marks.append(Line("", ends, np.full(2, place), "#CFCFCF", 1.4, legend=False))
    looks: list[tuple[str, pd.Series[bool], str, Symbol]] = [
        ("ours", ~rows["leaks"], BLUE, "circle"),
        ("ours, uses the future", rows["leaks"], RED, "diamond"),
    ]
    for name, own, colour, symbol in looks:
        chosen = rows[own & rows["mae"].notna()]
        if len(chosen):
            marks.append(_dots(name, chosen, "mae", colour, symbol, spread="mae_std"))
    known = rows[rows["mae_published"].notna()]
    if len(known):
        marks.append(_dots("published", known, "mae_published", VERMILION, "square-open"))
    axis = of_errors(f"{x}; dashed: {reference}, {error:.4g}", rows["mae"], rows["mae_published"], [error])
    panel = Panel(marks, axis, Axis(labels=labels, downward=True))
    return Drawing("", [panel], height=120 + 30 * len(rows), together=False)


def _dots(name: str, rows: pd.DataFrame, column: str, colour: str, symbol: Symbol, spread: str = "") -> Dots:
    notes = [f"{model}: {value:.5g} ({name})" for model, value in zip(rows["model"], rows[column], strict=True)]
    reach = rows[spread].fillna(0) if spread else None
    low, high = (None, None) if reach is None or not reach.any() else (rows[column] - reach, rows[column] + reach)
    return Dots(name, rows[column], rows.index.to_numpy(), colour, symbol, 10, 1.0, low, high, True, notes=notes)
