"""Daily open, high, low and close of two indices, which ship with the dependency ``arch``."""

from dataclasses import replace

import pandas as pd

from data.contracts import Panel
from data.panel import validated
from data.remarks import remarked

TITLES = {"sp500": "S&P 500", "nasdaq": "NASDAQ Composite"}
PRICES = ("open", "high", "low")


class ArchOHLC:
    """5031 trading days of an index, 1999-01-04 .. 2018-12-31 [index points]; needs no file and no network.

    Parameters
    ----------
    index : str
        ``sp500`` or ``nasdaq``.

    Raises
    ------
    ValueError
        If the index is another.
    """

    def __init__(self, index: str) -> None:
        if index not in TITLES:
            raise ValueError(f"source.index={index} does not ship with arch; it is one of {', '.join(TITLES)}.")
        self.index = index

    def load(self) -> Panel:
        """Return the closes as one series, with open, high and low beside them."""
        from arch.data import nasdaq, sp500

        table = (sp500 if self.index == "sp500" else nasdaq).load()
        title = TITLES[self.index]
        frame = pd.DataFrame({"unique_id": title, "ds": table.index, "y": table["Close"].to_numpy()})
        frame = frame.assign(**{name: table[name.capitalize()].to_numpy() for name in PRICES})
        panel = remarked(validated(frame, title, "index points"))
        return replace(panel, covariates={name: f"{name} of the day [index points]" for name in PRICES})
