"""No decomposition: what the others are measured against."""

from collections.abc import Sequence

import numpy as np

from data.contracts import FloatArray
from data.decomposition.series import checked


class Identity:
    """Pass the series through as its own single component."""

    n_components = 1
    causal = True
    memory = 0

    def __call__(self, series: FloatArray) -> FloatArray:
        """Map ``(time,)`` to ``(1, time)``."""
        return checked(series, 1, "decomposition=identity")[None, :]

    def tails(self, windows: Sequence[FloatArray], keep: int) -> FloatArray:
        """Map n windows ``(time,)`` to ``(n, 1, keep)``."""
        return np.stack([checked(window, keep, f"keep={keep}")[None, -keep:] for window in windows])
