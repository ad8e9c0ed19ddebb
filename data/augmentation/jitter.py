"""Real windows with noise on them."""

from typing import ClassVar

import numpy as np

from data.augmentation import conditions_of
from data.contracts import Batch


class Jitter:
    """Add Gaussian noise to some training windows; target, cluster and covariates stay theirs.

    A network that has seen them cannot hang on to what is smaller than the noise.

    Parameters
    ----------
    std : float
        Standard deviation of the noise [scaled units].
    share : float
        How many of the training windows are drawn, each at most once [fraction].

    Raises
    ------
    ValueError
        If a setting cannot work; all faults at once.
    """

    covariates: ClassVar[bool] = True
    fewest: ClassVar[int] = 1

    def __init__(self, std: float, share: float) -> None:
        faults = []
        if not 0 < std < np.inf:
            faults.append(f"augmentation.std={std} must be above 0 [scaled units].")
        if not 0 < share <= 1:
            faults.append(f"augmentation.share={share} must be above 0 and at most 1.")
        if faults:
            raise ValueError("  ".join(faults))
        self.std, self.share = std, share

    def samples(self, train: Batch, n_conditions: int, seed: int) -> Batch:
        """Return noisy copies of ``share`` of the windows, ``past (m, L, C)`` and ``target (m, H, T)``."""
        conditions_of(train.past, n_conditions)  # refuses what it cannot read
        rng = np.random.default_rng(seed)
        n_windows, _, n_channels = train.past.shape
        drawn = rng.choice(n_windows, round(self.share * n_windows), replace=False)
        past = train.past[drawn]  # (m, L, C), a copy
        noisy = past[:, :, : n_channels - n_conditions]
        noisy += rng.normal(0.0, self.std, noisy.shape)
        return Batch(past, train.target[drawn], None if train.extra is None else train.extra[drawn])
