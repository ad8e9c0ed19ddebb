"""Statistics of the last cycles of each factor (paper 2, table 3)."""

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from data.contracts import FloatArray
from data.features._named import Named
from data.features._rows import begun, cell_starts, chosen, trailing


def _std(windows: FloatArray) -> FloatArray:
    """Return the deviation with n - 1 in the denominator, and 0 of a single row."""
    known = np.isfinite(windows).sum(axis=1)
    squares = np.nansum(np.square(windows - np.nanmean(windows, axis=1, keepdims=True)), axis=1)
    return np.sqrt(squares / np.maximum(known - 1, 1))


STATISTICS: dict[str, Callable[[FloatArray], FloatArray]] = {
    "mean": lambda windows: np.nanmean(windows, axis=1),
    "std": _std,
    "max": lambda windows: np.nanmax(windows, axis=1),
    "min": lambda windows: np.nanmin(windows, axis=1),
}
"""Map trailing windows ``(n, w)``, NaN where a cell has not begun, to ``(n,)``."""


class RollingStatistics(Named):
    """Add mean, deviation, maximum and minimum of trailing windows, such as ``Charging time (s) mean15``.

    Only the recorded past of the cell is used: near its beginning a window is shorter.  Every window is
    summed anew; a running sum would carry the rounding of a gross outlier on to the end of the cell.

    Parameters
    ----------
    windows : sequence of int
        Widths [rows].
    statistics : sequence of str
        Of ``STATISTICS``.
    keep : bool
        Whether the columns themselves stay, in front.
    columns : str or None
        Pattern of the columns to describe; None takes all.

    Raises
    ------
    ValueError
        Naming every window or statistic that cannot be.
    """

    def __init__(
        self,
        windows: Sequence[int] = (15, 20),
        statistics: Sequence[str] = ("mean", "std", "max", "min"),
        keep: bool = True,
        columns: str | None = None,
    ) -> None:
        faults = [f"{width} is no window; it must be at least 1 [rows]" for width in windows if width < 1]
        faults += [f"{name} is not one of {', '.join(STATISTICS)}" for name in statistics if name not in STATISTICS]
        if faults or not windows or not statistics:
            raise ValueError(
                f"rolling.windows={list(windows)} and rolling.statistics={list(statistics)} must hold one of each: "
                f"{'; '.join(faults) or 'one is empty'}."
            )
        self.windows, self.statistics, self.keep, self.columns = windows, statistics, keep, columns

    def _transformed(self, X: pd.DataFrame) -> pd.DataFrame:
        starts = cell_starts(X)
        found: dict[str, FloatArray] = {}
        places = {width: trailing(starts, width) for width in self.windows}
        there = {width: begun(starts, width) for width in self.windows}
        for column in chosen(self.inputs_, self.columns):
            values = X[column].to_numpy(dtype=np.float64)
            for width in self.windows:
                windows = np.where(there[width], values[places[width]], np.nan)  # (n, w)
                found |= {f"{column} {name}{width}": STATISTICS[name](windows) for name in self.statistics}
        table = pd.DataFrame(found, index=X.index)
        return pd.concat([X, table], axis=1) if self.keep else table

    def _names_out(self, inputs: list[str]) -> list[str]:
        made = [
            f"{column} {name}{width}"
            for column in chosen(inputs, self.columns)
            for width in self.windows
            for name in self.statistics
        ]
        return [*inputs, *made] if self.keep else made
