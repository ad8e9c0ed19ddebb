"""Daily closes of the S&P 500, which ship with the dependency ``arch``."""

import pandas as pd
from arch.data import sp500

from data.contracts import Panel
from data.panel import validated
from data.remarks import remarked


class SP500:
    """5031 trading days, 1999-01-04 .. 2018-12-31 [index points]; needs no file and no network."""

    def load(self) -> Panel:
        """Return the closes as one series."""
        table = sp500.load()
        frame = pd.DataFrame({"unique_id": "S&P 500", "ds": table.index, "y": table["Close"].to_numpy()})
        return remarked(validated(frame, "S&P 500", "index points"))
