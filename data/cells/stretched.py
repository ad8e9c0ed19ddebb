"""Cells as if they had aged slower or faster: further training cells of other lives (scaling the time axis).

Few cells are ever worn out, and their lives are few: a model that has seen lives of 420 to 750 cycles has no reason to
forecast any other.  If wear follows one course at different speeds, a cell whose record is run through at another speed
is a cell that could have been.  Where all cells live equally long such copies mislead, so they live no more times as
long than the longest of the training cells does as the shortest (``spread``).

Shapes
------
n row of the copies
"""

from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from data.contracts import IntArray, Panel


def stretched(panel: Panel, rows: NDArray[np.bool_], longer: float) -> tuple[Panel, IntArray]:
    """Return copies of some cells, ``longer`` times as long, and the newest row of the panel each of their rows knows.

    Faster cells are rows as they were recorded, some left out; slower ones are interpolated between neighbours.  What
    remains of a life is scaled alike, so at the end of a cell nothing is left whatever its speed.

    Parameters
    ----------
    panel : Panel
    rows : array
        ``(row,)`` those of the cells that are meant; all rows of one or none.
    longer : float
        Life of a copy over that of its cell [-]; below 1 it is over sooner.

    Returns
    -------
    Panel
        Copies in the order of the cells, whose ``ds`` counts their rows from 1.
    array
        ``(n,)`` row of ``panel`` after which nothing of the cell is known.
    """
    frame = panel.frame
    copies: list[pd.DataFrame] = []
    newest: list[IntArray] = []
    for cell, own in frame[rows].groupby("unique_id", sort=False):
        place = np.arange(1, int(len(own) * longer) + 1) / longer - 1  # [rows] of the record, whole or between two
        after = np.clip(np.ceil(place - 1e-9).astype(np.int64), 0, len(own) - 1)
        seen = after.astype(np.float64) if longer < 1 else np.maximum(place, 0.0)
        here = np.arange(len(own))
        columns = {name: np.interp(seen, here, own[name].to_numpy(dtype=np.float64)) for name in panel.covariates}
        left = longer * np.interp(seen, here, own["y"].to_numpy(dtype=np.float64))
        ages = np.arange(1, place.size + 1)
        copies.append(pd.DataFrame({"unique_id": cell, "ds": ages, "y": left, **columns}))
        newest.append(np.flatnonzero(rows & (frame["unique_id"] == cell).to_numpy())[after])
    return replace(panel, frame=pd.concat(copies, ignore_index=True), age="ds"), np.concatenate(newest)


def spread(panel: Panel, rows: NDArray[np.bool_]) -> float:
    """Return the longest over the shortest life of some cells [-]."""
    cells, lives = panel.frame["unique_id"][rows].unique(), panel.lives()
    own = [lives[str(cell)] for cell in cells]
    return max(own) / min(own)
