"""Turn a table into a panel, or say everything that is wrong with it in one message."""

import hashlib
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from data.contracts import Panel

SHOWN = 3  # faulty dates listed before "and n more"
FEWEST = 2  # [rows] of a series
IS_DONE = "Leave it out."  # the cure that is a panel's own
KEYS = ["unique_id", "ds", "y"]
LARGEST = 1e100  # of a value: its square, and a product of a few, must be a number
SMALLEST = 1e-100  # of the spread of a series
BLURRED = 1e-13  # [fraction] of its level: a spread that rounding swallows


class DataError(ValueError):
    """The data cannot be forecast as they are; the message says what to change."""


def listed(names: Iterable[object], most: int = 10) -> str:
    """Return some names in a row, and how many more there are where they are many."""
    every = [str(name) for name in names]
    return ", ".join(every[:most]) + (f" and {len(every) - most} more" if len(every) > most else "")


def validated(frame: pd.DataFrame, name: str, unit: str, cure: str = "Fill or remove these rows.") -> Panel:
    """Check a long table and return it as a panel.

    A series that cannot be used is left out by name where others can; rows are put in order of time.  What was
    done is in the panel's notes.

    Parameters
    ----------
    frame : DataFrame
        Columns ``unique_id``, ``ds`` (timestamps or integers) and ``y`` (numbers, in ``unit``); others stay.
    name, unit : str
        What titles and axes call the data.
    cure : str
        What a message says to do about missing values.

    Raises
    ------
    DataError
        Where no series can be used, naming every fault: a missing column, no rows, text among the numbers,
        missing or infinite values, two values at one date, a constant series, numbers that overflow.
    """
    absent = [column for column in KEYS if column not in frame.columns]
    if absent:
        raise DataError(f"{name} lacks the column {listed(absent)}; it has {listed(frame.columns)}.")
    if frame.empty:
        raise DataError(f"{name} has no rows.  Give a file with at least one series of values.")
    given = frame.reset_index(drop=True)
    clean = given.assign(
        unique_id=given["unique_id"].astype(str),
        y=_numbers(given["y"]),
    )
    clean, given, notes = _in_order(clean, given)
    codes, names = pd.factorize(clean["unique_id"])
    faults = _faults(clean, given["y"], codes.astype(np.int64), len(names), cure)
    bad = np.zeros(len(names), dtype=bool)
    for _, _, series in faults:
        bad[series] = True
    if bad.all():
        raise DataError(f"{name} cannot be used as it is:\n  " + "\n  ".join(_told(*fault, names) for fault in faults))
    for said, what_to_do, series in faults:
        verb = "is" if len(series) == 1 else "are"
        cured = "" if what_to_do == IS_DONE else f"  {what_to_do}"
        notes += (f"{len(series)} series {verb} left out ({listed(names[series])}): {said}.{cured}",)
    kept = clean[~bad[codes]].reset_index(drop=True) if bad.any() else clean
    return Panel(kept, name, unit, notes=notes)


def long_enough(panel: Panel, rows: int, why: str) -> Panel:
    """Leave out, by name, the series that are shorter than a forecast needs.

    Parameters
    ----------
    panel : Panel
    rows : int
        How many rows a series needs.
    why : str
        What they are needed for, such as "lookback + horizon = 30 + 5".

    Raises
    ------
    DataError
        If none is long enough.
    """
    sizes = panel.frame.groupby("unique_id", sort=False).size()
    short = sizes[sizes < rows]
    if short.empty:
        return panel
    if len(short) == len(sizes):
        raise DataError(
            f"The longest series of {panel.name} has {int(sizes.max())} rows, but {rows} are needed ({why}).  Give "
            f"longer series, or ask for less."
        )
    note = f"{len(short)} series with fewer than {rows} rows ({why}) are left out: {listed(short.index)}."
    frame = panel.frame[~panel.frame["unique_id"].isin(short.index)].reset_index(drop=True)
    return replace(panel, frame=frame, notes=(*panel.notes, note))


def fingerprint(panel: Panel) -> str:
    """Return sixteen hex digits that change with any date or value of the panel."""
    rows = pd.util.hash_pandas_object(panel.frame, index=False).to_numpy()
    return hashlib.sha256(rows.tobytes()).hexdigest()[:16]


def shown_date(date: object) -> str:
    """Return a date as text, with its time where it has one, and a step as it is."""
    if isinstance(date, np.datetime64):
        date = pd.Timestamp(date)
    if not isinstance(date, pd.Timestamp):
        return str(date)
    if date.tz is None and date == date.normalize():
        return f"{date:%Y-%m-%d}"
    clock = f"{date:%Y-%m-%d %H:%M}" if date.second == date.microsecond == 0 else f"{date:%Y-%m-%d %H:%M:%S}"
    offset = "" if date.tz is None else f"{date:%z}"
    return f"{clock} {offset[:3]}:{offset[3:5]}" if offset else clock


