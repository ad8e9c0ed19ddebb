"""Keep a run for TensorBoard."""

import re
from importlib.util import find_spec
from pathlib import Path

from report.tracking.record import Record


class TensorBoard:
    """Write a folder a run, with a folder a training below it.

    Parameters
    ----------
    folder : str
        What ``tensorboard --logdir`` is given.

    Raises
    ------
    ModuleNotFoundError
        If TensorBoard is not installed.
    """

    def __init__(self, folder: str = "outputs/tensorboard") -> None:
        if find_spec("tensorboard") is None:
            raise ModuleNotFoundError(
                "tracking=tensorboard needs TensorBoard, which is not installed.  Run: pip install -e .[tensorboard]"
            )
        self.folder = folder

    def keep(self, record: Record, folder: Path) -> str:
        """Write scalars and texts and return where the run is."""
        from torch.utils.tensorboard import SummaryWriter

        place = Path(self.folder) / record.experiment / (Path(record.sweep).name or ".") / record.name
        with SummaryWriter(str(place)) as writer:
            for name, value in record.scores.items():
                writer.add_scalar(name, value, 0)
            for name, content in (("parameters", record.parameters), ("tags", record.tags)):
                writer.add_text(name, "\n".join(f"    {key}: {value}" for key, value in content.items()))
        for child in record.children:
            with SummaryWriter(str(place / re.sub(r"[^\w.+-]+", "-", child.name))) as writer:
                writer.add_scalar("seconds", child.seconds, 0)
                for epoch in child.epochs:
                    for name, value in epoch.items():
                        if name != "epoch":
                            writer.add_scalar(name, value, int(epoch["epoch"]))
        return str(place)
