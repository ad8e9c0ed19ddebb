"""Quantiles a model has learnt itself."""

from collections.abc import Sequence
from typing import Any, ClassVar

import pandas as pd

from data.contracts import KINDS, Kind
from evaluation.intervals.bounds import OWN, bound_columns, valid_levels
from evaluation.rows import ForecastsError


class OwnQuantiles:
    """What a model of quantiles has learnt itself (``model/component=quantiles``); others have none.

    Nothing is calibrated: how many truths they hold is for the report to say.

    Parameters
    ----------
    levels : sequence of int
        [%] of truths an interval shall hold, as the model's quantiles have them.
    """

    kinds: ClassVar[Sequence[Kind]] = KINDS

    def __init__(self, levels: Sequence[int]) -> None:
        self.levels = valid_levels(levels)

    def apply(self, forecasts: pd.DataFrame, calibration: pd.DataFrame) -> pd.DataFrame:
        """Return the forecasts with ``lo_<level>`` and ``hi_<level>``, NaN where a model has none."""
        absent = [f"{OWN}{name}" for name in bound_columns(self.levels) if f"{OWN}{name}" not in forecasts.columns]
        if absent:
            raise ForecastsError(
                f"No model has learnt {', '.join(absent)}.  Choose model/component=quantiles with these levels, or "
                f"another choice of intervals."
            )
        return forecasts.assign(**{name: forecasts[f"{OWN}{name}"] for name in bound_columns(self.levels)})

    def latest(self, forecasts: pd.DataFrame, calibration: pd.DataFrame) -> list[dict[str, Any]]:
        """Return nothing: what comes next is bounded by the quantiles the model forecasts there."""
        return []

    def notes(self, calibration: pd.DataFrame) -> list[str]:
        """Return nothing: no calibration is needed."""
        return []
