"""Dates that stand in several columns: year, month, day and hour apart, or a year a row and a month a column."""

import re
from collections.abc import Collection
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from data.contracts import IntArray
from data.panel import listed
from data.reading.dates import MONTHS, refuse_hour_24
from data.reading.table import Table

PARTS = {"year": (1000, 2261), "month": (1, 12), "day": (1, 31), "hour": (0, 24)}
"""What a column of each name holds."""
JOINED = "date"


def with_dates(table: Table, asked: Collection[str]) -> Table:
    """Return the table with one column of dates where parts of dates are columns, else the table as it is.

    Columns ``year`` and ``month``, with ``day`` and ``hour`` where there are some, become one; a column a month,
    January to December, beside the year becomes one row a month.  The columns named in ``asked`` stay, too.

    Raises
    ------
    DataError
        If hours are counted from 1 to 24, which begin or end at what they are called.
    """
    if any(table.is_dated(name) for name in table.columns) or JOINED in table.columns:
        return table
    years = [name for name in table.columns if name.strip().casefold() == "year"]
    if len(years) != 1:
        return table
    months = _month_columns(table)
    return _by_month(table, years[0], months, asked) if months else _of_parts(table, asked)


def _month_columns(table: Table) -> list[str]:
    """Return the columns called January to December, in their order; none where one is missing."""
    found = [
        [c for c in table.columns if re.fullmatch(rf"({names})[a-zà-ÿ.]*", c.strip().casefold())] for names in MONTHS
    ]
    return [columns[0] for columns in found] if all(len(columns) == 1 for columns in found) else []


def _by_month(table: Table, year: str, months: list[str], asked: Collection[str]) -> Table:
    if set(asked) & {year, *months}:
        return table
    years = _whole(table, year, PARTS["year"])
    if years is None or len(np.unique(years)) < len(years):
        return table
    dates = np.repeat(years, 12) * 100 + np.tile(np.arange(1, 13), len(table))
    texts = [text for row in zip(*(table.texts(month) for month in months), strict=True) for text in row]
    order = np.argsort(dates, kind="stable")
    known = [place for place, row in enumerate(order) if texts[row] is not None]
    kept = order[: known[-1] + 1] if known else order  # months to come are no gap
    left = [name for name in table.columns if name not in (year, *months)]
    said = f"{table.name} has a row a year and a column a month: they are read as one value a month."
    if left:
        said += f"  Columns {listed(map(repr, left))} are left out."
    columns: dict[str, Any] = {
        JOINED: pa.array([f"{dates[row] // 100}-{dates[row] % 100:02d}" for row in kept], pa.string()),
        "value": pa.array([texts[row] for row in kept], pa.string()),
    }
    return replace(table, columns=columns, headings={}, notes=(*table.notes, said))


def _of_parts(table: Table, asked: Collection[str]) -> Table:
    named = {name.strip().casefold(): name for name in table.columns if name.strip().casefold() in PARTS}
    held: dict[str, IntArray] = {}
    for part, span in PARTS.items():
        found = _whole(table, named[part], span) if part in named else None
        if found is None:
            break  # a month without its year, an hour without its day, is no date
        held[part] = found
    if "month" not in held:
        return table
    if "hour" in held:
        refuse_hour_24(f"Column {named['hour']!r} of {table.name}", int(held["hour"].max()))
    texts = [_written(*row) for row in zip(*held.values(), strict=True)]
    gone = {named[part] for part in held} - set(asked)
    columns = {JOINED: pa.array(texts, pa.string())} | {k: v for k, v in table.columns.items() if k not in gone}
    headings = {name: lines for name, lines in table.headings.items() if name in columns}
    said = f"Columns {listed(repr(named[part]) for part in held)} of {table.name} are read as one date."
    return replace(table, columns=columns, headings=headings, notes=(*table.notes, said))


def _written(year: int, month: int, day: int | None = None, hour: int | None = None) -> str:
    text = f"{year:04d}-{month:02d}"
    text += "" if day is None else f"-{day:02d}"
    return text if hour is None else f"{text} {hour:02d}:00"


def _whole(table: Table, name: str, span: tuple[int, int]) -> IntArray | None:
    """Return a column of whole numbers within bounds; None if it is none."""
    values = pd.to_numeric(pd.Series(table.texts(name), dtype=object), errors="coerce").to_numpy(np.float64)
    whole = np.all(values == np.floor(values)) and np.all((values >= span[0]) & (values <= span[1]))
    return values.astype(np.int64) if values.size and whole else None
