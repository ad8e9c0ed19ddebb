"""The Forecasts table: one row a forecast, what it must hold, and what is put beside each row before it is scored.

========== =====================================================================
unique_id  name of the series or the cell
ds         time of the target
origin     time of the last value known
step       steps from the origin to the target, 1 .. H; 0 of a remaining life
model      label of the model
y, y_hat   the truth and its forecast, in the unit of the data
seed       of the training, where several trainings are told apart
fold       of the split, where there are several
========== =====================================================================

One model is the reference, the forecast anyone can make: the last value known (Persistence), or the mean life of
the training cells minus the age (Clock).  It covers every row.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from data.contracts import CELLS, REMAINING, Kind

PERSISTENCE, CLOCK = "Persistence", "Clock"
COLUMNS = ["unique_id", "ds", "origin", "step", "model", "y", "y_hat"]
TARGET = ["unique_id", "origin", "step"]  # names one row of the truth
FOLD, SEED = "fold", "seed"
THIRDS = ("early", "middle", "late")
MOST_NAMED = 10  # names a sentence lists


class ForecastsError(ValueError):
    """A Forecasts table that cannot be evaluated; the message says why."""


@dataclass(frozen=True)
class Question:
    """What a task forecasts, in facts that a run folder keeps, so that nothing which reads one knows a task by name.

    Parameters
    ----------
    kind : str
        One of ``data.contracts.KINDS``: which scores, tests and drawings make sense.
    noun : str
        What a title calls it, such as ``remaining life``; empty for the values of series themselves.
    group : str
        What has a ``unique_id``: ``series`` or ``cell``.
    reference : str
        What the reference forecast is, in words; empty where nothing is said of one that wins.
    decimals : int or None
        Most decimals of an error; None: as many as show four digits of the reference's.
    """

    kind: Kind
    noun: str = ""
    group: str = "series"
    reference: str = ""
    decimals: int | None = None


class Facts(NamedTuple):
    """What must be known beside the forecasts to score them."""

    question: Question
    reference: str
    """Label of the model that every other is measured against."""
    unit: str
    """Of ``y``."""
    naive_error: Mapping[str, float] = {}
    """Mean absolute change of each series over a season while training, or over one step where there is none, by
    which MASE divides; empty for cells."""
    lives: Mapping[str, float] = {}
    """Life of each cell of the data [cycles], also of those that are not tested; empty for series."""
    unscored: tuple[str, ...] = ()
    """Scores that mean nothing of this target, such as ``direction`` of a volatility."""
    deviation: Mapping[str, float] = {}
    """Standard deviation of each of several series while training, by which the scaled MSE divides; else empty."""
    notes: Sequence[str] = ()
    """What must be said of these facts under the table, a sentence each."""

    @property
    def longest_rul(self) -> float:
        """Longest remaining life in the data [cycles], 1133 of HNEI; errors are scaled to [0, 1] by it."""
        return max(self.lives.values(), default=np.nan) - 1


def naive_error(train: pd.DataFrame, season: int = 1, moves: bool = False) -> dict[str, float]:
    """Return the mean absolute error of the (seasonal) naive forecast on the training rows of each series.

    Parameters
    ----------
    train : DataFrame
        ``unique_id`` and ``y`` of the training rows, in time order.
    season : int
        Rows between a value and its naive forecast; 1: neighbours (Hyndman and Koehler, 2006).
    moves : bool
        Whether ``y`` is the change itself, of which anyone forecasts zero.
    """
    changes = train["y"].abs() if moves else train.groupby("unique_id", sort=False)["y"].diff(season).abs()
    means = changes.groupby(train["unique_id"], sort=False).mean()
    return {str(name): float(value) for name, value in means.items()}


def deviation(train: pd.DataFrame) -> dict[str, float]:
    """Return the standard deviation of the training rows of each series, as published benchmarks take it (ddof 0)."""
    found = train.groupby("unique_id", sort=False)["y"].std(ddof=0)
    return {str(name): float(value) for name, value in found.items()}


def enriched(forecasts: pd.DataFrame, facts: Facts) -> pd.DataFrame:
    """Check a Forecasts table and put beside each forecast what its scores need.

    Returns
    -------
    DataFrame
        The table with a new index and further columns:

        - ``reference``: forecast of the reference model; of persistence the last value known.
        - series: ``last``, the last value known, where persistence is among the models, else ``reference``.
        - series: ``naive_error`` and ``deviation`` of the series, NaN where not known or not above 0.
        - cells: ``life`` [cycles], and of a remaining life ``age`` [cycles], ``third`` of life (0, 1, 2),
          ``longest_rul``.

    Raises
    ------
    ForecastsError
        If it is no Forecasts table, holds a forecast twice, a truth that is not finite or two truths of one row, a
        cell whose life is not known, or the reference does not cover every row.
    """
    _check(forecasts, facts)
    rows = _beside(forecasts.reset_index(drop=True), facts.reference)
    if facts.question.kind in CELLS:
        life = life_of(rows, facts.lives)
        _check_lives(rows, life)
        if facts.question.kind != REMAINING:
            return rows.assign(life=life)
        age = life - rows["y"]
        return rows.assign(life=life, age=age, third=third_of(age, life), longest_rul=facts.longest_rul)
    own = rows.loc[rows["model"] == PERSISTENCE, [*TARGET, "y_hat"]].drop_duplicates(TARGET)
    if facts.reference == PERSISTENCE or own.empty:
        rows = rows.assign(last=rows["reference"])
    else:
        rows = rows.merge(own.rename(columns={"y_hat": "last"}), on=TARGET, how="left", validate="many_to_one")
    return rows.assign(
        naive_error=_of_series(rows, facts.naive_error),
        deviation=_of_series(rows, facts.deviation),
    )


def _of_series(rows: pd.DataFrame, values: Mapping[str, float]) -> "pd.Series[float]":
    """Return a number of the series of every row; NaN where it is not known or not above 0."""
    known = {name: value for name, value in values.items() if np.isfinite(value) and value > 0}
    return rows["unique_id"].astype(str).map(known).astype(np.float64)


def life_of(rows: pd.DataFrame, lives: Mapping[str, float]) -> "pd.Series[float]":
    """Return the life of the cell of every row [cycles]; NaN where it is not known."""
    known = {str(cell): float(life) for cell, life in lives.items()}
    return rows["unique_id"].astype(str).map(known).astype(np.float64)


def third_of(age: "pd.Series[float]", life: "pd.Series[float]") -> "pd.Series[int]":
    """Return the third of its true life a cell is in: 0 early, 1 middle, 2 late.

    This is the only definition of it.  The age is the life minus what remains, ``ds`` may count anything.
    """
    return (3 * age / life).floordiv(1).clip(0, 2).astype(np.int64)


def thirds(rows: pd.DataFrame, lives: Mapping[str, float]) -> "pd.Series[str]":
    """Call every row of a cell's life early, middle or late."""
    life = life_of(rows, lives)
    return third_of(life - rows["y"], life).map(dict(enumerate(THIRDS)))


