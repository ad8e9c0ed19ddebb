"""Electricity transformer temperature (ETT), the hourly file that long-horizon forecasters are compared on."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np

from data.contracts import Panel
from data.panel import DataError, listed
from data.reading.files import local
from data.sources.csv import CSV

COLUMNS = ("HUFL", "HULL", "MUFL", "MULL", "LUFL", "LULL", "OT")
MONTH = 30 * 24  # [h] as the benchmark counts
USED, TRAIN = 20, 12  # [months]


class ETT:
    """ETTh1 or ETTh2: six loads and the oil temperature of a transformer, each a series (Zhou et al., 2021).

    Of two years the benchmark uses the first 20 months of 30 days: 12 to train, 4 to validate, 4 to test.

    Parameters
    ----------
    name : str
        ``ETTh1`` or ``ETTh2``; also the file's name in ``$MODECAST_DATA/ett``.
    columns : list of str or None
        Which series, such as [OT]; None takes all seven.
    scaled : bool
        Whether each series is measured from its mean in units of its standard deviation, both of the first 12 months,
        as all published numbers are.  These months must lie in the training part, else the future is in the unit.
    path : str or None
        The file, if it lies elsewhere.

    Raises
    ------
    ValueError
        If a column is not of this data set.
    """

    def __init__(self, name: str, columns: list[str] | None, scaled: bool, path: str | None = None) -> None:
        unknown = sorted(set(columns or ()) - set(COLUMNS))
        if unknown or columns == []:
            raise ValueError(f"source.columns={columns} must name some of {listed(COLUMNS)}, or be null for all.")
        self.name, self.columns, self.scaled, self.path = name, list(columns or COLUMNS), scaled, path

    def load(self) -> Panel:
        """Return 14400 hours of every series.

        Raises
        ------
        DataError
            If the file is not there, saying where to get it, or is shorter than the benchmark.
        """
        panel = CSV(str(self._path()), time="date", value=self.columns, name=self.name, unit="MW or °C").load()
        hours = panel.frame.groupby("unique_id", sort=False).cumcount().to_numpy()
        frame = panel.frame[hours < USED * MONTH].reset_index(drop=True)
        sizes = frame.groupby("unique_id", sort=False).size()
        if (sizes < USED * MONTH).any():
            raise DataError(
                f"{self.name} has {sizes.min()} hours; the benchmark needs {USED * MONTH}.  Set source.path."
            )
        panel = replace(panel, frame=frame)
        return self._standardised(panel) if self.scaled else panel

    def _standardised(self, panel: Panel) -> Panel:
        y = panel.frame["y"].to_numpy(dtype=np.float64).reshape(-1, USED * MONTH)  # (series, hour)
        train = y[:, : TRAIN * MONTH]
        scaled = (y - train.mean(axis=1, keepdims=True)) / train.std(axis=1, keepdims=True)
        note = (
            "Each series is measured from its mean in standard deviations, both of its first 12 months, as the "
            "benchmark's numbers are (source.scaled): train on no less."
        )
        frame = panel.frame.assign(y=scaled.ravel())
        return replace(panel, frame=frame, unit="standard deviations", notes=(*panel.notes, note))

    def _path(self) -> Path:
        folder = os.environ.get("MODECAST_DATA")
        path = local(self.path) if self.path else Path(folder or ".") / "ett" / f"{self.name}.csv"
        if (self.path or folder) and path.is_file():
            return path
        why = f"there is no file {path}" if self.path or folder else "MODECAST_DATA is not set"
        raise DataError(
            f"The hours of {self.name} are not here: {why}.  Download {self.name}.csv from "
            f"github.com/zhouhaoyi/ETDataset (CC BY-ND 4.0) and give source.path=<file>, or set MODECAST_DATA to the "
            f"folder that holds ett/{self.name}.csv."
        )
