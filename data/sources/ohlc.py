"""Open, high, low and close of one instrument, from any table."""

from dataclasses import replace

from data.contracts import Panel
from data.panel import DataError
from data.sources.csv import CSV


class OHLC:
    """Read the prices of days from a table with a header line: the closes are the series, the others stand beside it.

    Parameters
    ----------
    path : str
        The file, as of ``CSV``, which reads it.
    open, high, low, close : str
        Columns of the prices.
    time : str or None
        Column of the dates; None takes the only one.
    missing : str
        What becomes of rows without a price: ``"refuse"`` or ``"drop"``.
    last : str or None
        Rows after this date are left out; None keeps all.
    calendar : str or None
        Exchange whose sessions the dates ahead are, such as XNYS; None learns them from the dates.
    name : str or None
        What titles call the data; None takes the file's name.
    unit : str
        Unit of the prices.
    """

    def __init__(
        self,
        path: str,
        open: str = "open",
        high: str = "high",
        low: str = "low",
        close: str = "close",
        time: str | None = None,
        missing: str = "refuse",
        last: str | None = None,
        calendar: str | None = None,
        name: str | None = None,
        unit: str = "units",
    ) -> None:
        if missing not in ("refuse", "drop"):
            raise ValueError(f"source.missing={missing} must be refuse or drop: a price of the day before is none.")
        self.columns = {"close": close, "open": open, "high": high, "low": low}
        self.path, self.time, self.missing, self.last, self.calendar = path, time, missing, last, calendar
        self.name, self.unit = name, unit

    def load(self) -> Panel:
        """Return the closes as one series, with open, high and low beside them.

        Raises
        ------
        DataError
            If the file cannot be read as ``CSV`` reads it, or a price of a day is missing.
        """
        columns = list(self.columns.values())
        panel = CSV(
            self.path,
            time=self.time,
            value=columns,
            missing=self.missing,
            last=self.last,
            name=self.name,
            unit=self.unit,
            calendar=self.calendar,
        ).load()
        wide = panel.frame.pivot(index="ds", columns="unique_id", values="y")
        gone = [column for column in columns if column not in wide]
        if gone:
            raise DataError(f"{panel.name}: the prices of {gone[0]} cannot be used.  Correct the column.")
        if self.missing == "drop":
            wide = wide.dropna()
        if wide.isna().any(axis=None):
            day = wide.index[wide.isna().any(axis=1)][0]
            raise DataError(
                f"{panel.name} lacks a price at {day}.  Fill or remove the row, or set source.missing=drop."
            )
        frame = wide.rename(columns={column: price for price, column in self.columns.items()}).reset_index()
        frame = frame.rename(columns={"close": "y"}).assign(unique_id=panel.name)
        prices = ("open", "high", "low")
        covariates = {name: f"{name} of the day [{self.unit}]" for name in prices}
        frame = frame[["unique_id", "ds", "y", *prices]].rename_axis(columns=None)
        return replace(panel, frame=frame, covariates=covariates)
