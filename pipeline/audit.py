"""Audit a run end to end: make everything again from data in which what must not matter was replaced.

Two things are held against each other for every row of the table:

- what training *used* - windows, batches, choices - against what the panel gives when it is made anew;
- a brief training of the whole unit (features, windows, scaling, synthetic windows, fit, choice of weights,
  forecast) on the panel as it is, and on panels whose future or held-out part was replaced.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import cached_property, partial
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np
from omegaconf import DictConfig, OmegaConf

from data.contracts import TEST, TRAIN, VALIDATION, Fold, IntArray, Panel, Windows
from evaluation.leakage.prove import Audit, Change, Finding, Stage, compare, flatten, joined
from models.model import all_channels
from pipeline.combination import combined, combines, label_of, members
from pipeline.fitted import Fitted, rows_of, scaling_of
from pipeline.fitting import Learnt, Parts, by_reference, digest_of, evaluated, fit, learn, refit
from pipeline.verdicts import Verdicts
from pipeline.work import applies
from runtime.build import build
from runtime.quiet import quiet
from tasks.task import BoolArray, Candidate, Knowledge, Prepared, Task, inputs_of, needs_of

SCALED = ("covariates", "channels", "scaling", "scaled inputs", "augmentation")
"""Stages that only models of scaled windows rest on."""

TRIED = 1  # ways to replace the test part for which every row is trained anew
OF_MEMBERS = 2  # and for which every member of a combination is
FULL = "full"
COVARIATES = "covariates"
"""Stage of what stands beside the components of the lookback."""

NOBODY = {"_target_": "models.nobody.Nobody", "label": "nobody"}
"""A model that learns nothing: what stands before it is made as for any other."""

ASKED = 256  # windows whose forecasts are compared, at most, unless all are asked for
BRIEF = {"epochs": 2, "max_steps": 20, "max_epochs": 2, "limit_train_batches": 4, "n_trees": 10}
"""How long the audit trains: long enough to show what has been looked at."""
FEW = 32  # windows of a batch, at most


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
    places = range(len(folds)) if cfg.audit == FULL else [len(folds) - 1]
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
        honest = _Given.of(task, rows[0], panel, fold, origins, None)
        asked = _some(honest.asked.origin) if origins is None and cfg.audit != FULL else None
        honest = honest._replace(asked=_at(honest.asked, asked))
        group = _Group(task, rows, honest.knows, Path(folder))
        before, windows = group.fitted(honest), honest.prepared.windows
        found = _together(compare(before, group.changes(before, honest, origins, asked, rng), ids))
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
        return compare(made(panel, fold), islice(changes, OF_MEMBERS), panel.frame["unique_id"].to_numpy())


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
    settings["batch_size"] = min(settings["batch_size"], FEW)
    settings["trainer"] |= {"limit_train_batches": BRIEF["limit_train_batches"], "devices": 1, "strategy": "auto"}
    settings["trainer"]["enable_checkpointing"] = False  # nobody goes on with a brief training
    short = OmegaConf.create(settings)
    assert isinstance(short, DictConfig)
    return short


class _Given(NamedTuple):
    """What candidates that share their inputs are given, of data as they are or changed."""

    panel: Panel
    fold: Fold
    prepared: Prepared
    parts: Parts
    asked: Windows
    """What is forecast."""
    knows: Knowledge

    @classmethod
    def of(
        cls,
        task: Task,
        row: Candidate,
        panel: Panel,
        fold: Fold,
        origins: IntArray | None,
        asked: IntArray | None,
    ) -> "_Given":
        """Prepare the windows of some origins, and ask for the forecasts of some of them; None: of all.

        Nothing is taken from a cache.
        """
        prepared = task.prepare(panel, fold, row, origins, cached=False)
        windows = prepared.windows
        parts = Parts(*(task.select(windows, fold, role) for role in (TRAIN, VALIDATION, TEST)))
        forecast = _at(_at(windows, origins), asked)
        return cls(panel, fold, prepared, parts, forecast, task.knowledge(panel, fold))


@dataclass
class _Group:
    """Candidates that share their inputs, run briefly on the data as they are and again on changed ones.

    They are fitted anew for some changes of the tested part alone: where rows were changed that weights may be chosen
    by, weights may change, and nothing is proved.  For the other changes those that were fitted on the data as they
    are forecast from the changed ones.
    """

    task: Task
    rows: Sequence[Candidate]
    knows: Knowledge
    """Of the data as they are."""
    folder: Path
    """For checkpoints."""
    kept: dict[str, Fitted] = field(default_factory=dict)
    """What each candidate, by its label, has learnt from the data as they are."""

    def fitted(self, given: _Given) -> list[Stage]:
        """Fit all candidates briefly; return what was made, stage by stage."""
        task, panel, fold = self.task, given.panel, given.fold
        stages = _inputs(task, panel, given.prepared, given.knows)
        for row in self.rows:
            for path in self.folder.iterdir():
                path.unlink()
            checkpoint = self.folder / "brief.ckpt"
            learnt = learn(task, panel, fold, row, given.prepared, given.parts, checkpoint)
            if row is self._scaled_as:
                stages += _scaled(task, given, row, learnt)
            stages += _learnt(task, given, row, learnt.fitted)  # now: what learns from validation rows may change it
            again = refit(task, panel, fold, row, given.prepared, learnt, checkpoint)
            if again is not None:
                stages += _learnt(task, given, row, again)
            if learnt.fitted.model.needs.state:
                stages.append(_forecast(task, given, row.label, again or learnt.fitted))
            self.kept.setdefault(row.label, again or learnt.fitted)
        return stages

    def unfitted(self, given: _Given, before: Sequence[Stage], replaced: BoolArray) -> list[Stage | None]:
        """Return the stages of ``fitted`` without fitting anybody; None for what was not made again.

        Parameters
        ----------
        before : sequence of Stage
            What ``fitted`` made of the data as they are.
        replaced : array ``(row,)``
            Of these data: what is given now lacks it or has others in its place.
        """
        stages: list[Stage | None] = [*_inputs(self.task, given.panel, given.prepared, given.knows)]
        row = self._scaled_as
        scaled: Mapping[str, Stage] = {}
        if row is not None and not row.lookbacks and not (replaced & self.knows.fitted_on).any():
            nobody = row._replace(label=NOBODY["label"], model=OmegaConf.create(NOBODY))
            checkpoint = self.folder / "nobody.ckpt"
            learnt = fit(self.task, given.panel, nobody, given.prepared, given.parts, given.fold, checkpoint)
            scaled = {stage.name: stage for stage in _scaled(self.task, given, row, learnt)}
        last = {stage.subject: place for place, stage in enumerate(before)}  # of each row its forecast
        for place, stage in enumerate(before[len(stages) :], len(stages)):
            if stage.subject is None:
                stages.append(scaled.get(stage.name))
            elif place != last[stage.subject] or (replaced & self.knows.chosen_on).any():
                stages.append(None)
            else:
                stages.append(_forecast(self.task, given, stage.subject, self.kept[stage.subject]))
        return stages

    def changes(
        self,
        before: Sequence[Stage],
        honest: _Given,
        origins: IntArray | None,
        asked: IntArray | None,
        rng: np.random.Generator,
    ) -> Iterator[Change]:
        """Yield what becomes of the stages when the data are changed, in every way the task knows."""
        task, panel, fold, n_fitted = self.task, honest.panel, honest.fold, 0
        for changed in task.changes(panel, fold, rng):
            there = [_there(rows, changed.rows) for rows in (origins, asked)]
            given, replaced = _Given.of(task, self.rows[0], changed.panel, changed.fold, *there), changed.replaced
            bound = not (replaced & self.knows.chosen_on).any()
            alone = changed.rows is not None or not replaced.any()  # nothing else shows what this does
            fits = bound and (n_fitted < TRIED or alone or task.cfg.audit == FULL)
            n_fitted += fits
            stages = self.fitted(given) if fits else self.unfitted(given, before, replaced)
            yield Change(changed.name, replaced, stages, changed.rows)
        tested = np.asarray(fold.role == TEST)
        if not (tested & self.knows.chosen_on).any():
            for name, given in _told_apart(task, honest):
                stages = [_of_fit(stage) for stage in self.fitted(given)]
                yield Change(name, tested, stages)
        moved = task.past_replaced(panel, fold, rng)
        altered = moved.panel.frame.ne(panel.frame).any(axis=1).to_numpy()
        given = _Given.of(task, self.rows[0], moved.panel, moved.fold, origins, asked)
        stages = self.unfitted(given, before, moved.replaced)
        yield Change(moved.name, moved.replaced, stages, altered=altered)

    @cached_property
    def _scaled_as(self) -> Candidate | None:
        """The candidate whose scaled windows stand for those of all; None where nobody needs any."""
        return next((row for row in self.rows if needs_of(row).scaled), None)


def _told_apart(task: Task, given: _Given) -> Iterator[tuple[str, _Given]]:
    """Put training windows in the place of tested ones, and training windows whose targets are the opposite.

    In the one case the setting errs least on tested windows that has learnt most, in the other one that has learnt
    less: a choice by tested windows, which among few settings can be the same whatever else stands there, is not.
    The opposite of a target lies as far from the forecast anyone can make, on its other side.
    """
    windows, parts = given.prepared.windows, given.parts
    place = np.flatnonzero(np.isin(windows.origin, parts.test.origin))
    if not len(parts.train.origin) or not place.size:
        return
    learnt = parts.train.take(np.resize(np.arange(len(parts.train.origin)), place.size))
    _, simple = by_reference(task, given.panel, given.fold, parts.train, learnt)
    moved = 2 * (simple - learnt.y)  # (n, H)
    opposite = learnt._replace(y=learnt.y + moved, target=learnt.target + moved[:, :, None] / learnt.target.shape[2])
    for name, others in (("training windows", learnt), ("the opposite of training windows", opposite)):
        arrays = {
            part: _put(array, place, getattr(others, part))
            for part, array in windows._asdict().items()
            if array is not None and part not in ("origin", "start")
        }
        changed = windows._replace(**arrays)
        tested = task.select(changed, given.fold, TEST)
        yield (
            f"{name} are put in the place of the tested ones",
            given._replace(prepared=given.prepared._replace(windows=changed), parts=parts._replace(test=tested)),
        )


def _put(array: Any, place: IntArray, others: Any) -> Any:
    changed = np.array(array)
    changed[place] = others
    return changed


def _of_fit(stage: Stage) -> Stage | None:
    """Return a stage if it is made of what was fitted, and not of tested windows themselves."""
    return stage if stage.subject is not None or stage.name in ("scaling", "augmentation") else None


def _learnt(task: Task, given: _Given, row: Candidate, fitted: Fitted) -> list[Stage]:
    """Return the weights of a candidate or, where it keeps none, the forecasts they show in."""
    if not fitted.model.needs.state:
        return [_forecast(task, given, row.label, fitted)]
    return [Stage("weights", flatten(fitted.weights()), fitted_on=given.knows.chosen_on, subject=row.label)]


def _forecast(task: Task, given: _Given, label: str, fitted: Fitted) -> Stage:
    panel, asked = given.panel, given.asked
    forecast = task.finish(panel, asked, fitted.forecast(asked, rows_of(panel, asked)), fitted.memory)
    return Stage("forecast", forecast, task.own_past(asked)[0], given.knows.chosen_on, subject=label)


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


def _scaled(task: Task, given: _Given, row: Candidate, learnt: Learnt) -> list[Stage]:
    assert learnt.batch is not None
    windows, knows, scaling = given.prepared.windows, given.knows, learnt.fitted.scaling
    seen = knows.chosen_on if row.lookbacks else knows.fitted_on  # the lookback is chosen on validation rows
    return [
        Stage("scaling", flatten(scaling.state()), fitted_on=seen),
        Stage("scaled inputs", all_channels(scaling.transform(windows)), task.own_past(windows)[0], seen),
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


def _some(origins: IntArray) -> IntArray:
    """Return at most so many origins as are asked for forecasts, evenly spread."""
    rows = np.unique(origins)
    return rows[np.unique(np.linspace(0, rows.size - 1, ASKED).astype(int))]


def _at(windows: Windows, origins: IntArray | None) -> Windows:
    """Return the windows of some origins; None: all."""
    return windows if origins is None else windows.take(np.isin(windows.origin, origins))


def _there(origins: IntArray | None, rows: IntArray | None) -> IntArray | None:
    """Return the origins that are left, by their number after rows were left out (None: none were)."""
    if origins is None or rows is None:
        return origins
    return np.searchsorted(rows, np.unique(origins[np.isin(origins, rows)]))


def _shortened(node: Any) -> Any:
    if isinstance(node, dict):
        return {
            key: min(BRIEF[key], value) if key in BRIEF and isinstance(value, int) else _shortened(value)
            for key, value in node.items()
        }
    return [_shortened(value) for value in node] if isinstance(node, list) else node
