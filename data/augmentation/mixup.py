"""Mixtures of two real windows (Zhang et al., 2018)."""

from typing import ClassVar

import numpy as np

from data.augmentation import conditions_of
from data.contracts import Batch, FloatArray, IntArray


class Mixup:
    """Mix pairs of training windows of one cluster, their targets and covariates in the same proportion.

    The weight of the first is ``max(w, 1 - w)`` with w drawn from Beta(alpha, alpha), so that it is the
    first one's in the main; its channels that tell the cluster are kept, as a step has one cluster.

    Parameters
    ----------
    alpha : float
        Of the Beta distribution: near 0 one window dominates, at 1 all proportions are as likely.
    share : float
        How many of the training windows are the first of a pair, each at most once [fraction].

    Raises
    ------
    ValueError
        If a setting cannot work; all faults at once.
    """

    covariates: ClassVar[bool] = True
    fewest: ClassVar[int] = 1

    def __init__(self, alpha: float, share: float) -> None:
        faults = []
        if not 0 < alpha < np.inf:
            faults.append(f"augmentation.alpha={alpha} must be above 0.")
        if not 0 < share <= 1:
            faults.append(f"augmentation.share={share} must be above 0 and at most 1.")
        if faults:
            raise ValueError("  ".join(faults))
        self.alpha, self.share = alpha, share

    def samples(self, train: Batch, n_conditions: int, seed: int) -> Batch:
        """Return mixtures, ``past (m, L, C)`` and ``target (m, H, T)``."""
        rng = np.random.default_rng(seed)
        condition = conditions_of(train.past, n_conditions)  # (n,)
        n_windows, _, n_channels = train.past.shape
        first = rng.choice(n_windows, round(self.share * n_windows), replace=False)
        second = _partners(condition, first, rng)  # (m,)
        weight = rng.beta(self.alpha, self.alpha, (len(first), 1, 1))
        weight = np.maximum(weight, 1 - weight)
        past = _mixed(train.past, first, second, weight)
        past[:, :, n_channels - n_conditions :] = train.past[first][:, :, n_channels - n_conditions :]
        beside = None if train.extra is None else _mixed(train.extra, first, second, weight)
        return Batch(past, _mixed(train.target, first, second, weight), beside)


def _mixed(values: FloatArray, first: IntArray, second: IntArray, weight: FloatArray) -> FloatArray:
    return weight * values[first] + (1 - weight) * values[second]


def _partners(condition: IntArray, first: IntArray, rng: np.random.Generator) -> IntArray:
    """Draw for each window another, or itself, of the same cluster."""
    second = np.empty_like(first)
    for cluster in np.unique(condition[first]):
        asking = condition[first] == cluster
        second[asking] = rng.choice(np.flatnonzero(condition == cluster), asking.sum())
    return second
