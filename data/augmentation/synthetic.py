"""Synthetic windows drawn from a generative model of each cluster."""

from typing import ClassVar, Protocol

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from data.augmentation import conditions_of
from data.contracts import Batch, FloatArray, IntArray

LABELS = ("joint", "median")
UNITS = ("window", "row")


class RowGenerator(Protocol):
    """Learn the distribution of rows given a condition."""

    fewest: ClassVar[int]
    """Rows that it needs at least."""

    def fit(self, rows: FloatArray, conditions: FloatArray, seed: int) -> object:
        """Learn from rows ``(n, D)`` and their conditions ``(n, K)``, from the start.

        Raises
        ------
        TooFewWindows
            If there are too few rows to learn from.
        """
        ...

    def sample(self, conditions: FloatArray, seed: int) -> FloatArray:
        """Return a row ``(m, D)`` for each condition ``(m, K)``."""
        ...


class SyntheticWindows:
    """Synthetic windows of every cluster that the training windows show.

    A window is of the cluster of its newest step, and a synthetic one of a single cluster throughout.

    Parameters
    ----------
    generator : RowGenerator
        What learns and draws.
    n_per_condition : int
        What is drawn of each cluster [windows, or rows where ``unit`` is ``"row"``].
    labels : str
        ``"joint"``: the target is drawn together with the inputs, and cut off where no training target
        ever was.  ``"median"``: every window of a cluster has the median target of that cluster, as in paper 2.
    unit : str
        ``"window"``: whole windows are learnt and drawn.  ``"row"``: single steps, as in paper 2; windows are
        slid over the ``n_per_condition`` rows of a cluster.  Nothing orders those rows in time, so such a
        window shows no course of ageing.

    Raises
    ------
    ValueError
        If a setting cannot work; all faults at once.
    """

    covariates: ClassVar[bool] = False

    def __init__(self, generator: RowGenerator, n_per_condition: int, labels: str, unit: str) -> None:
        faults = []
        if n_per_condition < 1:
            faults.append(f"augmentation.n_per_condition={n_per_condition} must be at least 1.")
        if labels not in LABELS:
            faults.append(f"augmentation.labels={labels} is not one of {', '.join(LABELS)}.")
        if unit not in UNITS:
            faults.append(f"augmentation.unit={unit} is not one of {', '.join(UNITS)}.")
        if faults:
            raise ValueError("  ".join(faults))
        self.generator = generator
        self.n_per_condition = n_per_condition
        self.labels, self.unit = labels, unit

    @property
    def fewest(self) -> int:
        """Windows that the generator needs."""
        return self.generator.fewest

    def samples(self, train: Batch, n_conditions: int, seed: int) -> Batch:
        """Learn from the training windows and draw, ``past (m, L, C)`` and ``target (m, H, T)``.

        Raises
        ------
        TooFewWindows
            If the generator cannot learn from so few.
        ValueError
            If fewer rows of a cluster are asked for than a window needs, or the generator refuses.
        """
        condition = conditions_of(train.past, n_conditions)  # (n,)
        n_windows, lookback, n_channels = train.past.shape
        n_drawn = n_channels - n_conditions  # F, channels to be drawn
        steps = lookback if self.unit == "window" else 1
        if self.unit == "row" and self.n_per_condition < lookback:
            raise ValueError(
                f"augmentation.n_per_condition={self.n_per_condition} rows of a cluster are fewer than one window "
                f"needs, lookback={lookback}.  Ask for more rows, or for augmentation.unit=window."
            )
        rows = train.past[:, -steps:, :n_drawn].reshape(n_windows, -1)  # (n, steps F)
        if self.labels == "joint":
            rows = np.concatenate([rows, train.target.reshape(n_windows, -1)], axis=1)
        flags = train.past[:, -1, n_drawn:]  # (n, K)
        present, example = np.unique(condition, return_index=True)
        self.generator.fit(rows, flags, seed)
        asked = np.repeat(flags[example], self.n_per_condition, axis=0)  # (m, K)
        drawn = self.generator.sample(asked, seed)  # (m, D)

        past = drawn[:, : steps * n_drawn].reshape(-1, steps, n_drawn)  # (m, steps, F)
        n_each = self.n_per_condition
        if self.unit == "row":
            n_each -= lookback - 1
            blocks = past.reshape(len(present), self.n_per_condition, n_drawn)  # a cluster each
            slid = sliding_window_view(blocks, lookback, axis=1)  # (cluster, n_each, F, L)
            past = slid.transpose(0, 1, 3, 2).reshape(-1, lookback, n_drawn)  # (m', L, F)
        same = np.broadcast_to(np.repeat(flags[example], n_each, axis=0)[:, None], (len(past), lookback, n_conditions))
        return Batch(
            np.concatenate([past, same], axis=2),
            self._targets(train.target, condition, drawn[:, steps * n_drawn :], n_each),
        )

    def _targets(self, real: FloatArray, condition: IntArray, drawn: FloatArray, n_each: int) -> FloatArray:
        """Return the targets ``(m, H, T)`` of ``n_each`` windows of every cluster."""
        if self.labels == "median":
            medians = [np.median(real[condition == cluster], axis=0) for cluster in np.unique(condition)]
            return np.repeat(medians, n_each, axis=0)
        newest = drawn.reshape(-1, self.n_per_condition, *real.shape[1:])[:, -n_each:]
        return newest.reshape(-1, *real.shape[1:]).clip(real.min(axis=0), real.max(axis=0))
