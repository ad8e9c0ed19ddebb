"""What several targets are made of: moves of a series from row to row, and panels of them."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from data.contracts import FloatArray, Panel
from data.panel import FEWEST, DataError, listed, shown_date

RETURN = "return"
RETURNS = {RETURN: "log return since the row before [%]"}
PERCENT = 100.0


def log_returns(panel: Panel, target: str) -> FloatArray:
    """Return the log return of every row since the one before ``(row,)`` [%]; NaN in the first row of a series.

    Raises
    ------
    DataError
        If a value is not above zero.
    """
    y = panel.frame["y"].to_numpy(dtype=np.float64)
    refuse_where(panel, y <= 0, f"target={target} takes logarithms, but values are not above 0", "Take target=change.")
    return PERCENT * moves(panel, np.log(y))


def moves(panel: Panel, values: FloatArray) -> FloatArray:
    """Return values less those of the row before, ``(row,)``; NaN in the first row of a series."""
    found = np.diff(values, prepend=np.nan)
    found[[start for start, _ in panel.series()]] = np.nan
    return found


def of_values(
    panel: Panel,
    y: FloatArray,
    unit: str,
    covariates: Mapping[str, FloatArray] | None = None,
    consumed: Sequence[str] = (),
) -> Panel:
    """Return a panel of other values, of which the first row of each series has none.

    Parameters
    ----------
    y : array
        ``(row,)``
    covariates : mapping
        Of ``RETURNS``: columns put before the covariates of the source.
    consumed : sequence of str
        Covariates of the source that are left out.

    Raises
    ------
    DataError
        If a series has too few rows, or its values do not change.
    """
    own = dict(covariates or {})
    others = {name: said for name, said in panel.covariates.items() if name not in consumed and name not in own}
    given = panel.frame
    gone = {"unique_id", "ds", "y", *own, *(name for name in consumed if name in panel.covariates)}
    rest = {str(name): given[name] for name in given if name not in gone}
    frame = pd.DataFrame({"unique_id": given["unique_id"], "ds": given["ds"], "y": y, **own, **rest})
    first = np.zeros(len(frame), dtype=bool)
    first[[start for start, _ in panel.series()]] = True
    frame = frame[~first].reset_index(drop=True)
    spread = frame.groupby("unique_id", sort=False)["y"].agg(["size", "min", "max"])
    bad = spread[(spread["size"] < FEWEST) | (spread["min"] == spread["max"])]
    if len(bad) or spread.shape[0] < given["unique_id"].nunique():
        short = sorted(set(given["unique_id"]) - set(spread.index)) + list(bad.index)
        raise DataError(f"{panel.name}: the moves of {listed(short)} never change.  Leave out these series.")
    described = {name: RETURNS[name] for name in own} | others
    return replace(panel, frame=frame, unit=unit, covariates=described, given=panel)


def refuse_where(panel: Panel, rows: "np.ndarray", said: str, cure: str) -> None:
    """Raise ``DataError`` where any row is marked, naming the first dates."""
    if rows.any():
        dates = listed([shown_date(date) for date in panel.frame["ds"][rows]], 3)
        raise DataError(f"{said} in {int(rows.sum())} rows of {panel.name} ({dates}).  {cure}")
