"""Errors of models over time, over life, by month and by group."""

import numpy as np
import pandas as pd

from report.figures import drawing as draw

LOOKS: list[tuple[draw.Symbol, float, str]] = [
    ("circle-open", 14, draw.BLUE),
    ("diamond", 10, "#777777"),
    ("square", 8, draw.VERMILION),
]
FEW_LINES = 4  # below which all are shown at first


def over_time(
    table: pd.DataFrame,
    model: str,
    reference: str | None,
    y: str,
    x: str,
    equal: float | None = None,
    limit: int = draw.POINTS,
) -> draw.Drawing:
    """Draw a line a column of ``(time, model)``; ``equal`` is where a model is as good as the reference."""
    kept = draw.every(len(table), min(limit, draw.POINTS))
    at = table.index[kept].to_series()
    paint = draw.colours([model, *(str(name) for name in table.columns if name != model)])
    marks: list[draw.Mark] = [
        draw.Line(
            name=str(name),
            x=at,
            y=table[name].iloc[kept],
            colour=draw.BLUE if name == model else draw.GREY if name == reference else paint[str(name)],
            width=2.0 if name == model else 1.3,
            dash="dash" if name == reference and name != model else "solid",
            hidden=name not in (model, reference) and len(table.columns) >= FEW_LINES,
        )
        for name in dict.fromkeys([model, *table.columns])
    ]
    marks += [] if equal is None else [draw.Rule(equal)]
    return draw.Drawing("", [draw.Panel(marks, draw.Axis(x), draw.Axis(y))], height=330)


def by_month(table: pd.DataFrame, model: str, reference: str, unit: str, x: str) -> draw.Drawing:
    """Draw the MAE ``(block, model)`` of a model and the reference, and below by how much the model is better."""
    at = table.index.to_series()
    gain = table[reference] - table[model]
    marks: list[draw.Mark] = [draw.Line(reference, at, table[reference], draw.GREY, 1.4, "dash", marked=True)]
    marks.append(draw.Line(model, at, table[model], draw.BLUE, 1.6, marked=True))
    bars = draw.Bars("advantage", at, gain, [draw.BLUE if value >= 0 else draw.VERMILION for value in gain])
    title = f"{reference} less {model}: above 0 the model is better ({int((gain > 0).sum())} of {len(gain)})"
    above = draw.Panel(marks, draw.Axis(), draw.Axis(f"MAE [{unit}]", low=0.0), share=1.7)
    return draw.Drawing("", [above, draw.Panel([bars], draw.Axis(x), draw.Axis(f"[{unit}]"), title=title)], height=430)


def by_group(table: pd.DataFrame, x: str, equal: float | None = None) -> draw.Drawing:
    """Draw one number of every model in each group.

    Parameters
    ----------
    table : DataFrame
        A row a model, the best last; a column a group.
    x : str
        What the number is.
    equal : float or None
        Where a model is as good as the reference.
    """
    labels = [str(name) for name in table.index]
    marks: list[draw.Mark] = [] if equal is None else [draw.Rule(equal, upright=True)]
    for (group, values), (symbol, size, colour) in zip(table.items(), LOOKS, strict=False):
        notes = [f"{label}, {group}: {value:.4g}" for label, value in zip(labels, values, strict=True)]
        places = np.arange(len(labels))
        marks.append(draw.Dots(str(group), values, places, colour, symbol, size, sideways=True, notes=notes))
    panel = draw.Panel(marks, draw.of_errors(x, table.to_numpy(dtype=np.float64)), draw.Axis(labels=labels))
    return draw.Drawing("", [panel], height=110 + 30 * len(labels), together=False)


def coverage(table: pd.DataFrame, what: str) -> draw.Drawing:
    """Draw how many truths each interval holds.

    Parameters
    ----------
    table : DataFrame
        A row a group (``group``) and ``level`` [%]: ``coverage``, ``low`` and ``high`` [fraction], ``n``.
    what : str
        What a group is.
    """
    groups = [str(name) for name in table["group"].drop_duplicates()]
    marks: list[draw.Mark] = []
    looks: list[tuple[str, draw.Symbol, float]] = [(draw.VERMILION, "diamond", 0.06), (draw.BLUE, "circle", -0.06)]
    for number, (level, rows) in enumerate(table.groupby("level")):
        colour, symbol, shift = looks[number % 2]
        at = np.array([groups.index(str(name)) + shift for name in rows["group"]])
        share, low, high = (100 * rows[name] for name in ("coverage", "low", "high"))
        notes = [f"{g}: {value:.1f} % of {n}" for g, value, n in zip(rows["group"], share, rows["n"], strict=True)]
        marks.append(draw.Dots(f"{level} % interval", at, share, colour, symbol, 9, low=low, high=high, notes=notes))
        marks.append(draw.Rule(float(str(level)), colour=colour, dash="dot"))
    lowest = min(70.0, 100 * float(table["low"].min()) - 3)
    panel = draw.Panel(marks, draw.Axis(what, labels=groups), draw.Axis("truths inside [%]", lowest, 101.5))
    return draw.Drawing("", [panel], height=320, together=False)


def at_lags(lags: list[int], values: np.ndarray, name: str, band: float, x: str, y: str) -> draw.Drawing:
    """Draw a correlation at every lag, and the band that chance alone fills 95 times in 100."""
    step = 1 if len(lags) < 20 else 5
    bars = draw.Bars(name, np.array(lags), values, [draw.BLUE])
    ticks = [lag for lag in lags if lag % step == 0]
    return draw.Drawing(
        "", [draw.Panel([draw.Chance(-band, band), bars], draw.Axis(x, ticks=ticks), draw.Axis(y))], height=290
    )
