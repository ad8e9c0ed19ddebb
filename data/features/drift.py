"""How far each factor has moved within the last cycles.

Shapes
------
n row
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from data.contracts import FloatArray, IntArray
from data.features._named import Named
from data.features._rows import begun, cell_starts, chosen, trailing


class Displacement(Named):
    """Add the mean of the last rows less that of as many rows some time before: ``Charging time (s) drift200``.

    How fast a cell ages tells more of its end than the levels of its factors, in which cells differ from
    the first cycle on.  Near the beginning of a cell the comparison is with its first rows; a column that
    stands still at first, such as one without a regular row yet, begins where it first moves.  Nothing is
    divided by the number of rows so far, which would be a clock.

    Parameters
    ----------
    windows : sequence of int
        How far back to compare with [rows].
    smoothing : int
        How many rows each mean is of [rows].
    columns : str or None
        Pattern of the columns to compare; None takes all.
    keep : bool
        Whether those columns stay themselves; the others always do.

    Raises
    ------
    ValueError
        If a window or the smoothing has no row.
    """

    def __init__(
        self,
        windows: Sequence[int] = (50, 100, 200, 400),
        smoothing: int = 15,
        columns: str | None = None,
        keep: bool = True,
    ) -> None:
        if not windows or min(windows) < 1 or smoothing < 1:
            raise ValueError(
                f"drift.windows={list(windows)} and drift.smoothing={smoothing} must all be at least 1 [rows]."
            )
        self.windows, self.smoothing, self.columns, self.keep = windows, smoothing, columns, keep

    def _transformed(self, X: pd.DataFrame) -> pd.DataFrame:
        starts = cell_starts(X)
        compared = chosen(self.inputs_, self.columns)
        found: dict[str, FloatArray] = {}
        for column in compared:
            values = X[column].to_numpy(dtype=np.float64)
            begins = _begins(values, starts)
            level = _means(values, begins, self.smoothing)
            for width in self.windows:
                before = np.maximum(np.arange(len(X)) - width, begins)
                found[f"{column} drift{width}"] = level - level[before]
        table = pd.DataFrame(found, index=X.index)
        return pd.concat([X if self.keep else X.drop(columns=compared), table], axis=1)

    def _names_out(self, inputs: list[str]) -> list[str]:
        compared = chosen(inputs, self.columns)
        made = [f"{column} drift{width}" for column in compared for width in self.windows]
        return [*(column for column in inputs if self.keep or column not in compared), *made]


def _begins(values: FloatArray, starts: IntArray) -> IntArray:
    """Return from which row on a cell counts, as far as each row knows, ``(n,)``.

    That is the first row that differs from the first of the cell, or the row itself where none did yet.
    """
    rows = np.arange(values.size)
    moved = values != values[starts]
    first = np.full(values.size, values.size, dtype=np.int64)
    np.minimum.at(first, starts[moved], rows[moved])  # by the start of the cell
    still = first[starts] > rows
    second = starts == first[starts] - 1  # moving from the start
    return np.where(still, rows, np.where(second, starts, first[starts]))


def _means(values: FloatArray, begins: IntArray, width: int) -> FloatArray:
    """Return the mean of the last rows since the beginning, summed anew for every row, ``(n,)``."""
    inside = begun(begins, width)  # (n, w)
    windows = np.where(inside, values[trailing(begins, width)], 0.0)
    return windows.sum(axis=1) / inside.sum(axis=1)
