"""Every metric, once: its row statistic, how rows become one number, its unit, which end is better, how it is shown.

A metric is one entry of ``SCORES``.  Tables, steps, thirds of life, seeds, the bootstrap, the comparison and the page
all read it, so that adding one is an edit of this file alone::

    Score("medae", "MedAE", LOWEST, absolute_error, over=np.median, unit="y", hint="median absolute error")

Shapes
------
n row, k statistic, G group or resample
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from data.contracts import CELLS, KINDS, REMAINING, SERIES, TOTAL, FloatArray, IntArray, Kind

Best = Literal["lowest", "highest", "zero", "neither"]
LOWEST: Best = "lowest"
HIGHEST: Best = "highest"
ZERO: Best = "zero"
NEITHER: Best = "neither"
CONFIDENCE = 0.95  # of intervals around a score
WITHIN = 0.15  # of the truth, of BatteryLife's accuracy
CONE = 0.2  # alpha: of the truth, around it
HALFWAY = 0.5  # lambda: fraction of life at which cells are asked
NEAR = 0.01  # [fraction of life] that a forecast may lie away from it
DEAD = 0.5  # [cycles] a forecast below rounds to no life left


def first(means: FloatArray, counts: FloatArray) -> FloatArray:
    """Return the mean of the first statistic, ``(G,)``."""
    value: FloatArray = means[..., 0]
    return value


@dataclass(frozen=True)
class Means:
    """Aggregate rows by a function of the means of their statistics, for any group or resample at once.

    Parameters
    ----------
    of : callable
        Maps the means ``(G, k)`` over the rows that count, and how many these are ``(G, k)``, to ``(G,)``.
    """

    of: Callable[[FloatArray, FloatArray], FloatArray] = first


MEAN = Means()


@dataclass(frozen=True)
class Score:
    """A metric: row statistic + aggregation + sign + what it needs.

    Parameters
    ----------
    name : str
        Column of ``scores``; each kind of target may have its own of that name.
    title : str
        As a table heads it.
    best : str
        Which end is good: ``lowest``, ``highest``, ``zero``, or ``neither`` of what only explains another score.
    row : callable
        Maps enriched rows (see ``rows.enriched``, and ``group``, an integer code of the group of each) to
        statistics ``(n,)`` or ``(n, k)``: NaN in a row that does not count, infinite where the score is undefined.
    over : Means or callable
        How the statistics of a group become one number.  A callable maps those of the rows that count, ``(m, k)``,
        to a float; ``Means`` is faster, and has bootstrap intervals.
    unit : str
        ``y`` for the unit of the data, else the unit itself; empty for a fraction.
    decimals : int or None
        None: as many as show four digits of the reference's MAE.
    percent : bool
        Whether the number is a fraction that is shown in percent.
    kinds : tuple of str
        Kinds of targets it is for (see ``data.contracts.Kind``).
    whole : bool
        Whether it is a statement on whole cells, of which there are no thirds.
    column : bool
        Whether it has a column of its own in a result table.
    bounded : bool
        Whether the result table keeps the ends of its bootstrap interval.
    hint : str
        What it is, as a heading explains it.
    undefined : str
        Why it may not exist.
    """

    name: str
    title: str
    best: Best
    row: Callable[[pd.DataFrame], FloatArray]
    over: Means | Callable[[FloatArray], float] = MEAN
    unit: str = ""
    decimals: int | None = None
    percent: bool = False
    kinds: tuple[Kind, ...] = KINDS
    whole: bool = False
    column: bool = True
    bounded: bool = False
    hint: str = ""
    undefined: str = ""


def scores_of(kind: Kind) -> list[Score]:
    """Return the metrics of a kind of target, in the order of its tables."""
    return [score for score in SCORES if kind in score.kinds]


def meaningful(scores: Sequence[Score], unscored: Sequence[str]) -> list[Score]:
    """Return the metrics that mean something: not those named, nor what explains them, such as ``direction_low``."""
    return [s for s in scores if not any(s.name == name or s.name.startswith(f"{name}_") for name in unscored)]


def aggregate(rows: pd.DataFrame, scores: Sequence[Score], by: Sequence[str]) -> pd.DataFrame:
    """Score every group of rows: by model, model and step, model and cell, ...

    Parameters
    ----------
    rows : DataFrame
        As ``rows.enriched`` returns them.
    scores : sequence of Score
    by : sequence of str
        Columns whose values make a group.

    Returns
    -------
    DataFrame
        A row a group: ``by``, a column a score and ``n``, the number of forecasts.  Models are in the order of
        first appearance, so are cells; steps, thirds and seeds ascend.  NaN where a score is undefined, and
        everywhere in a group with a forecast that is not finite.
    """
    grouped = rows.groupby(list(by), sort=False)
    rows = rows.assign(group=grouped.ngroup())
    code, n_groups = rows["group"].to_numpy(), grouped.ngroups
    table = grouped.size().rename("n").reset_index()
    whole = np.bincount(code, weights=~np.isfinite(rows["y_hat"].to_numpy(dtype=np.float64)), minlength=n_groups) == 0
    values = {score.name: np.where(whole, _of_groups(rows, score, code, n_groups), np.nan) for score in scores}
    table = pd.concat([table[list(by)], pd.DataFrame(values), table["n"]], axis=1)
    places = [_place(table[column]) for column in by]
    return table.iloc[np.lexsort(places[::-1])].reset_index(drop=True)


def statistics(rows: pd.DataFrame, score: Score) -> FloatArray:
    """Return the row statistics of a score ``(n, k)``."""
    with np.errstate(all="ignore"):
        return np.asarray(score.row(rows), dtype=np.float64).reshape(len(rows), -1)


def sums_over(found: FloatArray, code: IntArray, n_groups: int) -> tuple[FloatArray, FloatArray]:
    """Return the sums of statistics ``(n, k)`` over the rows of each group that count, and how many these are.

    Both are ``(G, k)``.
    """
    counting = ~np.isnan(found)
    sums = [np.bincount(code, column, n_groups) for column in np.where(counting, found, 0.0).T]
    counts = [np.bincount(code, column, n_groups) for column in counting.astype(np.float64).T]
    return np.stack(sums, axis=1), np.stack(counts, axis=1)


def from_means(over: Means, sums: FloatArray, counts: FloatArray) -> FloatArray:
    """Return a score ``(G,)`` from the sums of its statistics over the rows that count; NaN where it is undefined."""
    with np.errstate(all="ignore"):
        value = over.of(sums / counts, counts)
    return np.where(np.isfinite(value), value, np.nan)


def _of_groups(rows: pd.DataFrame, score: Score, code: IntArray, n_groups: int) -> FloatArray:
    """Return the score of every group, ``(G,)``."""
    found = statistics(rows, score)
    if isinstance(score.over, Means):
        return from_means(score.over, *sums_over(found, code, n_groups))
    counting = np.asarray(~np.isnan(found).any(axis=1))
    value = np.full(n_groups, np.nan)
    for group, own in enumerate(np.split(np.argsort(code, kind="stable"), np.cumsum(np.bincount(code))[:-1])):
        kept = found[own][counting[own]]
        with np.errstate(all="ignore"):
            value[group] = score.over(kept) if len(kept) else np.nan
    return np.where(np.isfinite(value), value, np.nan)


def _place(values: pd.Series) -> IntArray:
    """Return the rank of each value: of numbers by size, of names by first appearance."""
    return pd.factorize(values, sort=pd.api.types.is_numeric_dtype(values))[0]


# --- statistics of rows -------------------------------------------------------------------------------------------


def error(rows: pd.DataFrame) -> FloatArray:
    """Return forecast minus truth."""
    return (rows["y_hat"] - rows["y"]).to_numpy(dtype=np.float64)


def absolute_error(rows: pd.DataFrame) -> FloatArray:
    """Return the distance of the forecast from the truth."""
    return np.abs(error(rows))


def squared_error(rows: pd.DataFrame) -> FloatArray:
    """Return the squared error."""
    return np.square(error(rows))


def percentage_error(rows: pd.DataFrame) -> FloatArray:
    """Return the absolute error over the truth [%], infinite where that is 0."""
    y = np.abs(rows["y"].to_numpy(dtype=np.float64))
    return np.where(y > 0, 100 * absolute_error(rows) / y, np.inf)


def percentage_error_alive(rows: pd.DataFrame) -> FloatArray:
    """Return the absolute error over the remaining life [%]; a row without life left does not count."""
    return np.where(rows["y"] > 0, percentage_error(rows), np.nan)


def squares_about_each_series(rows: pd.DataFrame) -> FloatArray:
    """Return the squared error, and the truth about its series' mean and squared ``(n, 3)``."""
    centred = _centred(rows["y"], [rows["group"], rows["unique_id"]])
    return np.stack([squared_error(rows), centred, centred**2], axis=1)


