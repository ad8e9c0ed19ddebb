"""How far forecasts are from the truth, next to the forecast anyone can make: nothing changes.

Everything is computed from the Forecasts table, one row a forecast:

========== =========================================================
unique_id  name of the series
ds         time of the target
origin     time of the last value known
step       steps from the origin to the target, 1 .. H
model      label of the model
y, y_hat   the truth and its forecast, in the unit of the data
========== =========================================================

Persistence is always one of the models.  Its forecast is the last value known, which is what
skill and direction are measured against.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from scipy.stats import binomtest
from sklearn.metrics import r2_score
from utilsforecast.losses import mae, mape, rmse

PERSISTENCE = "Persistence"
COLUMNS = ["unique_id", "ds", "origin", "step", "model", "y", "y_hat"]
TARGET = ["unique_id", "origin", "step"]  # names one row of the truth
SCORES = ["mae", "rmse", "mape", "r2", "mase", "skill", "direction", "direction_low", "direction_high"]
CONFIDENCE = 0.95  # of the interval around the direction


class ForecastsError(ValueError):
    """A Forecasts table that cannot be judged; the message says why."""


def scores(forecasts: pd.DataFrame, scale: Mapping[str, float]) -> pd.DataFrame:
    """Score every model over all its forecasts.

    Parameters
    ----------
    forecasts : DataFrame
        The Forecasts table.
    scale : mapping
        For each ``unique_id`` the mean absolute change from one step to the next over its
        training rows, as ``naive_scale`` returns; MASE divides errors by it (Hyndman and
        Koehler, 2006).

    Returns
    -------
    DataFrame
        A row a model, in the order of first appearance:

        - ``mae``, ``rmse`` [unit of y], ``mape`` [%] and ``r2``: equations 17 to 20 of paper 1.  With
          several series, R2 is against each series' own mean.  MAPE is NaN where a truth is 0.
        - ``mase``: 1 is the error of persistence one step ahead while training.
        - ``skill``: 1 - MAE / MAE of persistence on the same rows; above 0 is better than persistence.
        - ``direction``: share of moves from the last known value whose sign was forecast, with the
          exact binomial interval ``direction_low``, ``direction_high`` [fraction] over
          ``direction_n`` rows.  A row where nothing moves, or no move is forecast, does not count;
          persistence forecasts none, so its direction is NaN.
        - ``n``: number of forecasts.

        A model with a forecast that is not finite has no scores (NaN); ``remarks`` says so.

    Raises
    ------
    ForecastsError
        If the table is not one, persistence is missing, or a series has no scale.
    """
    rows = _with_last_value(forecasts, scale)
    groups = rows.groupby("model", sort=False)
    finite = rows[groups["y_hat"].transform(lambda forecast: np.isfinite(forecast).all())]
    table = pd.DataFrame({"n": groups.size()})
    table = table.join(_errors(finite)).join(_skill_and_direction(finite))
    table["direction_n"] = table["direction_n"].fillna(0).astype(np.int64)
    return table[[*SCORES, "direction_n", "n"]].rename_axis("model").reset_index()


def scores_by_step(forecasts: pd.DataFrame, scale: Mapping[str, float]) -> pd.DataFrame:
    """Score every model at every step of the horizon: the columns of ``scores`` behind ``step``."""
    parts = []
    for step, rows in forecasts.groupby("step"):
        part = scores(rows, scale)
        part.insert(1, "step", step)
        parts.append(part)
    return pd.concat(parts, ignore_index=True)


def naive_scale(train: pd.DataFrame) -> dict[str, float]:
    """Return the mean absolute change between neighbouring training rows of each series.

    Parameters
    ----------
    train : DataFrame
        ``unique_id`` and ``y`` of the training rows, in time order.
    """
    changes = train.groupby("unique_id", sort=False)["y"].diff().abs()
    means = changes.groupby(train["unique_id"], sort=False).mean()
    return {str(name): float(value) for name, value in means.items()}


def remarks(forecasts: pd.DataFrame) -> list[str]:
    """Return a sentence for every number that could not be computed or needs a warning."""
    sentences = []
    bad = forecasts[~np.isfinite(forecasts["y_hat"])]
    for model, rows in bad.groupby("model", sort=False):
        first = _date(rows["ds"].iloc[0])
        sentences.append(f"{model} is not scored: {len(rows)} of its forecasts are not finite, the first for {first}.")
    zeros = forecasts.loc[forecasts["y"] == 0, TARGET].drop_duplicates()
    if len(zeros):
        sentences.append(f"MAPE is undefined: the truth is 0 in {len(zeros)} rows.")
    if forecasts["step"].max() > 1:
        sentences.append("Directions of overlapping horizons are not independent: their intervals are too narrow.")
    return sentences


def checked(forecasts: pd.DataFrame) -> pd.DataFrame:
    """Return the columns of a Forecasts table with ``last``, the last value known, added to each row.

    Raises
    ------
    ForecastsError
        If it is not a Forecasts table, holds a forecast twice or a truth that is not finite, or
        persistence does not cover every row.
    """
    absent = [column for column in COLUMNS if column not in forecasts.columns]
    if absent:
        raise ForecastsError(f"The forecasts lack the column {', '.join(absent)}.")
    if forecasts.empty:
        raise ForecastsError("There are no forecasts to judge.")
    rows = forecasts[COLUMNS]
    twice = rows.duplicated([*TARGET, "model"])
    if twice.any():
        raise ForecastsError(f"{_name(rows[twice])} is forecast twice by {rows.loc[twice, 'model'].iloc[0]}.")
    unknown = ~np.isfinite(rows["y"])
    if unknown.any():
        raise ForecastsError(f"The truth of {_name(rows[unknown])} is not known; it cannot be judged.")
    naive = rows["model"] == PERSISTENCE
    if not naive.any():
        raise ForecastsError(
            f"{PERSISTENCE} is not among the forecasts ({', '.join(rows['model'].unique())}), and without it "
            f"no number can be read.  Add it to the baselines."
        )
    last = rows.loc[naive, [*TARGET, "y_hat"]].rename(columns={"y_hat": "last"})
    rows = rows.merge(last, on=TARGET, how="left", validate="many_to_one")
    alone = ~np.isfinite(rows["last"])
    if alone.any():
        raise ForecastsError(
            f"{PERSISTENCE} has no finite forecast for {_name(rows[alone])}, so "
            f"{rows.loc[alone, 'model'].iloc[0]} cannot be judged there."
        )
    return rows


def _with_last_value(forecasts: pd.DataFrame, scale: Mapping[str, float]) -> pd.DataFrame:
    """Check the table and put the last known value and the scale beside each forecast."""
    rows = checked(forecasts)
    names = [str(name) for name in rows["unique_id"].unique()]
    without = [name for name in names if not (np.isfinite(scale.get(name, np.nan)) and scale[name] > 0)]
    if without:
        raise ForecastsError(
            f"MASE needs a scale above 0 for every series; {', '.join(without)} has none.  "
            f"A series needs at least two different training values."
        )
    return rows.assign(scale=rows["unique_id"].map(dict(scale)))


def _errors(rows: pd.DataFrame) -> pd.DataFrame:
    """Return MAE, RMSE, MAPE, R2 and MASE of every model."""

    def over_models(loss: object, table: pd.DataFrame) -> pd.Series:
        return loss(table, ["y_hat"], id_col="model").set_index("model")["y_hat"]  # type: ignore[operator]

    scaled = rows.assign(y=rows["y"] / rows["scale"], y_hat=rows["y_hat"] / rows["scale"])
    hundred = rows.groupby("model", sort=False)["y"].agg(lambda y: np.nan if (y == 0).any() else 100.0)
    return pd.DataFrame(
        {
            "mae": over_models(mae, rows),
            "rmse": over_models(rmse, rows),
            "mape": over_models(mape, rows) * hundred,
            "mase": over_models(mae, scaled),
            "r2": {model: _r2(part) for model, part in rows.groupby("model", sort=False)},
        }
    )


def _r2(rows: pd.DataFrame) -> float:
    """Return the share of the variance around each series' own mean that is explained."""
    mean = rows.groupby("unique_id")["y"].transform("mean")
    if (rows["y"] == mean).all():
        return np.nan  # a single row, or a constant truth, has no variance
    return float(r2_score(rows["y"] - mean, rows["y_hat"] - mean))


