"""How fast a panel moves, and which dates come next."""

from typing import Any

import numpy as np
import pandas as pd

from data.contracts import Panel

DAY = pd.Timedelta(days=1)


def pace(panel: Panel) -> tuple[float, float]:
    """Return the usual spacing of two rows [days or steps] and the mean absolute change between them."""
    spacings, changes = [], []
    for _, rows in panel.frame.groupby("unique_id", sort=False):
        spacing: Any = rows["ds"].diff().iloc[1:]
        if pd.api.types.is_timedelta64_dtype(spacing):
            spacing = spacing / DAY
        spacings.append(spacing.to_numpy(dtype=np.float64))
        changes.append(rows["y"].diff().iloc[1:].abs().to_numpy(dtype=np.float64))
    return float(np.median(np.concatenate(spacings))), float(np.concatenate(changes).mean())


def upcoming(dates: "pd.Series[Any]", n_steps: int) -> "pd.Index[Any]":
    """Return the ``n_steps`` dates that follow a series at its usual spacing.

    A daily series without weekends goes on with business days; holidays are not known.
    """
    last: Any = dates.iloc[-1]
    spacing: Any = dates.diff().iloc[1:].median()
    if not isinstance(last, pd.Timestamp):
        return pd.Index(last + int(spacing) * np.arange(1, n_steps + 1))
    if spacing == DAY and (dates.dt.day_of_week < 5).all():
        return pd.bdate_range(last + DAY, periods=n_steps)
    if 28 * DAY <= spacing <= 31 * DAY:
        return pd.DatetimeIndex([last + pd.DateOffset(months=month) for month in range(1, n_steps + 1)])
    return pd.DatetimeIndex([last + spacing * step for step in range(1, n_steps + 1)])
