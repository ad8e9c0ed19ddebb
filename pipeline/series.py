"""Put the pieces of an experiment together: what train.py and predict.py share."""

import json
import pickle
import shutil
import time
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytorch_lightning as pl
import torch
from hydra.utils import get_object
from omegaconf import DictConfig, OmegaConf
from safetensors.numpy import load_file, save_file

from data.cached import CachedScope
from data.calendar import pace
from data.contracts import (
    TEST,
    TRAIN,
    VALIDATION,
    Decomposition,
    FloatArray,
    Fold,
    Outcome,
    Panel,
    Scaling,
    Scope,
    Windows,
)
from data.datamodule import FoldData
from data.panel import DataError, fingerprint
from data.windows import cut, select
from evaluation.metrics import naive_scale
from evaluation.report import Subject
from models.forecaster import Forecaster
from runtime.build import build
from runtime.cache import ArrayCache
from runtime.history import History
from runtime.progress import EpochBar
from runtime.record import UNFINISHED, WEIGHTS, surroundings, write_json
from runtime.resume_point import ResumePoint

FROM_DATA = {"n_components", "lookback", "horizon"}
LIVE = {"model": FROM_DATA, "baselines.*": FROM_DATA, "trainer": {"callbacks"}}
"""Parameters that are known only when the data are, by key of the configuration."""

IDENTITY = OmegaConf.create({"_target_": "data.decomposition.identity.Identity"})
PERSISTENCE = OmegaConf.create({"_target_": "models.classical.Persistence", "label": "Persistence"})
CHUNK = 1024                            # windows forecast at once


class Contender(NamedTuple):
    """A model on a decomposition: one row of the table."""

    label: str
    decomposition: DictConfig
    model: DictConfig


class Fitted(NamedTuple):
    """A model that forecasts, with the scaling it was trained under."""

    model: Any
    scaling: Scaling

    def forecast(self, windows: Windows) -> FloatArray:
        """Map windows to forecasts ``(n, H)`` in the unit of ``y``."""
        if not self.model.scaled:
            forecast: FloatArray = self.model.predict(windows)
            return forecast
        batch = self.scaling.transform(windows)
        trained = isinstance(self.model, Forecaster)
        scaled = _forward(self.model, batch.past) if trained else self.model.predict(batch)     # (K, n, H)
        return self.model.component.restore(scaled, windows, self.scaling)

    def save(self, path: Path) -> None:
        """Write weights and scaling as tensors; nothing in the file can run code."""
        own = self.model.state_dict() if isinstance(self.model, Forecaster) else self.model.state()
        tensors = {f"model/{name}": _numpy(value) for name, value in own.items()}
        tensors |= {f"scaling/{name}": _numpy(value) for name, value in self.scaling.state().items()}
        unfinished = path.with_suffix(".part")
        save_file(tensors, unfinished)
        unfinished.replace(path)

    def load(self, path: Path) -> "Fitted":
        """Take the weights and the scaling of a file."""
        tensors = load_file(path)
        own = {name.removeprefix("model/"): value for name, value in tensors.items() if name.startswith("model/")}
        if isinstance(self.model, Forecaster):
            self.model.load_state_dict({name: torch.from_numpy(value) for name, value in own.items()})
        else:
            self.model.load_state(own)
        self.scaling.load_state(
            {name.removeprefix("scaling/"): value for name, value in tensors.items() if name.startswith("scaling/")}
        )
        return self


def contenders(cfg: DictConfig) -> list[Contender]:
    """Return the model, its baselines and persistence, each label once."""
    name = cfg.names.decomposition
    prefix = "" if name == "identity" or _is_naive(cfg.model) else f"{name.upper().replace('_', '-')}-"
    rows = [Contender(prefix + cfg.model.label, cfg.decomposition, cfg.model)]
    rows += [Contender(node.label, IDENTITY, node) for node in cfg.baselines.values()]
    rows += [Contender(PERSISTENCE.label, IDENTITY, PERSISTENCE)]
    return list({row.label: row for row in reversed(rows)}.values())[::-1]


def prepare(cfg: DictConfig, panel: Panel, decomposition: DictConfig) -> Windows:
    """Return all windows of the panel, from the cache where they have been cut before."""
    work = build(cfg.parallel).map
    return cut(panel, build(decomposition), scope(cfg, decomposition), cfg.lookback, cfg.horizon, work)


def scope(cfg: DictConfig, decomposition: DictConfig) -> Scope:
    """Return the scope of a run, which decomposes a series once and remembers it."""
    settings = {"scope": _plain(cfg.scope), "decomposition": _plain(decomposition)}
    return CachedScope(build(cfg.scope), ArrayCache(), settings)


