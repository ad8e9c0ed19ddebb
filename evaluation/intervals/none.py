"""Forecasts without intervals."""

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from data.contracts import KINDS, Kind
from evaluation.intervals.bounds import bound_columns, valid_levels


class NoIntervals:
    """Leave all bounds empty.

    Parameters
    ----------
    levels : sequence of int
        Which columns to name [%].
    """

    kinds: ClassVar[Sequence[Kind]] = KINDS

    def __init__(self, levels: Sequence[int]) -> None:
        self.levels = valid_levels(levels)

    def apply(self, forecasts: pd.DataFrame, calibration: pd.DataFrame) -> pd.DataFrame:
        """Return the forecasts with empty bounds."""
        return forecasts.assign(**dict.fromkeys(bound_columns(self.levels), np.nan))

    def latest(self, forecasts: pd.DataFrame, calibration: pd.DataFrame) -> list[dict[str, Any]]:
        """Return nothing."""
        return []

    def notes(self, calibration: pd.DataFrame) -> list[str]:
        """Return nothing."""
        return []
