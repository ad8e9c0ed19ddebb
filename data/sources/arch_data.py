"""Daily series of US markets that ship with the dependency ``arch``: they need no file and no network."""

import numpy as np
import pandas as pd
from arch.data import nasdaq, sp500, vix, wti

from data.contracts import Panel
from data.panel import validated
from data.remarks import remarked

TABLES = {
    "vix": (vix, "vix", "VIX", "% a year"),
    "wti": (wti, "DCOILWTICO", "WTI", "USD a barrel"),
    "nasdaq": (nasdaq, "Close", "NASDAQ", "index points"),
    "sp500": (sp500, "Close", "S&P 500", "index points"),
}
"""Module, column, title and unit of each table."""


class ArchData:
    """VIX (from 2014), WTI oil (from 1986), NASDAQ or S&P 500 (from 1999), to the end of 2018.

    Days without a value are left out.

    Parameters
    ----------
    table : str
        ``vix``, ``wti``, ``nasdaq`` or ``sp500``.

    Raises
    ------
    ValueError
        If there is no such table.
    """

    def __init__(self, table: str) -> None:
        if table not in TABLES:
            raise ValueError(f"source.table={table} is none of {', '.join(TABLES)}.")
        self.table = table

    def load(self) -> Panel:
        """Return the values as one series."""
        module, column, title, unit = TABLES[self.table]
        table = module.load()
        y = table[column].to_numpy(dtype=np.float64)
        frame = pd.DataFrame({"unique_id": title, "ds": table.index, "y": y})[np.isfinite(y)]
        return remarked(validated(frame, title, unit))
