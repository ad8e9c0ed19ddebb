"""Audit a run end to end: make everything again from data in which what must not matter was replaced.

Two things are held against each other for every row of the table:

- what training *used* - windows, batches, choices - against what the panel gives when it is made anew;
- a brief training of the whole unit (features, windows, scaling, synthetic windows, fit, choice of weights,
  forecast) on the panel as it is, and on panels whose future or held-out part was replaced.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from functools import partial
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from omegaconf import DictConfig, OmegaConf

from data.contracts import TEST, TRAIN, VALIDATION, Fold, IntArray, Panel, Windows
from evaluation.leakage.prove import Audit, Change, Finding, Stage, compare, flatten, joined
from models.model import all_channels
from pipeline.combination import combined, combines, label_of, members
from pipeline.fitted import rows_of, scaling_of
from pipeline.fitting import Learnt, Parts, digest_of, evaluated, learn, refit
from pipeline.verdicts import Verdicts
from pipeline.work import applies
from runtime.build import build
from runtime.quiet import quiet
from tasks.task import BoolArray, Candidate, Knowledge, Prepared, Task, inputs_of, needs_of

SCALED = ("covariates", "channels", "scaling", "scaled inputs", "augmentation")
"""Stages that only models of scaled windows rest on."""

TRIED = 2  # ways to replace the test part under a combination, for which every member is trained anew
COVARIATES = "covariates"
"""Stage of what stands beside the components of the lookback."""

BRIEF = {"epochs": 2, "max_steps": 20, "max_epochs": 2, "limit_train_batches": 4, "n_trees": 10}
"""How long the audit trains: long enough to show what has been looked at."""


def audit(
    task: Task, panel: Panel, folds: Sequence[Fold], used: Mapping[str, str], verdicts: Verdicts | None = None
) -> Audit:
    """Audit every candidate on the last fold or (``audit: full``) on all of them.

    Parameters
    ----------
    used : mapping
        Digest of what each work unit has learnt from, by its name (``Outcome.learnt_from``).
    verdicts : Verdicts or None
        Where runs that differ by the seed alone share what was proved of their pipeline.
    """
    began = time.perf_counter()
    cfg = task.cfg
    if cfg.audit == "none":
        return Audit([], time.perf_counter() - began, list(cfg.expected_leaks))
    findings = task.checks(panel, folds)
    places = range(len(folds)) if cfg.audit == "full" else [len(folds) - 1]
    work = [(labels, place) for place in places for labels in _groups(task, panel, folds[place])]
    with verdicts.turn() if verdicts is not None else nullcontext():
        known = None if verdicts is None else verdicts.known(panel, folds)
        one = partial(_of_group, cfg, panel, folds, used, known is None)
        found = list(build(cfg.parallel).map(one, work, "audit"))
        proved = [proof for _, proof in found] if known is None else known.findings
        if verdicts is not None and known is None:
            verdicts.keep(panel, folds, proved)
    for (again, _), proof in zip(found, proved, strict=True):
        findings = joined(findings, [*again, *proof])
    for place in places if combines(cfg) else ():
        findings = joined(findings, _of_combination(cfg, panel, folds[place]))
    taken_from = "" if known is None else known.run
    return Audit(findings, time.perf_counter() - began, list(cfg.expected_leaks), taken_from)


def leaking(task: Task, verdict: Audit) -> dict[str, str]:
    """Return, for the label of each candidate that leaks, the sentence that says how: by the audit, else by design."""
    told = {row.label: verdict.against(row.label) or task.leak_by_design(row) for row in task.candidates()}
    accused = {label: sentence for label, sentence in told.items() if sentence}
    if combines(task.cfg):
        label = label_of(task.cfg)
        within = next((accused[row.label] for row in members(task) if row.label in accused), "")
        if sentence := verdict.against(label) or within:
            accused[label] = sentence
    return accused


def _groups(task: Task, panel: Panel, fold: Fold) -> list[list[str]]:
    """Return the labels of the candidates that share their inputs."""
    groups: dict[str, list[str]] = {}
    for row in task.candidates():
        if not applies(task, row, panel, fold):
            continue
        groups.setdefault(inputs_of(row), []).append(row.label)
    return list(groups.values())


def _of_group(
    cfg: DictConfig,
    panel: Panel,
    folds: Sequence[Fold],
    learnt_from: Mapping[str, str],
    prove: bool,
    unit: tuple[Sequence[str], int],
) -> tuple[list[Finding], list[Finding]]:
    """Audit the candidates that share their inputs on one fold; runs in a process of its own.

    Returns what the run has used, compared with what the data give, and (if ``prove``) what its pipeline looks at.
    """
    quiet()
    short = brief(cfg)
    task: Task = build(short.task)(short)
    rows = [row for row in task.candidates() if row.label in unit[0]]
    fold, rng = folds[unit[1]], np.random.default_rng(cfg.seed)
    origins = task.sampled(panel, fold, rng)
    ids = panel.frame["unique_id"].to_numpy()
    whole: Task = build(cfg.task)(cfg)
    prepared = whole.prepare(panel, fold, rows[0])
    if not prove:
        windows = whole.prepare(panel, fold, rows[0], origins, cached=False).windows
        again = _used(whole, panel, fold, rows, prepared, windows, learnt_from)
        return [accused for finding in again for accused in _accused(finding, task, rows)], []
    with TemporaryDirectory() as folder:
        make = partial(_made, task, rows, folder=Path(folder))
        before, windows = make(panel, fold, origins)

        def changes() -> Iterator[Change]:
            for changed in task.changes(panel, fold, rng):
                there = origins if changed.rows is None else _there(origins, changed.rows)
                yield Change(changed.name, changed.replaced, make(changed.panel, changed.fold, there)[0], changed.rows)
            moved = task.past_replaced(panel, fold, rng)
            altered = moved.panel.frame.ne(panel.frame).any(axis=1).to_numpy()
            yield Change(moved.name, moved.replaced, make(moved.panel, moved.fold, origins)[0], altered=altered)

        found = _together(compare(before, changes(), ids))
    found = [whole.explained(finding, prepared.windows) for finding in found]
    if short.get("features") != cfg.get("features"):  # features that are trained were cut short
        windows = whole.prepare(panel, fold, rows[0], origins, cached=False).windows
    again = _used(whole, panel, fold, rows, prepared, windows, learnt_from)
    first, second = (
        [accused for finding in findings for accused in _accused(finding, task, rows)] for findings in (again, found)
    )
    return first, second


def _of_combination(cfg: DictConfig, panel: Panel, fold: Fold) -> list[Finding]:
    """Fit all members briefly and combine them, with the test part as it is and replaced: no weight may move."""
    short = brief(cfg)
    task: Task = build(short.task)(short)
    rows = [row for row in members(task) if applies(task, row, panel, fold)]
    rng, knows = np.random.default_rng(cfg.seed), task.knowledge(panel, fold)
    origins, label = task.sampled(panel, fold, rng), label_of(cfg)
    with TemporaryDirectory() as folder:

        def made(given: Panel, split: Fold) -> list[Stage]:
            inputs = {inputs_of(row): task.prepare(given, split, row, origins, cached=False) for row in rows}
            brief_ones = []
            for number, row in enumerate(rows):
                path = Path(folder) / f"{number}.ckpt"
                brief_ones.append(evaluated(task, given, split, row, inputs[inputs_of(row)], path)[0])
                path.unlink(missing_ok=True)
            weights = combined(task, brief_ones)[0].members
            assert weights is not None
            return [Stage("weights", flatten(weights), fitted_on=knows.chosen_on, subject=label)]

        changes = (
            Change(changed.name, changed.replaced, made(changed.panel, changed.fold))
            for changed in task.changes(panel, fold, rng)
            if changed.rows is None and not (changed.replaced & knows.chosen_on).any()
        )
        return compare(made(panel, fold), islice(changes, TRIED), panel.frame["unique_id"].to_numpy())


def _accused(finding: Finding, task: Task, rows: Sequence[Candidate]) -> list[Finding]:
    """Hold a leak in the inputs of a group against its candidates, and one in scaled inputs against their users."""
    if finding.verdict != "LEAKS" or finding.subject is not None:
        return [finding]
    users = [row for row in rows if finding.stage not in SCALED or _uses(row, finding.stage)]
    if len(users) == len(task.candidates()):
        return [finding]
    return [finding._replace(subject=row.label) for row in users]


def _uses(row: Candidate, stage: str) -> bool:
    """Say whether a candidate rests on a stage of ``SCALED``; what a target leaves is read by others, too."""
    needs = needs_of(row)
    return needs.scaled or (stage == COVARIATES and needs.returns)


def brief(cfg: DictConfig) -> DictConfig:
    """Return the settings with everything that trains cut short."""
    settings: Any = OmegaConf.to_container(cfg)
    for group in ("features", "augmentation", "model", "baselines", "trainer"):
        settings[group] = _shortened(settings.get(group))
    settings["trainer"] |= {"limit_train_batches": BRIEF["limit_train_batches"], "devices": 1, "strategy": "auto"}
    short = OmegaConf.create(settings)
    assert isinstance(short, DictConfig)
    return short


def _made(
    task: Task, rows: Sequence[Candidate], panel: Panel, fold: Fold, origins: IntArray | None, folder: Path
) -> tuple[list[Stage], Windows]:
    """Run every unit of a group briefly; return what was made, stage by stage, and the windows."""
    prepared = task.prepare(panel, fold, rows[0], origins, cached=False)
    windows, knows = prepared.windows, task.knowledge(panel, fold)
    parts = Parts(*(task.select(windows, fold, role) for role in (TRAIN, VALIDATION, TEST)))
    asked = windows if origins is None else windows.take(np.isin(windows.origin, origins))
    stages = _inputs(task, panel, prepared, knows)
    for row in rows:
        for path in folder.iterdir():
            path.unlink()
        learnt = learn(task, panel, fold, row, prepared, parts, folder / "brief.ckpt")
        if learnt.batch is not None and not any(stage.name == "scaling" for stage in stages):
            seen = knows.chosen_on if row.lookbacks else knows.fitted_on  # the lookback is chosen on validation rows
            stages += _scaled(learnt, windows, seen, task.own_past(windows)[0])
        stages += _judged(task, panel, row, learnt, asked, knows)
        again = refit(task, panel, fold, row, prepared, learnt, folder / "brief.ckpt")
        if again is not None:
            stages += _judged(task, panel, row, learnt._replace(fitted=again), asked, knows)
    return stages, windows


def _judged(task: Task, panel: Panel, row: Candidate, learnt: Learnt, asked: Windows, knows: Knowledge) -> list[Stage]:
    """Return the weights of a candidate, and its forecasts."""
    fitted = learnt.fitted
    forecast = task.finish(panel, asked, fitted.forecast(asked, rows_of(panel, asked)), fitted.memory)
    stages = [Stage("forecast", forecast, task.own_past(asked)[0], knows.chosen_on, subject=row.label)]
    if fitted.model.needs.state:
        weights = Stage("weights", flatten(fitted.weights()), fitted_on=knows.chosen_on, subject=row.label)
        stages.insert(0, weights)
    return stages


def _inputs(task: Task, panel: Panel, prepared: Prepared, knows: Knowledge) -> list[Stage]:
    windows, features = prepared.windows, prepared.features
    end, of_target = task.own_past(windows)
    if features is not None:
        return [
            Stage("features", flatten(features.state()), fitted_on=knows.fitted_on),
            Stage("inputs", windows.past, end, knows.fitted_on, must_move=True),
        ]
    targets = [Stage("targets", windows.target, of_target)] if of_target is not None else []
    if windows.channels is not None:
        targets.insert(0, Stage("channels", windows.channels, end, must_move=True))
    return [*_beside(panel, windows, end), Stage("decomposition", windows.past, end, must_move=True), *targets]


def _beside(panel: Panel, windows: Windows, end: IntArray) -> list[Stage]:
    """Return a stage for each covariate, which must move with its own past, and one for what is known ahead."""
    stages = []
    if windows.covariates is not None:
        columns = zip(panel.covariates, np.moveaxis(windows.covariates, 2, 0), strict=True)
        stages += [
            Stage(f"{COVARIATES} {name}", column, end, must_move=name not in panel.static) for name, column in columns
        ]
    return stages if windows.known is None else [*stages, Stage("known", windows.known, end)]


def _together(findings: Sequence[Finding]) -> list[Finding]:
    """Put what was found of each covariate into one finding, which names those that leak."""
    own = [finding for finding in findings if finding.stage.startswith(f"{COVARIATES} ")]
    others = [finding for finding in findings if finding not in own]
    if not own:
        return others
    checked, changed = (sum(getattr(finding, name) for finding in own) for name in ("checked", "changed"))
    leaks = [finding for finding in own if finding.verdict == "LEAKS"]
    if leaks:
        told = "; ".join(f"{finding.stage.removeprefix(COVARIATES).strip()}: {finding.detail}" for finding in leaks)
        return [Finding(COVARIATES, "LEAKS", checked, changed, told), *others]
    worst = max(own, key=lambda finding: finding.rounding)
    return [worst._replace(stage=COVARIATES, checked=checked, changed=changed), *others]


def _scaled(learnt: Learnt, windows: Windows, seen: BoolArray, end: IntArray) -> list[Stage]:
    assert learnt.batch is not None
    scaling = learnt.fitted.scaling
    return [
        Stage("scaling", flatten(scaling.state()), fitted_on=seen),
        Stage("scaled inputs", all_channels(scaling.transform(windows)), end, seen),
        Stage("augmentation", flatten(learnt.batch._asdict()), fitted_on=seen),
    ]


def _used(
    task: Task,
    panel: Panel,
    fold: Fold,
    rows: Sequence[Candidate],
    prepared: Prepared,
    again: Windows,
    known: Mapping[str, str],
) -> list[Finding]:
    """Hold what training used against what the panel gives: windows, one by one, and batches as a whole."""
    found = [_same_windows(prepared.windows, again)]
    parts = Parts(*(task.select(prepared.windows, fold, role) for role in (TRAIN, VALIDATION, TEST)))
    n = len(parts.train.origin) + len(parts.validation.origin)
    for row in rows:
        used = known.get(f"{row.label}, {fold.name}, seed {task.cfg.seed}")
        if used is None:
            continue
        if needs_of(row).scaled:
            scaling = scaling_of(task.cfg).fit(parts.train)
            made = digest_of(scaling.transform(parts.train), scaling.transform(parts.validation))
        else:
            made = digest_of(parts.train, parts.validation)
        if made == used:
            found.append(Finding("training", "causal", n, 0, "made again, the same", subject=row.label))
        else:
            detail = "what was fitted on and chosen by is not what the training and validation rows give"
            found.append(Finding("training", "LEAKS", n, n, detail, subject=row.label))
    return found


def _same_windows(used: Windows, again: Windows) -> Finding:
    """Compare windows that were used, maybe from a cache, with the same ones made again from the panel alone."""
    whole = np.array_equal(used.origin, again.origin)  # of cells whose beginning is hidden some origins come twice
    place = np.arange(len(again.origin)) if whole else np.searchsorted(used.origin, again.origin)
    differ = np.zeros(len(again.origin), dtype=bool)
    for one, other in zip(used, again, strict=True):
        if one is None or other is None or one is used.origin:
            continue
        shape = (len(again.origin), -1)
        differ |= (one[place].reshape(shape) != other.reshape(shape)).any(axis=1)
    n, count = len(differ), int(differ.sum())
    if not count:
        return Finding("windows", "causal", n, 0, "made again, the same")
    detail = f"{count} of {n} windows that were used differ from those the data give when they are made again"
    return Finding("windows", "LEAKS", n, count, detail)


def _there(origins: IntArray | None, rows: IntArray) -> IntArray | None:
    """Return the origins that are left, by their number after rows were left out."""
    return None if origins is None else np.searchsorted(rows, np.unique(origins[np.isin(origins, rows)]))


def _shortened(node: Any) -> Any:
    if isinstance(node, dict):
        return {
            key: min(BRIEF[key], value) if key in BRIEF and isinstance(value, int) else _shortened(value)
            for key, value in node.items()
        }
    return [_shortened(value) for value in node] if isinstance(node, list) else node