def squares_about_all(rows: pd.DataFrame) -> FloatArray:
    """Return the squared error, and the truth about the mean of all rows and squared ``(n, 3)``."""
    centred = _centred(rows["y"], [rows["group"]])
    return np.stack([squared_error(rows), centred, centred**2], axis=1)


def against_reference(rows: pd.DataFrame) -> FloatArray:
    """Return the absolute errors of the forecast and of the reference ``(n, 2)``."""
    return np.stack([absolute_error(rows), np.abs((rows["y"] - rows["reference"]).to_numpy())], axis=1)


def scaled_error(rows: pd.DataFrame) -> FloatArray:
    """Return the absolute error over the naive error of the series, infinite where there is none."""
    scale = rows["naive_error"].to_numpy(dtype=np.float64)
    return np.where(scale > 0, absolute_error(rows) / scale, np.inf)


def quasi_likelihood(rows: pd.DataFrame) -> FloatArray:
    """Return q - log q - 1 of q, the variance over its forecast; NaN where the target is no volatility."""
    if "variance" not in rows or "variance_hat" not in rows:
        return np.full(len(rows), np.nan)
    ratio = rows["variance"].to_numpy(dtype=np.float64) / rows["variance_hat"].to_numpy(dtype=np.float64)
    return ratio - np.log(ratio) - 1


