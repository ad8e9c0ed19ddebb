"""From forecasts to the rows of a result table."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from evaluation.inference.bootstrap import metric_intervals
from evaluation.inference.model_confidence_set import model_confidence_set, superior_predictive_ability
from evaluation.inference.significance import against_persistence, direction, pairwise
from evaluation.intervals.scoring import coverage
from evaluation.leakage.prove import Audit
from evaluation.metrics import remarks, scores, scores_by_step

BOUNDED = ["mae", "rmse", "mase", "skill"]  # metrics whose bootstrap interval a row keeps


class Judgement(NamedTuple):
    """What can be said of a Forecasts table."""

    scores: pd.DataFrame
    """A row a model: the columns of ``scores`` and ``against_persistence``; ``leaks`` (bool); ``p_mcs`` and
    ``in_mcs`` of the model confidence set; ``p_direction`` of Pesaran and Timmermann; the ends of 95 %
    bootstrap intervals, ``mae_low`` and so on; ``n_seeds``, ``seed_mae`` and ``seed_mae_std``, the MAE of
    single trainings."""
    steps: pd.DataFrame | None
    """A row a model and step: the columns of ``scores``; None if only one step is forecast."""
    coverage: pd.DataFrame | None
    """As ``scoring.interval_scores`` returns it, overall and by year; None without intervals."""
    pairwise: pd.DataFrame
    """As ``significance.pairwise`` returns it."""
    notes: list[str]
    """Sentences to print under every table and figure of these numbers."""
    tests: list[str]
    """What tests over the whole table say, a sentence each; of no use beside other tables."""


def judge(
    forecasts: pd.DataFrame,
    scale: Mapping[str, float],
    leaking: Collection[str],
    audit: Audit | None = None,
    seeds: Sequence[Mapping[str, Any]] = (),
) -> Judgement:
    """Score every model, test it against persistence and mark those that use the future.

    Parameters
    ----------
    forecasts : DataFrame
        The Forecasts table (see ``evaluation.metrics``).
    scale : mapping
        As of ``metrics.scores``.
    leaking : collection of str
        Labels of the models whose inputs depend on what comes after the origin.
    audit : Audit or None
        What says so.
    seeds : sequence of mapping
        ``model``, ``seed``, ``mae`` and ``rmse`` of each training by itself.

    Raises
    ------
    ForecastsError
        If the table cannot be judged.
    """
    table = scores(forecasts, scale).merge(against_persistence(forecasts), on="model", validate="one_to_one")
    table["leaks"] = table["model"].isin(list(leaking))
    members = model_confidence_set(forecasts, leaking).rename(columns={"in_set": "in_mcs"})
    table = table.merge(members, on="model", how="left", validate="one_to_one")
    table = table.merge(_bounds(forecasts, scale), on="model", how="left", validate="one_to_one")
    table = table.merge(_directions(forecasts), on="model", how="left", validate="one_to_one")
    table = table.merge(_over_seeds(table["model"], seeds), on="model", how="left", validate="one_to_one")
    notes = [leak_note(model, audit) for model in table.loc[table["leaks"], "model"]] + remarks(forecasts)
    tests = _of_the_set(table) + _of_spa(superior_predictive_ability(forecasts, leaking))
    steps = scores_by_step(forecasts, scale) if forecasts["step"].max() > 1 else None
    return Judgement(table, steps, coverage(forecasts, "year"), pairwise(forecasts), notes, tests)


def leak_note(model: str, audit: Audit | None = None) -> str:
    """Say in one sentence that a model's numbers cannot be had in practice."""
    if audit is not None and audit.causes:
        cause = audit.causes[0]
        return f"{model} USES THE FUTURE ({cause.stage}: {cause.detail}), so its numbers cannot be had in practice."
    return (
        f"{model} USES THE FUTURE: the whole series, test included, was decomposed before it was split, "
        f"so its numbers cannot be had in practice."
    )


def _bounds(forecasts: pd.DataFrame, scale: Mapping[str, float]) -> pd.DataFrame:
    found = metric_intervals(forecasts, scale, "time").set_index("model")
    bounds = {
        f"{metric}_{end}": found.loc[found["metric"] == metric, end] for metric in BOUNDED for end in ("low", "high")
    }
    return pd.DataFrame(bounds).rename_axis("model").reset_index()


def _directions(forecasts: pd.DataFrame) -> pd.DataFrame:
    """Return the p-value of each model's directions, the least favourable where there are several series."""
    p = direction(forecasts).groupby("model", sort=False)["p_corrected"].max()
    return pd.DataFrame({"p_direction": p}).reset_index()


def _over_seeds(models: "pd.Series[str]", seeds: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    rows = pd.DataFrame(list(seeds), columns=["model", "seed", "mae", "rmse"]).groupby("model")["mae"]
    found = pd.DataFrame({"n_seeds": rows.size(), "seed_mae": rows.mean(), "seed_mae_std": rows.std(ddof=1)})
    return found.reindex(models).fillna({"n_seeds": 1}).astype({"n_seeds": np.int64}).rename_axis("model").reset_index()


def _of_the_set(table: pd.DataFrame) -> list[str]:
    """Say which models cannot be told from the best."""
    members = table.loc[table["in_mcs"].astype(bool), "model"]
    if not len(members) or table["p_mcs"].isna().all():
        return []
    if len(members) == 1:
        return [f"{members.iloc[0]} alone is in the 95 % model confidence set."]
    return [
        f"{len(members)} of {int((~table['leaks']).sum())} models cannot be told from the best (●, the 95 % model "
        f"confidence set)."
    ]


def _of_spa(test: pd.DataFrame) -> list[str]:
    row = test.iloc[0]
    if not np.isfinite(row["p"]):
        return []
    tried = f"given that {row['n_models']} were tried (SPA, p = {row['p']:.3f})."
    if row["verdict"] == "better":
        return [f"{row['best']} is better than persistence even {tried}"]
    return [f"None of the models is better than persistence, {tried}"]
