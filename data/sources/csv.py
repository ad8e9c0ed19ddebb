"""Any table of values over time in a CSV file."""

from pathlib import Path

import pandas as pd

from data.contracts import Panel
from data.panel import DataError, validated


class CSV:
    """Read one series, or several, from a CSV file with a header line.

    Parameters
    ----------
    path : str
        The file.
    time, value : str
        Names of the columns with the time and the value to forecast.
    series : str or None
        Name of the column that tells several series apart; None where there is one series.
    date_format : str or None
        As of ``strptime``, such as ``"%d.%m.%Y"``; None reads ISO dates (2024-07-01), and
        integers as steps.
    name : str or None
        What titles call the data; None takes the file's name.
    unit : str
        Unit of the value.
    """

    def __init__(
        self,
        path: str,
        time: str = "date",
        value: str = "close",
        series: str | None = None,
        date_format: str | None = None,
        name: str | None = None,
        unit: str = "units",
    ) -> None:
        self.path, self.time, self.value, self.series = path, time, value, series
        self.date_format, self.name, self.unit = date_format, name, unit

    def load(self) -> Panel:
        """Return the file's rows as a panel.

        Raises
        ------
        DataError
            If the file is missing, empty or unreadable, lacks a column, or breaks a promise of
            the panel.
        """
        table = self._read()
        wanted = {"time": self.time, "value": self.value} | ({"series": self.series} if self.series else {})
        absent = [f"{key} column {column!r}" for key, column in wanted.items() if column not in table.columns]
        if absent:
            raise DataError(
                f"{self.path} lacks the {' and the '.join(absent)}; it has {', '.join(map(repr, table.columns))}.  "
                f"Name its columns with source.time=..., source.value=... and source.series=..."
            )
        name = self.name or Path(self.path).stem
        ids = table[self.series] if self.series else name
        frame = pd.DataFrame({"unique_id": ids, "ds": self._times(table[self.time]), "y": table[self.value]})
        return validated(frame, name, self.unit)

    def _read(self) -> pd.DataFrame:
        try:
            return pd.read_csv(self.path)
        except FileNotFoundError:
            raise DataError(f"There is no file {self.path}.  Set source.path to a CSV file.") from None
        except pd.errors.EmptyDataError:
            raise DataError(f"{self.path} is empty.  Give a CSV file with a header line and rows.") from None
        except (OSError, UnicodeDecodeError, pd.errors.ParserError) as error:
            raise DataError(f"{self.path} cannot be read as CSV: {error}.") from None

    def _times(self, column: "pd.Series") -> "pd.Series":
        if self.date_format is None and pd.api.types.is_integer_dtype(column):
            return column
        try:
            return pd.to_datetime(column, format=self.date_format or "ISO8601")
        except (ValueError, TypeError) as error:
            raise DataError(
                f"Column {self.time!r} of {self.path} does not hold dates of the format "
                f"{self.date_format or 'ISO 8601 (2024-07-01)'}: {error}.  Set source.date_format."
            ) from None