def sign_was_right(rows: pd.DataFrame) -> FloatArray:
    """Return 1 or 0 for the sign of the move from the last known value; NaN where nothing moves or no move is said."""
    truth = np.sign((rows["y"] - rows["last"]).to_numpy())
    forecast = np.sign((rows["y_hat"] - rows["last"]).to_numpy())
    return np.where((truth != 0) & (forecast != 0), truth == forecast, np.nan)


def near_the_truth(rows: pd.DataFrame) -> FloatArray:
    """Return 1 where the forecast is within 15 % of the truth; a row without life left must be forecast exactly."""
    return (absolute_error(rows) <= WITHIN * rows["y"].to_numpy()).astype(np.float64)


def error_over_longest(rows: pd.DataFrame) -> FloatArray:
    """Return the error as a fraction of the longest remaining life, infinite where that is not above 0."""
    return np.where(rows["longest_rul"] > 0, error(rows) / rows["longest_rul"].to_numpy(), np.inf)


def in_cone(rows: pd.DataFrame, fraction: float) -> FloatArray:
    """Return 1 or 0 in the row nearest to a fraction of each cell's life: whether it is within 20 % of the truth.

    NaN elsewhere, and where no row is so near (1 % of the life); of two that are equally near the earlier is asked.
    """
    order = rows.sort_values(["age", "ds"], kind="stable")
    away = (order["age"] - fraction * order["life"]).abs()
    asked = away.groupby([order[name] for name in _cell(rows)], sort=False).idxmin()
    nearest = rows.index.get_indexer(pd.Index(asked))
    reach = np.maximum(NEAR * rows["life"].to_numpy()[nearest], 1.0)
    nearest = nearest[(rows["age"] - fraction * rows["life"]).abs().to_numpy()[nearest] <= reach]
    hits = np.full(len(rows), np.nan)
    hits[nearest] = (absolute_error(rows) <= CONE * rows["y"].to_numpy())[nearest]
    return hits


