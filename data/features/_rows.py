"""Which rows of a table of cells lie behind each row, within its cell.

Shapes
------
n row, w width of a trailing window
"""

import re
from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from data.contracts import IntArray
from data.panel import DataError


def cell_starts(table: pd.DataFrame) -> IntArray:
    """Return for each row where its cell starts, ``(n,)``.

    Raises
    ------
    DataError
        If the rows of a cell do not stand together in the order of time: what is past could not be told.
    """
    cells = table.index.get_level_values("unique_id").to_numpy()
    times = table.index.get_level_values("ds").to_numpy()
    new = np.r_[True, cells[1:] != cells[:-1]] if len(cells) else np.empty(0, dtype=bool)
    scattered = sorted({str(cell) for cell in cells[new][pd.Series(cells[new]).duplicated()]})
    if scattered:
        raise DataError(f"The rows of {', '.join(scattered)} do not stand together.  Sort by unique_id and ds.")
    backwards = ~new[1:] & (times[1:] <= times[:-1])
    if backwards.any():
        at = int(np.flatnonzero(backwards)[0]) + 1
        raise DataError(
            f"Row {times[at]} of {cells[at]} comes after its row {times[at - 1]}.  Sort the table by unique_id and ds, "
            f"and keep one row a time."
        )
    return np.maximum.accumulate(np.where(new, np.arange(new.size), 0)).astype(np.int64)


def trailing(starts: IntArray, width: int) -> IntArray:
    """Return the rows of the trailing window of each row, oldest first, ``(n, w)``.

    Before the beginning of a cell its first row stands in for those that are not there.
    """
    return np.maximum(_window(starts.size, width), starts[:, None])


def begun(starts: IntArray, width: int) -> NDArray[np.bool_]:
    """Return which rows of each trailing window are there, ``(n, w)``."""
    return _window(starts.size, width) >= starts[:, None]


def _window(n: int, width: int) -> IntArray:
    return np.arange(n, dtype=np.int64)[:, None] + np.arange(1 - width, 1, dtype=np.int64)


def chosen(names: Sequence[str], pattern: str | None) -> list[str]:
    """Return the columns that a pattern is found in, or all of them.

    Raises
    ------
    DataError
        If there are none.
    """
    found = [name for name in names if pattern is None or re.search(pattern, name)]
    if not found:
        raise DataError(
            f"No column holds the pattern {pattern!r}; there are {', '.join(names)}.  Change features.steps.*.columns."
        )
    return found


def ordered(table: pd.DataFrame, fitted: Sequence[str]) -> pd.DataFrame:
    """Return the columns that were there in training, in their order then.

    Raises
    ------
    DataError
        Naming the columns that are not there now.
    """
    absent = [column for column in fitted if column not in table.columns]
    if absent:
        raise DataError(f"The table lacks the column {', '.join(map(repr, absent))} that was there in training.")
    return table[list(fitted)]


def evenly(n: int, most: int) -> IntArray:
    """Return up to ``most`` of n rows, evenly spaced: neighbouring cycles hardly differ."""
    return np.unique(np.linspace(0, n - 1, min(n, most)).round().astype(np.int64))
