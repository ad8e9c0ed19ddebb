"""Keep a run as CSV files."""

from pathlib import Path

import pandas as pd

from report.tracking.record import Record
from runtime.files import write_text


class Csv:
    """Write ``run.csv`` (parameters, tags, scores) and ``epochs.csv`` (a row a training, epoch and number).

    Parameters
    ----------
    folder : str
        Below the run folder.
    """

    def __init__(self, folder: str = "tracking") -> None:
        self.folder = folder

    def keep(self, record: Record, folder: Path) -> str:
        """Write both files and return their folder."""
        out = folder / self.folder
        out.mkdir(exist_ok=True)
        parts = {"parameter": record.parameters, "tag": record.tags, "score": record.scores}
        rows = [
            {"kind": kind, "name": name, "value": value} for kind, own in parts.items() for name, value in own.items()
        ]
        epochs = [
            {"run": child.name, "epoch": int(epoch["epoch"]), "name": name, "value": value}
            for child in record.children
            for epoch in child.epochs
            for name, value in epoch.items()
            if name != "epoch"
        ]
        columns = ["run", "epoch", "name", "value"]
        write_text(out / "run.csv", pd.DataFrame(rows).to_csv(index=False, lineterminator="\n"))
        write_text(out / "epochs.csv", pd.DataFrame(epochs, columns=columns).to_csv(index=False, lineterminator="\n"))
        return str(out)
