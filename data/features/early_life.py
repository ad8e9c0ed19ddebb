"""Each factor measured from the cell's own early life."""

import numpy as np
import pandas as pd

from data.contracts import FloatArray, IntArray
from data.features._named import Named
from data.features._rows import cell_starts, chosen


class EarlyLife(Named):
    """Add how far each factor has moved since the cell was young: ``Charging time (s) since early life``.

    Cells differ from the first cycle on; their changes differ less.  The level is the median of the
    recorded rows so far, and from row ``cycles`` on stays what it was there: it never looks ahead.

    Parameters
    ----------
    cycles : int
        Length of the early life [rows].
    columns : str or None
        Pattern of the columns to measure; None takes all.
    keep : bool
        Whether those columns stay themselves; the others always do.

    Raises
    ------
    ValueError
        If the early life has no row.
    """

    def __init__(self, cycles: int = 30, columns: str | None = None, keep: bool = True) -> None:
        if cycles < 1:
            raise ValueError(f"early_life.cycles={cycles} must be at least 1 [rows].")
        self.cycles, self.columns, self.keep = cycles, columns, keep

    def _transformed(self, X: pd.DataFrame) -> pd.DataFrame:
        measured = chosen(self.inputs_, self.columns)
        values = X[measured].to_numpy(dtype=np.float64)
        changes = pd.DataFrame(values - _levels(values, cell_starts(X), self.cycles), X.index, self._made(measured))
        return pd.concat([X if self.keep else X.drop(columns=measured), changes], axis=1)

    def _names_out(self, inputs: list[str]) -> list[str]:
        measured = chosen(inputs, self.columns)
        return [*(column for column in inputs if self.keep or column not in measured), *self._made(measured)]

    @staticmethod
    def _made(measured: list[str]) -> list[str]:
        return [f"{column} since early life" for column in measured]


def _levels(values: FloatArray, starts: IntArray, cycles: int) -> FloatArray:
    """Return the level of its early life that each row knows of, ``(n, F)``."""
    known = np.empty_like(values)
    for start in np.unique(starts):
        stop = min(start + cycles, int(np.searchsorted(starts, start, side="right")))
        known[start:stop] = pd.DataFrame(values[start:stop]).expanding().median().to_numpy()
    age = np.arange(len(starts)) - starts
    return known[starts + np.minimum(age, cycles - 1)]
