"""Write down what a run on remaining useful life has shown: forecasts, scores, tables and figures."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import pandas as pd
from rich.console import Console

from data.contracts import Outcome
from evaluation.leakage.prove import Audit
from evaluation.life_metrics import Judgement, judge, leak_note, seed_scores
from report import life_figures
from report.figures import losses_figure, save
from report.life_table import LifeMetrics, print_table, to_csv, to_markdown, write_metrics


class LifeSubject(NamedTuple):
    """What a run was about."""

    experiment: str
    dataset: str
    title: str
    """What tables call the data."""
    seed: int
    seeds: Sequence[int]
    """All seeds its networks were trained with."""
    model: str
    """Label of the model the run was for."""
    leaking: Mapping[str, str]
    """For the label of each model that leaks, one sentence that says how."""
    scale: float
    """Longest remaining life in the data [cycles], by which errors are scaled to [0, 1]."""
    lives: Mapping[str, float]
    """Life of every cell of the data [cycles]: its age when the remaining life is 0."""
    notes: Sequence[str] = ()
    """What was left out or mended on the way to the data, a sentence each."""
    choices: Mapping[str, str] = {}
    """What was chosen in the groups an ablation may vary, such as ``{"augmentation": "wgan_gp"}``."""
    factors: pd.DataFrame | None = None
    """``factor``, ``kendall_tau`` and maybe ``importance``: how closely each factor follows the remaining life."""
    attention: pd.DataFrame | None = None
    """``name``, ``unique_id``, ``ds``, ``lag``, ``weight``: what the attentions of the run's model looked at."""
    coverage: pd.DataFrame | None = None
    """How many truths the intervals hold, as ``evaluation.intervals.scoring`` returns it."""
    audit: Audit | None = None
    """What the leak audit has found."""


def report(
    folder: Path, subject: LifeSubject, forecasts: pd.DataFrame, outcomes: Sequence[Outcome], console: Console
) -> float | None:
    """Write forecasts.parquet, metrics.json, the table and the figures, and print the table.

    Parameters
    ----------
    folder : Path
        Of the run.
    subject : LifeSubject
        What the run was about.
    forecasts : DataFrame
        The Forecasts table that is judged: the mean over seeds, maybe with intervals.
    outcomes : sequence of Outcome
        What each model made of each fold with each seed.
    console : Console
        Where the table is printed.

    Returns
    -------
    float or None
        Mean absolute error of the run's model on its validation rows, averaged over folds and seeds [cycles];
        None where nothing was held out.

    Raises
    ------
    ForecastsError
        If the forecasts cannot be judged.
    """
    judgement = judge(forecasts, subject.lives, subject.scale, subject.leaking, subject.seed)
    held_out = [o.validation_mae for o in outcomes if o.model == subject.model and o.validation_mae is not None]
    validation = sum(held_out) / len(held_out) if held_out else None
    metrics = LifeMetrics(
        experiment=subject.experiment,
        dataset=subject.dataset,
        title=subject.title,
        scale=subject.scale,
        lives={cell: float(life) for cell, life in subject.lives.items()},
        seed=subject.seed,
        seeds=list(subject.seeds),
        model=subject.model,
        scores=judgement.scores,
        cells=judgement.cells,
        stages=judgement.stages,
        notes=[*judgement.notes, *subject.notes],
        leaks=subject.leaking,
        choices=subject.choices,
        validation={} if validation is None else {"mae": validation},
        seed_scores=seed_scores(outcomes, subject.lives, subject.scale),
        coverage=subject.coverage,
        audit=None if subject.audit is None else subject.audit.to_json(),
    )
    forecasts.to_parquet(folder / "forecasts.parquet", index=False)
    (folder / "table.md").write_text(to_markdown(metrics), encoding="utf-8")
    (folder / "table.csv").write_text(to_csv(metrics), encoding="utf-8")
    _draw(folder / "figures", subject, forecasts, judgement, outcomes)
    write_metrics(folder / "metrics.json", metrics)  # last: where it is, the run is whole
    print_table(console, metrics)
    return validation


def _draw(
    folder: Path, subject: LifeSubject, forecasts: pd.DataFrame, judgement: Judgement, outcomes: Sequence[Outcome]
) -> None:
    folder.mkdir(exist_ok=True)
    model, title, lives = subject.model, f"{subject.title}: {subject.model}", subject.lives
    warning = leak_note(model, subject.leaking[model]) if model in subject.leaking else None
    scored = judgement.scores.set_index("model")["mae"].notna().get(model, False)
    drawings = (
        {}
        if not scored
        else {
            "rul_curves": life_figures.rul_curves_figure(forecasts, lives, model, title, warning),
            "alpha_lambda": life_figures.alpha_lambda_figure(forecasts, lives, model, title, warning),
            "scatter": life_figures.scatter_figure(forecasts, lives, model, title, warning),
            "error_by_stage": life_figures.stage_error_figure(
                judgement.stages, model, f"{subject.title}: error by stage of life", list(subject.leaking), warning
            ),
        }
    )
    if subject.factors is not None and len(subject.factors):
        drawings["factors"] = life_figures.factors_figure(subject.factors, f"{subject.title}: health factors")
    if subject.attention is not None and len(subject.attention):
        drawings["attention"] = life_figures.attention_figure(subject.attention, title, warning)
    losses = {_trained(outcome, outcomes): outcome.losses for outcome in outcomes if outcome.losses}
    if losses:
        drawings["losses"] = losses_figure(losses, title)
    for name, figure in drawings.items():
        save(figure, folder / f"{name}.png")


def _trained(outcome: Outcome, outcomes: Sequence[Outcome]) -> str:
    """Return what distinguishes a training: its model and, where there are several, its fold and seed."""
    own = [other for other in outcomes if other.model == outcome.model]
    fold = f", {outcome.fold}" if len({other.fold for other in own}) > 1 else ""
    seed = f", seed {outcome.seed}" if len({other.seed for other in own}) > 1 else ""
    return f"{outcome.model}{fold}{seed}"
