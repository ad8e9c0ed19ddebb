"""Outliers replaced, by what the cell had shown until then.

Hampel, F.R.: The influence curve and its role in robust estimation, JASA 69 (1974); here with trailing
windows, so that no later cycle decides.

Shapes
------
n row, F factor, w width of a trailing window
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from data.contracts import FloatArray, IntArray
from data.features._named import Named
from data.features._rows import begun, cell_starts, trailing
from data.panel import DataError

DEVIATION = 1.4826
"""Of a normal distribution, its standard deviation over its median absolute deviation."""


class Robust(Named):
    """Replace what is far from the median of the last rows by that median.

    A row of another regime than the rest, such as a capacity test at a low rate, is void in all columns
    and takes the last values of its cell; before the first regular row of a cell it takes the level on
    which the training cells begin.

    Parameters
    ----------
    window : int
        w, width of the trailing window [rows].
    deviations : float
        How far from the median a value may be [standard deviations, by the median absolute deviation].
    floor : float
        How far it may be at least [fraction of the median]; a quiet sensor does not make an outlier.
    limits : mapping
        Lowest and highest regular value of some factors, by column.

    Raises
    ------
    ValueError
        Naming every setting that cannot work.
    """

    def __init__(
        self,
        window: int = 15,
        deviations: float = 6.0,
        floor: float = 0.01,
        limits: Mapping[str, Sequence[float]] | None = None,
    ) -> None:
        faults = [f"robust.window={window} must be at least 3 [rows]."] if window < 3 else []
        if deviations <= 0 or floor < 0:
            faults.append(f"robust.deviations={deviations} must be above 0 and robust.floor={floor} not below.")
        faults += [
            f"robust.limits[{column!r}]={list(pair)} must be a lowest and a highest value."
            for column, pair in (limits or {}).items()
            if len(pair) != 2 or not pair[0] < pair[1]
        ]
        if faults:
            raise ValueError("  ".join(faults))
        self.window, self.deviations, self.floor, self.limits = window, deviations, floor, limits

    def _learn(self, X: pd.DataFrame, y: "pd.Series[float]") -> None:
        regular = self._regular(X)
        first = X[regular].groupby(level="unique_id", sort=False).head(1)
        if first.empty:
            raise DataError(f"No training row lies within robust.limits={dict(self.limits or {})}.  Widen them.")
        self.beginning_ = np.median(first.to_numpy(dtype=np.float64), axis=0)  # (F,)

    def _transformed(self, X: pd.DataFrame) -> pd.DataFrame:
        starts, regular = cell_starts(X), self._regular(X)
        values = np.where(regular[:, None], X.to_numpy(dtype=np.float64), np.nan)
        places = trailing(starts, self.window)
        there = begun(starts, self.window)
        sound = np.column_stack([self._sound(column, places, there) for column in values.T])
        return pd.DataFrame(_carried_on(sound, starts, self.beginning_), X.index, X.columns)

    def _sound(self, values: FloatArray, places: IntArray, there: NDArray[np.bool_]) -> FloatArray:
        """Map one factor ``(n,)`` to itself, outliers replaced; void rows stay NaN."""
        here = np.isfinite(values)
        windows = np.where(there, values[places], np.nan)[here]  # (n, w)
        median = np.nanmedian(windows, axis=1)
        spread = DEVIATION * np.nanmedian(np.abs(windows - median[:, None]), axis=1)
        allowed = self.deviations * spread + self.floor * np.abs(median)
        found = values.copy()
        found[here] = np.where(np.abs(values[here] - median) > allowed, median, values[here])
        return found

    def _regular(self, X: pd.DataFrame) -> NDArray[np.bool_]:
        """Return which rows are within the limits, ``(n,)``."""
        limits = self.limits or {}
        absent = [column for column in limits if column not in X.columns]
        if absent:
            raise DataError(
                f"robust.limits names {', '.join(map(repr, absent))}, but there are {', '.join(map(repr, X.columns))}."
            )
        regular = np.ones(len(X), dtype=bool)
        for column, (low, high) in limits.items():
            regular &= X[column].between(low, high).to_numpy()
        return regular

    def _learned(self) -> dict[str, NDArray[Any]]:
        return {"beginning": self.beginning_}

    def _recall(self, state: Mapping[str, NDArray[Any]]) -> None:
        self.beginning_ = state["beginning"]


def _carried_on(values: FloatArray, starts: IntArray, beginning: FloatArray) -> FloatArray:
    """Give void rows the last values of their cell, or those of the beginning, ``(n, F)``."""
    known = np.isfinite(values[:, 0])
    last = np.maximum.accumulate(np.where(known, np.arange(len(values)), -1))  # (n,), of any cell
    return np.where((last >= starts)[:, None], values[last], beginning)
