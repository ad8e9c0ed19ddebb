"""Split conformal intervals: one width for the whole test set."""

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from data.contracts import SERIES, FloatArray, Kind
from evaluation.intervals.bounds import around, needed, rank, supported, valid_levels
from evaluation.intervals.offsets import as_offsets
from evaluation.intervals.streams import STREAM, by_fold, last_fold, streams


class SplitConformal:
    """Give every test row the same width: a quantile of the absolute validation errors.

    The quantile is the k-th smallest of n errors with k = ceil((n + 1) level), which holds the
    level exactly if test errors are like validation errors (Papadopoulos et al., 2002; Lei et al.,
    2018).  In calm and wild times they are not.  Where n is too small for the level (19 errors for
    95 %), bounds are NaN.

    Parameters
    ----------
    levels : sequence of int
        Shares of truths the intervals shall hold [%].
    """

    kinds: ClassVar[Sequence[Kind]] = (SERIES,)  # a remaining life is known at the end only

    def __init__(self, levels: Sequence[int]) -> None:
        self.levels = valid_levels(levels)

    def apply(self, forecasts: pd.DataFrame, calibration: pd.DataFrame) -> pd.DataFrame:
        """Return the forecasts with intervals.

        Raises
        ------
        ForecastsError
            If a row is forecast twice, or a calibration truth is not known at a test origin.
        """
        found = streams(forecasts, calibration)
        reach = {level: np.full(len(forecasts), np.nan) for level in self.levels}
        for _, known, test in found.each():
            for level, far in self._reaches(found.error[known]).items():
                reach[level][found.row[test]] = far
        return around(forecasts, reach)

    def latest(self, forecasts: pd.DataFrame, calibration: pd.DataFrame) -> list[dict[str, Any]]:
        """Return the same widths once more."""
        found = streams(*last_fold(forecasts, calibration))
        return as_offsets((found.keys[n], self._reaches(found.error[known])) for n, known, _ in found.each())

    def notes(self, calibration: pd.DataFrame) -> list[str]:
        """Say which levels the validation errors are too few for."""
        sizes = [0] if calibration.empty else calibration.groupby(by_fold(calibration, STREAM)).size()
        return supported(min(sizes), self.levels, "validation error", "a series")

    def _reaches(self, error: FloatArray) -> dict[int, float]:
        """Return how far the interval of each level reaches."""
        scores = np.sort(np.abs(error[np.isfinite(error)]))
        return {
            level: float(scores[rank(scores.size, 1 - level / 100)]) if scores.size >= needed(level) else np.nan
            for level in self.levels
        }
