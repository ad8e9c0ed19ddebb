"""What one candidate made of one fold with one seed."""

from collections.abc import Sequence
from typing import NamedTuple

import pandas as pd

ERRORS = "errors.parquet"
"""Errors of validation rows, by which predict.py restores forecasts to the unit users think in."""


class Outcome(NamedTuple):
    """All that evaluation ever sees of a work unit."""

    model: str
    """What tables call it."""
    fold: str
    forecasts: pd.DataFrame
    """Test rows: ``unique_id``, ``ds`` of the target, ``origin``, ``step``, ``model``, ``y``, ``y_hat``."""
    calibration: pd.DataFrame
    """The same of the validation rows, on which intervals are calibrated; empty where nothing is held out."""
    validation_mae: float | None
    """In the unit of ``y``; None where nothing is held out."""
    losses: list[dict[str, float]]
    """One record an epoch; empty for models that are not trained in epochs."""
    seed: int
    """Of weights, shuffling and sampling."""
    seconds: float
    """Wall time of fit and forecast."""
    learnt_from: str
    """Digest of the arrays the model was fitted on and chosen by; the audit makes them again and compares."""
    augmented: bool | None = None
    """Whether synthetic windows were kept, where they were on trial; else None."""
    weight: float | None = None
    """Share of the model in its forecasts, the rest being the reference's [fraction]; None: the model alone."""
    lookback: int | None = None
    """Steps it looks back upon, where it was given a choice; else None."""
    memory: float | None = None
    """Steps of the past over which its forecasts are averaged, where they are; else None."""
    members: dict[str, float] | None = None
    """Of a combination the weight of each model by its label; else None."""
    later: pd.DataFrame = pd.DataFrame()
    """Forecasts of test rows as if the record of their cell began later: as ``forecasts``, and how many cycles are
    hidden in ``start``; empty where that was not asked for."""

    @property
    def name(self) -> str:
        """What tells the work unit from all others of a run."""
        return f"{self.model}, {self.fold}, seed {self.seed}"


def averaged(outcomes: list[Outcome], name: str) -> pd.DataFrame:
    """Return one of the tables of all outcomes, such as ``forecasts``, with their mean where seeds differ."""
    table = by_seed(outcomes, name).drop(columns="seed")
    if len({outcome.seed for outcome in outcomes}) < 2 or table.empty:
        return table
    keys = ["model", "fold", "unique_id", "origin", "step", *(["start"] if "start" in table else [])]
    told = ["y_hat", *(column for column in table.columns if str(column).startswith("own_"))]
    mean = table.groupby(keys, sort=False)[told].transform(lambda forecast: forecast.mean(skipna=False))
    return table.assign(**{column: mean[column] for column in told}).drop_duplicates(keys, ignore_index=True)


def by_seed(outcomes: list[Outcome], name: str) -> pd.DataFrame:
    """Return the forecasts of all outcomes with the columns ``fold`` and ``seed``: every training by itself."""
    parts = [getattr(outcome, name).assign(fold=outcome.fold, seed=outcome.seed) for outcome in outcomes]
    return pd.concat(parts, ignore_index=True)


def of_last_fold(outcomes: list[Outcome], model: str) -> list[Outcome]:
    """Return what every seed of a model made of its last fold."""
    own = [outcome for outcome in outcomes if outcome.model == model]
    return [outcome for outcome in own if outcome.fold == own[-1].fold]


def best_simple(outcomes: list[Outcome], labels: Sequence[str]) -> str:
    """Return which of some models errs least on validation rows; empty where nothing is held out."""
    errors = {label: error for label in labels if (error := validation_mae(outcomes, label)) is not None}
    return min(errors, key=lambda label: errors[label]) if errors else ""


def validation_mae(outcomes: list[Outcome], model: str) -> float | None:
    """Return a model's mean absolute error on validation rows, averaged over folds and seeds."""
    held_out = [o.validation_mae for o in outcomes if o.model == model and o.validation_mae is not None]
    return sum(held_out) / len(held_out) if held_out else None
