"""Turn a table into a panel, or say everything that is wrong with it in one message."""

import hashlib
from collections.abc import Iterable

import numpy as np
import pandas as pd

from data.contracts import Panel

SHOWN = 3  # faulty dates listed before "and n more"
KEYS = ["unique_id", "ds", "y"]


class DataError(ValueError):
    """The data cannot be forecast as they are; the message says what to change."""


def listed(names: Iterable[object], most: int = 10) -> str:
    """Return some names in a row, and how many more there are where they are many."""
    every = [str(name) for name in names]
    return ", ".join(every[:most]) + (f" and {len(every) - most} more" if len(every) > most else "")


def validated(frame: pd.DataFrame, name: str, unit: str) -> Panel:
    """Check a long table and return it as a panel.

    Parameters
    ----------
    frame : DataFrame
        Columns ``unique_id``, ``ds`` (timestamps or integers) and ``y`` (numbers, in ``unit``).
    name, unit : str
        What titles and axes call the data.

    Raises
    ------
    DataError
        Naming every fault: a missing column, no rows, text among the numbers, missing or
        infinite values, duplicate or unsorted dates, a constant series.
    """
    absent = [column for column in KEYS if column not in frame.columns]
    if absent:
        raise DataError(f"{name} lacks the column {', '.join(absent)}; it has {', '.join(map(str, frame.columns))}.")
    if frame.empty:
        raise DataError(f"{name} has no rows.  Give a file with at least one series of values.")
    values = pd.to_numeric(frame["y"], errors="coerce").astype(np.float64)
    ids = frame["unique_id"].astype(str)
    clean = pd.DataFrame({"unique_id": ids, "ds": frame["ds"], "y": values}).reset_index(drop=True)
    faults = _faults_of_numbers(frame["y"].reset_index(drop=True), clean)
    faults += [fault for key, series in clean.groupby("unique_id") for fault in _faults_of_series(str(key), series)]
    if faults:
        raise DataError(f"{name} cannot be used as it is:\n  " + "\n  ".join(faults))
    return Panel(clean.sort_values(["unique_id", "ds"], kind="stable", ignore_index=True), name, unit)


def fingerprint(panel: Panel) -> str:
    """Return sixteen hex digits that change with any date or value of the panel."""
    rows = pd.util.hash_pandas_object(panel.frame, index=False).to_numpy()
    return hashlib.sha256(rows.tobytes()).hexdigest()[:16]


def _faults_of_numbers(given: pd.Series, clean: pd.DataFrame) -> list[str]:
    """Tell text, gaps and infinities apart: each has another cure."""
    wrong = ~np.isfinite(clean["y"].to_numpy())
    empty = given.isna().to_numpy()
    infinite = np.isinf(clean["y"].to_numpy())
    text = wrong & ~empty & ~infinite
    faults = []
    if text.any():
        first = given[text].iloc[0]
        faults.append(f"y is not a number at {_dates(clean, text)}, such as {first!r}.  Correct or remove these rows.")
    if empty.any():
        faults.append(f"y is missing (NaN) at {_dates(clean, empty)}.  Fill or remove these rows.")
    if infinite.any():
        faults.append(f"y is infinite at {_dates(clean, infinite)}.  Correct or remove these rows.")
    return faults


def _faults_of_series(key: str, series: pd.DataFrame) -> list[str]:
    dates = series["ds"]
    if dates.isna().any():
        return [f"Series {key} has {int(dates.isna().sum())} rows without a date.  Correct or remove these rows."]
    faults = []
    twice = dates.duplicated().to_numpy()
    if twice.any():
        faults.append(f"Series {key} has more than one value at {_dates(series, twice)}.  Keep one row a date.")
    elif not dates.is_monotonic_increasing:
        at = np.flatnonzero(dates.to_numpy()[1:] < dates.to_numpy()[:-1])[0]
        faults.append(
            f"Series {key} is not in time order: {_date(dates.iloc[at + 1])} comes after {_date(dates.iloc[at])}.  "
            f"Sort the file by time."
        )
    if len(series) > 1 and series["y"].nunique(dropna=False) == 1:
        value = series["y"].iloc[0]
        faults.append(f"Series {key} is constant ({value:g}): there is nothing to forecast.  Leave it out.")
    return faults


def _dates(frame: pd.DataFrame, at: np.ndarray) -> str:
    dates = frame["ds"][at]
    shown = ", ".join(_date(date) for date in dates.iloc[:SHOWN])
    return shown + (f" and {len(dates) - SHOWN} more" if len(dates) > SHOWN else "")


def _date(date: object) -> str:
    if isinstance(date, pd.Timestamp):
        return str(date.date()) if date == date.normalize() else str(date)
    return str(date)
