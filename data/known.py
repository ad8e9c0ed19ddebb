"""What the calendar tells of a date before it has come: weekday, month, hour, and the holidays of an exchange."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from data.calendar import WEEKDAYS
from data.contracts import FloatArray, Panel
from data.moments import Times, times_of
from data.panel import DataError

MOST = 14  # [days] an exchange is closed in a row at most: beyond, its calendar has an end


def _weekday(days: Times, calendar: str | None) -> dict[str, FloatArray]:
    return {name: (days.day_of_week == number).astype(np.float64) for number, name in enumerate(WEEKDAYS)}


def _month_end(days: Times, calendar: str | None) -> dict[str, FloatArray]:
    """The last Monday to Friday of a month: what a date tells without an exchange."""
    following = np.busday_offset(days.to_numpy().astype("datetime64[D]"), 1, roll="backward")
    months = following.astype("datetime64[M]") != days.to_numpy().astype("datetime64[M]")
    return {"month end": months.astype(np.float64)}


def _month(days: Times, calendar: str | None) -> dict[str, FloatArray]:
    return _circle("month", (days.month - 1) / 12)


def _hour(days: Times, calendar: str | None) -> dict[str, FloatArray]:
    return _circle("hour", (days.hour + days.minute / 60) / 24)


def _holidays(days: Times, calendar: str | None) -> dict[str, FloatArray]:
    """Days an exchange is closed before a date, and after it."""
    if calendar is None:
        raise DataError(
            "known=[holidays] needs the calendar of an exchange: source.calendar=XNYS or XSHG, say "
            "(pip install -e .[calendars])."
        )
    from data.calendar import _sessions

    every = days.normalize()
    sessions, _ = _sessions(calendar, every.min() - pd.Timedelta(days=MOST), every.max())
    place = sessions.searchsorted(every)
    before = every - sessions[np.maximum(place - 1, 0)]
    after = sessions[np.minimum(sessions.searchsorted(every, side="right"), len(sessions) - 1)] - every
    closed = {"closed days before": before, "closed days after": after}
    return {name: np.clip(gap.days.to_numpy(dtype=np.float64) - 1, 0, MOST) for name, gap in closed.items()}


KNOWN: dict[str, Callable[[Times, str | None], dict[str, FloatArray]]] = {
    "weekday": _weekday,
    "month_end": _month_end,
    "month": _month,
    "hour": _hour,
    "holidays": _holidays,
}
"""Columns of dates, by what a configuration calls them."""

UNITS = {"closed days before": "[days]", "closed days after": "[days]"}


def calendar_columns(
    names: Sequence[str], dates: "pd.Series[Any] | pd.Index[Any]", calendar: str | None
) -> pd.DataFrame:
    """Return the columns that a calendar tells of dates ``(n,)``, by the names of ``KNOWN``.

    Raises
    ------
    DataError
        If the rows count steps, or holidays are asked for without an exchange.
    """
    if not pd.api.types.is_datetime64_any_dtype(dates):
        raise DataError("known=[...] needs dates, and the rows count steps.  Name the column of dates: source.time=...")
    times = times_of(dates)
    local = times if times.tz is None else times.tz_localize(None)
    return pd.DataFrame({name: column for key in names for name, column in KNOWN[key](local, calendar).items()})


def with_calendar(panel: Panel, names: Sequence[str]) -> Panel:
    """Return the panel with columns that are known ahead."""
    if not names:
        return panel
    columns = calendar_columns(names, panel.frame["ds"], panel.calendar)
    told = {str(name): f"of the date {UNITS.get(str(name), '[0 to 1]')}" for name in columns}
    frame = panel.frame.drop(columns=[name for name in told if name in panel.frame]).join(columns)
    return replace(panel, frame=frame, known={**panel.known, **told})


def _circle(name: str, share: Any) -> dict[str, FloatArray]:
    """Return a place on a circle: what comes after the last is near the first."""
    turn = 2 * np.pi * np.asarray(share, dtype=np.float64)
    return {f"{name} sine": np.sin(turn), f"{name} cosine": np.cos(turn)}
