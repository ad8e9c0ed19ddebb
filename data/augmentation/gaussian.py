"""A Gaussian of each cluster, to draw synthetic windows from.

Shapes
------
n row, D width of a row, K condition, m drawn
"""

from typing import ClassVar

import numpy as np

from data.contracts import FloatArray, IntArray, TooFewWindows


class ConditionalGaussian:
    """Draw rows from the Gaussian with the mean and the covariance of the training rows of a condition.

    A row drawn is the mean plus the deviations of all training rows, each times a standard normal number of its
    own over ``sqrt(n - 1)``: that has their covariance whatever D, and the matrix ``(D, D)`` is never formed.
    A condition with a single row takes its covariance from the deviations of all rows from the mean of their own.
    """

    fewest: ClassVar[int] = 2

    def __init__(self) -> None:
        self._known = np.empty((0, 0))  # (conditions, K)
        self._mean = np.empty((0, 0))  # (conditions, D)
        self._deviation = np.empty((0, 0))  # (n, D), from the mean of the condition
        self._condition: IntArray = np.empty(0, dtype=np.int64)  # (n,)

    def fit(self, rows: FloatArray, conditions: FloatArray, seed: int) -> "ConditionalGaussian":
        """Learn from rows ``(n, D)`` and their conditions ``(n, K)``; the seed has no part in it.

        Raises
        ------
        TooFewWindows
            If no condition has two rows.
        """
        self._known, place = np.unique(conditions, axis=0, return_inverse=True)
        self._condition = place.ravel().astype(np.int64)
        if len(rows) <= len(self._known):
            raise TooFewWindows(
                f"{len(rows)} rows of {len(self._known)} clusters show no spread; a cluster with at least two is "
                f"needed.  Give more training windows, or choose augmentation=identity."
            )
        self._mean = np.stack([rows[self._condition == k].mean(axis=0) for k in range(len(self._known))])
        self._deviation = rows - self._mean[self._condition]
        return self

    def sample(self, conditions: FloatArray, seed: int) -> FloatArray:
        """Return a new row ``(m, D)`` for each condition ``(m, K)``.

        Raises
        ------
        ValueError
            If a condition was in no row that was learnt from.
        """
        same = (conditions[:, None] == self._known).all(axis=2)  # (m, conditions)
        if not same.any(axis=1).all():
            raise ValueError(
                f"Condition {conditions[~same.any(axis=1)][0].tolist()} was in no row that was learnt from.  Ask for "
                f"those that were: {self._known.tolist()}."
            )
        rng = np.random.default_rng(seed)
        drawn = np.empty((len(conditions), self._mean.shape[1]))
        for k in range(len(self._known)):
            own, freedom = self._deviation[self._condition == k], 1
            if len(own) < 2:
                own, freedom = self._deviation, len(self._known)
            weights = rng.standard_normal((same[:, k].sum(), len(own))) / np.sqrt(len(own) - freedom)
            drawn[same[:, k]] = self._mean[k] + weights @ own
        return drawn
