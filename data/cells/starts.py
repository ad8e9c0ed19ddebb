"""Cells as if their record began later: what a model is shown of a cell that somebody else has used before.

Everything that looks back is made anew from the shortened record: no feature, no window and no filter sees a hidden
cycle, and what counts since the beginning counts from the first row that is left.

Shapes
------
row row of the panel, n window
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from data.cells.sequences import sequences
from data.contracts import FloatArray, Panel, Windows


class Transforms(Protocol):
    """Features that have been fitted."""

    def transform(self, X: pd.DataFrame) -> pd.DataFrame:
        """Map a table of covariates to features, in the same rows."""
        ...


def lived(panel: Panel) -> FloatArray:
    """Return how many cycles after the first on record of its cell each row is, ``(row,)`` [cycles]."""
    ages = panel.ages().astype(np.float64)
    since: FloatArray = (ages - ages.groupby(panel.frame["unique_id"], sort=False).transform("min")).to_numpy()
    return since


def later_windows(
    panel: Panel,
    table: pd.DataFrame,
    features: Transforms,
    rows: NDArray[np.bool_],
    hidden: Sequence[int],
    lookback: int,
) -> Iterator[Windows]:
    """Yield the windows of some cells for every number of cycles hidden from their beginning.

    Parameters
    ----------
    panel : Panel
    table : DataFrame
        Covariates ``(row, ...)``, row for row those of the panel.
    features : Transforms
        Fitted on training rows.
    rows : array
        ``(row,)`` those of the cells that are meant.
    hidden : sequence of int
        How much of the beginning is hidden [cycles]; where it leaves no cell as long as a window, nothing is yielded.
    lookback : int
        L, length of a window [recorded cycles].

    Yields
    ------
    Windows
        With the rows of ``panel`` as ``origin`` and what is hidden as ``start``.
    """
    age, y = lived(panel), panel.frame["y"]
    for cycles in hidden:
        kept = rows & (age >= cycles)
        sizes = panel.frame["unique_id"][kept].value_counts()
        if sizes.empty or sizes.max() < lookback:
            continue
        shorter = replace(panel, frame=panel.frame[kept].reset_index(drop=True))
        windows = sequences(features.transform(table[kept]), y[kept], shorter, lookback)
        origin = np.flatnonzero(kept)[windows.origin]
        yield windows._replace(origin=origin, start=np.full(origin.size, cycles, dtype=np.int64))


def together(parts: Sequence[Windows]) -> Windows:
    """Put windows behind one another; those without ``start`` hide nothing."""
    filled = [
        part if part.start is not None else part._replace(start=np.zeros(len(part.origin), dtype=np.int64))
        for part in parts
    ]
    columns: list[Any] = [
        None if any(array is None for array in arrays) else np.concatenate(arrays)
        for arrays in zip(*filled, strict=True)
    ]
    return Windows(*columns)
