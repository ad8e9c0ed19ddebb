"""Any table of values over time: CSV, Parquet, Feather, Excel or .tsf, one series or many."""

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from data.contracts import Panel
from data.panel import DataError, listed, validated
from data.reading.beside import columns_beside, described
from data.reading.date_parts import with_dates
from data.reading.files import stem
from data.reading.options import Options
from data.reading.roles import Roles, refuse_several_a_date, roles_of
from data.reading.table import Table, read_table
from data.remarks import remarked


class CSV:
    """Read one series, or several, from a table with a header line.

    How the file is written (separator, decimal mark, encoding, dates) is found out.  What could be read in two
    ways is refused with the option that settles it.

    Parameters
    ----------
    path : str
        The file, packed or not; a DataFrame where the source is built in Python.
    time : str or None
        Column of the dates; None takes the only one, or counts the rows where there is none.
    value : str, list of str or None
        Column of the values to forecast, or several, each a series; None takes ``close``, ``y``, ``value`` or the
        only column of numbers.
    series : str or None
        Column that tells several series apart; None where there is one, or a column a series.
    wide : bool
        Whether every column of numbers is a series of its own.
    covariates : list of str or None
        Further columns of numbers that are known when the value of their row is, and help to forecast the next.
    static : list of str or None
        Further columns of numbers that are the same in every row of a series, such as the size of a shop.
    clock : str or None
        Column of the time of day, where it does not stand beside the date.
    date_format : str or None
        As of ``strptime``, such as ``"%d.%m.%Y"``, or what numbers count: YYYYMMDD, s, ms, us, ns (since 1970),
        excel (days) or step; None finds out.
    dayfirst : bool or None
        Whether 01/02/2024 is the first of February; None lets the other rows tell.
    timezone : str or None
        What dates without an offset are in and all are shown in, such as Europe/Berlin; None leaves them as they are.
    calendar : str or None
        Exchange whose sessions the dates ahead are, such as XSHG; None learns them from the dates.
    missing : str
        What becomes of rows without a value: ``"refuse"``, ``"drop"``, or ``"last"`` for the last value known.
    last : str or None
        Rows after this date are left out; None keeps all.
    separator, decimal, thousands, encoding : str or None
        How the file is written; None finds out.  ``comma``, ``point``, ``semicolon``, ``tab``, ``space`` are known.
    skip_rows : int
        Lines before the header to pass over.
    sheet : str or None
        Sheet of a workbook; None takes the first with values.
    name : str or None
        What titles call the data; None takes the file's name.
    unit : str
        Unit of the value.
    """

    def __init__(
        self,
        path: Any,
        time: str | None = None,
        value: str | list[str] | None = None,
        series: str | None = None,
        wide: bool = False,
        covariates: list[str] | None = None,
        static: list[str] | None = None,
        clock: str | None = None,
        date_format: str | None = None,
        dayfirst: bool | None = None,
        timezone: str | None = None,
        calendar: str | None = None,
        missing: str = "refuse",
        last: str | None = None,
        separator: str | None = None,
        decimal: str | None = None,
        thousands: str | None = None,
        encoding: str | None = None,
        skip_rows: int = 0,
        sheet: str | None = None,
        name: str | None = None,
        unit: str = "units",
    ) -> None:
        if missing not in ("refuse", "drop", "last"):
            raise ValueError(f"source.missing={missing} must be refuse, drop or last.")
        self.covariates, self.static = list(covariates or []), list(static or [])
        if (self.covariates or self.static) and (wide or (isinstance(value, list) and len(value) > 1)):
            raise ValueError(
                "source.covariates and source.static stand beside one column of values; with several (source.wide, "
                "source.value) it is not known which series they belong to.  Give one row a date and series."
            )
        self.path, self.time, self.value, self.series, self.wide, self.clock = path, time, value, series, wide, clock
        self.calendar, self.missing, self.last, self.name, self.unit = calendar, missing, last, name, unit
        self.options = Options(
            separator, decimal, thousands, encoding, skip_rows, sheet, date_format, dayfirst, timezone
        ).checked()

    def load(self) -> Panel:
        """Return the file's rows as a panel.

        Raises
        ------
        DataError
            If the file is missing, empty or unreadable, lacks a column, can be read in two ways, or breaks a
            promise of the panel.
        """
        table = read_table(self.path, self.options)
        if not len(table):
            raise DataError(f"{table.name} has no rows.  Give a file with a header line and rows.")
        if self.time is None and self.clock is None:
            table = with_dates(table, self._asked())
        roles = roles_of(table, self.time, self.value, self.series, self.wide, self.clock)
        title = self.name or ("table" if isinstance(self.path, pd.DataFrame) else stem(self.path))
        frame, notes = self._long(table, roles, title)
        frame = self._until(frame, table.name)
        if self.clock is None:
            refuse_several_a_date(table, roles, frame)
        frame, told = _without_missing(frame, self.missing)
        panel = validated(
            frame, title, self.unit, cure="Fill or remove these rows, or set source.missing=drop or =last."
        )
        panel = described(panel, self.covariates, self.static)
        notes = (*table.notes, *roles.notes, *notes, *told, *panel.notes)
        return remarked(replace(panel, notes=notes, calendar=self.calendar))

    def _asked(self) -> set[str]:
        values = self.value if isinstance(self.value, list) else [self.value]
        return {str(name) for name in [*values, self.series, *self.covariates, *self.static] if name is not None}

    def _until(self, frame: pd.DataFrame, name: str) -> pd.DataFrame:
        if self.last is None:
            return frame
        dates = frame["ds"]
        if not pd.api.types.is_datetime64_any_dtype(dates):
            raise DataError(f"source.last={self.last} needs dates, and {name} counts steps.  Set it to null.")
        last = pd.to_datetime(str(self.last), errors="coerce")
        if pd.isna(last):
            raise DataError(f"source.last={self.last} is no date such as 2024-07-01.")
        kept = frame[~(dates.dt.tz_localize(None) > last)].reset_index(drop=True)
        if kept.empty:
            raise DataError(f"{name} has no day up to source.last={self.last}.")
        return kept

    def _long(self, table: Table, roles: Roles, title: str) -> tuple[pd.DataFrame, tuple[str, ...]]:
        """Return ``unique_id``, ``ds`` and ``y``, and what was supposed on the way."""
        faults: list[str] = []
        notes: list[str] = []
        dates: Any = pd.Series(np.arange(1, len(table) + 1))
        if roles.time is not None:
            try:
                dates, told = table.dates(roles.time, self.clock)
                notes += told
            except DataError as error:
                faults.append(str(error))
        names = _names(table, roles.series, faults) if roles.series else pd.Series(title, index=range(len(table)))
        columns: dict[str, Any] = {}
        for column, label in roles.columns.items():
            try:
                found = table.numbers(column)
            except DataError as error:
                faults.append(str(error))
                continue
            notes += found.notes
            columns[label] = found.parsed
            if found.wrong.any():
                columns[label] = found.parsed.astype(object)
                columns[label][found.wrong] = np.array(table.texts(column), dtype=object)[found.wrong]
        if faults:
            raise DataError("\n  ".join(dict.fromkeys(faults)))
        if roles.wide:
            frame, cut = _stacked(dates, columns)
            notes += cut
        else:
            beside = columns_beside(table, [*self.covariates, *self.static])
            frame = pd.DataFrame({"unique_id": names, "ds": dates, "y": next(iter(columns.values())), **beside})
        if roles.time is None and roles.series is not None:
            frame["ds"] = frame.groupby("unique_id").cumcount() + 1
        nothing = frame["ds"].isna() & frame["y"].isna()
        if nothing.any():
            notes.append(f"{int(nothing.sum())} rows of {table.name} have neither a date nor a value and are left out.")
            frame = frame[~nothing].reset_index(drop=True)
        return frame, tuple(notes)