def leaks(cfg: DictConfig, decomposition: DictConfig) -> bool:
    """Say whether the inputs of a forecast are shaped by what comes after it."""
    built: Decomposition = build(decomposition)
    return not build(cfg.scope).causal and not getattr(built, "pointwise_causal", False)


def judge(
    cfg: DictConfig, panel: Panel, contender: Contender, windows: Windows, fold: Fold, folder: Path
) -> Outcome:
    """Fit a contender on one fold and forecast its test rows, or read what an interrupted run left.

    Parameters
    ----------
    windows : Windows
        All of the panel, on the contender's decomposition.
    folder : Path
        Of the run; the finished part and the checkpoint of an unfinished one are kept there.

    Raises
    ------
    DataError
        If the fold has no window to learn from or to be judged by.
    """
    part = _part(folder, contender.label, fold.name)
    if (done := _left_behind(part)) is not None:
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
    fitted, losses = fit(cfg, contender, train, validation, part.with_suffix(".ckpt"))
    held_out = np.abs(fitted.forecast(validation) - validation.y).mean() if len(validation.y) else None
    outcome = Outcome(
        model=contender.label,
        fold=fold.name,
        forecasts=table(panel, test, contender.label, fitted.forecast(test)),
        validation_mae=None if held_out is None else float(held_out),
        losses=losses,
        seconds=time.perf_counter() - began,
    )
    _leave_behind(part, outcome, fitted)
    return outcome


def fit(
    cfg: DictConfig, contender: Contender, train: Windows, validation: Windows, checkpoint: Path
) -> tuple[Fitted, list[dict[str, float]]]:
    """Fit one model and return it with its losses; go on from ``checkpoint`` where there is one."""
    pl.seed_everything(cfg.seed, workers=True, verbose=False)
    if cfg.threads is not None:
        torch.set_num_threads(cfg.threads)
    fitted = unfitted(cfg, contender.model, n_components=train.past.shape[2])
    if not fitted.model.scaled:
        return fitted, []
    fitted.scaling.fit(train)
    batch = fitted.scaling.transform(train)
    if not isinstance(fitted.model, Forecaster):
        fitted.model.fit(batch)
        return fitted, []
    history = History()
    callbacks = [build(node) for node in cfg.callbacks.values()]
    callbacks += [history, EpochBar(contender.label), ResumePoint(checkpoint)]
    trainer: pl.Trainer = build(cfg.trainer, callbacks=callbacks)
    data = FoldData(batch, fitted.scaling.transform(validation), cfg.batch_size, cfg.seed)
    trainer.fit(fitted.model, data, ckpt_path=_readable(checkpoint), weights_only=True)
    return fitted, history.epochs or _epochs_in(checkpoint)


def _epochs_in(checkpoint: Path) -> list[dict[str, float]]:
    """Return the losses other processes have kept, where they did the training."""
    kept = torch.load(checkpoint, map_location="cpu", weights_only=True)
    return list(kept["callbacks"]["History"]["epochs"])


def unfitted(cfg: DictConfig, model: DictConfig, n_components: int) -> Fitted:
    """Build a model and its scaling."""
    built = build(model, n_components=n_components, lookback=cfg.lookback, horizon=cfg.horizon)
    return Fitted(built, build(cfg.scaling))


def table(panel: Panel, windows: Windows, label: str, forecast: FloatArray) -> pd.DataFrame:
    """Return forecasts ``(n, H)`` as a long table, one row a target."""
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
    )


def describe(cfg: DictConfig, panel: Panel, folds: list[Fold]) -> Subject:
    """Return what a report says about a run besides its forecasts."""
    rows = contenders(cfg)
    known = panel.frame[folds[0].role == TRAIN]
    first, series = list(panel.series())[-1]
    decomposition: Decomposition = build(cfg.decomposition)
    history = getattr(build(cfg.scope), "history", series.size)
    seen = series[-history:] if build(cfg.scope).causal else series
    return Subject(
        experiment=cfg.names.experiment,
        dataset=cfg.names.source,
        title=panel.name,
        unit=panel.unit,
        seed=cfg.seed,
        model=rows[0].label,
        leaking=frozenset(row.label for row in rows if leaks(cfg, row.decomposition)),
        naive_error=naive_scale(known),
        dates=panel.frame["ds"].iloc[first + series.size - seen.size : first + series.size],
        components=decomposition(seen),
        test_start=_first_tested(panel, folds, first + series.size - seen.size),
    )


def _first_tested(panel: Panel, folds: list[Fold], begin: int) -> object:
    tested = np.flatnonzero(folds[0].role[begin:] == TEST)
    return panel.frame["ds"].iloc[begin + tested[0]] if tested.size and tested[0] > 0 else None


