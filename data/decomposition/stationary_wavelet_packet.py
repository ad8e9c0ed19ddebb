"""Wavelet-packet bands that never look ahead.

The full tree over the one-sided filters of Renaud, Starck and Murtagh, IEEE Transactions on
Systems, Man and Cybernetics B 35(6), 2005.  Percival and Walden: Wavelet Methods for Time
Series Analysis, chapter 6 (2000), on the maximal-overlap packet transform.
"""

from collections.abc import Sequence

import numpy as np

from data.contracts import FloatArray
from data.decomposition import _one_sided
from data.decomposition.series import checked


class StationaryWaveletPacket:
    """Split a series into ``2**level`` bands of about equal width by averages over the past.

    Every node of the tree is split into its one-sided average and what that leaves, so the
    leaves sum to the series without being filtered back, and a value at t depends on the
    series up to t only.  The price is delay: the slowest band trails the series by
    ``(2**level - 1) / 2`` steps.  Before its first point a series is taken to have stood still.

    Only the two taps of the Haar filter are offered: what a longer one-sided average leaves
    is no high-pass any more, and the bands would overlap.  Cost is O(time x 2**level).

    Parameters
    ----------
    level : int
        Depth of the tree; every level halves the width of a band.
    """

    causal = True

    def __init__(self, level: int = 3) -> None:
        if level < 1:
            raise ValueError(f"decomposition.level={level} must be at least 1.")
        self.level = level
        self.n_components = 2**level
        self._taps = _one_sided.averaging_taps("haar")
        self.memory = _one_sided.reach(self._taps, level)

    def __call__(self, series: FloatArray) -> FloatArray:
        """Map ``(time,)`` to ``(2**level, time)``, fastest first."""
        return self._bands(checked(series, 1, "decomposition=stationary_wavelet_packet")[None])[0]

    def tails(self, windows: Sequence[FloatArray], keep: int) -> FloatArray:
        """Map n windows ``(time,)`` to ``(n, 2**level, keep)``."""
        return _one_sided.last_points(self._bands, self.n_components, windows, keep, self.memory)

    def _bands(self, values: FloatArray) -> FloatArray:
        """Map ``(n, time)`` to ``(n, 2**level, time)``.

        A high-pass turns the frequencies of what it lets through around once they are folded
        back, which is why every second pair of children is swapped (Gray code).
        """
        nodes = [values]  # slowest first
        for j in range(self.level):
            children = []
            for place, node in enumerate(nodes):
                slow = _one_sided.smoothed(node, self._taps, 2**j)
                pair = [slow, node - slow]
                children += pair if place % 2 == 0 else pair[::-1]
            nodes = children
        return np.stack(nodes[::-1], axis=1)
