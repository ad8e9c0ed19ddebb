"""Forecasts against the truth, with intervals, over time."""

from dataclasses import replace

import numpy as np
import pandas as pd

from report.figures.drawing import BLUE, GREY, POINTS, TRUTH, Axis, Band, Drawing, Line, Mark, Panel, colours, every

FEW = 150  # points of a line of a small drawing
SMALL = 260  # [px] height of one
SHADES = {"95": 0.14, "80": 0.26}
OTHER_SHADE = 0.2


def forecast(
    rows: pd.DataFrame, model: str, reference: str, unit: str, x: str, slider: bool = True, limit: int = POINTS
) -> Drawing:
    """Draw the truth, the forecasts of every model and the intervals of the run's model, of one series.

    Parameters
    ----------
    rows : DataFrame
        Forecasts of one series, one row a target and model; ``lo_80`` to ``hi_95`` where there are intervals.
    model, reference : str
        The run's model, and what it is measured against: only these are shown at first.
    unit, x : str
        Of the values, and what stands on the time axis.
    slider : bool
        Whether a slider below shows the whole range.
    limit : int
        Most points of a line.
    """
    wide = rows.pivot_table(index="ds", columns="model", values="y_hat", dropna=False)
    truth = rows.drop_duplicates("ds").set_index("ds")["y"].sort_index()
    kept = every(len(truth), limit)
    at = truth.index[kept].to_series()
    own = rows[rows["model"] == model].drop_duplicates("ds").set_index("ds").reindex(truth.index).iloc[kept]
    marks: list[Mark] = []
    for level in _levels(own):
        name, shade = f"{level} % interval", SHADES.get(level, OTHER_SHADE)
        marks.append(Band(name, at, own[f"lo_{level}"], own[f"hi_{level}"], BLUE, shade))
    first = [name for name in (reference, model) if name in wide]
    paint = colours([model, *(name for name in wide.columns if name not in (model, reference))])
    limits = _limits(own)
    for name in dict.fromkeys([*first, *wide.columns]):
        is_own = name == model
        marks.append(
            Line(
                name=str(name),
                x=at,
                y=wide[name].reindex(truth.index).iloc[kept],
                colour=BLUE if is_own else GREY if name == reference else paint[str(name)],
                width=1.8 if is_own else 1.3,
                dash="dash" if name == reference and not is_own else "solid",
                hidden=name not in first,
                rank=2 if is_own else 3 if name == reference else 10,
                notes=limits if is_own else (),
            )
        )
    marks.append(Line("truth", at, truth.iloc[kept], TRUTH, 2.0, rank=1))
    name = str(rows["unique_id"].iloc[0])
    return Drawing(name, [Panel(marks, Axis(x), Axis(unit))], height=430, slider=slider)


def forecasts_of_all(rows: pd.DataFrame, model: str, reference: str, unit: str, x: str, last: int) -> Drawing:
    """Draw the truth and the forecasts of every model in one panel, the last steps of one series."""
    newest = np.sort(rows["ds"].unique())[-last:]
    drawn = forecast(rows[rows["ds"] >= newest[0]], model, reference, unit, x, False)
    (panel,) = drawn.panels
    lines = [replace(mark, hidden=False) for mark in panel.marks if isinstance(mark, Line)]
    return Drawing(drawn.name, [replace(panel, marks=lines)], height=430)


def small_forecast(rows: pd.DataFrame, model: str, reference: str, title: str, unit: str, x: str) -> Drawing:
    """Draw the truth, the reference and one model's forecast of one series, small, with its intervals."""
    drawn = forecast(rows[rows["model"].isin([model, reference])], model, reference, unit, x, False, FEW)
    (panel,) = drawn.panels
    return Drawing(title, [Panel(panel.marks, panel.x, Axis(panel.y.title, low=0.0))], SMALL, legend=False)


def _levels(own: pd.DataFrame) -> list[str]:
    """Return the levels there are intervals of, the widest first."""
    names = [str(name).removeprefix("lo_") for name in own if str(name).startswith("lo_")]
    known = [level for level in names if f"hi_{level}" in own and own[f"lo_{level}"].notna().any()]
    return sorted((level for level in known if level.isdigit()), key=int, reverse=True)


def _limits(own: pd.DataFrame) -> list[str]:
    """Return the widest interval of every row as text; empty where there is none."""
    level = next(iter(_levels(own)), None)
    if level is None:
        return []
    low, high = (own[f"{end}_{level}"].to_numpy(dtype=np.float64) for end in ("lo", "hi"))
    there = np.isfinite(low) & np.isfinite(high)
    return [f" ({level} %: {a:.5g} to {b:.5g})" if known else "" for a, b, known in zip(low, high, there, strict=True)]