def opening(panel: Panel, folds: list[Fold]) -> str:
    """Return one line on the data a run learns from and is judged by."""
    role = folds[-1].role
    counts = ", ".join(
        f"{int((role == value).sum())} {name}"
        for name, value in (("train", TRAIN), ("validation", VALIDATION), ("test", TEST))
    )
    dates = panel.frame["ds"]
    n_series = panel.frame["unique_id"].nunique()
    refits = f" in the last of {len(folds)} refits" if len(folds) > 1 else ""
    return (
        f"{panel.name}: {n_series} series, {len(panel.frame)} rows, {_day(dates.min())} .. {_day(dates.max())}; "
        f"{counts} targets{refits}"
    )


def closing(outcome: Outcome) -> str:
    """Return one line on a part that is done."""
    held_out = "" if outcome.validation_mae is None else f"  validation MAE {outcome.validation_mae:.4g}"
    epochs = f"  {len(outcome.losses)} epochs" if outcome.losses else ""
    return f"{outcome.model:<24} {outcome.fold}  {outcome.seconds:6.1f} s{epochs}{held_out}"


def keep(cfg: DictConfig, folder: Path, panel: Panel, outcomes: list[Outcome]) -> None:
    """Write the run card, and the weights of the run's model after its last fold."""
    rows = contenders(cfg)
    spacing, change = pace(panel)
    card = surroundings() | {
        "seed": cfg.seed,
        "data": {
            "name": panel.name,
            "rows": len(panel.frame),
            "sha256": fingerprint(panel),
            "spacing": spacing,
            "change": change,
        },
        "leaks": {row.label: leaks(cfg, row.decomposition) for row in rows},
        "seconds": {f"{outcome.model}, {outcome.fold}": round(outcome.seconds, 2) for outcome in outcomes},
    }
    write_json(folder / "run.json", card)
    last = [outcome for outcome in outcomes if outcome.model == rows[0].label][-1]
    weights = _part(folder, last.model, last.fold).with_suffix(".safetensors")
    if weights.exists():
        shutil.copyfile(weights, folder / WEIGHTS)


def _part(folder: Path, label: str, fold: str) -> Path:
    """Return where a contender's work on a fold is left, without its suffix."""
    safe = ("".join(letter if letter.isalnum() else "-" for letter in text.lower()) for text in (label, fold))
    return folder / UNFINISHED / "_".join(safe)


def _leave_behind(part: Path, outcome: Outcome, fitted: Fitted) -> None:
    """Write a finished part; the JSON comes last, so where it is the rest is whole."""
    if fitted.model.scaled:
        fitted.save(part.with_suffix(".safetensors"))
    outcome.forecasts.to_parquet(part.with_suffix(".parquet"), index=False)
    rest = {name: value for name, value in outcome._asdict().items() if name != "forecasts"}
    write_json(part.with_suffix(".json"), rest)
    part.with_suffix(".ckpt").unlink(missing_ok=True)


def _left_behind(part: Path) -> Outcome | None:
    """Read a part an interrupted run had finished."""
    if not part.with_suffix(".json").exists():
        return None
    rest = json.loads(part.with_suffix(".json").read_text(encoding="utf-8"))
    return Outcome(forecasts=pd.read_parquet(part.with_suffix(".parquet")), **rest)


def _readable(checkpoint: Path) -> Path | None:
    """Return the checkpoint to go on from; one that cannot be read is said to be so and dropped."""
    if not checkpoint.exists():
        return None
    try:
        torch.load(checkpoint, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        warnings.warn(f"{checkpoint} cannot be read ({reason}); this training starts again.", stacklevel=2)
        checkpoint.unlink()
        return None
    return checkpoint


def _forward(model: Forecaster, past: FloatArray) -> FloatArray:
    model.eval()
    tensor = torch.as_tensor(past, dtype=torch.float32)
    with torch.inference_mode():
        parts = [model(chunk.to(model.device)).cpu() for chunk in tensor.split(CHUNK)]
    return torch.cat(parts, dim=1).double().numpy()                     # (K, n, H)


def _is_naive(node: DictConfig) -> bool:
    return not get_object(node._target_).scaled


def _day(date: Any) -> str:
    return f"{date:%Y-%m-%d}" if isinstance(date, pd.Timestamp) else str(date)


def _numpy(value: Any) -> np.ndarray:
    return np.ascontiguousarray(value.cpu().numpy() if isinstance(value, torch.Tensor) else value)


def _plain(node: DictConfig) -> Mapping[str, Any]:
    plain: Mapping[str, Any] = OmegaConf.to_container(node, resolve=True)  # type: ignore[assignment]
    return plain
