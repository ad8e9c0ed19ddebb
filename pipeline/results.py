"""Write down what a run has shown: the files of the run folder, for reports to read."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from data.contracts import Fold, Panel
from data.panel import fingerprint
from evaluation.intervals.bounds import Intervals, rounded
from evaluation.judge import Evaluation, judge
from evaluation.leakage.prove import Audit
from pipeline.artifacts import collect, keep_table
from pipeline.audit import leaking
from pipeline.combination import MEMBERS, WEIGHTS_OF, combines, label_of, member_name, members
from pipeline.fitted import gather
from pipeline.outcome import ERRORS, Outcome, averaged, best_simple, by_seed, of_last_fold, validation_mae
from pipeline.work import unit_path
from report.run_folder import Metrics, RunFolder, write_metrics
from runtime.build import build
from runtime.files import write_json
from runtime.record import UNFINISHED, WEIGHTS, surroundings
from tasks.task import SAME_MEMORY, Candidate, Task, needs_of


def write_results(
    folder: Path,
    task: Task,
    panel: Panel,
    folds: Sequence[Fold],
    outcomes: list[Outcome],
    audit: Audit,
    absent: Sequence[str],
) -> None:
    """Judge the forecasts and write all that a report reads; metrics.json comes last: where it is, the run is whole.

    Parameters
    ----------
    absent : sequence of str
        Which rows of the table are not there, and why.
    """
    cfg, model = task.cfg, outcomes[0].model
    write_json(folder / "run.json", _card(task, panel, outcomes, audit))
    _keep_weights(folder, outcomes)
    intervals: Intervals = build(cfg.intervals)
    calibration = averaged(outcomes, "calibration")
    forecasts = rounded(intervals.apply(averaged(outcomes, "forecasts"), calibration))  # what is judged is what is kept
    forecasts = task.restored(panel, forecasts, calibration)
    keep_table(folder / "forecasts.parquet", forecasts)
    _keep_artifacts(folder, task, panel, folds, outcomes, intervals.latest(forecasts, calibration))
    own = calibration[calibration["model"] == model]
    if not own.empty:  # with which a stream of intervals begins
        keep_table(folder / "artifacts" / "calibration.parquet", own[own["fold"] == folds[-1].name])
    _keep_members(folder, task, outcomes)
    errors = task.kept_errors(calibration, [model, task.reference])
    if errors is not None:
        keep_table(folder / "artifacts" / ERRORS, errors)

    facts, accused = task.facts(panel, folds), leaking(task, audit)
    seeds = sorted({outcome.seed for outcome in outcomes})
    single = by_seed(outcomes, "forecasts") if len(seeds) > 1 else None
    simple = _best_simple(task, outcomes, accused)
    found = judge(forecasts, facts, accused, single, cfg.seed, simple, averaged(outcomes, "later"))
    error = validation_mae(outcomes, model)
    metrics = Metrics(
        task=task.name,
        experiment=cfg.names.experiment,
        dataset=cfg.names.source,
        title=panel.name,
        unit=facts.unit,
        seed=cfg.seed,
        seeds=seeds,
        model=model,
        reference=task.reference,
        scores=found.scores,
        groups=found.groups,
        coverage=found.coverage,
        pairwise=found.pairwise,
        notes=[
            *found.notes,
            *absent,
            *blend_notes(task, outcomes),
            *intervals.notes(calibration),
            *panel.notes,
        ],
        tests=[*found.tests, *memory_sentences(task.candidates(), found, outcomes)],
        audit=audit.to_json(),
        validation={} if error is None else {"mae": error},
        simple=simple,
        lives=facts.lives,
        choices={str(name): str(choice) for name, choice in cfg.names.items()},
        leaks=accused,
        sections=list(task.sections),
        question=task.question,
    )
    write_metrics(folder, metrics)


def _best_simple(task: Task, outcomes: list[Outcome], accused: Mapping[str, str]) -> str:
    """Return the honest baseline without a network that errs least on validation rows; empty if it is the reference.

    The run's own model is none of them.
    """
    own, *baselines = task.candidates()
    rivals = [row for row in baselines if not row.beside and not needs_of(row).gradients]
    labels = [row.label for row in rivals if row.label not in accused]
    best = best_simple(outcomes, labels)
    return "" if best in (task.reference, own.label) else best


def keep_audit(folder: Path, task: Task, audit: Audit) -> None:
    """Write a new verdict into the files of a finished run: its card, and which rows of its table leak."""
    run = RunFolder(folder)
    write_json(folder / "run.json", run.card | {"audit": audit.to_json()})
    accused = leaking(task, audit)
    scores = run.metrics.scores.assign(leaks=run.metrics.scores["model"].isin(list(accused)))
    write_metrics(folder, replace(run.metrics, audit=audit.to_json(), scores=scores, leaks=accused))


def _card(task: Task, panel: Panel, outcomes: list[Outcome], audit: Audit) -> dict[str, Any]:
    """Return what made the run: versions, commit, data, seeds, timings and the audit."""
    data = {"name": panel.name, "rows": len(panel.frame), "sha256": fingerprint(panel), **task.card(panel)}
    return surroundings() | {
        "seed": task.cfg.seed,
        "seeds": sorted({outcome.seed for outcome in outcomes}),
        "data": data,
        "notes": list(panel.notes),
        "audit": audit.to_json(),
        "augmented": {o.name: o.augmented for o in outcomes if o.augmented is not None},
        "blend": {o.name: round(o.weight, 4) for o in outcomes if o.weight is not None},
        "lookback": {o.name: o.lookback for o in outcomes if o.lookback is not None},
        "filter": {o.name: o.memory for o in outcomes if o.memory is not None},
        "combination": {o.name: o.members for o in outcomes if o.members is not None},
        "seconds": {o.name: round(o.seconds, 2) for o in outcomes},
        "learnt_from": {o.name: o.learnt_from for o in outcomes},
    }


def memory_sentences(rows: Sequence[Candidate], found: Evaluation, outcomes: list[Outcome]) -> list[str]:
    """Say of each decomposed row how much of its gain is memory, and how much decomposition."""
    mae, sentences = found.scores.set_index("model")["mae"], []
    pairs = found.pairwise if found.pairwise is not None else pd.DataFrame(columns=["model", "other", "p"])
    for row in rows:
        if not row.beside or not {row.label, row.beside} <= set(mae.index):
            continue
        pair = pairs[(pairs["model"] == row.beside) & (pairs["other"] == row.label)]
        p = f" (p = {pair['p'].iloc[0]:.3f})" if len(pair) else ""
        chosen = sorted({o.lookback for o in outcomes if o.model == row.label and o.lookback is not None})
        steps = " or ".join(map(str, chosen))
        told = (
            f"At equal memory {row.beside} errs {_less(mae[row.beside], mae[row.label])} without its "
            f"decomposition{p}; the same model undecomposed chose {steps} of up to {row.lookback} steps on validation"
        )
        plain = row.label.removesuffix(f" ({SAME_MEMORY}, {row.lookback} steps)")
        if plain in mae.index:
            told += f", and errs {_less(mae[row.label], mae[plain])} {plain}, which sees the lookback of the run"
        sentences.append(f"{told}.")
    return sentences


def _less(error: float, other: float) -> str:
    """Say how much one error is below another, up to the other's name."""
    if not other > 0:
        return "as much as" if error == other else "more than"
    change = 100 * (1 - error / other)
    return f"{abs(change):.1f} % {'less' if change >= 0 else 'more'} than"


