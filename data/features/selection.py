"""The factors that tell most about the remaining life (paper 2: Kendall's tau and feature importance)."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import kendalltau, rankdata
from sklearn.ensemble import ExtraTreesRegressor

from data.contracts import FloatArray
from data.features._named import Named, read, written
from data.features._rows import evenly

TREES = 100
ROWS = 4000  # most rows that the trees learn from


class Selection(Named):
    """Keep the factors that rank best by Kendall's tau and by the importance of extremely randomised trees.

    Tau is that of a factor with the remaining life within each training cell, averaged over the cells
    with its sign, so that a factor that rises in one cell and falls in another counts little.  Each of
    the two measures ranks the factors, equal ones by their mean rank; those with the lowest sum of ranks
    stay, in the order they had.  At equal sums the larger tau decides, then the order.

    Parameters
    ----------
    keep : int
        How many factors stay; all, if there are fewer.
    seed : int
        Of the trees.

    Raises
    ------
    ValueError
        If none would stay.
    """

    def __init__(self, keep: int, seed: int = 0) -> None:
        if keep < 1:
            raise ValueError(f"selection.keep={keep} must be at least 1 factor.")
        self.keep, self.seed = keep, seed
        self.factors: list[dict[str, Any]] = []

    def _learn(self, X: pd.DataFrame, y: "pd.Series[float]") -> None:
        life = np.asarray(y, dtype=np.float64)
        tau, importance = _mean_tau(X, life), _importance(X, life, self.seed)
        ranks = rankdata(-np.abs(tau)) + rankdata(-importance)
        best = np.lexsort((np.arange(tau.size), -np.abs(tau), ranks))[: self.keep]
        self.selected_ = [str(X.columns[number]) for number in np.sort(best)]
        self.factors = [
            {"factor": str(column), "kendall_tau": float(t), "importance": float(i), "kept": column in self.selected_}
            for column, t, i in zip(X.columns, tau, importance, strict=True)
        ]

    def evidence(self) -> dict[str, Any]:
        """Return tau and importance of every factor; nothing after ``load_state``, which knows the choice alone."""
        return {"factors": self.factors} if self.factors else {}

    def _transformed(self, X: pd.DataFrame) -> pd.DataFrame:
        return X[self.selected_]

    def _names_out(self, inputs: list[str]) -> list[str]:
        return self.selected_

    def _learned(self) -> dict[str, NDArray[Any]]:
        return {"selected": written(self.selected_)}

    def _recall(self, state: Mapping[str, NDArray[Any]]) -> None:
        self.selected_ = read(state["selected"])


def _mean_tau(X: pd.DataFrame, life: FloatArray) -> FloatArray:
    """Return Kendall's tau-b of each factor with the remaining life, averaged over cells, ``(F,)``."""
    cells = X.index.get_level_values("unique_id").to_numpy()
    values = X.to_numpy(dtype=np.float64)
    taus = [
        [kendalltau(factor, life[cells == cell]).statistic for factor in values[cells == cell].T]
        for cell in dict.fromkeys(cells)
    ]
    return np.nan_to_num(np.array(taus)).mean(axis=0)  # NaN of one that stands still


def _importance(X: pd.DataFrame, life: FloatArray, seed: int) -> FloatArray:
    """Return by how much each factor lowers the squared error in trees, as shares ``(F,)``."""
    rows = evenly(len(X), ROWS)
    trees = ExtraTreesRegressor(TREES, min_samples_leaf=3, max_features=0.5, n_jobs=1, random_state=seed)
    return trees.fit(X.to_numpy(dtype=np.float64)[rows], life[rows]).feature_importances_
