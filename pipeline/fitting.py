"""Fit one candidate on one fold."""

import hashlib
import pickle
import time
import warnings
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytorch_lightning as pl
import torch
from omegaconf import DictConfig, OmegaConf

from data.contracts import TEST, TRAIN, VALIDATION, Batch, FloatArray, Fold, Panel, Windows
from data.datamodule import FoldData
from data.gathered import behind, blocks_of
from data.panel import DataError
from data.windows import newest
from models.allocation import Quantiles
from models.blend import Blend, blended, blending_weight
from models.forecaster import Forecaster
from models.model import Inputs, Model, Refittable
from models.restored_error import RestoredError
from pipeline.fitted import Fitted, reference_of, rows_of, scaling_of, unfitted
from pipeline.outcome import Outcome
from runtime.build import ConfigError, build
from runtime.epoch_bar import EpochBar
from runtime.history import History
from runtime.progress import alive, watched
from runtime.resume_point import ResumePoint
from tasks.task import NO_AUGMENTATION, Candidate, Prepared, Task, needs_of

AUTO = "data.augmentation.auto.Auto"
NONE = "none"
Losses = list[dict[str, float]]


class Parts(NamedTuple):
    """The windows of one fold, by their role."""

    train: Windows
    validation: Windows
    test: Windows


class Validated(NamedTuple):
    """A model judged on validation rows alone."""

    mae: float
    """Mean absolute error in the unit of ``y``; not finite where the training diverged."""
    losses: Losses
    seconds: float
    """Wall time of fit and forecast."""


class Learnt(NamedTuple):
    """A model that has learnt."""

    fitted: Fitted
    losses: Losses
    batch: Batch | None
    """What it was fitted on, synthetic windows among it, also where they were on trial and are not kept; None for
    models that take windows as they are."""
    digest: str
    """Of the real windows it was fitted on and of those it was chosen by."""
    held_out: FloatArray | None = None
    """``(m, H)`` forecasts of the validation windows, once everything is chosen; refitting does not change them."""
    augmented: bool | None = None
    """Whether synthetic windows were kept, where they were on trial."""


def parts_of(task: Task, panel: Panel, fold: Fold, prepared: Prepared) -> Parts:
    """Return the windows of each role.

    Raises
    ------
    DataError
        If there is none to learn from or to be tested.
    """
    parts = Parts(*(task.select(prepared.windows, fold, role) for role in (TRAIN, VALIDATION, TEST)))
    for role, chosen in (("train", parts.train), ("test", parts.test)):
        if not len(chosen.origin):
            raise DataError(
                f"{panel.name} leaves no {role} window in the fold {fold.name!r}: the first window ends after "
                f"scope.history (or lookback) steps and needs all {task.cfg.horizon} targets in one part.  Give "
                f"longer series or cells, or lower scope.history, lookback or horizon."
            )
    return parts


def evaluated(
    task: Task,
    panel: Panel,
    fold: Fold,
    candidate: Candidate,
    prepared: Prepared,
    checkpoint: Path,
    extra: Sequence[pl.Callback] = (),
) -> tuple[Outcome, Fitted]:
    """Fit a candidate on one fold and forecast its validation and test rows; ``extra`` callbacks watch the training."""
    began = time.perf_counter()
    parts = parts_of(task, panel, fold, prepared)
    learnt = learn(task, panel, fold, candidate, prepared, parts, checkpoint, extra)
    fitted, held_out = learnt.fitted, learnt.held_out
    assert held_out is not None
    fitted = refit(task, panel, fold, candidate, prepared, learnt, checkpoint) or fitted
    tested = finished(task, panel, fitted, parts.test)
    ends = fitted.own_intervals(parts.test, rows_of(panel, parts.test))
    ends = {name: task.finish(panel, parts.test, end, fitted.memory) for name, end in ends.items()}
    hidden = [_of_later(task, panel, candidate, fitted, windows) for windows in task.later(panel, fold, prepared)]
    outcome = Outcome(
        model=candidate.label,
        fold=fold.name,
        forecasts=task.table(panel, parts.test, candidate.label, tested, ends),
        calibration=task.table(panel, parts.validation, candidate.label, held_out, {}),
        validation_mae=float(np.abs(held_out - parts.validation.y).mean()) if len(held_out) else None,
        losses=learnt.losses,
        seed=task.cfg.seed,
        learnt_from=learnt.digest,
        augmented=learnt.augmented,
        weight=None if fitted.blend is None else fitted.blend.weight,
        lookback=fitted.lookback,
        memory=fitted.memory,
        seconds=time.perf_counter() - began,
        later=pd.concat(hidden, ignore_index=True) if hidden else pd.DataFrame(),
    )
    return outcome, fitted


