"""The error on validation windows after every epoch, in the unit of the series."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytorch_lightning as pl
from torch import Tensor

from data.contracts import FloatArray
from models.forecaster import Forecaster
from models.model import Inputs


class RestoredError(pl.Callback):
    """Log ``val/mae``: the mean absolute error of the restored forecasts, the sum over components.

    ``val/loss`` is a mean over networks of scaled targets, and cannot be compared where scaling or decomposition
    differ; this can.  It is that of the model before it is blended with the reference, and is made of the forecasts of
    the validation steps, so it costs no forward pass.  Where several processes train together each sees a share of
    the windows, and nothing is logged.

    Shapes
    ------
    K network, n window, H horizon

    Parameters
    ----------
    inputs : Inputs
        The validation windows, in the order they are served, and their fitted scaling.
    finish : callable (FloatArray) -> FloatArray
        Holds forecasts ``(n, H)`` to what the target can be.
    """

    def __init__(self, inputs: Inputs, finish: Callable[[FloatArray], FloatArray]) -> None:
        self.inputs, self.finish = inputs, finish
        self._parts: list[Tensor] = []  # (K, B, H) each

    def on_validation_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Take the scaled forecasts of a batch."""
        if not trainer.sanity_checking and trainer.world_size == 1:
            self._parts.append(outputs)

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Restore them and log their error."""
        parts, self._parts = self._parts, []
        windows, scaling = self.inputs.windows, self.inputs.scaling
        if sum(part.shape[1] for part in parts) != len(windows.y):
            return  # none, or trainer.limit_val_batches left some out
        assert isinstance(pl_module, Forecaster)
        scaled = np.concatenate([part.double().numpy(force=True) for part in parts], axis=1)  # (K, n, H)
        assert scaling is not None
        whole = pl_module.whole(scaled, self.inputs)
        forecast = self.finish(pl_module.component.restore(whole, windows, scaling))  # (n, H)
        error = float(np.abs(forecast - windows.y).mean())
        pl_module.log("val/mae", error, batch_size=1)
        assert pl_module.validation_losses is not None
        if len(scaled) > 1:
            for number, loss in enumerate(pl_module.validation_losses, start=1):
                pl_module.log(f"val/loss/network {number}", loss, batch_size=1)
