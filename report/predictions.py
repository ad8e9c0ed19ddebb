"""Forecasts as people read them: on a terminal, or as tables with the columns of Nixtla's libraries."""

from collections.abc import Mapping

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


def as_wide(rows: pd.DataFrame) -> pd.DataFrame:
    """Return a Forecasts table with a row a target: ``unique_id``, ``ds``, ``cutoff``, ``y``, and columns a model.

    Bounds of intervals are called ``<model>-lo-95`` and so on; one that no row of a model has is left out.  Where
    folds overlap, each has rows of its own.
    """
    rows = rows.rename(columns={"origin": "cutoff"})
    keys = ["unique_id", "ds", "cutoff"] if "cutoff" in rows else ["unique_id", "ds"]
    if "fold" in rows and rows.duplicated([*keys, "model"]).any():
        keys = ["fold", *keys]
    wide = rows.drop_duplicates(keys)[[*keys, "y"]].reset_index(drop=True)
    place = pd.MultiIndex.from_frame(wide[keys])
    bounds = [str(name) for name in rows if str(name).startswith(("lo_", "hi_"))]
    for model, own in rows.groupby("model", sort=False):
        there = own.set_index(keys)[["y_hat", *bounds]].reindex(place)
        wide[str(model)] = there["y_hat"].to_numpy()
        for bound in bounds:
            if there[bound].notna().any():
                wide[f"{model}-{bound.replace('_', '-')}"] = there[bound].to_numpy()
    return wide


def as_nixtla(table: pd.DataFrame, columns: Mapping[str, str], label: str, horizon: int) -> pd.DataFrame:
    """Return what predict.py writes under the names of Nixtla's libraries.

    Parameters
    ----------
    table : DataFrame
        ``unique_id``, ``ds`` and a column a model, some of them renamed.
    columns : mapping
        What columns were renamed to.
    label : str
        The run's model, whose intervals the bounds are.
    horizon : int
        Steps that are kept, where the table counts them [steps].
    """
    table = table.rename(columns={new: old for old, new in columns.items() if new})
    if "step" in table:
        table = table[table["step"] <= horizon].drop(columns="step")
    bounds = [str(name) for name in table if str(name).startswith(("lo_", "hi_"))]
    return table.rename(columns={name: f"{label}-{name.replace('_', '-')}" for name in bounds}).reset_index(drop=True)


def _shown(value: object) -> str:
    """Return a date, with its time where it has one, and a number with six digits."""
    if isinstance(value, pd.Timestamp):
        return f"{value:%Y-%m-%d}" if value == value.normalize() else f"{value:%Y-%m-%d %H:%M}"
    return f"{value:.6g}" if isinstance(value, float) else str(value)
