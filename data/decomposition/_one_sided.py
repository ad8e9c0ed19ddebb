"""Filters that look back only, and the way through many windows they allow.

Renaud, Starck and Murtagh: Prediction based on a multiscale decomposition, International
Journal of Wavelets 1(2), 2003; and Wavelet-based combined signal filtering and prediction,
IEEE Transactions on Systems, Man and Cybernetics B 35(6), 2005.

Shapes
------
n window, C component, T time
"""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pywt

from data.contracts import FloatArray
from data.decomposition.batch import stacks
from data.decomposition.series import checked


def averaging_taps(wavelet: str) -> FloatArray:
    """Return the scaling filter of an orthogonal wavelet as weights that sum to one, latest point first.

    Daubechies filters carry their energy in front, which makes their delay the least possible.
    """
    known = pywt.wavelist(kind="discrete")
    filters = pywt.Wavelet(wavelet) if wavelet in known else None
    if filters is None or not filters.orthogonal:
        raise ValueError(f"decomposition.wavelet={wavelet} is not an orthogonal wavelet.  Choose haar, db2, ..., db38.")
    scaling = np.asarray(filters.rec_lo, dtype=np.float64)
    return scaling / scaling.sum()


def smoothed(values: FloatArray, taps: FloatArray, gap: int) -> FloatArray:
    """Average every point of ``(..., T)`` with points before it that lie ``gap`` steps apart.

    Before the first point the series is taken to have stood still at its first value.
    """
    size = values.shape[-1]
    first, *others = taps.tolist()
    mean: FloatArray = first * values
    for i, weight in enumerate(others, start=1):
        shift = min(i * gap, size)
        weighted = weight * values
        mean[..., :shift] += weighted[..., :1]
        mean[..., shift:] += weighted[..., : size - shift]
    return mean


def ladder(values: FloatArray, taps: FloatArray, level: int) -> Iterator[FloatArray]:
    """Yield the averages ``(..., T)`` of ``level`` levels, each twice as wide as the one before, as ``smoothed`` does.

    The points before the first are written down once: no level has to treat its beginning apart.
    """
    size, before = values.shape[-1], reach(taps, level)
    if before > 4 * size:  # nearly all of it would be points before the first
        for j in range(level):
            values = smoothed(values, taps, 2**j)
            yield values
        return
    first, *others = taps.tolist()
    whole = np.empty((*values.shape[:-1], before + size))
    whole[..., :before] = values[..., :1]
    whole[..., before:] = values
    for j in range(level):
        start = 2**j * len(others)
        latest, width = whole[..., start:], whole.shape[-1] - start
        if others == [0.5] and first == 0.5:  # haar: the same bits with a product less
            mean = latest + whole[..., :width]
            mean *= 0.5
        else:
            mean = first * latest
            for i, weight in enumerate(others, start=1):
                shift = start - i * 2**j
                mean += weight * whole[..., shift : shift + width]
        whole = mean
        yield whole[..., -size:]


def reach(taps: FloatArray, level: int) -> int:
    """Return how many steps back a component of that level looks."""
    return int((taps.size - 1) * (2**level - 1))


def last_points(
    bands: Callable[[FloatArray], FloatArray],
    n_components: int,
    windows: Sequence[FloatArray],
    keep: int,
    reach: int,
) -> FloatArray:
    """Map n windows to ``(n, C, keep)`` by filtering no more of each than its last points look back upon.

    The dropped points enter none of those kept, so that not a bit of them changes.
    """
    ends = [checked(window, 1, "a filter")[-(keep + reach) :] for window in windows]
    found = np.empty((len(windows), n_components, keep))
    for rows, stack in stacks(ends):
        found[rows] = bands(stack)[:, :, -keep:]
    return found
