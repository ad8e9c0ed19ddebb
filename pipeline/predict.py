"""Forecast with the model of a finished run from a file it has not seen."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from omegaconf import DictConfig, OmegaConf
from safetensors import SafetensorError

from data.contracts import FloatArray, Panel, Windows
from data.panel import DataError, listed
from data.scaling import MEAN
from evaluation.intervals.bounds import OWN
from evaluation.intervals.offsets import ANY, extend, is_offset
from models.blend import Blend
from pipeline.combination import MEMBERS, WEIGHTS_OF, combines, label_of, member_name, weighted
from pipeline.combination import members as combined_rows
from pipeline.fitted import BLEND_WEIGHT, Fitted, below, members, reference_of, rows_of, unfitted
from pipeline.outcome import ERRORS
from pipeline.settings import LIVE
from report.run_folder import RunFolder
from runtime.build import ConfigError, build, check
from runtime.record import WEIGHTS
from runtime.settings import CONF
from tasks.task import NO_AUGMENTATION, Prediction, Task, fact, needs_of

OFFSETS = 1_000_000  # intervals that a run keeps at most
TRAINS, FORECASTS = "models.forecaster.Forecaster", "models.trained.Trained"


class Loaded(NamedTuple):
    """The model of a finished run, ready to forecast as often as it is asked."""

    task: Task
    card: Mapping[str, Any]
    folder: Path
    models: list[Fitted]
    """One a seed."""
    offsets: list[dict[str, Any]]
    """How far intervals reach beyond the run, as the errors of the run have taught it."""
    errors: pd.DataFrame | None
    """Errors of validation rows, by which forecasts are restored to the unit users think in."""

    @property
    def label(self) -> str:
        """What the table of the run calls the model."""
        return self.task.candidates()[0].label

    @property
    def n_components(self) -> int:
        """C, how many components its windows have."""
        return self.task.n_channels(self.models[0].scaling.state())

    def asked(self, panel: Panel) -> list[Windows]:
        """Return the windows a panel is forecast from, one set a model; features are learnt anew with every seed."""
        row = self.task.candidates()[0]
        if all(fitted.features is None for fitted in self.models):
            return [self.task.asked(panel, row, None)] * len(self.models)
        return [self.task.asked(panel, row, fitted.features) for fitted in self.models]

    def forecast(self, panel: Panel, asked: Sequence[Windows]) -> tuple[FloatArray, dict[str, FloatArray]]:
        """Return forecasts ``(n, H)``, the mean over seeds, and the ends of own intervals by column."""
        made, ends = [], []
        for fitted, windows in zip(self.models, asked, strict=True):
            known = rows_of(panel, windows)
            hold = partial(self.task.finish, panel, windows, memory=fitted.memory)
            made.append(hold(fitted.forecast(windows, known)))
            ends.append({name: hold(end) for name, end in fitted.own_intervals(windows, known).items()})
        return np.mean(made, axis=0), {name: np.mean([one[name] for one in ends], axis=0) for name in ends[0]}

    def predict(self, source: Any) -> Prediction:
        """Forecast what a source reads, with intervals and the reference forecast beside it."""
        task, data = self.task, self.card["data"]
        label = self.label
        reference = next(row for row in task.candidates() if row.label == task.reference)
        panel = task.read(source, data)
        asked = self.asked(panel)
        windows = asked[-1]
        forecast, ends = self.forecast(panel, asked)
        told = {label: forecast}
        seen = windows if reference.lookback is None else task.asked(panel, reference, None)
        naive = unfitted(task.cfg, reference.model, seen.past.shape[2], reference.lookback)
        if not naive.model.state():  # a reference that learns from training rows is not kept with the run
            told.setdefault(reference.label, naive.forecast(seen, rows_of(panel, seen)))
        together, beside = _combination(task, panel, self.folder)
        found = task.predicted(panel, windows, told | together, data)
        offsets, scaled = _for_file(self.offsets, panel, data, label) if not ends else (self.offsets, [])
        table = task.restored_ahead(panel, _with_intervals(found.table, label, ends, offsets), self.errors)
        notes = [*panel.notes, *found.notes, *scaled, *beside, *_leak_note(label, self.card)]
        kept = {column: name for column, name in found.columns.items() if name}
        dropped = [column for column, name in found.columns.items() if not name]
        return found._replace(table=table.drop(columns=dropped).rename(columns=kept), notes=notes)


def predict(cfg: DictConfig, card: Mapping[str, Any], folder: Path, source: DictConfig) -> Prediction:
    """Forecast what a source reads with the model of a finished run."""
    return loaded(cfg, card, folder).predict(build(source))


def loaded(cfg: DictConfig, card: Mapping[str, Any], folder: Path) -> Loaded:
    """Return the model of a finished run, whose settings have been checked."""
    task: Task = build(cfg.task)(cfg)
    run = RunFolder(folder)
    offsets = run.artifact("intervals.json") or []
    if not isinstance(offsets, list) or len(offsets) > OFFSETS or not all(map(is_offset, offsets)):
        raise DataError(f"{folder}/artifacts/intervals.json is damaged: it holds no intervals.  Train the run again.")
    return Loaded(
        task,
        card,
        folder,
        trained(task, folder),
        offsets,
        run.artifact(ERRORS, ["model", "fold", "step", "error"]),
    )


def without_training(cfg: DictConfig) -> DictConfig:
    """Return the settings of a run without what only trains it: Lightning is not imported to forecast."""
    settings: Any = OmegaConf.to_container(cfg)
    settings |= {"trainer": None, "callbacks": None}
    settings["augmentation"] = {"_target_": NO_AUGMENTATION}
    baselines = settings.get("baselines")
    for node in (settings.get("model"), *(baselines.values() if isinstance(baselines, dict) else ())):
        if isinstance(node, dict) and node.get("_target_") == TRAINS:
            node["_target_"] = FORECASTS
    kept = OmegaConf.create(settings)
    assert isinstance(kept, DictConfig)
    return kept


def _combination(task: Task, panel: Panel, folder: Path) -> tuple[dict[str, FloatArray], list[str]]:
    """Return the forecasts of the combination of a run by its label, and what must be said; nothing without one."""
    if not combines(task.cfg):
        return {}, []
    entries, path = RunFolder(folder).artifact(WEIGHTS_OF) or [], folder / MEMBERS
    tensors = members(path) if path.is_file() else {}
    rows, label = {row.label: row for row in combined_rows(task)}, label_of(task.cfg)
    made = []
    for entry in entries:
        forecasts = {}
        for name in (name for name, weight in entry["weights"].items() if weight > 0):
            row = rows.get(name)
            if row is None:
                raise DataError(f"{folder} combines {name}, which is no model of its settings.  Train the run again.")
            windows = task.asked(panel, row, None)
            own = tensors.get(member_name(row, entry["seed"])) or tensors.get(member_name(row, task.cfg.seed))
            n_extra = 0 if own is None else len(below("scaling", own).get(MEAN, ()))
            fresh = unfitted(task.cfg, row.model, windows.past.shape[2], row.lookback, n_extra)
            if own is None and fresh.model.state():
                return {}, [f"{label} is left out: no weights of {name} are kept with the run."]
            blend = Blend(1.0, reference_of(task)) if own is not None and BLEND_WEIGHT in own else None
            fitted = fresh if own is None else fresh._replace(blend=blend).load_state(own)
            forecasts[name] = task.finish(panel, windows, fitted.forecast(windows, rows_of(panel, windows)))
        made.append(weighted(forecasts, {name: entry["weights"][name] for name in forecasts}))
    return ({label: np.mean(made, axis=0)} if made else {}), []


def trained(task: Task, folder: Path) -> list[Fitted]:
    """Return the model of a finished run, one a seed, each loaded into a fresh one.

    Raises
    ------
    DataError
        If the run kept no weights, or they are damaged or of other settings.
    """
    cfg, row, path = task.cfg, task.candidates()[0], folder / WEIGHTS
    if not needs_of(row).scaled:
        naive = unfitted(cfg, row.model, 1, row.lookback)
        if needs_of(row).state and not naive.model.state():  # nothing is learnt, so nothing is missing
            return [naive]
    if not path.is_file():
        raise DataError(
            f"{folder} holds no weights ({WEIGHTS}): its model keeps none that a file could hold without running "
            f"code.  Train a network or ridge."
        )
    try:
        return [_loaded(task, tensors) for tensors in members(path).values()]
    except (SafetensorError, RuntimeError, KeyError, ValueError, IndexError) as error:
        raise DataError(f"{path} cannot be used ({str(error).splitlines()[0]}).  Train the run again.") from None


def _loaded(task: Task, tensors: Mapping[str, Any]) -> Fitted:
    """Build the model of a run anew and give it what was kept."""
    cfg = task.cfg
    row = task.candidates()[0]
    scaling = below("scaling", tensors)
    n_extra = len(scaling.get(MEAN, ()))
    fresh = unfitted(cfg, row.model, task.n_channels(scaling) if needs_of(row).scaled else 1, n_extra=n_extra)
    features = build(cfg.features) if cfg.get("features") is not None else None
    blend = Blend(1.0, reference_of(task)) if BLEND_WEIGHT in tensors else None
    return fresh._replace(features=features, blend=blend).load_state(tensors)


def _for_file(
    offsets: list[dict[str, Any]], panel: Panel, data: Mapping[str, Any], label: str
) -> tuple[list[dict[str, Any]], list[str]]:
    """Return the reach of intervals around the series of a file, and say where it is not taken from its own errors.

    Of a run on one series the errors are known, those on a file of another name are not: their size goes with that of
    the moves of a series, which both files tell.
    """
    own = [offset for offset in offsets if offset["model"] == label]
    names = {offset["unique_id"] for offset in own}
    moves = panel.frame.groupby("unique_id", sort=False)["y"].agg(lambda y: float(np.abs(np.diff(y)).mean()))
    strangers = [str(name) for name in moves.index if name not in names]
    if not own or ANY in names or not strangers:
        return offsets, []
    if len(names) > 1:
        return offsets, [f"There is no interval of {listed(strangers)}: the run knows no errors on series so called."]
    (known,) = names
    factors = {str(name): change / float(fact(data, "change")) for name, change in moves.items()}
    made = [
        offset
        | {
            "unique_id": name,
            "lo": [factor * end for end in offset["lo"]],
            "hi": [factor * end for end in offset["hi"]],
        }
        for name, factor in factors.items()
        for offset in own
    ]
    told = listed(f"{factors[name]:.2f} for {name}" for name in strangers)
    return made, [
        f"The intervals rest on the errors of the run on {known}, times how much more a series moves in a step: {told}."
    ]


def _with_intervals(
    table: pd.DataFrame, label: str, ends: Mapping[str, FloatArray], offsets: list[dict[str, Any]]
) -> pd.DataFrame:
    """Put the intervals a model has learnt itself, or else those its errors have taught, behind the forecasts."""
    if ends:
        return table.assign(**{name.removeprefix(OWN): end.ravel() for name, end in ends.items()})
    widened = extend(table.assign(model=label, y_hat=table[label]), offsets)
    return table.join(widened[[column for column in widened if str(column).startswith(("lo_", "hi_"))]])


def _leak_note(label: str, card: Mapping[str, Any]) -> list[str]:
    if card["audit"]["verdict"] != "LEAKS":
        return []
    said = card["audit"].get("sentence", "")
    return [
        f"{label} was trained under a protocol that leaks, on inputs a forecast cannot have: expect far larger errors "
        f"than its table shows.  ({said})"
    ]


def source_of(cfg: DictConfig, given: Mapping[str, Any] | None) -> DictConfig:
    """Return the source of the run or, where a file is given, one that reads it, with the run's column names.

    Raises
    ------
    ConfigError
        If an option is given that the source does not have.
    """
    check(cfg, LIVE)  # before anything of it is built: it may be somebody else's
    task: Task = build(cfg.task)(cfg)
    own: DictConfig = cfg.source
    if given is None:
        return own
    node = OmegaConf.load(Path(CONF) / "source" / f"{task.any_file}.yaml")
    assert isinstance(node, DictConfig)
    if own._target_ == node._target_:
        node.merge_with(own)
        if "cells" in node:
            node.cells = None  # those of the run; a new file has others
    unknown = [str(key) for key in given if key not in list(node)]
    if unknown:
        options = ", ".join(map(str, list(node)[1:]))
        raise ConfigError(f"source.{unknown[0]} is not known; a file takes {options}.")
    node.merge_with(given)
    return node
