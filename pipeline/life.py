"""The second job: tell how many cycles a battery cell has left."""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from hydra.utils import get_object
from numpy.typing import NDArray
from omegaconf import DictConfig, OmegaConf
from rich.console import Console

from data.cells.sequences import select_rows, sequences, short_cells
from data.contracts import (
    TEST,
    TRAIN,
    VALIDATION,
    Batch,
    FloatArray,
    Fold,
    Outcome,
    Panel,
    Windows,
)
from data.features.chain import Chain
from data.panel import DataError
from evaluation.intervals.conformal import Intervals, extend
from evaluation.intervals.scoring import coverage
from evaluation.leakage.prove import WAYS, Audit, Change, Finding, How, Stage, compare, in_one_row, joined, replacement
from pipeline.evidence import (
    collect,
    draw_evidence,
    held_out_windows,
    keep_attention,
    keep_features,
    keep_quality,
    read_json,
)
from pipeline.fitted import Fitted, members, unfitted
from pipeline.fitting import Trained, learnt_from
from pipeline.fitting import train as train_model
from pipeline.job import (
    Contender,
    Prediction,
    averaged,
    keep,
    offsets_of,
    once_each,
    outcomes_of_last_fold,
    refuse_strangers,
    refuse_unfit,
    seeded,
    seeds_of,
    trained,
    with_seed,
)
from pipeline.parts import leave_behind, left_behind, part_of
from report.life_report import LifeSubject, report
from runtime.build import ConfigError, build
from runtime.quiet import quiet
from runtime.record import UNFINISHED, WEIGHTS, write_json

CLOCK = OmegaConf.create({"_target_": "models.rul.Clock", "label": "Clock"})
RIDGE = OmegaConf.create(
    {
        "_target_": "models.classical.Ridge",
        "label": "Ridge",
        "alpha": 1.0,
        "component": {"_target_": "models.components.Joint"},
    }
)
FEWEST_STEPS = 20  # that a covariate must rise in a row to be taken for a clock
FAR = 50.0  # ratio of medians beyond which a column is in another unit
BRIEF = {"epochs": 2, "max_steps": 20}
"""How long the audit trains what a feature or an augmentation trains: long enough to show what it has seen."""


class Prepared(NamedTuple):
    """One fold, ready to learn from."""

    features: Chain
    windows: Windows
    """Of all cells, in their features."""


