"""Moments at which a value can be known, or a forecast is made: a date, a time of day and a time zone."""

import re
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
import pandas as pd

from data.calendar import upcoming
from data.contracts import IntArray, Panel
from data.panel import DataError

NEVER = int(np.iinfo(np.int64).min)
"""Before every moment [ns since 1970]."""

END_OF_DAY, STAMP, CLOSE, OPEN = "end_of_day", "stamp", "close", "open"
Times = pd.DatetimeIndex


class DecidedAt:
    """Tell when the forecast of each row is made.

    Parameters
    ----------
    day : str
        ``origin``: on the date of the last value known; ``next``: on that of the row after it, the next session.
    at : str
        Time of day, such as ``"15:00"``; ``close`` or ``open`` of the exchange; ``stamp``: the row's own time.
    zone : str or None
        Time zone of ``at``, such as Asia/Shanghai; None takes that of the dates.
    calendar : str or None
        Exchange of ``close`` and ``open``, such as XSHG; None takes that of the source.

    Raises
    ------
    ValueError
        If a setting cannot work.
    """

    def __init__(
        self, day: str = "origin", at: str = CLOSE, zone: str | None = None, calendar: str | None = None
    ) -> None:
        if day not in ("origin", "next"):
            raise ValueError(f"decided_at.day={day} must be origin or next.")
        self.day, self.zone, self.calendar = day, checked_zone(zone, "decided_at.zone"), calendar
        self.at = checked_time(at, (CLOSE, OPEN, STAMP), "decided_at.at")

    def moments(self, panel: Panel) -> tuple[IntArray, IntArray]:
        """Return when the forecast of each row is made, and when that of the row before was.

        Both ``(row,)`` [ns since 1970 in UTC]; before the first row of a series ``NEVER``.

        Raises
        ------
        DataError
            If the rows count steps, or nothing says at what time and in which zone.
        """
        frame = panel.frame
        if not pd.api.types.is_datetime64_any_dtype(frame["ds"]):
            raise DataError(
                f"{panel.name} counts steps, and covariates of other sources need dates to be joined by.  Name its "
                f"column of dates with source.time=..., or take covariates from the same file (source.covariates)."
            )
        starts = [start for start, _ in panel.series()]
        dates = frame["ds"]
        if self.day == "next":
            dates = dates.shift(-1)
            for start, series in panel.series():
                own = frame["ds"].iloc[start : start + series.size]
                dates.iloc[start + series.size - 1] = upcoming(own, 1, panel.calendar)[0]
        decided = self._of(times_of(dates), panel)
        before = np.r_[NEVER, decided[:-1]].astype(np.int64)
        before[starts] = NEVER
        if (decided <= before).any():
            raise DataError(f"The forecasts of {panel.name} are not made one after another (decided_at).")
        return decided, before

    def _of(self, dates: Times, panel: Panel) -> IntArray:
        zone = self.zone or (None if dates.tz is None else str(dates.tz))
        calendar = self.calendar or panel.calendar
        local = dates if dates.tz is None else dates.tz_localize(None)
        within_a_day = not (local == local.normalize()).all()
        if self.at == CLOSE and zone is not None and within_a_day:
            return in_utc(local, zone)  # each row is known at its own time
        if self.at in (OPEN, CLOSE):
            if calendar is not None:
                return at_exchange(local, calendar, self.at)
        elif zone is not None:
            return in_utc(local if self.at == STAMP else at_time(local, self.at), zone)
        raise DataError(
            f"Nothing says when the forecasts of {panel.name} are made, so no covariate of another source can be "
            f"joined.  Give a time and its zone, such as decided_at.at=15:00 decided_at.zone=Asia/Shanghai, or the "
            f"exchange: decided_at.calendar=XSHG."
        )


def times_of(dates: "pd.Series[Any] | pd.Index[Any]") -> Times:
    """Return the times of a column, with their zone."""
    return Times(dates.array)


def at_time(dates: Times, clock: str) -> Times:
    """Return the days of some dates at a time of day."""
    return dates.normalize() + pd.to_timedelta(f"{clock}:00")


def in_utc(local: Times, zone: str) -> IntArray:
    """Return the times on the clocks of a zone [ns since 1970 in UTC]; of an hour that comes twice the second."""
    there = local.tz_localize(zone, ambiguous=np.zeros(len(local), dtype=bool), nonexistent="shift_forward")
    return there.tz_convert("UTC").tz_localize(None).as_unit("ns").asi8.astype(np.int64)


def at_exchange(dates: Times, code: str, event: str) -> IntArray:
    """Return when an exchange opens or closes on some dates [ns since 1970 in UTC].

    A day that is no session begins and ends nothing: its close is its last moment, its open its first.

    Raises
    ------
    DataError
        If the calendar is not known.
    """
    try:
        import exchange_calendars
    except ImportError:
        raise DataError(
            f"The calendar {code} needs the package exchange_calendars: pip install -e .[calendars].  Without it give "
            f"a time of day and its zone."
        ) from None
    days = dates.normalize()
    try:
        kind = type(exchange_calendars.get_calendar(code))
        bound = kind.bound_max()
        last = days.max() + pd.Timedelta(days=7)
        found: Any = kind(start=days.min() - pd.Timedelta(days=7), end=last if bound is None else min(last, bound))
    except (ValueError, exchange_calendars.errors.CalendarError) as error:
        raise DataError(f"The sessions of the calendar {code} cannot be told ({error}).") from None
    whole = days + pd.Timedelta(days=1) if event == CLOSE else days
    moments = in_utc(whole, str(found.tz))
    times = found.schedule[event]
    place = found.schedule.index.get_indexer(days.as_unit(found.schedule.index.unit))
    known = times_of(times).tz_convert("UTC").tz_localize(None).as_unit("ns").asi8.astype(np.int64)
    return np.where(place >= 0, known[np.maximum(place, 0)], moments)


def checked_time(at: str, words: tuple[str, ...], key: str) -> str:
    """Return a time of day or one of some words, or refuse it with a ``ValueError``."""
    if at in words or re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d", str(at)):
        return at
    raise ValueError(f"{key}={at} is no time of day such as '15:00', and none of {', '.join(words)}.")


def checked_zone(zone: str | None, key: str) -> str | None:
    """Return the name of a time zone, or refuse it with a ``ValueError``."""
    try:
        return zone if zone is None else str(ZoneInfo(zone))
    except (ZoneInfoNotFoundError, ValueError):
        raise ValueError(f"{key}={zone} is no time zone such as Asia/Shanghai or America/New_York.") from None
