"""Adaptive conformal intervals: widths that follow the size of recent errors and mend their own coverage."""

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from data.contracts import SERIES, FloatArray, Kind
from evaluation.intervals.bounds import around, needed, valid_levels
from evaluation.intervals.offsets import as_offsets
from evaluation.intervals.streams import Streams, last_fold, streams


class Adaptive:
    """Let the width follow the size of recent errors, and correct it when too many truths fall outside.

    The score of a forecast is its absolute error over the size of errors at its origin: the root of
    an exponentially weighted mean of the squared errors known then.  The reach of a level is that
    size times a quantile of the last ``window`` scores.  The share alpha that may fall outside is
    adapted whenever a truth arrives (Gibbs and Candes, 2021, equation 2):

        alpha <- alpha + gamma * (1 - level - miss),     miss = 1 if the truth fell outside, else 0

    so that the share of misses tends to 1 - level whatever the series does.  Where alpha asks for
    more than the largest score, the largest is taken: their interval would be infinite.

    Calibration rows are the stream's beginning; the correction starts with them.  Without any, the
    first bounds of the test set are NaN: until 10 errors are known for their size, and then until
    there are scores enough for the level (4 for 80 %, 19 for 95 %): 29 forecasts at step 1 for 95 %.

    Parameters
    ----------
    levels : sequence of int
        Shares of truths the intervals shall hold [%].
    window : int
        Scores that are remembered [forecasts].
    gamma : float
        Step of the correction; 0 leaves alpha as it is.
    halflife : float
        After so many further errors, an error counts half in their present size [forecasts].
    """

    kinds: ClassVar[Sequence[Kind]] = (SERIES,)  # a remaining life is known at the end only

    def __init__(self, levels: Sequence[int], window: int, gamma: float, halflife: float) -> None:
        self.levels = valid_levels(levels)
        fewest = max(needed(level) for level in levels)
        faults = []
        if window < fewest:
            faults.append(f"intervals.window={window} holds too few scores for a level of {max(levels)} %: {fewest}")
        if not 0 <= gamma < 1:
            faults.append(f"intervals.gamma={gamma} must be in [0, 1)")
        if not halflife > 0:
            faults.append(f"intervals.halflife={halflife} must be above 0 forecasts")
        if faults:
            raise ValueError("; ".join(faults) + ".")
        self.window, self.gamma, self.halflife = window, gamma, halflife

    def apply(self, forecasts: pd.DataFrame, calibration: pd.DataFrame) -> pd.DataFrame:
        """Return the forecasts with intervals.

        Raises
        ------
        ForecastsError
            If a row is forecast twice, or calibration rows do not come before the test rows.
        """
        found = streams(forecasts, calibration)
        followed, _ = self._follow(found)
        reach = np.full((len(forecasts), len(self.levels)), np.nan)
        reach[found.row[found.row >= 0]] = followed[found.row >= 0]
        return around(forecasts, dict(zip(self.levels, reach.T, strict=True)))

    def latest(self, forecasts: pd.DataFrame, calibration: pd.DataFrame) -> list[dict[str, Any]]:
        """Return the widths once all truths of the table have arrived."""
        found = streams(*last_fold(forecasts, calibration))
        _, last = self._follow(found)
        return as_offsets(zip(found.keys, (dict(zip(self.levels, own, strict=True)) for own in last), strict=True))

    def notes(self, calibration: pd.DataFrame) -> list[str]:
        """Return nothing: what calibration rows lack the first test rows make up for."""
        return []

    def online(self) -> "Online":
        """Return the state of one stream of errors, before the first."""
        return Online(self.levels, self.window, self.gamma, self.halflife)

    def _follow(self, found: Streams) -> tuple[FloatArray, FloatArray]:
        """Return the reach of every row ``(n, level)``, and that of the row after each stream ``(S, level)``."""
        from evaluation.intervals._adaptive_loop import follow  # numba, a second to import

        reach = np.full((found.error.size, len(self.levels)), np.nan)
        last = np.full((len(found.keys), len(self.levels)), np.nan)
        target = np.array([1 - level / 100 for level in self.levels])
        fewest = np.array([needed(level) for level in self.levels], dtype=np.int64)
        keep = 0.5 ** (1 / self.halflife)
        times = (found.start, found.ds, found.origin, found.error)
        follow(*times, target, fewest, self.window, self.gamma, keep, reach, last)
        return reach, last


class Online:
    """The state of adaptive intervals of one model, series and step, moved by one error at a time.

    The same compiled steps as ``Adaptive`` takes over whole tables, so the same bits.

    Parameters
    ----------
    levels, window, gamma, halflife
        As of ``Adaptive``.
    """

    def __init__(self, levels: Sequence[int], window: int, gamma: float, halflife: float) -> None:
        self.levels, self.gamma, self.keep = levels, gamma, 0.5 ** (1 / halflife)
        self._target = np.array([1 - level / 100 for level in levels])
        self._fewest = np.array([needed(level) for level in levels], dtype=np.int64)
        self._alpha, self._came, self._ordered = self._target.copy(), np.empty(window), np.empty(window)
        self._counts, self._sums = np.zeros(3, dtype=np.int64), np.zeros(2)

    def expect(self) -> tuple[float, FloatArray]:
        """Return the size of errors, and how far the interval of each level reaches ``(level,)``, both as of now."""
        from evaluation.intervals._adaptive_loop import expect

        reach = np.empty(len(self.levels))
        size = expect(self._alpha, self._ordered, self._counts, self._sums, self._fewest, reach)
        return float(size), reach

    def learn(self, error: float, size: float, reach: FloatArray) -> None:
        """Take the error of a forecast, and what ``expect`` returned when it was made."""
        from evaluation.intervals._adaptive_loop import learn

        if np.isfinite(error):
            state = (self._alpha, self._came, self._ordered, self._counts, self._sums)
            learn(*state, self._target, self.gamma, self.keep, abs(error), size, reach)
