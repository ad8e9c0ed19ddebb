"""Daily closes of the Chinese stock indices of paper 1, from a file the user has."""

import os
from pathlib import Path

from data.contracts import Panel
from data.panel import DataError
from data.reading.files import local
from data.sources.csv import CSV

NUMBERS = {"csi300": "000300", "csi500": "000905"}


class CSI:
    """CSI 300 or CSI 500: a table of dates and closes [index points], as any vendor has them.

    Parameters
    ----------
    code : str
        ``"csi300"`` or ``"csi500"``; also the file's name in ``$MODECAST_DATA/index``.
    last : str
        Days after this one are left out; the paper's 4734 days end on 2024-07-01.
    path : str or None
        The file, if it lies elsewhere.
    """

    def __init__(self, code: str, last: str, path: str | None = None) -> None:
        self.code, self.last, self.path = code, last, path

    def load(self) -> Panel:
        """Return the closes up to the last day as one series.

        Raises
        ------
        DataError
            If the file is not there, saying what to fetch and from where.
        """
        name = self.code.upper().replace("CSI", "CSI ")
        return CSV(str(self._path(name)), name=name, unit="index points", last=self.last).load()

    def _path(self, name: str) -> Path:
        folder = os.environ.get("MODECAST_DATA")
        path = local(self.path) if self.path else Path(folder or ".") / "index" / f"{self.code}_close.csv"
        if (self.path or folder) and path.is_file():
            return path
        why = f"there is no file {path}" if self.path or folder else "MODECAST_DATA is not set"
        raise DataError(
            f"The closes of {name} are not here: {why}.  They may not be redistributed: download the daily "
            f"history from the index owner (www.csindex.com.cn, index {NUMBERS.get(self.code, self.code)}) or any "
            f"vendor, save it as a CSV file with the columns date,close, and give source.path=<file> or set "
            f"MODECAST_DATA to the folder that holds index/{self.code}_close.csv."
        )
