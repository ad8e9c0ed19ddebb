"""Keep what was logged in each epoch."""

from typing import Any

import pytorch_lightning as pl


class History(pl.Callback):
    """Collect the losses of every epoch; they survive an interruption with the checkpoint."""

    def __init__(self) -> None:
        self.epochs: list[dict[str, float]] = []

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Take the metrics of the epoch, validation included."""
        losses = {name: float(value) for name, value in trainer.callback_metrics.items()}
        self.epochs.append({"epoch": float(trainer.current_epoch), **losses})

    def state_dict(self) -> dict[str, Any]:
        """Return the epochs so far."""
        return {"epochs": self.epochs}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on after the epochs of a checkpoint."""
        self.epochs = list(state_dict["epochs"])
