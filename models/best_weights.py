"""Keep the best weights of each network."""

from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor

from models.forecaster import Forecaster


class BestWeights(pl.Callback):
    """Give every network the weights of its own best validation epoch when training ends.

    Networks that are trained as one do not get best at the same time; each ends as it would
    with a checkpoint of its own.  Without validation windows the last weights stay.

    All that is known so far goes into the checkpoint, so a resumed training ends with the same bits.

    Parameters
    ----------
    patience : int or None
        Epochs without a gain of any network after which training stops; None: never.
    """

    def __init__(self, patience: int | None) -> None:
        if patience is not None and patience < 1:
            raise ValueError(f"patience must be at least 1 epoch, or null for no end, not {patience}.")
        self.patience = patience
        self._losses: Tensor | None = None  # (K,), of the best epochs
        self._weights: dict[str, Tensor] = {}  # of the best epochs, every one (K, ...)
        self._idle = 0  # epochs since the last gain

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Stop at once if the checkpoint was written by a training that had ended."""
        self._stop_if_idle(trainer)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Keep the weights of the networks that are better than ever."""
        if trainer.sanity_checking or trainer.state.fn != "fit":
            return
        assert isinstance(pl_module, Forecaster)
        assert pl_module.validation_losses is not None
        losses = pl_module.validation_losses.cpu()  # (K,)
        weights = pl_module.network.state_dict()
        if self._losses is None:
            self._losses = torch.full_like(losses, torch.inf)
            self._weights = {name: weight.cpu().clone() for name, weight in weights.items()}
        better = losses < self._losses  # (K,)
        self._losses[better] = losses[better]
        for name, weight in weights.items():
            self._weights[name][better] = weight.cpu()[better]
        self._idle = 0 if better.any() else self._idle + 1
        self._stop_if_idle(trainer)

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Put the best weights in place."""
        assert isinstance(pl_module, Forecaster)
        if self._weights:
            pl_module.network.load_state_dict(self._weights)

    def state_dict(self) -> dict[str, Any]:
        """Return what was best so far."""
        return {"losses": self._losses, "weights": self._weights, "idle": self._idle}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from a checkpoint."""
        self._losses, self._idle = state_dict["losses"], state_dict["idle"]
        self._weights = dict(state_dict["weights"])

    def _stop_if_idle(self, trainer: pl.Trainer) -> None:
        if self.patience is not None and self._idle >= self.patience:
            trainer.should_stop = True
