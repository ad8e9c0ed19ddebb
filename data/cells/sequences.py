"""Cut the cycles of cells into windows: the last cycles up to a cycle, whose remaining life is asked for."""

import numpy as np
import pandas as pd
from numpy.lib.stride_tricks import sliding_window_view

from data.contracts import TRAIN, FloatArray, Fold, IntArray, Panel, Windows
from data.panel import DataError


def sequences(table: pd.DataFrame, y: "pd.Series[float]", panel: Panel, lookback: int) -> Windows:
    """Return a window for every row that has ``lookback`` rows of its own cell up to it, itself included.

    The rows are recorded cycles: one that was not recorded is bridged.  A window looks back upon earlier
    cycles of its cell whatever their role, and never upon another cell.

    Parameters
    ----------
    table : DataFrame
        Features ``(row, F)``, row for row those of the panel.
    y : Series
        Remaining life ``(row,)`` [cycles].
    panel : Panel
    lookback : int
        L, length of a window [recorded cycles].

    Returns
    -------
    Windows
        ``past (n, L, F)``, ``target (n, 1, 1)``, ``y (n, 1)`` and the row of the last step ``origin (n,)``.

    Raises
    ------
    DataError
        If no cell is as long as a window, or the table is not that of the panel.
    """
    if lookback < 1:
        raise ValueError(f"lookback={lookback} must be at least 1 cycle.")
    if not len(table) == len(y) == len(panel.frame):
        raise DataError(
            f"The table has {len(table)} rows and y {len(y)}, but {panel.name} has {len(panel.frame)}: a feature "
            f"must lose no row."
        )
    values = table.to_numpy(dtype=np.float64)  # (row, F)
    parts: list[FloatArray] = []
    origins: list[IntArray] = []
    for start, rows in panel.series():
        if rows.size >= lookback:
            part = sliding_window_view(values[start : start + rows.size], lookback, axis=0)  # (n, F, L)
            parts.append(part.transpose(0, 2, 1))  # (n, L, F)
            origins.append(np.arange(start + lookback - 1, start + rows.size, dtype=np.int64))
    if not parts:
        longest = max(rows.size for _, rows in panel.series())
        raise DataError(
            f"The longest cell of {panel.name} has {longest} recorded cycles, but one window needs "
            f"lookback={lookback}.  Give longer cells or lower lookback."
        )
    origin = np.concatenate(origins)
    asked: FloatArray = np.asarray(y, dtype=np.float64)[origin, None]  # (n, 1)
    return Windows(np.concatenate(parts), asked[:, :, None], asked, origin)


def short_cells(panel: Panel, lookback: int) -> tuple[str, ...]:
    """Tell which cells have no window because they are shorter than one, in a sentence, if there are any."""
    ids = panel.frame["unique_id"]
    short = [f"{ids.iloc[start]} {rows.size}" for start, rows in panel.series() if rows.size < lookback]
    if not short:
        return ()
    return (
        f"{len(short)} cells have fewer recorded cycles than lookback={lookback} and no window: {', '.join(short)}.",
    )


def select_rows(windows: Windows, fold: Fold, role: int, every: int = 1) -> Windows:
    """Return the windows whose last row has the role.

    Parameters
    ----------
    every : int
        Of those each such one is kept, counted through all cells: neighbouring windows tell nearly the
        same, so training can do with fewer.  Windows of a record that begins later are few already, and stay all
        where training rows are asked for; no others are judged or chosen by.
    """
    if every < 1:
        raise ValueError(f"every={every} must be at least 1 window.")
    own = fold.role[windows.origin] == role
    if windows.start is None:
        return windows.take(np.flatnonzero(own)[::every])
    chosen = np.flatnonzero(own & (windows.start == 0))[::every]
    if role == TRAIN:
        chosen = np.r_[chosen, np.flatnonzero(own & (windows.start > 0))]
    return windows.take(chosen)
