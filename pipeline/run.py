"""The one run, whatever the task: data, folds, candidates, audit, results."""

from collections.abc import Sequence
from pathlib import Path

from omegaconf import DictConfig
from rich.console import Console

from data.contracts import TEST, TRAIN, VALIDATION, Fold, Panel
from data.panel import fingerprint, shown_date
from pipeline.audit import audit
from pipeline.combination import combined
from pipeline.outcome import Outcome
from pipeline.results import write_results
from pipeline.settings import LIVE, check_task
from pipeline.verdicts import Verdicts
from pipeline.work import check_data, left_out, work_units
from pipeline.work import outcomes as evaluated_units
from runtime.build import build, check
from runtime.record import same_data, tidy
from tasks.task import NO_AUGMENTATION, Task, needs_of


def run(cfg: DictConfig, folder: Path, out: Console, verdicts: Verdicts | None = None) -> None:
    """Fit, judge and audit one experiment, and leave everything in its folder.

    Parameters
    ----------
    verdicts : Verdicts or None
        Where the runs of a sweep that differ by the seed alone share what the audit has proved.
    """
    task, panel, folds = opened(cfg)
    same_data(folder, fingerprint(panel))
    out.print(opening(panel, folds), markup=False, highlight=False)
    units = work_units(task, panel, folds)
    absent = left_out(task, folds, units)
    for note in (*panel.notes, *absent):
        out.print(f"  {note}", style="dim", markup=False, highlight=False)

    found = {}
    for unit, outcome in evaluated_units(task, panel, folds, folder, units):
        found[unit] = outcome
        out.print(closing(outcome), markup=False, highlight=False)
    outcomes = [found[unit] for unit in units]
    for outcome in combined(task, outcomes):
        outcomes.append(outcome)
        out.print(closing(outcome), markup=False, highlight=False)

    verdict = audit(task, panel, folds, {outcome.name: outcome.learnt_from for outcome in outcomes}, verdicts)
    write_results(folder, task, panel, folds, outcomes, verdict, absent)
    tidy(folder)


def opened(cfg: DictConfig) -> tuple[Task, Panel, list[Fold]]:
    """Check the settings, read the data and split them."""
    check(cfg, LIVE)
    task: Task = build(cfg.task)(cfg)
    check_task(task)
    panel = task.load(build(cfg.source))
    folds: list[Fold] = build(cfg.split).folds(panel, task.reach)
    check_data(task, panel, folds)
    return task, panel, folds


def by_chance(cfg: DictConfig) -> bool:
    """Say whether the seed of a run has a part in its forecasts: in a model, or in synthetic windows."""
    check(cfg, LIVE)
    task: Task = build(cfg.task)(cfg)
    synthetic = cfg.augmentation._target_ != NO_AUGMENTATION
    return synthetic or any(needs_of(row).chance for row in task.candidates())


def opening(panel: Panel, folds: Sequence[Fold]) -> str:
    """Return one line on the data a run learns from and is judged by."""
    role = folds[-1].role
    names = (("train", TRAIN), ("validation", VALIDATION), ("test", TEST))
    counts = ", ".join(f"{int((role == value).sum())} {name}" for name, value in names)
    dates = panel.frame["ds"]
    several = f" in the last of {len(folds)} folds" if len(folds) > 1 else ""
    return (
        f"{panel.name}: {panel.frame['unique_id'].nunique()} series, {len(panel.frame)} rows, "
        f"{shown_date(dates.min())} .. {shown_date(dates.max())}; {counts} targets{several}"
    )


def closing(outcome: Outcome) -> str:
    """Return one line on a work unit that is done."""
    held_out = "" if outcome.validation_mae is None else f"  validation MAE {outcome.validation_mae:.4g}"
    epochs = f"  {len(outcome.losses)} epochs" if outcome.losses else ""
    share = "" if outcome.weight is None else f"  share {outcome.weight:.2f}"
    chosen = "" if outcome.lookback is None else f"  lookback {outcome.lookback}"
    averaged = "" if not outcome.memory else f"  filter {outcome.memory:g}"
    told = f"{epochs}{held_out}{share}{chosen}{averaged}"
    return f"{outcome.model:<24} {outcome.fold}  seed {outcome.seed}  {outcome.seconds:6.1f} s{told}"
