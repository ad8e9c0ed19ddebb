"""Trend and rest by a moving average over the past.

Zeng, Chen, Zhang, Xu: Are Transformers Effective for Time Series Forecasting?, AAAI 2023 (DLinear),
whose average is centred within the window; this one looks back only.
"""

from collections.abc import Sequence

import numpy as np

from data.contracts import FloatArray
from data.decomposition import _one_sided
from data.decomposition.series import checked


class MovingAverage:
    """Split a series into its mean over the last ``width`` steps and what that leaves.

    A value at t depends on the series up to t and on nothing else.  The price is delay: the trend
    trails the series by ``(width - 1) / 2`` steps.  Before its first point a series is taken to have
    stood still.

    Parameters
    ----------
    width : int
        Steps that are averaged, the latest among them.
    """

    n_components = 2
    causal = True

    def __init__(self, width: int = 25) -> None:
        if width < 2:
            raise ValueError(f"decomposition.width={width} must be at least 2 steps.")
        self.width = width
        self.memory = width - 1
        self._taps = np.full(width, 1.0 / width)

    def __call__(self, series: FloatArray) -> FloatArray:
        """Map ``(time,)`` to ``(2, time)``, the trend last."""
        return self._bands(checked(series, 1, "decomposition=moving_average")[None])[0]

    def tails(self, windows: Sequence[FloatArray], keep: int) -> FloatArray:
        """Map n windows ``(time,)`` to ``(n, 2, keep)``."""
        return _one_sided.last_points(self._bands, self.n_components, windows, keep, self.memory)

    def _bands(self, values: FloatArray) -> FloatArray:
        """Map ``(n, time)`` to ``(n, 2, time)``."""
        trend = _one_sided.smoothed(values, self._taps, 1)
        return np.stack([values - trend, trend], axis=1)