def _of_later(task: Task, panel: Panel, candidate: Candidate, fitted: Fitted, windows: Windows) -> pd.DataFrame:
    """Return the forecasts of windows whose records begin later, and how many cycles are hidden from them."""
    forecast = finished(task, panel, fitted, windows)
    return task.table(panel, windows, candidate.label, forecast, {}).assign(start=windows.start)


def finished(task: Task, panel: Panel, fitted: Fitted, windows: Windows) -> FloatArray:
    """Return the forecasts ``(n, H)`` of a model, held to what the target can be."""
    return task.finish(panel, windows, fitted.forecast(windows, rows_of(panel, windows)), fitted.memory)


def validated(
    task: Task,
    panel: Panel,
    fold: Fold,
    candidate: Candidate,
    prepared: Prepared,
    checkpoint: Path,
    extra: Sequence[pl.Callback] = (),
) -> Validated:
    """Fit a candidate on one fold and forecast its validation rows alone: what settings may be chosen by.

    Raises
    ------
    DataError
        If there is no training or no validation window.
    """
    began = time.perf_counter()
    train, held_out = (task.select(prepared.windows, fold, role) for role in (TRAIN, VALIDATION))
    for role, windows in (("train", train), ("validation", held_out)):
        if not len(windows.origin):
            raise DataError(f"{panel.name} leaves no {role} window in the fold {fold.name!r} to choose settings by.")
    nothing = held_out.take(np.zeros(len(held_out.origin), dtype=bool))
    learnt = learn(task, panel, fold, candidate, prepared, Parts(train, held_out, nothing), checkpoint, extra)
    assert learnt.held_out is not None
    error = float(np.abs(learnt.held_out - held_out.y).mean())
    return Validated(error, learnt.losses, time.perf_counter() - began)


def learn(
    task: Task,
    panel: Panel,
    fold: Fold,
    candidate: Candidate,
    prepared: Prepared,
    parts: Parts,
    checkpoint: Path,
    extra: Sequence[pl.Callback] = (),
) -> Learnt:
    """Fit a model; of several lookbacks it keeps the one that errs least on validation rows, without any the longest.

    The digest is that of the longest windows, of which the others are parts.

    Parameters
    ----------
    extra : sequence of Callback
        They watch the training of a network where it is one: not those of several lookbacks or ``augmentation=auto``.
    """
    if not candidate.lookbacks:
        learnt = fit(task, panel, candidate, prepared, parts, fold, checkpoint, extra)
        return _settled(task, panel, fold, candidate, parts, learnt)
    tried = []
    for lookback in candidate.lookbacks if len(parts.validation.origin) else candidate.lookbacks[-1:]:
        seen = Parts(*(newest(windows, lookback) for windows in parts))
        own, row = checkpoint.with_name(f"{checkpoint.stem}_{lookback}.ckpt"), candidate._replace(lookback=lookback)
        learnt = fit(task, panel, row, prepared, seen, fold, own)
        own.unlink(missing_ok=True)
        learnt = learnt._replace(fitted=learnt.fitted._replace(lookback=lookback))
        tried.append((_error(learnt, panel, parts.validation), lookback, learnt))
    *_, (_, _, longest) = tried
    _, _, learnt = min(tried, key=lambda one: one[:2])
    return _settled(task, panel, fold, candidate, parts, learnt._replace(digest=longest.digest))


