"""Show how long a training still takes."""

import sys
from collections.abc import Mapping
from typing import Any

import pytorch_lightning as pl
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from runtime.progress import Lines, watched

PARTS = 2  # of a name that is shown, such as val/loss; that of one network has more


class EpochBar(pl.Callback):
    """One bar over all epochs with the losses and the time left; a line a minute where there is no terminal.

    Lightning's own bar counts the batches of one epoch, which take longer to draw than to
    compute with networks this small.  A worker process is silent.

    Parameters
    ----------
    label : str
        What is being trained.
    """

    def __init__(self, label: str) -> None:
        self.label = label
        self._bar: Progress | None = None
        self._lines: Lines | None = None

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Draw the bar on a terminal."""
        if not (trainer.is_global_zero and watched()):
            return
        if not sys.stderr.isatty():
            self._lines = Lines(self.label, trainer.max_epochs or 0, trainer.current_epoch)
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
        if self._bar is None and self._lines is None:
            return
        losses = "  ".join(f"{name} {float(value):.4g}" for name, value in _shown(trainer.callback_metrics))
        if self._bar is not None:
            self._bar.update(self._task, completed=trainer.current_epoch + 1, losses=losses)
        if self._lines is not None:
            self._lines.at(trainer.current_epoch + 1, f" epochs, {losses}")

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


def _shown(metrics: Mapping[str, Any]) -> list[tuple[str, Any]]:
    return [(name, value) for name, value in metrics.items() if len(name.split("/")) <= PARTS]