def _numbers(values: "pd.Series[Any]") -> "pd.Series[float]":
    """Return numbers as they are and NaN for all else: a text is not guessed at here."""
    if not pd.api.types.is_numeric_dtype(values):
        values = values.map(lambda value: value if isinstance(value, int | float | np.number) else np.nan)
    return pd.to_numeric(values, errors="coerce").astype(np.float64)


def _in_order(clean: pd.DataFrame, given: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame, tuple[str, ...]]:
    """Sort by series and date, and count rows that say the same once."""
    notes: tuple[str, ...] = ()
    again = clean.duplicated().to_numpy() & clean["y"].notna().to_numpy() & clean["ds"].notna().to_numpy()
    if again.any():
        notes += (f"{int(again.sum())} rows stand in the table twice and count once.",)
        clean, given = clean[~again], given[~again]
    ids, dates = clean["unique_id"].to_numpy(), pd.factorize(clean["ds"], sort=True)[0]
    same = ids[1:] == ids[:-1]
    back = (dates[1:] < dates[:-1]) & same
    if back.any():
        how = "stood newest first" if back.sum() == same.sum() else "did not stand in the order of time"
        notes += (f"The rows {how} and were sorted.",)
    order = clean.sort_values(["unique_id", "ds"], kind="stable").index
    return clean.loc[order].reset_index(drop=True), given.loc[order].reset_index(drop=True), notes


Fault = tuple[str, str, NDArray[np.int64]]
"""What is wrong, what cures it, and with which series."""


def _faults(clean: pd.DataFrame, given: "pd.Series[Any]", codes: NDArray[np.int64], n: int, fill: str) -> list[Fault]:
    """Tell text, gaps and infinities apart, and what is wrong with a series as a whole: each has another cure."""
    y = clean["y"].to_numpy()
    empty, infinite = given.isna().to_numpy(), np.isinf(y)
    text = ~np.isfinite(y) & ~empty & ~infinite
    undated = clean["ds"].isna().to_numpy()
    twice = clean.duplicated(["unique_id", "ds"]).to_numpy() & ~undated
    sizes = np.bincount(codes, minlength=n)
    low, high = np.full(n, np.inf), np.full(n, -np.inf)
    sound = np.isfinite(y)
    np.minimum.at(low, codes[sound], y[sound])
    np.maximum.at(high, codes[sound], y[sound])
    level = np.maximum(np.abs(low), np.abs(high))
    whole = np.isfinite(low) & (sizes >= FEWEST) & (np.bincount(codes[~sound], minlength=n) == 0)
    spread = np.where(whole, high / 2 - low / 2, 1.0) * 2
    constant = whole & (high == low)
    moving = whole & ~constant
    example = f", such as {given[text].iloc[0]!r}" if text.any() else ""
    of_rows = [
        (text, "y is not a number{at}" + example, "Correct or remove these rows."),
        (empty, "y is missing (NaN){at}", fill),
        (infinite, "y is infinite{at}", "Correct or remove these rows."),
        (undated, "rows have no date{at}", "Correct or remove these rows."),
        (twice, "there is more than one value{at}", "Keep one row a date, or name the column that tells series apart."),
    ]
    faults: list[Fault] = []
    for rows, said, cure in of_rows:
        if rows.any():
            at = f" at {_dates(clean, rows)}" if rows is not undated else f" ({int(rows.sum())} rows without a date)"
            faults.append((said.replace("{at}", at), cure, np.unique(codes[rows])))
    huge = moving & (level > LARGEST)
    of_series = [
        (sizes < FEWEST, f"fewer than {FEWEST} rows", "Give longer series."),
        (constant, f"constant{_value(low, constant)}: there is nothing to forecast", IS_DONE),
        (huge, f"values as large as{_value(level, huge)} overflow in a square", "Divide them by a power of ten."),
        (
            moving & ~huge & (spread < SMALLEST),
            f"values within{_value(spread, moving & (spread < SMALLEST))} of each other underflow in a square",
            "Multiply them by a power of ten.",
        ),
        (
            moving & ~huge & (spread >= SMALLEST) & (spread < BLURRED * level),
            "the values differ by no more than rounding does",
            "Subtract their level.",
        ),
    ]
    return faults + [(said, cure, np.flatnonzero(series)) for series, said, cure in of_series if series.any()]


def _told(said: str, cure: str, series: NDArray[np.int64], names: Any) -> str:
    return f"Series {listed(names[series])}: {said}.  {cure}"


def _value(values: NDArray[np.float64], series: NDArray[np.bool_]) -> str:
    held = np.unique(values[series])
    return f" ({held[0]:g})" if held.size == 1 else ""


def _dates(frame: pd.DataFrame, at: NDArray[np.bool_]) -> str:
    dates = frame["ds"][at]
    return listed([shown_date(date) for date in dates], SHOWN)
