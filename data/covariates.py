"""Covariates of other sources, joined by when they could be known (point in time).

A forecast may use a value only if it was available *before* the forecast is made.  Each value has the moment it
becomes available, each row of a panel the moment its forecast is made (``data.moments.DecidedAt``); the join
takes the newest value that is strictly earlier.

Shapes
------
m value of a covariate, row of a panel
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from data.contracts import FloatArray, IntArray, Outside, Panel, Source
from data.moments import (
    CLOSE,
    END_OF_DAY,
    STAMP,
    DecidedAt,
    Times,
    at_exchange,
    at_time,
    checked_time,
    checked_zone,
    in_utc,
    times_of,
)
from data.panel import DataError, listed, shown_date
from data.reading.options import Options
from data.reading.table import read_table

DAY = 86_400_000_000_000  # [ns]
DECIDED, BEFORE = "decided_at", "decided_before"


class Covariate:
    """A quantity beside the series, and when each of its values can be known.

    Unless it is said otherwise a value is available at the END of its own day in its own time zone: a close of
    New York counts from midnight there.  A column of the file that tells when each row was published is
    best; rows of one date are then revisions, the newest available of which counts.

    Parameters
    ----------
    source : Source or None
        Where the values are; or
    path : str or None
        a file, with
    column : str or None
        the column of the values; None takes the value of the source.
    time : str or None
        Column of the dates of the file.
    available : str or None
        Column of the file that tells when each value became available.
    zone : str or None
        Time zone of the dates and of ``available``, where these have no offset.
    calendar : str or None
        Exchange whose close counts with ``at: close``, such as XNYS.
    at : str
        Time of day from which a value is available: ``end_of_day``, a time such as ``"16:30"``, ``close`` of the
        exchange, or ``stamp``, the row's own time.
    lag : int
        Days later than that [days].
    moves : bool
        Give the log changes between two decisions, in place of the values: over a holiday they add up.
    unit : str
        Unit of the values of a file.
    stale_after : int
        Age of a value beyond which it is said that it is old [days].

    Raises
    ------
    ValueError
        If settings cannot work together, all faults at once.
    """

    def __init__(
        self,
        source: Source | None = None,
        path: Any = None,
        column: str | None = None,
        time: str | None = None,
        available: str | None = None,
        zone: str | None = None,
        calendar: str | None = None,
        at: str = END_OF_DAY,
        lag: int = 0,
        moves: bool = False,
        unit: str = "units",
        stale_after: int = 10,
    ) -> None:
        faults = []
        if (source is None) == (path is None):
            faults.append("A covariate needs either a source or the path of a file.")
        if path is not None and column is None:
            faults.append("A covariate of a file needs the name of its column (column: ...).")
        if source is not None and (available is not None or time is not None):
            faults.append("The columns available and time are those of a file (path: ...), not of a source.")
        if available is None and zone is None and calendar is None:
            faults.append("A covariate needs its zone, such as America/New_York, to tell when its values are known.")
        if at == CLOSE and calendar is None:
            faults.append("at=close needs the calendar of an exchange, such as calendar: XNYS.")
        if lag < 0:
            faults.append(f"lag={lag} must be at least 0 [days]: no value is known before it is there.")
        if stale_after < 1:
            faults.append(f"stale_after={stale_after} must be at least 1 [days].")
        if faults:
            raise ValueError("  ".join(faults))
        self.source, self.path, self.column, self.time, self.available = source, path, column, time, available
        self.zone, self.calendar = checked_zone(zone, "zone"), calendar
        self.at = checked_time(at, (END_OF_DAY, CLOSE, STAMP), "at")
        self.lag, self.moves, self.unit, self.stale_after = lag, moves, unit, stale_after

    def read(self, name: str) -> tuple[Outside, list[str]]:
        """Return the values with the moments they become available, and what is to be said of them.

        Raises
        ------
        DataError
            If there is no value, a column lacks, or logarithms are asked of values that are not above zero.
        """
        dates, available, values, unit = self._of_file() if self.path is not None else self._of_source(name)
        there = np.isfinite(values) & ~pd.isna(dates)
        if not there.any():
            raise DataError(f"The covariate {name} has no value at all: its column is empty.  Leave it out.")
        notes = []
        if not there.all():
            notes.append(
                f"{int((~there).sum())} rows of the covariate {name} have no value; the last one known counts."
            )
        if self.moves and (values[there] <= 0).any():
            raise DataError(
                f"The covariate {name} has values that are not above 0, of which there is no log change.  Set "
                f"covariates.{name}.moves=false."
            )
        moments = available[there] if available is not None else self._available(Times(dates)[there])
        own = _clock(Times(dates)[there])
        order = np.lexsort((np.arange(own.size), own, moments))
        return Outside(name, unit, own[order], moments[order], values[there][order], self.moves), notes

    def _of_source(self, name: str) -> tuple[Times, None, FloatArray, str]:
        assert self.source is not None
        panel = self.source.load()
        frame = panel.frame
        if frame["unique_id"].nunique() > 1 or not pd.api.types.is_datetime64_any_dtype(frame["ds"]):
            raise DataError(f"The covariate {name} must be one series with dates; {panel.name} is not.")
        column = self.column or "y"
        if column != "y" and column not in panel.covariates:
            raise DataError(
                f"{panel.name} lacks the column {column!r} (covariates.{name}); {listed(panel.covariates)}."
            )
        unit = panel.unit if column == "y" else panel.covariates[column]
        return times_of(frame["ds"]), None, frame[column].to_numpy(dtype=np.float64), unit

    def _of_file(self) -> tuple[Times, IntArray | None, FloatArray, str]:
        table = read_table(self.path, Options(timezone=None).checked())
        asked = {"column": self.column, "time": self.time, "available": self.available}
        found = {key: table.named(column) for key, column in asked.items() if column is not None}
        absent = [str(asked[key]) for key, columns in found.items() if not columns]
        if absent:
            raise DataError(
                f"{table.name} lacks the column {listed(map(repr, absent))}; it has {listed(table.columns)}."
            )
        time = found.get("time") or [
            name for name in table.columns if name not in found["column"] and table.is_dated(name)
        ]
        time = [name for name in time if name not in found.get("available", [])]
        if len(time) != 1:
            raise DataError(f"{table.name}: name the column of the dates of {self.column!r} (time: ...).")
        dates = times_of(table.dates(time[0])[0])
        numbers = table.numbers(found["column"][0])
        if numbers.wrong.any():
            raise DataError(f"{table.name}: {int(numbers.wrong.sum())} values of {self.column!r} are not numbers.")
        available = None
        if self.available is not None:
            told = times_of(table.dates(found["available"][0])[0])
            available = _in_utc(told, self.zone, f"the column {self.available!r} of {table.name}") + self.lag * DAY
        return dates, available, np.asarray(numbers.parsed, dtype=np.float64), self.unit

    def _available(self, dates: Times) -> IntArray:
        local = dates if dates.tz is None else dates.tz_localize(None)
        zone = self.zone or (None if dates.tz is None else str(dates.tz))
        if self.at == CLOSE:
            assert self.calendar is not None
            return at_exchange(local, self.calendar, CLOSE) + self.lag * DAY
        if zone is None:
            return at_exchange(local.normalize() + pd.Timedelta(days=1), str(self.calendar), "open") + self.lag * DAY
        late = pd.Timedelta(days=self.lag)
        if self.at == STAMP:
            return in_utc(local + late, zone)
        if self.at == END_OF_DAY:
            return in_utc(local.normalize() + late + pd.Timedelta(days=1), zone)
        return in_utc(at_time(local + late, self.at), zone)


def as_of(available: IntArray, dates: IntArray, decided: IntArray) -> IntArray:
    """Return for each decision the number of the value that counts, -1 where there is none.

    It is that of the latest date among those available strictly earlier; of several of one date the one that became
    available last, a revision.

    Parameters
    ----------
    available : array ``(m,)``
        Ascending.
    dates : array ``(m,)``
    decided : array ``(row,)``
        In any order.
    """
    if not available.size:
        return np.full(decided.shape, -1, dtype=np.int64)
    n_known = np.searchsorted(available, decided, side="left")  # those < decided
    rank = np.unique(dates, return_inverse=True)[1].astype(np.int64)
    newest = np.maximum.accumulate(rank * available.size + np.arange(available.size)) % available.size
    return np.where(n_known > 0, newest[np.maximum(n_known - 1, 0)], -1)


def column_of(outside: Outside, decided: IntArray, before: IntArray) -> FloatArray:
    """Return what a row may know of a covariate, ``(row,)``: the value, or its log change since the row before."""
    value = _value(outside, decided)
    if not outside.moves:
        return value
    earlier = _value(outside, before)
    with np.errstate(invalid="ignore"):
        return np.log(value) - np.log(earlier)


def joined(panel: Panel, outside: tuple[Outside, ...]) -> Panel:
    """Return the panel with the columns of covariates, by the moments that its rows tell."""
    moments = [panel.frame[name].to_numpy(dtype=np.int64) for name in (DECIDED, BEFORE)]
    columns = {one.name: column_of(one, *moments) for one in outside}
    return replace(panel, frame=panel.frame.assign(**columns), outside=outside)


def with_covariates(
    panel: Panel, covariates: Mapping[str, Covariate], decided_at: DecidedAt, refuse: bool = True
) -> Panel:
    """Read covariates and join them to a panel; rows before all of them are known are left out.

    Parameters
    ----------
    refuse : bool
        Whether a covariate that ends long before the panel is refused; False says it in a note.

    Raises
    ------
    DataError
        If a covariate cannot be used, or ends long before the panel.
    """
    if not covariates:
        return panel
    taken = [name for name in covariates if name in panel.frame or name in (DECIDED, BEFORE)]
    if taken:
        raise DataError(f"{panel.name} has a column {taken[0]!r} already.  Call the covariate something else.")
    decided, before = decided_at.moments(panel)
    read = [covariate.read(name) for name, covariate in covariates.items()]
    outside = tuple(one for one, _ in read)
    notes = [note for _, told in read for note in told]
    frame = panel.frame.assign(**{DECIDED: decided, BEFORE: before})
    told = {one.name: "log change since the decision before" if one.moves else one.unit for one in outside}
    whole = joined(replace(panel, frame=frame, covariates={**panel.covariates, **told}), outside)
    known = whole.frame[list(told)].notna()
    for one, covariate in zip(outside, covariates.values(), strict=True):
        if not known[one.name].any():
            raise DataError(
                f"No value of the covariate {one.name} is known before {panel.name} ends: it begins on "
                f"{_shown(one.dates.min())}.  Take another period or leave it out."
            )
        notes += _ages(panel, one, decided, known[one.name].to_numpy(), covariate.stale_after, refuse)
    kept = known.all(axis=1).to_numpy()
    if not kept.any():
        raise DataError(f"No date of {panel.name} has a value of all covariates: {listed(told)}.")
    if not kept.all():
        late = max(outside, key=lambda one: one.available.min())
        notes.append(
            f"{int((~kept).sum())} rows of {panel.name} before all covariates are known are left out; {late.name} "
            f"begins on {_shown(late.dates.min())}."
        )
    return replace(whole, frame=whole.frame[kept].reset_index(drop=True), notes=(*panel.notes, *notes))


def staleness(panel: Panel) -> list[str]:
    """Say of each covariate how old its newest value is when the last forecast is made."""
    notes = []
    decided = panel.frame[DECIDED].to_numpy(dtype=np.int64).max() if panel.outside else 0
    for one in panel.outside:
        place = int(as_of(one.available, one.dates, np.array([decided]))[0])
        age = (decided - one.available[place]) / DAY
        notes.append(
            f"{one.name}: the newest value that counts is of {_shown(one.dates[place])}, available {age:.1f} days "
            f"before the forecast is made."
        )
    return notes


def _ages(panel: Panel, one: Outside, decided: IntArray, known: Any, most: int, refuse: bool) -> list[str]:
    """Refuse a covariate that ends long before the panel, and say where its values are old."""
    place = as_of(one.available, one.dates, decided)
    old = known & (decided - one.available[np.maximum(place, 0)] > most * DAY)
    if not old.any():
        return []
    first, last = int(np.flatnonzero(old)[0]), int(np.argmax(decided))
    rows = f"{int(old.sum())} rows of {panel.name} (first {shown_date(panel.frame['ds'].iloc[first])})"
    if old[last] and refuse:
        raise DataError(
            f"The covariate {one.name} ends on {_shown(one.dates.max())}, but {panel.name} goes on to "
            f"{shown_date(panel.frame['ds'].iloc[last])}: {rows} would use a value more than {most} days old.  Give a "
            f"longer file, end the series earlier (source.last), or allow it with covariates.{one.name}.stale_after."
        )
    return [f"In {rows} the newest value of the covariate {one.name} is more than {most} days old."]


def _value(outside: Outside, decided: IntArray) -> FloatArray:
    place = as_of(outside.available, outside.dates, decided)
    return np.where(place >= 0, outside.numbers[np.maximum(place, 0)], np.nan)


def _clock(dates: Times) -> IntArray:
    local = dates if dates.tz is None else dates.tz_localize(None)
    return local.as_unit("ns").asi8.astype(np.int64)


def _in_utc(times: Times, zone: str | None, what: str) -> IntArray:
    if times.tz is not None:
        return times.tz_convert("UTC").tz_localize(None).as_unit("ns").asi8.astype(np.int64)
    if zone is None:
        raise DataError(f"{what} has times without an offset.  Say in which time zone they are (zone: ...).")
    return in_utc(times, zone)


def _shown(moment: int) -> str:
    return shown_date(pd.Timestamp(int(moment)))
