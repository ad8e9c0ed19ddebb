"""Economic value of one-step forecasts of a price: what following their signs earns after costs.

Shapes
------
n step, S strategy, R resample
"""

import math
from typing import NamedTuple

import numpy as np
import pandas as pd

from data.contracts import FloatArray
from evaluation.inference.bootstrap import block_length
from evaluation.inference.significance import LEVEL, holm, word
from evaluation.rows import PERSISTENCE

HOLD = "Buy and hold"
LONG_FLAT, LONG_SHORT = "long/flat", "long/short"
REPLICATIONS = 2000
FEWEST = 60  # steps from which on a Sharpe ratio is worth an interval
DAYS = 365.25  # of a year
TRADED = 252  # steps of a year where time is a number


class EconomicValue(NamedTuple):
    """What strategies on one series are worth."""

    table: pd.DataFrame
    """A row a strategy, buy-and-hold first: ``strategy``, ``model``, ``rule``, ``yearly`` (mean net return a year),
    ``sharpe`` (a year, over a riskless rate of 0), ``drawdown`` (largest fall of wealth from a peak, as a fraction),
    ``turnover`` (changes of position a year: 1 buys or sells all), ``difference`` (Sharpe ratio less that of
    buy-and-hold) with ``low`` and ``high``, the ends of its 95 % interval, ``p_corrected`` and ``verdict``."""
    wealth: pd.DataFrame
    """``(ds, strategy)``: what 1 has become after each step."""


def economic_value(rows: pd.DataFrame, cost_bps: float, seed: int = 0) -> EconomicValue | None:
    """Judge long/flat and long/short strategies by the sign of the forecast change beside buy-and-hold.

    A strategy holds the series where its forecast lies above the last value known; below it, it holds nothing
    (long/flat) or sells it short (long/short).  Where no change is forecast it holds nothing.  Each change of
    position costs ``cost_bps`` of what is traded; buy-and-hold pays once.  The interval of the difference of Sharpe
    ratios is from a circular block bootstrap (Politis and Romano, 1992; Ledoit and Wolf, 2008, on its use) that draws
    the same steps for all strategies; verdicts are at 5 % after Holm's correction for the number of strategies.

    Parameters
    ----------
    rows : DataFrame
        Forecasts of one series one step ahead, one of the models being persistence; of models that do not leak.
    cost_bps : float
        Cost of a trade [basis points of its value].
    seed : int
        Of the resamples.

    Returns
    -------
    EconomicValue or None
        None where the series is not positive, several steps are forecast, or there are too few steps or no model.
    """
    by_model = rows.pivot_table(index="ds", columns="model", values="y_hat", sort=False).sort_index()
    if (rows["step"] != 1).any() or PERSISTENCE not in by_model or len(by_model) < FEWEST:
        return None
    truth = rows.drop_duplicates("ds").set_index("ds")["y"].reindex(by_model.index).to_numpy(dtype=np.float64)
    last = by_model[PERSISTENCE].to_numpy(dtype=np.float64)
    models = [str(name) for name in by_model if name != PERSISTENCE and np.isfinite(by_model[name]).all()]
    if not (np.minimum(truth, last) > 0).all() or not models:
        return None
    positions = {(HOLD, "", HOLD): np.ones(len(truth))}
    for name in models:
        sign = np.sign(by_model[name].to_numpy(dtype=np.float64) - last)
        positions[f"{name}, {LONG_FLAT}", name, LONG_FLAT] = np.maximum(sign, 0.0)
        positions[f"{name}, {LONG_SHORT}", name, LONG_SHORT] = sign
    held = np.stack(list(positions.values()), axis=1)  # (n, S)
    traded = np.abs(np.diff(held, axis=0, prepend=0.0))
    net = held * (truth / last - 1)[:, None] - cost_bps / 1e4 * traded
    table = pd.DataFrame(list(positions), columns=["strategy", "model", "rule"])
    per_year = steps_a_year(by_model.index)
    table = table.assign(
        yearly=per_year * net.mean(axis=0),
        sharpe=math.sqrt(per_year) * _sharpe(net.mean(axis=0), np.square(net).mean(axis=0)),
        drawdown=_drawdown(net),
        turnover=per_year * traded.mean(axis=0),
    )
    wealth = pd.DataFrame(np.cumprod(1 + net, axis=0), index=by_model.index, columns=table["strategy"])
    return EconomicValue(_tested(table, net, per_year, seed), wealth)


