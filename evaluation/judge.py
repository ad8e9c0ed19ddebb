"""From forecasts to the rows of a result table."""

from collections.abc import Collection, Mapping
from typing import NamedTuple

import pandas as pd

from evaluation.metrics import remarks, scores, scores_by_step
from evaluation.significance import against_persistence


class Judgement(NamedTuple):
    """What can be said of a Forecasts table."""

    scores: pd.DataFrame
    """A row a model: the columns of ``scores`` and ``against_persistence``, and ``leaks`` (bool)."""
    steps: pd.DataFrame | None
    """A row a model and step: the columns of ``scores``; None if only one step is forecast."""
    notes: list[str]
    """Sentences to print under every table and figure of these numbers."""


def judge(forecasts: pd.DataFrame, scale: Mapping[str, float], leaking: Collection[str]) -> Judgement:
    """Score every model, test it against persistence and mark those that use the future.

    Parameters
    ----------
    forecasts : DataFrame
        The Forecasts table (see ``evaluation.metrics``).
    scale : mapping
        As of ``metrics.scores``.
    leaking : collection of str
        Labels of the models whose inputs depend on what comes after the origin.

    Raises
    ------
    ForecastsError
        If the table cannot be judged.
    """
    table = scores(forecasts, scale).merge(against_persistence(forecasts), on="model", validate="one_to_one")
    table["leaks"] = table["model"].isin(list(leaking))
    notes = [leak_note(model) for model in table.loc[table["leaks"], "model"]] + remarks(forecasts)
    steps = scores_by_step(forecasts, scale) if forecasts["step"].max() > 1 else None
    return Judgement(table, steps, notes)


def leak_note(model: str) -> str:
    """Say in one sentence that a model's numbers cannot be had in practice."""
    return (
        f"{model} USES THE FUTURE: the whole series, test included, was decomposed before it was split, "
        f"so its numbers cannot be had in practice."
    )
