"""How fast a panel moves, and which dates come next."""

import numpy as np
import pandas as pd

from data.contracts import Panel

DAY = pd.Timedelta(days=1)


def pace(panel: Panel) -> tuple[float, float]:
    """Return the usual spacing of two rows [days or steps] and the mean absolute change between them."""
    spacings, changes = [], []
    for _, rows in panel.frame.groupby("unique_id", sort=False):
        spacing = rows["ds"].diff().iloc[1:]
        if pd.api.types.is_timedelta64_dtype(spacing):
            spacing = spacing / DAY
        spacings.append(spacing.to_numpy(dtype=np.float64))
        changes.append(rows["y"].diff().iloc[1:].abs().to_numpy())
    return float(np.median(np.concatenate(spacings))), float(np.concatenate(changes).mean())


def upcoming(dates: "pd.Series", n_steps: int) -> "pd.Index":
    """Return the ``n_steps`` dates that follow a series at its usual spacing.

    A daily series without weekends goes on with business days; holidays are not known.
    """
    last = dates.iloc[-1]
    spacing = dates.diff().iloc[1:].median()
    if not isinstance(last, pd.Timestamp):
        return pd.Index(last + int(spacing) * np.arange(1, n_steps + 1))
    if spacing == DAY and (dates.dt.dayofweek < 5).all():
        return pd.bdate_range(last + DAY, periods=n_steps)
    if pd.Timedelta(days=27) < spacing < pd.Timedelta(days=32):
        return pd.DatetimeIndex([last + pd.DateOffset(months=month) for month in range(1, n_steps + 1)])
    return pd.date_range(last, periods=n_steps + 1, freq=spacing)[1:]
