"""Wavelet components that never look ahead.

Renaud, Starck and Murtagh: Wavelet-based combined signal filtering and prediction, IEEE
Transactions on Systems, Man and Cybernetics B 35(6), 2005.  Percival and Walden: Wavelet
Methods for Time Series Analysis (2000), on the maximal-overlap transform.
"""

from collections.abc import Sequence

import numpy as np

from data.contracts import FloatArray
from data.decomposition import _one_sided
from data.decomposition.series import checked


class MODWT:
    r"""Split a series into octaves and a smooth by averages over the past.

    The undecimated ("a trous") filter bank.  Starting from ``c_0 = series``,

    .. math:: c_j(t) = \sum_l h_l\, c_{j-1}(t - 2^{j-1} l), \qquad d_j = c_{j-1} - c_j,

    with the wavelet's scaling filter ``h``, normed to sum one, and ``d_1 ... d_J, c_J`` the
    components.  A value at t depends on the series up to t and on nothing else, so a component
    is the same number whether the future is known or not.  The price is delay: ``c_J`` trails
    the series, for ``haar`` by ``(2**J - 1) / 2`` steps.  Percival and Walden's multiresolution
    analysis has no delay because it filters a second time, backwards, and so looks ahead.

    Before its first point a series is taken to have stood still.  Cost is O(time x level).

    Parameters
    ----------
    wavelet : str
        An orthogonal wavelet that PyWavelets knows.  ``haar`` has the shortest delay; its
        ``d_j`` are its maximal-overlap wavelet coefficients, half the difference of two means.
    level : int
        J, number of octaves; component j holds periods of about ``2**j`` to ``2**(j+1)`` steps.
    """

    causal = True

    def __init__(self, wavelet: str = "haar", level: int = 6) -> None:
        if level < 1:
            raise ValueError(f"decomposition.level={level} must be at least 1.")
        self.wavelet = wavelet
        self.level = level
        self.n_components = level + 1
        self._taps = _one_sided.averaging_taps(wavelet)
        self.memory = _one_sided.reach(self._taps, level)

    def __call__(self, series: FloatArray) -> FloatArray:
        """Map ``(time,)`` to ``(level + 1, time)``, the smooth last."""
        return self._bands(checked(series, 1, "decomposition=modwt")[None])[0]

    def tails(self, windows: Sequence[FloatArray], keep: int) -> FloatArray:
        """Map n windows ``(time,)`` to ``(n, level + 1, keep)``."""
        return _one_sided.last_points(self._bands, self.n_components, windows, keep, self.memory)

    def _bands(self, values: FloatArray) -> FloatArray:
        """Map ``(n, time)`` to ``(n, level + 1, time)``."""
        bands = np.empty((len(values), self.n_components, values.shape[1]))
        smooth = values
        for j, smoother in enumerate(_one_sided.ladder(values, self._taps, self.level)):
            np.subtract(smooth, smoother, out=bands[:, j])
            smooth = smoother
        bands[:, -1] = smooth
        return bands
