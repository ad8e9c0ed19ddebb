"""Whether intervals hold what they promise, and how sharp they are.

Everything is computed from a Forecasts table with the columns ``lo_<level>`` and ``hi_<level>`` that
``evaluation.intervals.conformal`` adds.  Of two kinds of intervals that cover as promised the narrower is
better; the Winkler score and the CRPS weigh both in one number, in the unit of ``y``, small is good.
"""

from typing import Literal

import numpy as np
import pandas as pd

from data.contracts import FloatArray
from evaluation.intervals.conformal import bound_columns
from evaluation.metrics import ForecastsError

By = Literal["all", "year", "stage"]
STAGES = {"early": 2 / 3, "middle": 1 / 3, "late": 0.0}  # smallest share of its life that a cell has left


def interval_scores(forecasts: pd.DataFrame, by: By = "all") -> pd.DataFrame:
    """Score the intervals of every model.

    Parameters
    ----------
    forecasts : DataFrame
        The Forecasts table with bounds.
    by : str
        ``all`` rows together, by calendar ``year`` of ``ds``, or by ``stage`` of a cell's life:
        early, middle and late are thirds of it, by the truth ``y`` and the cycle ``ds``.

    Returns
    -------
    DataFrame
        A row a model, part and level:

        - ``model``, ``part`` ("all", the year, the stage), ``level`` [%].
        - ``n``: rows with an interval; ``missing``: rows without, which count nowhere else.
        - ``coverage``: share of truths on or within the bounds [fraction].
        - ``width``: mean width [unit of y].
        - ``winkler``: mean interval score of Gneiting and Raftery (2007, equation 43): the width, plus
          2 / alpha times the distance of a truth that is outside, alpha = 1 - level [unit of y].
        - ``pinball``: mean quantile loss of the two bounds [unit of y].
        - ``crps``: the continuous ranked probability score, from the bounds of all levels and the forecast
          as the median: twice the mean quantile loss (also known as the weighted interval score, Bracher
          et al., 2021); the same for every level [unit of y].

    Raises
    ------
    ForecastsError
        If the table has no bounds, or the parts asked for do not exist.
    """
    levels = interval_levels(forecasts)
    rows = forecasts.assign(part=_parts(forecasts, by))
    table = []
    for (model, part), group in rows.groupby(["model", "part"], sort=False):
        crps = _crps(group, levels)
        for level in levels:
            table.append({"model": model, "part": part, "level": level, **_scores(group, level), "crps": crps})
    return pd.DataFrame(table)


def coverage(forecasts: pd.DataFrame, by: By) -> pd.DataFrame | None:
    """Return the ``interval_scores`` of all rows together and then by ``by``; None where no row has an interval.

    Years are left out where time is counted in steps.
    """
    bounds = [column for column in forecasts.columns if str(column).startswith("lo_")]
    if not bounds or forecasts[bounds].isna().all(axis=None):
        return None
    dated = isinstance(forecasts["ds"].iloc[0], pd.Timestamp)
    parts: list[By] = ["all"] if by == "year" and not dated else ["all", by]
    return pd.concat([interval_scores(forecasts, part) for part in parts], ignore_index=True)


def interval_levels(forecasts: pd.DataFrame) -> list[int]:
    """Return the levels a table has bounds of [%], ascending.

    Raises
    ------
    ForecastsError
        If there are none.
    """
    names = [str(column) for column in forecasts.columns]
    levels = sorted(int(name[3:]) for name in names if name.startswith("lo_") and name[3:].isdigit())
    if not levels or any(column not in names for column in bound_columns(levels)):
        raise ForecastsError("The forecasts have no intervals: columns lo_80, hi_80 and so on, two a level.")
    return levels


def pinball(y: FloatArray, quantile: FloatArray, share: float) -> FloatArray:
    """Return the quantile loss ``(n,)`` of a forecast that a share of truths shall not exceed."""
    below = y - quantile
    return np.maximum(share * below, (share - 1) * below)


def _scores(rows: pd.DataFrame, level: int) -> dict[str, float]:
    y, low, high = (rows[name].to_numpy(dtype=np.float64) for name in ("y", f"lo_{level}", f"hi_{level}"))
    there = np.isfinite(low) & np.isfinite(high)
    counts = {"n": int(there.sum()), "missing": int((~there).sum())}
    if not there.any():
        return counts | dict.fromkeys(["coverage", "width", "winkler", "pinball"], np.nan)
    y, low, high = y[there], low[there], high[there]
    tail = (1 - level / 100) / 2
    losses = pinball(y, low, tail) + pinball(y, high, 1 - tail)
    return counts | {
        "coverage": float(((low <= y) & (y <= high)).mean()),
        "width": float((high - low).mean()),
        "winkler": float((losses / tail).mean()),
        "pinball": float((losses / 2).mean()),
    }


def _crps(rows: pd.DataFrame, levels: list[int]) -> float:
    y = rows["y"].to_numpy(dtype=np.float64)
    losses = [pinball(y, rows["y_hat"].to_numpy(dtype=np.float64), 0.5)]
    for level in levels:
        tail = (1 - level / 100) / 2
        losses.append(pinball(y, rows[f"lo_{level}"].to_numpy(dtype=np.float64), tail))
        losses.append(pinball(y, rows[f"hi_{level}"].to_numpy(dtype=np.float64), 1 - tail))
    mean = 2 * np.mean(losses, axis=0)  # (n,)
    there = np.isfinite(mean)
    return float(mean[there].mean()) if there.any() else float("nan")


def _parts(forecasts: pd.DataFrame, by: By) -> "pd.Series[str]":
    """Return what part each row belongs to."""
    if by == "all":
        return pd.Series("all", index=forecasts.index)
    dates = forecasts["ds"]
    if by == "year":
        if not pd.api.types.is_datetime64_any_dtype(dates):
            raise ForecastsError("Coverage by year needs dates in ds; of steps or cycles ask for all, or by stage.")
        return dates.dt.year.astype(str)
    if not pd.api.types.is_numeric_dtype(dates):
        raise ForecastsError("Coverage by stage of life needs cycle numbers in ds; of dates ask by year.")
    left = forecasts["y"] / (forecasts["y"] + dates)
    names = np.select([left >= share for share in STAGES.values()], list(STAGES), default="late")
    return pd.Series(names, index=forecasts.index)
