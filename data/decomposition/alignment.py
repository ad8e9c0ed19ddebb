"""Give the modes of a series, however many there are, to a fixed number of channels.

The number of modes changes from window to window, and with it what "the fourth mode" means.
A channel that means a band of periods does not change.
"""

import numpy as np

from data.contracts import FloatArray

ALIGNMENTS = ("period", "index")

FASTEST = 3.1
"""Mean period that the first channel is centred on [steps]: that of the first mode of daily closes."""

RATIO = 2.65
"""From the centre of one channel to the next.  The usual stopping rule sifts a mode only a few times,
and the periods of neighbouring modes differ by this factor and not, as after many siftings, by 2."""


def align_modes(modes: FloatArray, n_components: int, align: str) -> FloatArray:
    """Map ``(n_modes + 1, time)``, the remainder last, to ``(n_components, time)``.

    Parameters
    ----------
    modes : array ``(n_modes + 1, time)``
        Fast first; the last row is what the modes leave of the series.
    n_components : int
        K, number of channels.  The remainder goes to the last one, which therefore holds the level.
    align : str
        ``period``: a mode goes to the channel its mean period lies in; of the first K - 1, channel k
        reaches from ``3.1 * 2.65**(k - 1/2)`` to ``3.1 * 2.65**(k + 1/2)`` steps.  Modes in one channel
        add up; a channel without a mode is zero.
        ``index``: mode k goes to channel k.
        Either way, what is slower than the first K - 1 channels adds up with the remainder in the last
        one: a slow mode and the trend beneath it trade level from window to window, their sum does not.
    """
    aligned = np.zeros((n_components, modes.shape[1]))
    aligned[-1] = modes[-1]
    for k, mode in enumerate(modes[:-1]):
        channel = k if align == "index" else _band(mode)
        aligned[min(max(channel, 0), n_components - 1)] += mode
    return aligned


def _band(mode: FloatArray) -> int:
    return int(np.rint(np.log(mean_period(mode) / FASTEST) / np.log(RATIO)))


def mean_period(mode: FloatArray) -> float:
    """Return twice the mean distance between extrema [steps]; without two of them, twice the length."""
    steps = np.diff(mode)
    moving = np.flatnonzero(steps)
    turns = moving[1:][np.diff(np.sign(steps[moving])) != 0]
    if turns.size < 2:
        return 2.0 * mode.size
    return 2.0 * float(turns[-1] - turns[0]) / (turns.size - 1)
