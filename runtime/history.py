"""Keep what was logged in each epoch."""

from typing import Any

import pytorch_lightning as pl


class History(pl.Callback):
    """Collect the losses of every epoch; they survive an interruption with the checkpoint."""

    def __init__(self) -> None:
        self.epochs: list[dict[str, float]] = []
        self._rate = 0.0

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Note the learning rate: at the end of the epoch it is that of the next."""
        self._rate = float(trainer.optimizers[0].param_groups[0]["lr"])

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Take the metrics of the epoch, validation included, and the learning rate it was trained with."""
        losses = {name: float(value) for name, value in trainer.callback_metrics.items()}
        self.epochs.append({"epoch": float(trainer.current_epoch), **losses, "lr": self._rate})

    def state_dict(self) -> dict[str, Any]:
        """Return the epochs so far."""
        return {"epochs": self.epochs}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on after the epochs of a checkpoint."""
        self.epochs = list(state_dict["epochs"])
