"""How sure the metrics of a table are: intervals from test sets that might have been.

Errors of neighbouring days resemble each other, and so do the errors of one cell.  A resample
therefore draws whole blocks of origins, or whole cells, and every model is judged on the same ones.

Shapes
------
R resample, B block, S series
"""

import math
from collections.abc import Mapping
from typing import Literal

import numpy as np
import pandas as pd

from data.contracts import FloatArray
from evaluation.metrics import CONFIDENCE, PERSISTENCE, TARGET, ForecastsError

REPLICATIONS = 1000
METRICS = ["mae", "rmse", "mape", "r2", "mase", "skill", "direction"]
Blocks = Literal["time", "series"]


def metric_intervals(
    forecasts: pd.DataFrame,
    scale: Mapping[str, float] | None,
    blocks: Blocks,
    replications: int = REPLICATIONS,
    seed: int = 0,
) -> pd.DataFrame:
    """Return every metric of every model with its 95 % percentile interval.

    Parameters
    ----------
    forecasts : DataFrame
        The Forecasts table (see ``evaluation.metrics``); persistence is needed for skill and direction only.
    scale : mapping or None
        As of ``metrics.scores``; None leaves MASE out.
    blocks : str
        What stays together: ``time`` draws runs of origins of random length (the stationary
        bootstrap of Politis and Romano, 1994, mean length by ``block_length``), ``series`` draws
        whole series, as cells.  With fewer than 5 cells the intervals are too narrow, with one there
        are none.
    replications : int
        Resamples.
    seed : int
        The same seed gives the same intervals.

    Returns
    -------
    DataFrame
        A row a model and metric: ``model``, ``metric``, ``value`` as ``metrics.scores`` has it, ``low``,
        ``high`` [unit of the metric].  NaN where a metric does not exist.

    Raises
    ------
    ForecastsError
        If there are no forecasts, or one is given twice.
    """
    rows = _with_last_value(forecasts, scale)
    block, names = pd.factorize(rows["origin" if blocks == "time" else "unique_id"], sort=True)
    drawn = np.vstack([np.ones(len(names)), _draws(rows, block, len(names), blocks, replications, seed)])
    series, series_names = pd.factorize(rows["unique_id"])
    table = []
    for model, part in rows.groupby("model", sort=False):
        at = rows.index.get_indexer(part.index)
        sums = _Sums(drawn, block[at], series[at], len(series_names))
        for metric, values in _metrics(part, sums).items():
            spread = values[1:][np.isfinite(values[1:])]
            known = len(names) > 1 and spread.size > 0 and np.isfinite(values[0])
            tail = (1 - CONFIDENCE) / 2
            low, high = np.quantile(spread, [tail, 1 - tail]) if known else (np.nan, np.nan)
            table.append((model, metric, float(values[0]), float(low), float(high)))
    return pd.DataFrame(table, columns=["model", "metric", "value", "low", "high"])


