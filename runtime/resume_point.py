"""Save a training so that it can go on as if it had never stopped."""

from pathlib import Path

import pytorch_lightning as pl

from runtime.faults import FolderError
from runtime.files import atomic


class ResumePoint(pl.callbacks.Checkpoint):
    """Write one checkpoint at the end of every epoch, replacing the one before in a single step.

    A kill or a full disk in the middle of writing leaves the previous epoch's file whole.
    Being a ``Checkpoint``, it runs after all other callbacks and so sees their final state.

    Parameters
    ----------
    path : Path
        The checkpoint.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write beside the last checkpoint, then take its place."""
        if not trainer.is_global_zero:
            trainer.save_checkpoint(self.path, weights_only=False)  # helps to gather, and writes nothing
            return
        try:
            with atomic(self.path) as part:
                trainer.save_checkpoint(part, weights_only=False)  # with the optimiser, not weights alone
        except (OSError, RuntimeError) as error:  # torch tells of a full disk as a RuntimeError
            raise FolderError(
                f"The checkpoint {self.path} could not be written ({str(error).splitlines()[0]}).  Free some "
                f"space; what was kept before stays, and the run goes on from there with "
                f"python train.py resume={self.path.parents[1]}"
            ) from error