class Life:
    """Tell the remaining useful life of a cell at every cycle from the ``lookback`` cycles up to it.

    Parameters
    ----------
    cfg : DictConfig
        The whole configuration, resolved.
    train_every : int
        Every so-many-th window of a cell is learnt from; neighbours are nearly the same [cycles].
    monotone : bool
        Whether a forecast may not exceed the one before it: the least one so far takes its place.

    Raises
    ------
    ConfigError
        If the configuration holds choices of another job.
    """

    def __init__(self, cfg: DictConfig, train_every: int = 1, monotone: bool = False) -> None:
        refuse_strangers(cfg, "life", ["scope", "decomposition"])
        refuse_unfit(cfg, "life")
        if cfg.horizon != 1:
            raise ConfigError(f"horizon={cfg.horizon}: job=life asks for the life left at one cycle; set horizon=1.")
        if train_every < 1:
            raise ConfigError(f"job.train_every={train_every} must be at least 1 cycle.")
        self.cfg, self.train_every, self.monotone = cfg, train_every, monotone

    def contenders(self) -> list[Contender]:
        """Return the model, its baselines and the clock, each label once."""
        nodes = [self.cfg.model, *self.cfg.baselines.values(), CLOCK]
        rows = [Contender(node.label, node) for node in nodes]
        return once_each(rows)

    def outcomes(self, panel: Panel, folds: Sequence[Fold], folder: Path) -> Iterator[Outcome]:
        """Fit every contender on every fold and seed; folds and seeds are shared out among the workers."""
        seeds = [self.cfg.seed + number for number in range(self.cfg.seeds)]
        units = [(fold, seed) for fold in folds for seed in seeds]
        work = partial(_unit, self.cfg, panel, folder, folds[-1].name)
        for outcomes in build(self.cfg.parallel).map(work, units):
            yield from outcomes

    def prepared(self, panel: Panel, fold: Fold) -> Prepared:
        """Fit the features on the training rows of a fold and cut every cell into sequences."""
        table = as_table(panel)
        learnt = self.learnt_rows(fold)
        target = pd.Series(panel.frame["y"].to_numpy(), index=table.index)
        features: Chain = build(self.cfg.features).fit(table[learnt], target[learnt])
        made = features.transform(table)
        windows = sequences(made, target, panel, self.cfg.lookback)
        return Prepared(features, windows)

    def learnt_rows(self, fold: Fold) -> NDArray[np.bool_]:
        """Return the rows features learn from."""
        return np.asarray(fold.role == TRAIN)

    def training(self, windows: Windows, fold: Fold) -> Windows:
        """Return the windows a model learns from."""
        return select_rows(windows, fold, TRAIN, self.train_every)

    def training_batch(self, cfg: DictConfig, fitted: Fitted, prepared: Prepared, fold: Fold) -> Batch:
        """Fit the scaling of a model and return what the model learns from; training and audit both call it."""
        return learnt_from(cfg, fitted, self.training(prepared.windows, fold), prepared.features.n_conditions)

    def judged(
        self, panel: Panel, row: Contender, prepared: Prepared, fold: Fold, part: Path
    ) -> tuple[Outcome, Fitted]:
        """Fit a contender on one fold and forecast its test rows.

        Raises
        ------
        DataError
            If the fold has no sequence to learn from or to be judged by.
        """
        began = time.perf_counter()
        windows = prepared.windows
        train, validation, test = (
            self.training(windows, fold),
            select_rows(windows, fold, VALIDATION),
            select_rows(windows, fold, TEST),
        )
        for role, chosen in (("train", train), ("test", test)):
            if not len(chosen.y):
                raise DataError(
                    f"{panel.name} leaves no {role} sequence in the fold {fold.name!r}: a cell needs "
                    f"lookback={self.cfg.lookback} cycles.  Give longer cells, or lower lookback."
                )
        fresh = partial(seeded, model=row.model, n_components=windows.past.shape[2])
        if get_object(row.model._target_).scaled:
            learnt = train_model(
                self.cfg,
                lambda cfg: fresh(cfg)._replace(features=prepared.features),
                lambda cfg, model: self.training_batch(cfg, model, prepared, fold),
                row.label,
                validation,
                part.with_suffix(".ckpt"),
            )
            fitted = learnt.fitted
            held_out, forecast = (self.forecast(panel, fitted, chosen) for chosen in (validation, test))
            ends = fitted.own_intervals(test)
        else:
            learnt, ends = Trained(fresh(self.cfg), [], None), {}
            fitted = learnt.fitted
            fitted.model.fit(panel.frame.loc[fold.role == TRAIN, ["unique_id", "ds", "y"]])
            held_out, forecast = (
                fitted.model.predict(panel.frame.iloc[chosen.origin][["unique_id", "ds"]])
                for chosen in (validation, test)
            )
        outcome = Outcome(
            model=row.label,
            fold=fold.name,
            forecasts=table(panel, test, row.label, forecast, ends),
            calibration=table(panel, validation, row.label, held_out),
            validation_mae=float(np.abs(held_out - validation.y).mean()) if len(validation.y) else None,
            losses=learnt.losses,
            seed=self.cfg.seed,
            augmented=learnt.augmented,
            seconds=time.perf_counter() - began,
        )
        return outcome, fitted

    def keep_evidence(self, folder: Path, panel: Panel, prepared: Prepared, fold: Fold, fitted: Fitted) -> None:
        """Leave what the report page draws of one fold."""
        windows, n_conditions = prepared.windows, prepared.features.n_conditions
        keep_features(folder, prepared.features)
        if fitted.model.scaled:
            train = fitted.scaling.transform(self.training(windows, fold))
            held_out = fitted.scaling.transform(held_out_windows(windows, fold))
            samples = build(self.cfg.augmentation).samples(train, n_conditions, self.cfg.seed)
            keep_quality(folder, train, held_out, samples, n_conditions, self.cfg.seed)
            keep_attention(folder, panel, windows, fold, fitted)

    def forecast(self, panel: Panel, fitted: Fitted, windows: Windows) -> FloatArray:
        """Map windows to the remaining life ``(n, 1)`` [cycles]."""
        cells = panel.frame["unique_id"].to_numpy()[windows.origin]
        return settled(fitted.forecast(windows), cells, self.monotone)

    def audit(self, panel: Panel, folds: Sequence[Fold], folder: Path) -> Audit:
        """Replace held-out cells, and the future of one, and demand that nothing changes that must not."""
        began = time.perf_counter()
        findings: list[Finding] = []
        if self.cfg.audit != "none":
            findings += [sides(panel, folds), told_by_covariates(panel)]
            chosen = folds if self.cfg.audit == "full" else folds[-1:]
            for fold in chosen:
                findings = joined(findings, self._findings(panel, fold))
        return Audit(findings, time.perf_counter() - began, list(self.cfg.expected_leaks))

    def stages(self, panel: Panel, fold: Fold) -> list[Stage]:
        """Build everything a forecast rests on from the panel alone, and say what each part may know."""
        prepared = self.prepared(panel, fold)
        windows = prepared.windows
        own = unfitted(self.cfg, RIDGE, windows.past.shape[2])
        training = self.training_batch(self.cfg, own, prepared, fold)
        learnt, end = np.asarray(fold.role == TRAIN), windows.origin
        return [
            Stage("features", in_one_row(prepared.features.state()), fitted_on=learnt),
            Stage("inputs", windows.past, own_past=end, fitted_on=learnt),
            Stage("scaling", in_one_row(own.scaling.state()), fitted_on=learnt),
            Stage("scaled inputs", own.scaling.transform(windows).past, own_past=end, fitted_on=learnt),
            Stage("augmentation", in_one_row(training._asdict()), fitted_on=learnt),
        ]

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
        cfg, model = self.cfg, self.contenders()[0].label
        rest = {
            "covariates": dict(panel.covariates),
            "medians": {name: float(panel.frame[name].median()) for name in panel.covariates},
            "longest_life": longest_life(panel),
        }
        keep(cfg, folder, panel, outcomes, audit, rest)
        evidence = folder / "evidence"
        collect(folder / UNFINISHED, evidence)
        losses = {
            f"{o.model} {o.fold} seed {o.seed}": o.losses for o in outcomes_of_last_fold(outcomes, model) if o.losses
        }
        losses |= read_json(evidence / "losses.json") or {}  # of an autoencoder
        write_json(evidence / "losses.json", losses)
        intervals: Intervals = build(cfg.intervals)
        calibration = averaged(outcomes, "calibration")
        forecasts = intervals.apply(averaged(outcomes, "forecasts"), calibration)
        write_json(evidence / "intervals.json", intervals.latest(forecasts, calibration))
        factors = read_json(evidence / "factors.json")
        subject = LifeSubject(
            experiment=cfg.names.experiment,
            dataset=cfg.names.source,
            title=panel.name,
            seed=cfg.seed,
            seeds=sorted({outcome.seed for outcome in outcomes}),
            model=model,
            leaking=self.leaking(audit),
            scale=longest_life(panel) - 1,
            lives={str(name): float(life) for name, life in lives(panel).items()},
            notes=panel.notes,
            choices={str(name): str(choice) for name, choice in cfg.names.items()},
            factors=None if factors is None else pd.DataFrame(factors),
            attention=_parquet_of(evidence / "attention.parquet"),
            coverage=coverage(forecasts, "stage"),
            audit=audit,
        )
        draw_evidence(evidence, folder / "figures", panel.name)
        return report(folder, subject, forecasts, outcomes, console)

    def leaking(self, audit: Audit) -> dict[str, str]:
        """Return, for the label of each contender that leaks, the sentence that says how."""
        if not audit.causes:
            return {}
        told = "; ".join(f"{cause.stage}: {cause.detail}" for cause in audit.causes)
        return {row.label: told for row in self.contenders()}

    @property
    def any_file(self) -> str:
        """The choice of ``conf/source`` that reads a file given to predict.py."""
        return str(self.cfg.names.source) if "path" in self.cfg.source else "cells_csv"

    def predict(self, source: Any, card: dict[str, Any], folder: Path) -> Prediction:
        """Tell the remaining life of every cell of a file at each cycle; its end need not be known.

        Raises
        ------
        DataError
            If the file lacks what the model was trained on, or no cell is as long as a window.
        """
        cfg, row = self.cfg, self.contenders()[0]
        frame = source.read().frame.drop(columns="y")
        covariates = list(card["data"]["covariates"])
        absent = [name for name in covariates if name not in frame.columns]
        if absent:
            raise DataError(
                f"The file lacks {', '.join(map(repr, absent))}, on which the model was trained; it has "
                f"{', '.join(map(repr, frame.columns[2:]))}.  Give a file with these columns, in the same units."
            )
        frame = frame.assign(y=np.nan)[["unique_id", "ds", "y", *covariates]]
        panel = Panel(frame, str(frame["unique_id"].iloc[0]), "cycles", card["data"]["covariates"])
        _refuse_units(frame, card["data"]["medians"])
        known = as_table(panel)

        def fresh() -> Fitted:
            return unfitted(cfg, row.model, self._width(folder))._replace(features=build(cfg.features))

        forecasts = []
        for model in trained(fresh, folder):
            assert model.features is not None
            windows = sequences(model.features.transform(known), frame["y"], panel, cfg.lookback)
            forecasts.append(self.forecast(panel, model, windows))
        origin = windows.origin
        table = frame[["unique_id", "ds"]].iloc[origin].reset_index(drop=True)
        table = table.assign(step=0, model=row.label, y_hat=np.mean(forecasts, axis=0)[:, 0])
        table = extend(table, offsets_of(folder))
        table = table.drop(columns=["step", "model"]).rename(
            columns={"unique_id": "cell", "ds": "cycle", "y_hat": "RUL"}
        )
        longest = float(card["data"]["longest_life"])
        notes = list(short_cells(panel, cfg.lookback))
        if (table["cycle"] > longest).any():
            notes.append(
                f"The file has cycles beyond {longest:.0f}, older than any cell the model has learned from: what it "
                f"says of them is a guess."
            )
        if card["audit"]["verdict"] == "LEAKS":
            notes.append(
                f"{row.label} was trained under a protocol that leaks: expect far larger errors than its table shows.  "
                f"({card['audit']['sentence']})"
            )
        return Prediction(table, f"Remaining life [cycles] by {row.label}", notes)

    def _width(self, folder: Path) -> int:
        """Return how many channels the model of a finished run sees."""
        scaling = next(iter(members(folder / WEIGHTS).values()))
        return int(scaling["scaling/mean"].size)

    def _findings(self, panel: Panel, fold: Fold) -> list[Finding]:
        """Replace what must not matter, one thing after another, with everything trained briefly."""
        brief = type(self)(_brief(self.cfg), self.train_every, self.monotone)
        rng = np.random.default_rng(self.cfg.seed)
        frame, ids = panel.frame, panel.frame["unique_id"].to_numpy()
        tested = fold.role == TEST
        before = brief.stages(panel, fold)

        def changes() -> Iterable[Change]:
            for how in WAYS:
                other = _replaced(panel, tested, [*panel.covariates, "y"], how, rng)
                yield Change(f"the tested rows are {how}", tested, brief.stages(other, fold))
            other = _replaced(panel, tested, ["y"], "scrambled", rng)
            yield Change("the remaining life of the tested rows is scrambled", tested, brief.stages(other, fold))
            cell = ids[tested][0]
            own = np.flatnonzero((ids == cell) & tested)
            late = np.zeros(len(frame), dtype=bool)
            late[own[len(own) // 2 :]] = True
            other = _replaced(panel, late, list(panel.covariates), "shifted", rng)
            yield Change(f"the second half of cell {cell} is shifted", late, brief.stages(other, fold))
            held = fold.role == VALIDATION
            if held.any():
                other = _replaced(panel, held, [*panel.covariates, "y"], "scrambled", rng)
                yield Change("the validation rows are scrambled", held, brief.stages(other, fold))
            rows = np.flatnonzero(~late)
            other = replace(panel, frame=frame[~late].reset_index(drop=True))
            part = Fold(fold.role[~late], fold.name)
            yield Change(f"the second half of cell {cell} is left out", late, brief.stages(other, part), rows)

        return compare(before, changes(), ids)


def _applies(job: Life, row: Contender, panel: Panel, fold: Fold) -> bool:
    """Say whether a split gives a model what it needs: the last known life of a cell that is tested, say."""
    if not hasattr(get_object(row.model._target_), "applies"):
        return True
    model = unfitted(job.cfg, row.model, 1).model
    return bool(model.applies(panel.frame[fold.role == TRAIN], panel.frame[fold.role == TEST]))


def _refuse_units(frame: pd.DataFrame, medians: Mapping[str, float]) -> None:
    """Compare a file with what the model was trained on.

    Raises
    ------
    DataError
        Naming every column that is some hundred times larger or smaller.
    """
    faults = [
        f"{name} is about {frame[name].median():.4g}, but {median:.4g} in training"
        for name, median in medians.items()
        if median and not 1 / FAR < abs(frame[name].median() / median) < FAR
    ]
    if faults:
        raise DataError(f"The file is of other cells or in other units: {'; '.join(faults)}.")


def as_table(panel: Panel) -> pd.DataFrame:
    """Return the covariates of a panel as floats with the index (``unique_id``, ``ds``)."""
    return panel.frame.set_index(["unique_id", "ds"])[list(panel.covariates)].astype(np.float64)


def lives(panel: Panel) -> "pd.Series[float]":
    """Return the cycle at which each cell ends, by its name."""
    frame = panel.frame
    return (frame["ds"] + frame["y"]).groupby(frame["unique_id"]).max()


def longest_life(panel: Panel) -> float:
    """Return the longest life of the panel [cycles]: the error on the scale of paper 2 is measured in it."""
    return float(lives(panel).max())


def settled(forecast: FloatArray, cells: NDArray[Any], monotone: bool) -> FloatArray:
    """Return forecasts ``(n, 1)``, cells in cycle order, that are not negative and, if asked, never rise."""
    forecast = np.maximum(forecast, 0.0)
    if monotone:
        for cell in dict.fromkeys(cells):
            forecast[cells == cell] = np.minimum.accumulate(forecast[cells == cell], axis=0)
    return forecast


def table(
    panel: Panel, windows: Windows, label: str, forecast: FloatArray, ends: Mapping[str, FloatArray] | None = None
) -> pd.DataFrame:
    """Return forecasts ``(n, 1)``, and the ends of a model's own intervals, as a long table, one row a cycle."""
    rows = panel.frame.iloc[windows.origin]
    return pd.DataFrame(
        {
            "unique_id": rows["unique_id"].to_numpy(),
            "ds": rows["ds"].to_numpy(),
            "origin": rows["ds"].to_numpy(),
            "step": 0,
            "model": label,
            "y": windows.y[:, 0],
            "y_hat": forecast[:, 0],
        }
        | {name: np.maximum(end[:, 0], 0.0) for name, end in (ends or {}).items()}
    )


def sides(panel: Panel, folds: Sequence[Fold]) -> Finding:
    """Find tested rows whose cell, or whose future, was learnt from."""
    ids, cycles = panel.frame["unique_id"].to_numpy(), panel.frame["ds"].to_numpy()
    checked = shared = earlier = 0
    cells: set[str] = set()
    for fold in folds:
        learnt, tested = np.isin(fold.role, (TRAIN, VALIDATION)), fold.role == TEST
        checked += int(tested.sum())
        for cell in np.unique(ids[tested]):
            own = ids == cell
            if (own & learnt).any():
                cells.add(str(cell))
                shared += int((own & tested).sum())
                earlier += int((cycles[own & tested] < cycles[own & learnt].max()).sum())
    if earlier:
        detail = f"{earlier} of {checked} tested rows lie before rows of the same cell that were learnt from"
        return Finding("split", "LEAKS", checked, earlier, detail)
    if shared:
        detail = (
            f"{shared} of {checked} tested rows are of cells that were learnt from ({', '.join(sorted(cells))}), whose "
            f"end of life is thereby known"
        )
        return Finding("split", "LEAKS", checked, shared, detail)
    return Finding("split", "causal", checked, 0, f"no cell of {checked} tested rows was learnt from")


def told_by_covariates(panel: Panel) -> Finding:
    """Find covariates that tell the target without measuring anything: copies of it and clocks.

    A copy is a straight line, or its mirror, of the target in every cell; a clock never stops rising, or
    falling, in any.
    """
    frame = panel.frame
    known: list[str] = []
    counting: list[str] = []
    cells, target = list(frame.groupby("unique_id").indices.values()), frame["y"].to_numpy()
    for name in panel.covariates:
        value = frame[name].to_numpy(dtype=np.float64)
        if all(_is_line(value[own], target[own]) for own in cells):
            known.append(name)
        elif all(_counts(value[own]) for own in cells if np.ptp(value[own]) > 0):
            counting.append(name)
    n = len(panel.covariates)
    if known:
        detail = (
            f"{', '.join(known)} (of {n}) counts the remaining life down: within every cell one is a straight line "
            f"in the other"
        )
        return Finding("covariates", "LEAKS", n, len(known), detail)
    if counting:
        detail = f"{', '.join(counting)} (of {n}) never stops rising or falling within a cell: it counts time or cycles"
        return Finding("covariates", "LEAKS", n, len(counting), detail)
    return Finding("covariates", "causal", n, 0, f"none of {n} covariates tells the target by itself")


def _is_line(covariate: FloatArray, target: FloatArray) -> bool:
    if np.ptp(covariate) == 0 or np.ptp(target) == 0:
        return False
    return bool(abs(np.corrcoef(covariate, target)[0, 1]) > 1 - 1e-9)


def _counts(covariate: FloatArray) -> bool:
    steps = np.diff(covariate)
    return steps.size >= FEWEST_STEPS and bool((steps > 0).all() or (steps < 0).all())


def _unit(cfg: DictConfig, panel: Panel, folder: Path, evident: str, unit: tuple[Fold, int]) -> list[Outcome]:
    """Fit and judge every contender on one fold with one seed; runs in a process of its own.

    Of the first seed of the fold called ``evident``, what the report page draws is kept as well.
    """
    fold, seed = unit
    quiet()
    job: Life = build(cfg.job)(with_seed(cfg, seed))
    outcomes: list[Outcome] = []
    prepared: Prepared | None = None
    for row in job.contenders():
        if seed not in seeds_of(cfg, row.model) or not _applies(job, row, panel, fold):
            continue
        part = part_of(folder, row.label, fold.name, seed)
        outcome = left_behind(part)
        if outcome is None:
            prepared = prepared or job.prepared(panel, fold)
            outcome, fitted = job.judged(panel, row, prepared, fold, part)
            if not outcomes and (fold.name, seed) == (evident, cfg.seed):
                job.keep_evidence(part.parent, panel, prepared, fold, fitted)
            leave_behind(part, outcome, fitted)
        outcomes.append(outcome)
    return outcomes


def _replaced(
    panel: Panel, rows: NDArray[np.bool_], columns: Sequence[str], how: How, rng: np.random.Generator
) -> Panel:
    """Return the panel with some columns of some rows replaced."""
    frame = panel.frame.copy()
    for column in columns:
        frame[column] = replacement(frame[column].to_numpy(dtype=np.float64), rows, how, rng)
    return replace(panel, frame=frame)


def _parquet_of(path: Path) -> pd.DataFrame | None:
    return pd.read_parquet(path) if path.exists() else None


def _brief(cfg: DictConfig) -> DictConfig:
    """Return the settings with everything that trains below features and augmentation cut short."""
    settings: Any = OmegaConf.to_container(cfg)
    for group in ("features", "augmentation"):
        settings[group] = _shortened(settings[group])
    brief = OmegaConf.create(settings)
    assert isinstance(brief, DictConfig)
    return brief


def _shortened(node: Any) -> Any:
    if isinstance(node, dict):
        return {
            key: min(BRIEF[key], value) if key in BRIEF and isinstance(value, int) else _shortened(value)
            for key, value in node.items()
        }
    return [_shortened(value) for value in node] if isinstance(node, list) else node
