"""Show how long a training still takes."""

import sys

import pytorch_lightning as pl
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)


class EpochBar(pl.Callback):
    """One bar over all epochs with the losses and the time left; silent where nobody watches.

    Lightning's own bar counts the batches of one epoch, which take longer to draw than to
    compute with networks this small.

    Parameters
    ----------
    label : str
        What is being trained.
    """

    def __init__(self, label: str) -> None:
        self.label = label
        self._bar: Progress | None = None

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Draw the bar on a terminal."""
        if not (trainer.is_global_zero and sys.stderr.isatty()):
            return
        columns = [TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("epochs")]
        columns += [TextColumn("{task.fields[losses]}"), TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn()]
        self._bar = Progress(*columns)
        self._task = self._bar.add_task(
            self.label, total=trainer.max_epochs, completed=trainer.current_epoch, losses=""
        )
        self._bar.start()

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Move on by one epoch."""
        if self._bar is not None:
            losses = "  ".join(f"{name} {value:.4g}" for name, value in trainer.callback_metrics.items())
            self._bar.update(self._task, completed=trainer.current_epoch + 1, losses=losses)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Leave the finished bar on the screen."""
        self._stop()

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        """Give the terminal back."""
        self._stop()

    def _stop(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None
