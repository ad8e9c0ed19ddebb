"""Train one model on the windows of one fold."""

import pickle
import sys
import warnings
from multiprocessing import parent_process
from pathlib import Path

import numpy as np
import pytorch_lightning as pl
import torch
from omegaconf import DictConfig

from data.contracts import Augmentation, Batch, Windows
from data.datamodule import FoldData
from models.forecaster import Forecaster
from pipeline.fitted import Fitted
from runtime.build import build
from runtime.history import History
from runtime.progress import EpochBar
from runtime.resume_point import ResumePoint

Losses = list[dict[str, float]]


def fit(
    cfg: DictConfig,
    fitted: Fitted,
    label: str,
    train: Windows,
    validation: Windows,
    checkpoint: Path,
    n_conditions: int = 0,
) -> Losses:
    """Fit scaling and model in place and return the losses; go on from ``checkpoint`` where there is one.

    Synthetic windows join the training windows here, after the scaling was fitted on the real ones.
    """
    pl.seed_everything(cfg.seed, workers=True, verbose=False)
    if cfg.threads is not None:
        torch.set_num_threads(cfg.threads)
    if not fitted.model.scaled:
        return []
    fitted.scaling.fit(train)
    batch = augmented(build(cfg.augmentation), fitted.scaling.transform(train), n_conditions, cfg.seed)
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
    pl.seed_everything(cfg.seed, workers=True, verbose=False)       # whatever the augmentation drew
    trainer.fit(fitted.model, data, ckpt_path=_readable(checkpoint), weights_only=True)
    return history.epochs or _epochs_in(checkpoint)


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
