"""Variational mode decomposition.

Dragomiretskiy and Zosso: Variational Mode Decomposition, IEEE Transactions on Signal
Processing 62(3), 2014.  Written anew because the Python port of the authors' code, ``vmdpy``,
drops the last point of an odd series, keeps every iterate (65 MB for 512 points and 8 modes)
and measures convergence in the unit of the series.
"""

from collections.abc import Sequence

import numpy as np

from data.contracts import FloatArray
from data.decomposition.batch import side_by_side
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
        name = f"decomposition={type(self).__name__.lower()}"
        return in_own_unit(checked(series, 4, name), self._modes, name)

    def tails(self, windows: Sequence[FloatArray], keep: int) -> FloatArray:
        """Map n windows ``(time,)`` to ``(n, modes, keep)``, a window a thread."""
        return side_by_side(self, windows, keep, self.modes)

    def _modes(self, values: FloatArray) -> FloatArray:
        """Map ``(time,)`` to ``(modes, time)``."""
        return self._restored(values, self._bands((values - values.mean())[None])[0])

    @staticmethod
    def _restored(values: FloatArray, components: FloatArray) -> FloatArray:
        """Give the mean to the slowest mode of a series, and what none has taken to the fastest."""
        components[-1] += values.mean()
        components[0] += values - components.sum(axis=0)
        return components

    def _bands(self, channels: FloatArray) -> FloatArray:
        """Map channels ``(M, time)`` with mean zero to ``(M, modes, time)``, which need not sum to them.

        A mode has one centre for all channels: their spectra stand one behind the other, as if they were one.
        """
        from data.decomposition._variational import find_modes  # compiles for a second: only if needed

        n_channels, size = channels.shape
        half = size // 2
        mirrored = np.concatenate([channels[:, :half][:, ::-1], channels, channels[:, half:][:, ::-1]], axis=1)
        spectrum = np.fft.rfft(mirrored, axis=1)[:, :-1].ravel()  # (M F,) without f = 1/2
        frequency = np.tile(np.fft.rfftfreq(2 * size)[:-1].astype(np.float64), n_channels)  # (M F,)
        centre = np.asarray(0.5 / self.modes * np.arange(self.modes), dtype=np.float64)
        real, imag = np.zeros((2, self.modes, frequency.size))  # (K, M F) each
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
        found = (real + 1j * imag)[fast_first].reshape(self.modes, n_channels, size).swapaxes(0, 1)  # (M, K, F)
        whole = np.fft.irfft(found, n=2 * size, axis=2)  # (M, K, 2 time)
        return np.ascontiguousarray(whole[:, :, half : half + size])
