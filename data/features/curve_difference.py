"""How a discharge curve has changed since an early cycle: the statistics that tell a life from its beginning."""

import numpy as np
import pandas as pd

from data.contracts import FloatArray, IntArray
from data.features._named import Named
from data.features._rows import cell_starts, chosen

FLOOR = 1e-8
"""[Ah] a change below counts as this, so that it has a logarithm."""
NAMES = ["log variance dQ", "log minimum dQ", "log mean dQ"]


class CurveDifference(Named):
    """Replace a capacity-voltage curve by statistics of its change since an early cycle (Severson et al., 2019).

    Of dQ(V), the curve of a row less that of the cell's first record at or after the cycle ``since``: the logarithms,
    base 10, of its variance over the voltages, and of the size of its minimum and of its mean.  A row before that
    record has not changed.

    Parameters
    ----------
    since : int
        Cycle from which changes are measured [cycles].
    columns : str or None
        Pattern of the columns that are the curve; None takes all.

    Raises
    ------
    ValueError
        If the cycle is negative.
    """

    def __init__(self, since: int = 10, columns: str | None = None) -> None:
        if since < 0:
            raise ValueError(f"curve_difference.since={since} must not be negative [cycles].")
        self.since, self.columns = since, columns

    def _transformed(self, X: pd.DataFrame) -> pd.DataFrame:
        curve = chosen(self.inputs_, self.columns)
        values = X[curve].to_numpy(dtype=np.float64)  # (n, V)
        cycles = X.index.get_level_values("ds").to_numpy(dtype=np.float64)
        change = values - values[_since(cell_starts(X), cycles, self.since)]  # (n, V)
        sizes = [change.std(axis=1), np.abs(change.min(axis=1)), np.abs(change.mean(axis=1))]
        logs = [np.log10(np.maximum(size, FLOOR)) for size in sizes]
        found = {NAMES[0]: 2 * logs[0], NAMES[1]: logs[1], NAMES[2]: logs[2]}
        return pd.concat([pd.DataFrame(found, X.index), X.drop(columns=curve)], axis=1)

    def _names_out(self, inputs: list[str]) -> list[str]:
        curve = chosen(inputs, self.columns)
        return [*NAMES, *(name for name in inputs if name not in curve)]


def _since(starts: IntArray, cycles: FloatArray, since: int) -> IntArray:
    """Return for each row that from which its change is measured: itself, until its cell is old enough, ``(n,)``."""
    rows = np.arange(starts.size, dtype=np.int64)
    for start in np.unique(starts):
        own = slice(start, int(np.searchsorted(starts, start, side="right")))
        rows[own] = np.minimum(rows[own], start + np.searchsorted(cycles[own], since))
    return rows
