"""Which column of a table is the time, which are the values, which tells series apart."""

import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from data.panel import DataError, listed
from data.reading.dates import TIME_OF_DAY
from data.reading.table import Table

TIMES = re.compile(
    r"(date|time|datetime|timestamp|date[ _]?time|ds|day|month|week|quarter|period|year|trad(e|ing)[ _]?da(te|y)|"
    r"open[ _]?time|datum|zeit|zeitpunkt|fecha|data|日期|时间|日付|交易日期|时间戳|날짜|дата)s?",
    re.IGNORECASE,
)
HOURS = re.compile(r"hours?|hrs?|time|clock|uhrzeit|stunde|hora|heure|ora|时间|小时|時間", re.IGNORECASE)
VALUES = ("close", "y", "value")
"""What the column to forecast is called where nobody says."""
SERIES = ("unique_id", "series_id", "series_name")


class Roles(NamedTuple):
    """What the columns of a table are to a forecast."""

    time: str | None
    """None where rows are counted."""
    columns: dict[str, str]
    """Name of the series, or of the one value, by its column."""
    series: str | None
    wide: bool
    """Whether each column of values is a series."""
    notes: tuple[str, ...]


def roles_of(
    table: Table,
    time: str | None,
    value: "str | Sequence[str] | None",
    series: str | None,
    wide: bool,
    clock: str | None,
) -> Roles:
    """Find the columns a user has named, and those nobody has where only one can be meant.

    Raises
    ------
    DataError
        Naming every column that is not there, or the option that says which of several is meant.
    """
    notes: list[str] = []
    wanted = [] if value is None else [str(value)] if not isinstance(value, list | tuple) else [str(v) for v in value]
    asked = {"time": [time] if time else [], "series": [series] if series else [], "clock": [clock] if clock else []}
    found: dict[str, list[list[str]]] = {}
    faults: list[str] = []
    for option, names in {**asked, "value": wanted}.items():
        found[option] = [table.named(str(name)) for name in names]
        absent = [name for name, columns in zip(names, found[option], strict=True) if not columns]
        if absent:
            faults.append(table.lacks(absent, option))
        for name, columns in zip(names, found[option], strict=True):
            if columns and columns[0] != name and len(columns) == 1 and name not in table.headings.get(columns[0], ()):
                notes.append(f"Column {columns[0]!r} is taken for source.{option}={name}.")
            if len(columns) > 1 and option != "value":
                faults.append(
                    f"{table.name} has several columns {name!r}: {listed(map(repr, columns))}.  Name one of them."
                )
    if faults:
        raise DataError("\n  ".join(faults))
    apart = found["series"][0][0] if series else next((name for name in SERIES if name in table.columns), None)
    if apart is not None and not series:
        notes.append(f"Column {apart!r} tells the series apart (source.series).")
    clocks = [columns[0] for columns in found["clock"]]
    when = found["time"][0][0] if time else _time(table, [apart, *clocks], notes)
    taken = {when, apart, *clocks}
    if wanted:
        values = _named_values(table, wanted, found["value"])
    elif wide:
        values = {name: name for name in _numeric(table, taken, notes)}
    else:
        values = {name: name for name in [_value(table, taken, notes)]}
    clash = [name for name in values if name in taken]
    if clash:
        raise DataError(f"{table.name}: column {clash[0]!r} cannot be both the time or series and the value.")
    several = wide or len(values) > 1
    if several and apart is not None:
        raise DataError(
            f"source.series={apart} and several columns of values ({listed(map(repr, values))}) are two ways to tell "
            f"series apart.  Name one value with source.value, or set source.series to null."
        )
    if not values:
        raise DataError(f"{table.name} has no column of numbers; it has {listed(map(repr, table.columns))}.")
    return Roles(when, values, apart, several, tuple(notes))


def _time(table: Table, taken: Sequence[str | None], notes: list[str]) -> str | None:
    """Return the column of the dates; None where there is none."""
    free = [name for name in table.columns if name not in taken and not table.is_empty(name)]
    exact = [name for name in free if name == "date" or name == "ds"]
    dated = [name for name in free if table.is_dated(name)]
    named = [name for name in free if TIMES.fullmatch(name.strip())]
    if exact:
        return exact[0]
    if len(dated) > 1:
        both = [name for name in dated if name in named]
        if len(both) != 1:
            raise DataError(
                f"{table.name} has several columns of dates: {listed(map(repr, dated))}.  Name one with source.time=..."
            )
        dated = both
    chosen = dated or named[:1]
    if len(named) > 1 and not dated:
        raise DataError(
            f"{table.name} has several columns that may be the time: {listed(map(repr, named))}.  Name one with "
            f"source.time=..."
        )
    if not chosen:
        words = [name for name in free if not table.is_numeric(name)]
        if words and table.options.date_format != "step":
            example = next(text for text in table.texts(words[0]) if text)
            raise DataError(
                f"{table.name} has no column of dates that is known ({words[0]!r} holds {example[:60]!r}).  Name it "
                f"with source.time=..., or set source.date_format=step to count the rows."
            )
        notes.append(f"{table.name} has no column of dates: its rows are counted, in their order.")
        return None
    if chosen[0].casefold() != "date":
        notes.append(f"Column {chosen[0]!r} is taken for the time (source.time).")
    return chosen[0]


