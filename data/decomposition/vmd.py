"""Variational mode decomposition.

Dragomiretskiy and Zosso: Variational Mode Decomposition, IEEE Transactions on Signal
Processing 62(3), 2014.  Written anew because the Python port of the authors' code, ``vmdpy``,
drops the last point of an odd series, keeps every iterate (65 MB for 512 points and 8 modes)
and measures convergence in the unit of the series.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from data.contracts import FloatArray
from data.decomposition.batch import watched
from data.decomposition.series import checked
from data.decomposition.units import in_own_unit


class VMD:
    """Split a series into ``modes`` narrow bands whose centres it chooses itself, fastest first.

    The mean is taken off first and given back to the last row: the result moves and scales
    with the series.  What no mode has taken lies far from all centres and is fast noise for the
    most part; it is added to the first row, so that the rows sum to the series and the last one
    stays smooth.

    The ends are mirrored and the bands are found from the whole series: every point of a
    component depends on all others.

    Parameters
    ----------
    modes : int
        K, number of components.
    bandwidth : float
        Weight of narrowness against fidelity (alpha of the paper); larger gives narrower bands.
    ascent : float
        Step of the dual ascent (tau); 0 lets noise stay in the remainder.
    tolerance : float
        Change in one iteration at which the modes count as found [fraction of the series' energy].
    iterations : int
        Most of them.
    """

    causal = False
    memory = None

    def __init__(
        self,
        modes: int = 8,
        bandwidth: float = 2000.0,
        ascent: float = 0.0,
        tolerance: float = 1e-7,
        iterations: int = 500,
    ) -> None:
        faults = [
            f"decomposition.{name}={value} must be {wanted}."
            for name, value, wanted, right in (
                ("modes", modes, "at least 1", modes >= 1),
                ("bandwidth", bandwidth, "positive", bandwidth > 0),
                ("ascent", ascent, "at least 0", ascent >= 0),
                ("tolerance", tolerance, "at least 0", tolerance >= 0),
                ("iterations", iterations, "at least 1", iterations >= 1),
            )
            if not right
        ]
        if faults:
            raise ValueError("\n".join(faults))
        self.modes = modes
        self.bandwidth = bandwidth
        self.ascent = ascent
        self.tolerance = tolerance
        self.iterations = iterations

    @property
    def n_components(self) -> int:
        """Number of modes."""
        return self.modes

    def __call__(self, series: FloatArray) -> FloatArray:
        """Map ``(time,)`` to ``(modes, time)``."""
        return in_own_unit(checked(series, 4, "decomposition=vmd"), self._modes, "decomposition=vmd")

    def tails(self, windows: Sequence[FloatArray], keep: int) -> FloatArray:
        """Map n windows ``(time,)`` to ``(n, modes, keep)``, a window a thread."""
        from numba import get_num_threads

        found = np.empty((len(windows), self.modes, keep))
        with ThreadPoolExecutor(get_num_threads()) as threads:
            for row, components in enumerate(watched(threads.map(self, windows), len(windows))):
                found[row] = components[:, -keep:]
        return found

    def _modes(self, values: FloatArray) -> FloatArray:
        """Map ``(time,)`` to ``(modes, time)``."""
        mean = values.mean()
        components = self._bands(values - mean)
        components[-1] += mean
        components[0] += values - components.sum(axis=0)
        return components

    def _bands(self, values: FloatArray) -> FloatArray:
        """Map ``(time,)`` with mean zero to ``(modes, time)``, which need not sum to it."""
        from data.decomposition._variational import find_modes  # compiles for a second: only if needed

        size = values.size
        half = size // 2
        mirrored = np.concatenate([values[:half][::-1], values, values[half:][::-1]])  # (2 time,)
        spectrum = np.fft.rfft(mirrored)[:-1]  # (F,) without f = 1/2
        frequency = np.fft.rfftfreq(2 * size)[:-1].astype(np.float64)  # (F,)
        centre = np.asarray(0.5 / self.modes * np.arange(self.modes), dtype=np.float64)
        real, imag = np.zeros((2, self.modes, size))  # (K, F) each
        energy = float(np.vdot(spectrum, spectrum).real)
        find_modes(
            np.ascontiguousarray(spectrum.real),
            np.ascontiguousarray(spectrum.imag),
            frequency,
            centre,
            real,
            imag,
            self.bandwidth,
            self.ascent,
            self.tolerance * energy,
            self.iterations,
        )
        fast_first = np.argsort(-centre, kind="stable")
        whole = np.fft.irfft((real + 1j * imag)[fast_first], n=2 * size, axis=1)  # (K, 2 time)
        return np.ascontiguousarray(whole[:, half : half + size])
