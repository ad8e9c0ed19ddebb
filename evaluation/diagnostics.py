"""Diagnostics of forecasts: lag behind the truth, trailing error, volatility regimes, coverage by group.

Pure functions of tables of forecasts; the report page draws what they find.
"""

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd

from data.contracts import FloatArray
from evaluation.intervals.scores import interval_scores

VOLATILITY = 20  # [steps] trailing, of a regime


def mean_period(line: FloatArray) -> float:
    """Return the mean distance of two maxima of a line ``(n,)`` [steps]; infinite with fewer than two.

    A plateau is one maximum (Wu and Huang, 2004, count the same way).
    """
    moves = np.sign(np.diff(line))
    moves = moves[moves != 0]
    maxima = int(((moves[:-1] > 0) & (moves[1:] < 0)).sum())
    return line.size / maxima if maxima > 1 else math.inf


def lagged(forecast: FloatArray, truth: FloatArray, lags: Sequence[int]) -> FloatArray:
    """Return the correlation of ``forecast[t]`` with ``truth[t - lag]``, both ``(n,)``, for every lag."""
    found = []
    for lag in lags:
        late, early = (forecast[lag:], truth[: truth.size - lag]) if lag >= 0 else (forecast[:lag], truth[-lag:])
        varies = late.size > 2 and late.std() > 0 and early.std() > 0
        found.append(np.corrcoef(late, early)[0, 1] if varies else np.nan)
    return np.array(found, dtype=np.float64)


def trailing_ratio(errors: pd.DataFrame, reference: str, width: int) -> pd.DataFrame:
    """Return the trailing MAE of every model over ``width`` steps as a multiple of the reference's.

    ``errors`` is ``(time, model)``, absolute.
    """
    mean = errors.rolling(width).mean().dropna(how="all")
    return mean.drop(columns=reference).div(mean[reference].where(mean[reference] > 0), axis=0)


def volatility_regimes(last: "pd.Series[float]") -> "pd.Series[str]":
    """Call every origin calm, middle or wild, by terciles of the volatility known there.

    ``last`` is the last value known at each origin, in time order; the volatility is the standard
    deviation of its ``VOLATILITY`` changes up to the origin.
    """
    spread = last.diff().rolling(VOLATILITY).std().dropna()
    if spread.nunique() < 3:
        return pd.Series(dtype=str)
    return pd.qcut(spread.rank(method="first"), 3, labels=["calm", "middle", "wild"]).astype(str)


def covered(rows: pd.DataFrame, group: "pd.Series[str]") -> pd.DataFrame:
    """Score the intervals of one model in each group, with the 95 % interval ``low`` to ``high`` of the coverage.

    That interval is Clopper and Pearson's; forecasts that follow each other are not independent, so
    it is rather too narrow.
    """
    from statsmodels.stats.proportion import proportion_confint  # a second to import

    table = interval_scores(rows.assign(model="all"), group).drop(columns="model").rename(columns={"part": "group"})
    table = table[table["n"] > 0].reset_index(drop=True)
    low, high = proportion_confint((table["coverage"] * table["n"]).round(), table["n"], method="beta")
    return table.assign(low=np.asarray(low), high=np.asarray(high))


def absolute_errors(rows: pd.DataFrame) -> pd.DataFrame:
    """Return absolute errors ``(time, model)`` of one series."""
    errors = rows.assign(error=(rows["y"] - rows["y_hat"]).abs())
    return errors.pivot_table(index="ds", columns="model", values="error", sort=False).sort_index()
