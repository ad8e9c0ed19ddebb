"""Write down what a run has shown: forecasts, scores, table and figures."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import pandas as pd
from rich.console import Console

from data.contracts import FloatArray, Outcome
from evaluation import figures
from evaluation.judge import judge, leak_note
from evaluation.table import Metrics, print_table, to_csv, to_markdown, write_metrics


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
    naive_error: Mapping[str, float]
    """Mean absolute one-step change of each series while training, in the unit of ``y``."""
    dates: "pd.Series[pd.Timestamp]"
    """``(time,)`` of the components that are drawn."""
    components: FloatArray
    """``(C, time)`` of one decomposition, as the model saw it."""
    test_start: object
    """First date that is tested, if it lies among the dates."""


def report(folder: Path, subject: Subject, outcomes: Sequence[Outcome], console: Console) -> float | None:
    """Write forecasts.parquet, metrics.json, the table and the figures, and print the table.

    Returns the mean absolute error of the run's model on its validation rows, averaged over folds,
    in the unit of ``y``; None where nothing was held out.
    """
    forecasts = pd.concat([outcome.forecasts for outcome in outcomes], ignore_index=True)
    judgement = judge(forecasts, subject.naive_error, subject.leaking)
    held_out = [o.validation_mae for o in outcomes if o.model == subject.model and o.validation_mae is not None]
    validation = sum(held_out) / len(held_out) if held_out else None
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
    )
    forecasts.to_parquet(folder / "forecasts.parquet", index=False)
    (folder / "table.md").write_text(to_markdown(metrics), encoding="utf-8")
    (folder / "table.csv").write_text(to_csv(metrics), encoding="utf-8")
    _draw(folder / "figures", subject, forecasts, outcomes)
    write_metrics(folder / "metrics.json", metrics)         # last: where it is, the run is whole
    print_table(console, metrics)
    return validation


def _draw(folder: Path, subject: Subject, forecasts: pd.DataFrame, outcomes: Sequence[Outcome]) -> None:
    folder.mkdir(exist_ok=True)
    model, unit, title = subject.model, subject.unit, f"{subject.title}: {subject.model}"
    warning = leak_note(model) if model in subject.leaking else None
    losses = {f"{o.model} {o.fold}" if _refitted(outcomes) else o.model: o.losses for o in outcomes if o.losses}
    drawings = {
        "forecast": figures.forecast_figure(forecasts, model, unit, title, warning),
        "moves": figures.moves_figure(forecasts, model, unit, title, warning),
        "error_by_month": figures.error_by_month_figure(forecasts, model, unit, title, warning),
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


def _refitted(outcomes: Sequence[Outcome]) -> bool:
    return len({outcome.fold for outcome in outcomes}) > 1