def _error(learnt: Learnt, panel: Panel, windows: Windows) -> float:
    """Return the mean absolute error of forecasts [unit of y]; infinite where one is no number or there is none."""
    if not len(windows.origin):
        return np.inf
    error = float(np.abs(learnt.fitted.forecast(windows, rows_of(panel, windows)) - windows.y).mean())
    return error if np.isfinite(error) else np.inf


def fit(
    task: Task,
    panel: Panel,
    candidate: Candidate,
    prepared: Prepared,
    parts: Parts,
    fold: Fold,
    checkpoint: Path,
    extra: Sequence[pl.Callback] = (),
) -> Learnt:
    """Fit a model; with ``augmentation=auto`` twice, and keep the one that errs less on validation rows.

    Raises
    ------
    ConfigError
        If synthetic windows are on trial and nothing is held out to judge them.
    """
    cfg = task.cfg
    if not needs_of(candidate).scaled or cfg.augmentation._target_ != AUTO:
        return _fit(task, cfg, panel, fold, candidate, prepared, parts, checkpoint, extra)
    if not len(parts.validation.origin):
        raise ConfigError("augmentation=auto needs validation rows to judge by; hold some out in split.validation.")
    tried = []
    for number, node in enumerate((OmegaConf.create({"_target_": NO_AUGMENTATION}), cfg.augmentation.inner)):
        settings = cfg.copy()
        settings.augmentation = node
        own = checkpoint.with_name(f"{checkpoint.stem}_{number}.ckpt")
        learnt = _fit(task, settings, panel, fold, candidate, prepared, parts, own)
        own.unlink(missing_ok=True)
        tried.append((_error(learnt, panel, parts.validation), number, learnt))
    _, number, learnt = min(tried, key=lambda one: one[:2])
    return learnt._replace(augmented=bool(number), batch=tried[-1][2].batch)


def _settled(task: Task, panel: Panel, fold: Fold, candidate: Candidate, parts: Parts, learnt: Learnt) -> Learnt:
    """Choose on validation rows what is done to forecasts: their share, and how far back they are averaged."""
    held_out = parts.validation
    own = learnt.fitted.forecast(held_out, rows_of(panel, held_out))
    fitted, forecast = _blended(task, panel, fold, parts, learnt.fitted, own)
    memory = task.memory(panel, held_out, candidate.label, forecast)
    settled = task.finish(panel, held_out, forecast, memory)
    return learnt._replace(fitted=fitted._replace(memory=memory), held_out=settled)


def _blended(
    task: Task, panel: Panel, fold: Fold, parts: Parts, fitted: Fitted, own: FloatArray
) -> tuple[Fitted, FloatArray]:
    """Weigh a model that has learnt from scaled windows against the reference, by its ``own`` validation forecasts.

    Left alone: naive models, quantiles (whose intervals are their own), and all where nothing is held out.
    """
    held_out = parts.validation
    if task.cfg.blend == "none" or not fitted.model.needs.scaled or isinstance(fitted.model.component, Quantiles):
        return fitted, own
    if not len(held_out.origin):
        return fitted, own
    reference, simple = by_reference(task, panel, fold, parts.train, held_out)
    blend = Blend(blending_weight(held_out.y, own, simple), reference)
    return fitted._replace(blend=blend), blended(own, simple, blend.weight)


def by_reference(task: Task, panel: Panel, fold: Fold, train: Windows, windows: Windows) -> tuple[Model, FloatArray]:
    """Fit the forecast anyone can make on training windows; return it and its forecasts ``(n, H)`` of others."""
    reference, asked = reference_of(task), rows_of(panel, windows)
    reference.fit(Inputs(train, None, _training_rows(panel, fold)), Inputs(windows, None, asked))
    return reference, reference.predict(Inputs(windows, None, asked))


def _training_rows(panel: Panel, fold: Fold) -> pd.DataFrame:
    """Return ``unique_id``, ``ds`` (of cells their age) and ``y`` of all training rows."""
    return panel.frame.assign(ds=panel.ages()).loc[np.asarray(fold.role == TRAIN), ["unique_id", "ds", "y"]]