def steps_a_year(times: pd.Index) -> float:
    """Return how many steps a year has, by the dates of the steps; 252 where time is a number."""
    if not isinstance(times, pd.DatetimeIndex):
        return float(TRADED)
    years = (times[-1] - times[0]).total_seconds() / 86400 / DAYS
    return (len(times) - 1) / years


def verdict_on(table: pd.DataFrame) -> str:
    """Say in one sentence whether any strategy is distinguishable from buy-and-hold."""
    own = table[table["rule"] != HOLD]
    better = own.loc[own["verdict"] == "better", "strategy"]
    worse = int((own["verdict"] == "worse").sum())
    if not len(better) and not worse:
        return "no strategy here is distinguishable from buy-and-hold"
    told = f"{', '.join(better)} {'has' if len(better) == 1 else 'have'} a higher Sharpe ratio than buy-and-hold"
    if not len(better):
        told = "no strategy here is better than buy-and-hold"
    return f"{told}; {worse} of {len(own)} {'is' if worse == 1 else 'are'} worse" if worse else told


def _sharpe(mean: FloatArray, square: FloatArray) -> FloatArray:
    """Return mean over standard deviation; 0 where nothing was ever held."""
    deviation = np.sqrt(np.maximum(square - mean**2, 0.0))
    return np.divide(mean, deviation, out=np.zeros_like(mean), where=deviation > 0)


def _drawdown(net: FloatArray) -> FloatArray:
    """Return the largest fall of wealth from a peak before it ``(S,)`` [fraction]."""
    wealth = np.vstack([np.ones(net.shape[1]), np.cumprod(1 + net, axis=0)])
    return (1 - wealth / np.maximum.accumulate(wealth, axis=0)).max(axis=0)


def _tested(table: pd.DataFrame, net: FloatArray, per_year: float, seed: int) -> pd.DataFrame:
    """Add how the Sharpe ratio of each strategy differs from that of buy-and-hold, the first row."""
    drawn = circular_blocks(len(net), block_length(net - net[:, :1], 1), REPLICATIONS, seed)  # (R, n)
    sharpe = math.sqrt(per_year) * _sharpe(drawn @ net / len(net), drawn @ np.square(net) / len(net))  # (R, S)
    differences = sharpe - sharpe[:, :1]
    low, high = np.quantile(differences, [LEVEL / 2, 1 - LEVEL / 2], axis=0)
    below = np.minimum((differences <= 0).mean(axis=0), (differences >= 0).mean(axis=0))
    p = pd.Series(np.minimum(2 * np.maximum(below, 1 / REPLICATIONS), 1.0))
    p[0] = low[0] = high[0] = np.nan
    difference = table["sharpe"] - table["sharpe"][0]
    corrected = holm(p)
    verdict = [word(-gained, own) for gained, own in zip(difference, corrected, strict=True)]
    verdict[0] = "reference"
    return table.assign(difference=difference, low=low, high=high, p_corrected=corrected, verdict=verdict)


def circular_blocks(n: int, block: int, replications: int, seed: int) -> FloatArray:
    """Return ``(R, n)``: how often each of n steps is drawn, in blocks that go on from the end at the beginning."""
    rng = np.random.default_rng(seed)
    n_blocks = math.ceil(n / block)
    starts = rng.integers(n, size=(replications, n_blocks))
    counts = np.empty((replications, n))
    for number, begin in enumerate(starts):
        steps = (begin[:, None] + np.arange(block)).ravel()[:n] % n
        counts[number] = np.bincount(steps, minlength=n)
    return counts
