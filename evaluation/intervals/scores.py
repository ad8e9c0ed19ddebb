"""Scores of intervals: fraction of truths inside, width, Winkler score, quantile loss and CRPS.

Of two kinds of intervals that cover as promised the narrower is better; the Winkler score and the CRPS weigh both
in one number, in the unit of ``y``, small is good.
"""

import numpy as np
import pandas as pd

from data.contracts import FloatArray
from evaluation.intervals.bounds import bound_columns, bounded_levels
from evaluation.rows import ForecastsError

OF_LEVEL = ["coverage", "width", "winkler", "pinball"]


def interval_scores(forecasts: pd.DataFrame, part: "pd.Series[str] | None" = None) -> pd.DataFrame:
    """Score the intervals of every model.

    Parameters
    ----------
    forecasts : DataFrame
        The Forecasts table with bounds.
    part : Series or None
        The part each row is counted in, as ``years`` or ``rows.thirds`` return it; None: all rows together.

    Returns
    -------
    DataFrame
        A row a model, part and level:

        - ``model``, ``part`` ("all", the year, the third of life), ``level`` [%].
        - ``n``: rows with an interval; ``missing``: rows without, which count nowhere else.
        - ``coverage``: share of truths on or within the bounds [fraction].
        - ``width``: mean width [unit of y].
        - ``winkler``: mean interval score of Gneiting and Raftery (2007, equation 43): the width, plus
          2 / alpha times the distance of a truth that is outside, alpha = 1 - level [unit of y].
        - ``pinball``: mean quantile loss of the two bounds [unit of y].
        - ``crps``: see ``crps``; the same for every level [unit of y].

    Raises
    ------
    ForecastsError
        If the table has no bounds.
    """
    levels = bounded_levels(forecasts)
    if not levels:
        raise ForecastsError("The forecasts have no intervals: columns lo_80, hi_80 and so on, two a level.")
    rows = forecasts.assign(part="all" if part is None else part)
    table = []
    for (model, name), group in rows.groupby(["model", "part"], sort=False):
        losses = crps(group, levels)
        mean = float(np.nanmean(losses)) if np.isfinite(losses).any() else np.nan
        for level in levels:
            table.append({"model": model, "part": name, "level": level, **_scores(group, level), "crps": mean})
    return pd.DataFrame(table)


def coverage(forecasts: pd.DataFrame, part: "pd.Series[str] | None") -> pd.DataFrame | None:
    """Return the ``interval_scores`` of all rows together and then by part; None where no row has an interval."""
    bounds = bound_columns(bounded_levels(forecasts))
    if not bounds or forecasts[bounds].isna().all(axis=None):
        return None
    tables = [interval_scores(forecasts)] + ([] if part is None else [interval_scores(forecasts, part)])
    return pd.concat(tables, ignore_index=True)


def years(forecasts: pd.DataFrame) -> "pd.Series[str] | None":
    """Return the calendar year of every target; None where time is counted in steps."""
    dates = forecasts["ds"]
    if pd.api.types.is_datetime64_any_dtype(dates):
        return dates.dt.year.astype(str)
    return dates.map(lambda date: str(date.year)) if isinstance(dates.iloc[0], pd.Timestamp) else None


def pinball(y: FloatArray, quantile: FloatArray, share: float) -> FloatArray:
    """Return the quantile loss ``(n,)`` of a forecast that a share of truths shall not exceed."""
    below = y - quantile
    return np.maximum(share * below, (share - 1) * below)


def crps(rows: pd.DataFrame, levels: list[int]) -> FloatArray:
    """Return the continuous ranked probability score ``(n,)`` of the bounds of all levels and the forecast as median.

    Twice the mean quantile loss (also known as the weighted interval score, Bracher et al., 2021); NaN where a bound
    is missing.  A level that no row has bounds of is left out.
    """
    levels = [level for level in levels if rows[bound_columns([level])].notna().all(axis=1).any()]
    if not levels:
        return np.full(len(rows), np.nan)
    y = rows["y"].to_numpy(dtype=np.float64)
    losses = [pinball(y, rows["y_hat"].to_numpy(dtype=np.float64), 0.5)]
    for level in levels:
        tail = (1 - level / 100) / 2
        losses.append(pinball(y, rows[f"lo_{level}"].to_numpy(dtype=np.float64), tail))
        losses.append(pinball(y, rows[f"hi_{level}"].to_numpy(dtype=np.float64), 1 - tail))
    mean: FloatArray = 2 * np.mean(losses, axis=0)
    return np.where(np.isfinite(mean), mean, np.nan)


def _scores(rows: pd.DataFrame, level: int) -> dict[str, float]:
    y, low, high = (rows[name].to_numpy(dtype=np.float64) for name in ("y", f"lo_{level}", f"hi_{level}"))
    there = np.isfinite(low) & np.isfinite(high)
    counts = {"n": int(there.sum()), "missing": int((~there).sum())}
    if not there.any():
        return counts | dict.fromkeys(OF_LEVEL, np.nan)
    y, low, high = y[there], low[there], high[there]
    tail = (1 - level / 100) / 2
    losses = pinball(y, low, tail) + pinball(y, high, 1 - tail)
    return counts | {
        "coverage": float(((low <= y) & (y <= high)).mean()),
        "width": float((high - low).mean()),
        "winkler": float((losses / tail).mean()),
        "pinball": float((losses / 2).mean()),
    }