def refit(
    task: Task, panel: Panel, fold: Fold, candidate: Candidate, prepared: Prepared, learnt: Learnt, checkpoint: Path
) -> Fitted | None:
    """Let a model learn from validation rows as well, for what is forecast after them; None where it does not.

    Its settings were chosen, and its validation forecasts made, before; the scaling stays that of the training rows.
    A network is trained anew, for as many epochs as erred least on validation windows.
    """
    fitted, model = learnt.fitted, learnt.fitted.model
    if task.cfg.get("refit", NONE) == NONE or not len(task.select(prepared.windows, fold, VALIDATION).origin):
        return None
    if not isinstance(model, Refittable) and not (isinstance(model, Forecaster) and task.retrains):
        return None
    known = task.known(prepared.windows, fold)
    if isinstance(model, Refittable):
        model.refit(fitted.inputs(known, rows_of(panel, known)))
        return fitted
    return _retrained(task, panel, candidate, prepared, learnt, known, checkpoint)


def _retrained(
    task: Task, panel: Panel, candidate: Candidate, prepared: Prepared, learnt: Learnt, known: Windows, checkpoint: Path
) -> Fitted:
    """Train a network on all windows that are known, with nothing held out: its number of epochs was chosen before."""
    cfg, fitted = task.cfg.copy(), learnt.fitted
    cfg.trainer.max_epochs = _best_epoch(learnt.losses)
    if cfg.augmentation._target_ == AUTO:
        nothing = OmegaConf.create({"_target_": NO_AUGMENTATION})
        cfg.augmentation = cfg.augmentation.inner if learnt.augmented else nothing
    pl.seed_everything(cfg.seed, workers=True, verbose=False)
    known = known if fitted.lookback is None else newest(known, fitted.lookback)
    n_extra, lookback = scaling_of(cfg).n_extra(known), fitted.lookback or candidate.lookback
    model = unfitted(cfg, candidate.model, known.past.shape[2], lookback, n_extra).model
    assert isinstance(model, Forecaster)
    fresh = fitted._replace(model=model)
    scaled = fresh.scaling.transform(known)
    batch = _with_synthetic(cfg, scaled, prepared.n_conditions, scaled)
    nobody = fresh.inputs(known.take(slice(0)), rows_of(panel, known.take(slice(0))))
    pl.seed_everything(cfg.seed, workers=True, verbose=False)
    given = model.before(Inputs(known, batch, rows_of(panel, known), fresh.scaling), nobody)
    own = checkpoint.with_name(f"{checkpoint.stem}_refit.ckpt")
    _train(cfg, model, candidate.label, *given, own, [])
    own.unlink(missing_ok=True)
    return fresh


def _best_epoch(losses: Losses) -> int:
    """Return the number of epochs, from 1, after which the mean loss on validation windows was least."""
    told = [epoch.get("val/loss", np.inf) for epoch in losses]
    return int(np.argmin(np.nan_to_num(told, nan=np.inf))) + 1


def digest_of(*parts: Batch | Windows) -> str:
    """Return a digest of the arrays of windows or batches, by which they are known again."""
    digest = hashlib.sha256()
    arrays = [array for part in parts for name, array in part._asdict().items() if name != "origin"]
    for array in (array for array in arrays if array is not None):
        digest.update(f"{array.dtype}{array.shape}".encode())
        for block in blocks_of(array):
            digest.update(np.ascontiguousarray(block).data)
    return digest.hexdigest()[:16]


def _real(cfg: DictConfig, batch: Batch, n_train: int) -> Batch:
    """Return the windows of a batch that are no synthetic ones; these, where there may be any, stand last."""
    if cfg.augmentation._target_ == NO_AUGMENTATION:
        return batch
    return batch.take(slice(n_train))


