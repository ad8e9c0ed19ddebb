"""Show the forecasts of predict.py on a terminal."""

import pandas as pd
from rich.markup import escape
from rich.table import Table
from rich.text import Text

SHOWN = 12  # rows printed; the file holds them all


def as_text(table: pd.DataFrame, title: str) -> Table:
    """Return forecasts as a table for the terminal, the last of many.

    Where a column is there again in a unit users think in, that one is shown, and the file holds both.
    """
    again = [name for name in table if any(str(other).startswith(f"{name} in ") for other in table)]
    table = table.drop(columns=again)
    text = Table(title=escape(title))
    for column in table.columns:
        text.add_column(escape(str(column)))
    if len(table) > SHOWN:
        text.add_row(*("…" for _ in table.columns))
    for values in table.tail(SHOWN).itertuples(index=False):
        text.add_row(*(Text(_shown(value)) for value in values))
    return text


def _shown(value: object) -> str:
    """Return a date, with its time where it has one, and a number with six digits."""
    if isinstance(value, pd.Timestamp):
        return f"{value:%Y-%m-%d}" if value == value.normalize() else f"{value:%Y-%m-%d %H:%M}"
    return f"{value:.6g}" if isinstance(value, float) else str(value)
