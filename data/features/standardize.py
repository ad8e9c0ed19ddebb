"""Each column in deviations from its mean, by the training rows."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from data.features._named import Named


class Standardize(Named):
    """Measure each column in training deviations from its training mean.

    A column that never moved in training has taught nothing and becomes zero.

    Parameters
    ----------
    clip : float
        Where a column ends, on either side of its mean [training deviations]: one gross outlier must not
        carry what follows to where it was never fitted.

    Raises
    ------
    ValueError
        If nothing would be left of a column.
    """

    def __init__(self, clip: float = 10.0) -> None:
        if not clip > 0:
            raise ValueError(f"standardize.clip={clip} leaves nothing of a column; it must be above 0 deviations.")
        self.clip = clip

    def _learn(self, X: pd.DataFrame, y: "pd.Series[float]") -> None:
        values = X.to_numpy(dtype=np.float64)
        self.mean_, deviation = values.mean(axis=0), values.std(axis=0)
        still = deviation <= 1e-9 * np.abs(values).max(axis=0)  # but for rounding
        self.deviation_ = np.where(still, np.inf, deviation)

    def _transformed(self, X: pd.DataFrame) -> pd.DataFrame:
        return ((X - self.mean_) / self.deviation_).clip(-self.clip, self.clip)

    def _learned(self) -> dict[str, NDArray[Any]]:
        return {"mean": self.mean_, "deviation": self.deviation_}

    def _recall(self, state: Mapping[str, NDArray[Any]]) -> None:
        self.mean_, self.deviation_ = state["mean"], state["deviation"]
