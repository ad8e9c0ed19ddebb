"""Write down what a run has shown: forecasts, intervals, scores, table and figures."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from rich.console import Console

from data.contracts import FloatArray
from evaluation.intervals.conformal import Intervals
from evaluation.judge import judge, leak_note
from evaluation.leakage.prove import Audit
from report import figures
from report.table import Metrics, print_table, to_csv, to_markdown, write_metrics

Losses = Mapping[str, Sequence[Mapping[str, float]]]


class Subject(NamedTuple):
    """What a run was about."""

    experiment: str
    dataset: str
    title: str
    """What tables call the data."""
    unit: str
    seed: int
    model: str
    """Label of the model the run was for."""
    leaking: frozenset[str]
    """Labels of the models whose inputs are shaped by what comes after the origin."""
    audit: Audit
    naive_error: Mapping[str, float]
    """Mean absolute one-step change of each series while training, in the unit of ``y``."""
    dates: "pd.Series[pd.Timestamp]"
    """``(time,)`` of the components that are drawn."""
    components: FloatArray
    """``(C, time)`` of one decomposition, as the model saw it."""
    test_start: object
    """First date that is tested, if it lies among the dates."""


def report(
    folder: Path,
    subject: Subject,
    forecasts: pd.DataFrame,
    calibration: pd.DataFrame,
    seeds: Sequence[Mapping[str, Any]],
    losses: Losses,
    validation: float | None,
    intervals: Intervals,
    console: Console,
) -> None:
    """Write forecasts.parquet, metrics.json, the table, figures and evidence, and print the table.

    Parameters
    ----------
    forecasts, calibration : DataFrame
        Forecasts tables of the test and the validation rows, the mean over seeds where there are several.
    seeds : sequence of mapping
        ``model``, ``seed``, ``mae``, ``rmse`` of each training by itself.
    losses : mapping
        A record an epoch, by what was trained.
    validation : float or None
        Mean absolute error of the run's model on its validation rows, in the unit of ``y``.
    """
    forecasts = intervals.apply(forecasts, calibration)
    judgement = judge(forecasts, subject.naive_error, subject.leaking, subject.audit, seeds)
    metrics = Metrics(
        experiment=subject.experiment,
        dataset=subject.dataset,
        title=subject.title,
        unit=subject.unit,
        seed=subject.seed,
        model=subject.model,
        scores=judgement.scores,
        notes=judgement.notes,
        validation={} if validation is None else {"mae": validation},
        steps=judgement.steps,
        seeds=list(seeds),
        audit=subject.audit.to_json(),
        coverage=judgement.coverage,
        pairwise=judgement.pairwise,
        tests=judgement.tests,
    )
    forecasts.to_parquet(folder / "forecasts.parquet", index=False)
    (folder / "table.md").write_text(to_markdown(metrics), encoding="utf-8")
    (folder / "table.csv").write_text(to_csv(metrics), encoding="utf-8")
    _draw(folder / "figures", subject, forecasts, losses)
    _keep_evidence(folder / "evidence", subject, losses, intervals.latest(forecasts, calibration))
    write_metrics(folder / "metrics.json", metrics)  # last: where it is, the run is whole
    print_table(console, metrics)


def _keep_evidence(folder: Path, subject: Subject, losses: Losses, latest: Sequence[Mapping[str, Any]]) -> None:
    """Write what the report page draws besides the forecasts."""
    folder.mkdir(exist_ok=True)
    rows = {f"c{number + 1}": component for number, component in enumerate(subject.components)}
    pd.DataFrame({"ds": np.asarray(subject.dates), **rows}).to_parquet(folder / "components.parquet", index=False)
    (folder / "losses.json").write_text(json.dumps(losses), encoding="utf-8")
    (folder / "intervals.json").write_text(json.dumps(latest), encoding="utf-8")


def _draw(folder: Path, subject: Subject, forecasts: pd.DataFrame, losses: Losses) -> None:
    folder.mkdir(exist_ok=True)
    drawable = np.isfinite(forecasts.loc[forecasts["model"] == subject.model, "y_hat"]).all()
    model, unit, title = subject.model, subject.unit, f"{subject.title}: {subject.model}"
    warning = leak_note(model, subject.audit) if model in subject.leaking else None
    drawings = (
        {}
        if not drawable
        else {
            "forecast": figures.forecast_figure(forecasts, model, unit, title, warning),
            "moves": figures.moves_figure(forecasts, model, unit, title, warning),
            "error_by_month": figures.error_by_month_figure(forecasts, model, unit, title, warning),
        }
    )
    drawings |= {
        "components": figures.components_figure(
            subject.dates,
            subject.components,
            f"{subject.title}: components the model saw last",
            unit,
            test_start=subject.test_start,
            leak_note=warning,
        ),
    }
    if losses:
        drawings["losses"] = figures.losses_figure(losses, title)
    for name, figure in drawings.items():
        figures.save(figure, folder / f"{name}.png")