def end_of_life_error(rows: pd.DataFrame) -> FloatArray:
    """Return how much too late the end of life is forecast [cycles], in the row that forecasts it; NaN elsewhere.

    That is the row in which a model first says that less than half a cycle is left: its age plus what it says, which
    is not below 0.  One false alarm early in life therefore counts in full.  If it never says so, the end is read
    from its last forecast.
    """
    at = _forecasts_the_end(rows)
    said = np.maximum(rows["y_hat"].to_numpy(dtype=np.float64), 0.0)
    return np.where(at, rows["age"].to_numpy() + said - rows["life"].to_numpy(), np.nan)


def end_was_seen(rows: pd.DataFrame) -> FloatArray:
    """Return 1 or 0 in the row that forecasts the end of life: whether it says that the end has come; NaN elsewhere."""
    return np.where(_forecasts_the_end(rows), rows["y_hat"] < DEAD, np.nan)


def quantile_loss(rows: pd.DataFrame) -> FloatArray:
    """Return the CRPS of the quantiles that the intervals and the forecast make; NaN where a bound is missing."""
    from evaluation.intervals.bounds import bounded_levels
    from evaluation.intervals.scores import crps

    return crps(rows, bounded_levels(rows))


def _forecasts_the_end(rows: pd.DataFrame) -> NDArray[np.bool_]:
    """Mark the one row of each model and cell from which its end of life is read."""
    order = rows.sort_values(["age", "ds"], kind="stable")
    keys = [order[name] for name in _cell(rows)]
    place = pd.Series(np.arange(len(order)), index=order.index)
    first_said = place.where(order["y_hat"] < DEAD).groupby(keys, sort=False).min()
    last = place.groupby(keys, sort=False).max()
    marked = np.zeros(len(rows), dtype=bool)
    marked[rows.index.get_indexer(order.index[first_said.fillna(last).to_numpy(dtype=np.int64)])] = True
    return marked


def _cell(rows: pd.DataFrame) -> list[str]:
    """Return the columns that name one life as one model forecasts it."""
    return [name for name in ("seed", "model", "unique_id") if name in rows]


def _centred(y: "pd.Series[float]", groups: list[pd.Series]) -> FloatArray:
    """Return the truth less the mean of its group: exactly 0 where it never changes."""
    moved = y - y.groupby(groups).transform("first")
    return (moved - moved.groupby(groups).transform("mean")).to_numpy(dtype=np.float64)


# --- how rows become one number -----------------------------------------------------------------------------------


def root(means: FloatArray, counts: FloatArray) -> FloatArray:
    """Return the root of the mean square."""
    return np.sqrt(first(means, counts))


def explained(means: FloatArray, counts: FloatArray) -> FloatArray:
    """Return one minus the mean square over the variance of the truth, where it varies."""
    variance = means[..., 2] - means[..., 1] ** 2
    return 1 - means[..., 0] / np.where(variance > 0, variance, np.nan)


def gain(means: FloatArray, counts: FloatArray) -> FloatArray:
    """Return one minus the error over that of the reference, where that has one."""
    return 1 - means[..., 0] / np.where(means[..., 1] > 0, means[..., 1], np.nan)


def lower_bound(means: FloatArray, counts: FloatArray) -> FloatArray:
    """Return the lower end of Clopper and Pearson's exact interval of a share."""
    from scipy.stats import beta

    hits, n = np.round(means[..., 0] * counts[..., 0]), counts[..., 0]
    return np.where(n == 0, np.nan, np.where(hits == 0, 0.0, beta.ppf((1 - CONFIDENCE) / 2, hits, n - hits + 1)))


