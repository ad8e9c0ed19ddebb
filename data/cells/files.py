"""Find and read the files that tables of cycles lie in."""

import os
from pathlib import Path

import pandas as pd

from data.panel import DataError
from data.reading.files import local
from data.reading.options import Options
from data.reading.table import read_table

AS_PUBLISHED = Options(decimal=".")
"""How the data sets are written that this project knows by name."""


def data_folder() -> Path:
    """Return where data sets lie: ``$MODECAST_DATA``, or ``~/.cache/modecast`` where it is not set."""
    return Path(os.environ.get("MODECAST_DATA") or Path.home() / ".cache" / "modecast")


def first_file(path: str | None, candidates: list[str], fetch: str, what: str) -> Path:
    """Return the named file, or the first candidate in the data folder.

    Parameters
    ----------
    path : str or None
        The file the user named.
    candidates : list of str
        Where it may lie within the data folder.
    fetch : str
        Name of the data set for ``python -m data.fetch``.
    what : str
        What a message calls it.

    Raises
    ------
    DataError
        If there is none, saying how to get one.
    """
    tried = [local(path)] if path else [data_folder() / name for name in candidates]
    for file in tried:
        if file.is_file():
            return file
    raise DataError(
        f"{what} is not here: there is no {' nor '.join(map(str, tried))}.  Fetch it with "
        f"`python -m data.fetch {fetch}`, or set source.path to a file you have, or MODECAST_DATA to its folder."
    )


def read_cycles(path: Path, options: Options = AS_PUBLISHED) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Read a table of cycles: numbers as numbers, all else as text, and so the column ``cell``.

    Returns
    -------
    frame : DataFrame
    notes : tuple of str

    Raises
    ------
    DataError
        If it is no table that can be read, or can be read in two ways.
    """
    table = read_table(path, options)
    frame, notes = table.frame(texts=["cell"])
    return frame, (*table.notes, *notes)
