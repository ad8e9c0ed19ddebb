"""A short code of many features, by an autoencoder (paper 2)."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from data.contracts import FloatArray
from data.features._named import Named

LABEL = "autoencoder"


class Autoencoder(Protocol):
    """Learn a code from which the inputs can be told again."""

    code: int
    """Length of the code."""
    history: list[dict[str, float]]
    """``epoch``, ``train/loss`` and ``val/loss``, an entry an epoch of the last fit."""

    def fit(self, train: FloatArray, validation: FloatArray, seed: int) -> "Autoencoder":
        """Learn from ``(n, F)``; the rows ``(m, F)`` choose when to stop and how to go on."""
        ...

    def encode(self, rows: FloatArray) -> FloatArray:
        """Map ``(n, F)`` to codes ``(n, code)``."""
        ...

    def state(self) -> dict[str, NDArray[Any]]:
        """Return everything that was fitted, by name."""
        ...

    def load_state(self, state: Mapping[str, NDArray[Any]]) -> "Autoencoder":
        """Take what an earlier fit has learned."""
        ...


class Codes(Named):
    """Replace the columns by their code, or add it: ``code 1``, ``code 2``, ...

    The autoencoder is told when to stop by the last of the training cells, whole; if there is but one
    cell, by the last of its rows.

    Parameters
    ----------
    autoencoder : Autoencoder
    validation : float
        Share of the training cells that are held out [fraction].
    keep : bool
        Whether the columns stay beside the code.  (The paper's network has 30 inputs; code and clusters
        are but 11.)
    seed : int
        Of weights and shuffling.

    Raises
    ------
    ValueError
        If nothing would be held out, or nothing learnt from.
    """

    def __init__(self, autoencoder: Autoencoder, validation: float = 0.2, keep: bool = False, seed: int = 0) -> None:
        if not 0 < validation < 1:
            raise ValueError(f"codes.validation={validation} must be a fraction between 0 and 1 of the training cells.")
        self.autoencoder, self.validation, self.keep, self.seed = autoencoder, validation, keep, seed

    def _learn(self, X: pd.DataFrame, y: "pd.Series[float]") -> None:
        held_out = last_cells(X.index.get_level_values("unique_id").to_numpy(), self.validation)
        values = X.to_numpy(dtype=np.float64)
        self.autoencoder.fit(values[~held_out], values[held_out], self.seed)

    def evidence(self) -> dict[str, Any]:
        """Return the losses of the autoencoder; nothing after ``load_state``."""
        return {"autoencoder": {LABEL: self.autoencoder.history}} if self.autoencoder.history else {}

    def _transformed(self, X: pd.DataFrame) -> pd.DataFrame:
        codes = self.autoencoder.encode(X.to_numpy(dtype=np.float64))
        table = pd.DataFrame(codes, X.index, self._made())
        return pd.concat([X, table], axis=1) if self.keep else table

    def _names_out(self, inputs: list[str]) -> list[str]:
        return [*inputs, *self._made()] if self.keep else self._made()

    def _made(self) -> list[str]:
        return [f"code {number}" for number in range(1, self.autoencoder.code + 1)]

    def _learned(self) -> dict[str, NDArray[Any]]:
        return {f"autoencoder.{name}": array for name, array in self.autoencoder.state().items()}

    def _recall(self, state: Mapping[str, NDArray[Any]]) -> None:
        mine = {name.removeprefix("autoencoder."): array for name, array in state.items() if name != "inputs"}
        self.autoencoder.load_state(mine)


def last_cells(cells: Sequence[str] | NDArray[Any], share: float) -> NDArray[np.bool_]:
    """Return which rows belong to the last cells, ``(n,)``; of a single cell its last rows are meant."""
    cells = np.asarray(cells)
    names = list(dict.fromkeys(cells))
    if len(names) == 1:
        count = min(max(1, math.ceil(share * cells.size)), cells.size - 1)
        return np.arange(cells.size) >= cells.size - count
    count = min(max(1, math.ceil(share * len(names))), len(names) - 1)
    return np.isin(cells, names[-count:])