def named(names: Sequence[Any]) -> str:
    """Return names as a sentence lists them: ten at most."""
    told = ", ".join(str(name) for name in names[:MOST_NAMED])
    return f"{told} and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else told


def where(rows: pd.DataFrame) -> str:
    """Return the first of some rows as a sentence names it."""
    return f"{rows['unique_id'].iloc[0]} at {date(rows['ds'].iloc[0])}"


def date(moment: object) -> str:
    """Return a date without its time, where that is midnight, and a step as it is."""
    plain = isinstance(moment, pd.Timestamp) and moment == moment.normalize()
    return str(moment.date()) if plain and isinstance(moment, pd.Timestamp) else str(moment)


def _check(forecasts: pd.DataFrame, facts: Facts) -> None:
    absent = [column for column in COLUMNS if column not in forecasts.columns]
    if absent:
        raise ForecastsError(f"The forecasts lack the column {', '.join(absent)}.")
    if forecasts.empty:
        raise ForecastsError("There are no forecasts to judge.")
    twice = forecasts.duplicated([*TARGET, "model", *(name for name in [SEED] if name in forecasts)])
    if twice.any():
        model = forecasts.loc[twice, "model"].iloc[0]
        raise ForecastsError(f"{where(forecasts[twice])} is forecast twice by {model}.")
    unknown = ~np.isfinite(forecasts["y"])
    if unknown.any():
        raise ForecastsError(f"The truth of {where(forecasts[unknown])} is not known; it cannot be judged.")
    if not (forecasts["model"] == facts.reference).any():
        raise ForecastsError(
            f"{facts.reference} is not among the forecasts ({named(list(forecasts['model'].unique()))}), and without "
            f"it no number can be read.  Add it to the baselines."
        )


def _beside(rows: pd.DataFrame, reference: str) -> pd.DataFrame:
    """Put the reference's forecast beside each row."""
    own = rows.loc[rows["model"] == reference, [*TARGET, "y", "y_hat"]].drop_duplicates(TARGET)
    own = own.rename(columns={"y": "its_truth", "y_hat": "reference"})
    rows = rows.merge(own, on=TARGET, how="left", validate="many_to_one")
    alone = ~np.isfinite(rows["reference"])
    if alone.any():
        raise ForecastsError(
            f"{reference} has no finite forecast for {where(rows[alone])}, so {rows.loc[alone, 'model'].iloc[0]} "
            f"cannot be judged there."
        )
    differs = rows["y"] != rows["its_truth"]
    if differs.any():
        raise ForecastsError(f"{where(rows[differs])} has two truths; all models must be judged by the same one.")
    return rows.drop(columns="its_truth")


def _check_lives(rows: pd.DataFrame, life: "pd.Series[float]") -> None:
    without = sorted(rows.loc[~(life > 0), "unique_id"].astype(str).unique())
    if without:
        raise ForecastsError(f"The life of {named(without)} is not known or not above 0; it cannot be judged.")
    odd = (rows["y"] < 0) | (rows["y"] > life)
    if odd.any():
        raise ForecastsError(
            f"The truth of {where(rows[odd])}, {rows.loc[odd, 'y'].iloc[0]:g} cycles, is no remaining life of a cell "
            f"that lives {life[odd].iloc[0]:g}."
        )