def upper_bound(means: FloatArray, counts: FloatArray) -> FloatArray:
    """Return the upper end of Clopper and Pearson's exact interval of a share."""
    from scipy.stats import beta

    hits, n = np.round(means[..., 0] * counts[..., 0]), counts[..., 0]
    return np.where(n == 0, np.nan, np.where(hits == n, 1.0, beta.ppf((1 + CONFIDENCE) / 2, hits + 1, n - hits)))


def how_many(means: FloatArray, counts: FloatArray) -> FloatArray:
    """Return how many rows count."""
    return counts[..., 0]


ROOT, EXPLAINED = Means(root), Means(explained)

SCORES: tuple[Score, ...] = (
    Score("mae", "MAE", LOWEST, absolute_error, unit="y", bounded=True, hint="mean absolute error"),
    Score("rmse", "RMSE", LOWEST, squared_error, ROOT, unit="y", bounded=True, hint="root of the mean squared error"),
    Score(
        name="mae_scaled",
        title="MAE scaled",
        best=LOWEST,
        row=lambda rows: np.abs(error_over_longest(rows)),
        decimals=4,
        kinds=(REMAINING,),
        hint="MAE as a fraction of the longest remaining life in the data",
        undefined="no cell lives on after its first row",
    ),
    Score(
        name="rmse_scaled",
        title="RMSE scaled",
        best=LOWEST,
        row=lambda rows: np.square(error_over_longest(rows)),
        over=ROOT,
        decimals=4,
        kinds=(REMAINING,),
        hint="RMSE as a fraction of the longest remaining life in the data",
        undefined="no cell lives on after its first row",
    ),
    Score(
        name="mse_scaled",
        title="MSE scaled²",
        best=LOWEST,
        row=lambda rows: np.square(error_over_longest(rows)),
        decimals=5,
        kinds=(REMAINING,),
        column=False,
        hint="mean squared error as a fraction of the squared longest remaining life, as paper 2 publishes it",
    ),
    Score(
        name="mape",
        title="MAPE %",
        unit="%",
        best=LOWEST,
        row=percentage_error,
        decimals=3,
        kinds=(SERIES,),
        hint="mean absolute percentage error; undefined where a truth is 0",
    ),
    Score(
        name="r2",
        title="R²",
        best=HIGHEST,
        row=squares_about_each_series,
        over=EXPLAINED,
        decimals=4,
        kinds=(SERIES,),
        hint="explained share of the variance of the level about each series' own mean",
        undefined="the truth does not vary",
    ),
    Score(
        name="r2",
        title="R²",
        best=HIGHEST,
        row=squares_about_all,
        over=EXPLAINED,
        decimals=4,
        kinds=CELLS,
        hint="explained share of the variance of the lives about the mean of all rows",
        undefined="the truth does not vary",
    ),
    Score(
        name="mape",
        title="MAPE %",
        unit="%",
        best=LOWEST,
        row=percentage_error_alive,
        decimals=1,
        kinds=(REMAINING,),
        hint="mean absolute percentage error of the rows with life left; the last cycles weigh most",
        undefined="no row has life left",
    ),
    Score(
        name="mape",
        title="MAPE %",
        unit="%",
        best=LOWEST,
        row=percentage_error,
        decimals=1,
        kinds=(TOTAL,),
        hint="mean absolute percentage error of the life over cells (Severson et al., 2019)",
    ),
    Score(
        name="mase",
        title="MASE",
        best=LOWEST,
        row=scaled_error,
        decimals=3,
        kinds=(SERIES,),
        bounded=True,
        hint="1 is the error of the naive forecast while training: of persistence one step ahead or, where there is a "
        "season, of the seasonal one (Hyndman and Koehler, 2006)",
    ),
    Score(
        name="mse_standardised",
        title="MSE/σ²",
        best=LOWEST,
        row=lambda rows: squared_error(rows) / np.square(rows["deviation"].to_numpy(dtype=np.float64)),
        decimals=4,
        kinds=(SERIES,),
        hint="mean squared error of series scaled by their training deviation, as benchmarks of many series publish it",
    ),
    Score(
        name="qlike",
        title="QLIKE",
        best=LOWEST,
        row=quasi_likelihood,
        decimals=3,
        kinds=(SERIES,),
        hint="q - log q - 1 of q = variance / forecast; too low costs more than too high (Patton, 2011)",
    ),
    Score(
        name="skill",
        title="skill",
        best=HIGHEST,
        row=against_reference,
        over=Means(gain),
        decimals=3,
        kinds=(SERIES,),
        bounded=True,
        hint="1 - MAE / MAE of the reference on the same rows; above 0 is better",
        undefined="the reference makes no error",
    ),
    Score(
        name="direction",
        title="up/down %",
        best=HIGHEST,
        row=sign_was_right,
        decimals=1,
        percent=True,
        kinds=(SERIES,),
        hint="share of moves from the last known value whose sign was forecast, with its 95 % interval",
    ),
    Score(
        name="direction_low",
        title="up/down %, lower end of its interval",
        best=NEITHER,
        row=sign_was_right,
        over=Means(lower_bound),
        decimals=0,
        percent=True,
        kinds=(SERIES,),
        column=False,
    ),
    Score(
        name="direction_high",
        title="up/down %, upper end of its interval",
        best=NEITHER,
        row=sign_was_right,
        over=Means(upper_bound),
        decimals=0,
        percent=True,
        kinds=(SERIES,),
        column=False,
    ),
    Score("direction_n", "moves", NEITHER, sign_was_right, Means(how_many), "rows", 0, kinds=(SERIES,), column=False),
    Score(
        name="accuracy_15",
        title="±15 %",
        best=HIGHEST,
        row=near_the_truth,
        decimals=1,
        percent=True,
        kinds=CELLS,
        hint="share of forecasts within 15 % of the truth (BatteryLife, Tan et al., 2025)",
    ),
    Score(
        name="alpha_lambda",
        title="α-λ %",
        best=HIGHEST,
        row=lambda rows: in_cone(rows, HALFWAY),
        decimals=0,
        percent=True,
        kinds=(REMAINING,),
        whole=True,
        hint="share of cells within 20 % of the truth at half their life (Saxena et al., 2010)",
    ),
    Score(
        name="eol_mae",
        title="end of life",
        unit="y",
        best=LOWEST,
        row=lambda rows: np.abs(end_of_life_error(rows)),
        decimals=1,
        kinds=(REMAINING,),
        whole=True,
        hint="mean absolute error of the forecast end of life over cells",
    ),
    Score(
        name="eol_bias",
        title="end of life, bias",
        unit="y",
        best=ZERO,
        row=end_of_life_error,
        decimals=1,
        kinds=(REMAINING,),
        whole=True,
        column=False,
        hint="mean error of the forecast end of life over cells; above 0 is too late",
    ),
    Score(
        name="eol_seen",
        title="end of life, seen",
        best=NEITHER,
        row=end_was_seen,
        decimals=0,
        percent=True,
        kinds=(REMAINING,),
        whole=True,
        column=False,
        hint="share of cells of which a model ever forecasts less than half a cycle",
    ),
    Score(
        "bias",
        "bias",
        ZERO,
        error,
        unit="y",
        kinds=CELLS,
        column=False,
        hint="forecast minus truth; above 0 is too late",
    ),
    Score("crps", "CRPS", LOWEST, quantile_loss, unit="y", column=False, hint="continuous ranked probability score"),
)
"""All metrics.  Published definitions: MAE, RMSE, MAPE and R2 are equations 17 to 20 of paper 1."""
