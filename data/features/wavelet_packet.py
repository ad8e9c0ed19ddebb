"""Wavelet-packet bands of each factor at its latest cycle (paper 2).

Mallat, S.: A Wavelet Tour of Signal Processing, 3rd ed., chapter 8 (2009).

Shapes
------
n row, w width of a trailing window, C band
"""

from typing import Any

import numpy as np
import pandas as pd

from data.contracts import FloatArray
from data.decomposition.wavelet_packet import WaveletPacket
from data.features._named import Named
from data.features._rows import cell_starts, chosen, trailing

SHOWN = 1500  # rows of the bands that a report draws


class TrailingWaveletPacket(Named):
    """Split each value into ``2**level`` bands, as the packet tree of its trailing window does.

    No coefficient sees the future.  The bands of a row sum to its value; band 1 is the fastest.  Before
    the beginning of a cell its first value is repeated.

    The last point of every band is a weighted sum of the window, so that the trees of all rows are one
    product with a matrix of weights.

    Parameters
    ----------
    wavelet : str
        A discrete wavelet that PyWavelets knows, such as ``db4``.
    level : int
        Depth of the tree.
    window : int
        w, how far a tree looks back [rows].
    columns : str or None
        Pattern of the columns to split; None takes all, and makes ``2**level`` of each.
    keep : bool
        Whether the columns that are split stay themselves; the others always do.

    Raises
    ------
    ValueError
        If there is no such wavelet, or the window is too short for its filters.
    """

    def __init__(
        self, wavelet: str = "db4", level: int = 3, window: int = 64, columns: str | None = None, keep: bool = False
    ) -> None:
        self.wavelet, self.level, self.window, self.columns, self.keep = wavelet, level, window, columns, keep
        self._weights = _weights(wavelet, level, window)

    def _learn(self, X: pd.DataFrame, y: "pd.Series[float]") -> None:
        cells = X.index.get_level_values("unique_id")
        first = X.loc[cells == cells[0], chosen([str(column) for column in X.columns], self.columns)[:1]]
        self._shown = first.iloc[:SHOWN]

    def evidence(self) -> dict[str, Any]:
        """Return the first column of the first cell learnt from and its bands; nothing after ``load_state``."""
        shown: pd.DataFrame | None = getattr(self, "_shown", None)
        if shown is None or shown.empty or not len(shown.columns):
            return {}
        (bands,) = self._bands(shown)
        cell, at = shown.index[0][0], shown.index.get_level_values("ds")
        told = {"column": str(shown.columns[0]), "cell": str(cell), "ds": np.asarray(at).tolist()}
        return {"bands": told | {"bands": bands.T.tolist()}}

    def _transformed(self, X: pd.DataFrame) -> pd.DataFrame:
        split = chosen(self.inputs_, self.columns)
        bands = np.concatenate(self._bands(X[split]), axis=1)
        made = pd.DataFrame(bands, index=X.index, columns=self._made(split))
        return pd.concat([X if self.keep else X.drop(columns=split), made], axis=1)

    def _bands(self, X: pd.DataFrame) -> list[FloatArray]:
        """Return the bands ``(n, C)`` of every column."""
        places = trailing(cell_starts(X), self.window)
        # Not as one product of BLAS, whose last bits depend on how many rows there are.
        return [np.einsum("nw,wc->nc", column[places], self._weights) for column in X.to_numpy(dtype=np.float64).T]

    def _names_out(self, inputs: list[str]) -> list[str]:
        split = chosen(inputs, self.columns)
        return [*(column for column in inputs if self.keep or column not in split), *self._made(split)]

    def _made(self, split: list[str]) -> list[str]:
        return [f"{column} band {number}" for column in split for number in range(1, 2**self.level + 1)]


def _weights(wavelet: str, level: int, window: int) -> FloatArray:
    """Return what each point of a window weighs in the last point of each band, ``(w, C)``."""
    try:
        packet = WaveletPacket(wavelet, level)
        return packet.tails(list(np.eye(window)), 1)[:, :, 0]
    except ValueError as error:
        raise ValueError(f"wavelet_packet.window={window}: {error}") from None
