"""Rows of the forecasts that sections draw."""

import numpy as np
import pandas as pd

from data.contracts import SERIES
from report.run_folder import RunFolder


def furthest(forecasts: pd.DataFrame) -> tuple[pd.DataFrame, int]:
    """Return the rows of the furthest step, and that step."""
    horizon = int(forecasts["step"].max())
    return forecasts[forecasts["step"] == horizon], horizon


def first_series(run: RunFolder) -> pd.DataFrame | None:
    """Return the first series at the furthest step, in time order; None where there are no forecasts."""
    if run.forecasts is None or run.own is None:
        return None
    rows, _ = furthest(run.forecasts)
    return rows[rows["unique_id"] == rows["unique_id"].iloc[0]].sort_values("ds", kind="stable")


def time_axis(run: RunFolder) -> str:
    """Return what stands on the time axis: nothing of dates, of cells the cycle or the record."""
    rows = run.forecasts
    if run.metrics.question.kind == SERIES:
        return ""
    return "cycle" if rows is None or np.allclose(run.life(rows), rows["y"] + rows["ds"]) else "record"
