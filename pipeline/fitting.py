"""Train one model on the windows of one fold."""

import pickle
import sys
import warnings
from collections.abc import Callable
from multiprocessing import parent_process
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytorch_lightning as pl
import torch
from omegaconf import DictConfig, OmegaConf

from data.contracts import Augmentation, Batch, Windows
from data.datamodule import FoldData
from models.forecaster import Forecaster
from pipeline.fitted import Fitted
from runtime.build import ConfigError, build
from runtime.epoch_bar import EpochBar
from runtime.history import History
from runtime.resume_point import ResumePoint

AUTO, NOTHING = "data.augmentation.auto.Auto", "data.augmentation.identity.Identity"
Losses = list[dict[str, float]]


class Trained(NamedTuple):
    """A model that has learnt."""

    fitted: Fitted
    losses: Losses
    augmented: bool | None
    """Whether synthetic windows were kept, where they were on trial."""


def train(
    cfg: DictConfig,
    fresh: Callable[[DictConfig], Fitted],
    batch_of: Callable[[DictConfig, Fitted], Batch],
    label: str,
    validation: Windows,
    checkpoint: Path,
) -> Trained:
    """Fit a model; with ``augmentation=auto`` twice, and keep the one that errs less on validation rows.

    Parameters
    ----------
    fresh : callable
        Builds the unfitted model of some settings.
    batch_of : callable
        Fits the scaling of a model and returns the scaled windows it learns from, synthetic ones among them.

    Raises
    ------
    ConfigError
        If synthetic windows are on trial and nothing is held out to judge them.
    """
    if cfg.augmentation._target_ != AUTO:
        fitted = fresh(cfg)
        if not fitted.model.scaled:
            return Trained(fitted, [], None)  # naive: there is nothing to learn
        return Trained(fitted, fit(cfg, fitted, label, batch_of(cfg, fitted), validation, checkpoint), None)
    if not len(validation.y):
        raise ConfigError("augmentation=auto needs validation rows to judge by; hold some out in split.validation.")
    tried = []
    for number, node in enumerate((OmegaConf.create({"_target_": NOTHING}), cfg.augmentation.inner)):
        settings = cfg.copy()
        settings.augmentation = node
        fitted = fresh(settings)
        own = checkpoint.with_name(f"{checkpoint.stem}_{number}.ckpt")
        losses = fit(settings, fitted, label, batch_of(settings, fitted), validation, own)
        own.unlink(missing_ok=True)
        error = float(np.abs(fitted.forecast(validation) - validation.y).mean())
        tried.append((error if np.isfinite(error) else np.inf, number, fitted, losses))
    _, number, fitted, losses = min(tried, key=lambda one: one[:2])
    return Trained(fitted, losses, bool(number))


def fit(cfg: DictConfig, fitted: Fitted, label: str, batch: Batch, validation: Windows, checkpoint: Path) -> Losses:
    """Fit a model in place and return its losses; go on from ``checkpoint`` where there is one."""
    pl.seed_everything(cfg.seed, workers=True, verbose=False)
    if cfg.threads is not None:
        torch.set_num_threads(cfg.threads)
    if not isinstance(fitted.model, Forecaster):
        fitted.model.fit(batch)
        return []
    history = History()
    callbacks = [build(node) for node in cfg.callbacks.values()]
    callbacks += [history, ResumePoint(checkpoint)]
    if sys.stderr.isatty() and parent_process() is None:
        callbacks.append(EpochBar(label))
    checkpoint.parent.mkdir(parents=True, exist_ok=True)
    trainer: pl.Trainer = build(cfg.trainer, callbacks=callbacks)
    data = FoldData(batch, fitted.scaling.transform(validation), cfg.batch_size, cfg.seed)
    trainer.fit(fitted.model, data, ckpt_path=_readable(checkpoint), weights_only=True)
    return history.epochs or _epochs_in(checkpoint)


def learnt_from(cfg: DictConfig, fitted: Fitted, train: Windows, n_conditions: int) -> Batch:
    """Fit the scaling on training windows and return them scaled, with synthetic ones behind them."""
    scaled = fitted.scaling.fit(train).transform(train)
    return augmented(build(cfg.augmentation), scaled, n_conditions, cfg.seed)


def augmented(augmentation: Augmentation, train: Batch, n_conditions: int, seed: int) -> Batch:
    """Return the training windows, all of them, with synthetic ones behind them."""
    extra = augmentation.samples(train, n_conditions, seed)
    return Batch(np.concatenate([train.past, extra.past]), np.concatenate([train.target, extra.target]))


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