def _names(table: Table, column: str, faults: list[str]) -> "pd.Series[str]":
    names = pd.Series(table.texts(column), dtype=object)
    if names.isna().any():
        faults.append(
            f"{table.name} has {int(names.isna().sum())} rows without a series in column {column!r}.  Name or remove "
            f"them."
        )
    return names


def _stacked(dates: "pd.Series[Any]", columns: dict[str, Any]) -> tuple[pd.DataFrame, list[str]]:
    """Put columns below each other, each from its first to its last value: series need not begin and end together."""
    empty: list[str] = []
    cut: list[str] = []
    rows: list[Any] = []
    values: list[Any] = []
    labels: list[str] = []
    for label, y in columns.items():
        known = np.flatnonzero(~pd.isna(y))
        if not known.size:
            empty.append(label)
            continue
        span = np.arange(known[0], known[-1] + 1)
        if span.size < len(dates):
            cut.append(label)
        rows.append(span)
        values.append(y[span])
        labels.append(label)
    if not rows:
        raise DataError(f"No column of values holds a number: {listed(empty)}.")
    notes = []
    if empty:
        notes.append(f"{len(empty)} columns hold no value and are left out: {listed(empty)}.")
    if cut:
        notes.append(f"{len(cut)} series begin later or end earlier than the dates of the file: {listed(cut)}.")
    frame = pd.DataFrame(
        {
            "unique_id": np.repeat(np.array(labels, dtype=object), [len(part) for part in rows]),
            "ds": dates.iloc[np.concatenate(rows)].reset_index(drop=True),
            "y": np.concatenate(values),
        }
    )
    return frame, notes


def _without_missing(frame: pd.DataFrame, missing: str) -> tuple[pd.DataFrame, tuple[str, ...]]:
    empty = frame["y"].isna()
    if missing == "refuse" or not empty.any():
        return frame, ()
    if missing == "drop":
        return frame[~empty].reset_index(drop=True), (f"{int(empty.sum())} rows without a value are left out.",)
    ordered = frame.sort_values(["unique_id", "ds"], kind="stable", ignore_index=True)
    ordered["y"] = ordered.groupby("unique_id", sort=False)["y"].ffill()
    early = ordered["y"].isna()
    told = f"{int(empty.sum())} rows without a value take the last one known"
    told += f", but for {int(early.sum())} before any, which are left out." if early.any() else "."
    return ordered[~early].reset_index(drop=True), (told,)