def blend_notes(task: Task, outcomes: list[Outcome]) -> list[str]:
    """Say how much of each forecast is the model's, or why it is all of it; nothing where no blend was asked for."""
    reference = task.reference.lower()
    if task.cfg.blend == "none":
        return []
    if all(outcome.validation_mae is None for outcome in outcomes):
        return [f"Nothing is held out, so no forecast is blended with {reference}: each is its model's alone."]
    shares: dict[str, list[float]] = {}
    for outcome in outcomes:
        if outcome.weight is not None:
            shares.setdefault(outcome.model, []).append(outcome.weight)
    if not shares:
        return []
    told = ", ".join(f"{model} {np.mean(weights):.2f}" for model, weights in shares.items())
    return [
        f"Share of the model in its forecasts, the rest being {reference}'s; fitted on the validation rows, as are the "
        f"first intervals: {told}."
    ]


def _keep_weights(folder: Path, outcomes: list[Outcome]) -> None:
    """Write the weights of the run's model after its last fold, every seed's."""
    last = of_last_fold(outcomes, outcomes[0].model)
    kept = {f"seed{o.seed}": unit_path(folder, o.model, o.fold, o.seed).with_suffix(".safetensors") for o in last}
    if all(path.exists() for path in kept.values()):
        gather(kept, folder / WEIGHTS)


def _keep_members(folder: Path, task: Task, outcomes: list[Outcome]) -> None:
    """Write what the members of the combination have learnt in the last fold, and their weights."""
    latest = of_last_fold(outcomes, label_of(task.cfg)) if combines(task.cfg) else []
    if not latest:
        return
    write_json(folder / "artifacts" / WEIGHTS_OF, [{"seed": o.seed, "weights": o.members} for o in latest])
    paths = {
        member_name(row, o.seed): unit_path(folder, o.model, o.fold, o.seed).with_suffix(".safetensors")
        for row in members(task)
        for o in outcomes
        if o.model == row.label and o.fold == latest[0].fold
    }
    gather({name: path for name, path in paths.items() if path.exists()}, folder / MEMBERS)


def _keep_artifacts(
    folder: Path,
    task: Task,
    panel: Panel,
    folds: Sequence[Fold],
    outcomes: list[Outcome],
    latest: list[dict[str, Any]],
) -> None:
    """Write what the report draws besides the forecasts."""
    artifacts = folder / "artifacts"
    collect(folder / UNFINISHED, artifacts)
    tables: dict[str, pd.DataFrame] = task.artifacts(panel, folds)
    for name, table in tables.items():
        keep_table(artifacts / f"{name}.parquet", table)
    write_json(artifacts / "intervals.json", latest)
    write_json(artifacts / "losses.json", _losses(outcomes, len(folds)))


def _losses(outcomes: list[Outcome], n_folds: int) -> dict[str, Any]:
    """Return the losses of every training, by its model and what tells it from the others of that model."""
    several = len({outcome.seed for outcome in outcomes}) > 1
    return {
        o.model + (f", {o.fold}" if n_folds > 1 else "") + (f", seed {o.seed}" if several else ""): o.losses
        for o in outcomes
        if o.losses
    }