def block_length(series: FloatArray, horizon: int) -> int:
    """Return how many neighbours to draw together so that their likeness is kept.

    The longest of the optimal lengths of the columns (Politis and White, 2004, corrected by Patton et
    al., 2009), at least the horizon, whose futures overlap, and at most a quarter of the rows.

    Parameters
    ----------
    series : array
        ``(time, n)`` losses or loss differences.
    horizon : int
        H [steps].
    """
    from arch.bootstrap import optimal_block_length  # a second to import

    varying = series[:, np.ptp(series, axis=0) > 0]
    wanted = [float(horizon), 1.0]
    if varying.shape[1] and len(series) > 10:
        lengths = optimal_block_length(varying)["stationary"].to_numpy()
        wanted += list(lengths[np.isfinite(lengths)])
    return max(1, min(math.ceil(max(wanted)), len(series) // 4))


def resamples(n: int, block: int, replications: int, seed: int) -> FloatArray:
    """Return ``(R, n)``: how often each of n neighbours is drawn, in blocks of a mean length."""
    from arch.bootstrap import StationaryBootstrap  # a second to import

    draws = StationaryBootstrap(block, np.arange(n), seed=seed).bootstrap(replications)
    return np.stack([np.bincount(drawn[0], minlength=n) for drawn, _ in draws]).astype(np.float64)


def _draws(
    rows: pd.DataFrame, block: np.ndarray, n_blocks: int, blocks: Blocks, replications: int, seed: int
) -> FloatArray:
    """Return ``(R, B)``: how often each block is drawn."""
    if blocks == "series":
        drawn = np.random.default_rng(seed).integers(n_blocks, size=(replications, n_blocks))
        return np.stack([np.bincount(row, minlength=n_blocks) for row in drawn]).astype(np.float64)
    errors = rows.assign(error=(rows["y"] - rows["y_hat"]).abs(), block=block)
    by_origin = errors.pivot_table(index="block", columns="model", values="error").to_numpy()  # (B, model)
    whole = by_origin[:, np.isfinite(by_origin).all(axis=0)]
    length = block_length(whole, int(rows["step"].max()))
    return resamples(n_blocks, length, replications, seed)


class _Sums:
    """Sums over the rows of a model, for the table as it is and for every resample."""

    def __init__(self, drawn: FloatArray, block: np.ndarray, series: np.ndarray, n_series: int) -> None:
        self.drawn = drawn  # (R + 1, B)
        self.cell = block * n_series + series
        self.n_series = n_series

    def by_series(self, values: FloatArray) -> FloatArray:
        """Return ``(R + 1, S)``."""
        size = self.drawn.shape[1] * self.n_series
        sums = np.bincount(self.cell, weights=values, minlength=size).reshape(-1, self.n_series)
        total: FloatArray = self.drawn @ sums
        return total

    def all(self, values: FloatArray) -> FloatArray:
        """Return ``(R + 1,)``."""
        total: FloatArray = self.by_series(values).sum(axis=1)
        return total


def _metrics(rows: pd.DataFrame, sums: _Sums) -> dict[str, FloatArray]:
    """Return the metrics of ``evaluation.metrics``, ``(R + 1,)`` each."""
    y = rows["y"].to_numpy(dtype=np.float64)
    error = y - rows["y_hat"].to_numpy(dtype=np.float64)
    if not np.isfinite(error).all():
        return {metric: np.full(len(sums.drawn), np.nan) for metric in METRICS}
    n = sums.all(np.ones(y.size))
    lost, squares = sums.all(np.abs(error)), sums.all(error**2)
    centred = y - rows.groupby("unique_id")["y"].transform("mean").to_numpy()
    count, first, second = (sums.by_series(values) for values in (np.ones(y.size), centred, centred**2))
    spread = (second - _ratio(first**2, count, empty=0.0)).sum(axis=1)
    metrics = {
        "mae": _ratio(lost, n),
        "rmse": np.sqrt(_ratio(squares, n)),
        "mape": 100 * _ratio(sums.all(np.abs(error / y)), n) if (y != 0).all() else np.full(n.size, np.nan),
        "r2": 1 - _ratio(squares, spread),
    }
    if "scale" in rows:
        metrics["mase"] = _ratio(sums.all(np.abs(error) / rows["scale"].to_numpy()), n)
    if "last" in rows:
        truth, forecast = y - rows["last"].to_numpy(), (y - error) - rows["last"].to_numpy()
        moved = truth * forecast != 0
        metrics["skill"] = 1 - _ratio(lost, sums.all(np.abs(truth)))
        hits = (np.sign(truth) == np.sign(forecast)) & moved
        metrics["direction"] = _ratio(sums.all(hits.astype(np.float64)), sums.all(moved.astype(np.float64)))
    return metrics


def _ratio(above: FloatArray, below: FloatArray, empty: float = np.nan) -> FloatArray:
    """Divide; where there is nothing to divide by, the result is ``empty``."""
    return np.divide(above, below, out=np.full(above.shape, empty), where=below > 0)


def _with_last_value(forecasts: pd.DataFrame, scale: Mapping[str, float] | None) -> pd.DataFrame:
    """Return the table with ``last``, if persistence is in it, and ``scale``, if there is one."""
    if forecasts.empty:
        raise ForecastsError("There are no forecasts to judge.")
    rows = forecasts.reset_index(drop=True)
    twice = rows.duplicated([*TARGET, "model"])
    if twice.any():
        row = rows[twice].iloc[0]
        raise ForecastsError(f"{row['unique_id']} at {row['ds']} is forecast twice by {row['model']}.")
    if scale is not None:
        rows = rows.assign(scale=rows["unique_id"].map(dict(scale)))
    naive = rows["model"] == PERSISTENCE
    if naive.any():
        last = rows.loc[naive, [*TARGET, "y_hat"]].rename(columns={"y_hat": "last"})
        rows = rows.merge(last, on=TARGET, how="left", validate="many_to_one")
    return rows