def training_batch(cfg: DictConfig, fitted: Fitted, train: Windows, n_conditions: int, of: Windows) -> Batch:
    """Fit the scaling on training windows and return them scaled, with synthetic ones made of some behind them."""
    scaled = fitted.scaling.fit(train).transform(train)
    return _with_synthetic(cfg, scaled, n_conditions, scaled if of is train else fitted.scaling.transform(of))


def _with_synthetic(cfg: DictConfig, scaled: Batch, n_conditions: int, of: Batch) -> Batch:
    """Return scaled windows with synthetic ones, which are made of some, behind them."""
    drawn = build(cfg.augmentation).samples(of, n_conditions, cfg.seed)
    return Batch(*(None if one is None else behind(one, new) for one, new in zip(scaled, drawn, strict=True)))


def _fit(
    task: Task,
    cfg: DictConfig,
    panel: Panel,
    fold: Fold,
    candidate: Candidate,
    prepared: Prepared,
    parts: Parts,
    checkpoint: Path,
    extra: Sequence[pl.Callback] = (),
) -> Learnt:
    pl.seed_everything(cfg.seed, workers=True, verbose=False)
    n_extra = scaling_of(cfg).n_extra(parts.train)
    fresh = unfitted(cfg, candidate.model, parts.train.past.shape[2], candidate.lookback, n_extra)
    fitted = fresh._replace(features=prepared.features)
    model, needs = fitted.model, fitted.model.needs
    rows = _training_rows(panel, fold)
    if not needs.scaled:
        with alive(candidate.label):
            model.fit(Inputs(parts.train, None, rows), Inputs(parts.validation, None, rows_of(panel, parts.validation)))
        return Learnt(fitted, [], None, digest_of(parts.train, parts.validation))
    of = task.synthetic_from(prepared.windows, parts.train)
    with alive(f"{candidate.label}, synthetic windows"):
        batch = training_batch(cfg, fitted, parts.train, prepared.n_conditions, of)
    held_out = fitted.inputs(parts.validation, rows_of(panel, parts.validation))
    assert held_out.batch is not None
    digest = digest_of(_real(cfg, batch, len(parts.train.origin)), held_out.batch)
    pl.seed_everything(cfg.seed, workers=True, verbose=False)
    if isinstance(model, Forecaster):
        given = model.before(Inputs(parts.train, batch, rows, fitted.scaling), held_out)
        watching = [RestoredError(held_out, partial(task.finish, panel, parts.validation)), *extra]
        losses = _train(cfg, model, candidate.label, *given, checkpoint, watching)
        return Learnt(fitted, losses, batch, digest)
    with alive(candidate.label):
        model.fit(Inputs(parts.train, batch, rows, fitted.scaling), held_out)
    return Learnt(fitted, [], batch, digest)


def _train(
    cfg: DictConfig,
    model: Forecaster,
    label: str,
    batch: Batch,
    validation: Batch,
    checkpoint: Path,
    watching: Sequence[pl.Callback],
) -> Losses:
    """Train a network in place and return its losses; go on from ``checkpoint`` where there is one."""
    torch.set_num_threads(cfg.threads)
    history = History()
    callbacks = [*watching, *(build(node) for node in cfg.callbacks.values())]
    callbacks += [history, *([ResumePoint(checkpoint)] if cfg.trainer.get("enable_checkpointing", True) else [])]
    if watched():
        callbacks.append(EpochBar(label))
    checkpoint.parent.mkdir(parents=True, exist_ok=True)
    trainer: pl.Trainer = build(cfg.trainer, callbacks=callbacks)
    data = FoldData(batch, validation, cfg.batch_size, cfg.seed)
    trainer.fit(model, data, ckpt_path=_readable(checkpoint), weights_only=True)
    model.to(trainer.strategy.root_device)  # Lightning takes it away; forecasts are made where it was trained
    return history.epochs or _epochs_in(checkpoint)


def _epochs_in(checkpoint: Path) -> Losses:
    """Return the losses other processes have kept, where they did the training."""
    kept = torch.load(checkpoint, map_location="cpu", weights_only=True)
    return list(kept["callbacks"]["History"]["epochs"])


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
