"""How sure the metrics of a table are: intervals from test sets that might have been.

Errors of neighbouring days resemble each other, and so do the errors of one cell.  A resample
therefore draws whole blocks of origins, or whole cells, and every model is judged on the same ones.

Shapes
------
R resample, B block, n row, k statistic
"""

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np
import pandas as pd

from data.contracts import FloatArray, IntArray
from evaluation.inference.losses import losses_by_origin
from evaluation.scores import CONFIDENCE, Means, Score, from_means, statistics, sums_over

REPLICATIONS = 1000
Blocks = Literal["time", "series"]


def metric_intervals(
    rows: pd.DataFrame,
    scores: Sequence[Score],
    blocks: Blocks,
    replications: int = REPLICATIONS,
    seed: int = 0,
) -> pd.DataFrame:
    """Return metrics of every model with their 95 % percentile intervals.

    Parameters
    ----------
    rows : DataFrame
        As ``rows.enriched`` returns them.
    scores : sequence of Score
        Those of them that are functions of means (``scores.Means``) have intervals.
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
        A row a model and metric: ``model``, ``metric``, ``value`` as ``scores.aggregate`` has it, ``low``,
        ``high`` [unit of the metric].  NaN where a metric is undefined.
    """
    block, names = pd.factorize(rows["origin" if blocks == "time" else "unique_id"], sort=True)
    drawn = np.vstack([np.ones(len(names)), _draws(rows, block, len(names), blocks, replications, seed)])
    code, models = pd.factorize(rows["model"])
    rows = rows.assign(group=code)
    whole = np.bincount(code, weights=~np.isfinite(rows["y_hat"].to_numpy(dtype=np.float64))) == 0
    own = [np.flatnonzero(code == number) for number in range(len(models))]
    tail = (1 - CONFIDENCE) / 2
    table = []
    for score in scores:
        if not isinstance(score.over, Means):
            continue
        found = statistics(rows, score)
        for number, model in enumerate(models):
            values = _resampled(score.over, found[own[number]], block[own[number]], drawn)
            spread = values[1:][np.isfinite(values[1:])]
            value = float(values[0]) if whole[number] else np.nan
            known = len(names) > 1 and spread.size > 0 and np.isfinite(value)
            low, high = np.quantile(spread, [tail, 1 - tail]) if known else (np.nan, np.nan)
            table.append((model, score.name, value, float(low), float(high)))
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
    by_origin = losses_by_origin(rows).to_numpy()  # (B, model)
    length = block_length(by_origin[:, np.isfinite(by_origin).all(axis=0)], int(rows["step"].max()))
    return resamples(n_blocks, length, replications, seed)


def _resampled(over: Means, found: FloatArray, block: IntArray, drawn: FloatArray) -> FloatArray:
    """Return a score of one model, for the table as it is and for every resample, ``(R + 1,)``.

    Parameters
    ----------
    found : array ``(n, k)``
        Statistics of the model's rows.
    block : array ``(n,)``
        Of each row.
    drawn : array ``(R + 1, B)``
        How often each block is drawn.
    """
    sums, counts = sums_over(found, block, drawn.shape[1])
    with np.errstate(invalid="ignore"):
        return from_means(over, drawn @ sums, drawn @ counts)