def row_counters(table: Table, names: Sequence[str]) -> list[str]:
    """Return the columns without a name of their own that count the rows, as DataFrame.to_csv() writes one."""
    return [name for name in names if re.fullmatch(r"(Unnamed(: \d+)?|index|level_0)", name) and _counts(table, name)]


def refuse_several_a_date(table: Table, roles: Roles, frame: pd.DataFrame) -> None:
    """Where series have several values at a date, name the columns that may tell them apart, if there are some.

    Raises
    ------
    DataError
        Naming the options that settle it.
    """
    if roles.time is None or not frame.drop_duplicates().duplicated(["unique_id", "ds"]).any():
        return
    taken = {roles.time, roles.series, *roles.columns}
    free = [name for name in table.columns if name not in taken and not table.is_empty(name)]
    words = {name: [text for text in table.texts(name) if text] for name in free if not table.is_numeric(name)}
    clocks = [name for name, texts in words.items() if all(re.match(TIME_OF_DAY, text) for text in texts[:100])]
    counted = [name for name in free if name not in words and _parts_dates(table, frame, name)]
    clocks += [name for name in counted if HOURS.fullmatch(name.strip())]
    words |= {name: [text for text in table.texts(name) if text] for name in counted}
    apart = [name for name, texts in words.items() if name not in clocks and 1 < len(set(texts)) < len(table) / 2]
    cures = [f"source.clock={name}, the time of day" for name in clocks[:1]]
    cures += [f"source.series={name}, which may tell series apart" for name in apart[:3]]
    if cures:
        raise DataError(f"{table.name} has several rows a date in {roles.time!r}.  Set {', or '.join(cures)}.")


def _parts_dates(table: Table, frame: pd.DataFrame, name: str) -> bool:
    """Tell whether whole numbers of a column, such as those of stores, leave one value a date."""
    texts = table.texts(name)
    if len(texts) != len(frame) or not all(text and re.fullmatch(r"\d+", text) for text in texts):
        return False
    return not frame.assign(apart=np.array(texts, dtype=object)).duplicated(["unique_id", "ds", "apart"]).any()


def _numeric(table: Table, taken: "set[str | None]", notes: list[str]) -> list[str]:
    """Return the columns of numbers, but for one without a name that counts the rows."""
    free = [name for name in table.columns if name not in taken and table.is_numeric(name)]
    counters = row_counters(table, free)
    if counters and len(counters) < len(free):
        notes.append(f"Column {counters[0]!r} counts the rows and is left out.")
        return [name for name in free if name not in counters]
    return free


def _counts(table: Table, name: str) -> bool:
    texts = table.texts(name)
    return bool(texts) and all(text == str(number + int(texts[0] == "1")) for number, text in enumerate(texts))


def _value(table: Table, taken: "set[str | None]", notes: list[str]) -> str:
    numeric = _numeric(table, taken, notes)
    free = [name for name in table.columns if name not in taken and not table.is_dated(name)]
    usual = [name for wanted in VALUES for name in free if name.strip().casefold() == wanted]
    if not numeric and not usual:
        text = [name for name in table.columns if name not in taken]
        raise DataError(
            f"{table.name} has no column of numbers to forecast; it has {listed(map(repr, text or table.columns))}.  "
            f"Name it with source.value=..."
        )
    if not usual and len(numeric) > 1:
        raise DataError(
            f"{table.name} has several columns of numbers: {listed(map(repr, numeric))}.  Name the one to forecast "
            f"with source.value=..., or set source.wide=true to take each for a series."
        )
    chosen = (usual or numeric)[0]
    others = [name for name in numeric if name != chosen]
    if others:
        notes.append(f"Column {chosen!r} is forecast (source.value); {listed(map(repr, others))} are not read.")
    elif chosen.casefold() not in VALUES:
        notes.append(f"Column {chosen!r}, the only one of numbers, is forecast (source.value).")
    return chosen


def _named_values(table: Table, wanted: Sequence[str], found: Sequence[Sequence[str]]) -> dict[str, str]:
    """Return the columns under the names; several under one are told apart by what else stands above them."""
    values: dict[str, str] = {}
    for name, columns in zip(wanted, found, strict=True):
        for column in columns:
            others = [line for line in table.headings.get(column, ()) if line and line.casefold() != name.casefold()]
            values[column] = column if len(columns) == 1 else " ".join(others) or column
    if len(set(values.values())) < len(values):
        return {column: column for column in values}
    return values
