"""Errors of models over time, over life, by month and by group."""

import numpy as np
import pandas as pd

from report.figures.drawing import (
    BLUE,
    GREY,
    POINTS,
    VERMILION,
    Axis,
    Bars,
    Chance,
    Dots,
    Drawing,
    Line,
    Mark,
    Panel,
    Rule,
    Symbol,
    colours,
    every,
    of_errors,
)

LOOKS: list[tuple[Symbol, float, str]] = [
    ("circle-open", 14, BLUE),
    ("diamond", 10, "#777777"),
    ("square", 8, VERMILION),
]
FEW_LINES = 4  # below which all are shown at first


def over_time(
    table: pd.DataFrame,
    model: str,
    reference: str | None,
    y: str,
    x: str,
    equal: float | None = None,
    limit: int = POINTS,
) -> Drawing:
    """Draw a line a column of ``(time, model)``; ``equal`` is where a model is as good as the reference."""
    kept = every(len(table), min(limit, POINTS))
    at = table.index[kept].to_series()
    paint = colours([model, *(str(name) for name in table.columns if name != model)])
    marks: list[Mark] = [
        Line(
            name=str(name),
            x=at,
            y=table[name].iloc[kept],
            colour=BLUE if name == model else GREY if name == reference else paint[str(name)],
            width=2.0 if name == model else 1.3,
            dash="dash" if name == reference and name != model else "solid",
            hidden=name not in (model, reference) and len(table.columns) >= FEW_LINES,
        )
        for name in dict.fromkeys([model, *table.columns])
    ]
    marks += [] if equal is None else [Rule(equal)]
    return Drawing("", [Panel(marks, Axis(x), Axis(y))], height=330)


def by_month(table: pd.DataFrame, model: str, reference: str, unit: str, x: str) -> Drawing:
    """Draw the MAE ``(block, model)`` of a model and the reference, and below by how much the model is better."""
    at = table.index.to_series()
    gain = table[reference] - table[model]
    marks: list[Mark] = [Line(reference, at, table[reference], GREY, 1.4, "dash", marked=True)]
    marks.append(Line(model, at, table[model], BLUE, 1.6, marked=True))
    bars = Bars("advantage", at, gain, [BLUE if value >= 0 else VERMILION for value in gain])
    title = f"{reference} less {model}: above 0 the model is better ({int((gain > 0).sum())} of {len(gain)})"
    above = Panel(marks, Axis(), Axis(f"MAE [{unit}]", low=0.0), share=1.7)
    return Drawing("", [above, Panel([bars], Axis(x), Axis(f"[{unit}]"), title=title)], height=430)


def by_group(table: pd.DataFrame, x: str, equal: float | None = None) -> Drawing:
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
    marks: list[Mark] = [] if equal is None else [Rule(equal, upright=True)]
    for (group, values), (symbol, size, colour) in zip(table.items(), LOOKS, strict=False):
        notes = [f"{label}, {group}: {value:.4g}" for label, value in zip(labels, values, strict=True)]
        places = np.arange(len(labels))
        marks.append(Dots(str(group), values, places, colour, symbol, size, sideways=True, notes=notes))
    panel = Panel(marks, of_errors(x, table.to_numpy(dtype=np.float64)), Axis(labels=labels))
    return Drawing("", [panel], height=110 + 30 * len(labels), together=False)


def coverage(table: pd.DataFrame, what: str) -> Drawing:
    """Draw how many truths each interval holds.

    Parameters
    ----------
    table : DataFrame
        A row a group (``group``) and ``level`` [%]: ``coverage``, ``low`` and ``high`` [fraction], ``n``.
    what : str
        What a group is.
    """
    groups = [str(name) for name in table["group"].drop_duplicates()]
    marks: list[Mark] = []
    for number, (level, rows) in enumerate(table.groupby("level")):
        colour, symbol = ((VERMILION, "diamond"), (BLUE, "circle"))[number % 2]
        shift = (0.06, -0.06)[number % 2]
        at = np.array([groups.index(str(name)) + shift for name in rows["group"]])
        notes = [
            f"{g}: {100 * c:.1f} % of {n}" for g, c, n in zip(rows["group"], rows["coverage"], rows["n"], strict=True)
        ]
        ends = {"low": 100 * rows["low"], "high": 100 * rows["high"]}
        marks.append(Dots(f"{level} % interval", at, 100 * rows["coverage"], colour, symbol, 9, notes=notes, **ends))  # type: ignore[arg-type]
        marks.append(Rule(float(str(level)), colour=colour, dash="dot"))
    lowest = min(70.0, 100 * float(table["low"].min()) - 3)
    panel = Panel(marks, Axis(what, labels=groups), Axis("truths inside [%]", lowest, 101.5))
    return Drawing("", [panel], height=320, together=False)


def at_lags(lags: list[int], values: np.ndarray, name: str, band: float, x: str, y: str) -> Drawing:
    """Draw a correlation at every lag, and the band that chance alone fills 95 times in 100."""
    step = 1 if len(lags) < 20 else 5
    bars = Bars(name, np.array(lags), values, [BLUE])
    ticks = [lag for lag in lags if lag % step == 0]
    return Drawing("", [Panel([Chance(-band, band), bars], Axis(x, ticks=ticks), Axis(y))], height=290)
