"""Forecast with the model of a finished run from a file it has not seen."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from omegaconf import DictConfig, OmegaConf
from safetensors import SafetensorError

from data.contracts import FloatArray
from data.panel import DataError
from evaluation.intervals.bounds import OWN
from evaluation.intervals.offsets import extend
from models.blend import Blend
from pipeline.fitted import BLEND_WEIGHT, Fitted, below, members, unfitted
from pipeline.fitting import reference_of, rows_of
from pipeline.results import ERRORS
from pipeline.settings import LIVE
from report.run_folder import RunFolder
from runtime.build import ConfigError, build, check
from runtime.command_line import CONF
from runtime.record import WEIGHTS
from tasks.task import Prediction, Task, needs_of


def predict(cfg: DictConfig, card: Mapping[str, Any], folder: Path, source: DictConfig) -> Prediction:
    """Forecast what a source reads, with intervals and the reference forecast beside it."""
    task: Task = build(cfg.task)(cfg)
    rows = task.candidates()
    row, reference = rows[0], next(one for one in rows if one.label == task.reference)
    panel = task.read(build(source), card["data"])
    models = trained(task, folder)
    forecasts, ends = [], []
    for fitted in models:
        windows = task.asked(panel, row, fitted.features)
        known = rows_of(panel, windows)
        forecasts.append(task.finish(panel, windows, fitted.forecast(windows, known)))
        ends.append(fitted.own_intervals(windows, known))
    told = {row.label: np.mean(forecasts, axis=0)}
    seen = windows if reference.lookback is None else task.asked(panel, reference, None)
    naive = unfitted(cfg, reference.model, seen.past.shape[2], reference.lookback)
    if not naive.model.state():  # a reference that learns from training rows is not kept with the run
        told.setdefault(reference.label, naive.forecast(seen, known))
    found = task.predicted(panel, windows, told, card["data"])
    table = _with_intervals(found.table, row.label, ends, folder)
    errors = RunFolder(folder).artifact(ERRORS, ["model", "fold", "step", "error"])
    table = task.restored_ahead(panel, table, errors)
    notes = [*panel.notes, *found.notes, *_leak_note(row.label, card)]
    kept = {column: name for column, name in found.columns.items() if name}
    table = table.drop(columns=[column for column, name in found.columns.items() if not name]).rename(columns=kept)
    return found._replace(table=table, notes=notes)


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
    fresh = unfitted(cfg, row.model, task.n_channels(below("scaling", tensors)) if needs_of(row).scaled else 1)
    features = build(cfg.features) if cfg.get("features") is not None else None
    blend = Blend(1.0, reference_of(task)) if BLEND_WEIGHT in tensors else None
    return fresh._replace(features=features, blend=blend).load_state(tensors)


def _with_intervals(table: pd.DataFrame, label: str, ends: list[dict[str, FloatArray]], folder: Path) -> pd.DataFrame:
    """Put the intervals a model has learnt itself, or else those its errors have taught, behind the forecasts."""
    if ends[0]:
        bounds = {name.removeprefix(OWN): np.mean([one[name] for one in ends], axis=0).ravel() for name in ends[0]}
        return table.assign(**bounds)
    latest = RunFolder(folder).artifact("intervals.json") or []
    widened = extend(table.assign(model=label, y_hat=table[label]), latest)
    return table.join(widened[[column for column in widened if str(column).startswith(("lo_", "hi_"))]])


def _leak_note(label: str, card: Mapping[str, Any]) -> list[str]:
    if card["audit"]["verdict"] != "LEAKS":
        return []
    return [
        f"{label} was trained under a protocol that leaks, on inputs a forecast cannot have: expect far larger errors "
        f"than its table shows.  ({card['audit']['sentence']})"
    ]


def source_of(cfg: DictConfig, given: DictConfig | None) -> DictConfig:
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
