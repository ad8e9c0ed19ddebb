"""Stages of ageing as fuzzy clusters of the codes (paper 2, tables 5 and 6).

Bezdek, J.C.: Pattern Recognition with Fuzzy Objective Function Algorithms (1981).

Shapes
------
n row, S column, c cluster
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import rankdata
from skfuzzy.cluster import cmeans, cmeans_predict
from sklearn.metrics import calinski_harabasz_score, silhouette_score

from data.contracts import FloatArray
from data.features._named import Named, read, written
from data.features._rows import chosen, evenly
from data.panel import DataError

TOLERANCE = 1e-4  # change of all memberships, as a norm, at which clustering ends
STEPS = 300
CRITERIA = ["fpc", "silhouette", "calinski_harabasz"]


class Clustering(NamedTuple):
    """What one number of clusters came to."""

    centres: FloatArray
    """``(c, S)``"""
    memberships: FloatArray
    """``(n, c)``, each row sums to 1."""
    fpc: float
    """Fuzzy partition coefficient, in [1 / c, 1]."""


class Clusters(Named):
    """Add a column a cluster, at the end: ``cluster 0`` is the youngest stage.

    Clusters are ordered by the median remaining life of the training rows in them, longest first; rows
    that were not fitted belong to the centre they are nearest to.

    The number of clusters, if none is given, is that with the lowest sum of ranks by the fuzzy partition
    coefficient, the silhouette and the index of Calinski and Harabasz; at a tie the smaller one.

    Parameters
    ----------
    n_clusters : int or None
        c; None lets the criteria choose.
    candidates : sequence of int
        Numbers of clusters that are compared, on evenly spaced training rows.
    columns : str or None
        Pattern of the columns to cluster; None takes the codes, or all columns if there are none.
    memberships : bool
        True adds the degrees of membership, False a 1 for the highest and 0 for the others.
    fuzzifier : float
        m, exponent of the memberships; the nearer to 1, the harder the clusters.
    rows : int
        Most rows that the candidates are compared on.
    seed : int
        Of the first memberships.

    Raises
    ------
    ValueError
        Naming every setting that cannot work.
    """

    def __init__(
        self,
        n_clusters: int | None = 3,
        candidates: Sequence[int] = (2, 3, 4, 5, 6, 7, 8, 9, 10),
        columns: str | None = None,
        memberships: bool = False,
        fuzzifier: float = 2.0,
        rows: int = 2000,
        seed: int = 0,
    ) -> None:
        faults = []
        if n_clusters is not None and n_clusters < 2:
            faults.append(f"clusters.n_clusters={n_clusters} must be at least 2, or null.")
        if min(candidates, default=1) < 2:
            faults.append(f"clusters.candidates={list(candidates)} must be numbers of at least 2.")
        if fuzzifier <= 1:
            faults.append(f"clusters.fuzzifier={fuzzifier} must be above 1.")
        if faults:
            raise ValueError("  ".join(faults))
        self.n_clusters, self.candidates, self.columns, self.memberships = n_clusters, candidates, columns, memberships
        self.fuzzifier, self.rows, self.seed = fuzzifier, rows, seed
        self.table: list[dict[str, float]] = []

    @property
    def n_conditions(self) -> int:
        """How many columns at the end tell the cluster of a row, one of them 1; none if by degrees."""
        return 0 if self.memberships else len(self.centres_)

    def evidence(self) -> dict[str, Any]:
        """Return the criteria of every number that was compared, and that in use; nothing after ``load_state``."""
        if not self.table:
            return {}
        table = [{name: None if np.isnan(value) else value for name, value in row.items()} for row in self.table]
        return {"clusters": {"table": table, "chosen": len(self.centres_)}}

    def _learn(self, X: pd.DataFrame, y: "pd.Series[float]") -> None:
        self.clustered_ = self._clustered([str(column) for column in X.columns])
        values = X[self.clustered_].to_numpy(dtype=np.float64)
        most = max([*self.candidates, self.n_clusters or 2])
        if len(np.unique(values, axis=0)) <= most:
            raise DataError(
                f"{len(np.unique(values, axis=0))} different training rows are too few for {most} clusters.  "
                f"Lower clusters.n_clusters and clusters.candidates, or give more cells."
            )
        some = values[evenly(len(values), self.rows)]
        self.table = [self._judged(some, number) for number in self.candidates]
        found = self._fitted(values, self.n_clusters or _best(self.table))
        label = found.memberships.argmax(axis=1)
        life = np.asarray(y, dtype=np.float64)
        median = [np.median(life[label == k]) if (label == k).any() else -np.inf for k in range(len(found.centres))]
        self.centres_ = found.centres[np.argsort(-np.array(median), kind="stable")]

    def _transformed(self, X: pd.DataFrame) -> pd.DataFrame:
        degrees = self._degrees(X[self.clustered_].to_numpy(dtype=np.float64))
        if not self.memberships:
            degrees = np.eye(degrees.shape[1])[degrees.argmax(axis=1)]
        return pd.concat([X, pd.DataFrame(degrees, X.index, self._made())], axis=1)

    def _names_out(self, inputs: list[str]) -> list[str]:
        return [*inputs, *self._made()]

    def _made(self) -> list[str]:
        return [f"cluster {number}" for number in range(len(self.centres_))]

    def _learned(self) -> dict[str, NDArray[Any]]:
        return {"clustered": written(self.clustered_), "centres": self.centres_}

    def _recall(self, state: Mapping[str, NDArray[Any]]) -> None:
        self.clustered_, self.centres_ = read(state["clustered"]), state["centres"]

    def _clustered(self, columns: list[str]) -> list[str]:
        if self.columns is not None:
            return chosen(columns, self.columns)
        return [column for column in columns if column.startswith("code ")] or columns

    def _fitted(self, values: FloatArray, number: int) -> Clustering:
        """Cluster ``(n, S)`` from memberships drawn by the seed."""
        first = np.random.default_rng(self.seed).random((number, len(values)))
        centres, degrees, *_, fpc = cmeans(values.T, number, self.fuzzifier, TOLERANCE, STEPS, init=first)
        return Clustering(centres, degrees.T, float(fpc))

    def _degrees(self, values: FloatArray) -> FloatArray:
        """Return the memberships of rows ``(n, S)`` in the centres, ``(n, c)``.

        They depend on the distances of a row alone, so one step is enough and where it starts is all one.
        """
        first = np.ones((len(self.centres_), len(values)))
        degrees, *_ = cmeans_predict(values.T, self.centres_, self.fuzzifier, TOLERANCE, 1, init=first)
        return degrees.T

    def _judged(self, values: FloatArray, number: int) -> dict[str, float]:
        """Return the criteria for one number of clusters."""
        found = self._fitted(values, number)
        label = found.memberships.argmax(axis=1)
        several = len(np.unique(label)) > 1  # fuzzy centres may coincide
        return {
            "n_clusters": number,
            "fpc": found.fpc,
            "silhouette": float(silhouette_score(values, label)) if several else np.nan,
            "calinski_harabasz": float(calinski_harabasz_score(values, label)) if several else np.nan,
        }


def _best(table: Sequence[Mapping[str, float]]) -> int:
    """Return the number of clusters with the lowest sum of ranks."""
    scores = np.array([[row[name] for name in CRITERIA] for row in table])  # (candidate, criterion)
    ranks = rankdata(-np.nan_to_num(scores, nan=-np.inf), axis=0).sum(axis=1)
    return min(zip(ranks, [int(row["n_clusters"]) for row in table], strict=True))[1]
