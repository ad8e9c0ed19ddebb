"""Wavelet-packet bands of a series.

Mallat, S.: A Wavelet Tour of Signal Processing, 3rd ed., chapter 8 (2009).

Shapes
------
n window, C component, T time
"""

from collections.abc import Sequence

import numpy as np
import pywt

from data.contracts import FloatArray
from data.decomposition.batch import stacks
from data.decomposition.series import checked
from data.decomposition.units import levels

_MODE = "symmetric"


class WaveletPacket:
    """Split a series into ``2**level`` bands of equal width, fastest first.

    Every node of the tree's last level is brought back to the length of the series on its own,
    so the bands sum to it.  The ends are mirrored and the filters look both ways: every point
    of a band depends on its neighbours before *and* after it.

    Parameters
    ----------
    wavelet : str
        A discrete wavelet that PyWavelets knows, such as ``db4``.
    level : int
        Depth of the tree; every level halves the width of a band.
    """

    causal = False
    memory = None

    def __init__(self, wavelet: str = "db4", level: int = 3) -> None:
        if wavelet not in pywt.wavelist(kind="discrete"):
            raise ValueError(
                f"decomposition.wavelet={wavelet} is not a discrete wavelet.  "
                f"Choose one of {', '.join(pywt.wavelist('db')[:8])}, ..., sym4, coif1, haar."
            )
        if level < 1:
            raise ValueError(f"decomposition.level={level} must be at least 1.")
        self.wavelet = wavelet
        self.level = level
        self.n_components = 2**level
        self._filters = pywt.Wavelet(wavelet)
        self._shortest = (self._filters.dec_len - 1) * 2**level
        self._reason = f"decomposition.wavelet={wavelet} with decomposition.level={level}"

    def __call__(self, series: FloatArray) -> FloatArray:
        """Map ``(time,)`` to ``(2**level, time)``."""
        return self._bands(checked(series, self._shortest, self._reason)[None])[0]

    def tails(self, windows: Sequence[FloatArray], keep: int) -> FloatArray:
        """Map n windows ``(time,)`` to ``(n, 2**level, keep)``, all of one length together."""
        checks = [checked(window, self._shortest, self._reason) for window in windows]
        found = np.empty((len(windows), self.n_components, keep))
        for rows, stack in stacks(checks):
            found[rows] = self._bands(stack)[:, :, -keep:]
        return found

    def _bands(self, values: FloatArray) -> FloatArray:
        """Map ``(n, T)`` to ``(n, C, T)``."""
        level = levels(values)  # (n, 1)
        tree = pywt.WaveletPacket(values - level, self._filters, mode=_MODE, maxlevel=self.level, axis=-1)
        nodes = tree.get_level(self.level, order="freq")  # slowest first
        bands = np.stack([self._rebuilt(node) for node in reversed(nodes)], axis=1)
        bands[:, -1] += level
        return bands

    def _rebuilt(self, node: pywt.WaveletPacket) -> FloatArray:
        """Bring one node back to the root ``(n, T)`` as if all others were zero."""
        values = node.data
        while node.parent is not None:
            pair = (values, None) if node.node_name == "a" else (None, values)
            node = node.parent
            values = pywt.idwt(*pair, self._filters, mode=_MODE, axis=-1)
            values = values[..., : node.data.shape[-1]]  # an odd length came back even
        return values
