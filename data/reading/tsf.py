"""The .tsf format of the Monash forecasting archive: a line a series, its attributes before its values."""

import re

import numpy as np
import pandas as pd

from data.panel import DataError
from data.reading.files import first_lines

STEPS: dict[str, pd.DateOffset | pd.Timedelta] = {
    "yearly": pd.DateOffset(years=1),
    "quarterly": pd.DateOffset(months=3),
    "monthly": pd.DateOffset(months=1),
    "weekly": pd.Timedelta(days=7),
    "daily": pd.Timedelta(days=1),
    "hourly": pd.Timedelta(hours=1),
    "half_hourly": pd.Timedelta(minutes=30),
    "minutely": pd.Timedelta(minutes=1),
}


def is_tsf(text: str) -> bool:
    """Tell whether a text is of the format."""
    return any(re.match(r"@(relation|attribute|data)\b", line, re.IGNORECASE) for line in first_lines(text, 100))


def series_of(text: str, name: str) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Return ``unique_id``, ``ds`` and ``y`` of every series, a row a value.

    Series without a start count steps and end together, so that all of them have the latest step.

    Raises
    ------
    DataError
        If a line is not as the header says.
    """
    head, _, body = _split(text)
    attributes = [line.split()[1:3] for line in head if line.lower().startswith("@attribute")]
    kinds = {words[0]: words[-1] for words in attributes if words}
    frequency = next((line.split()[-1].lower() for line in head if line.lower().startswith("@frequency")), None)
    dated = [key for key, kind in kinds.items() if kind == "date"]
    if dated and (frequency is None or _step(frequency) is None):
        raise DataError(f"{name} has dates, but its @frequency {frequency} is not known; it may be {', '.join(STEPS)}.")
    rows = [line for line in body.splitlines() if line.strip() and not line.startswith("#")]
    if not rows:
        raise DataError(f"{name} has no series below @data.")
    parts = [_series(line, list(kinds), dated, frequency, f"{name}, series {k}") for k, line in enumerate(rows, 1)]
    longest = max(len(part) for part in parts)
    if not dated:
        parts = [part.assign(ds=np.arange(longest - len(part) + 1, longest + 1)) for part in parts]
    frame = pd.concat(parts, ignore_index=True)
    notes = (
        () if dated or len(parts) == 1 else (f"The series of {name} have no dates: they are taken to end together.",)
    )
    return frame, notes


def _split(text: str) -> tuple[list[str], str, str]:
    found = re.search(r"(?im)^@data[^\n]*$", text)
    if found is None:
        return text.splitlines(), "", ""
    return text[: found.start()].splitlines(), found[0], text[found.end() :]


def _step(frequency: str) -> pd.DateOffset | pd.Timedelta | None:
    counted = re.match(r"(\d+)_(second|minute|hour|day)s?$", frequency)
    if counted:
        return pd.Timedelta(f"{counted[1]} {counted[2]}")
    return STEPS.get(frequency)


def _series(line: str, keys: list[str], dated: list[str], frequency: str | None, name: str) -> pd.DataFrame:
    cells = line.strip().split(":")
    if len(cells) != len(keys) + 1:
        raise DataError(f"{name} has {len(cells) - 1} attributes, where the header names {len(keys)}.")
    told = dict(zip(keys, cells, strict=False))
    texts = [cell.strip() for cell in cells[-1].split(",")]
    try:
        values = np.array([np.nan if text in ("?", "") else float(text) for text in texts])
    except ValueError as error:
        raise DataError(f"{name} holds a value that is no number ({error}).") from None
    label = next((told[key] for key in keys if key not in dated), name)
    frame = pd.DataFrame({"unique_id": str(label), "y": values})
    if dated:
        start = pd.to_datetime(told[dated[0]].strip(), format="%Y-%m-%d %H-%M-%S", errors="coerce")
        if pd.isna(start):
            raise DataError(f"{name} starts at {told[dated[0]]!r}, which is no date as 1990-01-31 00-00-00 is.")
        step = _step(frequency or "")
        try:
            frame["ds"] = pd.date_range(start, periods=len(frame), freq=step).as_unit("us")
        except (ValueError, OverflowError):
            raise DataError(f"{name} goes on beyond the calendar from {told[dated[0]]!r}.") from None
    return frame
