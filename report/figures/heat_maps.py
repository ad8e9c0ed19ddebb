"""Heat maps: attention weights over time, and p-values of pairs of models."""

import numpy as np
import pandas as pd

from report.figures.drawing import Axis, Drawing, Heat, Panel

COLUMNS = 150  # of an attention map
STRONGEST = 4.0  # -log10 p from which on a colour is no deeper


def attention_map(rows: pd.DataFrame, name: str, x: str, limit: int = COLUMNS) -> Drawing:
    """Draw the weight of every step looked back upon, ``lag``, for every origin ``ds``."""
    table = rows.pivot_table(index="lag", columns="ds", values="weight")
    limit = min(limit, COLUMNS)
    block = np.arange(table.shape[1]) * limit // max(limit, table.shape[1])
    first = pd.Series(table.columns).groupby(block).first()
    mean = table.T.groupby(block).mean().T  # (L, columns)
    heat = Heat(first, mean.index.to_numpy(), mean.to_numpy(), "weight")
    return Drawing(name, [Panel([heat], Axis(x), Axis("lag [steps]", downward=True))], together=False)


def pairs(p: pd.DataFrame, better: pd.DataFrame) -> Drawing:
    """Draw the p-value of every pair of models, signed by which of them is better.

    Parameters
    ----------
    p : DataFrame
        ``(model, model)`` p-values; NaN where nothing was tested.
    better : DataFrame
        ``(model, model)``: True where the model of the row has the smaller loss.
    """
    values, names = p.to_numpy(dtype=np.float64), [str(name) for name in p.index]
    strength = np.clip(-np.log10(np.maximum(values, 10**-STRONGEST)), 0, STRONGEST)
    text = [["" if np.isnan(v) else "< .001" if v < 0.001 else f"{v:.3f}" for v in line] for line in values]
    notes = [
        [f"{row} against {column}: p = {said}" if said else "" for column, said in zip(names, line, strict=True)]
        for row, line in zip(names, text, strict=True)
    ]
    signed = np.where(better.to_numpy(dtype=bool), strength, -strength)
    places = np.arange(len(names))
    heat = Heat(places, places, signed, words=text, notes=notes, diverging=True, reach=STRONGEST)
    panel = Panel([heat], Axis(labels=names, above=True), Axis(labels=names, downward=True))
    return Drawing("", [panel], height=150 + 34 * len(names), together=False)
