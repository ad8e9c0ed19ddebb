"""The first job: forecast the next steps of a series from its components."""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from hydra.utils import get_object
from numpy.typing import NDArray
from omegaconf import DictConfig, OmegaConf
from rich.console import Console
from safetensors.numpy import load_file

from data.cached import CachedWork
from data.calendar import pace, upcoming
from data.contracts import (
    TEST,
    TRAIN,
    VALIDATION,
    Batch,
    Decomposition,
    FloatArray,
    Fold,
    IntArray,
    Outcome,
    Panel,
    Source,
    Windows,
)
from data.panel import DataError
from data.windows import cut, cut_at, first_end, latest, origins, select
from evaluation.intervals.conformal import extend
from evaluation.leakage.prove import (
    WAYS,
    Audit,
    Change,
    Finding,
    Stage,
    compare,
    directions_explained,
    in_one_row,
    joined,
    replacement,
)
from evaluation.metrics import naive_scale
from pipeline.fitted import Fitted, members, unfitted
from pipeline.fitting import learnt_from
from pipeline.fitting import train as train_model
from pipeline.job import (
    Contender,
    Prediction,
    averaged,
    day,
    keep,
    offsets_of,
    once_each,
    outcomes_of_last_fold,
    refuse_strangers,
    refuse_unfit,
    seed_errors,
    seeded,
    seeds_of,
    trained,
    validation_mae,
    with_seed,
)
from pipeline.parts import leave_behind, left_behind, part_of
from report.report import Subject, report
from runtime.build import build
from runtime.cache import ArrayCache
from runtime.record import WEIGHTS

IDENTITY = OmegaConf.create({"_target_": "data.decomposition.identity.Identity"})
PERSISTENCE = OmegaConf.create({"_target_": "models.classical.Persistence", "label": "Persistence"})
FAR = 10.0  # ratio of mean changes beyond which a file is of something else
SAMPLED = {TRAIN: 8, VALIDATION: 2, TEST: 5}
"""Origins the audit rebuilds unless it is asked for all of them, by the role of their targets."""