def _skill_and_direction(rows: pd.DataFrame) -> pd.DataFrame:
    table = {}
    for model, part in rows.groupby("model", sort=False):
        naive = (part["y"] - part["last"]).abs().mean()
        error = (part["y"] - part["y_hat"]).abs().mean()
        table[model] = {"skill": 1 - error / naive if naive else np.nan, **_direction(part)}
    return pd.DataFrame.from_dict(table, orient="index")


def _direction(rows: pd.DataFrame) -> dict[str, float]:
    """Return the share of signs that were right and its exact interval."""
    truth = np.sign((rows["y"] - rows["last"]).to_numpy())
    forecast = np.sign((rows["y_hat"] - rows["last"]).to_numpy())
    moved = (truth != 0) & (forecast != 0)
    n = int(moved.sum())
    if n == 0:
        return {"direction": np.nan, "direction_low": np.nan, "direction_high": np.nan, "direction_n": 0}
    hits = int((truth == forecast)[moved].sum())
    interval = binomtest(hits, n).proportion_ci(CONFIDENCE, method="exact")
    return {
        "direction": hits / n,
        "direction_low": float(interval.low),
        "direction_high": float(interval.high),
        "direction_n": n,
    }


def _name(rows: pd.DataFrame) -> str:
    first = rows.iloc[0]
    return f"{first['unique_id']} at {_date(first['ds'])}"


def _date(date: object) -> str:
    return str(date.date()) if isinstance(date, pd.Timestamp) and date == date.normalize() else str(date)
