"""Find and read the files that tables of cycles lie in."""

import os
from pathlib import Path

import pandas as pd

from data.panel import DataError


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
    tried = [Path(path)] if path else [data_folder() / name for name in candidates]
    for file in tried:
        if file.is_file():
            return file
    raise DataError(
        f"{what} is not here: there is no {' nor '.join(map(str, tried))}.  Fetch it with "
        f"`python -m data.fetch {fetch}`, or set source.path to a file you have, or MODECAST_DATA to its folder."
    )


def read_csv(path: Path) -> pd.DataFrame:
    """Read a table with a header line.

    Raises
    ------
    DataError
        If the file is empty or no CSV.
    """
    try:
        return pd.read_csv(path)
    except FileNotFoundError:
        raise DataError(f"There is no file {path}.  Set source.path to a CSV file.") from None
    except pd.errors.EmptyDataError:
        raise DataError(f"{path} is empty.  Give a CSV file with a header line and rows.") from None
    except (OSError, UnicodeDecodeError, pd.errors.ParserError) as error:
        raise DataError(f"{path} cannot be read as CSV: {error}.") from None