class Series:
    """Forecast ``horizon`` steps from the components of the ``lookback`` steps before them.

    Parameters
    ----------
    cfg : DictConfig
        The whole configuration, resolved.

    Raises
    ------
    ConfigError
        If it holds choices of another job.
    """

    def __init__(self, cfg: DictConfig) -> None:
        refuse_strangers(cfg, "series", ["features"])
        refuse_unfit(cfg, "series")
        self.cfg = cfg

    def contenders(self) -> list[Contender]:
        """Return the model, its baselines and persistence, each label once."""
        cfg = self.cfg
        name = cfg.names.decomposition
        prefix = "" if name == "identity" or _is_naive(cfg.model) else f"{name.upper().replace('_', '-')}-"
        rows = [Contender(prefix + cfg.model.label, cfg.model, cfg.decomposition)]
        rows += [Contender(node.label, node, IDENTITY) for node in cfg.baselines.values()]
        rows += [Contender(PERSISTENCE.label, PERSISTENCE, IDENTITY)]
        return once_each(rows)

    def outcomes(self, panel: Panel, folds: Sequence[Fold], folder: Path) -> Iterator[Outcome]:
        """Fit every contender on every fold and seed, and yield what each made of it."""
        for contender in self.contenders():
            windows = self.windows(panel, contender)
            for fold in folds:
                for seed in seeds_of(self.cfg, contender.model):
                    yield self._judged(panel, contender, windows, fold, seed, folder)

    def windows(self, panel: Panel, contender: Contender) -> Windows:
        """Return all windows of the panel, from the cache where they have been cut before."""
        cfg = self.cfg
        assert contender.decomposition is not None
        settings = {"scope": _plain(cfg.scope), "decomposition": _plain(contender.decomposition)}
        work = CachedWork(build(cfg.parallel).map, ArrayCache(), settings)
        decomposition, scope = build(contender.decomposition), build(cfg.scope)
        return cut(panel, decomposition, scope, cfg.lookback, cfg.horizon, work, self.first_end())

    def first_end(self) -> int:
        """Return the step of a series at which the first window ends, the same for all that are compared."""
        scope = build(self.cfg.scope)
        decompositions = [build(row.decomposition) for row in self.contenders() if row.decomposition is not None]
        return max(first_end(scope, decomposition, self.cfg.lookback) for decomposition in decompositions)

    def audit(self, panel: Panel, folds: Sequence[Fold], folder: Path) -> Audit:
        """Audit every decomposition among the contenders, on sampled origins or (``audit: full``) on all."""
        began = time.perf_counter()
        findings: list[Finding] = []
        if self.cfg.audit != "none":
            findings.append(_order_of_roles(panel, folds))
            rows = self.contenders()
            for contender in [rows[0], *(row for row in rows[1:] if row.decomposition != rows[0].decomposition)][:2]:
                for fold in folds if self.cfg.audit == "full" else folds[-1:]:
                    findings = joined(findings, self._findings(panel, fold, contender, folder))
        return Audit(findings, time.perf_counter() - began, list(self.cfg.expected_leaks))

    def report(
        self,
        panel: Panel,
        folds: Sequence[Fold],
        outcomes: Sequence[Outcome],
        audit: Audit,
        folder: Path,
        console: Console,
    ) -> float | None:
        """Write what the run has shown, print its table, and return the error on validation rows."""
        spacing, change = pace(panel)
        keep(self.cfg, folder, panel, outcomes, audit, {"spacing": spacing, "change": change})
        subject = self._subject(panel, folds, audit)
        validation = validation_mae(outcomes, subject.model)
        intervals = build(self.cfg.intervals)
        last = outcomes_of_last_fold(outcomes, subject.model)
        report(
            folder,
            subject,
            forecasts=averaged(outcomes, "forecasts"),
            calibration=averaged(outcomes, "calibration"),
            seeds=seed_errors(outcomes),
            losses={_name_of_losses(outcome, folds, last): outcome.losses for outcome in outcomes if outcome.losses},
            validation=validation,
            intervals=intervals,
            console=console,
        )
        return validation

    @property
    def any_file(self) -> str:
        """The choice of ``conf/source`` that reads a file given to predict.py."""
        return "csv"

    def predict(self, source: Source, card: dict[str, Any], folder: Path) -> Prediction:
        """Forecast the next ``horizon`` steps of every series of a file, persistence beside them."""
        cfg, row = self.cfg, self.contenders()[0]
        panel = source.load()
        _refuse_misfit(panel, card["data"])
        assert row.decomposition is not None
        windows = latest(panel, build(row.decomposition), build(cfg.scope), cfg.lookback)
        fresh = partial(unfitted, cfg, row.model, windows.past.shape[2])
        models = trained(fresh, folder) if fresh().model.scaled else [fresh()]
        found = {row.label: np.mean([model.forecast(windows) for model in models], axis=0)}
        found.setdefault(PERSISTENCE.label, unfitted(cfg, PERSISTENCE, windows.past.shape[2]).forecast(windows))
        frame, steps = panel.frame, range(1, cfg.horizon + 1)
        parts = []
        for n, last in enumerate(windows.origin):
            key = frame["unique_id"].iloc[last]
            days = upcoming(frame.loc[frame["unique_id"] == key, "ds"], cfg.horizon)
            part = pd.DataFrame({"unique_id": key, "ds": days, "step": steps})
            parts.append(part.assign(**{label: forecast[n] for label, forecast in found.items()}))
        table = pd.concat(parts, ignore_index=True)
        bounds = extend(table.assign(model=row.label, y_hat=table[row.label]), offsets_of(folder))
        table = table.join(bounds[[column for column in bounds if str(column).startswith(("lo_", "hi_"))]])
        notes = []
        if card["audit"]["verdict"] == "LEAKS":
            notes.append(
                f"{row.label} was trained on inputs shaped by the future, which a forecast cannot have: expect far "
                f"larger errors than its table shows.  ({card['audit']['sentence']})"
            )
        return Prediction(table, f"{panel.name} in {panel.unit}, after {day(frame['ds'].max())}", notes)

    def stages(
        self, panel: Panel, fold: Fold, contender: Contender, origins: IntArray | None, fitted: Fitted | None
    ) -> list[Stage]:
        """Build the inputs of some origins (None: of all) from the panel alone, and say what each may know."""
        cfg = self.cfg
        assert contender.decomposition is not None
        decomposition, scope = build(contender.decomposition), build(cfg.scope)
        windows = (
            cut(panel, decomposition, scope, cfg.lookback, cfg.horizon, first=self.first_end())
            if origins is None
            else cut_at(panel, decomposition, scope, cfg.lookback, cfg.horizon, origins, self.first_end())
        )
        learnt = _learnt(panel, fold)
        own = unfitted(cfg, PERSISTENCE, windows.past.shape[2])
        training = self.training_batch(cfg, own, windows, fold)
        end = windows.origin
        stages = [
            Stage("decomposition", windows.past, own_past=end),
            Stage("targets", windows.target, own_past=end + cfg.horizon),
            Stage("scaling", in_one_row(own.scaling.state()), fitted_on=learnt),
            Stage("inputs", own.scaling.transform(windows).past, own_past=end, fitted_on=learnt),
            Stage("augmentation", in_one_row(training._asdict()), fitted_on=learnt),
        ]
        if fitted is not None:
            stages.append(Stage("forecast", fitted.forecast(windows), own_past=end))
        return stages

    def training_batch(self, cfg: DictConfig, fitted: Fitted, windows: Windows, fold: Fold) -> Batch:
        """Fit the scaling of a model and return what the model learns from; training and audit both call it."""
        return learnt_from(cfg, fitted, select(windows, fold, TRAIN), n_conditions=0)

    def _findings(self, panel: Panel, fold: Fold, contender: Contender, folder: Path) -> list[Finding]:
        cfg = self.cfg
        rng = np.random.default_rng(cfg.seed)
        known = _known_origins(panel, fold, cfg.horizon, self.first_end())
        full = cfg.audit == "full"
        within = known[TRAIN][[known[TRAIN].size // 2]]  # a training window must not see its future either
        cuts = np.r_[known[TRAIN][-1] + cfg.horizon, within, _spread(known[TEST], 8 if full else 3)]
        chosen = None if full else np.union1d(_sampled(known, rng), cuts)
        fitted = self._kept(contender, fold, folder)
        before = self.stages(panel, fold, contender, chosen, fitted)
        dates = panel.frame["ds"].to_numpy()
        # The end of training meets every kind of replacement, the later origins take turns.
        tried = [(cuts[0], how) for how in WAYS]
        tried += [(row, WAYS[place % len(WAYS)]) for place, row in enumerate(cuts[1:])]

        def changes() -> Iterable[Change]:
            for row, how in tried:
                at = dates[row]
                replaced = dates > at
                frame = panel.frame.assign(y=_in_each(panel, replaced, how, rng))
                other = replace(panel, frame=frame)
                yield Change(
                    f"what comes after {day(at)} is {how}",
                    replaced,
                    self.stages(other, fold, contender, chosen, fitted),
                )
            at = dates[cuts[-1]]
            gone = dates > at
            rows = np.flatnonzero(~gone)
            other = replace(panel, frame=panel.frame[~gone].reset_index(drop=True))
            there = None if chosen is None else np.searchsorted(rows, np.intersect1d(chosen, rows))
            part = Fold(fold.role[~gone], fold.name)
            yield Change(
                f"what comes after {day(at)} is left out",
                gone,
                self.stages(other, part, contender, there, fitted),
                rows,
            )

        ids = panel.frame["unique_id"].to_numpy()
        found = compare(before, changes(), ids)
        return [self._told(panel, contender, finding) for finding in found]

    def _told(self, panel: Panel, contender: Contender, finding: Finding) -> Finding:
        """Add what a leaking decomposition is worth to its finding."""
        if finding.stage != "decomposition" or finding.verdict != "LEAKS":
            return finding
        windows = self.windows(panel, contender)
        moves = windows.y[:, 0] - windows.past[:, -1].sum(axis=1)
        share = directions_explained(windows.past, moves)
        name = f"{self.cfg.names.decomposition} with scope {self.cfg.names.scope}"
        told = f"{100 * share:.0f} % of directions explained by it"
        return finding._replace(detail=f"{name}, {finding.detail}; {told}")

    def _kept(self, contender: Contender, fold: Fold, folder: Path) -> Fitted | None:
        """Return the model of the run, as it was fitted, or None where it is no longer there."""
        path = part_of(folder, contender.label, fold.name, self.cfg.seed).with_suffix(".safetensors")
        weights = folder / WEIGHTS
        assert contender.decomposition is not None
        n_components = build(contender.decomposition).n_components
        fitted = unfitted(self.cfg, contender.model, n_components)
        if not fitted.model.scaled:
            return fitted
        if not fitted.keeps:
            return None
        if path.exists():
            return fitted.load_state(load_file(path))
        if weights.exists() and contender.label == self.contenders()[0].label:
            return fitted.load_state(next(iter(members(weights).values())))
        return None

    def _judged(
        self, panel: Panel, contender: Contender, windows: Windows, fold: Fold, seed: int, folder: Path
    ) -> Outcome:
        """Fit a contender on one fold and forecast its test rows, or read what an interrupted run left.

        Raises
        ------
        DataError
            If the fold has no window to learn from or to be judged by.
        """
        cfg = with_seed(self.cfg, seed)
        part = part_of(folder, contender.label, fold.name, seed)
        if (done := left_behind(part)) is not None:
            return done
        train, validation, test = (select(windows, fold, role) for role in (TRAIN, VALIDATION, TEST))
        for role, chosen in (("train", train), ("test", test)):
            if not len(chosen.y):
                raise DataError(
                    f"{panel.name} leaves no {role} window in the fold {fold.name!r}: the first window ends after "
                    f"scope.history (or lookback) steps and needs all {cfg.horizon} targets in one part.  Give a "
                    f"longer series, or lower scope.history, lookback or horizon."
                )
        began = time.perf_counter()
        fresh = partial(seeded, model=contender.model, n_components=train.past.shape[2])
        learnt = train_model(
            cfg,
            fresh,
            lambda own, model: self.training_batch(own, model, windows, fold),
            contender.label,
            validation,
            part.with_suffix(".ckpt"),
        )
        fitted = learnt.fitted
        held_out = fitted.forecast(validation)
        outcome = Outcome(
            model=contender.label,
            fold=fold.name,
            forecasts=table(panel, test, contender.label, fitted.forecast(test), fitted.own_intervals(test)),
            calibration=table(panel, validation, contender.label, held_out),
            validation_mae=float(np.abs(held_out - validation.y).mean()) if len(validation.y) else None,
            losses=learnt.losses,
            seed=seed,
            augmented=learnt.augmented,
            seconds=time.perf_counter() - began,
        )
        leave_behind(part, outcome, fitted)
        return outcome

    def _subject(self, panel: Panel, folds: Sequence[Fold], audit: Audit) -> Subject:
        cfg = self.cfg
        rows = self.contenders()
        first, series = list(panel.series())[-1]
        decomposition: Decomposition = build(cfg.decomposition)
        scope = build(cfg.scope)
        seen = series[-scope.history :] if scope.causal and scope.history else series
        begin = first + series.size - seen.size
        return Subject(
            experiment=cfg.names.experiment,
            dataset=cfg.names.source,
            title=panel.name,
            unit=panel.unit,
            seed=cfg.seed,
            model=rows[0].label,
            leaking=frozenset(self.leaking(audit)),
            audit=audit,
            naive_error=naive_scale(panel.frame[folds[0].role == TRAIN]),
            dates=panel.frame["ds"].iloc[begin : first + series.size],
            components=decomposition(seen),
            test_start=_first_tested(panel, folds, begin),
        )

    def leaking(self, audit: Audit) -> list[str]:
        """Return the labels of the contenders that use the future: by the audit, and by design where there is none."""
        rows = self.contenders()
        by_design = [row.label for row in rows if leaks(self.cfg, row)]
        everywhere = [row.label for row in rows] if any(f.stage != "decomposition" for f in audit.causes) else []
        found = [rows[0].label] if audit.leaks else []
        return list(dict.fromkeys([*by_design, *everywhere, *found]))


def leaks(cfg: DictConfig, contender: Contender) -> bool:
    """Say whether a contender is built to see components that are shaped by what comes after."""
    assert contender.decomposition is not None
    built: Decomposition = build(contender.decomposition)
    return not build(cfg.scope).causal and not built.causal


def table(
    panel: Panel, windows: Windows, label: str, forecast: FloatArray, ends: Mapping[str, FloatArray] | None = None
) -> pd.DataFrame:
    """Return forecasts ``(n, H)``, and the ends of a model's own intervals, as a long table, one row a target."""
    n_windows, horizon = windows.y.shape
    origin = np.repeat(windows.origin, horizon)
    step = np.tile(1 + np.arange(horizon), n_windows)
    frame = panel.frame
    return pd.DataFrame(
        {
            "unique_id": frame["unique_id"].to_numpy()[origin],
            "ds": frame["ds"].to_numpy()[origin + step],
            "origin": frame["ds"].to_numpy()[origin],
            "step": step,
            "model": label,
            "y": windows.y.ravel(),
            "y_hat": forecast.ravel(),
        }
        | {name: end.ravel() for name, end in (ends or {}).items()}
    )


def _order_of_roles(panel: Panel, folds: Sequence[Fold]) -> Finding:
    """Find targets that are tested although later ones of the same series were learnt from."""
    ids, dates = panel.frame["unique_id"].to_numpy(), pd.factorize(panel.frame["ds"], sort=True)[0]
    checked = changed = 0
    for fold in folds:
        for name in np.unique(ids):
            own = ids == name
            learnt = dates[own & np.isin(fold.role, (TRAIN, VALIDATION))]
            tested = dates[own & (fold.role == TEST)]
            checked += tested.size
            changed += int((tested < learnt.max()).sum()) if learnt.size else 0
    if changed:
        detail = f"{changed} of {checked} tested steps lie before steps that were learnt from"
        return Finding("split", "LEAKS", checked, changed, detail)
    return Finding("split", "causal", checked, 0, f"all {checked} tested steps come after what was learnt from")


def _known_origins(panel: Panel, fold: Fold, horizon: int, first: int) -> dict[int, IntArray]:
    """Return the origins that have a window, by the role of their targets."""
    known = origins(panel, horizon, first)
    roles = fold.role[known[:, None] + 1 + np.arange(horizon)]
    return {role: known[(roles == role).all(axis=1)] for role in (TRAIN, VALIDATION, TEST)}


def _sampled(known: dict[int, IntArray], rng: np.random.Generator) -> IntArray:
    chosen = [rng.choice(origins, min(SAMPLED[role], origins.size), replace=False) for role, origins in known.items()]
    ends = [origins[[0, -1]] for origins in known.values() if origins.size]
    return np.unique(np.concatenate([*chosen, *ends]))


def _spread(rows: IntArray, n: int) -> IntArray:
    return rows[np.unique(np.linspace(0, rows.size - 1, n).astype(int))]


def _in_each(panel: Panel, replaced: NDArray[np.bool_], how: Any, rng: np.random.Generator) -> FloatArray:
    """Replace the values of each series by others of its own."""
    values = panel.frame["y"].to_numpy(dtype=np.float64).copy()
    for start, series in panel.series():
        own = slice(start, start + series.size)
        values[own] = replacement(series, replaced[own], how, rng)
    return values


def _learnt(panel: Panel, fold: Fold) -> NDArray[np.bool_]:
    """Return the rows training may know: all up to the date of its last target."""
    dates = panel.frame["ds"].to_numpy()
    last = dates[fold.role == TRAIN].max()
    return np.asarray(dates <= last)


def _first_tested(panel: Panel, folds: Sequence[Fold], begin: int) -> object:
    tested = np.flatnonzero(folds[0].role[begin:] == TEST)
    return panel.frame["ds"].iloc[begin + tested[0]] if tested.size and tested[0] > 0 else None


def _name_of_losses(outcome: Outcome, folds: Sequence[Fold], last: Sequence[Outcome]) -> str:
    fold = f" {outcome.fold}" if len(folds) > 1 else ""
    return f"{outcome.model}{fold}" + (f" seed {outcome.seed}" if len(last) > 1 else "")


def _refuse_misfit(panel: Panel, trained_on: dict[str, float]) -> None:
    """Compare a file with what the model was trained on.

    Raises
    ------
    DataError
        If it moves in other steps or at another scale.
    """
    spacing, change = pace(panel)
    if abs(spacing - trained_on["spacing"]) > 0.5 * trained_on["spacing"]:
        raise DataError(
            f"{panel.name} has a value every {spacing:g} days (or steps), but the model was trained on one every "
            f"{trained_on['spacing']:g}.  Give a file of that frequency, or train on this one."
        )
    if not 1 / FAR < change / trained_on["change"] < FAR:
        raise DataError(
            f"{panel.name} moves by {change:.3g} a step, but the model was trained on moves of "
            f"{trained_on['change']:.3g}: this is another series or another unit.  Train on this one."
        )


def _is_naive(node: DictConfig) -> bool:
    return not get_object(node._target_).scaled


def _plain(node: DictConfig) -> Any:
    return OmegaConf.to_container(node, resolve=True)
